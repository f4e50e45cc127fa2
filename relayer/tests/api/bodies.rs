//! Bodies that break the interface.

use reqwest::Method;
use serde_json::{Value, json};

use crate::app::{TestApp, send, withdrawal};

#[tokio::test]
async fn digits_are_six_ascii_digits_in_a_string_and_nothing_else() {
    let app = TestApp::new().await;
    let (person, contact) = app.person().await;
    let otp = app.accepted(&person, contact).await;
    let bodies = [
        json!({ "digits": 123_456 }),
        json!({ "digits": true }),
        json!({ "digits": ["123456"] }),
        json!({ "digits": null }),
        json!({ "digits": "１２３４５６" }),
        json!({ "digits": "123456\n" }),
        json!({ "digits": " 123456" }),
        json!({ "digits": "12345" }),
        json!({ "digits": "1234567" }),
        json!({ "digits": "12345a" }),
        json!({ "digits": "-12345" }),
        json!({ "digits": "123456", "extra": 1 }),
        json!({ "Digits": "123456" }),
        json!({}),
        json!([]),
        json!(true),
        json!("123456"),
    ];
    for path in [format!("/v1/otps/{otp}/unlock"), format!("/v1/contacts/{contact}/confirm")] {
        for body in &bodies {
            let answer = app.post(&path, &person.token, body).await;
            assert_eq!(answer.told(), (400, "bad-request"), "{path} {body}");
            assert!(!answer.body.to_string().contains("12345"), "digits are not repeated: {}", answer.body);
        }
        let doubled = r#"{"digits":"000000","digits":"123456"}"#;
        for raw in [doubled, "", "{", "\u{feff}{}", "{\"digits\":\"123456\"}x"] {
            let request = app.request(Method::POST, &path).bearer_auth(&person.token);
            let answer = send(request.header("Content-Type", "application/json").body(raw.to_owned())).await;
            assert_eq!(answer.status, 400, "{path} {raw}");
        }
    }
    let story = app.store.story(person.account, otp).await.unwrap().unwrap();
    assert_eq!(story.attempts_left, 3, "none of these was an attempt");
}

#[tokio::test]
async fn a_request_with_unknown_fields_or_wrong_types_is_refused() {
    let app = TestApp::new().await;
    let (person, contact) = app.person().await;
    let spoiled = |spoil: fn(&mut Value)| {
        let mut body = withdrawal(contact);
        spoil(&mut body);
        body
    };
    let bodies = [
        spoiled(|b| b["extra"] = json!(1)),
        spoiled(|b| b["purpose"] = json!(true)),
        spoiled(|b| b["purpose"] = json!([])),
        spoiled(|b| b["contactId"] = json!("not-a-uuid")),
        spoiled(|b| b["contactId"] = json!(7)),
        spoiled(|b| b["action"] = json!([])),
        spoiled(|b| b["action"] = json!(true)),
        spoiled(|b| b["action"]["extra"] = json!(1)),
        spoiled(|b| b["action"]["consumer"] = json!("0x12")),
        spoiled(|b| b["action"]["types"] = json!([])),
        json!([]),
        json!({ "purpose": "withdraw" }),
    ];
    for (n, body) in bodies.iter().enumerate() {
        let answer = app.submit(&person, &format!("key-{n}"), body).await;
        assert_eq!(answer.told(), (400, "bad-request"), "{body}");
    }
    assert_eq!(app.get("/v1/otps", &person.token).await.body["otps"], json!([]));
}

#[tokio::test]
async fn bodies_over_16_kib_and_other_media_types_are_refused() {
    let app = TestApp::new().await;
    let person = app.stranger().await;
    let big = json!({ "message": "x".repeat(17 * 1024), "signature": "0x" });
    let answer = send(app.request(Method::POST, "/v1/auth/login").json(&big)).await;
    assert_eq!(answer.told(), (400, "bad-request"));
    let body = json!({ "channel": "email", "address": "alice@example.com" }).to_string();
    for media_type in ["text/plain", "application/x-www-form-urlencoded", "application/jsonp"] {
        let request = app.request(Method::POST, "/v1/contacts").bearer_auth(&person.token);
        let answer = send(request.header("Content-Type", media_type).body(body.clone())).await;
        assert_eq!(answer.status, 415, "{media_type}");
    }
    assert_eq!(app.get("/v1/contacts", &person.token).await.body["contacts"], json!([]));
}

#[tokio::test]
async fn ids_that_are_none_and_ids_of_nobody_answer_the_same() {
    let app = TestApp::new().await;
    let person = app.stranger().await;
    let nobody = uuid::Uuid::now_v7();
    for path in ["/v1/otps/x", "/v1/otps/..%2f..", &format!("/v1/otps/{nobody}"), &format!("/v1/otps/{nobody}/events")]
    {
        let answer = app.get(path, &person.token).await;
        assert_eq!(answer.told(), (404, "not-found"), "{path}");
        assert_eq!(answer.header("content-type"), "application/problem+json");
        assert_eq!(answer.body["requestId"], answer.header("x-request-id"));
    }
    let digits = json!({ "digits": "123456" });
    for path in
        [format!("/v1/otps/{nobody}/unlock"), format!("/v1/contacts/{nobody}/confirm"), "/v1/otps/x/unlock".to_owned()]
    {
        assert_eq!(app.post(&path, &person.token, &digits).await.told(), (404, "not-found"), "{path}");
    }
    assert_eq!(app.get("/v1/otps?cursor=x", &person.token).await.status, 400);
    assert_eq!(app.get("/v1/otps?page=2", &person.token).await.status, 400);
}
