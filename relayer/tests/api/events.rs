//! Server-sent events.

use std::time::Duration;

use alloy::primitives::Bytes;
use reqwest::{Method, Response};
use serde_json::Value;
use uuid::Uuid;

use crate::app::{Person, TestApp, wrong};

/// An open stream and what was read of it.
struct Stream {
    response: Response,
    text: String,
}

impl Stream {
    async fn open(app: &TestApp, person: &Person, otp: Uuid, last: Option<&str>) -> Self {
        let mut request = app.request(Method::GET, &format!("/v1/otps/{otp}/events")).bearer_auth(&person.token);
        if let Some(last) = last {
            request = request.header("Last-Event-ID", last);
        }
        Self { response: request.send().await.unwrap(), text: String::new() }
    }

    /// The statuses up to `last`; fails when it does not come in time.
    async fn until(&mut self, last: &str) -> Vec<String> {
        let mark = format!("id: {last}\n");
        while !self.text.contains(&mark) {
            assert!(self.read().await, "the stream ended before {last}: {}", self.text);
        }
        self.statuses()
    }

    /// The statuses up to the stream's end.
    async fn rest(&mut self) -> Vec<String> {
        while self.read().await {}
        self.statuses()
    }

    async fn read(&mut self) -> bool {
        let chunk = tokio::time::timeout(Duration::from_secs(5), self.response.chunk()).await.expect("in time");
        chunk.unwrap().map(|bytes| self.text.push_str(std::str::from_utf8(&bytes).unwrap())).is_some()
    }

    fn statuses(&self) -> Vec<String> {
        self.text.lines().filter_map(|line| line.strip_prefix("id: ")).map(str::to_owned).collect()
    }
}

#[tokio::test]
async fn every_change_of_status_is_one_event_and_the_last_id_resumes() {
    let app = TestApp::new().await;
    let (person, contact) = app.person().await;
    let otp = app.accepted(&person, contact).await;
    let mut stream = Stream::open(&app, &person, otp, None).await;
    assert_eq!(stream.response.headers()["content-type"], "text/event-stream");
    assert_eq!(stream.until("queued").await, ["queued"]);
    app.issue().await;
    assert_eq!(stream.until("issued").await, ["queued", "submitted", "issued"]);
    let data = stream.text.lines().rfind(|line| line.starts_with("data: ")).unwrap();
    let data: Value = serde_json::from_str(&data["data: ".len()..]).unwrap();
    assert_eq!(data, app.get(&format!("/v1/otps/{otp}"), &person.token).await.body, "the same as GET");
    assert!(stream.text.lines().filter(|line| line.starts_with("event: ")).all(|line| line == "event: status"));
    drop(stream);

    let code = app.code(&person, otp).await;
    let unlocked = app.unlock(&person, otp, code.digits().expose()).await;
    let calldata: Bytes = serde_json::from_value(unlocked.body["calldata"].clone()).unwrap();
    app.transact(&person.wallet, app.deployment.verifier, calldata.to_vec()).await;
    app.follow().await;
    let mut resumed = Stream::open(&app, &person, otp, Some("submitted")).await;
    assert_eq!(resumed.until("verified").await, ["issued", "unlocked", "verified"]);
    let mut strange = Stream::open(&app, &person, otp, Some("no-such-status")).await;
    assert_eq!(strange.until("verified").await, ["queued", "submitted", "issued", "unlocked", "verified"]);
}

#[tokio::test]
async fn a_reorg_is_told_and_so_is_the_second_landing() {
    let app = TestApp::new().await;
    let (person, contact) = app.person().await;
    let otp = app.accepted(&person, contact).await;
    app.follow().await;
    let before = app.store.cursor(&app.deployment).await.unwrap().unwrap();
    app.issue().await;
    let mut stream = Stream::open(&app, &person, otp, Some("submitted")).await;
    assert_eq!(stream.until("issued").await, ["issued"]);
    let digits = app.code(&person, otp).await.digits().expose().to_owned();
    let head = app.store.cursor(&app.deployment).await.unwrap().unwrap();
    app.store.rewind(&app.deployment, head, before).await.unwrap().unwrap();
    assert_eq!(stream.until("submitted").await, ["issued", "submitted"]);
    assert_eq!(app.unlock(&person, otp, &digits).await.told(), (409, "not-issued"));
    stream.text.clear();
    app.follow().await;
    assert_eq!(stream.until("issued").await, ["issued"]);
    assert_eq!(app.unlock(&person, otp, &digits).await.status, 200, "the same code");
}

#[tokio::test]
async fn a_stream_ends_after_a_terminal_status_and_tells_browsers_not_to_return() {
    let app = TestApp::new().await;
    let (person, contact) = app.person().await;
    let otp = app.accepted(&person, contact).await;
    app.issue().await;
    let mut stream = Stream::open(&app, &person, otp, Some("issued")).await;
    let code = app.code(&person, otp).await;
    for _ in 0..3 {
        app.unlock(&person, otp, &wrong(code.digits().expose())).await;
    }
    assert_eq!(stream.rest().await, ["locked"]);
    assert_eq!(Stream::open(&app, &person, otp, Some("locked")).await.response.status(), 204);
}

#[tokio::test]
async fn a_stream_ends_with_its_session() {
    let app = TestApp::new().await;
    let (person, contact) = app.person().await;
    let otp = app.accepted(&person, contact).await;
    let mut stream = Stream::open(&app, &person, otp, None).await;
    stream.until("queued").await;
    app.post("/v1/auth/logout", &person.token, &Value::Null).await;
    assert_eq!(stream.rest().await, ["queued"]);
}

#[tokio::test]
async fn a_stream_ends_at_shutdown() {
    let app = TestApp::new().await;
    let (person, contact) = app.person().await;
    let otp = app.accepted(&person, contact).await;
    let mut stream = Stream::open(&app, &person, otp, None).await;
    stream.until("queued").await;
    app.shutdown.cancel();
    assert_eq!(stream.rest().await, ["queued"]);
}

#[tokio::test]
async fn a_session_has_five_streams_and_a_closed_one_makes_room() {
    let app = TestApp::new().await;
    let (person, contact) = app.person().await;
    let otp = app.accepted(&person, contact).await;
    let mut streams = Vec::new();
    for _ in 0..5 {
        let mut stream = Stream::open(&app, &person, otp, None).await;
        stream.until("queued").await;
        streams.push(stream);
    }
    let sixth = Stream::open(&app, &person, otp, None).await.response;
    assert_eq!(sixth.status(), 429);
    assert!(sixth.headers().contains_key("retry-after"));
    let other = app.sign_in(&person.wallet).await;
    assert_eq!(Stream::open(&app, &other, otp, None).await.response.status(), 200, "another session has its own");
    streams.pop();
    let mut room = false;
    for _ in 0..50 {
        room = Stream::open(&app, &person, otp, None).await.response.status() == 200;
        if room {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert!(room);
    let stranger = app.stranger().await;
    assert_eq!(Stream::open(&app, &stranger, otp, None).await.response.status(), 404);
}
