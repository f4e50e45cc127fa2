//! The indexer: chain → database → inbox. It tails the verifier's logs, keeps them with the deliveries that they call
//! for in one transaction, and sends each code once its commitment stands on the canonical chain.

pub mod config;
pub mod mail;
