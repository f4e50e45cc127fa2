//! TLS by rustls, with certificates that can be renewed while serving.

use std::{
    fs, io,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant, SystemTime},
};

use anyhow::Context;
use tokio_rustls::{
    TlsAcceptor,
    rustls::{
        ServerConfig,
        crypto::aws_lc_rs,
        pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    },
};

/// How often, at most, it is looked whether the files have changed.
const LOOK_EVERY: Duration = Duration::from_secs(10);

/// Where certificate and key are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsFiles {
    /// The chain in PEM, the server's own certificate first.
    pub certificate: PathBuf,
    /// Its private key in PEM.
    pub key: PathBuf,
}

/// Certificate and key, read anew when their files change. A pair that does not load is logged, and the one before it
/// stays in use.
pub struct Tls {
    files: TlsFiles,
    current: Mutex<Current>,
}

struct Current {
    acceptor: TlsAcceptor,
    changed: Option<SystemTime>,
    looked: Instant,
}

impl Tls {
    /// Reads the files.
    ///
    /// # Errors
    /// When they cannot be read, hold no certificate or key, or these do not belong together.
    pub fn open(files: TlsFiles) -> anyhow::Result<Self> {
        let (changed, acceptor) = (files.changed().ok(), files.acceptor()?);
        Ok(Self { files, current: Mutex::new(Current { acceptor, changed, looked: Instant::now() }) })
    }

    /// What the next connection is accepted with.
    pub(super) fn acceptor(&self) -> TlsAcceptor {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        if current.looked.elapsed() >= LOOK_EVERY {
            current.looked = Instant::now();
            self.renew(&mut current);
        }
        current.acceptor.clone()
    }

    fn renew(&self, current: &mut Current) {
        let changed = self.files.changed().ok();
        if changed.is_none() || changed == current.changed {
            return;
        }
        match self.files.acceptor() {
            Ok(acceptor) => {
                current.acceptor = acceptor;
                current.changed = changed;
                tracing::info!(certificate = %self.files.certificate.display(), "the TLS certificate was renewed");
            }
            // Certificate and key are two files: the next look finds both.
            Err(error) => tracing::warn!(error = format!("{error:#}"), "the new TLS certificate is of no use yet"),
        }
    }
}

impl TlsFiles {
    /// When the later of the two was written.
    fn changed(&self) -> io::Result<SystemTime> {
        let changed = |path: &PathBuf| fs::metadata(path)?.modified();
        Ok(changed(&self.certificate)?.max(changed(&self.key)?))
    }

    fn acceptor(&self) -> anyhow::Result<TlsAcceptor> {
        let (certificate, key) = (self.certificate.display(), self.key.display());
        let chain = CertificateDer::pem_file_iter(&self.certificate)
            .and_then(Iterator::collect::<Result<Vec<_>, _>>)
            .with_context(|| format!("http.tls_certificate: {certificate} is no PEM file of certificates"))?;
        let private = PrivateKeyDer::from_pem_file(&self.key)
            .with_context(|| format!("http.tls_key: {key} is no PEM file with a private key"))?;
        let mut config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(chain, private)
            .with_context(|| format!("the certificate {certificate} and the key {key} do not fit together"))?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(TlsAcceptor::from(Arc::new(config)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn certify(files: &TlsFiles) {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        fs::write(&files.certificate, made.cert.pem()).unwrap();
        fs::write(&files.key, made.signing_key.serialize_pem()).unwrap();
    }

    fn files(folder: &tempfile::TempDir) -> TlsFiles {
        let files = TlsFiles { certificate: folder.path().join("cert.pem"), key: folder.path().join("key.pem") };
        certify(&files);
        files
    }

    #[test]
    fn what_cannot_serve_is_refused_at_start_and_the_file_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let files = files(&folder);
        assert!(Tls::open(files.clone()).is_ok());
        let key = fs::read(&files.key).unwrap();
        fs::write(&files.key, b"nonsense").unwrap();
        let error = |files: TlsFiles| format!("{:#}", Tls::open(files).err().unwrap());
        assert!(error(files.clone()).contains("http.tls_key"));
        fs::write(&files.key, key).unwrap();
        let other = tempfile::tempdir().unwrap();
        let stranger = TlsFiles { key: self::files(&other).key, ..files.clone() };
        assert!(error(stranger).contains("do not fit together"));
        fs::remove_file(&files.certificate).unwrap();
        assert!(error(files).contains("http.tls_certificate"));
    }

    #[test]
    fn a_renewed_certificate_is_taken_and_a_broken_one_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let tls = Tls::open(files(&folder)).unwrap();
        let config = || Arc::as_ptr(tls.acceptor().config());
        let look = |tls: &Tls| {
            let mut current = tls.current.lock().unwrap();
            // As if the files had been written at another time, whatever the file system's resolution.
            current.changed = None;
            current.looked -= LOOK_EVERY;
        };
        let first = config();
        fs::write(&tls.files.key, b"half written").unwrap();
        look(&tls);
        assert_eq!(config(), first);
        certify(&tls.files);
        assert_eq!(config(), first, "looked again too soon");
        look(&tls);
        assert_ne!(config(), first);
    }
}
