//! What makes a session, and what ends it.

use std::time::Duration;

use jsonwebtoken::{Algorithm, EncodingKey, Header};
use reqwest::Method;
use serde_json::{Value, json};

use crate::app::{ADMIN_TOKEN, Answer, ORIGIN, Setup, TestApp, claims, send};

async fn with_cookie(app: &TestApp, method: Method, path: &str, token: &str, origin: Option<&str>) -> Answer {
    let mut request = app.request(method, path).header("Cookie", format!("theme=dark; __Host-otp-session={token}"));
    if let Some(origin) = origin {
        request = request.header("Origin", origin);
    }
    send(request).await
}

#[tokio::test]
async fn signing_out_ends_a_session_at_once_and_no_other() {
    let app = TestApp::new().await;
    let first = app.stranger().await;
    let second = app.sign_in(&first.wallet).await;
    assert_eq!(app.post("/v1/auth/logout", &first.token, &Value::Null).await.status, 204);
    assert_eq!(app.get("/v1/contacts", &first.token).await.told(), (401, "unauthenticated"));
    assert_eq!(app.get("/v1/contacts", &second.token).await.status, 200);
}

#[tokio::test]
async fn a_session_expires() {
    let app = TestApp::with(Setup { session_ttl: Duration::from_secs(2), ..Setup::default() }).await;
    let person = app.stranger().await;
    assert_eq!(app.get("/v1/contacts", &person.token).await.status, 200);
    tokio::time::sleep(Duration::from_millis(2_100)).await;
    assert_eq!(app.get("/v1/contacts", &person.token).await.told(), (401, "unauthenticated"));
}

#[tokio::test]
async fn no_token_but_our_own_for_a_session_that_runs_is_taken() {
    let app = TestApp::new().await;
    let person = app.stranger().await;
    let stranger = app.stranger().await;
    let key = app.keyring.subkey("session-jwt");
    let good = claims(&person.token);
    let sign = |algorithm, key: &[u8], claims: &Value| {
        jsonwebtoken::encode(&Header::new(algorithm), claims, &EncodingKey::from_secret(key)).unwrap()
    };
    let with = |name: &str, value: Value| {
        let mut claims = good.clone();
        claims[name] = value;
        sign(Algorithm::HS256, key.as_slice(), &claims)
    };
    let without = |name: &str| {
        let mut claims = good.clone();
        claims.as_object_mut().unwrap().remove(name);
        sign(Algorithm::HS256, key.as_slice(), &claims)
    };
    assert_eq!(
        app.get("/v1/contacts", &sign(Algorithm::HS256, key.as_slice(), &good)).await.status,
        200,
        "the control"
    );
    let payload = person.token.split('.').nth(1).unwrap();
    let none = |header: &str| {
        use base64::Engine;
        format!("{}.{payload}.", base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(header))
    };
    let now = good["iat"].as_i64().unwrap();
    let forged = [
        none(r#"{"alg":"none","typ":"JWT"}"#),
        none(r#"{"alg":"HS256","typ":"JWT"}"#),
        sign(Algorithm::HS256, &[7; 32], &good),
        sign(Algorithm::HS512, key.as_slice(), &good),
        sign(Algorithm::HS384, key.as_slice(), &good),
        with("exp", json!(now - 1)),
        with("nbf", json!(now + 600)),
        with("iss", json!("another")),
        with("aud", json!("evil.example")),
        // another of our own pages, but not this session's
        with("aud", json!("app.example")),
        with("sub", json!(stranger.account)),
        with("jti", json!("01890000-0000-7000-8000-000000000000")),
        without("exp"),
        without("aud"),
        without("jti"),
        format!("{}x", person.token),
        String::new(),
    ];
    for token in forged {
        assert_eq!(app.get("/v1/contacts", &token).await.told(), (401, "unauthenticated"), "{token}");
    }
    assert_eq!(send(app.request(Method::GET, "/v1/contacts")).await.told(), (401, "unauthenticated"));
}

#[tokio::test]
async fn with_the_cookie_only_the_sessions_own_page_changes_anything() {
    let app = TestApp::new().await;
    let person = app.stranger().await;
    let logout = "/v1/auth/logout";
    for origin in [None, Some("https://app.example"), Some("http://evil.example"), Some("null")] {
        let answer = with_cookie(&app, Method::POST, logout, &person.token, origin).await;
        assert_eq!(answer.told(), (403, "origin-mismatch"), "{origin:?}");
    }
    assert_eq!(with_cookie(&app, Method::GET, "/v1/contacts", &person.token, None).await.status, 200);
    let other_page = with_cookie(&app, Method::GET, "/v1/contacts", &person.token, Some("https://app.example")).await;
    assert_eq!(other_page.told(), (403, "origin-mismatch"));
    assert_eq!(with_cookie(&app, Method::POST, logout, &person.token, Some(ORIGIN)).await.status, 204);
    assert_eq!(with_cookie(&app, Method::GET, "/v1/contacts", &person.token, None).await.status, 401);
}

#[tokio::test]
async fn a_wrong_bearer_token_is_not_made_up_for_by_a_cookie() {
    let app = TestApp::new().await;
    let person = app.stranger().await;
    let request = app.request(Method::GET, "/v1/contacts").bearer_auth("wrong");
    let answer = send(request.header("Cookie", format!("__Host-otp-session={}", person.token))).await;
    assert_eq!(answer.status, 401);
}

#[tokio::test]
async fn preflights_are_answered_for_our_pages_alone() {
    let app = TestApp::new().await;
    let preflight = |origin: &'static str| {
        let request = app.request(Method::OPTIONS, "/v1/otps").header("Origin", origin);
        request
            .header("Access-Control-Request-Method", "POST")
            .header("Access-Control-Request-Headers", "authorization,content-type,idempotency-key")
    };
    let ours = send(preflight(ORIGIN)).await;
    assert_eq!((ours.status, ours.header("access-control-allow-origin")), (200, ORIGIN));
    assert!(ours.header("access-control-allow-headers").contains("idempotency-key"));
    let other = send(preflight("https://evil.example")).await;
    assert_eq!(other.header("access-control-allow-origin"), "");
}

#[tokio::test]
async fn the_admin_port_counts_for_whoever_has_the_token() {
    let app = TestApp::new().await;
    let (person, contact) = app.person().await;
    app.accepted(&person, contact).await;
    let client = reqwest::Client::new();
    let status = || client.get(format!("{}/v1/status", app.admin_url));
    assert_eq!(send(status()).await.status, 401);
    assert_eq!(send(status().bearer_auth(&person.token)).await.status, 401);
    let counts = send(status().bearer_auth(ADMIN_TOKEN)).await;
    assert_eq!((counts.status, &counts.body["counts"]["requests.queued"]), (200, &json!(1)));
    for path in ["livez", "readyz"] {
        assert_eq!(send(client.get(format!("{}/{path}", app.admin_url))).await.status, 200);
        assert_eq!(send(app.request(Method::GET, &format!("/{path}"))).await.status, 200);
    }
    assert_eq!(send(app.request(Method::GET, "/v1/status").bearer_auth(ADMIN_TOKEN)).await.status, 404);
}
