//! The read-only API, as an auditor uses it.

use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use alloy::primitives::{Address, B256, keccak256};
use indexer::{
    api::{self, App},
    bounces::Reports,
    channel::sms::callback::Callback,
    governance::Governance,
    inquiry::Inquiry,
    stats::Stats,
};
use otp_core::{chain::Node, contract::OtpVerifier, metrics::Recorder, secret::Secret};
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use crate::harness::{Chain, World, follow};

pub(crate) async fn serve(world: &World) -> (String, String) {
    serve_with(world, None).await
}

/// The same with a route for Twilio.
pub(crate) async fn serve_with(world: &World, sms_callback: Option<Callback>) -> (String, String) {
    serve_app(world, world.chain.node.clone(), None, sms_callback).await
}

/// The same with another node, and with a timelock.
pub(crate) async fn serve_over(world: &World, node: Node, timelock: Option<Address>) -> (String, String) {
    serve_app(world, node, timelock, None).await
}

async fn serve_app(
    world: &World,
    node: Node,
    timelock: Option<Address>,
    sms_callback: Option<Callback>,
) -> (String, String) {
    let deployment = world.chain.deployment;
    let app = App {
        store: world.store.clone(),
        reports: Reports { store: world.store.clone(), outbox: world.outbox.clone(), due: Arc::default() },
        deployment,
        confirmations: 0,
        max_head_age: Duration::from_secs(60),
        progress: world.progress.clone(),
        actions: Arc::default(),
        stats: Stats::new(world.store.clone(), deployment),
        governance: Governance::new(world.store.clone(), node.clone(), deployment, timelock),
        inquiry: Inquiry::new(node),
        keyring: Arc::new(OnceLock::from(world.keyring.clone())),
        sms_callback,
        is_tls: false,
        leaving: CancellationToken::new(),
    };
    let mut urls = Vec::new();
    let recorder = Recorder::install().unwrap();
    for router in [api::public(app.clone()), api::admin(app, Secret::new("token".to_owned()), recorder)] {
        let listener = otp_core::http::bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
        urls.push(format!("http://{}", listener.local_addr().unwrap()));
        tokio::spawn(otp_core::http::serve(listener, router, CancellationToken::new()));
    }
    (urls.remove(0), urls.remove(0))
}

pub(crate) async fn get(url: &str) -> (u16, Value) {
    let answer = reqwest::get(url).await.unwrap();
    (answer.status().as_u16(), answer.json().await.unwrap())
}

#[tokio::test]
async fn a_ticket_rebuilt_from_logs_is_the_one_that_the_contract_takes() {
    let world = World::new().await;
    let authorization = world.withdrawal();
    let person = world.confirmed_person().await;
    let mut rows = Vec::new();
    for _ in 0..7 {
        rows.push((&person, world.request(&person, &authorization).await, authorization.action));
    }
    let issued = world.batch(&rows).await;
    let ids: Vec<B256> = issued.iter().map(|code| code.id).collect();
    world.chain.set_otps(world.chain.issuer, issued[0].serial, &ids).await;
    follow(&mut world.tail(&world.chain.url)).await;
    let (url, _) = serve(&world).await;
    let contract = OtpVerifier::new(world.chain.deployment.verifier, &world.chain.node);
    for code in &issued {
        let (status, body) = get(&format!("{url}/v1/tickets/{}/{}", world.chain.issuer, code.id)).await;
        assert_eq!((status, body["status"].as_str()), (200, Some("issued")), "{body}");
        let proof: Vec<B256> = serde_json::from_value(body["ticket"]["proof"].clone()).unwrap();
        assert_eq!(proof, code.proof);
        let mut ticket = world.chain.ticket(code);
        ticket.proof = proof;
        assert_eq!(contract.statusOf(ticket).call().await.unwrap(), 1, "the contract says Issued");
        assert_eq!(body["ticket"]["purpose"], Chain::purpose().bytes32().to_string());
        assert_eq!(body["verifier"], world.chain.deployment.verifier.to_checksum(None));
    }
    assert_eq!(get(&format!("{url}/v1/tickets/{}/{}", world.chain.stranger, ids[0])).await.0, 404);
    for path in [format!("nobody/{}", ids[0]), "%ff/b".to_owned()] {
        let (status, problem) = get(&format!("{url}/v1/tickets/{path}")).await;
        assert_eq!((status, problem["type"].as_str()), (400, Some("/problems/bad-request")), "{path}");
    }
}

