//! The evidence log from the chain to the audit: real anvil, real files, the real command.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use alloy::{
    primitives::{Address, B256, keccak256},
    sol_types::SolCall,
};
use indexer::{
    audit::{Options, Report, audit},
    evidence::{Directory, EvidenceConfig, Notary, attested_name, ensure_key, entries_name, head_name},
};
use otp_core::{
    clock::now_ms,
    contract::OtpVerifier,
    evidence::{Entry, Fields, SigningKey, entry_line, head_line, read_attested, read_head},
    store::{Delay, HeadRule, PENDING_MS, Segment},
};
use serde_json::{Value, json};

use crate::{
    api::serve,
    harness::{Chain, Issued, Mailbox, Person, World, eventually, follow, work_off},
};

const PROGRAM: &str = env!("CARGO_BIN_EXE_indexer");
/// A head for three entries at the latest.
const RULE: HeadRule = HeadRule { entries: 3, after_ms: 0, idle_ms: 3_600_000 };

pub(crate) fn config(world: &World) -> EvidenceConfig {
    EvidenceConfig {
        key_file: world.folder.path().join("evidence.key"),
        previous_key_file: None,
        heads: RULE,
        retention: Duration::from_secs(400 * 86_400),
        directory: Some(exported(world)),
        bucket: None,
    }
}

pub(crate) fn exported(world: &World) -> PathBuf {
    world.folder.path().join("evidence")
}

async fn notary(world: &World, config: EvidenceConfig) -> Notary {
    let (deployment, block) = (world.chain.deployment, world.chain.deployment_block);
    let key = ensure_key(&world.store, deployment, block, &config).await.unwrap();
    Notary::new(world.store.clone(), deployment, world.keyring.clone(), key, config)
}

/// Everything on the chain becomes final, and is logged.
pub(crate) async fn log(world: &World, config: EvidenceConfig) {
    follow(&mut world.tail(&world.chain.url)).await;
    let cursor = world.store.cursor(&world.chain.deployment).await.unwrap().unwrap();
    world.store.set_final(&world.chain.deployment, cursor).await.unwrap();
    let mut notary = notary(world, config).await;
    while notary.step().await.unwrap() {}
}

pub(crate) fn options(world: &World, rpc_url: &str) -> Options {
    let key = SigningKey::read(&world.folder.path().join("evidence.key")).unwrap().unwrap();
    Options {
        directory: exported(world),
        public_key: key.public_key(),
        rpc_url: rpc_url.parse().unwrap(),
        head: None,
        depth: Some(0),
        lag_seconds: 0,
        json: true,
    }
}

pub(crate) async fn audited(world: &World) -> Report {
    audit(&options(world, &world.chain.url)).await
}

async fn impersonate(chain: &Chain, wallet: Address) {
    chain.ask("anvil_impersonateAccount", json!([wallet])).await;
    chain.ask("anvil_setBalance", json!([wallet, "0xde0b6b3a7640000"])).await;
}

/// A code of ours that is delivered and verified, one that is revoked, a stranger's batch with a copy of the first one's
/// id that is revoked whole, and a change of policy. Eight steps, with the policy that the deployment set.
pub(crate) async fn story(world: &World, mailbox: &Mailbox) -> (Person, Issued) {
    let chain = &world.chain;
    let (person, issued) = world.issue_one().await;
    follow(&mut world.tail(&chain.url)).await;
    work_off(&world.worker(mailbox.smtp_port)).await;
    impersonate(chain, issued.wallet).await;
    let (ticket, action) = (chain.ticket(&issued), issued.action);
    let verify = OtpVerifier::verifyCall { ticket, action, code: issued.code.expose().to_string() };
    assert!(chain.call(issued.wallet, verify.abi_encode()).await.status());
    let (_, other) = world.issue_one().await;
    follow(&mut world.tail(&chain.url)).await;
    work_off(&world.worker(mailbox.smtp_port)).await;
    let revoke = OtpVerifier::revokeCall { tickets: vec![chain.ticket(&other)] };
    assert!(chain.call(chain.issuer, revoke.abi_encode()).await.status());
    chain.set_otps(chain.stranger, 0, &[issued.id, keccak256(b"another")]).await;
    let root = otp_core::merkle::Tree::new(&[
        otp_core::id::leaf(Chain::purpose().bytes32(), 0, issued.id),
        otp_core::id::leaf(Chain::purpose().bytes32(), 1, keccak256(b"another")),
    ]);
    let roots = vec![root.unwrap().root()];
    let revoke = OtpVerifier::revokeBatchesCall { issuer: chain.stranger, roots };
    assert!(chain.call(chain.stranger, revoke.abi_encode()).await.status());
    (person, issued)
}

