//! Sessions: a token ([`super::tokens`]) that names a row in the store, which every use looks up, so that signing out is
//! immediate. A session may be bound to a device's key ([`super::dpop`]).

use std::net::{IpAddr, Ipv4Addr};

use alloy::primitives::B256;
use axum::{
    extract::FromRequestParts,
    http::{HeaderMap, Method, StatusCode, header, request::Parts},
};
use otp_core::{
    clock::now_ms,
    http::{Problem, header_text},
    metrics::REPLAYS,
    store::{Fingerprint, SessionRow},
};
use uuid::Uuid;

use super::{
    App,
    client::Client,
    cookie::{self, Cookie},
    dpop::{self, Call, Proof},
    fingerprint,
};
use crate::config::Domain;

/// An authenticated caller. There is no other way to one than this extractor.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) id: Uuid,
    pub(super) account_id: Uuid,
    pub(super) domain: Domain,
    /// What limits know the caller's device by: its key, else the session.
    pub(super) device: Vec<u8>,
}

impl Session {
    /// `session` of a sign-in's payload: the session's id as a number, which is the UUID's 16 bytes behind 16 zeros.
    pub(super) fn word(&self) -> B256 {
        B256::left_padding_from(self.id.as_bytes())
    }

    /// Whether it still runs, for a call that has waited.
    pub(super) async fn check(&self, app: &App) -> Result<(), Problem> {
        app.store.session(self.id, now_ms()).await?.map(drop).ok_or_else(unauthenticated)
    }
}

impl FromRequestParts<App> for Session {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        for (token, carrier) in tokens(&parts.headers) {
            let Some((id, row, domain)) = look_up(app, token, carrier).await? else { continue };
            if let Carrier::Cookie(_) = carrier {
                check_origin(parts, &domain)?;
            }
            check_device(app, parts, &row, token, carrier).await?;
            if row.device_key.is_none() {
                watch(app, parts, id, &row).await?;
            }
            let device = row.device_key.unwrap_or_else(|| id.as_bytes().to_vec());
            return Ok(Self { id, account_id: row.account_id, domain, device });
        }
        Err(unauthenticated())
    }
}

