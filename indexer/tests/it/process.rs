//! The daemon as an operator meets it.

use std::{
    io::Read,
    path::PathBuf,
    process::{Command, Output, Stdio},
};

use crate::harness::{Mailbox, Process, World, eventually, free_port};

const PROGRAM: &str = env!("CARGO_BIN_EXE_indexer");

fn write_config(world: &World, text: &str) -> PathBuf {
    let path = world.folder.path().join("indexer.toml");
    std::fs::write(&path, text).unwrap();
    path
}

fn spawn(config: &PathBuf) -> Process {
    let mut command = Command::new(PROGRAM);
    command.arg("run").arg("--config").arg(config).stderr(Stdio::piped());
    Process(command.spawn().unwrap())
}

fn check(text: &str, arguments: &[&str]) -> Output {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), text).unwrap();
    Command::new(PROGRAM).arg("check-config").arg("--config").arg(file.path()).args(arguments).output().unwrap()
}

/// Waits for the end of a process and returns its exit code and log.
async fn end(mut process: Process) -> (Option<i32>, String) {
    let code = {
        let child = std::cell::RefCell::new(&mut process.0);
        eventually("the end of the process", || async { child.borrow_mut().try_wait().unwrap() }).await.code()
    };
    let mut log = String::new();
    process.0.stderr.take().unwrap().read_to_string(&mut log).unwrap();
    (code, log)
}

#[tokio::test]
async fn kill_minus_nine_loses_nothing_and_sends_nothing_twice() {
    let (world, mailbox) = (World::new().await, Mailbox::start().await);
    let config = write_config(&world, &world.config_text(&world.chain.url, mailbox.smtp_port));
    let mut people = Vec::new();
    for _ in 0..4 {
        let daemon = spawn(&config);
        people.push(world.issue_one().await.0);
        tokio::time::sleep(std::time::Duration::from_millis(300)).await;
        drop(daemon);
        people.push(world.issue_one().await.0);
    }
    let daemon = spawn(&config);
    eventually("every message", || async { (world.deliveries("accepted").await == 8).then_some(()) }).await;
    let mut ids = Vec::new();
    for person in &people {
        let mut mails = mailbox.of(&person.address).await;
        assert!(!mails.is_empty());
        mails.dedup_by(|a, b| a["messageId"] == b["messageId"]);
        assert_eq!(mails.len(), 1, "two messages for one code");
        ids.push(mails[0]["messageId"].to_string());
    }
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 8);
    Command::new("kill").arg(daemon.0.id().to_string()).status().unwrap();
    let (code, log) = end(daemon).await;
    assert_eq!(code, Some(0), "SIGTERM drains: {log}");
    for person in &people {
        assert!(!log.contains(&person.address), "an address is in the log");
    }
}

#[tokio::test]
async fn another_chain_id_or_no_contract_ends_with_a_line_that_says_so() {
    let world = World::new().await;
    let text = world.config_text(&world.chain.url, 1);
    let wrong_chain = write_config(&world, &text.replace("id = 31337", "id = 1"));
    let (code, log) = end(spawn(&wrong_chain)).await;
    assert_eq!(code, Some(1));
    assert!(log.contains("no node of chain.rpc_urls serves chain 1:"), "{log}");
    let nothing = "0x00000000000000000000000000000000000000ff";
    let verifier = world.chain.deployment.verifier.to_string();
    let no_contract = write_config(&world, &text.replace(&verifier, nothing));
    let (code, log) = end(spawn(&no_contract)).await;
    assert_eq!(code, Some(1));
    assert!(log.contains("no OtpVerifier contract at"), "{log}");
}

#[tokio::test]
async fn it_waits_for_node_mail_server_and_keys_and_makes_no_key() {
    let world = World::new().await;
    let folder = tempfile::tempdir().unwrap();
    let path = world.folder.path().display().to_string();
    let text = world.config_text(&format!("http://127.0.0.1:{}", free_port()), free_port());
    let text = text.replace(&path, &folder.path().display().to_string());
    let config = write_config(&world, &text);
    let daemon = spawn(&config);
    tokio::time::sleep(std::time::Duration::from_millis(1_500)).await;
    Command::new("kill").arg(daemon.0.id().to_string()).status().unwrap();
    let (code, log) = end(daemon).await;
    assert_eq!(code, Some(0), "{log}");
    assert!(log.contains("waiting for a node") && log.contains("waiting for the data keys"), "{log}");
    assert!(!folder.path().join("master.key").exists());
}

#[tokio::test]
async fn a_second_indexer_on_one_database_is_refused() {
    let (world, mailbox) = (World::new().await, Mailbox::start().await);
    let config = write_config(&world, &world.config_text(&world.chain.url, mailbox.smtp_port));
    let _first = spawn(&config);
    let lock = world.folder.path().join("otp.db.indexer.lock");
    eventually("the lock", || async { lock.exists().then_some(()) }).await;
    tokio::time::sleep(std::time::Duration::from_millis(300)).await;
    let other = world.folder.path().join("other.toml");
    std::fs::write(&other, world.config_text(&world.chain.url, mailbox.smtp_port)).unwrap();
    let (code, log) = end(spawn(&other)).await;
    assert_eq!(code, Some(1));
    assert!(log.contains("another indexer runs on this database"), "{log}");
}

#[test]
fn check_config_tells_every_fault_and_has_its_exit_codes() {
    let example = include_str!("../../config.example.toml");
    assert_eq!(check(example, &[]).status.code(), Some(0));
    let bad = check("[chain]\nid = 'x'\ntypo = 1", &[]);
    assert_eq!(bad.status.code(), Some(2));
    let text = String::from_utf8(bad.stderr).unwrap();
    assert!(text.contains("chain.typo") && text.contains("mail.from") && text.lines().count() > 5, "{text}");
    let json = check("[chain]\nid = 'x'", &["--json"]);
    assert_eq!(json.status.code(), Some(2));
    let body: serde_json::Value = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!(body["ok"], false);
    assert!(body["faults"].as_array().unwrap().len() > 5);
}
