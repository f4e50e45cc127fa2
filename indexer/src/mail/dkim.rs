//! DKIM (RFC 6376; Ed25519 by RFC 8463), `relaxed/relaxed`.
//!
//! Lettre can sign too, but puts the time of signing in, which would make a repeated message another one, and brings an RSA
//! whose timing leaks (RUSTSEC-2023-0071). Here the time is the message's date, and the keys are those of the TLS library.

use std::{fmt, fs, os::unix::fs::PermissionsExt, path::Path, sync::Arc};

use aws_lc_rs::{
    digest,
    rsa::KeyPair as RsaKeyPair,
    signature::{self, Ed25519KeyPair},
};
use base64::{Engine, engine::general_purpose::STANDARD};
use lettre::{
    Message,
    message::header::{HeaderName, HeaderValue},
};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

const NAME: &str = "DKIM-Signature";
/// What is signed, in this order. `from`, `to` and `subject` a second time say that there is no second one.
const SIGNED: [&str; 11] = [
    "from",
    "from",
    "to",
    "to",
    "subject",
    "subject",
    "date",
    "message-id",
    "mime-version",
    "content-type",
    "auto-submitted",
];
/// Characters of a signature in a line.
const LINE: usize = 72;

/// Why there is no signer, or no signature. Nothing of the key is said.
#[derive(Debug, thiserror::Error)]
pub enum DkimError {
    /// The file cannot be read.
    #[error("mail.dkim_key_file cannot be read: {0}")]
    Unreadable(#[from] std::io::Error),
    /// Others could sign in our name.
    #[error("mail.dkim_key_file: mode {0:o} lets others read it; chmod 600")]
    Open(u32),
    /// It holds something else.
    #[error("mail.dkim_key_file: a PKCS#8 PEM of an RSA key of 2048 to 8192 bits or an Ed25519 key is expected")]
    NoKey,
    /// The library did not sign.
    #[error("the message cannot be signed")]
    Unsigned,
}

enum Key {
    Rsa(Box<RsaKeyPair>),
    Ed25519(Box<Ed25519KeyPair>),
}

/// Signs messages for a domain; cheap to clone.
#[derive(Clone)]
pub struct Signer {
    selector: String,
    domain: String,
    key: Arc<Key>,
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Signer").field("selector", &self.selector).field("domain", &self.domain).finish_non_exhaustive()
    }
}

impl Signer {
    /// Reads the key, which nobody else may be able to.
    ///
    /// # Errors
    /// When there is none that we can use.
    pub fn open(selector: &str, domain: &str, key_file: &Path) -> Result<Self, DkimError> {
        let mode = fs::metadata(key_file)?.permissions().mode() & 0o777;
        if mode & 0o077 != 0 {
            return Err(DkimError::Open(mode));
        }
        let der = from_pem(&Zeroizing::new(fs::read_to_string(key_file)?)).ok_or(DkimError::NoKey)?;
        let key = match (Ed25519KeyPair::from_pkcs8(&der), RsaKeyPair::from_pkcs8(&der)) {
            (Ok(key), _) => Key::Ed25519(Box::new(key)),
            (_, Ok(key)) => Key::Rsa(Box::new(key)),
            _ => return Err(DkimError::NoKey),
        };
        Ok(Self { selector: selector.to_owned(), domain: domain.to_owned(), key: Arc::new(key) })
    }

