//! What operators and auditors see: figures over time, the story of a code, governance in words.

use alloy::{
    primitives::{Address, B256, Bytes, U256, keccak256},
    sol_types::{SolCall, SolValue},
};
use indexer::timelock::Timelock;
use otp_core::{
    contract::{IOtpVerifier::Policy, OtpVerifier, ProxyAdmin},
    metrics::Recorder,
};
use serde_json::{Value, json};

use crate::{
    api::{get, serve, serve_over},
    figures::{calls, finalise, live_through, measuring},
    harness::{Chain, World, follow},
};

/// Asks the admin port.
async fn search(admin: &str, body: &Value) -> (u16, String) {
    let client = reqwest::Client::new();
    let asked = client.post(format!("{admin}/v1/search")).bearer_auth("token").json(body).send().await.unwrap();
    (asked.status().as_u16(), asked.text().await.unwrap())
}

async fn found(admin: &str, q: impl ToString) -> Value {
    let (status, text) = search(admin, &json!({ "q": q.to_string() })).await;
    assert_eq!(status, 200, "{text}");
    serde_json::from_str(&text).unwrap()
}

#[tokio::test]
async fn a_series_adds_up_to_the_window_of_the_statistics_and_to_the_metrics() {
    let world = World::new().await;
    let (url, admin) = serve(&world).await;
    assert_eq!(get(&format!("{url}/v1/series")).await.0, 503, "the chain was not read yet");
    live_through(&world).await;
    finalise(&world).await;
    let search = calls(&world, &world.chain.url);
    while search.step().await.unwrap() > 0 {}

    let stats = get(&format!("{url}/v1/stats")).await.1;
    for (word, window) in [("hour", "1h"), ("day", "24h"), ("week", "7d")] {
        let (status, series) = get(&format!("{url}/v1/series?window={word}")).await;
        assert_eq!((status, &series["window"]), (200, &json!(word)));
        assert_eq!(series["asOf"], stats["asOf"]);
        assert_eq!(series["total"], stats["windows"][window], "{word}");
        let parts = series["parts"].as_array().unwrap();
        let sum = |pointer: &str| parts.iter().filter_map(|part| part.pointer(pointer)?.as_u64()).sum::<u64>();
        for pointer in [
            "/issuances",
            "/issued",
            "/verified",
            "/revoked",
            "/expired",
            "/consumed",
            "/delivered/email",
            "/refusedUsed",
            "/issuancesReverted",
            "/stages/requestToMined/count",
            "/gasPerCode/count",
        ] {
            assert_eq!(
                Some(sum(pointer)),
                series["total"].pointer(pointer).and_then(Value::as_u64),
                "{word} {pointer}"
            );
        }
        assert_eq!(sum("/issued"), 4);
    }
    measuring(&world).count().await.unwrap();
    let metrics = Recorder::install().unwrap().render();
    for line in ["otp_codes_delivered_total{channel=\"email\"}", "otp_gas_per_code_count"] {
        assert!(metrics.lines().any(|found| found.starts_with(line)), "{line} in {metrics}");
    }

    let csv = reqwest::get(format!("{url}/v1/series?window=week&format=csv")).await.unwrap();
    assert!(csv.headers()["content-type"].to_str().unwrap().starts_with("text/csv"));
    let csv = csv.text().await.unwrap();
    let rows: Vec<&str> = csv.lines().collect();
    let column = rows[0].split(',').position(|name| name == "issued").unwrap();
    let issued = rows[1..].iter().map(|row| row.split(',').nth(column).unwrap().parse::<u64>().unwrap());
    assert_eq!(issued.sum::<u64>(), 4);

    for bad in ["window=year", "window=", "format=xml", "window=day&x=1", "window=day&window=day"] {
        let answer = reqwest::get(format!("{url}/v1/series?{bad}")).await.unwrap();
        assert_eq!(answer.status(), 400, "{bad}");
        assert_eq!(answer.headers()["content-type"], "application/problem+json");
    }
    let open = reqwest::get(format!("{admin}/v1/series")).await.unwrap();
    assert_eq!(open.status(), 401, "on the admin port its data asks for the token");
}

