//! Access tokens: JWTs (RFC 7519) under HS256, by a key that changes with the data key. A token says under which one it was
//! signed (`kid`), and so does its session's row: an old key makes no new sessions good, and ends with the last of its own.

use std::sync::Arc;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use otp_core::{http::Problem, seal::Keyring};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::config::Domain;

const ISSUER: &str = "otp-relayer";
const LABEL: &str = "session-jwt";

/// What a token says.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Claims {
    iss: String,
    /// The authority of the page that it is bound to.
    pub(super) aud: String,
    /// The account.
    pub(super) sub: Uuid,
    /// The session.
    pub(super) jti: Uuid,
    iat: i64,
    nbf: i64,
    exp: i64,
    /// The device's key, where it is bound to one (RFC 7800).
    #[serde(skip_serializing_if = "Option::is_none")]
    cnf: Option<Confirmation>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Confirmation {
    /// RFC 9449: the key's thumbprint.
    jkt: String,
}

impl Claims {
    /// Whether the token is bound to this key, or to none.
    pub(super) fn is_bound_to(&self, device_key: Option<&[u8]>) -> bool {
        let thumbprint = device_key.map(|key| URL_SAFE_NO_PAD.encode(key));
        self.cnf.as_ref().map(|cnf| &cnf.jkt) == thumbprint.as_ref()
    }
}

/// A session that was stored and is to have a token. Times are Unix milliseconds.
#[derive(Debug)]
pub(super) struct Subject<'a> {
    pub(super) session_id: Uuid,
    pub(super) account_id: Uuid,
    pub(super) domain: &'a Domain,
    pub(super) device_key: Option<[u8; 32]>,
    pub(super) key_version: u32,
    pub(super) now_ms: i64,
    pub(super) expires_at_ms: i64,
}

/// Makes and reads tokens.
pub(super) struct Tokens {
    keyring: Arc<Keyring>,
    validation: Validation,
}

impl Tokens {
    pub(super) fn new(keyring: Arc<Keyring>, domains: &[Domain]) -> Self {
        let mut validation = Validation::new(Algorithm::HS256);
        validation.leeway = 0;
        validation.validate_nbf = true;
        validation.set_issuer(&[ISSUER]);
        validation.set_audience(&domains.iter().map(|domain| &domain.authority).collect::<Vec<_>>());
        validation.set_required_spec_claims(&["iss", "aud", "sub", "nbf", "exp"]);
        Self { keyring, validation }
    }

    pub(super) fn sign(&self, subject: &Subject<'_>) -> Result<String, Problem> {
        let now_s = subject.now_ms / 1_000;
        let claims = Claims {
            iss: ISSUER.to_owned(),
            aud: subject.domain.authority.clone(),
            sub: subject.account_id,
            jti: subject.session_id,
            iat: now_s,
            nbf: now_s,
            exp: subject.expires_at_ms / 1_000,
            cnf: subject.device_key.map(|key| Confirmation { jkt: URL_SAFE_NO_PAD.encode(key) }),
        };
        let key = self.keyring.subkey_of(subject.key_version, LABEL);
        let key = key.ok_or_else(|| Problem::internal(&"the data key that signs tokens is not loaded"))?;
        let header = Header { kid: Some(subject.key_version.to_string()), ..Header::new(Algorithm::HS256) };
        jsonwebtoken::encode(&header, &claims, &EncodingKey::from_secret(key.as_slice()))
            .map_err(|e| Problem::internal(&e))
    }

    /// What a token of ours says, and the version of the key that signed it.
    pub(super) fn open(&self, token: &str) -> Option<(Claims, u32)> {
        let kid = jsonwebtoken::decode_header(token).ok()?.kid?;
        let version = kid.parse().ok()?;
        let key = self.keyring.subkey_of(version, LABEL)?;
        let key = DecodingKey::from_secret(key.as_slice());
        let data = jsonwebtoken::decode(token, &key, &self.validation).ok()?;
        Some((data.claims, version))
    }
}
