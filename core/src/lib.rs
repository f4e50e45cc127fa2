//! What both daemons agree on.
//!
//! Pure parts (no runtime, no store): [`code`], [`id`], [`merkle`], [`authorization`], [`evidence`], [`inapp`], [`language`], [`secret`],
//! [`config`].
//! Parts with effects: [`seal`] (keys), [`store`] (SQLite; all SQL lives there), [`chain`] (RPC), [`http`], [`metrics`],
//! [`telemetry`].

pub mod authorization;
pub mod chain;
pub mod cli;
pub mod clock;
pub mod code;
pub mod config;
pub mod consumer;
pub mod contact;
pub mod contract;
pub mod evidence;
pub mod failpoint;
pub mod http;
pub mod id;
pub mod inapp;
pub mod language;
pub mod merkle;
pub mod metrics;
pub mod seal;
pub mod secret;
pub mod store;
pub mod tasks;
pub mod telemetry;
pub mod ticket;