/// The session that a token names, as long as it runs and all that the token says of it is so.
async fn look_up(app: &App, token: &str, carrier: Carrier<'_>) -> Result<Option<(Uuid, SessionRow, Domain)>, Problem> {
    let Some((claims, key_version)) = app.tokens.open(token) else { return Ok(None) };
    let Some(row) = app.store.session(claims.jti, now_ms()).await? else { return Ok(None) };
    let agrees = claims.sub == row.account_id
        && claims.aud == row.domain
        && key_version == row.key_version
        && claims.is_bound_to(row.device_key.as_deref());
    let domain = app.http.domains.iter().find(|domain| domain.authority == row.domain);
    let domain = domain.filter(|domain| agrees && carrier.fits(domain));
    Ok(domain.cloned().map(|domain| (claims.jti, row, domain)))
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

/// A session that is bound to a key takes no call without a new proof of it (RFC 9449, 7.2), and no other session takes a
/// token that says it is bound.
async fn check_device(
    app: &App,
    parts: &Parts,
    row: &SessionRow,
    token: &str,
    carrier: Carrier<'_>,
) -> Result<(), Problem> {
    let Some(key) = &row.device_key else {
        return if matches!(carrier, Carrier::Dpop) { Err(unauthenticated()) } else { Ok(()) };
    };
    if matches!(carrier, Carrier::Bearer) {
        return Err(proof_refused("the session is bound to a device's key: send the token as Authorization: DPoP"));
    }
    let proof = proof(app, parts.method.as_str(), parts.uri.path(), &parts.headers, Some(token))?;
    let proof = proof.ok_or_else(|| proof_refused("the session is bound to a device's key: send a DPoP header"))?;
    if proof.thumbprint.as_slice() != key.as_slice() {
        return Err(proof_refused("it is of another key than the session's"));
    }
    use_up(app, &proof).await
}

/// The proof in a request's header, `None` where there is no such header. It is not used up yet.
pub(super) fn proof(
    app: &App,
    method: &str,
    path: &str,
    headers: &HeaderMap,
    token: Option<&str>,
) -> Result<Option<Proof>, Problem> {
    let mut given = headers.get_all(dpop::HEADER).iter();
    let Some(text) = given.next() else { return Ok(None) };
    let text = text.to_str().ok().filter(|_| given.next().is_none());
    let text = text.ok_or_else(|| proof_refused("there is more than one DPoP header, or it is no text"))?;
    let call = Call { method, path, bases: &app.session.public_urls, token, now_s: now_ms() / 1_000 };
    Proof::read(text, call).map(Some).map_err(proof_refused)
}

/// A proof counts once.
pub(super) async fn use_up(app: &App, proof: &Proof) -> Result<(), Problem> {
    if app.store.use_proof(proof.id, proof.keep_until_ms, now_ms()).await? {
        return Ok(());
    }
    metrics::counter!(REPLAYS, "what" => "proof").increment(1);
    tracing::warn!(target: "security", event = "dpop-proof-replayed", "a proof of a device's key was sent again");
    Err(proof_refused("it was used before: make one for each call"))
}

fn proof_refused(detail: &'static str) -> Problem {
    let detail = format!("the proof of the device's key is refused: {detail}");
    Problem::new(StatusCode::UNAUTHORIZED, "dpop-invalid", "Proof refused", detail)
        .challenge(r#"DPoP error="invalid_dpop_proof", algs="ES256 EdDSA""#)
}

/// Tells when a session without a device key is used from elsewhere than last time.
async fn watch(app: &App, parts: &Parts, id: Uuid, row: &SessionRow) -> Result<(), Problem> {
    let now = fingerprint(app, parts);
    let (program_changed, network_changed) = fingerprint::differences(&row.fingerprint, &now);
    if (program_changed || network_changed) && app.store.move_session(id, &row.fingerprint, &now).await? {
        tracing::warn!(
            target: "security", event = "session-fingerprint-changed", session_id = %id, account_id = %row.account_id,
            program_changed, network_changed, "a session is used from elsewhere"
        );
    }
    Ok(())
}

/// Where a request comes from.
pub(super) fn fingerprint(app: &App, parts: &Parts) -> Fingerprint {
    let address = Client::of(app, parts).0.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED));
    fingerprint::of(&app.keyring, header_text(&parts.headers, header::USER_AGENT).unwrap_or_default(), address)
}

fn unauthenticated() -> Problem {
    let detail = "sign in: the session is missing, has expired or was ended";
    Problem::new(StatusCode::UNAUTHORIZED, "unauthenticated", "Not signed in", detail)
        .challenge(r#"Bearer, DPoP algs="ES256 EdDSA""#)
}

/// How a token came.
#[derive(Debug, Clone, Copy)]
enum Carrier<'a> {
    Bearer,
    Dpop,
    Cookie(Cookie<'a>),
}

/// The tokens of a request. One in `Authorization` counts alone, right or wrong; of cookies there can be two, one for
/// pages over TLS and one for a page on localhost.
fn tokens(headers: &HeaderMap) -> Vec<(&str, Carrier<'_>)> {
    if !headers.contains_key(header::AUTHORIZATION) {
        return cookie::tokens(headers).map(|cookie| (cookie.token, Carrier::Cookie(cookie))).collect();
    }
    let given = header_text(headers, header::AUTHORIZATION).and_then(|text| text.split_once(' '));
    let token = given.and_then(|(scheme, token)| match scheme.to_ascii_lowercase().as_str() {
        "bearer" => Some((token.trim(), Carrier::Bearer)),
        "dpop" => Some((token.trim(), Carrier::Dpop)),
        _ => None,
    });
    token.into_iter().collect()
}

impl Carrier<'_> {
    /// Whether a token of this page may come this way.
    fn fits(&self, domain: &Domain) -> bool {
        match self {
            Self::Cookie(cookie) => cookie.is_for(domain),
            Self::Bearer | Self::Dpop => true,
        }
    }
}
