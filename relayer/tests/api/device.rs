//! Sessions that are bound to a device's key (RFC 9449).

use std::collections::BTreeMap;

use aws_lc_rs::{
    digest::{SHA256, digest},
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair},
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use futures_util::future::join_all;
use otp_core::clock::now_ms;
use reqwest::Method;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::app::{Answer, ORIGIN, PUBLIC_URL, Person, Setup, TestApp, claims, send};

enum Device {
    P256(EcdsaKeyPair),
    Ed25519(Ed25519KeyPair),
}

/// A proof before it is signed, right or spoiled.
struct Draft {
    header: Value,
    claims: Value,
}

impl Device {
    fn p256() -> Self {
        Self::P256(EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap())
    }

    fn ed25519() -> Self {
        Self::Ed25519(Ed25519KeyPair::generate().unwrap())
    }

    fn jwk(&self) -> Value {
        let text = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        match self {
            Self::P256(pair) => {
                let point = pair.public_key().as_ref();
                json!({ "kty": "EC", "crv": "P-256", "x": text(&point[1..33]), "y": text(&point[33..]) })
            }
            Self::Ed25519(pair) => json!({ "kty": "OKP", "crv": "Ed25519", "x": text(pair.public_key().as_ref()) }),
        }
    }

    /// RFC 7638, by a way of its own: its members in the order of their names.
    fn thumbprint(&self) -> String {
        let members: BTreeMap<String, Value> = serde_json::from_value(self.jwk()).unwrap();
        hash(&serde_json::to_string(&members).unwrap())
    }

    const fn algorithm(&self) -> &str {
        match self {
            Self::P256(_) => "ES256",
            Self::Ed25519(_) => "EdDSA",
        }
    }

    fn draft(&self, method: &str, path: &str, token: Option<&str>) -> Draft {
        let url = format!("{}{path}", PUBLIC_URL.trim_end_matches('/'));
        let mut claims = json!({ "jti": Uuid::now_v7(), "htm": method, "htu": url, "iat": now_ms() / 1_000 });
        if let Some(token) = token {
            claims["ath"] = json!(hash(token));
        }
        Draft { header: json!({ "typ": "dpop+jwt", "alg": self.algorithm(), "jwk": self.jwk() }), claims }
    }

    fn sign(&self, draft: &Draft) -> String {
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let signed = format!("{}.{}", part(&draft.header), part(&draft.claims));
        let signature = match self {
            Self::P256(pair) => pair.sign(&SystemRandom::new(), signed.as_bytes()).unwrap().as_ref().to_vec(),
            Self::Ed25519(pair) => pair.sign(signed.as_bytes()).as_ref().to_vec(),
        };
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
    }

    fn prove(&self, method: &str, path: &str, token: Option<&str>) -> String {
        self.sign(&self.draft(method, path, token))
    }
}

fn hash(text: &str) -> String {
    URL_SAFE_NO_PAD.encode(digest(&SHA256, text.as_bytes()))
}

const CONTACTS: &str = "/v1/contacts";

impl TestApp {
    async fn login_with(&self, wallet: &alloy::signers::local::PrivateKeySigner, proof: &str) -> Answer {
        use alloy::signers::SignerSync;
        let message = self.message(wallet.address()).await.text();
        let signature = wallet.sign_message_sync(message.as_bytes()).unwrap();
        let body = json!({ "message": message, "signature": format!("0x{}", hex::encode(signature.as_bytes())) });
        send(self.request(Method::POST, "/v1/auth/login").header("DPoP", proof).json(&body)).await
    }

    /// A wallet whose session is bound to a device.
    async fn person_on(&self, device: &Device) -> Person {
        let wallet = alloy::signers::local::PrivateKeySigner::random();
        let answer = self.login_with(&wallet, &device.prove("POST", "/v1/auth/login", None)).await;
        assert_eq!((answer.status, &answer.body["tokenType"]), (200, &json!("DPoP")), "{:?}", answer.body);
        let token = answer.body["token"].as_str().unwrap().to_owned();
        let account = claims(&token)["sub"].as_str().unwrap().parse().unwrap();
        Person { wallet, token, account }
    }

    async fn contacts_with(&self, token: &str, proof: &str) -> Answer {
        let request = self.request(Method::GET, CONTACTS).header("Authorization", format!("DPoP {token}"));
        send(request.header("DPoP", proof)).await
    }
}

