//! The evidence log in a bucket with Object Lock, which moto stands in for and boto3 looks into.

use std::{
    collections::BTreeSet,
    fs,
    process::{Command, Stdio},
    time::Duration,
};

use alloy::primitives::keccak256;
use aws_credential_types::{Credentials, provider::SharedCredentialsProvider};
use indexer::{
    audit::{Options, audit},
    evidence::{Bucket, BucketConfig, BucketError, S3, UploadError, Uploader},
    progress::Upload,
};
use otp_core::clock::now_ms;
use testbed::s3::{S3 as StandIn, Version};
use tokio_util::sync::CancellationToken;

use crate::{
    api::{get, serve},
    evidence::{config, exported, log, options},
    harness::{Asks, Mailbox, NetProxy, Process, World, eventually},
};

const PROGRAM: &str = env!("CARGO_BIN_EXE_indexer");
const LOCKED: &str = "locked";
const PREFIX: &str = "otp/test/";
const RETENTION_DAYS: u64 = 30;

/// A stand-in with a bucket that locks and one that does not.
async fn stand_in(world: &World) -> StandIn {
    let s3 = StandIn::start(world.folder.path()).await.unwrap();
    s3.run(&["make", LOCKED, "--locked"]).await.unwrap();
    s3.run(&["make", "open"]).await.unwrap();
    s3
}

pub(crate) fn credentials() -> SharedCredentialsProvider {
    SharedCredentialsProvider::new(Credentials::new("test", "test", None, None, "test"))
}

fn bucket(port: u16, name: &str, prefix: &str) -> Bucket {
    let base = format!("http://127.0.0.1:{port}/{name}/").parse().unwrap();
    let s3 = S3::new(Some(credentials()), "us-east-1".to_owned(), base).unwrap();
    let retention = Duration::from_secs(RETENTION_DAYS * 86_400);
    Bucket::new(s3, BucketConfig { name: name.to_owned(), prefix: prefix.to_owned(), retention })
}

fn uploader(world: &World, port: u16, name: &str) -> Uploader {
    Uploader {
        store: world.store.clone(),
        deployment: world.chain.deployment,
        bucket: bucket(port, name, PREFIX),
        progress: world.progress.clone(),
    }
}

/// Codes of a stranger, final and logged: several heads.
async fn logged(world: &World, serials: std::ops::Range<u64>) {
    for serial in serials {
        world.chain.set_otps(world.chain.stranger, serial, &[keccak256(serial.to_be_bytes())]).await;
    }
    log(world, config(world)).await;
}

/// What the directory has, but for what can be erased.
fn wanted(world: &World) -> BTreeSet<String> {
    let mut keys = BTreeSet::new();
    for folder in ["entries", "heads"] {
        for file in fs::read_dir(exported(world).join(folder)).unwrap().map(Result::unwrap) {
            keys.insert(format!("{PREFIX}{folder}/{}", file.file_name().to_string_lossy()));
        }
    }
    keys
}

/// Each file once, each locked.
async fn assert_whole(world: &World, s3: &StandIn) -> Vec<Version> {
    let versions = s3.versions(LOCKED).await.unwrap();
    assert_eq!(versions.iter().map(|v| v.key.clone()).collect::<BTreeSet<_>>(), wanted(world));
    assert_eq!(versions.len(), wanted(world).len(), "no key has a second version");
    versions
}

/// The bucket as anybody copies it, audited against the chain.
async fn audit_copy(world: &World, s3: &StandIn) -> indexer::audit::Report {
    let copy = tempfile::tempdir().unwrap();
    s3.run(&["sync", LOCKED, PREFIX, copy.path().to_str().unwrap()]).await.unwrap();
    audit(&Options { directory: copy.path().to_owned(), ..options(world, &world.chain.url) }).await
}