#[tokio::test]
async fn a_page_that_the_indexer_serves_learns_which_contract_its_links_are_of() {
    let world = World::new().await;
    let (url, _) = serve(&world).await;
    let (status, body) = get(&format!("{url}/v1/config")).await;
    let deployment = world.chain.deployment;
    let verifier = deployment.verifier.to_checksum(None);
    let expected = serde_json::json!({ "chainId": deployment.chain_id, "verifier": verifier, "actions": [] });
    assert_eq!((status, body), (200, expected));
}

#[tokio::test]
async fn events_are_filtered_and_paged_without_a_gap() {
    let world = World::new().await;
    for batch in 0..4_u64 {
        let ids: Vec<B256> = (0..80).map(|i: u64| keccak256((batch * 80 + i).to_be_bytes())).collect();
        world.chain.set_otps(world.chain.issuer, batch * 80, &ids).await;
    }
    follow(&mut world.tail(&world.chain.url)).await;
    let (url, _) = serve(&world).await;
    let mut seen = Vec::new();
    let mut next = String::new();
    loop {
        let (status, page) = get(&format!("{url}/v1/events?type=otp-set{next}")).await;
        assert_eq!(status, 200, "{page}");
        seen.extend(page["events"].as_array().unwrap().iter().map(|event| event["serial"].as_u64().unwrap()));
        let Some(cursor) = page["next"].as_str() else { break };
        next = format!("&cursor={cursor}");
    }
    assert_eq!(seen, (0..320).collect::<Vec<u64>>());
    let stranger = world.chain.stranger;
    assert_eq!(get(&format!("{url}/v1/events?issuer={stranger}")).await.1["events"], serde_json::json!([]));
    for bad in ["type=x", "id=0x12", "from=-1", "cursor=1", "issuer=0x1", "unknown=1"] {
        assert_eq!(get(&format!("{url}/v1/events?{bad}")).await.0, 400, "{bad}");
    }
}

#[tokio::test]
async fn readiness_follows_chain_and_mail_and_status_asks_for_the_token() {
    let world = World::new().await;
    let (url, admin) = serve(&world).await;
    assert_eq!(get(&format!("{url}/readyz")).await.0, 503, "nothing is known of the chain yet");
    follow(&mut world.tail(&world.chain.url)).await;
    let (status, body) = get(&format!("{url}/readyz")).await;
    assert_eq!((status, body["chain"]["lagBlocks"].as_u64()), (200, Some(0)), "{body}");
    world.progress.mail_is(false);
    let (status, body) = get(&format!("{admin}/readyz")).await;
    assert_eq!((status, body["mail"]["ok"].as_bool()), (503, Some(false)));

    assert_eq!(get(&format!("{admin}/v1/status")).await.0, 401);
    assert_eq!(get(&format!("{url}/v1/status")).await.0, 404);
    let client = reqwest::Client::new();
    let answer = client.get(format!("{admin}/v1/status")).bearer_auth("token").send().await.unwrap();
    let body: Value = answer.json().await.unwrap();
    assert_eq!(body["cursor"]["number"].as_u64(), Some(world.chain.head().await));
}

