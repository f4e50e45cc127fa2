//! Unlocking: six digits for the full code. Only the session that asked for the code can, and every attempt is counted
//! and on the disk before it is compared (protocol.md §7.2).

use std::{
    mem,
    net::IpAddr,
    time::{Duration, Instant},
};

use alloy::{
    primitives::{B256, Bytes, aliases::U40},
    sol_types::SolCall,
};
use axum::{extract::State, http::StatusCode, response::Response};
use otp_core::{
    clock::{now_ms, rfc3339_s},
    code::{Code, Digits, Seed},
    contract::{IOtpVerifier, OtpVerifier},
    http::{Body, Problem, answer},
    id::{self, Slot},
    merkle::Tree,
    seal::SealError,
    store::{Attempt, Issuance, Issued, NewAttempt, Settlement, Status, Story, Take},
};
use serde_json::json;
use tokio::sync::MutexGuard;
use uuid::Uuid;

use super::openapi::shapes;
use super::{
    App, DigitsBody,
    client::Client,
    contacts::{too_many, wrong_digits},
    paths::Id,
    session::Session,
    turns::account_locked,
};

/// How long an answer waits, without the account's turn, for the batcher to have seen the block that the indexer has seen:
/// both ask the node every `chain.poll_ms`, each at its own time.
const PATIENCE: Duration = Duration::from_secs(3);
/// Between the first two looks; it doubles.
const FIRST_PAUSE: Duration = Duration::from_millis(50);

/// `POST /v1/otps/{id}/unlock`
#[utoipa::path(post, path = "/v1/otps/{id}/unlock", tag = "otps", summary = "The full code, for its digits",
    security(("bearer" = []), ("cookie" = [])),
    params(("id" = Uuid, Path)),
    request_body = shapes::Digits,
    responses(
        (status = 200, description = "And again for the same session", body = shapes::Unlocked),
        (status = 404, description = "`not-found`: none of this caller"),
        (status = 409, description = "`not-issued`"),
        (status = 422, description = "`wrong-digits`, with attemptsLeft"),
        (status = 423, description = "`locked`, `account-locked`"),
        (status = 410, description = "`expired`, `revoked`"),
    ))]
pub(super) async fn unlock(
    State(app): State<App>,
    session: Session,
    Client(ip): Client,
    Id(id): Id,
    Body(body): Body<DigitsBody>,
) -> Result<Response, Problem> {
    let given = match body.parse() {
        Ok(given) => given,
        Err(problem) => {
            app.limits.unlock(&app.store, ip).await?;
            return Err(problem);
        }
    };
    // An attempt takes from the limit as it is counted; what gets no further takes as much.
    let mut takes = app.limits.for_unlock(ip)?;
    let (started, mut pause) = (Instant::now(), FIRST_PAUSE);
    loop {
        match ready(&app, &session, id).await {
            Ok(ready) => {
                let compared = compare(&app, &session, ip, ready, &given, mem::take(&mut takes)).await?;
                if let Some(answer) = compared {
                    return Ok(answer);
                }
            }
            Err(problem) => {
                app.limits.take_for_unlock(&app.store, takes).await?;
                return Err(problem);
            }
        }
        if started.elapsed() >= PATIENCE {
            let detail = "the block that issued is being looked at: try again in a moment; nothing was counted";
            return Err(Problem::new(StatusCode::CONFLICT, "not-issued", "Not issued", detail).retry_after(1));
        }
        tokio::time::sleep(pause).await;
        pause *= 2;
        session.check(&app).await?;
    }
}

/// All that is there before digits are compared.
struct Ready<'a> {
    story: Story,
    issued: Issued,
    code: Code,
    ticket: IOtpVerifier::Ticket,
    _turn: MutexGuard<'a, ()>,
}

async fn ready<'a>(app: &'a App, session: &Session, id: Uuid) -> Result<Ready<'a>, Problem> {
    // Asked before the turn, so that nobody but the owner can make others wait.
    let mut story = own_story(app, session, id).await?;
    let turn = match app.turns.take_now(session.account_id) {
        Some(turn) => turn,
        None => {
            let turn = app.turn(session.account_id).await?;
            story = own_story(app, session, id).await?;
            turn
        }
    };
    if story.is_account_locked {
        return Err(account_locked());
    }
    let (issuance, issued) = unlockable(&story, app.chain_time_s())?;
    let code = derive(app, session, &story, issuance).await?;
    let ticket = ticket(app, &story, issuance).await?;
    let issued = issued.clone();
    Ok(Ready { story, issued, code, ticket, _turn: turn })
}

/// The answer; `None` where the code's limit is not known yet.
async fn compare(
    app: &App,
    session: &Session,
    ip: Option<IpAddr>,
    ready: Ready<'_>,
    given: &Digits,
    takes: Vec<Take>,
) -> Result<Option<Response>, Problem> {
    let Ready { story, issued, code, ticket, _turn } = ready;
    let (account_id, request_id) = (session.account_id, story.id);
    let new = NewAttempt { account_id, request_id, takes: takes.clone(), now_ms: now_ms() };
    let (attempt, taken) = app.store.begin_attempt(new).await?;
    app.limits.unlock_answered(&takes, taken)?;
    match attempt {
        Attempt::Locked => Err(locked()),
        Attempt::LimitUnknown => Ok(None),
        Attempt::TooMany { retry_after_s } => Err(too_many("wrong digits", retry_after_s)),
        Attempt::Limited => Err(Problem::internal(&"a limit refused an attempt and its buckets are not empty")),
        Attempt::Counted { guess, attempts_left } => {
            let right = code.digits().matches(given);
            app.limits.observe(ip, right);
            app.store.settle_attempt(Settlement { request_id, guess, right, now_ms: now_ms() }).await?;
            tracing::info!(otp_id = %request_id, right, attempts_left, "digits compared");
            if right {
                unlocked(app, &story, &issued, &code, ticket).map(Some)
            } else {
                app.tell_if_locked(account_id).await?;
                Err(wrong_digits(attempts_left.into()))
            }
        }
    }
}

