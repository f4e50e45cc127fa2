//! Sessions: a JWT (HS256) that names a row in the store, which every use looks up, so that signing out is immediate.

use alloy::primitives::B256;
use axum::{
    extract::FromRequestParts,
    http::{HeaderMap, Method, StatusCode, header, request::Parts},
};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use otp_core::{
    clock::now_ms,
    http::{Problem, header_text},
    seal::Keyring,
};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::App;
use crate::config::Domain;

/// The cookie's name; browsers take the prefix only with Secure, Path=/ and no Domain.
const COOKIE: &str = "__Host-otp-session";
const ISSUER: &str = "otp-relayer";

/// An authenticated caller. There is no other way to one than this extractor.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) id: Uuid,
    pub(super) account_id: Uuid,
    pub(super) domain: Domain,
}

impl Session {
    /// `session` of a sign-in's payload: the session's id as a number, which is the UUID's 16 bytes behind 16 zeros.
    pub(super) fn word(&self) -> B256 {
        B256::left_padding_from(self.id.as_bytes())
    }
}

impl FromRequestParts<App> for Session {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        let (token, carrier) = token(&parts.headers).ok_or_else(unauthenticated)?;
        let claims = app.tokens.open(token).ok_or_else(unauthenticated)?;
        let row = app.store.session(claims.jti, now_ms()).await?.ok_or_else(unauthenticated)?;
        if claims.sub != row.account_id || claims.aud != row.domain {
            return Err(unauthenticated());
        }
        let domain = app.http.domains.iter().find(|domain| domain.authority == row.domain);
        let domain = domain.ok_or_else(unauthenticated)?.clone();
        if carrier == Carrier::Cookie {
            check_origin(parts, &domain)?;
        }
        Ok(Self { id: claims.jti, account_id: row.account_id, domain })
    }
}

/// A browser sends the cookie whatever page asks, so what changes state must come from the session's own page, and
/// nothing may come from another one.
fn check_origin(parts: &Parts, domain: &Domain) -> Result<(), Problem> {
    let origin = header_text(&parts.headers, header::ORIGIN);
    let safe = matches!(parts.method, Method::GET | Method::HEAD);
    match origin {
        Some(origin) if origin == domain.origin => Ok(()),
        None if safe && !parts.headers.contains_key(header::ORIGIN) => Ok(()),
        _ => {
            let detail = "with the cookie, send this from the page that signed in; or send the token as bearer";
            Err(Problem::new(StatusCode::FORBIDDEN, "origin-mismatch", "Another origin", detail))
        }
    }
}

fn unauthenticated() -> Problem {
    let detail = "sign in: the session is missing, has expired or was ended";
    Problem::new(StatusCode::UNAUTHORIZED, "unauthenticated", "Not signed in", detail)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Carrier {
    Bearer,
    Cookie,
}

/// The token of a request. A bearer token that is there counts alone, right or wrong.
fn token(headers: &HeaderMap) -> Option<(&str, Carrier)> {
    if headers.contains_key(header::AUTHORIZATION) {
        let (scheme, token) = header_text(headers, header::AUTHORIZATION)?.split_once(' ')?;
        return scheme.eq_ignore_ascii_case("bearer").then_some((token.trim(), Carrier::Bearer));
    }
    headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|line| line.split(';'))
        .find_map(|pair| pair.trim().strip_prefix(COOKIE)?.strip_prefix('='))
        .map(|token| (token, Carrier::Cookie))
}

/// `Set-Cookie` for a session that lives `ttl_s` seconds; 0 takes the cookie away.
pub(super) fn cookie(token: &str, ttl_s: u64) -> String {
    format!("{COOKIE}={token}; Path=/; Max-Age={ttl_s}; Secure; HttpOnly; SameSite=Strict")
}

#[derive(Serialize, Deserialize)]
struct Claims {
    iss: String,
    /// The authority of the page that it is bound to.
    aud: String,
    /// The account.
    sub: Uuid,
    /// The session.
    jti: Uuid,
    iat: i64,
    nbf: i64,
    exp: i64,
}

/// Makes and reads tokens.
pub(super) struct Tokens {
    signs: EncodingKey,
    checks: DecodingKey,
    validation: Validation,
}

impl Tokens {
    pub(super) fn new(keyring: &Keyring, domains: &[Domain]) -> Self {
        let key = keyring.subkey("session-jwt");
        let mut validation = Validation::new(Algorithm::HS256);
        validation.leeway = 0;
        validation.validate_nbf = true;
        validation.set_issuer(&[ISSUER]);
        validation.set_audience(&domains.iter().map(|domain| &domain.authority).collect::<Vec<_>>());
        validation.set_required_spec_claims(&["iss", "aud", "sub", "nbf", "exp"]);
        Self {
            signs: EncodingKey::from_secret(key.as_slice()),
            checks: DecodingKey::from_secret(key.as_slice()),
            validation,
        }
    }

    /// A token for a session that was stored. Times are Unix milliseconds.
    pub(super) fn sign(
        &self,
        session_id: Uuid,
        account_id: Uuid,
        domain: &Domain,
        now_ms: i64,
        expires_at_ms: i64,
    ) -> Result<String, Problem> {
        let now_s = now_ms / 1_000;
        let claims = Claims {
            iss: ISSUER.to_owned(),
            aud: domain.authority.clone(),
            sub: account_id,
            jti: session_id,
            iat: now_s,
            nbf: now_s,
            exp: expires_at_ms / 1_000,
        };
        jsonwebtoken::encode(&Header::new(Algorithm::HS256), &claims, &self.signs).map_err(|e| Problem::internal(&e))
    }

    fn open(&self, token: &str) -> Option<Claims> {
        jsonwebtoken::decode(token, &self.checks, &self.validation).ok().map(|data| data.claims)
    }
}