#[tokio::test]
async fn a_session_on_a_device_takes_no_call_without_a_new_proof_of_its_key() {
    let app = TestApp::new().await;
    for device in [Device::p256(), Device::ed25519()] {
        let person = app.person_on(&device).await;
        let token = person.token.as_str();
        assert_eq!(claims(token)["cnf"]["jkt"], device.thumbprint());
        let proof = device.prove("GET", CONTACTS, Some(token));
        assert_eq!(app.contacts_with(token, &proof).await.status, 200);
        let again = app.contacts_with(token, &proof).await;
        assert_eq!(again.told(), (401, "dpop-invalid"), "a proof counts once");
        assert!(again.body["detail"].as_str().unwrap().contains("used before"));
        assert!(again.header("www-authenticate").starts_with("DPoP error=\"invalid_dpop_proof\""), "{again:?}");

        let stolen = app.get(CONTACTS, token).await;
        assert_eq!(stolen.told(), (401, "dpop-invalid"), "the token alone, as a bearer's");
        let bare = app.request(Method::GET, CONTACTS).header("Authorization", format!("DPoP {token}"));
        assert_eq!(send(bare).await.told(), (401, "dpop-invalid"), "the token alone");
        let as_bearer = app.request(Method::GET, CONTACTS).bearer_auth(token);
        let as_bearer = as_bearer.header("DPoP", device.prove("GET", CONTACTS, Some(token)));
        assert_eq!(send(as_bearer).await.status, 401, "a bound token is no bearer token");
        for thief in [Device::p256(), Device::ed25519()] {
            let proof = thief.prove("GET", CONTACTS, Some(token));
            assert_eq!(app.contacts_with(token, &proof).await.told(), (401, "dpop-invalid"), "another key");
        }
        let logout = app.request(Method::POST, "/v1/auth/logout").header("Authorization", format!("DPoP {token}"));
        let proof = device.prove("POST", "/v1/auth/logout", Some(token));
        assert_eq!(send(logout.header("DPoP", proof)).await.status, 204);
        let proof = device.prove("GET", CONTACTS, Some(token));
        assert_eq!(app.contacts_with(token, &proof).await.told(), (401, "unauthenticated"));
    }
}

