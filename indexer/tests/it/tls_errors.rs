//! Providers whose certificate nobody vouches for: nothing is handed to them, it is tried again, and it is counted by
//! provider.

use std::time::Duration;

use indexer::{
    channel::webhook::Webhook,
    evidence::{Bucket, BucketConfig, S3},
};
use otp_core::{contact::Channel, metrics::Recorder};

use crate::{
    evidence_bucket::credentials,
    harness::{Receiver, World, follow},
    sms::TWILIO,
};

/// Failures of TLS with a provider so far, in this whole process.
fn counted(provider: &str) -> u64 {
    let text = Recorder::install().unwrap().render();
    let series = format!("otp_tls_errors_total{{provider=\"{provider}\"}} ");
    text.lines().find_map(|line| line.strip_prefix(&series)).map_or(0, |count| count.parse().unwrap())
}

#[tokio::test]
async fn a_webhook_a_texts_provider_and_a_bucket_that_fail_in_tls_get_nothing_and_are_counted() {
    let (world, receiver) = (World::new().await, Receiver::https().await);
    let before = ["webhook", "sms", "s3"].map(counted);

    let hooked = world.person_at(Channel::Webhook, "https://hooks.receiver.example/otp").await;
    world.confirm(&hooked).await;
    world.issue_to(&hooked).await;
    let phoned = world.person_at(Channel::Sms, "+4930123456").await;
    world.confirm(&phoned).await;
    world.issue_to(&phoned).await;
    follow(&mut world.tail(&world.chain.url)).await;
    let mut worker = world.texting(TWILIO, &receiver);
    let config = format!("url = 'https://{}'\n{TWILIO}", receiver.address);
    worker.channels.sms = Some(world.provider(&config));
    worker.channels.webhook = Some(Webhook::reaching(receiver.resolver(), None, Duration::from_secs(5)).unwrap());
    assert!(worker.step().await.unwrap() && worker.step().await.unwrap());
    assert_eq!(world.deliveries("queued").await, 2, "both are tried again");

    let base = format!("https://{}/bucket/", receiver.address).parse().unwrap();
    let s3 = S3::new(Some(credentials()), "us-east-1".to_owned(), base).unwrap();
    let retention = Duration::from_secs(86_400);
    let bucket = Bucket::new(s3, BucketConfig { name: "bucket".to_owned(), prefix: String::new(), retention });
    let error = bucket.put("heads/0", b"{}\n".to_vec()).await.unwrap_err().to_string();
    assert_eq!(error, "no answer (no connection, or no TLS)");

    for (provider, before) in ["webhook", "sms", "s3"].into_iter().zip(before) {
        assert!(counted(provider) > before, "{provider}");
    }
    assert_eq!(receiver.received().len(), 0);
}
