//! Nothing secret leaves its place: the whole way is walked with both daemons at `trace`, and every log line, every answer
//! but the one meant to carry it, every metric and every database file is searched for what was planted.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test tells what is wrong by failing")]

#[path = "canary/search.rs"]
mod search;

use std::{fs, path::Path, time::Duration};

use alloy::{
    primitives::{Address, U256},
    signers::{SignerSync, local::PrivateKeySigner},
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use otp_core::clock::{now_ms, rfc3339_ms};
use reqwest::{Method, header::HeaderMap};
use search::{Canaries, Found, Place};
use serde_json::{Value, json};
use testbed::{
    anvil,
    description::Description,
    mailbox::{Mail, Mailbox},
    stack::{Daemon, Options, Stack},
    tools,
    vault::{Vault, Withdrawal},
    wallet::{Call, Wallet},
};
use tokio::time::{Instant, sleep};

const WITHIN: Duration = Duration::from_secs(30);
const EVERYTHING: &str = "info,relayer=trace,indexer=trace,otp_core=trace,sqlx=debug,security=trace";

/// A person who keeps every answer that they got.
struct Person<'a> {
    stack: &'a Description,
    http: reqwest::Client,
    signer: PrivateKeySigner,
    token: String,
    /// What it was an answer to, and the answer with its headers.
    answers: Vec<(String, String)>,
    canaries: Canaries,
}

impl Person<'_> {
    /// Calls the relayer; the answer is kept under `name`.
    async fn call(&mut self, name: &str, method: Method, path: &str, body: Option<Value>) -> Value {
        let url = self.stack.relayer_url.join(path).unwrap();
        let key = format!("canary-{}", self.answers.len());
        let request = self.http.request(method, url).bearer_auth(&self.token).header("idempotency-key", key);
        self.keep(name, body.iter().fold(request, |request, body| request.json(body))).await
    }

    async fn keep(&mut self, name: &str, request: reqwest::RequestBuilder) -> Value {
        let answer = request.timeout(WITHIN).send().await.unwrap();
        let (status, headers) = (answer.status(), print(answer.headers()));
        let text = answer.text().await.unwrap();
        self.answers.push((name.to_owned(), format!("{status}\n{headers}\n{text}")));
        serde_json::from_str(&text).unwrap_or_default()
    }

    async fn sign_in(&mut self) {
        let config = self.call("config", Method::GET, "v1/config", None).await;
        let nonce = self.call("nonce", Method::GET, "v1/auth/nonce", None).await;
        let (domain, wallet) = (&config["domains"][0], self.signer.address());
        let message = format!(
            "{} wants you to sign in with your Ethereum account:\n{wallet}\n\nIn.\n\nURI: {}\nVersion: 1\nChain ID: {}\n\
             Nonce: {}\nIssued At: {}",
            domain["domain"].as_str().unwrap(),
            domain["uri"].as_str().unwrap(),
            config["chainId"],
            nonce["nonce"].as_str().unwrap(),
            rfc3339_ms(now_ms()),
        );
        let signature = self.signer.sign_message_sync(message.as_bytes()).unwrap().to_string();
        let body = json!({ "message": message, "signature": signature });
        let session = self.call("login", Method::POST, "v1/auth/login", Some(body)).await;
        self.token = session["token"].as_str().unwrap().to_owned();
        self.canaries.plant("session token", &self.token, &[Place::Answer("login")]);
    }

    async fn contact(&mut self, mailbox: &Mailbox, address: &str) -> Value {
        self.canaries.plant("contact", address, &[]);
        let body = json!({ "channel": "email", "address": address });
        let contact = self.call("contact", Method::POST, "v1/contacts", Some(body)).await;
        let mail = mailbox.wait_for(address, WITHIN, |mail| mail.linked_code().is_none()).await.unwrap();
        let digits = mail.digits().unwrap();
        self.canaries.plant_digits("a contact's digits", &digits, &[]);
        let path = format!("v1/contacts/{}/confirm", contact["contactId"].as_str().unwrap());
        self.call("wrong digits", Method::POST, &path, Some(json!({ "digits": other(&digits) }))).await;
        self.call("confirmed", Method::POST, &path, Some(json!({ "digits": digits }))).await
    }

    /// Asks for a code, and returns request and mail.
    async fn ask(&mut self, mailbox: &Mailbox, address: &str, contact: &Value, nonce: u64) -> (Value, Mail) {
        let vault = Vault::new(self.stack.vault, anvil::connect(&self.stack.rpc_url).unwrap());
        let withdrawal = Withdrawal { to: Address::repeat_byte(7), amount: U256::from(1), nonce: U256::from(nonce) };
        let action = vault.action(&withdrawal);
        let body = json!({ "purpose": "withdraw", "action": action, "contactId": contact["contactId"] });
        let asked = self.call("ask", Method::POST, "v1/otps", Some(body)).await;
        let reference = asked["reference"].as_str().unwrap_or_else(|| panic!("{asked}")).to_owned();
        let mail = mailbox.wait_for(address, WITHIN, |mail| mail.text.contains(&reference)).await.unwrap();
        let code = mail.linked_code().unwrap().code;
        self.canaries.plant_digits("digits", &code[..6], &[]);
        self.canaries.plant("key", &code[6..], &[Place::Answer("unlock")]);
        self.canaries.plant("code", &code, &[Place::Answer("unlock")]);
        (asked, mail)
    }

    async fn wait(&mut self, id: &str, wanted: &str) {
        let deadline = Instant::now() + WITHIN;
        while Instant::now() < deadline {
            let otp = self.call("status", Method::GET, &format!("v1/otps/{id}"), None).await;
            if otp["status"] == wanted {
                return;
            }
            sleep(Duration::from_millis(200)).await;
        }
        panic!("{id} is not {wanted}");
    }

    /// What people and programs do wrong: secrets where none belong.
    async fn blunder(&mut self, code: &str, address: &str, id: &str) {
        for path in [
            format!("v1/otps/{code}"),
            format!("v1/otps/{id}?code={code}"),
            format!("verify/{code}"),
            format!("v1/contacts/{address}"),
            format!("{}?token={}", "v1/config", self.token),
        ] {
            self.call("blunder", Method::GET, &path, None).await;
        }
        for body in [json!({ "digits": code }), json!({ "digit": &code[..6] }), json!({ "digits": "x", "code": code })]
        {
            self.call("blunder", Method::POST, &format!("v1/otps/{id}/unlock"), Some(body)).await;
        }
        let body = json!({ "channel": address, "address": code });
        self.call("blunder", Method::POST, "v1/contacts", Some(body)).await;
        let body = json!({ "message": self.token, "signature": code });
        self.call("blunder", Method::POST, "v1/auth/login", Some(body)).await;
        let url = self.stack.relayer_url.join("v1/otps").unwrap();
        let request = self.http.get(url).header("authorization", format!("Basic {}", self.token));
        self.keep("blunder", request).await;
    }
}