pub(crate) async fn entries(world: &World) -> Vec<Entry> {
    world.store.evidence_entries(0, 1_000).await.unwrap()
}

fn words(entries: &[Entry]) -> Vec<&'static str> {
    let word = |entry: &Entry| match &entry.fields {
        Fields::Step(step) => step.kind.word(),
        Fields::Key(_) => "key",
    };
    entries.iter().map(word).collect()
}

/// Every file below a folder with its contents.
pub(crate) fn tree(root: &Path) -> Vec<(String, Vec<u8>)> {
    let mut files = Vec::new();
    for folder in ["attested", "entries", "heads"] {
        for file in fs::read_dir(root.join(folder)).unwrap().map(Result::unwrap) {
            let name = format!("{folder}/{}", file.file_name().to_string_lossy());
            files.push((name, fs::read(file.path()).unwrap()));
        }
    }
    files.sort();
    files
}

#[tokio::test]
async fn every_final_step_is_logged_exported_served_and_found_on_the_chain() {
    let (world, mailbox) = (World::new().await, Mailbox::start().await);
    let (person, issued) = story(&world, &mailbox).await;
    log(&world, config(&world)).await;
    let entries = entries(&world).await;
    let wanted = ["policy-set", "issued", "verified", "issued", "revoked", "issued", "issued", "batch-revoked"];
    assert_eq!(words(&entries), [["key"].as_slice(), &wanted].concat());
    let report = audited(&world).await;
    assert_eq!((report.code(), report.steps_on_chain, report.entries), (0, 8, 9), "{}", report.text());
    assert_eq!(
        (report.openings, report.erased, report.signed_to),
        (4, 0, Some(8)),
        "ours are attested, the copy is not"
    );

    let opened = fs::read_to_string(exported(&world).join(attested_name(0))).unwrap();
    let (index, attested) = read_attested(opened.lines().next().unwrap()).unwrap();
    assert_eq!((index, attested.channel.as_str()), (2, "email"));
    assert!(attested.delivered_at_ms.unwrap() >= attested.requested_at_ms);
    for (name, contents) in tree(&exported(&world)) {
        let text = String::from_utf8(contents).unwrap();
        for secret in [person.address.clone(), issued.wallet.to_string(), person.account_id.to_string()] {
            assert!(!text.to_lowercase().contains(&secret.to_lowercase()), "{name} names the person");
        }
    }

    let (url, _) = serve(&world).await;
    let head = reqwest::get(format!("{url}/v1/evidence/head")).await.unwrap().text().await.unwrap();
    assert_eq!(head, head_line(&world.store.latest_evidence_head(&world.chain.deployment).await.unwrap().unwrap()));
    assert!(read_head(&head).unwrap().is_signed());
    let page: Value = reqwest::get(format!("{url}/v1/evidence?cursor=4")).await.unwrap().json().await.unwrap();
    assert_eq!(page["entries"].as_array().unwrap().len(), 5);
    assert_eq!(page["next"], Value::Null);
    let text = reqwest::get(format!("{url}/v1/evidence")).await.unwrap().text().await.unwrap();
    assert!(text.contains(&entry_line(&entries[2])), "the bytes of the files");
    let with_head = Options { head: Some(format!("{url}/v1/evidence/head")), ..options(&world, &world.chain.url) };
    assert_eq!(audit(&with_head).await.code(), 0);
    for bad in ["cursor=-1", "cursor=x", "id=1"] {
        assert_eq!(reqwest::get(format!("{url}/v1/evidence?{bad}")).await.unwrap().status(), 400, "{bad}");
    }
}

