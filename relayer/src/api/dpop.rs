//! Proofs of a device's key (RFC 9449, DPoP). A client that brings one to its sign-in has its session bound to the key:
//! from then on the token alone is worth nothing, each call needs a proof of its own.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use serde::{Deserialize, de::IgnoredAny};
use sha2::{Digest, Sha256};
use url::Url;

/// The header's name.
pub(super) const HEADER: &str = "dpop";

/// Longer ones are not looked at.
const MOST: usize = 4 * 1024;
/// How far a proof's `iat` may lie from our clock.
const WINDOW_S: i64 = 60;
/// So much longer than its window a used proof is kept: a clock set back by less makes none good again.
const MARGIN_S: i64 = 3_600;

/// What a proof has to be for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Call<'a> {
    pub(super) method: &'a str,
    pub(super) path: &'a str,
    /// The URLs under which clients reach this interface.
    pub(super) bases: &'a [Url],
    /// The access token that the call is made with; none at a sign-in.
    pub(super) token: Option<&'a str>,
    /// Unix seconds.
    pub(super) now_s: i64,
}

/// A proof for this very call. Whether it was used before is the store's to say.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Proof {
    /// RFC 7638 thumbprint of the key.
    pub(super) thumbprint: [u8; 32],
    /// A hash of key and `jti`: what makes it the same proof.
    pub(super) id: [u8; 32],
    /// Past this, in Unix milliseconds, it is not taken any more.
    pub(super) keep_until_ms: i64,
}

#[derive(Deserialize)]
struct Header {
    typ: String,
    alg: Algorithm,
    jwk: PublicKey,
    crit: Option<IgnoredAny>,
}

#[derive(Deserialize)]
struct PublicKey {
    kty: String,
    crv: String,
    x: String,
    y: Option<String>,
    /// The private half, which nobody is to send.
    d: Option<IgnoredAny>,
}

#[derive(Deserialize)]
struct Claims {
    jti: String,
    htm: String,
    htu: String,
    iat: i64,
    ath: Option<String>,
}

impl Proof {
    /// Reads a proof and checks all but whether it was used before. The error says what is wrong with it.
    pub(super) fn read(text: &str, call: Call<'_>) -> Result<Self, &'static str> {
        let (header, key, thumbprint) = read_key(text)?;
        let mut validation = Validation::new(header.alg);
        validation.required_spec_claims.clear();
        (validation.validate_exp, validation.validate_aud) = (false, false);
        let claims = jsonwebtoken::decode::<Claims>(text, &key, &validation);
        let claims = claims.map_err(|_| "it is not signed by the key in it, or lacks jti, htm, htu or iat")?.claims;
        check(&claims, call)?;
        let id = Sha256::new().chain_update(thumbprint).chain_update(&claims.jti).finalize().into();
        let keep_until_ms = claims.iat.saturating_add(WINDOW_S + MARGIN_S).saturating_mul(1_000);
        Ok(Self { thumbprint, id, keep_until_ms })
    }
}

fn check(claims: &Claims, call: Call<'_>) -> Result<(), &'static str> {
    if !(1..=128).contains(&claims.jti.len()) {
        return Err("jti is not 1 to 128 bytes");
    }
    if claims.htm != call.method {
        return Err("htm is another method");
    }
    if !is_for(&claims.htu, call) {
        return Err("htu is not this URL, without query and fragment");
    }
    if claims.iat.abs_diff(call.now_s) > WINDOW_S.unsigned_abs() {
        return Err("iat is more than 60 s from this server's clock");
    }
    match call.token {
        Some(token) if claims.ath.as_deref() != Some(&hash(token)) => Err("ath is not the hash of the token"),
        _ => Ok(()),
    }
}

/// `ath`: base64url of the SHA-256 of the token.
fn hash(token: &str) -> String {
    URL_SAFE_NO_PAD.encode(Sha256::digest(token))
}

fn is_for(htu: &str, call: Call<'_>) -> bool {
    let Ok(mut given) = Url::parse(htu) else { return false };
    given.set_query(None);
    given.set_fragment(None);
    call.bases.iter().any(|base| {
        let path = [base.path().trim_end_matches('/'), call.path].concat();
        given.origin() == base.origin() && given.path() == path && given.username().is_empty()
    })
}

fn read_key(text: &str) -> Result<(Header, DecodingKey, [u8; 32]), &'static str> {
    let header = text.split('.').next().filter(|_| text.len() <= MOST).ok_or("it is longer than 4096 bytes")?;
    let header = URL_SAFE_NO_PAD.decode(header).map_err(|_| "it is no JWS")?;
    let header: Header =
        serde_json::from_slice(&header).map_err(|_| "its header has no typ, alg and jwk of a kind that is taken")?;
    if header.typ != "dpop+jwt" || header.crit.is_some() {
        return Err("typ is not dpop+jwt, or crit is there");
    }
    let PublicKey { kty, crv, x, y, d } = &header.jwk;
    let no_key = "jwk is no public key of ES256 (P-256) or EdDSA (Ed25519)";
    if d.is_some() || !is_coordinate(x) || !y.as_deref().is_none_or(is_coordinate) {
        return Err(no_key);
    }
    // The thumbprint is over these members alone, in this order (RFC 7638).
    let (key, canonical) = match (header.alg, kty.as_str(), crv.as_str(), y) {
        (Algorithm::ES256, "EC", "P-256", Some(y)) => {
            (DecodingKey::from_ec_components(x, y), format!(r#"{{"crv":"P-256","kty":"EC","x":"{x}","y":"{y}"}}"#))
        }
        (Algorithm::EdDSA, "OKP", "Ed25519", None) => {
            (DecodingKey::from_ed_components(x), format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{x}"}}"#))
        }
        _ => return Err(no_key),
    };
    let thumbprint = Sha256::digest(canonical).into();
    Ok((header, key.map_err(|_| no_key)?, thumbprint))
}

/// 32 bytes in the one base64url text that they have, or a key would have several thumbprints.
fn is_coordinate(text: &str) -> bool {
    URL_SAFE_NO_PAD.decode(text).is_ok_and(|bytes| bytes.len() == 32)
}
