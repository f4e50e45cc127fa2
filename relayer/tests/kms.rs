//! The AWS SDK against a KMS stand-in with real keys: signing as the issuer, and wrapping data keys.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::{
    net::TcpListener,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use alloy::{
    consensus::{SignableTransaction, TxEip1559},
    primitives::{Address, TxKind, U256},
};
use aws_sdk_kms::{
    Client,
    config::{BehaviorVersion, Credentials, Region},
    primitives::Blob,
    types::{KeySpec, KeyUsageType},
};
use otp_core::{
    seal::{KeyWrapper, Keyring, SealError},
    store::Store,
};
use relayer::signer;
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, Command},
};
use uuid::Uuid;

struct Kms {
    client: Client,
    _server: Child,
}

impl Kms {
    async fn start() -> Self {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../testbed/kms");
        let python: PathBuf = folder.join(".venv/bin/python");
        assert!(python.is_file(), "{} is missing: run `make setup-test`", python.display());
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let mut server = Command::new(python)
            .arg(folder.join("server.py"))
            .arg(port.to_string())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(server.stdout.take().unwrap()).lines();
        let ready = tokio::time::timeout(Duration::from_secs(60), lines.next_line()).await.unwrap().unwrap();
        assert_eq!(ready.as_deref(), Some("ready"));
        let config = aws_sdk_kms::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new("us-east-1"))
            .credentials_provider(Credentials::new("test", "test", None, None, "test"))
            .endpoint_url(format!("http://127.0.0.1:{port}"))
            .build();
        Self { client: Client::from_conf(config), _server: server }
    }

    async fn key(&self, spec: KeySpec, usage: KeyUsageType) -> String {
        let made = self.client.create_key().key_spec(spec).key_usage(usage).send().await.unwrap();
        made.key_metadata.unwrap().key_id
    }

    async fn signing_key(&self) -> String {
        self.key(KeySpec::EccSecgP256K1, KeyUsageType::SignVerify).await
    }

    async fn wrapping_key(&self) -> String {
        self.key(KeySpec::SymmetricDefault, KeyUsageType::EncryptDecrypt).await
    }

    fn wrapper(&self, key_id: &str) -> KeyWrapper {
        KeyWrapper::Kms { client: self.client.clone(), key_id: key_id.to_owned() }
    }
}

fn transaction(nonce: u64) -> TxEip1559 {
    TxEip1559 { chain_id: 31337, nonce, to: TxKind::Call(Address::ZERO), value: U256::ZERO, ..Default::default() }
}

#[tokio::test]
async fn transactions_signed_in_kms_recover_to_the_keys_address_with_a_low_s() {
    let kms = Kms::start().await;
    let key_id = kms.signing_key().await;
    let signer = signer::from_kms("signer", kms.client.clone(), &key_id, 31337).await.unwrap();
    // KMS gives a high s for half of all signatures, which chains refuse.
    for nonce in 0..20 {
        let mut tx = transaction(nonce);
        let signature = signer.sign_transaction(&mut tx).await.unwrap();
        assert_eq!(signature.normalize_s(), None, "s is low");
        assert_eq!(signature.recover_address_from_prehash(&tx.signature_hash()).unwrap(), signer.address());
    }
    kms.client.disable_key().key_id(&key_id).send().await.unwrap();
    assert!(signer.sign_transaction(&mut transaction(99)).await.is_err(), "a disabled key signs nothing");
}

#[tokio::test]
async fn a_key_of_another_curve_or_none_at_all_is_refused_at_the_start() {
    let kms = Kms::start().await;
    let wrong = kms.wrapping_key().await;
    for key_id in [wrong.as_str(), "alias/none"] {
        let refused = signer::from_kms("sponsor", kms.client.clone(), key_id, 31337).await.err().unwrap();
        assert!(refused.to_string().contains("sponsor.kms_key_id"), "{refused}");
    }
}

#[tokio::test]
async fn data_keys_wrapped_by_kms_open_again_and_only_with_their_key_and_context() {
    let kms = Kms::start().await;
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(&folder.path().join("otp.db")).await.unwrap();
    let key_id = kms.wrapping_key().await;
    let owner = Uuid::from_u128(7);

    let sealed =
        Keyring::open_or_create(&store, &kms.wrapper(&key_id)).await.unwrap().seal("seed", owner, b"x").unwrap();
    let again = Keyring::open(&store, &kms.wrapper(&key_id)).await.unwrap().unwrap();
    assert_eq!(again.open_sealed("seed", owner, &sealed).unwrap().as_slice(), b"x");

    let wrapped = store.data_keys().await.unwrap().remove(0).wrapped;
    let without_context = kms.client.decrypt().ciphertext_blob(Blob::new(wrapped)).send().await;
    assert!(without_context.is_err(), "the encryption context is part of the key");

    kms.client.disable_key().key_id(&key_id).send().await.unwrap();
    let refused = Keyring::open(&store, &kms.wrapper(&key_id)).await.unwrap_err();
    assert!(matches!(refused, SealError::Kms(_)), "{refused}");
}

#[tokio::test]
async fn data_keys_rotate_and_move_to_another_kms_key_and_a_backup_opens_with_the_older_one() {
    let kms = Kms::start().await;
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(&folder.path().join("otp.db")).await.unwrap();
    let (old, new) = (kms.wrapping_key().await, kms.wrapping_key().await);
    let owner = Uuid::from_u128(7);
    let ring = Keyring::open_or_create(&store, &kms.wrapper(&old)).await.unwrap();
    let sealed = ring.seal("seed", owner, b"x").unwrap();
    assert_eq!(ring.rotate().await.unwrap(), 2);
    let backup = store.data_keys().await.unwrap();

    // The version is in the encryption context: one version's wrapping opens as no other.
    let swapped = Store::open(&folder.path().join("swapped.db")).await.unwrap();
    swapped.insert_data_key(1, &backup[1].wrapped).await.unwrap();
    let refused = Keyring::open(&swapped, &kms.wrapper(&old)).await.unwrap_err();
    assert!(matches!(refused, SealError::Kms(_)), "{refused}");

    let both = kms.wrapper(&new).succeeding(vec![kms.wrapper(&old)]);
    assert_eq!(Keyring::open(&store, &both).await.unwrap().unwrap().rewrap().await.unwrap(), 2);
    kms.client.disable_key().key_id(&old).send().await.unwrap();
    let moved = Keyring::open(&store, &kms.wrapper(&new)).await.unwrap().unwrap();
    assert_eq!(moved.open_sealed("seed", owner, &sealed).unwrap().as_slice(), b"x");

    let restored = Store::open(&folder.path().join("restored.db")).await.unwrap();
    for row in &backup {
        restored.insert_data_key(row.version, &row.wrapped).await.unwrap();
    }
    assert!(Keyring::open(&restored, &both).await.is_err(), "the older key is disabled");
    kms.client.enable_key().key_id(&old).send().await.unwrap();
    let opened = Keyring::open(&restored, &both).await.unwrap().unwrap();
    assert_eq!(opened.open_sealed("seed", owner, &sealed).unwrap().as_slice(), b"x");
    assert_eq!(opened.versions(), [1, 2]);
}