/// The request, where this very session made it.
pub(super) async fn own_story(app: &App, session: &Session, id: Uuid) -> Result<Story, Problem> {
    let story = app.store.story(session.account_id, id).await?;
    story.filter(|story| story.session_id == session.id).ok_or_else(Problem::not_found)
}

/// Refuses what cannot be unlocked now. A lock is told first: it holds for good, whatever the chain says.
pub(super) fn unlockable(story: &Story, head_s: u64) -> Result<(&Issuance, &Issued), Problem> {
    if story.locked_at_ms.is_some() {
        return Err(locked());
    }
    let (Some(issuance), Some(issued)) = (&story.issuance, &story.chain.issued) else {
        let detail = "the code is not on the chain: wait for the status 'issued'";
        return Err(Problem::new(StatusCode::CONFLICT, "not-issued", "Not issued", detail));
    };
    let reached = story.status(head_s);
    if reached == Status::Revoked {
        return Err(Problem::new(StatusCode::GONE, "revoked", "Revoked", "the code was revoked on the chain"));
    }
    if u64::try_from(issued.expiry_s).is_ok_and(|expiry| head_s > expiry) {
        return Err(Problem::new(StatusCode::GONE, "expired", "Expired", "the code has expired: ask for a new one"));
    }
    Ok((issuance, issued))
}

/// The account's seed, opened.
pub(super) async fn seed(app: &App, account_id: Uuid) -> Result<Seed, Problem> {
    open_seed(app, account_id, &app.store.sealed_seed(account_id).await?).await
}

async fn open_seed(app: &App, account_id: Uuid, sealed: &[u8]) -> Result<Seed, Problem> {
    let open = || app.keyring.open_sealed("seed", account_id, sealed);
    let opened = match open() {
        // Sealed by another relayer, with a data key that was made a moment ago.
        Err(SealError::UnknownKey { .. }) => {
            app.keyring.refresh().await?;
            open()?
        }
        opened => opened?,
    };
    Seed::from_bytes(&opened).ok_or_else(|| Problem::internal(&"a seed of another length"))
}

pub(super) async fn derive(app: &App, session: &Session, story: &Story, issuance: &Issuance) -> Result<Code, Problem> {
    let slot = Slot {
        deployment: app.deployment(),
        issuer: issuance.issuer,
        purpose: story.purpose,
        serial: issuance.serial,
        subject: story.wallet,
        action: story.action,
    };
    let code = open_seed(app, session.account_id, &story.seed_sealed).await?.code(&slot, story.id);
    // The chain has another code's hash: the digits in the message would be right and the answer worthless.
    if slot.id(code.hash()) != issuance.on_chain_id {
        return Err(Problem::internal(&format!("request {} does not derive the id on the chain", story.id)));
    }
    Ok(code)
}

async fn proof(app: &App, story: &Story, issuance: &Issuance) -> Result<Vec<B256>, Problem> {
    let ids = app.store.batch_ids(issuance.batch_id).await?;
    let place = ids.iter().position(|(serial, _)| *serial == issuance.serial);
    let leaves: Vec<B256> = ids.iter().map(|(serial, id)| id::leaf(story.purpose.bytes32(), *serial, *id)).collect();
    let tree = Tree::new(&leaves).filter(|tree| tree.root() == issuance.root);
    let proof = tree.zip(place).and_then(|(tree, place)| tree.proof(place));
    proof.ok_or_else(|| {
        Problem::internal(&format!("the stored codes of batch {} do not make its root", issuance.batch_id))
    })
}

/// What a contract is shown of a code beside the code.
pub(super) async fn ticket(app: &App, story: &Story, issuance: &Issuance) -> Result<IOtpVerifier::Ticket, Problem> {
    Ok(IOtpVerifier::Ticket {
        id: issuance.on_chain_id,
        issuer: issuance.issuer,
        purpose: story.purpose.bytes32(),
        serial: U40::try_from(issuance.serial).map_err(|e| Problem::internal(&e))?,
        proof: proof(app, story, issuance).await?,
    })
}

fn locked() -> Problem {
    let detail = "too many wrong digits: this code stays locked, ask for a new one";
    Problem::new(StatusCode::LOCKED, "locked", "Locked", detail)
}

fn unlocked(
    app: &App,
    story: &Story,
    issued: &Issued,
    code: &Code,
    ticket: IOtpVerifier::Ticket,
) -> Result<Response, Problem> {
    let deployment = app.deployment();
    let text = code.expose();
    let mut body = json!({
        "code": text.as_str(),
        "codeHash": code.hash(),
        "action": story.action,
        "ticket": {
            "id": ticket.id,
            "issuer": ticket.issuer.to_checksum(None),
            "purpose": ticket.purpose,
            "serial": ticket.serial.to::<u64>(),
            "proof": ticket.proof,
        },
        "verifier": deployment.verifier.to_checksum(None),
        "chainId": deployment.chain_id,
        "expiry": rfc3339_s(issued.expiry_s),
    });
    let call = OtpVerifier::verifyCall { ticket, action: story.action, code: text.as_str().to_owned() };
    body["calldata"] = json!(Bytes::from(call.abi_encode()));
    if let Some(hash) = story.payload_hash {
        body["payloadHash"] = json!(hash);
    }
    Ok(answer(StatusCode::OK, &body))
}