#[tokio::test]
async fn the_command_tells_good_from_bad_by_its_exit_code_and_names_the_place() {
    let world = World::new().await;
    for serial in 0..5_u64 {
        world.chain.set_otps(world.chain.stranger, serial, &[keccak256(serial.to_be_bytes())]).await;
    }
    log(&world, config(&world)).await;
    let options = options(&world, &world.chain.url);
    let run = |rpc_url: &str, more: &[&str]| {
        let mut command = Command::new(PROGRAM);
        command.arg("audit").arg("--directory").arg(&options.directory);
        command.args(["--public-key", &options.public_key.to_string(), "--rpc-url", rpc_url, "--lag-seconds", "0"]);
        let output = command.args(more).output().unwrap();
        (output.status.code(), String::from_utf8(output.stdout).unwrap())
    };
    let (code, text) = run(&world.chain.url, &["--depth", "0"]);
    assert_eq!(code, Some(0), "{text}");
    assert!(text.contains("6 steps are on the chain as the log says") && text.ends_with("good\n"), "{text}");

    world.chain.mine(70).await;
    let (code, text) = run(&world.chain.url, &["--json"]);
    let report: Value = serde_json::from_str(&text).unwrap();
    assert_eq!((code, &report["ok"], &report["stepsOnChain"]), (Some(0), &json!(true), &json!(6)), "finalized by tag");

    let (code, text) = run("http://127.0.0.1:9", &["--json"]);
    assert_eq!(code, Some(2), "{text}");
    let no_contract = Chain::start().await;
    no_contract.ask("anvil_setCode", json!([no_contract.deployment.verifier, "0x"])).await;
    assert_eq!(run(&no_contract.url, &[]).0, Some(2), "another chain has nothing to say");

    let path = options.directory.join(entries_name(3));
    let mut bytes = fs::read(&path).unwrap();
    bytes[300] ^= 1;
    fs::write(&path, bytes).unwrap();
    let (code, text) = run(&world.chain.url, &["--depth", "0"]);
    assert_eq!(code, Some(1));
    assert!(text.contains(&format!("{}:1 (byte 0): entry 3: ", entries_name(3))), "{text}");
}

#[tokio::test]
async fn what_a_liar_with_the_key_invents_leaves_out_or_alters_the_chain_tells() {
    let world = World::new().await;
    for serial in 0..6_u64 {
        world.chain.set_otps(world.chain.stranger, serial, &[keccak256(serial.to_be_bytes())]).await;
    }
    log(&world, config(&world)).await;
    assert_eq!(audited(&world).await.code(), 0);
    let honest = entries(&world).await;
    let lies: [(&str, Lie); 4] = [
        ("missing: the chain has issued", |fields| {
            fields.remove(3);
        }),
        ("the chain has no such step", |fields| {
            let mut invented = fields[3].clone();
            if let Fields::Step(step) = &mut invented {
                step.log_index += 1_000;
            }
            fields.insert(4, invented);
        }),
        ("the chain has another serial", |fields| {
            if let Fields::Step(step) = &mut fields[3] {
                step.serial = Some(77);
            }
        }),
        ("missing: the chain has issued", |fields| fields.truncate(5)),
    ];
    for (what, lie) in lies {
        let mut fields: Vec<Fields> = honest.iter().map(|entry| entry.fields.clone()).collect();
        lie(&mut fields);
        rewrite(&world, &fields).await;
        let report = audited(&world).await;
        assert_eq!(report.code(), 1);
        assert!(report.text().contains(what), "{what}: {}", report.text());
        assert_eq!(report.findings.len(), report.findings.iter().filter(|f| f.what.contains(what)).count());
    }
}

type Lie = fn(&mut Vec<Fields>);

/// The log as its operator could sign it instead.
async fn rewrite(world: &World, fields: &[Fields]) {
    let key = SigningKey::read(&world.folder.path().join("evidence.key")).unwrap().unwrap();
    let mut entries: Vec<Entry> = Vec::new();
    for (index, fields) in (0..).zip(fields) {
        let previous = entries.last().map_or(B256::ZERO, |entry| entry.hash);
        entries.push(Entry::new(index, previous, fields.clone(), None));
    }
    let mut head = world.store.latest_evidence_head(&world.chain.deployment).await.unwrap().unwrap().head;
    let last = entries.last().unwrap();
    (head.number, head.previous, head.index, head.hash) = (0, B256::ZERO, last.index, last.hash);
    fs::remove_dir_all(exported(world)).unwrap();
    let directory = Directory::new(exported(world));
    directory.resume().await.unwrap();
    directory.write_entries(Segment { first: 0, last: head.index }, entries).await.unwrap();
    directory.write_head(&head.sign(&key)).await.unwrap();
}

