//! Failures of TLS, found beneath whatever a client makes of them.

use std::{error::Error, io};

use tokio_rustls::rustls;

use super::TLS_ERRORS;

/// Counts a failed connection to a provider if TLS is what failed; `error` may have it anywhere beneath.
pub fn note_tls_error(provider: &'static str, error: &(dyn Error + 'static)) {
    let mut next = Some(error);
    while let Some(error) = next {
        if error.is::<rustls::Error>() {
            metrics::counter!(TLS_ERRORS, "provider" => provider).increment(1);
            return;
        }
        // An I/O error's source is that of what it wraps, so what it wraps has to be asked for: it can be one, too.
        let wrapped = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        next = match wrapped {
            Some(wrapped) => Some(wrapped as &(dyn Error + 'static)),
            None => error.source(),
        };
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
        note_tls_error("test", &Outer(io::Error::other("no TLS")));
        assert!(recorder.render().contains("otp_tls_errors_total{provider=\"test\"} 1\n"));
        let bad_record = rustls::Error::InvalidMessage(rustls::InvalidMessage::InvalidContentType);
        note_tls_error("test", &Outer(io::Error::other(io::Error::new(io::ErrorKind::InvalidData, bad_record))));
        assert!(recorder.render().contains("otp_tls_errors_total{provider=\"test\"} 2\n"), "one within another");
    }
}
