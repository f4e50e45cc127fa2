//! Logs: one JSON object a line on standard error, or plain text where a terminal reads along. docs/LOGGING.md says how.
//!
//! What is never logged: codes, digits, keys, seeds, tokens, contacts. Types that hold them print `[redacted]`.

use std::{
    io::{IsTerminal, stderr},
    panic,
};

use tracing::{
    Event, Subscriber,
    field::{Field, Visit},
};
use tracing_subscriber::{
    EnvFilter, Layer, fmt,
    layer::{Context, SubscriberExt},
    util::SubscriberInitExt,
};

use crate::metrics::SECURITY_EVENTS;

/// The target of security events.
const SECURITY: &str = "security";

/// Starts logging; call once, from main. `filter` is a level or a list of `target=level` as `tracing` has it; security
/// events pass it unless it names their target.
///
/// # Errors
/// When the filter does not parse or logging was started before.
pub fn init(filter: &str) -> anyhow::Result<()> {
    let filter = EnvFilter::try_new(format!("{SECURITY}=info,{filter}"))?;
    let registry = tracing_subscriber::registry().with(filter).with(CountSecurity);
    if stderr().is_terminal() {
        registry.with(fmt::layer().with_writer(stderr)).try_init()?;
    } else {
        registry.with(fmt::layer().json().flatten_event(true).with_writer(stderr)).try_init()?;
    }
    // The place alone: a panic's own text repeats whatever value did not suit.
    panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string);
        tracing::error!(place, "a panic");
    }));
    Ok(())
}

/// Counts security events, so that no place that logs one can forget to.
struct CountSecurity;

impl<S: Subscriber> Layer<S> for CountSecurity {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        if event.metadata().target() == SECURITY {
            event.record(&mut Count);
        }
    }
}

struct Count;

impl Visit for Count {
    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "event" {
            metrics::counter!(SECURITY_EVENTS, "event" => value.to_owned()).increment(1);
        }
    }

    fn record_debug(&mut self, _: &Field, _: &dyn std::fmt::Debug) {}
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::Recorder;

    #[test]
    fn security_events_are_counted_by_name() {
        let recorder = Recorder::install().unwrap();
        tracing::subscriber::with_default(tracing_subscriber::registry().with(CountSecurity), || {
            tracing::info!(target: "security", event = "test-event", account_id = 5, "something happened");
            tracing::info!(event = "no-security", "something else");
        });
        let text = recorder.render();
        assert!(text.contains("otp_security_events_total{event=\"test-event\"} 1"), "{text}");
        assert!(!text.contains("no-security"), "{text}");
    }
}
