//! Signing in and out.

use std::time::Duration;

use axum::{
    extract::State,
    http::{StatusCode, header, request::Parts},
    response::{IntoResponse, Response},
};
use otp_core::{
    clock::{now_ms, rfc3339_ms},
    code::Seed,
    http::{Body, Problem, answer, header_text},
    metrics::{REPLAYS, SIGN_IN_FAILURES, SIGN_INS},
    store::{Binding, NewSession},
};
use serde::Deserialize;
use serde_json::json;
use time::OffsetDateTime;
use uuid::Uuid;

use super::openapi::shapes;
use super::{
    App,
    client::Client,
    cookie, nonce,
    session::{self, Session},
    siwe::{
        Expected, Refused, SignIn,
        signature::{self, NotSigned},
    },
    tokens::Subject,
};

/// `GET /v1/auth/nonce`
#[utoipa::path(get, path = "/v1/auth/nonce", tag = "session", summary = "A nonce for a sign-in",
    responses(
        (status = 200, description = "For one sign-in", body = shapes::Nonce),
        (status = 429, description = "`rate-limited`"),
    ))]
pub(super) async fn nonce(State(app): State<App>, Client(ip): Client) -> Result<Response, Problem> {
    app.limits.nonce(&app.store, ip).await?;
    let (nonce, expires_at_ms) = nonce::issue(&app.keyring).map_err(|e| Problem::internal(&e))?;
    Ok(answer(StatusCode::OK, &json!({ "nonce": nonce, "expiresAt": rfc3339_ms(expires_at_ms) })))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Login {
    message: String,
    signature: String,
}

/// `POST /v1/auth/login`
#[utoipa::path(post, path = "/v1/auth/login", tag = "session", summary = "Sign in by EIP-4361",
    params(("dpop" = Option<String>, Header, description = "RFC 9449: binds the session to the key of the proof")),
    request_body = shapes::Login,
    responses(
        (status = 200, description = "Signed in; the session is in the cookie too", body = shapes::LoggedIn),
        (status = 401, description = "`siwe-invalid`, with the check that failed; `dpop-invalid`"),
        (status = 429, description = "`rate-limited`"),
    ))]
pub(super) async fn login(State(app): State<App>, parts: Parts, Body(login): Body<Login>) -> Result<Response, Problem> {
    let expected = Expected {
        domains: &app.http.domains,
        chain_id: app.deployment().chain_id,
        origin: header_text(&parts.headers, header::ORIGIN),
        now: OffsetDateTime::now_utc(),
    };
    let Client(ip) = Client::of(&app, &parts);
    app.limits.login(&app.store, ip).await?;
    let sign_in = expected.check(&login.message).map_err(refused)?;
    let nonce_expires_at_ms = nonce::check(&app.keyring, &sign_in.nonce).ok_or_else(stranger)?;
    let proof = session::proof(&app, parts.method.as_str(), parts.uri.path(), &parts.headers, None)?;
    let signed = signature::check(&app.contracts, sign_in.wallet, &login.message, &login.signature).await;
    if !matches!(signed, Err(NotSigned::Unknown(_))) {
        app.limits.observe(ip, signed.is_ok());
    }
    signed.map_err(unsigned)?;
    if let Some(proof) = &proof {
        session::use_up(&app, proof).await?;
    }
    let binding = Binding {
        key_version: app.keyring.version(),
        device_key: proof.map(|proof| proof.thumbprint),
        fingerprint: session::fingerprint(&app, &parts),
    };
    let started = start(&app, &sign_in, nonce_expires_at_ms, binding).await?;
    let body = json!({
        "token": started.token,
        "tokenType": started.token_type,
        "expiresAt": rfc3339_ms(started.expires_at_ms),
        "wallet": sign_in.wallet.to_checksum(None),
    });
    let cookie = cookie::set(sign_in.domain, &started.token, app.session.ttl.as_secs());
    Ok(([(header::SET_COOKIE, cookie)], answer(StatusCode::OK, &body)).into_response())
}

