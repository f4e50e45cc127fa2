//! A relayer that is told to end: first it says so, then it finishes what it has begun, then it ends with 0.
#![expect(clippy::unwrap_used, reason = "a test tells what is wrong by failing")]

use std::{process::Command, time::Duration};

use alloy::signers::local::PrivateKeySigner;
use testbed::{
    client::{Client, NewRequest},
    mailbox::Mailbox,
    stack::{Daemon, Options, Stack},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::{Instant, sleep, timeout},
};

const LAME_DUCK: Duration = Duration::from_millis(2_500);
const LONG: Duration = Duration::from_secs(20);

async fn connect(stack: &Stack, head_and_more: &str) -> TcpStream {
    let url = &stack.description.relayer_url;
    let mut stream = TcpStream::connect(("127.0.0.1", url.port().unwrap())).await.unwrap();
    stream.write_all(head_and_more.as_bytes()).await.unwrap();
    stream
}

async fn rest(mut stream: TcpStream) -> String {
    let mut text = String::new();
    timeout(LONG, stream.read_to_string(&mut text)).await.unwrap().unwrap();
    text
}

async fn readiness(stack: &Stack) -> u16 {
    reqwest::get(stack.description.relayer_url.join("readyz").unwrap()).await.unwrap().status().as_u16()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_relayer_that_is_told_to_end_says_so_and_finishes_what_it_began() {
    let folder = tempfile::tempdir().unwrap();
    let mut options = Options::new(folder.path().to_owned());
    options.relayer_env.push(("OTP_RELAYER_HTTP_LAME_DUCK_MS", LAME_DUCK.as_millis().to_string()));
    let mut stack = Stack::start(&options).await.unwrap();
    // A stream of events that would go on for minutes.
    let client = Client::sign_in(&stack.description.relayer_url, &PrivateKeySigner::random()).await.unwrap();
    let contact = client.add_email("leaving@example.test").await.unwrap();
    let mailbox = Mailbox::new(&stack.description.mail_url).unwrap();
    let mail = mailbox.wait_for("leaving@example.test", LONG, |_| true).await.unwrap();
    client.confirm(contact.contact_id, &mail.digits().unwrap()).await.unwrap();
    let new = NewRequest { purpose: "login".to_owned(), action: None, contact_id: contact.contact_id };
    let asked = client.ask(&new, "leaving").await.unwrap();
    let mut events = client.events(asked.id, None).await.unwrap();
    // A request whose body is on its way.
    let body = r#"{"message":"nothing","signature":"0x"}"#;
    let head = format!(
        "POST /v1/auth/login HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-type: application/json\r\n\
         content-length: {}\r\n\r\n{}",
        body.len(),
        &body[..10]
    );
    let mut in_flight = connect(&stack, &head).await;
    sleep(Duration::from_millis(300)).await;

    let begun = Instant::now();
    let pid = stack.pid(Daemon::Relayer).unwrap().to_string();
    assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
    sleep(Duration::from_millis(500)).await;
    assert_eq!(readiness(&stack).await, 503, "still ready");
    assert!(client.otp(asked.id).await.is_ok(), "a lame duck serves");
    sleep(LAME_DUCK.saturating_sub(begun.elapsed()) + Duration::from_millis(300)).await;
    in_flight.write_all(&body.as_bytes()[10..]).await.unwrap();
    let answer = rest(in_flight).await;
    assert!(answer.starts_with("HTTP/1.1 401") && answer.contains("siwe-invalid"), "{answer}");
    let ended = timeout(LONG, async { while let Ok(Some(_)) = events.next().await {} }).await;
    assert!(ended.is_ok(), "the stream of events goes on");
    let broken = timeout(LONG, stack.broken()).await.unwrap().unwrap_err().to_string();
    assert!(broken.starts_with("relayer ended with exit status: 0"), "{broken}");
    assert!(begun.elapsed() >= LAME_DUCK, "{:?}", begun.elapsed());
}