#[tokio::test]
async fn what_is_uploaded_is_locked_cannot_be_deleted_and_passes_the_audit_once_copied_down() {
    let world = World::new().await;
    let (person, mailbox) = (world.issue_one().await.0, Mailbox::start().await);
    crate::harness::follow(&mut world.tail(&world.chain.url)).await;
    crate::harness::work_off(&world.worker(mailbox.smtp_port)).await;
    logged(&world, 0..6).await;
    let s3 = stand_in(&world).await;
    let uploader = uploader(&world, s3.endpoint.port().unwrap(), LOCKED);
    uploader.bucket.check().await.unwrap();
    while uploader.step().await.unwrap() {}

    let soonest = now_ms() / 1_000 + i64::try_from(RETENTION_DAYS * 86_400).unwrap() - 600;
    let versions = assert_whole(&world, &s3).await;
    assert!(versions.len() >= 5, "{versions:?}");
    for version in &versions {
        assert_eq!(version.mode.as_deref(), Some("COMPLIANCE"), "{version:?}");
        assert!(version.until.unwrap() >= soonest, "{version:?}");
        assert_eq!(s3.run(&["delete", LOCKED, &version.key, &version.version]).await.unwrap(), "AccessDenied");
    }
    let report = audit_copy(&world, &s3).await;
    assert_eq!((report.code(), report.entries), (0, 9), "{}", report.text());
    assert_eq!(
        (report.openings, report.erased),
        (0, 1),
        "what we attest of a person is not locked away: it is erasable"
    );
    assert!(!person.address.is_empty());
}

#[tokio::test]
async fn a_service_that_is_away_or_whose_answers_are_lost_loses_nothing_and_doubles_nothing() {
    let world = World::new().await;
    logged(&world, 0..4).await;
    let s3 = stand_in(&world).await;
    let port = s3.endpoint.port().unwrap();
    // What ends with a line has its body.
    let entries: Asks = |sent| sent.starts_with(b"PUT /locked/otp/test/entries/") && sent.ends_with(b"}\n");
    let heads: Asks = |sent| sent.starts_with(b"PUT /locked/otp/test/heads/") && sent.ends_with(b"}\n");
    let proxies = [NetProxy::start(port, entries).await, NetProxy::start(port, heads).await];
    let uploaders = proxies.each_ref().map(|proxy| uploader(&world, proxy.port, LOCKED));
    let (proxy, uploader) = (&proxies[0], &uploaders[0]);
    proxy.down(true);
    assert!(matches!(uploader.step().await, Err(UploadError::Bucket(BucketError::S3(_)))));
    assert_eq!(s3.versions(LOCKED).await.unwrap(), []);

    proxy.down(false);
    let mut lost = 0;
    for (proxy, uploader) in proxies.iter().zip(&uploaders).cycle() {
        proxy.lose_next_answer();
        match uploader.step().await {
            Ok(true) => {}
            Ok(false) => break,
            Err(error) => {
                assert!(matches!(error, UploadError::Bucket(BucketError::S3(_))), "{error}");
                assert!(!proxy.is_to_lose());
                lost += 1;
                assert!(uploader.step().await.unwrap(), "the repeat finds what is there");
            }
        }
        proxy.down(false);
    }
    assert!(lost >= 2, "{lost} answers were lost");
    proxy.down(false);
    logged(&world, 4..8).await;
    while uploader.step().await.unwrap() {}
    assert_whole(&world, &s3).await;

    // The process died before it wrote down what the bucket has.
    world.store.set_evidence_uploaded(&uploader.bucket.name(), 0).await.unwrap();
    while uploader.step().await.unwrap() {}
    assert_whole(&world, &s3).await;
    assert_eq!(audit_copy(&world, &s3).await.code(), 0);
}

