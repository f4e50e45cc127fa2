//! The indexer against the real thing: anvil with the deployed contract, maildev, a SQLite file. One file per kind of
//! failure.

#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail by panicking, as tests do")]

mod api;
mod changes;
mod commands;
mod delivery;
mod harness;
mod node_faults;
mod process;
mod reorg;