#[tokio::test]
async fn another_chain_of_the_same_number_fits_in_nothing() {
    let world = World::new().await;
    world.chain.set_otps(world.chain.stranger, 0, &[keccak256([1])]).await;
    log(&world, config(&world)).await;
    let other = Chain::start_at(Some(1_700_000_000)).await;
    other.mine(world.chain.head().await + 5).await;
    let report = audit(&options(&world, &other.url)).await;
    assert_eq!((report.code(), report.steps_on_chain), (1, 0), "{}", report.text());
}

#[tokio::test]
async fn a_step_that_became_final_a_moment_ago_may_be_missing_and_an_old_one_not() {
    let world = World::new().await;
    world.chain.set_otps(world.chain.stranger, 0, &[keccak256([1])]).await;
    log(&world, config(&world)).await;
    world.chain.set_otps(world.chain.stranger, 1, &[keccak256([2])]).await;
    let lenient = Options { lag_seconds: 600, ..options(&world, &world.chain.url) };
    let report = audit(&lenient).await;
    assert_eq!((report.code(), report.pending_steps), (0, 1), "{}", report.text());
    world.chain.ask("evm_increaseTime", json!([601])).await;
    world.chain.mine(1).await;
    let report = audit(&lenient).await;
    assert_eq!(report.code(), 1);
    assert!(report.text().contains("missing: the chain has issued"), "{}", report.text());
}

#[tokio::test]
async fn an_export_that_died_anywhere_is_completed_without_a_rewritten_or_doubled_line() {
    let world = World::new().await;
    for serial in 0..7_u64 {
        world.chain.set_otps(world.chain.stranger, serial, &[keccak256(serial.to_be_bytes())]).await;
    }
    log(&world, config(&world)).await;
    let whole = tree(&exported(&world));
    let heads = whole.iter().filter(|(name, _)| name.starts_with("heads/")).count() as u64;
    assert!(heads >= 3, "{heads} heads");
    for died_at in 0..heads {
        for lost in ["head", "entries and head", "a draft of both"] {
            for number in died_at..heads {
                fs::remove_file(exported(&world).join(head_name(number))).unwrap();
            }
            for (name, _) in whole.iter().filter(|(name, _)| name.starts_with("entries/")) {
                let first: u64 = name.trim_start_matches("entries/").trim_end_matches(".jsonl").parse().unwrap();
                let covered = died_at.checked_sub(1).map_or(0, |last| {
                    let line = &whole.iter().find(|(name, _)| *name == head_name(last)).unwrap().1;
                    read_head(String::from_utf8_lossy(line).trim_end()).unwrap().head.index + 1
                });
                if first > covered || (first == covered && lost != "head") {
                    fs::remove_file(exported(&world).join(name)).unwrap();
                }
            }
            if lost == "a draft of both" {
                for name in ["entries/.0000000000000000.jsonl", "heads/.0000000000000000.json"] {
                    fs::write(exported(&world).join(name), "half").unwrap();
                }
            }
            notary(&world, config(&world)).await.step().await.unwrap();
            assert_eq!(tree(&exported(&world)), whole, "died before head {died_at}, without {lost}");
        }
    }
    assert_eq!(audited(&world).await.code(), 0);
}

#[tokio::test]
async fn a_directory_with_another_log_is_left_alone_and_told_of() {
    let world = World::new().await;
    log(&world, config(&world)).await;
    let key = SigningKey::from_seed(&[9; 32]).unwrap();
    let mut head = world.store.latest_evidence_head(&world.chain.deployment).await.unwrap().unwrap().head;
    head.key = key.public_key();
    let path = exported(&world).join(head_name(head.number));
    let foreign = head_line(&head.sign(&key)) + "\n";
    fs::write(&path, &foreign).unwrap();
    world.chain.set_otps(world.chain.stranger, 0, &[keccak256([1])]).await;
    log(&world, config(&world)).await;
    assert_eq!(fs::read_to_string(&path).unwrap(), foreign);
    assert!(!exported(&world).join(head_name(head.number + 1)).exists());
    assert_eq!(words(&entries(&world).await), ["key", "policy-set", "issued"], "the log itself goes on");
}