#[tokio::test]
async fn a_key_that_says_something_else_is_left_alone_and_one_without_a_lock_is_locked() {
    let world = World::new().await;
    logged(&world, 0..2).await;
    let s3 = stand_in(&world).await;
    let uploader = uploader(&world, s3.endpoint.port().unwrap(), LOCKED);
    let names = wanted(&world);
    let entries = names.iter().find(|key| key.contains("/entries/")).unwrap();
    let name = entries.strip_prefix(PREFIX).unwrap();
    let text = fs::read_to_string(exported(&world).join(name)).unwrap();
    s3.run(&["put", LOCKED, entries, &text]).await.unwrap();
    assert_eq!(s3.versions(LOCKED).await.unwrap()[0].mode, None);
    while uploader.step().await.unwrap() {}
    let versions = assert_whole(&world, &s3).await;
    assert!(versions.iter().all(|version| version.mode.as_deref() == Some("COMPLIANCE")), "{versions:?}");

    let other = bucket(s3.endpoint.port().unwrap(), LOCKED, "elsewhere/");
    s3.run(&["put", LOCKED, &format!("elsewhere/{name}"), "another log's"]).await.unwrap();
    let error = other.put(name, text.into_bytes()).await.unwrap_err();
    assert!(matches!(error, BucketError::Changed { .. }), "{error}");
    assert!(error.to_string().contains("evidence.s3_prefix"), "{error}");
}

#[tokio::test]
async fn a_bucket_without_object_lock_or_none_at_all_is_refused_at_the_start_and_an_outage_is_not() {
    let world = World::new().await;
    let s3 = stand_in(&world).await;
    let port = s3.endpoint.port().unwrap();
    for (name, why) in [("open", "it has no Object Lock"), ("absent", "there is no such bucket")] {
        let refused = uploader(&world, port, name).run(CancellationToken::new()).await.unwrap_err().to_string();
        assert!(refused.contains(&format!("evidence.s3_bucket {name}: {why}")), "{refused}");
    }
    let (proxy, stop) = (NetProxy::start(port, |_| false).await, CancellationToken::new());
    proxy.down(true);
    let running = tokio::spawn(uploader(&world, proxy.port, LOCKED).run(stop.clone()));
    eventually("the outage is told", || async { world.progress.upload().filter(|upload| !upload.ok) }).await;
    logged(&world, 0..4).await;
    proxy.down(false);
    let done = || async { world.progress.upload().filter(|u| *u == Upload { lag_heads: 0, ok: true }) };
    eventually("all is uploaded by itself", done).await;
    stop.cancel();
    running.await.unwrap().unwrap();
    assert_whole(&world, &s3).await;
}

#[tokio::test]
async fn the_daemon_uploads_beside_its_work_and_says_degraded_while_it_cannot() {
    let (world, mailbox) = (World::new().await, Mailbox::start().await);
    let s3 = stand_in(&world).await;
    let text = world.config_text(&world.chain.url, mailbox.smtp_port);
    let more = format!("s3_bucket = '{LOCKED}'\ns3_prefix = '{PREFIX}'\ns3_retention_days = {RETENTION_DAYS}\n");
    let text = format!("{text}directory = '{}'\n{more}", exported(&world).display());
    let path = world.folder.path().join("indexer.toml");
    fs::write(&path, &text).unwrap();
    let mut command = Command::new(PROGRAM);
    command.arg("run").arg("--config").arg(&path).envs(s3.environment()).stderr(Stdio::null());
    let daemon = Process(command.spawn().unwrap());
    world.chain.set_otps(world.chain.stranger, 0, &[keccak256([1])]).await;
    world.chain.mine(70).await;
    let name = format!("{LOCKED}/{PREFIX}");
    eventually("a head is uploaded", || async {
        world.store.evidence_uploaded(&name).await.ok().filter(|next| *next > 0)
    })
    .await;
    drop(daemon);
    assert!(s3.versions(LOCKED).await.unwrap().iter().any(|version| version.key.contains("/heads/")));

    world.progress.upload_is(Upload { lag_heads: 3, ok: false });
    crate::harness::follow(&mut world.tail(&world.chain.url)).await;
    let (url, _) = serve(&world).await;
    let (status, body) = get(&format!("{url}/readyz")).await;
    assert_eq!((status, body["status"].as_str()), (200, Some("degraded")), "{body}");
    assert_eq!(body["evidence"], serde_json::json!({ "ok": false, "uploadLagHeads": 3 }));
}
