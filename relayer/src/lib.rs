//! The relayer: HTTP → store → KMS → chain. It signs people in, takes their requests, counts their guesses, and commits
//! codes with `setOtps` transactions. It never sends a message: the indexer does, once the code is on the chain.

pub mod api;
pub mod chain_view;
pub mod changes;
pub mod commands;
pub mod config;
pub mod housekeeping;
pub mod issuing;
pub mod keystore;
pub mod limits;
pub mod serve;
pub mod signer;
pub mod typed;
pub mod warnings;
