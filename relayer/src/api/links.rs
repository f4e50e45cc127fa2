//! What links in messages do without a session: their token derives from the account's seed, so nothing of it is stored,
//! and an id that is not there is checked against a decoy, so that it takes the same time and gets the same answer.

use axum::{extract::State, http::StatusCode, response::Response};
use otp_core::{
    clock::now_ms,
    code::{LinkToken, Seed},
    http::{Body, Problem, answer},
    metrics,
    store::{Reportable, Revocation},
};
use serde::Deserialize;
use serde_json::json;
use uuid::Uuid;
use zeroize::Zeroizing;

use super::openapi::shapes;
use super::{App, client::Client, paths::Id};

/// How long after its expiry a verified code can be consumed at most, in seconds (protocol.md §4).
const LONGEST_GRACE_S: u64 = 3_600;
const CAUSE: &str = "reported as not asked for";

/// `{token}`: what a link carries.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TokenBody {
    token: String,
}

impl TokenBody {
    pub(super) fn parse(self) -> Result<LinkToken, Problem> {
        let text = Zeroizing::new(self.token);
        LinkToken::parse(&text).map_err(|e| Problem::bad_request(e.to_string()))
    }
}

/// The seed that a token is checked against; where there is none, one of zeros that was sealed and opened alike.
pub(super) fn opened_or_decoy(app: &App, owner: Uuid, sealed: Option<&[u8]>) -> Result<Seed, Problem> {
    let decoy = match sealed {
        Some(_) => Vec::new(),
        None => app.keyring.seal("seed", owner, &[0; 32])?,
    };
    let opened = app.keyring.open_sealed("seed", owner, sealed.unwrap_or(&decoy))?;
    Seed::from_bytes(&opened).ok_or_else(|| Problem::internal(&"a seed of another length"))
}

/// `POST /v1/otps/{id}/report`
#[utoipa::path(post, path = "/v1/otps/{id}/report", tag = "otps", summary = "This was not me",
    params(("id" = Uuid, Path)),
    request_body = shapes::Token,
    responses(
        (status = 200, description = "Locked, revoked, sessions ended", body = shapes::Reported),
        (status = 404, description = "`not-found`: none of this caller"),
        (status = 429, description = "`rate-limited`: Retry-After says when"),
    ))]
pub(super) async fn report(
    State(app): State<App>,
    Client(ip): Client,
    Id(request_id): Id,
    Body(body): Body<TokenBody>,
) -> Result<Response, Problem> {
    app.limits.unlock(&app.store, ip).await?;
    let given = body.parse()?;
    let row = app.store.reportable(request_id).await?;
    let owner = row.as_ref().map_or(Uuid::nil(), |row| row.account_id);
    let seed = opened_or_decoy(&app, owner, row.as_ref().map(|row| row.seed_sealed.as_slice()))?;
    let right = seed.report_token(request_id).matches(&given);
    let row = row.filter(|_| right).ok_or_else(Problem::not_found)?;
    let account_id = row.account_id;
    let over = is_over(&app, &row);
    let reported = app.store.report(request_id, &row, over, now_ms()).await?;
    let revocation = if over { "moot" } else { revoke(&app, request_id).await? };
    if reported.newly_locked {
        ::metrics::counter!(metrics::REPORTS).increment(1);
    }
    let sessions_ended = reported.sessions_ended;
    tracing::warn!(
        target: "security", event = "otp-reported", %account_id, otp_id = %request_id, sessions_ended, revocation,
        "a code was reported as not asked for"
    );
    let body = json!({
        "id": request_id,
        "locked": true,
        "revocation": revocation,
        "sessionsEnded": sessions_ended,
    });
    Ok(answer(StatusCode::OK, &body))
}

/// Whether the code can do nothing any more.
fn is_over(app: &App, row: &Reportable) -> bool {
    let over =
        |expiry: i64| u64::try_from(expiry).is_ok_and(|at| app.chain_time_s() > at.saturating_add(LONGEST_GRACE_S));
    row.expiry_s.is_some_and(over)
}

/// What becomes of the code on the chain: `withdrawn` before it got there, `owed` where it stands or will stand there,
/// `moot` where it can do nothing any more.
async fn revoke(app: &App, request_id: Uuid) -> Result<&'static str, Problem> {
    let revocation = app.store.owe_revocation(request_id, CAUSE).await?;
    app.wake.notify_one();
    Ok(match revocation {
        Some(Revocation::Withdrawn) => "withdrawn",
        Some(Revocation::Owed) => "owed",
        Some(Revocation::Moot) | None => "moot",
    })
}
