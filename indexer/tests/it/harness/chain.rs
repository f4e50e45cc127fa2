//! anvil with the verifier behind a proxy; every role is anvil's first account, the issuer its second.

use std::process::Command;

use alloy::{
    network::TransactionBuilder,
    primitives::{Address, B256, Bytes},
    providers::Provider,
    rpc::types::{TransactionReceipt, TransactionRequest},
    sol_types::{SolCall, SolValue},
};
use otp_core::{
    chain::{self, Node, RpcConfig},
    contract::{
        IOtpVerifier::{Policy, Ticket},
        OtpVerifier::{self, initializeCall, setPolicyCall},
    },
    id::{Deployment, Purpose},
};
use serde_json::{Value, json};

use super::{Issued, Process, checkout, free_port, start};

pub(crate) struct Chain {
    _anvil: Process,
    pub(crate) url: String,
    pub(crate) node: Node,
    pub(crate) deployment: Deployment,
    pub(crate) deployment_block: u64,
    pub(crate) governor: Address,
    pub(crate) issuer: Address,
    /// Has ISSUER_ROLE too, and is not ours.
    pub(crate) stranger: Address,
}

/// A node on another branch.
pub(crate) struct Fork {
    _anvil: Process,
    pub(crate) url: String,
}

impl Chain {
    pub(crate) fn purpose() -> Purpose {
        "withdraw".parse().unwrap()
    }

    pub(crate) async fn start() -> Self {
        Self::start_at(None).await
    }

    /// `timestamp`: the genesis block's, in Unix seconds.
    pub(crate) async fn start_at(timestamp: Option<u64>) -> Self {
        let arguments = timestamp.map(|timestamp| ["--timestamp".to_owned(), timestamp.to_string()]);
        let (anvil, url) = anvil(arguments.as_slice().as_flattened());
        let node = connect(&url);
        let accounts: Vec<Address> = node.get_accounts().await.unwrap();
        let [governor, issuer, stranger] = accounts[..3] else { panic!("anvil has accounts") };
        let deployment = Deployment { chain_id: 31_337, verifier: Address::ZERO };
        let mut chain = Self { _anvil: anvil, url, node, deployment, deployment_block: 0, governor, issuer, stranger };
        chain.deploy().await;
        chain
    }

    async fn deploy(&mut self) {
        let implementation = self.create(bytecode("OtpVerifier"), &[]).await.contract_address.unwrap();
        let init = initializeCall {
            governor: self.governor,
            guardian: self.governor,
            issuers: vec![self.issuer, self.stranger],
        };
        let arguments = (implementation, Bytes::from(init.abi_encode())).abi_encode_params();
        let receipt = self.create(bytecode("ERC1967Proxy"), &arguments).await;
        self.deployment.verifier = receipt.contract_address.unwrap();
        self.deployment_block = receipt.block_number.unwrap();
        let policy = Policy { ttl: 600, grace: 300, maxAttempts: 3, enabled: true };
        let call = setPolicyCall { purpose: Self::purpose().bytes32(), policy };
        assert!(self.call(self.governor, call.abi_encode()).await.status());
    }

    async fn create(&self, mut code: Vec<u8>, arguments: &[u8]) -> TransactionReceipt {
        code.extend(arguments);
        self.send(TransactionRequest::default().with_from(self.governor).with_deploy_code(code)).await
    }

    /// Another contract from forge's artifacts.
    pub(crate) async fn deploy_beside(&self, contract: &str, arguments: &[u8]) -> Address {
        self.create(bytecode(contract), arguments).await.contract_address.unwrap()
    }

    /// Sends what may revert: with its gas given, no node asks whether it will.
    pub(crate) async fn call_anyway(&self, from: Address, data: Vec<u8>, gas: u64) -> TransactionReceipt {
        let to = self.deployment.verifier;
        let request = TransactionRequest::default().with_from(from).with_to(to).with_input(data);
        self.send(request.with_gas_limit(gas)).await
    }

    /// Any account can send, as a wallet that its owner unlocked.
    pub(crate) async fn unlock(&self, wallet: Address) {
        self.ask("anvil_impersonateAccount", json!([wallet])).await;
        self.ask("anvil_setBalance", json!([wallet, "0xde0b6b3a7640000"])).await;
    }