fn print(headers: &HeaderMap) -> String {
    headers.iter().map(|(name, value)| format!("{name}: {}\n", String::from_utf8_lossy(value.as_bytes()))).collect()
}

/// Six digits that are not these.
fn other(digits: &str) -> String {
    let last = if digits.ends_with('0') { '1' } else { '0' };
    format!("{}{last}", &digits[..5])
}

/// Id and token of a link in a mail.
fn linked(mail: &Mail, page: &str) -> (String, String) {
    let fragment = mail.text.split_once(&format!("/{page}#v1.")).unwrap_or_else(|| panic!("{}", mail.text)).1;
    let fragment = fragment.split(|c: char| !c.is_ascii_alphanumeric() && c != '-' && c != '_').next().unwrap();
    let inside: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(fragment).unwrap()).unwrap();
    (inside["id"].as_str().unwrap().to_owned(), inside["token"].as_str().unwrap().to_owned())
}

/// Both daemons again, and talkative.
async fn at_trace(stack: &mut Stack) {
    for (daemon, name, variable) in
        [(Daemon::Relayer, "relayer", "OTP_RELAYER_LOG_FILTER"), (Daemon::Indexer, "indexer", "OTP_INDEXER_LOG_FILTER")]
    {
        stack.stop_daemon(daemon).await.unwrap();
        let env = vec![(variable, EVERYTHING.to_owned())];
        stack.restart_as(daemon, tools::daemon(name).unwrap(), env).unwrap();
        stack.stop_daemon(daemon).await.unwrap();
        stack.restart(daemon).await.unwrap();
    }
}

/// The keystore's password, from where the relayer has it.
#[cfg(target_os = "linux")]
fn password(stack: &Stack) -> Option<String> {
    let environment = fs::read(format!("/proc/{}/environ", stack.pid(Daemon::Relayer)?)).unwrap();
    let text = String::from_utf8_lossy(&environment).into_owned();
    text.split('\0').find_map(|pair| pair.strip_prefix("OTP_RELAYER_SIGNER_KEYSTORE_PASSWORD=")).map(str::to_owned)
}

#[cfg(not(target_os = "linux"))]
fn password(_: &Stack) -> Option<String> {
    None
}

