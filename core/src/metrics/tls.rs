//! Failures of TLS, found beneath whatever a client makes of them.

use std::{error::Error, io};

use tokio_rustls::rustls;

use super::TLS_ERRORS;

/// Counts a failed connection to a provider if TLS is what failed; `error` may have it anywhere beneath.
pub fn note_tls_error(provider: &'static str, error: &(dyn Error + 'static)) {
    let mut next = Some(error);
    while let Some(error) = next {
        // An I/O error holds what it wraps beside its source.
        let wrapped = error.downcast_ref::<io::Error>().and_then(|error| error.get_ref());
        if error.is::<rustls::Error>() || wrapped.is_some_and(|wrapped| wrapped.is::<rustls::Error>()) {
            metrics::counter!(TLS_ERRORS, "provider" => provider).increment(1);
            return;
        }
        next = error.source();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::Recorder;

    #[derive(Debug, thiserror::Error)]
    #[error("a client's error")]
    struct Outer(#[source] io::Error);

    #[test]
    fn a_failure_of_tls_is_found_beneath_a_clients_error_and_nothing_else_is() {
        let recorder = Recorder::install().unwrap();
        let expired = rustls::Error::InvalidCertificate(rustls::CertificateError::Expired);
        note_tls_error("test", &Outer(io::Error::new(io::ErrorKind::InvalidData, expired)));
        note_tls_error("test", &Outer(io::Error::from(io::ErrorKind::ConnectionRefused)));
        assert!(recorder.render().contains("otp_tls_errors_total{provider=\"test\"} 1\n"));
    }
}
