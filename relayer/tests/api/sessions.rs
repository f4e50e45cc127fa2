//! What makes a session, and what ends it.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use alloy::signers::local::PrivateKeySigner;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use reqwest::Method;
use serde_json::{Value, json};

use crate::app::{ADMIN_TOKEN, Answer, ORIGIN, Setup, TestApp, claims, send};

async fn with_cookie(app: &TestApp, method: Method, path: &str, token: &str, origin: Option<&str>) -> Answer {
    let mut request = app.request(method, path).header("Cookie", format!("theme=dark; otp-session={token}"));
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
    let key = app.keyring.subkey_of(1, "session-jwt").unwrap();
    let good = claims(&person.token);
    let sign = |algorithm, key: &[u8], claims: &Value| signed(algorithm, "1", key, claims);
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
        none(r#"{"alg":"none","typ":"JWT","kid":"1"}"#),
        none(r#"{"alg":"HS256","typ":"JWT","kid":"1"}"#),
        jsonwebtoken::encode(&Header::new(Algorithm::HS256), &good, &EncodingKey::from_secret(key.as_slice())).unwrap(),
        signed(Algorithm::HS256, "2", key.as_slice(), &good),
        signed(Algorithm::HS256, "0", key.as_slice(), &good),
        signed(Algorithm::HS256, "../1", key.as_slice(), &good),
        sign(Algorithm::HS256, app.keyring.subkey("session-jwt-2").as_slice(), &good),
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
        with("cnf", json!({ "jkt": "x".repeat(43) })),
        format!("{}x", person.token),
        String::new(),
    ];
    for token in forged {
        assert_eq!(app.get("/v1/contacts", &token).await.told(), (401, "unauthenticated"), "{token}");
    }
    let none = send(app.request(Method::GET, "/v1/contacts")).await;
    assert_eq!(none.told(), (401, "unauthenticated"));
    assert!(none.header("www-authenticate").contains("Bearer"), "{none:?}");
}

fn signed(algorithm: Algorithm, kid: &str, key: &[u8], claims: &Value) -> String {
    let header = Header { kid: Some(kid.to_owned()), ..Header::new(algorithm) };
    jsonwebtoken::encode(&header, claims, &EncodingKey::from_secret(key)).unwrap()
}

fn kid(token: &str) -> String {
    jsonwebtoken::decode_header(token).unwrap().kid.unwrap()
}

#[tokio::test]
async fn keys_rotate_without_a_logout_and_an_old_one_ends_with_its_sessions() {
    let app = TestApp::new().await;
    let before = app.stranger().await;
    assert_eq!(app.keyring.rotate().await.unwrap(), 2);
    let deadline = tokio::time::Instant::now() + Duration::from_secs(30);
    while app.keyring.version() < 2 {
        assert!(tokio::time::Instant::now() < deadline, "the new key never signs");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let after = app.stranger().await;
    assert_eq!((kid(&before.token), kid(&after.token)), ("1".to_owned(), "2".to_owned()));
    for person in [&before, &after] {
        assert_eq!(app.get("/v1/contacts", &person.token).await.status, 200);
    }
    // Whoever has the old key makes no token of it for a session that began since.
    let [old, new] = [1, 2].map(|version| app.keyring.subkey_of(version, "session-jwt").unwrap());
    let forged = signed(Algorithm::HS256, "1", old.as_slice(), &claims(&after.token));
    assert_eq!(app.get("/v1/contacts", &forged).await.told(), (401, "unauthenticated"));
    let control = signed(Algorithm::HS256, "2", new.as_slice(), &claims(&after.token));
    assert_eq!(app.get("/v1/contacts", &control).await.status, 200);
    assert_eq!(app.post("/v1/auth/logout", &before.token, &Value::Null).await.status, 204);
    assert_eq!(app.get("/v1/contacts", &before.token).await.status, 401);
}

#[tokio::test]
async fn a_page_over_tls_takes_its_cookie_under_the_prefix_alone_and_localhost_under_none() {
    let app = TestApp::new().await;
    let wallet = PrivateKeySigner::random();
    let mut message = app.message(wallet.address()).await;
    (message.domain, message.uri) = ("app.example".to_owned(), "https://app.example/sign-in".to_owned());
    let over_tls = app.login(&wallet, &message.text()).await.body["token"].as_str().unwrap().to_owned();
    let local = app.stranger().await.token;
    let status =
        async |cookies: String| send(app.request(Method::GET, "/v1/contacts").header("Cookie", cookies)).await.status;
    assert_eq!(status(format!("__Host-otp-session={over_tls}")).await, 200);
    assert_eq!(status(format!("otp-session={local}")).await, 200);
    // What a sibling host can plant is no session of a page over TLS.
    assert_eq!(status(format!("otp-session={over_tls}")).await, 401);
    assert_eq!(status(format!("__Host-otp-session={local}")).await, 401);
    assert_eq!(status(format!("__Host-otp-session=stale; otp-session={local}")).await, 200);
    assert_eq!(status(format!("x__Host-otp-session={over_tls}")).await, 401);
}

#[tokio::test]
async fn a_session_that_moves_is_told_of_once_and_goes_on() {
    let app = TestApp::new().await;
    let person = app.stranger().await;
    let (told, _telling) = Told::listen();
    let call = async |program: &'static str| {
        let request = app.request(Method::GET, "/v1/contacts").bearer_auth(&person.token);
        send(request.header("User-Agent", program)).await.status
    };
    let moves = || told.lines().iter().filter(|line| line["fields"]["event"] == "session-fingerprint-changed").count();
    assert_eq!((app.get("/v1/contacts", &person.token).await.status, moves()), (200, 0));
    for _ in 0..3 {
        assert_eq!((call("a thief's program").await, moves()), (200, 1));
    }
    assert_eq!((call("another").await, moves()), (200, 2));
    let line = told.lines().into_iter().rfind(|line| line["target"] == "security").unwrap();
    let fields = line["fields"].as_object().unwrap();
    assert_eq!(fields["account_id"], json!(person.account));
    assert_eq!((&fields["program_changed"], &fields["network_changed"]), (&json!(true), &json!(false)));
    let known = ["account_id", "event", "message", "network_changed", "program_changed", "session_id"];
    assert!(fields.keys().all(|name| known.contains(&name.as_str())), "ids and nothing else: {fields:?}");
}

/// What was logged, as JSON lines; heard on this thread, on which such a test's whole relayer runs.
#[derive(Clone, Default)]
struct Told(Arc<Mutex<Vec<u8>>>);

impl Told {
    fn listen() -> (Self, tracing::subscriber::DefaultGuard) {
        let told = Self::default();
        let writer = told.clone();
        let subscriber = tracing_subscriber::fmt().json().with_writer(move || writer.clone()).finish();
        (told, tracing::subscriber::set_default(subscriber))
    }

    fn lines(&self) -> Vec<Value> {
        let text = self.0.lock().unwrap();
        text.split(|b| *b == b'\n').filter(|l| !l.is_empty()).map(|l| serde_json::from_slice(l).unwrap()).collect()
    }
}

impl std::io::Write for Told {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
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
    let answer = send(request.header("Cookie", format!("otp-session={}", person.token))).await;
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