#[tokio::test]
async fn what_is_attested_of_a_deleted_account_leaves_store_and_files_and_the_log_stays_good() {
    let (world, mailbox) = (World::new().await, Mailbox::start().await);
    let (person, _) = story(&world, &mailbox).await;
    log(&world, config(&world)).await;
    let all = Segment { first: 0, last: 100 };
    let before = world.store.evidence_attested(all).await.unwrap();
    let account = before[0].1.account;
    assert_eq!(before.iter().filter(|(_, attested)| attested.account == account).count(), 2, "one account, one tag");
    let signed = tree(&exported(&world)).into_iter().filter(|(name, _)| !name.starts_with("attested/"));
    let signed: Vec<_> = signed.collect();

    world.store.delete_account(person.account_id, Delay { now_ms: now_ms(), delay_ms: 0 }).await.unwrap();
    // Announced to the contact first, or it would not be made.
    let days = |days: i64| now_ms() + days * 86_400_000;
    for day in 1..4 {
        world.store.enqueue_notices(&world.outbox).await.unwrap();
        work_off(&world.worker(mailbox.smtp_port)).await;
        world.store.apply_due_changes(days(day)).await.unwrap();
    }
    let erased = world.store.erase_closed(days(4) + PENDING_MS).await.unwrap();
    assert_eq!(erased.accounts, [person.account_id]);
    notary(&world, config(&world)).await.step().await.unwrap();

    let after = world.store.evidence_attested(all).await.unwrap();
    assert_eq!(after.len(), 2, "the other account's are left");
    assert!(after.iter().all(|(_, attested)| attested.account != account));
    let files = tree(&exported(&world));
    for (name, contents) in &files {
        assert!(!String::from_utf8_lossy(contents).contains(&account.to_string()), "{name} still has it");
    }
    let left: Vec<_> = files.into_iter().filter(|(name, _)| !name.starts_with("attested/")).collect();
    assert_eq!(left, signed, "what is signed is as it was");
    let salt = before[0].1.salt;
    for name in ["otp.db", "otp.db-wal"] {
        let bytes = fs::read(world.folder.path().join(name)).unwrap();
        assert!(!bytes.windows(32).any(|part| part == salt.as_slice()), "{name} still has the salt");
    }
    let report = audited(&world).await;
    assert_eq!((report.code(), report.openings, report.erased), (0, 2, 2), "{}", report.text());
}

#[tokio::test]
async fn what_is_attested_goes_when_its_time_is_over() {
    let (world, mailbox) = (World::new().await, Mailbox::start().await);
    story(&world, &mailbox).await;
    log(&world, config(&world)).await;
    let mut notary = notary(&world, config(&world)).await;
    let days = |days: i64| now_ms() + days * 86_400_000;
    notary.erase(days(399)).await.unwrap();
    assert_eq!(audited(&world).await.openings, 4, "a day before");
    notary.erase(days(401)).await.unwrap();
    let report = audited(&world).await;
    assert_eq!((report.code(), report.openings, report.erased), (0, 0, 4), "{}", report.text());
    assert_eq!(fs::read_dir(exported(&world).join("attested")).unwrap().count(), 0);
    assert_eq!(world.store.evidence_to_take_out(10).await.unwrap(), [0_u64; 0]);
}

#[tokio::test]
async fn an_erasure_that_died_before_the_files_were_cleared_is_completed() {
    let (world, mailbox) = (World::new().await, Mailbox::start().await);
    story(&world, &mailbox).await;
    log(&world, config(&world)).await;
    // The process died here: the store has forgotten, the files have not.
    while world.store.erase_evidence(i64::MAX).await.unwrap().openings > 0 {}
    assert!(exported(&world).join(attested_name(0)).exists());
    notary(&world, config(&world)).await.step().await.unwrap();
    assert!(!exported(&world).join(attested_name(0)).exists());
    assert_eq!(audited(&world).await.code(), 0);
}

#[tokio::test]
async fn a_code_whose_message_is_on_its_way_is_logged_when_it_is_handed_over() {
    let (world, mailbox) = (World::new().await, Mailbox::start().await);
    world.issue_one().await;
    world.chain.set_otps(world.chain.stranger, 0, &[keccak256([1])]).await;
    log(&world, config(&world)).await;
    assert_eq!(words(&entries(&world).await), ["key", "policy-set"], "nor is what comes after it");
    let head = world.store.latest_evidence_head(&world.chain.deployment).await.unwrap().unwrap().head;
    assert!(!head.complete, "and the head says so");
    work_off(&world.worker(mailbox.smtp_port)).await;
    log(&world, config(&world)).await;
    assert_eq!(words(&entries(&world).await), ["key", "policy-set", "issued", "issued"]);
    let attested = world.store.evidence_attested(Segment { first: 0, last: 9 }).await.unwrap();
    assert!(attested[0].1.delivered_at_ms.is_some());
}

