//! Chains with so many events in so many blocks, made once and asked by everybody that is compared.

use std::{path::Path, time::Duration};

use alloy::{
    network::TransactionBuilder,
    primitives::{Address, B256, Bytes, U256, aliases::U40, keccak256, utils::parse_ether},
    providers::Provider,
    rpc::types::TransactionRequest,
    sol_types::{SolCall, SolValue},
};
use anyhow::{Context, Result, ensure};
use otp_core::{
    chain::Node,
    clock::now_ms,
    contract::{
        IOtpVerifier::Policy,
        OtpVerifier::{initializeCall, setOtpsCall, setPolicyCall},
    },
    id::Purpose,
};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};
use url::Url;

use crate::{
    anvil, ports,
    service::{Probe, Service, Spec},
    tools,
};

/// The chain id that anvil has by itself.
pub(super) const CHAIN_ID: u64 = 31_337;
const GOVERNOR: Address = Address::repeat_byte(0x60);
const ISSUER: Address = Address::repeat_byte(0x15);
const GAS: u64 = 4_000_000;
const MINED_WITHIN: Duration = Duration::from_secs(20);

/// What a chain is made of: `turns` times a block with a transaction for each of `batches`, and `empty` blocks after it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Shape {
    pub(super) name: &'static str,
    turns: u64,
    /// Ids in each transaction: one event more than ids.
    batches: &'static [u64],
    empty: u64,
}

/// 20,000 events in 2,000 blocks, 100,000 in 500, and 1,000 in 20,000.
pub(super) const SHAPES: [Shape; 3] = [
    Shape { name: "dense", turns: 2_000, batches: &[9], empty: 0 },
    Shape { name: "bulk", turns: 500, batches: &[79, 79, 39], empty: 0 },
    Shape { name: "sparse", turns: 100, batches: &[9], empty: 199 },
];

/// A chain at its node.
pub(super) struct Chain {
    pub(super) shape: Shape,
    pub(super) url: Url,
    pub(super) verifier: Address,
    pub(super) deployment_block: u64,
    pub(super) head: u64,
    /// What the contract logged that an indexer stores.
    pub(super) events: u64,
    node: Node,
    serial: u64,
    _anvil: Service,
}

impl Chain {
    /// Starts a node and makes the chain.
    pub(super) async fn make(shape: Shape, folder: &Path) -> Result<Self> {
        let port = ports::Ports::free()?.rpc();
        let url = ports::http(port)?;
        // So that its head is not in the future, which is further than any clock would be off.
        let blocks = i64::try_from(shape.turns * (1 + shape.empty) + 60)?;
        let (port, first_s) = (port.to_string(), (now_ms() / 1_000 - blocks).to_string());
        let args = ["--host", "127.0.0.1", "--port", &port, "--accounts", "0", "--no-mining", "--prune-history"];
        let more = ["--gas-limit", "300000000", "--timestamp", &first_s];
        let mut service = Service::new(Spec {
            name: "anvil",
            program: tools::foundry("anvil")?,
            args: args.into_iter().chain(more).map(Into::into).collect(),
            env: Vec::new(),
            log: folder.join(format!("{}-anvil.log", shape.name)),
            probe: Probe::Rpc(url.clone()),
        });
        service.start().await?;
        let node = anvil::connect(&url)?;
        let mut chain = Self {
            shape,
            url,
            verifier: Address::ZERO,
            deployment_block: 0,
            head: 0,
            events: 0,
            node,
            serial: 1,
            _anvil: service,
        };
        chain.deploy().await?;
        for turn in 0..shape.turns {
            chain.turn().await.with_context(|| format!("block {turn} of the {} chain", shape.name))?;
        }
        chain.head = chain.node.get_block_number().await?;
        Ok(chain)
    }

    async fn deploy(&mut self) -> Result<()> {
        let () = self.ask("anvil_autoImpersonateAccount", json!([true])).await?;
        for account in [GOVERNOR, ISSUER] {
            let funds: U256 = parse_ether("1000000")?;
            let () = self.ask("anvil_setBalance", json!([account, funds])).await?;
        }
        let implementation = self.create(bytecode("OtpVerifier")?).await?.0;
        let init = initializeCall { governor: GOVERNOR, guardian: GOVERNOR, issuers: vec![ISSUER] };
        let mut proxy = bytecode("ERC1967Proxy")?;
        proxy.extend((implementation, Bytes::from(init.abi_encode())).abi_encode_params());
        (self.verifier, self.deployment_block) = self.create(proxy).await?;
        let policy = Policy { ttl: 600, grace: 300, maxAttempts: 3, enabled: true };
        self.call(GOVERNOR, setPolicyCall { purpose: purpose()?, policy }.abi_encode()).await?;
        self.events += 1;
        self.mine(1).await
    }

    async fn create(&self, code: Vec<u8>) -> Result<(Address, u64)> {
        let transaction = TransactionRequest::default().with_from(GOVERNOR).with_deploy_code(code);
        let sent = self.node.send_transaction(transaction.with_gas_limit(GAS * 4)).await?;
        self.mine(1).await?;
        let deadline = Instant::now() + MINED_WITHIN;
        loop {
            if let Some(receipt) = self.node.get_transaction_receipt(*sent.tx_hash()).await? {
                ensure!(receipt.status(), "a contract could not be deployed");
                return receipt.contract_address.zip(receipt.block_number).context("no contract in the receipt");
            }
            ensure!(Instant::now() < deadline, "a deployment was not mined");
            sleep(Duration::from_millis(10)).await;
        }
    }

    async fn turn(&mut self) -> Result<()> {
        for size in self.shape.batches {
            let ids: Vec<B256> =
                (self.serial..self.serial + size).map(|serial| keccak256(serial.to_be_bytes())).collect();
            let first = U40::from(self.serial);
            let call = setOtpsCall { purpose: purpose()?, first, ids, deadline: u64::MAX };
            self.call(ISSUER, call.abi_encode()).await?;
            self.serial += size;
            self.events += size + 1;
        }
        self.mine(1 + self.shape.empty).await
    }

    async fn call(&self, from: Address, data: Vec<u8>) -> Result<()> {
        let transaction = TransactionRequest::default().with_from(from).with_to(self.verifier).with_input(data);
        drop(self.node.send_transaction(transaction.with_gas_limit(GAS)).await?);
        Ok(())
    }

    async fn mine(&self, blocks: u64) -> Result<()> {
        self.ask("anvil_mine", json!([format!("{blocks:#x}")])).await
    }

    async fn ask(&self, method: &'static str, parameters: Value) -> Result<()> {
        let _: Value = self.node.raw_request(method.into(), parameters).await?;
        Ok(())
    }
}

fn purpose() -> Result<B256> {
    let purpose: Purpose = "login".parse().map_err(|e| anyhow::anyhow!("the purpose: {e}"))?;
    Ok(purpose.bytes32())
}

fn bytecode(contract: &str) -> Result<Vec<u8>> {
    let path = tools::checkout().join(format!("out/{contract}.sol/{contract}.json"));
    let text = std::fs::read(&path).with_context(|| format!("{}: run `make build`", path.display()))?;
    let artifact: Value = serde_json::from_slice(&text)?;
    let code: Bytes = artifact["bytecode"]["object"].as_str().context("an artifact without code")?.parse()?;
    Ok(code.to_vec())
}