#[tokio::test]
async fn a_chain_that_stands_still_or_falls_back_is_not_ready() {
    let hour_ago = u64::try_from(otp_core::clock::now_ms()).unwrap() / 1_000 - 3_600;
    let world = World::on(Chain::start_at(Some(hour_ago)).await).await;
    let (url, _) = serve(&world).await;
    follow(&mut world.tail(&world.chain.url)).await;
    let (status, body) = get(&format!("{url}/readyz")).await;
    assert_eq!((status, body["chain"]["ok"].as_bool()), (503, Some(false)), "an old head: {body}");

    let snapshot = world.progress.snapshot();
    let (cursor, mut head) = (snapshot.cursor.unwrap(), snapshot.head.unwrap());
    head.timestamp = u64::MAX;
    let bound = Duration::from_millis(20);
    head.number = cursor.number - 1;
    world.progress.saw_head(head);
    assert!(!world.progress.snapshot().stands_still(bound), "a lag is not judged at once");
    tokio::time::sleep(2 * bound).await;
    world.progress.saw_head(head);
    assert!(world.progress.snapshot().stands_still(bound));
    head.number = cursor.number;
    world.progress.saw_head(head);
    assert!(!world.progress.snapshot().stands_still(bound));
}

#[tokio::test]
async fn lost_messages_are_listed_without_a_word_of_whose_and_reports_are_taken_from_whoever_has_the_token() {
    let world = World::new().await;
    let (person, issued) = world.issue_one().await;
    follow(&mut world.tail(&world.chain.url)).await;
    let (_, admin) = serve(&world).await;
    let message_id = world.outbox.message_id(issued.id.as_slice(), "email");
    world.store.claim_delivery(60_000, None).await.unwrap().unwrap();
    world.store.mark_accepted(&message_id, None).await.unwrap();
    let client = reqwest::Client::new();
    let report =
        |body: Value| client.post(format!("{admin}/v1/deliveries/reports")).bearer_auth("token").body(body.to_string());
    let bounced = serde_json::json!({ "messageId": message_id, "state": "bounced", "reason": "mailbox full" });
    let open = client.post(format!("{admin}/v1/deliveries/reports")).body(bounced.to_string()).send().await.unwrap();
    assert_eq!((open.status().as_u16(), world.deliveries("accepted").await), (401, 1));
    for bad in ["a@b.example", &"x".repeat(65), "one\\ntwo"] {
        let body = serde_json::json!({ "messageId": message_id, "state": "bounced", "reason": bad });
        assert_eq!(report(body).send().await.unwrap().status(), 400);
    }
    let unknown = serde_json::json!({ "messageId": "x", "state": "bounced" });
    for body in [unknown, bounced] {
        assert_eq!(report(body).send().await.unwrap().status(), 202);
    }
    let listed = client.get(format!("{admin}/v1/deliveries/lost")).bearer_auth("token").send().await.unwrap();
    let text = listed.text().await.unwrap();
    let lost: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(lost["lost"][0]["messageId"], message_id);
    assert_eq!((&lost["lost"][0]["state"], &lost["lost"][0]["isCode"]), (&"bounced".into(), &true.into()));
    let wallet = person.wallet.to_string();
    assert!(![person.address.as_str(), &wallet, issued.code.digits().expose()].iter().any(|word| text.contains(*word)));
}

#[tokio::test]
async fn pages_are_for_everybody_on_both_ports_and_what_the_admin_port_tells_is_not() {
    let world = World::new().await;
    let (public, admin) = serve(&world).await;
    for (url, is_there) in [
        (format!("{public}/"), true),
        (format!("{public}/verify"), true),
        (format!("{admin}/"), true),
        (format!("{admin}/verify"), false),
    ] {
        let answer = reqwest::get(&url).await.unwrap();
        // 503 where the pages are not built.
        assert_eq!(matches!(answer.status().as_u16(), 200 | 503), is_there, "{url}: {}", answer.status());
        let policy = answer.headers()["content-security-policy"].to_str().unwrap();
        assert_eq!(policy.contains("script-src 'self'"), is_there, "{url}: {policy}");
    }
    let (status, _) = get(&format!("{admin}/v1/status")).await;
    assert_eq!(status, 401);
}
