//! Signing in and out.

use std::time::Duration;

use axum::{
    extract::State,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};
use otp_core::{
    clock::{now_ms, rfc3339_ms},
    code::Seed,
    http::{Body, Problem, answer, header_text},
    store::{Binding, NewSession},
};
use serde::Deserialize;
use serde_json::json;
use time::OffsetDateTime;
use uuid::Uuid;

use super::{
    App, nonce,
    session::{self, Session},
    siwe::{Expected, Refused, SignIn},
};

/// `GET /v1/auth/nonce`
pub(super) async fn nonce(State(app): State<App>) -> Result<Response, Problem> {
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
pub(super) async fn login(
    State(app): State<App>,
    headers: HeaderMap,
    Body(login): Body<Login>,
) -> Result<Response, Problem> {
    let expected = Expected {
        domains: &app.http.domains,
        chain_id: app.deployment().chain_id,
        origin: header_text(&headers, header::ORIGIN),
        now: OffsetDateTime::now_utc(),
    };
    let sign_in = expected.check(&login.message, &login.signature).map_err(refused)?;
    let (token, expires_at_ms) = start(&app, &sign_in).await?;
    let body = json!({
        "token": token,
        "expiresAt": rfc3339_ms(expires_at_ms),
        "wallet": sign_in.wallet.to_checksum(None),
    });
    let cookie = session::cookie(&token, app.session_ttl.as_secs());
    Ok(([(header::SET_COOKIE, cookie)], answer(StatusCode::OK, &body)).into_response())
}

/// Uses the nonce up, makes the account at the wallet's first sign-in, and starts a session.
async fn start(app: &App, sign_in: &SignIn<'_>) -> Result<(String, i64), Problem> {
    let stranger =
        || refused(Refused { check: "nonce", detail: "the nonce is not ours, is older than 60 s, or was used" });
    let nonce_expires_at_ms = nonce::check(&app.keyring, &sign_in.nonce).ok_or_else(stranger)?;
    let (session_id, new_account_id) = (Uuid::now_v7(), Uuid::now_v7());
    let seed = Seed::generate().map_err(|e| Problem::internal(&e))?;
    let new_seed_sealed = app.keyring.seal("seed", new_account_id, seed.expose())?;
    let now_ms = now_ms();
    let expires_at_ms = now_ms.saturating_add(millis(app.session_ttl));
    let new = NewSession {
        nonce: &sign_in.nonce,
        nonce_expires_at_ms,
        wallet: sign_in.wallet,
        new_account_id,
        new_seed_sealed: &new_seed_sealed,
        session_id,
        domain: &sign_in.domain.authority,
        binding: Binding::default(),
        now_ms,
        expires_at_ms,
    };
    let account_id = app.store.start_session(&new).await?.ok_or_else(stranger)?;
    let token = app.tokens.sign(session_id, account_id, sign_in.domain, now_ms, expires_at_ms)?;
    tracing::info!(%session_id, %account_id, "signed in");
    Ok((token, expires_at_ms))
}

/// `POST /v1/auth/logout`
pub(super) async fn logout(State(app): State<App>, session: Session) -> Result<Response, Problem> {
    app.store.end_session(session.id, now_ms()).await?;
    Ok((StatusCode::NO_CONTENT, [(header::SET_COOKIE, session::cookie("", 0))]).into_response())
}

fn refused(refused: Refused) -> Problem {
    Problem::new(StatusCode::UNAUTHORIZED, "siwe-invalid", "Sign-in refused", refused.detail)
        .with("check", refused.check)
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}
