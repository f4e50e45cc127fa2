//! What happens on the chain without the relayer: blocks, reorgs, other people's transactions.

use alloy::{
    eips::BlockNumberOrTag,
    network::{EthereumWallet, NetworkTransactionBuilder, TransactionBuilder},
    primitives::{Address, B256},
    providers::{Provider, ext::AnvilApi},
    rpc::types::TransactionRequest,
    signers::local::PrivateKeySigner,
};
use testbed::anvil::fund;

use super::World;

impl World {
    pub(crate) async fn mine(&self) {
        self.anvil.node.anvil_mine(Some(1), None).await.unwrap();
    }

    pub(crate) async fn mine_many(&self, blocks: u64) {
        self.anvil.node.anvil_mine(Some(blocks), None).await.unwrap();
    }

    /// Replaces the last blocks by as many empty ones.
    pub(crate) async fn reorg(&self, depth: u64) {
        let options = serde_json::json!([depth, []]);
        let _: serde_json::Value = self.anvil.node.raw_request("anvil_reorg".into(), options).await.unwrap();
    }

    /// A transaction of the timelock, which holds the governor's rights.
    pub(crate) async fn govern(&self, input: Vec<u8>) {
        let (node, governor) = (&self.anvil.node, self.deployment.timelock);
        fund(node, governor).await.unwrap();
        node.anvil_impersonate_account(governor).await.unwrap();
        let call = TransactionRequest::default()
            .with_from(governor)
            .with_to(self.deployment.verifier)
            .with_input(input)
            .with_gas_limit(500_000);
        let hash = *node.send_transaction(call).await.unwrap().tx_hash();
        self.mine().await;
        assert!(node.get_transaction_receipt(hash).await.unwrap().unwrap().status(), "governance reverted");
    }

    pub(crate) async fn base_fee_wei(&self) -> u128 {
        let block = self.anvil.node.get_block_by_number(BlockNumberOrTag::Latest).await.unwrap().unwrap();
        block.header.base_fee_per_gas.unwrap().into()
    }

    pub(crate) async fn head_time_s(&self) -> u64 {
        let block = self.anvil.node.get_block_by_number(BlockNumberOrTag::Latest).await.unwrap().unwrap();
        block.header.timestamp
    }

    /// Hashes of the issuer's transactions in the pool.
    pub(crate) async fn pooled(&self) -> Vec<B256> {
        let content: serde_json::Value = self.anvil.node.raw_request("txpool_content".into(), ()).await.unwrap();
        let mut hashes = Vec::new();
        for kind in ["pending", "queued"] {
            for transaction in
                content[kind].as_object().unwrap().values().flat_map(|by| by.as_object().unwrap().values())
            {
                hashes.push(transaction["hash"].as_str().unwrap().parse().unwrap());
            }
        }
        hashes
    }

    /// Takes a transaction out of the pool, as a node does that restarts or is short of room.
    pub(crate) async fn drop_from_pool(&self, hash: B256) {
        self.anvil.node.anvil_drop_transaction(hash).await.unwrap();
    }

    /// A transfer of the signer at this nonce, through a node of the test's choice.
    pub(crate) async fn send_through(
        &self,
        node: &otp_core::chain::Node,
        signer: &PrivateKeySigner,
        nonce: u64,
    ) -> B256 {
        let request = TransactionRequest::default()
            .with_to(self.wallet)
            .with_nonce(nonce)
            .with_chain_id(self.deployment.chain_id)
            .with_gas_limit(21_000)
            .with_max_fee_per_gas(8_000_000_000)
            .with_max_priority_fee_per_gas(2_000_000_000);
        let envelope = request.build(&EthereumWallet::from(signer.clone())).await.unwrap();
        *node.send_tx_envelope(envelope).await.unwrap().tx_hash()
    }

    /// Sends a transaction of an account that is ours.
    pub(crate) async fn send_as(&self, signer: &PrivateKeySigner, to: Address, input: Vec<u8>) -> B256 {
        let node = &self.anvil.node;
        fund(node, signer.address()).await.unwrap();
        let request = TransactionRequest::default()
            .with_to(to)
            .with_input(input)
            .with_nonce(node.get_transaction_count(signer.address()).await.unwrap())
            .with_chain_id(self.deployment.chain_id)
            .with_gas_limit(500_000)
            .with_max_fee_per_gas(100_000_000_000)
            .with_max_priority_fee_per_gas(2_000_000_000);
        let envelope = request.build(&EthereumWallet::from(signer.clone())).await.unwrap();
        *node.send_tx_envelope(envelope).await.unwrap().tx_hash()
    }
}