#[tokio::test]
async fn a_code_is_found_by_whatever_one_has_in_hand_and_its_story_agrees_with_the_chain() {
    let world = World::new().await;
    let (person, issued) = world.issue_one().await;
    let (_, other) = world.issue_one().await;
    let mut tail = world.tail(&world.chain.url);
    follow(&mut tail).await;
    let job = world.store.claim_delivery(60_000, None).await.unwrap().unwrap();
    world.store.mark_accepted(&job.message_id, None).await.unwrap();
    world.chain.unlock(issued.wallet).await;
    let verify = OtpVerifier::verifyCall {
        ticket: world.chain.ticket(&issued),
        action: issued.action,
        code: issued.code.expose().to_string(),
    };
    let receipt = world.chain.call(issued.wallet, verify.abi_encode()).await;
    assert!(receipt.status());
    follow(&mut tail).await;
    finalise(&world).await;
    let (url, admin) = serve(&world).await;

    let (status, by_id) = get(&format!("{url}/v1/search?q={}", issued.id)).await;
    assert_eq!(status, 200, "{by_id}");
    let story = &by_id["story"];
    assert_eq!((&story["code"]["status"], &story["code"]["serial"]), (&json!("verified"), &json!(issued.serial)));
    assert_eq!(story["code"]["purposeName"], Chain::purpose().to_string());
    let kinds: Vec<&str> =
        story["events"].as_array().unwrap().iter().map(|event| event["type"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["otp-batch-set", "otp-set", "otp-verified"]);
    assert!(story["events"].as_array().unwrap().iter().all(|event| event["final"] == true));
    let told = found(&admin, issued.id).await;
    assert_eq!(told["story"]["deliveries"].as_array().unwrap().len(), 1);
    // Over which channels somebody is written to is personal, and the chain names the wallet beside the id.
    assert_eq!(story.get("deliveries"), None, "{story}");
    let checks: Vec<(&str, &str, &Value)> = story["checks"]
        .as_array()
        .unwrap()
        .iter()
        .map(|check| (check["what"].as_str().unwrap(), check["by"].as_str().unwrap(), &check["ok"]))
        .collect();
    let yes = json!(true);
    assert_eq!(checks[..2], [("tree", "indexer", &yes), ("contract", "node", &yes)], "{story}");
    assert_eq!(checks[2], ("evidence", "indexer", &Value::Null), "nothing is in the log yet");

    let tx = receipt.transaction_hash;
    let root = story["code"]["root"].as_str().unwrap().to_owned();
    for q in [tx.to_string(), root, issued.serial.to_string()] {
        let (_, same) = get(&format!("{url}/v1/search?q={q}")).await;
        assert_eq!(same["story"]["code"]["id"], json!(issued.id), "{q}: {same}");
    }
    // Nobody is named, and what only a person's own things lead to is not looked for.
    let text = by_id.to_string();
    let digits = issued.code.digits();
    for word in [
        person.address.as_str(),
        &person.wallet.to_string(),
        &person.wallet.to_string().to_lowercase(),
        &person.account_id.to_string(),
        &person.contact_id.to_string(),
        "requestId",
        "sentAt",
        digits.expose(),
    ] {
        assert!(!text.contains(word), "{word} in {text}");
    }
    let request =
        world.store.request_of_code(otp_core::store::CodeKey { on_chain_id: issued.id, issuer: world.chain.issuer });
    let request = request.await.unwrap().unwrap().request_id;
    for personal in [request.to_string(), person.wallet.to_string(), job.message_id.clone()] {
        assert_eq!(get(&format!("{url}/v1/search?q={personal}")).await.0, 400, "{personal}");
        let (_, text) = search(&admin, &json!({ "q": personal })).await;
        let same: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(same["story"]["code"]["id"], json!(issued.id), "{personal}: {same}");
        let told = &same["story"]["request"];
        assert_eq!(told["requestId"], json!(request));
        assert!(told["wallet"].as_str().unwrap().contains('…'));
        assert!(same["story"]["deliveries"][0]["to"].as_str().unwrap().contains("@"), "{same}");
        for whole in [person.address.as_str(), &person.wallet.to_string(), digits.expose()] {
            assert!(!text.contains(whole), "{whole} in {text}");
        }
    }
    assert_eq!(found(&admin, other.serial).await["story"]["code"]["id"], json!(other.id));
    let (_, csv) = search(&admin, &json!({ "q": issued.id, "format": "csv" })).await;
    assert!(csv.lines().any(|line| line.starts_with("event,otp-verified,")), "{csv}");
}

#[tokio::test]
async fn bad_questions_are_refused_and_what_is_not_there_is_an_empty_answer() {
    let world = World::new().await;
    world.issue_one().await;
    follow(&mut world.tail(&world.chain.url)).await;
    let (url, admin) = serve(&world).await;
    let long = "1".repeat(4_000);
    for bad in [
        "",
        "q=",
        "q=x",
        "q=0x12",
        "q=-1",
        "q=1&x=2",
        "q=1&issuer=0x1",
        "q=1099511627776",
        "q=%ff",
        "q=1&format=pdf",
        &format!("q={long}"),
        "q=%EF%BC%91",
    ] {
        let answer = reqwest::get(format!("{url}/v1/search?{bad}")).await.unwrap();
        assert_eq!(answer.status(), 400, "{bad}");
        assert_eq!(answer.headers()["content-type"], "application/problem+json");
    }
    for bad in [json!({}), json!({ "q": true }), json!({ "q": "alice@example.com" }), json!({ "q": "1", "x": 1 })] {
        assert_eq!(search(&admin, &bad).await.0, 400, "{bad}");
    }
    let (status, none) = get(&format!("{url}/v1/search?q={}", B256::repeat_byte(7))).await;
    assert_eq!((status, &none["story"], &none["codes"]), (200, &Value::Null, &json!([])));
    assert_eq!(found(&admin, Address::repeat_byte(7)).await["requests"], json!([]));
    let open =
        reqwest::Client::new().post(format!("{admin}/v1/search")).json(&json!({ "q": "1" })).send().await.unwrap();
    assert_eq!(open.status(), 401);
    assert_eq!(get(&format!("{url}/v1/operations")).await.0, 404, "not on the public port");
    assert_eq!(get(&format!("{admin}/v1/operations")).await.0, 401);
}

#[tokio::test]
async fn a_copied_id_is_listed_beside_the_one_it_copies_and_an_orphaned_code_says_so() {
    let world = World::new().await;
    let (_, issued) = world.issue_one().await;
    world.chain.set_otps(world.chain.stranger, 0, &[issued.id]).await;
    let mut tail = world.tail(&world.chain.url);
    follow(&mut tail).await;
    let (url, admin) = serve(&world).await;
    let (_, both) = get(&format!("{url}/v1/search?q={}", issued.id)).await;
    assert_eq!((both["codes"].as_array().unwrap().len(), &both["story"]), (2, &Value::Null), "{both}");
    let stranger = world.chain.stranger;
    let (_, copy) = get(&format!("{url}/v1/search?q={}&issuer={stranger}", issued.id)).await;
    assert_eq!(copy["story"]["code"]["issuer"], stranger.to_checksum(None));
    let (_, copied) = search(&admin, &json!({ "q": issued.id.to_string(), "issuer": stranger })).await;
    let copied: Value = serde_json::from_str(&copied).unwrap();
    assert_eq!(copied["story"]["deliveries"], json!([]), "our message is not the stranger's");

    world.chain.reorg(2).await;
    follow(&mut tail).await;
    let (_, gone) = get(&format!("{url}/v1/search?q={}&issuer={}", issued.id, world.chain.issuer)).await;
    assert_eq!(gone["story"]["code"]["status"], "not-on-chain", "{gone}");
    assert_eq!(gone["story"]["events"][0]["canonical"], false);
    assert_eq!(gone["story"]["checks"][0]["ok"], Value::Null);
}

#[tokio::test]
async fn without_a_node_a_story_is_told_and_says_that_the_contract_was_not_asked() {
    let world = World::new().await;
    let (_, issued) = world.issue_one().await;
    follow(&mut world.tail(&world.chain.url)).await;
    let proxy = world.proxy().await;
    proxy.inject(testbed::faults::Fault::Error(-32_000, "no state").on("eth_call"));
    let config = indexer::config::Config::parse(&world.config_text(proxy.url().as_str(), 1)).unwrap();
    let (node, _) = otp_core::chain::connect(&config.chain.rpc, config.chain.deployment.chain_id).unwrap();
    let (url, _) = serve_over(&world, node, None).await;
    let (status, found) = get(&format!("{url}/v1/search?q={}", issued.id)).await;
    let checks = &found["story"]["checks"];
    assert_eq!((status, &checks[0]["ok"], &checks[1]["ok"]), (200, &json!(true), &Value::Null), "{found}");
    let (status, governance) = get(&format!("{url}/v1/governance")).await;
    assert_eq!((status, &governance["node"]["ok"]), (200, &json!(false)), "{governance}");
    assert_eq!(governance["policies"][0]["policy"], Value::Null);
    assert!(governance["policies"][0]["since"]["txHash"].is_string());
}

#[tokio::test]
async fn the_evidence_of_a_code_is_found_and_checked() {
    let world = World::new().await;
    let (_, issued) = world.issue_one().await;
    let mut tail = world.tail(&world.chain.url);
    follow(&mut tail).await;
    // What is attested of a code waits for its message.
    let job = world.store.claim_delivery(60_000, None).await.unwrap().unwrap();
    world.store.mark_accepted(&job.message_id, None).await.unwrap();
    let config = crate::evidence::config(&world);
    crate::evidence::log(&world, config).await;
    let (url, _) = serve(&world).await;
    let (_, found) = get(&format!("{url}/v1/search?q={}", issued.id)).await;
    assert_eq!(found["story"]["checks"][2]["ok"], true, "{found}");
    assert!(found["story"]["events"][1]["evidence"]["index"].is_u64());
}

#[tokio::test]
async fn governance_says_who_may_do_what_since_when_and_what_waits_would_change() {
    alloy::sol! {
        function schedule(address target, uint256 value, bytes data, bytes32 predecessor, bytes32 salt, uint256 delay);
        function scheduleBatch(address[] targets, uint256[] values, bytes[] payloads, bytes32 predecessor, bytes32 salt,
            uint256 delay);
        function cancel(bytes32 id);
    }
    let world = World::new().await;
    let (governor, verifier) = (world.chain.governor, world.chain.deployment.verifier);
    let arguments = (U256::from(10), vec![governor], vec![governor], governor).abi_encode_params();
    let timelock = world.chain.deploy_beside("TimelockController", &arguments).await;
    let proxy_admin = Address::repeat_byte(0xad);
    let slot = "0xb53127684a568b3173ae13b9f8a6016e243e63b6e8ee1178d6a717850b5d6103";
    world.chain.ask("anvil_setStorageAt", json!([verifier, slot, proxy_admin.into_word()])).await;
    let send = async |call: Vec<u8>| {
        let request = json!([{ "from": governor, "to": timelock, "data": Bytes::from(call) }]);
        world.chain.ask("eth_sendTransaction", request).await;
    };
    let purpose = Chain::purpose().bytes32();
    let policy = Policy { ttl: 120, grace: 300, maxAttempts: 2, enabled: true };
    let set = Bytes::from(OtpVerifier::setPolicyCall { purpose, policy }.abi_encode());
    let upgrade = ProxyAdmin::upgradeAndCallCall { proxy: verifier, implementation: governor, data: Bytes::new() };
    let (none, delay) = (B256::ZERO, U256::from(86_400));
    let batch = scheduleBatchCall {
        targets: vec![verifier, proxy_admin],
        values: vec![U256::ZERO; 2],
        payloads: vec![set.clone(), upgrade.abi_encode().into()],
        predecessor: none,
        salt: keccak256("salt"),
        delay,
    };
    send(batch.abi_encode()).await;
    let one = (verifier, U256::ZERO, set.clone(), none, none).abi_encode_params();
    let single = scheduleCall { target: verifier, value: U256::ZERO, data: set, predecessor: none, salt: none, delay };
    send(single.abi_encode()).await;
    send(cancelCall { id: keccak256(one) }.abi_encode()).await;
    follow(&mut world.tail(&world.chain.url)).await;
    finalise(&world).await;
    let node = world.chain.node.clone();
    let mut reading = Timelock::new(node, world.store.clone(), world.chain.deployment, timelock, (1, 100));
    while reading.step().await.unwrap() {}

    let (url, admin) = serve_over(&world, world.chain.node.clone(), Some(timelock)).await;
    let (status, told) = get(&format!("{url}/v1/governance")).await;
    assert_eq!(status, 200, "{told}");
    assert_eq!(told["node"]["ok"], true, "{told}");
    assert_eq!(told["pause"]["paused"], false);
    assert_eq!(told["policies"][0]["policy"]["ttlSeconds"], 600);
    assert!(told["policies"][0]["since"]["txHash"].is_string());
    let roles = told["roles"].as_array().unwrap();
    for (name, account) in [("issuer", world.chain.issuer), ("guardian", governor), ("governor", governor)] {
        let account = account.to_checksum(None);
        let role = roles.iter().find(|role| role["roleName"] == name && role["account"] == account);
        assert_eq!(role.unwrap()["agrees"], true, "{name}: {told}");
    }
    let operations = told["timelock"]["operations"].as_array().unwrap();
    assert_eq!((told["timelock"]["minDelaySeconds"].as_u64(), operations.len()), (Some(10), 2));
    let waiting = &operations[0];
    assert_eq!((&waiting["state"], &waiting["matchesId"]), (&json!("waiting"), &json!(true)), "{waiting}");
    let words = waiting["calls"][0]["words"].as_str().unwrap();
    assert!(words.contains("120 s (now 600 s)") && words.contains("2 (now 3)"), "{words}");
    assert_eq!(waiting["calls"][0]["arguments"]["policy"]["ttlSeconds"], 120);
    assert_eq!(waiting["calls"][1]["targetName"], "proxyAdmin");
    assert!(waiting["calls"][1]["words"].as_str().unwrap().starts_with("Replaces the verifier's code"));
    assert_eq!((&operations[1]["state"], &operations[1]["matchesId"]), (&json!("cancelled"), &json!(true)));

    let client = reqwest::Client::new();
    let asked = client.get(format!("{admin}/v1/operations")).bearer_auth("token").send().await.unwrap();
    let seen: Value = asked.json().await.unwrap();
    assert_eq!(seen["signers"][0]["address"], world.chain.issuer.to_checksum(None), "{seen}");
    assert!(seen["signers"][0]["balanceEther"].as_str().unwrap().parse::<f64>().unwrap() > 1.0);
    assert_eq!(seen["chain"]["lagBlocks"], 0);
}