    pub(crate) async fn call(&self, from: Address, data: Vec<u8>) -> TransactionReceipt {
        let to = self.deployment.verifier;
        self.send(TransactionRequest::default().with_from(from).with_to(to).with_input(data)).await
    }

    async fn send(&self, transaction: TransactionRequest) -> TransactionReceipt {
        self.node.send_transaction(transaction).await.unwrap().get_receipt().await.unwrap()
    }

    pub(crate) async fn set_otps(&self, issuer: Address, first: u64, ids: &[B256]) -> TransactionReceipt {
        let receipt = self.call(issuer, Self::set_call(first, ids)).await;
        assert!(receipt.status());
        receipt
    }

    pub(crate) fn ticket(&self, issued: &Issued) -> Ticket {
        Ticket {
            id: issued.id,
            issuer: self.issuer,
            purpose: Self::purpose().bytes32(),
            serial: issued.serial.try_into().unwrap(),
            proof: issued.proof.clone(),
        }
    }

    pub(crate) async fn ask(&self, method: &'static str, parameters: Value) -> Value {
        self.node.raw_request(method.into(), parameters).await.unwrap()
    }

    /// Replaces the last `depth` blocks by as many empty ones.
    pub(crate) async fn reorg(&self, depth: u64) {
        self.ask("anvil_reorg", json!([depth, []])).await;
    }

    /// Replaces the last `depth` blocks; these issuances are in the first one of the new blocks.
    pub(crate) async fn reorg_with(&self, depth: u64, issuances: &[&Issued]) {
        let calls = issuances.iter().map(|issued| (Self::set_call(issued.serial, &[issued.id]), 0));
        self.reorg_to(depth, calls).await;
    }

    /// Replaces the last `depth` blocks; the issuer's calls to the verifier are in those of the new blocks that they name.
    pub(crate) async fn reorg_to(&self, depth: u64, calls: impl Iterator<Item = (Vec<u8>, u64)>) {
        let with = calls.map(|(data, block)| {
            let data = Bytes::from(data);
            json!([{ "from": self.issuer, "to": self.deployment.verifier, "data": data, "gas": "0x300000" }, block])
        });
        self.ask("anvil_reorg", json!([depth, with.collect::<Vec<_>>()])).await;
    }

    /// The call data of an issuance.
    pub(crate) fn set_call(first: u64, ids: &[B256]) -> Vec<u8> {
        let call = OtpVerifier::setOtpsCall {
            purpose: Self::purpose().bytes32(),
            first: first.try_into().unwrap(),
            ids: ids.to_vec(),
            deadline: u64::MAX,
        };
        call.abi_encode()
    }

    /// Another node that has all but the last `depth` blocks, and as many empty ones in their place.
    pub(crate) async fn fork(&self, depth: u64) -> Fork {
        let block = self.head().await - depth;
        let arguments = ["--fork-url", &self.url, "--fork-block-number", &block.to_string()].map(str::to_owned);
        let (anvil, url) = anvil(&arguments);
        let node = connect(&url);
        node.raw_request::<_, Value>("anvil_mine".into(), json!([format!("{depth:#x}")])).await.unwrap();
        Fork { _anvil: anvil, url }
    }

    pub(crate) async fn mine(&self, blocks: u64) {
        self.ask("anvil_mine", json!([format!("{blocks:#x}")])).await;
    }

    pub(crate) async fn head(&self) -> u64 {
        self.node.get_block_number().await.unwrap()
    }
}

fn connect(url: &str) -> Node {
    chain::connect(&RpcConfig::one(url.parse().unwrap()), 31_337).unwrap().0
}

fn anvil(arguments: &[String]) -> (Process, String) {
    let port = free_port();
    let mut command = Command::new(checkout("lib/node_modules/@foundry-rs/anvil-linux-amd64/bin/anvil"));
    command.args(["--port", &port.to_string()]).args(arguments);
    (start(&mut command, "Listening on"), format!("http://127.0.0.1:{port}"))
}

fn bytecode(contract: &str) -> Vec<u8> {
    let path = checkout(&format!("out/{contract}.sol/{contract}.json"));
    let artifact: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    artifact["bytecode"]["object"].as_str().unwrap().parse::<Bytes>().unwrap().to_vec()
}