#[tokio::test]
async fn keys_follow_each_other_by_signature_and_a_lost_one_ends_the_log() {
    let world = World::new().await;
    log(&world, config(&world)).await;
    let first = config(&world);
    let second = EvidenceConfig { key_file: world.folder.path().join("second.key"), ..config(&world) };
    let (deployment, block) = (world.chain.deployment, world.chain.deployment_block);
    let refused = ensure_key(&world.store, deployment, block, &second).await.unwrap_err().to_string();
    assert!(refused.contains("restore it"), "{refused}");
    let stranger = EvidenceConfig { key_file: world.folder.path().join("stranger.key"), ..second.clone() };
    SigningKey::create(&stranger.key_file).unwrap();
    let refused = ensure_key(&world.store, deployment, block, &stranger).await.unwrap_err().to_string();
    assert!(refused.contains("evidence.previous_key_file"), "{refused}");

    let rotated = EvidenceConfig { previous_key_file: Some(first.key_file.clone()), ..second };
    world.chain.set_otps(world.chain.stranger, 0, &[keccak256([1])]).await;
    log(&world, rotated.clone()).await;
    log(&world, rotated.clone()).await;
    assert_eq!(words(&entries(&world).await), ["key", "policy-set", "key", "issued"], "once");
    let last = world.store.latest_evidence_head(&deployment).await.unwrap().unwrap();
    assert_eq!(last.head.key, SigningKey::read(&rotated.key_file).unwrap().unwrap().public_key());
    assert_eq!(audited(&world).await.code(), 0, "under the key that auditors knew before");
    let refused = ensure_key(&world.store, deployment, block, &first).await.unwrap_err().to_string();
    assert!(refused.contains("is signed by key"), "{refused}");
}

#[tokio::test]
async fn the_daemon_that_is_killed_again_and_again_leaves_one_whole_log() {
    let (world, mailbox) = (World::new().await, Mailbox::start().await);
    let text = world.config_text(&world.chain.url, mailbox.smtp_port);
    let text = format!("{text}directory = '{}'\nhead_entries = 4\n", exported(&world).display());
    let path = world.folder.path().join("indexer.toml");
    fs::write(&path, text).unwrap();
    let deployment = world.chain.deployment;
    for round in 0..5 {
        let mut daemon = Command::new(PROGRAM).arg("run").arg("--config").arg(&path).spawn().unwrap();
        for serial in 0..3_u64 {
            let serial = round * 3 + serial;
            world.chain.set_otps(world.chain.stranger, serial, &[keccak256(serial.to_be_bytes())]).await;
        }
        eventually("a cursor", || async { world.store.cursor(&deployment).await.unwrap() }).await;
        tokio::time::sleep(Duration::from_millis(400 + 130 * round)).await;
        if let Some(cursor) = world.store.cursor(&deployment).await.unwrap() {
            let _ = world.store.set_final(&deployment, cursor).await;
        }
        tokio::time::sleep(Duration::from_millis(700 + 170 * round)).await;
        daemon.kill().unwrap();
        daemon.wait().unwrap();
    }
    log(&world, EvidenceConfig { heads: HeadRule { entries: 4, ..RULE }, ..config(&world) }).await;
    let entries = entries(&world).await;
    assert_eq!(entries.len(), 1 + 1 + 15, "{:?}", words(&entries));
    let report = audited(&world).await;
    assert_eq!((report.code(), report.steps_on_chain), (0, 16), "{}", report.text());
    let lines: Vec<String> = tree(&exported(&world))
        .into_iter()
        .filter(|(name, _)| name.starts_with("entries/"))
        .flat_map(|(_, contents)| String::from_utf8(contents).unwrap().lines().map(str::to_owned).collect::<Vec<_>>())
        .collect();
    assert_eq!(lines, entries.iter().map(entry_line).collect::<Vec<_>>());
}