/// What is wrong with a proof, and how it is spoiled.
type Fault = (&'static str, fn(&mut Draft));

#[tokio::test]
async fn a_proof_is_for_one_call_at_one_time_by_one_key() {
    let app = TestApp::new().await;
    let device = Device::p256();
    let person = app.person_on(&device).await;
    let faults: [Fault; 24] = [
        ("another method", |d| d.claims["htm"] = json!("POST")),
        ("a method in small letters", |d| d.claims["htm"] = json!("get")),
        ("another path", |d| d.claims["htu"] = json!("https://otp.example/relayer/v1/otps")),
        ("a longer path", |d| d.claims["htu"] = json!("https://otp.example/relayer/v1/contacts/1")),
        ("another host", |d| d.claims["htu"] = json!("https://evil.example/relayer/v1/contacts")),
        ("another scheme", |d| d.claims["htu"] = json!("http://otp.example/relayer/v1/contacts")),
        ("another port", |d| d.claims["htu"] = json!("https://otp.example:8443/relayer/v1/contacts")),
        ("a user", |d| d.claims["htu"] = json!("https://a@otp.example/relayer/v1/contacts")),
        ("no URL", |d| d.claims["htu"] = json!("/v1/contacts")),
        ("too old", |d| d.claims["iat"] = json!(now_ms() / 1_000 - 62)),
        ("from the future", |d| d.claims["iat"] = json!(now_ms() / 1_000 + 62)),
        ("a time that no clock has", |d| d.claims["iat"] = json!(i64::MIN)),
        ("no time", |d| drop(d.claims.as_object_mut().unwrap().remove("iat"))),
        ("no id", |d| drop(d.claims.as_object_mut().unwrap().remove("jti"))),
        ("an empty id", |d| d.claims["jti"] = json!("")),
        ("a long id", |d| d.claims["jti"] = json!("x".repeat(129))),
        ("no hash of the token", |d| drop(d.claims.as_object_mut().unwrap().remove("ath"))),
        ("another token's hash", |d| d.claims["ath"] = json!(hash("another"))),
        ("another type", |d| d.header["typ"] = json!("JWT")),
        ("another algorithm", |d| d.header["alg"] = json!("EdDSA")),
        ("no algorithm", |d| d.header["alg"] = json!("none")),
        ("a key for a secret", |d| d.header["alg"] = json!("HS256")),
        ("the private key", |d| d.header["jwk"]["d"] = json!("AAAA")),
        ("what must be understood", |d| d.header["crit"] = json!(["exp"])),
    ];
    for (what, spoil) in faults {
        let mut draft = device.draft("GET", CONTACTS, Some(&person.token));
        spoil(&mut draft);
        let answer = app.contacts_with(&person.token, &device.sign(&draft)).await;
        assert_eq!(answer.told(), (401, "dpop-invalid"), "{what}: {:?}", answer.body);
    }
    let padded = {
        let mut draft = device.draft("GET", CONTACTS, Some(&person.token));
        let x = draft.header["jwk"]["x"].as_str().unwrap().to_owned();
        draft.header["jwk"]["x"] = json!(format!("{x}="));
        device.sign(&draft)
    };
    let changed = {
        let good = device.prove("GET", CONTACTS, Some(&person.token));
        let last = if good.ends_with('A') { 'Q' } else { 'A' };
        format!("{}{last}", &good[..good.len() - 1])
    };
    for proof in [padded, changed, "a.b.c".to_owned(), String::new(), "x".repeat(4_097)] {
        assert_eq!(app.contacts_with(&person.token, &proof).await.told(), (401, "dpop-invalid"), "{proof}");
    }
    let good = || device.prove("GET", CONTACTS, Some(&person.token));
    let two = app.request(Method::GET, CONTACTS).header("Authorization", format!("DPoP {}", person.token));
    assert_eq!(send(two.header("DPoP", good()).header("DPoP", good())).await.told(), (401, "dpop-invalid"), "two");
    assert_eq!(app.contacts_with(&person.token, &good()).await.status, 200, "the control");
}

#[tokio::test]
async fn what_rfc_9449_leaves_open_in_a_url_is_taken() {
    let app = TestApp::new().await;
    let device = Device::ed25519();
    let person = app.person_on(&device).await;
    for url in [
        "https://otp.example/relayer/v1/contacts?a=b",
        "https://otp.example/relayer/v1/contacts#c",
        "HTTPS://OTP.example:443/relayer/v1/contacts",
    ] {
        let mut draft = device.draft("GET", CONTACTS, Some(&person.token));
        draft.claims["htu"] = json!(url);
        assert_eq!(app.contacts_with(&person.token, &device.sign(&draft)).await.status, 200, "{url}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proof_counts_once_however_many_send_it_and_also_across_a_restart() {
    let mut app = TestApp::new().await;
    let device = Device::p256();
    let person = app.person_on(&device).await;
    let proof = device.prove("GET", CONTACTS, Some(&person.token));
    let answers = join_all((0..20).map(|_| app.contacts_with(&person.token, &proof))).await;
    assert_eq!(answers.iter().filter(|answer| answer.status == 200).count(), 1);
    assert_eq!(answers.iter().filter(|answer| answer.told() == (401, "dpop-invalid")).count(), 19);
    app.serve(&Setup::default()).await;
    assert_eq!(app.contacts_with(&person.token, &proof).await.told(), (401, "dpop-invalid"));
}

#[tokio::test]
async fn a_page_proves_its_key_beside_the_cookie() {
    let app = TestApp::new().await;
    let device = Device::p256();
    let person = app.person_on(&device).await;
    let request = || {
        let request = app.request(Method::GET, CONTACTS).header("Origin", ORIGIN);
        request.header("Cookie", format!("otp-session={}", person.token))
    };
    assert_eq!(send(request()).await.told(), (401, "dpop-invalid"), "a stolen cookie");
    let proof = device.prove("GET", CONTACTS, Some(&person.token));
    assert_eq!(send(request().header("DPoP", proof)).await.status, 200);
}

#[tokio::test]
async fn a_bad_proof_at_sign_in_is_told_and_none_makes_a_bearer_token() {
    let app = TestApp::new().await;
    let device = Device::p256();
    let wallet = alloy::signers::local::PrivateKeySigner::random();
    let elsewhere = device.prove("POST", "/v1/otps", None);
    let answer = app.login_with(&wallet, &elsewhere).await;
    assert_eq!((answer.told(), answer.header("set-cookie")), ((401, "dpop-invalid"), ""));
    let bearer = app.sign_in(&wallet).await;
    assert_eq!(claims(&bearer.token)["cnf"], Value::Null);
    let proof = device.prove("GET", CONTACTS, Some(&bearer.token));
    assert_eq!(app.contacts_with(&bearer.token, &proof).await.told(), (401, "unauthenticated"), "it is not bound");
    assert_eq!(app.get(CONTACTS, &bearer.token).await.status, 200);
}
