//! Having a verification paid for: the wallet signs, the relayer's sponsor sends `verifyFor`.

use alloy::{primitives::Bytes, sol_types::private::FixedBytes};
use axum::{extract::State, http::StatusCode, response::Response};
use otp_core::{
    code::Code,
    contract::{IOtpVerifier, OtpVerifier::verifyForCall},
    http::{Body, Problem, answer},
};
use serde::Deserialize;
use serde_json::json;
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use super::openapi::shapes;
use super::{
    App,
    contacts::too_many,
    paths::Id,
    session::Session,
    unlock::{derive, own_story, ticket, unlockable},
};
use crate::issuing::{NotSponsored, Sponsored};

/// A contract wallet's signature is the largest: some owners', or a passkey's.
const MAX_SIGNATURE: usize = 4_096;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SponsorBody {
    code: String,
    /// Unix seconds, as the wallet has signed it.
    deadline: u64,
    signature: Bytes,
}

/// `POST /v1/otps/{id}/sponsor`
#[utoipa::path(post, path = "/v1/otps/{id}/sponsor", tag = "otps", summary = "Have a verification paid for",
    security(("bearer" = []), ("cookie" = [])),
    params(("id" = Uuid, Path)),
    request_body = shapes::Sponsoring,
    responses(
        (status = 202, description = "Sent, or owed durably", body = shapes::Sent),
        (status = 403, description = "`sponsoring-disabled`"),
        (status = 404, description = "`not-found`: none of this caller"),
        (status = 409, description = "`not-issued`"),
        (status = 410, description = "`expired`, `revoked`"),
        (status = 422, description = "`verification-refused`, with the contract's error; `too-much-gas`"),
        (status = 423, description = "`locked`"),
    ))]
pub(super) async fn sponsor(
    State(app): State<App>,
    session: Session,
    Id(id): Id,
    Body(body): Body<SponsorBody>,
) -> Result<Response, Problem> {
    let given = Zeroizing::new(body.code);
    let Some(desk) = &app.sponsor else {
        let detail = "this relayer pays for no transactions: call verify from the wallet";
        return Err(Problem::new(StatusCode::FORBIDDEN, "sponsoring-disabled", "Sponsoring disabled", detail));
    };
    if body.signature.len() > MAX_SIGNATURE {
        return Err(Problem::bad_request(format!("signature: at most {MAX_SIGNATURE} bytes")));
    }
    let story = own_story(&app, &session, id).await?;
    let (issuance, issued) = unlockable(&story, app.chain_time_s())?;
    let code = derive(&app, &session, &story, issuance).await?;
    if !is_same(&given, &code) {
        return Err(refused("WrongCode"));
    }
    let ticket: IOtpVerifier::Ticket = ticket(&app, &story, issuance).await?;
    let call = verifyForCall {
        subject: story.wallet,
        ticket,
        action: FixedBytes(story.action.0),
        code: given.to_string(),
        deadline: body.deadline,
        signature: body.signature,
    };
    let expiry_s = u64::try_from(issued.expiry_s).unwrap_or_default();
    let deadline_s = body.deadline.min(expiry_s);
    let wanted = Sponsored { account_id: session.account_id, request_id: id, code, call, deadline_s };
    let tx_hash = desk.send(wanted).await.map_err(not_sponsored)?;
    Ok(answer(StatusCode::ACCEPTED, &json!({ "txHash": tx_hash })))
}

fn is_same(given: &str, code: &Code) -> bool {
    given.as_bytes().ct_eq(code.expose().as_bytes()).into()
}

fn not_sponsored(why: NotSponsored) -> Problem {
    match why {
        NotSponsored::Reverts(error) => refused(error),
        NotSponsored::TooMuchGas => {
            let detail =
                "checking this wallet's signature takes more gas than is paid for: call verify from the wallet";
            Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "too-much-gas", "Too much gas", detail)
        }
        NotSponsored::TooMany { retry_after_s } => too_many("sponsored verifications", retry_after_s),
        NotSponsored::Unavailable => {
            let detail = "the sponsor cannot send at the moment; call verify from the wallet, or try again";
            Problem::new(StatusCode::SERVICE_UNAVAILABLE, "sponsor-unavailable", "Sponsor unavailable", detail)
                .retry_after(5)
        }
    }
}

/// The contract would revert with this error of its interface.
fn refused(error: &str) -> Problem {
    let detail = format!("the contract would refuse it with {error}; nothing was sent");
    Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "verification-refused", "Verification refused", detail)
        .with("error", error)
}
