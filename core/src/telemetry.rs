//! Logs: one JSON object a line on standard error, or plain text where a terminal reads along.
//!
//! What is never logged: codes, digits, keys, seeds, tokens, contacts. Types that hold them print `[redacted]`.

use std::io::{IsTerminal, stderr};

use tracing_subscriber::{EnvFilter, fmt, layer::SubscriberExt, util::SubscriberInitExt};

/// Starts logging; call once, from main. `filter` is a level or a list of `target=level` as `tracing` has it.
///
/// # Errors
/// When the filter does not parse or logging was started before.
pub fn init(filter: &str) -> anyhow::Result<()> {
    let filter = EnvFilter::try_new(filter)?;
    let registry = tracing_subscriber::registry().with(filter);
    if stderr().is_terminal() {
        registry.with(fmt::layer().with_writer(stderr)).try_init()?;
    } else {
        registry.with(fmt::layer().json().flatten_event(true).with_writer(stderr)).try_init()?;
    }
    Ok(())
}
