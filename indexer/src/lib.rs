//! The indexer: chain → database → inbox. It tails the verifier's logs, keeps them with the deliveries that they call
//! for in one transaction, and sends each code once its commitment stands on the canonical chain.

pub mod api;
pub mod audit;
pub mod bounces;
pub mod calls;
pub mod channel;
pub mod commands;
pub mod compose;
pub mod config;
pub mod csv;
pub mod decode;
pub mod deliver;
pub mod evidence;
pub mod figures;
pub mod finality;
pub mod governance;
pub mod heads;
pub mod inquiry;
pub mod keys;
pub mod lock;
pub mod mail;
pub mod phrases;
pub mod progress;
pub mod run;
pub mod source;
pub mod stats;
pub mod tail;
pub mod timelock;
mod tls;
