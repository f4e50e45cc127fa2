//! What operators do to a running relayer: over the admin port, and by the commands.

use std::{path::PathBuf, process::Output, time::Instant};

use alloy::signers::local::PrivateKeySigner;
use otp_core::seal::Resealing;
use reqwest::Method;
use serde_json::{Value, json};
use tokio::process::Command;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::app::{ADMIN_TOKEN, Answer, Setup, TestApp, send, withdrawal};

impl TestApp {
    async fn operate(&self, path: &str, body: &Value) -> Answer {
        let request = reqwest::Client::new().post(format!("{}{path}", self.admin_url));
        send(request.bearer_auth(ADMIN_TOKEN).json(body)).await
    }

    async fn ask(&self, path: &str) -> Answer {
        send(reqwest::Client::new().get(format!("{}{path}", self.admin_url)).bearer_auth(ADMIN_TOKEN)).await
    }

    /// The real program, with a configuration that names this relayer's admin port.
    async fn command(&self, arguments: &[&str]) -> (i32, String, String) {
        let token = self.folder.path().join("admin.token");
        std::fs::write(&token, ADMIN_TOKEN).unwrap();
        let config: PathBuf = self.folder.path().join("relayer.toml");
        let admin = self.admin_url.trim_start_matches("http://");
        std::fs::write(&config, format!("[http]\nadmin_listen = \"{admin}\"\nadmin_token_file = {token:?}\n")).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_relayer"));
        command.args(arguments).arg("--config").arg(config).kill_on_drop(true);
        let Output { status, stdout, stderr } = command.output().await.unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (status.code().unwrap(), text(stdout), text(stderr))
    }
}

#[tokio::test]
async fn issuance_switched_off_is_refused_at_once_by_every_relayer_and_what_waits_is_told() {
    let mut app = TestApp::new().await;
    let (person, contact) = app.person().await;
    let waiting = app.accepted(&person, contact).await;
    let first = app.url.clone();
    app.serve(&Setup::default()).await;
    let second = app.url.clone();

    let begun = Instant::now();
    let off = app.operate("/v1/issuance", &json!({ "on": false, "reason": "an incident" })).await;
    assert_eq!((off.status, &off.body["on"], &off.body["failed"]), (200, &json!(false), &json!(1)));
    for url in [first, second] {
        app.url = url;
        let key = Uuid::now_v7().to_string();
        let refused = app.submit(&person, &key, &withdrawal(contact)).await;
        assert_eq!(refused.told(), (503, "issuance-disabled"));
        assert!(!refused.header("retry-after").is_empty());
        assert!(!refused.body.to_string().contains("incident"), "reasons are for operators");
        let config = app.get("/v1/config", "").await;
        assert_eq!(config.body["issuance"], json!({ "on": false, "off": [{ "scope": "all" }] }));
    }
    assert!(begun.elapsed().as_millis() < 1_000, "{:?}", begun.elapsed());
    let told = app.get(&format!("/v1/otps/{waiting}"), &person.token).await;
    assert_eq!(told.body["status"], "failed", "{:?}", told.body);
    assert!(told.body["failure"].as_str().unwrap().contains("switched off"));
    assert!(app.store.queue_lengths().await.unwrap().is_empty());
    assert_eq!(app.ask("/readyz").await.body["dependencies"]["issuance"]["state"], "off");

    assert_eq!(app.operate("/v1/issuance", &json!({ "on": true })).await.body["on"], true);
    app.accepted(&person, contact).await;
}

#[tokio::test]
async fn a_purpose_or_a_channel_is_switched_off_alone() {
    let app = TestApp::new().await;
    let (person, contact) = app.person().await;
    let login = json!({ "purpose": "login", "contactId": contact });
    app.operate("/v1/issuance", &json!({ "on": false, "purpose": "withdraw" })).await;
    assert_eq!(app.submit(&person, "a", &withdrawal(contact)).await.told(), (503, "issuance-disabled"));
    assert_eq!(app.submit(&person, "b", &login).await.status, 202);
    app.operate("/v1/issuance", &json!({ "on": true, "purpose": "withdraw" })).await;
    app.operate("/v1/issuance", &json!({ "on": false, "channel": "sms" })).await;
    assert_eq!(app.submit(&person, "c", &withdrawal(contact)).await.status, 202);
    app.operate("/v1/issuance", &json!({ "on": false, "channel": "email" })).await;
    assert_eq!(app.submit(&person, "d", &login).await.told(), (503, "issuance-disabled"));
    for bad in [
        json!({ "on": false, "purpose": "unknown" }),
        json!({ "on": false, "channel": "pigeon" }),
        json!({ "on": false, "channel": "email", "purpose": "login" }),
        json!({ "on": false, "reason": "two\nlines" }),
        json!({}),
    ] {
        assert_eq!(app.operate("/v1/issuance", &bad).await.status, 400, "{bad}");
    }
}

