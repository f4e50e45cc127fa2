//! The relayer's HTTP interface on a random port, with a database of its own and the deployed contract on a real chain.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "in a test, they are its failure")]

mod app;
mod bodies;
mod chain;
mod changes;
mod contacts;
mod contract_accounts;
mod delays;
mod device;
mod events;
mod guesses;
mod inapp;
mod limits;
mod login;
mod message;
mod operate;
mod otps;
mod pages;
mod reports;
mod sessions;
mod sponsoring;
mod timing;
mod unlock;