    /// Adds the signature, which is the same one each time.
    ///
    /// # Errors
    /// [`DkimError::Unsigned`]
    pub fn sign(&self, message: &mut Message, date_ms: i64) -> Result<(), DkimError> {
        let bytes = Zeroizing::new(message.formatted());
        let (headers, body) = split(&bytes).ok_or(DkimError::Unsigned)?;
        let headers = std::str::from_utf8(headers).map_err(|_| DkimError::Unsigned)?;
        let algorithm = match *self.key {
            Key::Rsa(_) => "rsa",
            Key::Ed25519(_) => "ed25519",
        };
        let unsigned = format!(
            "v=1; a={algorithm}-sha256; c=relaxed/relaxed; d={};\r\n s={}; t={};\r\n h={};\r\n bh={};\r\n b=",
            self.domain,
            self.selector,
            date_ms.max(0) / 1_000,
            SIGNED.join(":"),
            STANDARD.encode(Sha256::digest(relaxed_body(body).as_slice())),
        );
        let mut signed = Sha256::new();
        for (place, name) in SIGNED.iter().enumerate() {
            // A name's second mention is of a header that must not be there.
            if !SIGNED.iter().take(place).any(|earlier| earlier == name)
                && let Some(value) = value_of(headers, name)
            {
                signed.update(format!("{name}:{}\r\n", relaxed_value(&value)));
            }
        }
        signed.update(format!("{}:{}", NAME.to_lowercase(), relaxed_value(&unsigned)));
        let signature = STANDARD.encode(self.signature(&signed)?);
        let mut value = unsigned;
        for (place, character) in signature.chars().enumerate() {
            if place > 0 && place % LINE == 0 {
                value.push_str("\r\n ");
            }
            value.push(character);
        }
        let name = HeaderName::new_from_ascii_str(NAME);
        message.headers_mut().insert_raw(HeaderValue::dangerous_new_pre_encoded(name, value.clone(), value));
        Ok(())
    }

    fn signature(&self, signed: &Sha256) -> Result<Vec<u8>, DkimError> {
        let digest = signed.clone().finalize();
        match &*self.key {
            // RFC 8463: the hash is what is signed.
            Key::Ed25519(key) => Ok(key.sign(&digest).as_ref().to_vec()),
            Key::Rsa(key) => {
                let digest =
                    digest::Digest::import_less_safe(&digest, &digest::SHA256).map_err(|_| DkimError::Unsigned)?;
                let mut signature = vec![0; key.public_modulus_len()];
                key.sign_digest(&signature::RSA_PKCS1_SHA256, &digest, &mut signature)
                    .map_err(|_| DkimError::Unsigned)?;
                Ok(signature)
            }
        }
    }
}

fn from_pem(text: &str) -> Option<Zeroizing<Vec<u8>>> {
    let inner = text.split_once("-----BEGIN PRIVATE KEY-----")?.1.split_once("-----END PRIVATE KEY-----")?.0;
    let mut joined = Zeroizing::new(String::with_capacity(inner.len()));
    joined.extend(inner.chars().filter(|c| !c.is_whitespace()));
    Some(Zeroizing::new(STANDARD.decode(joined.as_bytes()).ok()?))
}

fn split(message: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = message.windows(4).position(|window| window == b"\r\n\r\n")?;
    Some((message.get(..end + 2)?, message.get(end + 4..)?))
}

/// A header's value with its continuation lines.
fn value_of(headers: &str, wanted: &str) -> Option<String> {
    let mut lines = headers.split("\r\n").peekable();
    while let Some(line) = lines.next() {
        let Some((name, first)) = line.split_once(':') else { continue };
        if !name.trim_end().eq_ignore_ascii_case(wanted) {
            continue;
        }
        let mut value = first.to_owned();
        while let Some(more) = lines.next_if(|line| line.starts_with([' ', '\t'])) {
            value.push_str(more);
        }
        return Some(value);
    }
    None
}

/// One space for each run of white space, none at the ends.
fn relaxed_value(value: &str) -> String {
    value.split([' ', '\t', '\r', '\n']).filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ")
}

/// One space for each run of white space, none at the end of a line, no empty lines at the end.
fn relaxed_body(body: &[u8]) -> Zeroizing<Vec<u8>> {
    let mut relaxed = Zeroizing::new(Vec::with_capacity(body.len() + 2));
    let mut empty_lines = 0;
    for line in body.split(|byte| *byte == b'\n') {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let kept = line.iter().rposition(|byte| !matches!(byte, b' ' | b'\t')).map_or(0, |last| last + 1);
        let line = line.get(..kept).unwrap_or_default();
        if line.is_empty() {
            empty_lines += 1;
            continue;
        }
        for _ in 0..std::mem::take(&mut empty_lines) {
            relaxed.extend_from_slice(b"\r\n");
        }
        let mut in_space = false;
        for byte in line {
            let is_space = matches!(byte, b' ' | b'\t');
            if !is_space {
                relaxed.push(*byte);
            } else if !in_space {
                relaxed.push(b' ');
            }
            in_space = is_space;
        }
        relaxed.extend_from_slice(b"\r\n");
    }
    relaxed
}

#[cfg(test)]
mod tests;
