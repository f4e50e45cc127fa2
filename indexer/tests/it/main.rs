//! The indexer against the real thing: anvil with the deployed contract, maildev, a SQLite file. One file per kind of
//! failure.

#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail by panicking, as tests do")]

mod api;
mod audit_files;
mod bad_input;
mod bounces;
mod changes;
mod clock;
mod commands;
mod deleted_meanwhile;
mod delivery;
mod depth;
mod disk;
mod evidence;
mod evidence_bucket;
mod fallback;
mod figures;
mod finality;
mod full_disk;
mod harness;
mod heads;
mod inapp;
mod languages;
mod node_faults;
mod ops;
mod process;
mod ranges;
mod recovery;
mod reorg;
mod reorg_backfill;
mod simulation;
mod sms;
mod sms_callbacks;
mod smtp_faults;
mod tls_errors;
mod webhook;
