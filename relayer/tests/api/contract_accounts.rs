//! Signing in with an account that is a contract: a real Safe, one that is not deployed yet, and ones that mean harm.

use std::{process::Stdio, time::Duration};

use alloy::{
    primitives::{Address, B256, Bytes, U256, address, eip191_hash_message, hex, keccak256},
    providers::{Provider, ext::AnvilApi},
    signers::{SignerSync, local::PrivateKeySigner},
    sol,
    sol_types::{SolCall, SolValue},
};
use serde_json::{Value, json};
use testbed::{
    faults::{Fault, RpcProxy},
    tools,
};
use tokio::io::AsyncWriteExt;

use crate::app::{Answer, Setup, TestApp};

sol! {
    function setup(address[] owners, uint256 threshold, address to, bytes data, address fallbackHandler,
        address paymentToken, uint256 payment, address paymentReceiver) external;
    function createProxyWithNonce(address singleton, bytes initializer, uint256 saltNonce) external returns (address);
    function proxyCreationCode() external view returns (bytes);
    function isValidSignature(bytes32 hash, bytes signature) external view returns (bytes4);
}

const ERC6492: B256 = B256::new(hex!("6492649264926492649264926492649264926492649264926492649264926492"));
const FACTORY: &str = "lib/node_modules/@safe-global/safe-contracts/build/artifacts/contracts/proxies/\
                       SafeProxyFactory.sol/SafeProxyFactory.json";

/// What the owners of a Safe sign when the Safe is asked for a message by ERC-1271, and their signatures in its form.
fn signed_by(app: &TestApp, safe: Address, message: &str, owners: &[&PrivateKeySigner]) -> Vec<u8> {
    let domain = keccak256("EIP712Domain(uint256 chainId,address verifyingContract)");
    let domain = keccak256((domain, U256::from(app.deployment.chain_id), safe).abi_encode());
    let contents = keccak256(eip191_hash_message(message).abi_encode());
    let contents = keccak256((keccak256("SafeMessage(bytes message)"), contents).abi_encode());
    let hash = keccak256([b"\x19\x01".as_slice(), domain.as_slice(), contents.as_slice()].concat());
    let mut owners = owners.to_vec();
    owners.sort_by_key(|owner| owner.address());
    owners.iter().flat_map(|owner| owner.sign_hash_sync(&hash).unwrap().as_bytes()).collect()
}

fn refused(answer: &Answer) -> (u16, &Value) {
    (answer.status, &answer.body["check"])
}

/// Code that answers each call with these bytes.
fn answering(bytes: &[u8]) -> Vec<u8> {
    let size = u8::try_from(bytes.len()).unwrap();
    // codecopy(0, 11, size); return(0, size)
    [[0x60, size].as_slice(), &hex!("600b5f39"), &[0x60, size], &hex!("5ff300"), bytes].concat()
}

#[tokio::test]
async fn a_safe_signs_in_by_as_many_owners_as_it_asks_for() {
    let app = TestApp::new().await;
    let (safe, owners) = (app.contracts.safe, app.owners.iter().collect::<Vec<_>>());
    let message = app.message(safe).await.text();
    let stranger = PrivateKeySigner::random();
    let sign = |owners: &[&PrivateKeySigner]| signed_by(&app, safe, &message, owners);
    let another = app.message(safe).await.text();
    for (what, signature) in [
        ("one owner", sign(&owners[..1])),
        ("one owner twice", sign(&[owners[0], owners[0]])),
        ("an owner and a stranger", sign(&[owners[0], &stranger])),
        ("two for another message", signed_by(&app, safe, &another, &owners[..2])),
        ("two for another Safe", signed_by(&app, Address::repeat_byte(1), &message, &owners[..2])),
        ("an owner's own, as of an account with a key", {
            owners[0].sign_message_sync(message.as_bytes()).unwrap().as_bytes().to_vec()
        }),
        ("none", Vec::new()),
    ] {
        assert_eq!(refused(&app.login_by(&message, &signature).await), (401, &json!("signature")), "{what}");
    }
    let answer = app.login_by(&message, &sign(&owners[1..])).await;
    assert_eq!((answer.status, &answer.body["wallet"]), (200, &json!(safe.to_checksum(None))), "{:?}", answer.body);
    let contacts = app.get("/v1/contacts", answer.body["token"].as_str().unwrap()).await;
    assert_eq!(contacts.status, 200);
    assert_eq!(refused(&app.login_by(&message, &sign(&owners[1..])).await), (401, &json!("nonce")), "and once");
}

/// A Safe of two owners that is not deployed: its address, and the call that deploys it.
struct Planned {
    factory: Address,
    address: Address,
    deploy: Vec<u8>,
}

