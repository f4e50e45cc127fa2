//! Text messages by a provider that answers as it is told to.

use base64::{Engine, engine::general_purpose::STANDARD};
use indexer::{channel::sms::Sms, config::Config, deliver::Worker};
use otp_core::contact::Channel;
use serde_json::Value;
use url::form_urlencoded;

use crate::harness::{Person, Received, Receiver, Reply, World, follow, until_accepted, work_off};

const NUMBER: &str = "+4930123456";
pub(crate) const TAKEN: Reply = Reply::Answer(201, "", "{\"sid\":\"SM01\",\"status\":\"queued\"}");

impl World {
    async fn phoned(&self) -> Person {
        let person = self.person_at(Channel::Sms, NUMBER).await;
        self.confirm(&person).await;
        person
    }

    pub(crate) fn texting(&self, provider: &str, receiver: &Receiver) -> Worker {
        let mut worker = self.worker(1);
        worker.channels.sms = Some(self.provider(&format!("url = 'http://{}'\n{provider}", receiver.address)));
        worker
    }

    /// A provider by the section of its configuration.
    pub(crate) fn provider(&self, section: &str) -> Sms {
        let text = self.config_text("http://127.0.0.1:1", 1);
        let text = text.replace("public_url = 'http://127.0.0.1:8090'", "public_url = 'https://otp.example'");
        let config = Config::parse(&format!("{text}[sms]\ntimeout_ms = 1000\n{section}")).unwrap();
        Sms::new(config.sms.unwrap()).unwrap()
    }
}

pub(crate) const TWILIO: &str =
    "provider = 'twilio'\naccount_sid = 'AC00'\nauth_token = 'hunter2'\nfrom = '+15005550006'\n";

fn form(received: &Received) -> Vec<(String, String)> {
    form_urlencoded::parse(&received.body).into_owned().collect()
}

pub(crate) fn field(received: &Received, name: &str) -> String {
    form(received).into_iter().find(|(field, _)| field == name).unwrap().1
}

#[tokio::test]
async fn a_code_goes_out_in_twilios_form_with_a_last_line_that_binds_it_to_the_page() {
    let (world, receiver) = (World::new().await, Receiver::http().await);
    let person = world.phoned().await;
    let issued = world.issue_to(&person).await;
    follow(&mut world.tail(&world.chain.url)).await;
    receiver.will([TAKEN]);
    work_off(&world.texting(TWILIO, &receiver)).await;
    assert_eq!(world.deliveries("accepted").await, 1);
    let received = receiver.received().remove(0);
    assert_eq!(received.line, "POST /2010-04-01/Accounts/AC00/Messages.json HTTP/1.1");
    assert_eq!(received.headers["authorization"], format!("Basic {}", STANDARD.encode("AC00:hunter2")));
    assert_eq!((field(&received, "To"), field(&received, "From")), (NUMBER.to_owned(), "+15005550006".to_owned()));
    let body = field(&received, "Body");
    let last = format!("@otp.example #{}", issued.code.digits().expose());
    assert!(body.lines().last() == Some(last.as_str()) && body.len() <= 160 && body.is_ascii(), "{body}");
    assert!(field(&received, "ValidityPeriod").parse::<u32>().unwrap() <= 600);
}

#[tokio::test]
async fn what_twilio_refuses_for_good_ends_it_and_what_an_operator_can_mend_does_not() {
    let (world, receiver) = (World::new().await, Receiver::http().await);
    let mut tail = world.tail(&world.chain.url);
    let worker = world.texting(TWILIO, &receiver);
    for (place, body) in ["{\"code\":21211}", "{\"code\":21610}", "no JSON"].into_iter().enumerate() {
        let person = world.phoned().await;
        world.issue_to(&person).await;
        follow(&mut tail).await;
        receiver.will([Reply::Answer(400, "", body)]);
        work_off(&worker).await;
        assert_eq!(world.deliveries("failed").await, u64::try_from(place).unwrap() + 1, "{body}");
    }
    let person = world.phoned().await;
    world.issue_to(&person).await;
    follow(&mut tail).await;
    let before = receiver.received().len();
    receiver.will([
        Reply::Answer(401, "", "{\"code\":20003}"),
        Reply::Answer(400, "", "{\"code\":21606}"),
        Reply::Answer(500, "", ""),
        Reply::Lose,
        TAKEN,
    ]);
    until_accepted(&world, &worker).await;
    assert_eq!(world.deliveries("accepted").await, 1);
    let received = receiver.received().split_off(before);
    assert_eq!(received.len(), 5);
    assert!(received.iter().all(|again| field(again, "Body") == field(&received[0], "Body")), "another text");
}

#[tokio::test]
async fn another_provider_gets_json_of_its_own_shape_with_the_same_key_on_repeat() {
    let (world, receiver) = (World::new().await, Receiver::http().await);
    let person = world.phoned().await;
    let issued = world.issue_to(&person).await;
    follow(&mut world.tail(&world.chain.url)).await;
    let provider = "provider = 'json'\nauthorization = 'Key hunter2'\nanswer_id = 'messageId'\n\
                    template = '{\"messages\": [{\"dest\": \"{to}\", \"body\": \"{text}\", \"key\": \"{id}\"}]}'\n";
    receiver.will([Reply::Answer(429, "retry-after: 1\r\n", "")]);
    let worker = world.texting(provider, &receiver);
    until_accepted(&world, &worker).await;
    let received = receiver.received();
    assert_eq!(received.len(), 2);
    assert_eq!(received[0].body, received[1].body);
    assert_eq!(received[0].headers["authorization"], "Key hunter2");
    assert_eq!(received[0].headers["idempotency-key"], received[1].headers["idempotency-key"]);
    let body: Value = serde_json::from_slice(&received[0].body).unwrap();
    assert_eq!(body["messages"][0]["dest"], NUMBER);
    assert!(body["messages"][0]["body"].as_str().unwrap().contains(issued.code.digits().expose()));
    assert_eq!(body["messages"][0]["key"], received[0].headers["idempotency-key"]);
}
