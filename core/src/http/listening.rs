//! `http.*` as both daemons have it: which ports, and how what goes over them is protected.

use std::{net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

use super::{Door, Tls, TlsFiles, bind};
use crate::config::Reader;

/// The ports of a daemon.
#[derive(Debug, Clone)]
pub struct Listening {
    /// `http.listen`
    pub listen: SocketAddr,
    /// `http.admin_listen`
    pub admin_listen: SocketAddr,
    /// `http.admin_token_file`
    pub admin_token_file: PathBuf,
    /// `http.tls_certificate` and `http.tls_key`
    pub tls: Option<TlsFiles>,
    /// `http.behind_proxy`: whether a proxy in front speaks TLS with the clients.
    pub behind_proxy: bool,
    /// `http.lame_duck_ms`: how long a daemon that was told to end says so before it takes no more.
    pub lame_duck: Duration,
}

/// Where a daemon listens unless it is told otherwise.
#[derive(Debug, Clone, Copy)]
pub struct Ports {
    /// `http.listen`
    pub listen: &'static str,
    /// `http.admin_listen`
    pub admin_listen: &'static str,
    /// `http.admin_token_file`
    pub admin_token_file: &'static str,
}

impl Listening {
    /// Reads the section; faults where something would go over a network in clear that nobody declared.
    pub fn read(reader: &mut Reader, defaults: Ports) -> Option<Self> {
        let listen = reader.or("http.listen", defaults.listen);
        let admin_listen = reader.or("http.admin_listen", defaults.admin_listen);
        let admin_token_file = reader.or("http.admin_token_file", defaults.admin_token_file);
        let certificate = reader.optional("http.tls_certificate");
        let key = reader.optional("http.tls_key");
        let behind_proxy = reader.or("http.behind_proxy", "false");
        let admin_in_clear = reader.or("http.admin_in_clear", "false");
        let lame_duck = reader.millis("http.lame_duck_ms", "2000", 0..=60_000);
        let tls = match (certificate?, key?) {
            (Some(certificate), Some(key)) => Some(TlsFiles { certificate, key }),
            (None, None) => None,
            _ => {
                reader.fault("http.tls_certificate and http.tls_key: set both or neither");
                return None;
            }
        };
        let (listen, admin_listen): (SocketAddr, SocketAddr) = (listen?, admin_listen?);
        let (behind_proxy, admin_in_clear): (bool, bool) = (behind_proxy?, admin_in_clear?);
        if !listen.ip().is_loopback() && tls.is_none() && !behind_proxy {
            reader.fault(
                "http.listen is not loopback: set http.tls_certificate and http.tls_key, or http.behind_proxy where a \
                 proxy speaks TLS with the clients",
            );
        }
        if !admin_listen.ip().is_loopback() && tls.is_none() && !admin_in_clear {
            reader.fault(
                "http.admin_listen is not loopback, and its token would go over the network in clear: set loopback, \
                 http.tls_certificate and http.tls_key, or http.admin_in_clear if that network is yours alone",
            );
        }
        Some(Self {
            listen,
            admin_listen,
            admin_token_file: admin_token_file?,
            tls,
            behind_proxy,
            lame_duck: lame_duck?,
        })
    }

    /// Whether the public port's clients speak TLS, with us or with the proxy before us.
    #[must_use]
    pub const fn is_public_tls(&self) -> bool {
        self.tls.is_some() || self.behind_proxy
    }

    /// Whether the admin port is TLS: on loopback the command line reads it in clear.
    #[must_use]
    pub fn is_admin_tls(&self) -> bool {
        self.tls.is_some() && !self.admin_listen.ip().is_loopback()
    }

    /// Binds both ports.
    ///
    /// # Errors
    /// When one is taken, or the certificate is of no use.
    pub async fn bind(&self) -> anyhow::Result<(Door, Door)> {
        let tls = self.tls.clone().map(Tls::open).transpose()?.map(Arc::new);
        let admin_tls = tls.clone().filter(|_| self.is_admin_tls());
        // On loopback and behind a proxy, all clients have one address.
        let is_shared = !self.behind_proxy && !self.listen.ip().is_loopback();
        let public = Door::new("public", bind(self.listen).await?, tls).shared(is_shared);
        Ok((public, Door::new("admin", bind(self.admin_listen).await?, admin_tls)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEFAULTS: Ports =
        Ports { listen: "127.0.0.1:1", admin_listen: "127.0.0.1:2", admin_token_file: "admin.token" };

    fn read(text: &str) -> Result<Listening, String> {
        let mut reader = Reader::new(&format!("[http]\n{text}"), [], "APP");
        let listening = Listening::read(&mut reader, DEFAULTS);
        reader.finish(listening).map_err(|faults| faults.to_string())
    }

    #[test]
    fn nothing_goes_over_a_network_in_clear_unless_somebody_says_so() {
        const TLS: &str = "tls_certificate = 'a'\ntls_key = 'b'\n";
        let public = "listen = '0.0.0.0:1'\n";
        let admin = "admin_listen = '[::]:2'\n";
        assert!(read("").is_ok());
        for (text, key) in [(public, "http.listen"), (admin, "http.admin_listen")] {
            assert!(read(text).unwrap_err().contains(key), "{text}");
            assert!(read(&format!("{text}{TLS}")).is_ok(), "{text}");
        }
        assert!(read(&format!("{public}behind_proxy = true")).unwrap().is_public_tls());
        assert!(read(&format!("{admin}behind_proxy = true")).is_err(), "a proxy is not before the admin port");
        assert!(!read(&format!("{admin}admin_in_clear = true")).unwrap().is_admin_tls());
        assert!(read(&format!("{admin}{TLS}")).unwrap().is_admin_tls());
        assert!(!read(TLS).unwrap().is_admin_tls(), "on loopback the command line reads it in clear");
        assert!(read("tls_key = 'b'").unwrap_err().contains("both or neither"));
    }
}