async fn walk(stack: &Stack) -> Person<'_> {
    let description = &stack.description;
    let mailbox = Mailbox::new(&description.mail_url).unwrap();
    let http = reqwest::Client::new();
    let signer = description.accounts[0].signer().unwrap();
    let (token, answers, canaries) = (String::new(), Vec::new(), Canaries::default());
    let mut person = Person { stack: description, http, signer, token, answers, canaries };
    person.canaries.plant("keystore password", &password(stack).unwrap(), &[]);
    let data = description.database_path.parent().unwrap();
    let mut tokens = Vec::new();
    for name in ["relayer", "indexer"] {
        let token = fs::read_to_string(data.join(format!("{name}-admin.token"))).unwrap();
        person.canaries.plant("admin token", &token, &[]);
        tokens.push(token);
    }
    person.sign_in().await;
    let address = "canary-in-a-coal-mine@example.test";
    let contact = person.contact(&mailbox, address).await;
    let (asked, mail) = person.ask(&mailbox, address, &contact, 0).await;
    let (id, code) = (asked["id"].as_str().unwrap().to_owned(), mail.linked_code().unwrap().code);
    let unlock = format!("v1/otps/{id}/unlock");
    person.call("wrong digits", Method::POST, &unlock, Some(json!({ "digits": other(&code[..6]) }))).await;
    person.blunder(&code, address, &id).await;
    let unlocked = person.call("unlock", Method::POST, &unlock, Some(json!({ "digits": &code[..6] }))).await;
    assert_eq!(unlocked["code"], code.as_str(), "{unlocked}");
    let wallet =
        Wallet::new(person.signer.clone(), anvil::connect(&description.rpc_url).unwrap(), description.chain_id);
    let data = unlocked["calldata"].as_str().unwrap().parse().unwrap();
    wallet.send_ok(&Call { to: description.verifier, value: U256::ZERO, data }).await.unwrap();
    person.wait(&id, "verified").await;
    // A change of contacts, announced and cancelled.
    let second = "canary-the-second@example.test";
    person.contact(&mailbox, second).await;
    let announced = mailbox.wait_for(address, WITHIN, |mail| mail.text.contains("/cancel#v1.")).await.unwrap();
    let (change, token) = linked(&announced, "cancel");
    person.canaries.plant("cancel token", &token, &[]);
    let path = format!("v1/contact-changes/{change}/cancel");
    person.call("cancel", Method::POST, &path, Some(json!({ "token": token }))).await;
    if person.call("list", Method::GET, "v1/otps", None).await["otps"].is_null() {
        person.sign_in().await;
    }
    // A code that its owner did not ask for.
    let (_, mail) = person.ask(&mailbox, address, &contact, 1).await;
    let (id, token) = linked(&mail, "report");
    person.canaries.plant("report token", &token, &[]);
    let path = format!("v1/otps/{id}/report");
    person.call("report", Method::POST, &path, Some(json!({ "token": token }))).await;
    for (url, token) in [&description.relayer_admin_url, &description.indexer_admin_url].into_iter().zip(&tokens) {
        for path in ["metrics", "v1/status"] {
            let request = person.http.get(url.join(path).unwrap());
            person.keep("no token", request.try_clone().unwrap().bearer_auth("wrong")).await;
            person.keep(path, request.bearer_auth(token)).await;
        }
    }
    person
}

/// Every file of the database, and every line of the daemons' logs.
fn search_files(stack: &Description, canaries: &Canaries) -> Vec<Found> {
    let mut found = Vec::new();
    let folder = stack.database_path.parent().unwrap();
    for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
        let name = entry.file_name().into_string().unwrap();
        if name.starts_with("otp.db") {
            found.extend(canaries.search(Place::Database, &name, &fs::read(entry.path()).unwrap()));
        }
    }
    for name in ["relayer", "indexer"] {
        found.extend(search_log(canaries, name, &stack.logs[name]));
    }
    found
}

fn search_log(canaries: &Canaries, name: &str, path: &Path) -> Vec<Found> {
    let text = fs::read_to_string(path).unwrap();
    let ours = text.lines().filter(|line| line.contains("\"level\":\"TRACE\"") || line.contains("\"level\":\"DEBUG\""));
    assert!(ours.count() > 20, "{name} did not log at trace");
    // A timestamp's fraction is six digits.
    let line = |line: &str| line.replacen("\"timestamp\":\"", "", 1).split_once("Z\"").map(|(_, rest)| rest.to_owned());
    let lines = text.lines().map(|text| line(text).unwrap_or_else(|| text.to_owned()));
    lines.flat_map(|line| canaries.search(Place::Log, name, line.as_bytes())).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn no_secret_leaves_its_place() {
    let folder = tempfile::tempdir().unwrap();
    let mut stack = Stack::start(&Options::new(folder.path().to_owned())).await.unwrap();
    at_trace(&mut stack).await;
    let person = walk(&stack).await;
    let mut found = search_files(&stack.description, &person.canaries);
    for (name, answer) in &person.answers {
        found.extend(person.canaries.search(Place::Answer(name), name, answer.as_bytes()));
    }
    println!("{} canaries, {} answers", person.canaries.len(), person.answers.len());
    assert!(found.is_empty(), "{found:#?}");
    assert!(person.canaries.len() >= 14, "only {} were planted", person.canaries.len());
    drop(person);
    stack.stop().await.unwrap();
}
