//! A request's changes of status as server-sent events. The event's id is the status itself, so `Last-Event-ID` says
//! exactly what a client knows already.

use std::{collections::VecDeque, convert::Infallible, time::Duration};

use axum::{
    extract::State,
    http::{HeaderMap, StatusCode},
    response::{
        IntoResponse, Response,
        sse::{Event, KeepAlive, Sse},
    },
};
use futures_util::stream;
use otp_core::{
    clock::now_ms,
    http::{Problem, header_text},
    store::{Status, Story},
};
use tokio::time::Instant;
use uuid::Uuid;

use super::{App, contacts::too_many, paths::Id, session::Session, streams::Seat, view};

const POLL: Duration = Duration::from_millis(250);
const LONGEST: Duration = Duration::from_secs(600);
const KEEP_ALIVE: Duration = Duration::from_secs(15);
/// What a client that has too many streams is told to wait, in seconds.
const RETRY_AFTER_S: u64 = 5;

/// `GET /v1/otps/{id}/events`
#[utoipa::path(get, path = "/v1/otps/{id}/events", tag = "otps", summary = "A request's changes of status as server-sent events",
    security(("bearer" = []), ("cookie" = [])),
    params(("id" = Uuid, Path), ("last-event-id" = Option<String>, Header, description = "The last status that is known")),
    responses(
        (status = 200, description = "`event: status`, its data as GET /v1/otps/{id}", body = String, content_type = "text/event-stream"),
        (status = 204, description = "Over, and all was told"),
        (status = 404, description = "`not-found`: none of this caller"),
    ))]
pub(super) async fn follow(
    State(app): State<App>,
    session: Session,
    Id(id): Id,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let story = app.store.story(session.account_id, id).await?.ok_or_else(Problem::not_found)?;
    let told = header_text(&headers, "last-event-id").and_then(Status::from_word);
    let status = story.status(app.chain_time_s());
    if status.is_terminal() && told == Some(status) {
        // The HTML standard's word to a browser not to connect again.
        return Ok(StatusCode::NO_CONTENT.into_response());
    }
    let seat = app.streams.take(session.id).ok_or_else(|| too_many("event streams", RETRY_AFTER_S))?;
    let ends = Instant::now() + LONGEST;
    let follower = Follower { app, session, id, told, waiting: VecDeque::new(), over: false, ends, _seat: seat };
    let events = stream::unfold(follower, Follower::next);
    let keep_alive = KeepAlive::new().interval(KEEP_ALIVE);
    // Proxies that buffer would hold events back.
    Ok(([("x-accel-buffering", "no")], Sse::new(events).keep_alive(keep_alive)).into_response())
}

struct Follower {
    app: App,
    session: Session,
    id: Uuid,
    /// The last status that the client knows.
    told: Option<Status>,
    waiting: VecDeque<Event>,
    over: bool,
    ends: Instant,
    _seat: Seat,
}

impl Follower {
    /// The next event, or the end: after a terminal status, with the session, at shutdown, or when it took too long.
    async fn next(mut self) -> Option<(Result<Event, Infallible>, Self)> {
        loop {
            if let Some(event) = self.waiting.pop_front() {
                return Some((Ok(event), self));
            }
            if self.over || Instant::now() >= self.ends {
                return None;
            }
            if let Err(problem) = self.look().await {
                tracing::warn!(otp_id = %self.id, status = %problem.status(), "an event stream ends early");
                return None;
            }
            if self.waiting.is_empty() && !self.over {
                tokio::select! {
                    () = tokio::time::sleep(POLL) => {}
                    () = self.app.shutdown.cancelled() => return None,
                }
            }
        }
    }

    /// Looks once and queues what is new.
    async fn look(&mut self) -> Result<(), Problem> {
        let alive = self.app.store.session(self.session.id, now_ms()).await?.is_some();
        let story = self.app.store.story(self.session.account_id, self.id).await?.filter(|_| alive);
        let Some(story) = story else {
            self.over = true;
            return Ok(());
        };
        for status in news(&story, self.app.chain_time_s(), self.told) {
            let body = view::shown(&self.app, &self.session, &story, status)?;
            self.waiting.push_back(Event::default().event("status").id(status.as_str()).data(body.to_string()));
            self.told = Some(status);
            self.over = status.is_terminal();
        }
        Ok(())
    }
}

/// The statuses that a client which was told `told` does not know. After a reorg took `told` away it is the one that
/// holds now.
fn news(story: &Story, head_s: u64, told: Option<Status>) -> Vec<Status> {
    let reached: Vec<Status> = story.reached(head_s).into_iter().map(|(status, _)| status).collect();
    let known = match told {
        None => 0,
        Some(told) => {
            reached.iter().position(|status| *status == told).map_or(reached.len().saturating_sub(1), |place| place + 1)
        }
    };
    reached[known..].to_vec()
}