async fn plan_safe(app: &TestApp, owners: &[&PrivateKeySigner]) -> Planned {
    let node = &app.anvil.node;
    let artifact = std::fs::read(tools::checkout().join(FACTORY)).unwrap();
    let artifact: Value = serde_json::from_slice(&artifact).unwrap();
    let creation: Bytes = artifact["bytecode"].as_str().unwrap().parse().unwrap();
    let factory = Address::repeat_byte(0xFA);
    let deployer = app.anvil.new_account().await.unwrap();
    let call = alloy::rpc::types::TransactionRequest::default().from(deployer.address()).input(creation.into());
    node.anvil_set_code(factory, node.call(call).await.unwrap()).await.unwrap();
    let slot = |slot: U256| async move {
        Address::from_word(node.get_storage_at(app.contracts.safe, slot).await.unwrap().into())
    };
    let singleton = slot(U256::ZERO).await;
    let handler = slot(keccak256("fallback_manager.handler.address").into()).await;
    let setup = setupCall {
        owners: owners.iter().map(|owner| owner.address()).collect(),
        threshold: U256::from(owners.len()),
        to: Address::ZERO,
        data: Bytes::new(),
        fallbackHandler: handler,
        paymentToken: Address::ZERO,
        payment: U256::ZERO,
        paymentReceiver: Address::ZERO,
    };
    let create =
        createProxyWithNonceCall { singleton, initializer: setup.abi_encode().into(), saltNonce: U256::from(7) };
    let call =
        |input: Vec<u8>| alloy::rpc::types::TransactionRequest::default().to(factory).input(Bytes::from(input).into());
    let deploy = create.abi_encode();
    let made = node.call(call(deploy.clone())).await.unwrap();
    let address = createProxyWithNonceCall::abi_decode_returns(&made).unwrap();
    Planned { factory, address, deploy }
}

fn wrapped(factory: Address, prepare: &[u8], signature: &[u8]) -> Vec<u8> {
    let fields = (factory, Bytes::copy_from_slice(prepare), Bytes::copy_from_slice(signature));
    [fields.abi_encode_params().as_slice(), ERC6492.as_slice()].concat()
}

#[tokio::test]
async fn an_account_signs_in_before_it_is_deployed_and_the_same_way_after() {
    let app = TestApp::new().await;
    let owners = [&PrivateKeySigner::random(), &PrivateKeySigner::random()];
    let planned = plan_safe(&app, &owners).await;
    let Planned { factory, address, deploy } = &planned;
    let message = app.message(*address).await.text();
    let right = signed_by(&app, *address, &message, &owners);
    // The third argument's last byte.
    let mut other_salt = deploy.clone();
    other_salt[4 + 3 * 32 - 1] ^= 1;
    let stranger = PrivateKeySigner::random();
    let by_stranger = signed_by(&app, *address, &message, &[owners[0], &stranger]);
    for (what, signature) in [
        ("without the deployment", right.clone()),
        ("by one owner", wrapped(*factory, deploy, &right[..65])),
        ("by an owner and a stranger", wrapped(*factory, deploy, &by_stranger)),
        ("with another deployment", wrapped(*factory, &other_salt, &right)),
        ("by a factory that is none", wrapped(Address::repeat_byte(2), deploy, &right)),
        ("with the mark and nothing else", ERC6492.to_vec()),
        ("with the mark behind half of the fields", [&wrapped(*factory, deploy, &right)[..96], &ERC6492[..]].concat()),
    ] {
        assert_eq!(refused(&app.login_by(&message, &signature).await), (401, &json!("signature")), "{what}");
    }
    let height = app.anvil.node.get_block_number().await.unwrap();
    let signature = wrapped(*factory, deploy, &right);
    let answer = app.login_by(&message, &signature).await;
    assert_eq!((answer.status, &answer.body["wallet"]), (200, &json!(address.to_checksum(None))), "{:?}", answer.body);
    assert!(app.anvil.node.get_code_at(*address).await.unwrap().is_empty(), "signing in deploys nothing");
    assert_eq!(app.anvil.node.get_block_number().await.unwrap(), height, "nor does it send anything");

    let anyone = app.anvil.new_account().await.unwrap();
    assert!(app.transact(&anyone, *factory, deploy.clone()).await.1);
    assert!(!app.anvil.node.get_code_at(*address).await.unwrap().is_empty());
    for signature in [false, true] {
        let message = app.message(*address).await.text();
        let plain = signed_by(&app, *address, &message, &owners);
        let signature = if signature { wrapped(*factory, deploy, &plain) } else { plain };
        assert_eq!(app.login_by(&message, &signature).await.status, 200);
    }
}

#[tokio::test]
async fn nobody_signs_in_as_an_account_that_a_factory_says_is_its_own() {
    let app = TestApp::new().await;
    let magic = isValidSignatureCall::SELECTOR;
    let yes = [magic.as_slice(), &[0; 28]].concat();
    let factory = Address::repeat_byte(0x77);
    app.anvil.node.anvil_set_code(factory, answering(&yes).into()).await.unwrap();
    // An account with a key, the contract that keeps everybody's codes, and each precompile.
    let victim = PrivateKeySigner::random().address();
    let precompiles = (1..=10).map(|n| Address::left_padding_from(&[n]));
    for account in [victim, app.deployment.verifier].into_iter().chain(precompiles) {
        let message = app.message(account).await.text();
        for signature in [wrapped(factory, b"deploy", b"x"), wrapped(account, b"deploy", b"x"), b"x".to_vec()] {
            let answer = app.login_by(&message, &signature).await;
            assert_eq!(refused(&answer), (401, &json!("signature")), "{account}: {:?}", answer.body);
        }
    }
}