#[tokio::test]
async fn a_blocked_wallet_signs_in_as_always_and_gets_no_code() {
    let app = TestApp::new().await;
    let (person, contact) = app.person().await;
    let waiting = app.accepted(&person, contact).await;
    let body = |blocked| json!({ "kind": "wallet", "address": person.wallet.address(), "blocked": blocked });
    let answer = app.operate("/v1/blocks", &body(true)).await;
    assert_eq!((answer.status, &answer.body["failed"]), (200, &json!(1)));
    let again = app.sign_in(&person.wallet).await;
    assert_eq!(app.submit(&again, "a", &withdrawal(contact)).await.told(), (403, "wallet-blocked"));
    assert_eq!(app.get(&format!("/v1/otps/{waiting}"), &again.token).await.body["status"], "failed");
    let (other, others) = app.person().await;
    assert_eq!(app.submit(&other, "a", &withdrawal(others)).await.status, 202);
    assert_eq!(app.ask("/v1/blocks").await.body["blocked"][0]["kind"], "wallet");

    assert_eq!(app.operate("/v1/blocks", &body(false)).await.body["changed"], true);
    assert_eq!(app.submit(&again, "b", &withdrawal(contact)).await.status, 202);

    let issuer = json!({ "kind": "issuer", "address": app.issuer.address(), "blocked": true });
    app.operate("/v1/blocks", &issuer).await;
    assert_eq!(app.submit(&again, "c", &withdrawal(contact)).await.told(), (503, "issuance-disabled"));
}

#[tokio::test]
async fn only_the_admin_token_operates() {
    let app = TestApp::new().await;
    let person = app.stranger().await;
    for path in ["issuance", "blocks", "keys/rotate", "keys/rewrap", "accounts/unlock", "revocations"] {
        let client = reqwest::Client::new();
        for token in ["", person.token.as_str()] {
            let call = client.post(format!("{}/v1/{path}", app.admin_url)).bearer_auth(token);
            assert_eq!(send(call.json(&json!({}))).await.status, 401, "{path}");
        }
        let public = app.request(Method::POST, &format!("/v1/{path}")).bearer_auth(ADMIN_TOKEN);
        assert_eq!(send(public.json(&json!({}))).await.status, 404, "{path} is on the admin port alone");
    }
}

