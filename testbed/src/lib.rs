//! The whole system on one machine: anvil, the deployment, a mailbox and both daemons on loopback. The demo, the
//! end-to-end tests and the benchmarks stand on the same parts.
//!
//! [`stack::Stack`] brings everything up and down; [`client::Client`] speaks to the relayer as a wallet does;
//! [`mailbox::Mailbox`] reads the mail; [`wallet::Wallet`] and [`vault::Vault`] act on the chain; [`faults::RpcProxy`] is a
//! node that answers badly.

pub mod anvil;
pub mod bench;
pub mod client;
pub mod control;
mod daemons;
pub mod demo;
pub mod deployment;
pub mod description;
pub mod faults;
pub mod kms;
pub mod mailbox;
pub mod ports;
pub mod random;
pub mod s3;
pub mod service;
pub mod stack;
pub mod tools;
pub mod vault;
pub mod wallet;