#[tokio::test]
async fn what_an_account_says_counts_to_the_letter_and_cannot_make_the_question_fail() {
    let app = TestApp::new().await;
    let magic = isValidSignatureCall::SELECTOR;
    let yes = [magic.as_slice(), &[0; 28]].concat();
    let account = address!("00000000000000000000000000000000c0ffee00");
    for (what, code, status) in [
        ("the word", answering(&yes), 200),
        ("the word and more", answering(&[yes.as_slice(), &[7; 32]].concat()), 200),
        ("four bytes", answering(&magic), 401),
        ("the word with something behind it", answering(&[magic.as_slice(), &[1; 28]].concat()), 401),
        ("a true", answering(&U256::from(1).to_be_bytes::<32>()), 401),
        ("nothing", answering(&[]), 401),
        ("a revert with the word", hex!("631626ba7e60e01b5f5260205ffd").to_vec(), 401),
        ("a loop without end", hex!("5b5f56").to_vec(), 401),
        ("a million bytes", hex!("620f42405ff3").to_vec(), 401),
        ("an invalid instruction", hex!("fe").to_vec(), 401),
    ] {
        app.anvil.node.anvil_set_code(account, code.into()).await.unwrap();
        let message = app.message(account).await.text();
        let answer = app.login_by(&message, b"anything").await;
        assert_eq!(answer.status, status, "{what}: {:?}", answer.body);
    }
    let message = app.message(account).await.text();
    let answer = app.login_by(&message, &[0; 4_097]).await;
    assert_eq!(refused(&answer), (401, &json!("signature")), "longer than any signature");
}

#[tokio::test]
async fn while_the_chain_says_nothing_a_contract_account_waits_and_loses_nothing() {
    let app = TestApp::new().await;
    let proxy = RpcProxy::start(&app.anvil.url).await.unwrap();
    let node = testbed::anvil::connect(proxy.url()).unwrap();
    let mut app = app;
    app.serve(&Setup { node: Some(node), ..Setup::default() }).await;
    let safe = app.contracts.safe;
    let message = app.message(safe).await.text();
    let signature = signed_by(&app, safe, &message, &app.owners.iter().take(2).collect::<Vec<_>>());
    let faults: [fn(&RpcProxy); 5] = [
        |proxy| proxy.go_down(),
        |proxy| proxy.inject(Fault::Status(429, None).on("eth_call")),
        |proxy| proxy.inject(Fault::HalfJson.on("eth_call")),
        |proxy| proxy.inject(Fault::Result(json!("0x")).on("eth_call")),
        |proxy| proxy.inject(Fault::Result(json!("0x01")).on("eth_call")),
    ];
    for (number, fault) in faults.into_iter().enumerate() {
        fault(&proxy);
        let answer = app.login_by(&message, &signature).await;
        assert_eq!(answer.told(), (503, "chain-unavailable"), "{number}: {:?}", answer.body);
        assert_eq!(answer.header("retry-after"), "5");
        // Who has a key needs no chain.
        assert_eq!(app.login(&PrivateKeySigner::random(), "").await.status, 401);
        app.stranger().await;
        proxy.heal();
    }
    assert_eq!(app.login_by(&message, &signature).await.status, 200, "the nonce was not used up");
}

#[tokio::test]
async fn the_code_that_nodes_run_is_what_its_source_compiles_to() {
    let folder = tools::checkout().join("relayer/evm");
    let source = std::fs::read_to_string(folder.join("SignatureCheck.sol")).unwrap();
    let input = json!({
        "language": "Solidity",
        "sources": { "SignatureCheck.sol": { "content": source } },
        "settings": {
            "optimizer": { "enabled": true, "runs": 1 },
            // No instruction that a chain of ours could lack.
            "evmVersion": "paris",
            "metadata": { "appendCBOR": false, "bytecodeHash": "none" },
            "outputSelection": { "*": { "*": ["evm.bytecode.object"] } },
        },
    });
    let mut compiler = tokio::process::Command::new(tools::checkout().join("lib/solc"))
        .arg("--standard-json")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    compiler.stdin.take().unwrap().write_all(input.to_string().as_bytes()).await.unwrap();
    let output = tokio::time::timeout(Duration::from_secs(120), compiler.wait_with_output()).await.unwrap().unwrap();
    let output: Value = serde_json::from_slice(&output.stdout).unwrap();
    let code = &output["contracts"]["SignatureCheck.sol"]["SignatureCheck"]["evm"]["bytecode"]["object"];
    let committed = std::fs::read_to_string(folder.join("SignatureCheck.hex")).unwrap();
    assert_eq!(code, committed.trim(), "write this to relayer/evm/SignatureCheck.hex");
}