/// A session that has begun.
struct Started {
    token: String,
    /// The scheme of `Authorization` that the token goes with.
    token_type: &'static str,
    expires_at_ms: i64,
}

/// Uses the nonce up, makes the account at the wallet's first sign-in, and starts a session.
async fn start(
    app: &App,
    sign_in: &SignIn<'_>,
    nonce_expires_at_ms: i64,
    binding: Binding,
) -> Result<Started, Problem> {
    let (session_id, new_account_id) = (Uuid::now_v7(), Uuid::now_v7());
    let seed = Seed::generate().map_err(|e| Problem::internal(&e))?;
    let new_seed_sealed = app.keyring.seal("seed", new_account_id, seed.expose())?;
    let now_ms = now_ms();
    let expires_at_ms = now_ms.saturating_add(millis(app.session.ttl));
    let new = NewSession {
        nonce: &sign_in.nonce,
        nonce_expires_at_ms,
        wallet: sign_in.wallet,
        new_account_id,
        new_seed_sealed: &new_seed_sealed,
        session_id,
        domain: &sign_in.domain.authority,
        binding,
        now_ms,
        expires_at_ms,
    };
    let Some(account_id) = app.store.start_session(&new).await? else {
        metrics::counter!(REPLAYS, "what" => "nonce").increment(1);
        return Err(stranger());
    };
    let Binding { key_version, device_key, .. } = new.binding;
    let subject =
        Subject { session_id, account_id, domain: sign_in.domain, device_key, key_version, now_ms, expires_at_ms };
    let token = app.tokens.sign(&subject)?;
    tracing::info!(
        target: "security", event = "signed-in", %session_id, %account_id, device_bound = device_key.is_some(),
        "signed in"
    );
    metrics::counter!(SIGN_INS, "outcome" => "accepted").increment(1);
    Ok(Started { token, token_type: if device_key.is_some() { "DPoP" } else { "Bearer" }, expires_at_ms })
}

/// `POST /v1/auth/logout`
#[utoipa::path(post, path = "/v1/auth/logout", tag = "session", summary = "Sign out; the session is dead at once",
    security(("bearer" = []), ("cookie" = [])),
    responses(
        (status = 204, description = "Signed out"),
    ))]
pub(super) async fn logout(State(app): State<App>, session: Session) -> Result<Response, Problem> {
    app.store.end_session(session.id, now_ms()).await?;
    tracing::info!(
        target: "security", event = "signed-out", session_id = %session.id, account_id = %session.account_id, "signed out"
    );
    Ok((StatusCode::NO_CONTENT, [(header::SET_COOKIE, cookie::set(&session.domain, "", 0))]).into_response())
}

fn refused(refused: Refused) -> Problem {
    metrics::counter!(SIGN_INS, "outcome" => "refused").increment(1);
    metrics::counter!(SIGN_IN_FAILURES, "cause" => refused.check).increment(1);
    Problem::new(StatusCode::UNAUTHORIZED, "siwe-invalid", "Sign-in refused", refused.detail)
        .with("check", refused.check)
}

fn stranger() -> Problem {
    refused(Refused { check: "nonce", detail: "the nonce is not ours, is older than 60 s, or was used" })
}

/// A wrong signature is told from one that only the chain knows while the chain does not say.
fn unsigned(why: NotSigned) -> Problem {
    let unasked = match why {
        NotSigned::Wrong(why) => return refused(why),
        NotSigned::Unknown(unasked) => unasked,
    };
    metrics::counter!(SIGN_INS, "outcome" => "unavailable").increment(1);
    metrics::counter!(SIGN_IN_FAILURES, "cause" => "chain").increment(1);
    tracing::warn!(error = %unasked, "a contract account could not be asked whether it signed");
    let detail = "whether this account signed is for its contract to say, and the chain cannot be reached; the nonce is \
                  still good";
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, "chain-unavailable", "Chain unavailable", detail).retry_after(5)
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}
