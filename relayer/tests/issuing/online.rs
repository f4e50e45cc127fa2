//! `relayer check-config --online`, by the binary itself: what is wrong with the world that a configuration names.

use std::{
    path::Path,
    process::{Command, Output},
};

use alloy::{
    primitives::{Address, U256},
    providers::ext::AnvilApi,
    signers::local::PrivateKeySigner,
    sol_types::SolCall,
};
use otp_core::contract::OtpVerifier;
use rand::rngs::OsRng;

use crate::world::World;

const PASSWORD: &str = "a password of this test alone";

/// A configuration of the world's chain and of this signer, and how it is checked.
fn check(world: &World, verifier: Address, signer: &PrivateKeySigner, password: &str) -> Output {
    let folder = tempfile::tempdir().unwrap();
    let config = write(folder.path(), world, verifier, signer);
    Command::new(env!("CARGO_BIN_EXE_relayer"))
        .args(["check-config", "--online", "--json", "--config"])
        .arg(config)
        .env("OTP_RELAYER_SIGNER_KEYSTORE_PASSWORD", password)
        .output()
        .unwrap()
}

fn write(folder: &Path, world: &World, verifier: Address, signer: &PrivateKeySigner) -> std::path::PathBuf {
    PrivateKeySigner::encrypt_keystore(folder, &mut OsRng, signer.to_bytes(), PASSWORD, Some("issuer.json")).unwrap();
    let keystore = folder.join("issuer.json");
    std::fs::set_permissions(&keystore, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    let text = format!(
        "[chain]\nid = {}\nverifier = '{verifier}'\nrpc_urls = ['{}']\nmax_head_age_ms = 86400000\n\
         [signer]\nkeystore = {keystore:?}\n[http]\ndomains = ['http://localhost:8080/']\n",
        world.deployment.chain_id, world.anvil.url,
    );
    let path = folder.join("relayer.toml");
    std::fs::write(&path, text).unwrap();
    path
}

fn faults(checked: &Output) -> String {
    let said: serde_json::Value = serde_json::from_slice(&checked.stdout).unwrap();
    assert_eq!(said["ok"], checked.status.success(), "{said}");
    assert_eq!(checked.status.code(), Some(if checked.status.success() { 0 } else { 2 }));
    said["faults"].to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_check_online_names_what_is_wrong_with_signer_and_contract_and_nothing_where_all_is_well() {
    let world = World::new().await;
    let verifier = world.deployment.verifier;
    assert_eq!(faults(&check(&world, verifier, &world.signer, PASSWORD)), "[]");

    let wrong = faults(&check(&world, verifier, &world.signer, "another password"));
    assert!(wrong.contains("keystore") && !wrong.contains("another password"), "{wrong}");
    let nobody = PrivateKeySigner::random();
    assert!(faults(&check(&world, verifier, &nobody, PASSWORD)).contains("lacks ISSUER_ROLE"));
    let no_contract = faults(&check(&world, nobody.address(), &world.signer, PASSWORD));
    assert!(no_contract.contains("no OtpVerifier contract"), "{no_contract}");

    world.anvil.node.anvil_set_balance(world.signer.address(), U256::from(1)).await.unwrap();
    assert!(faults(&check(&world, verifier, &world.signer, PASSWORD)).contains("fund it"));
    world.send_as(&world.guardian, verifier, OtpVerifier::pauseCall {}.abi_encode()).await;
    world.mine().await;
    assert!(faults(&check(&world, verifier, &world.signer, PASSWORD)).contains("is paused"));
}