#[tokio::test]
async fn data_keys_rotate_while_requests_are_served() {
    let app = TestApp::new().await;
    let (person, contact) = app.person().await;
    let before = app.accepted(&person, contact).await;
    let shutdown = CancellationToken::new();
    let resealing = Resealing::new(app.store.clone(), app.keyring.clone()).run(shutdown.clone());
    let running = tokio::spawn(resealing);

    let rotated = app.operate("/v1/keys/rotate", &json!({})).await;
    assert_eq!((rotated.status, &rotated.body["version"]), (202, &json!(2)));
    let mut accepted = 0;
    let keys = loop {
        app.accepted(&person, contact).await;
        accepted += 1;
        let keys = app.ask("/v1/keys").await.body;
        if keys["finished"] == true {
            break keys;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    };
    assert_eq!((&keys["version"], &keys["versions"]), (&json!(2), &json!([1, 2])));
    assert!(keys["columns"][2]["resealed"].as_i64().unwrap() >= 1, "{keys} after {accepted} requests");
    shutdown.cancel();
    running.await.unwrap();

    for column in otp_core::store::SEALED_COLUMNS {
        assert_eq!(app.store.sealed_otherwise(column, 2).await.unwrap(), 0, "{}", column.name());
    }
    assert_eq!(app.get(&format!("/v1/otps/{before}"), &person.token).await.status, 200);
    app.seed(&person).await;
}

#[tokio::test]
async fn a_queued_request_is_revoked_and_unknown_ones_are_refused() {
    let app = TestApp::new().await;
    let (person, contact) = app.person().await;
    let otp = app.accepted(&person, contact).await;
    let revoked = app.operate("/v1/revocations", &json!({ "id": otp })).await;
    assert_eq!((revoked.status, &revoked.body["outcome"]), (202, &json!("withdrawn")));
    let told = app.get(&format!("/v1/otps/{otp}"), &person.token).await;
    assert_eq!(told.body["status"], "failed");
    let unknown = [json!(Uuid::now_v7()), json!(format!("0x{}", "11".repeat(32)))];
    for id in unknown {
        assert_eq!(app.operate("/v1/revocations", &json!({ "id": id })).await.status, 404);
    }
    assert_eq!(app.operate("/v1/revocations", &json!({ "id": "nonsense" })).await.status, 400);
    let nobody = json!({ "wallet": PrivateKeySigner::random().address() });
    assert_eq!(app.operate("/v1/accounts/unlock", &nobody).await.status, 404);
    let wallet = json!({ "wallet": person.wallet.address() });
    assert_eq!(app.operate("/v1/accounts/unlock", &wallet).await.body["wasLocked"], false);
}

#[tokio::test]
async fn the_commands_say_what_they_did_and_end_with_a_code_that_says_how() {
    let app = TestApp::new().await;
    let (person, contact) = app.person().await;
    let otp = app.accepted(&person, contact).await;

    let (code, text, _) = app.command(&["status"]).await;
    assert_eq!(code, 0, "{text}");
    for part in ["ready", "requests.queued", "balance", "data keys"] {
        assert!(text.contains(part), "{part} is missing:\n{text}");
    }
    let (code, text, _) = app.command(&["status", "--json"]).await;
    let status: Value = serde_json::from_str(&text).unwrap();
    assert_eq!((code, &status["status"]["counts"]["requests.queued"]), (0, &json!(1)));

    let (code, text, _) = app.command(&["issuance", "off", "--purpose", "login", "--reason", "a test"]).await;
    assert!(code == 0 && text.contains("purpose login off since") && text.contains("a test"), "{code} {text}");
    let (code, text, _) = app.command(&["issuance", "on", "--purpose", "login", "--json"]).await;
    assert_eq!((code, serde_json::from_str::<Value>(&text).unwrap()["on"].clone()), (0, json!(true)));
    let (code, _, error) = app.command(&["issuance", "off", "--purpose", "unheard"]).await;
    assert_eq!((code, error.trim()), (2, "relayer: purpose is none of otp.purposes"));

    let wallet = person.wallet.address().to_string();
    let (code, text, _) = app.command(&["block", "wallet", &wallet]).await;
    assert!(code == 0 && text.contains("is blocked; 1 waiting requests were failed"), "{code} {text}");
    assert!(app.command(&["blocked"]).await.1.contains(&wallet));
    for said in ["is not blocked any more", "was not blocked; nothing was changed"] {
        let (code, text, _) = app.command(&["unblock", "wallet", &wallet]).await;
        assert!(code == 0 && text.contains(said), "{code} {text}");
    }
    assert_eq!(app.command(&["block", "person", &wallet]).await.0, 2);
    assert!(app.command(&["unlock-account", &wallet]).await.1.contains("was not locked"));
    let nobody = PrivateKeySigner::random().address().to_string();
    for (arguments, said) in [
        (["unlock-account", &nobody], "no account has this wallet"),
        (["revoke", &format!("0x{}", "11".repeat(32))], "no code of this relayer has this id on the chain"),
        (["revoke", &Uuid::now_v7().to_string()], "no request has this id"),
    ] {
        let (code, _, error) = app.command(&arguments).await;
        assert!(code == 1 && error.contains(said), "{code} {error}");
    }
    for arguments in [["--purpose", "withdraw"], ["--channel", "email"], ["--reason", "a slip"]] {
        let (code, text, error) = app.command(&[&["issuance"], arguments.as_slice()].concat()).await;
        assert!((code, text.as_str()) == (2, "") && error.contains("<STATE>"), "{code} {text} {error}");
    }
    let slip = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAeD";
    for arguments in [["block", "wallet", slip].as_slice(), &["unblock", "wallet", slip], &["unlock-account", slip]] {
        let (code, _, error) = app.command(arguments).await;
        assert!(code == 2 && error.contains("checksum"), "{code} {error}");
    }
    for (path, body) in [
        ("/v1/blocks", json!({ "kind": "wallet", "address": slip, "blocked": true })),
        ("/v1/accounts/unlock", json!({ "wallet": slip })),
    ] {
        assert_eq!(app.operate(path, &body).await.told(), (400, "bad-request"), "{path}");
    }
    assert_eq!(app.command(&["revoke", &otp.to_string(), "--json"]).await.0, 0);
    let (code, text, _) = app.command(&["revoke", &Uuid::now_v7().to_string(), "--json"]).await;
    assert_eq!((code, serde_json::from_str::<Value>(&text).unwrap()["status"].clone()), (1, json!(404)));
    let (code, text, _) = app.command(&["rotate-keys", "--rewrap"]).await;
    assert!(code == 0 && text.starts_with("1 data keys"), "{code} {text}");
    let (code, _, error) = app.command(&["status", "--admin-url", "http://127.0.0.1:1/"]).await;
    assert!(code == 1 && error.contains("does the relayer run?"), "{code} {error}");
    assert!(!error.contains(ADMIN_TOKEN));
}
