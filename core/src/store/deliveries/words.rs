//! What is said later of a message that was handed over, by whom, and which word stands.

use sqlx::{FromRow, SqliteConnection};

use super::{super::group::Outcome, Outbox, fall_back};
use crate::{
    clock::now_ms,
    metrics::DELIVERIES,
    store::{Store, StoreError},
};

/// What a provider says later of a message that it had accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProviderWord {
    /// It reached its recipient's device or mailbox.
    Delivered,
    /// It came back, or could not be delivered.
    Bounced,
}

/// Who said it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Teller {
    /// Who proved to be the provider, or speaks for it with the operator's token.
    Provider,
    /// Anybody who can write a mail: a code's message id follows from what the chain shows. It is heard of mail alone, of
    /// which nobody else may ever tell, and only where no provider has spoken. What was handed over is told to have arrived
    /// or to have come back, and nothing else: no code goes to another contact for it, or whoever has taken over a person's
    /// phone could have codes sent there; and what is still to be sent is sent, or whoever forges an arrival could have a
    /// code lost.
    Anybody,
}

impl ProviderWord {
    const fn state(self) -> &'static str {
        match self {
            Self::Delivered => "delivered",
            Self::Bounced => "bounced",
        }
    }

    const fn reason(self, teller: Teller) -> Option<&'static str> {
        match (self, teller) {
            (Self::Delivered, _) => None,
            (Self::Bounced, Teller::Provider) => Some("the provider could not deliver it"),
            (Self::Bounced, Teller::Anybody) => Some("a mail server's report, which anybody can forge, says so"),
        }
    }
}

impl Teller {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Provider => "provider",
            Self::Anybody => "anybody",
        }
    }
}

impl Store {
    /// The later word on a message that was handed over, named by our id or by the provider's; `None` where there is no such
    /// message, or the word is no news of it: it was said already, or another one stands (see `docs/CHANNELS.md`). The provider
    /// is believed also of a message that it was sent and whose acceptance we do not know of (yet): its answer is on the
    /// way, or was lost. After its [`ProviderWord::Bounced`] the code may be due over another channel: `true`.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn report_delivery(
        &self,
        outbox: &Outbox,
        message: &str,
        word: ProviderWord,
        teller: Teller,
    ) -> Result<Option<bool>, StoreError> {
        let (outbox, message) = (outbox.clone(), message.to_owned());
        let reporting =
            self.group.run(move |write| Box::pin(async move { report(write, &outbox, &message, word, teller).await }));
        let Some(Reported { fell_back, moved }) = reporting.await? else { return Ok(None) };
        if let Some(channel) = moved {
            metrics::counter!(DELIVERIES, "channel" => channel, "state" => word.state()).increment(1);
        }
        Ok(Some(fell_back))
    }
}

/// What a word came to.
struct Reported {
    fell_back: bool,
    /// The channel of a message whose state is another one now.
    moved: Option<String>,
}

async fn report(
    write: &mut SqliteConnection,
    outbox: &Outbox,
    message: &str,
    word: ProviderWord,
    teller: Teller,
) -> Result<Outcome<Option<Reported>>, StoreError> {
    let spoken_of: Option<SpokenOf> = sqlx::query_as(
        "SELECT message_id, channel, state, attempts, reported_by FROM deliveries WHERE message_id = ?1 OR provider_id = ?1
         ORDER BY message_id = ?1 DESC, created_at_ms DESC LIMIT 1",
    )
    .bind(message)
    .fetch_optional(&mut *write)
    .await?;
    let Some(spoken_of) = spoken_of.filter(|message| message.is_news(word, teller)) else {
        return Ok(Outcome::Undo(None));
    };
    sqlx::query(
        "UPDATE deliveries SET state = ?1, reported_at_ms = ?2, reported_by = ?3, sent_at_ms = coalesce(sent_at_ms, ?2),
         error = ?4 WHERE message_id = ?5",
    )
    .bind(word.state())
    .bind(now_ms())
    .bind(teller.as_str())
    .bind(word.reason(teller))
    .bind(&spoken_of.message_id)
    .execute(&mut *write)
    .await?;
    let is_lost = teller == Teller::Provider && word == ProviderWord::Bounced;
    let fell_back = is_lost && fall_back(write, outbox, &spoken_of.message_id).await?;
    let moved = (spoken_of.state != word.state()).then_some(spoken_of.channel);
    Ok(Outcome::Keep(Some(Reported { fell_back, moved })))
}

#[derive(FromRow)]
struct SpokenOf {
    message_id: String,
    channel: String,
    state: String,
    attempts: i64,
    reported_by: Option<String>,
}

impl SpokenOf {
    /// Whether the word is to be taken down.
    fn is_news(&self, word: ProviderWord, teller: Teller) -> bool {
        let is_mail = self.channel == "email";
        let is_proven = self.reported_by.as_deref() == Some(Teller::Provider.as_str());
        match (self.state.as_str(), teller) {
            ("accepted", Teller::Provider) => true,
            ("queued" | "sending", Teller::Provider) => self.attempts > 0,
            ("delivered" | "bounced", Teller::Provider) if !is_proven => true,
            // The last word of a mail is that it came back: a server takes it, and a later one returns it. That of anything
            // else is that it arrived: after a lost answer there may be two of it, and one is enough.
            ("delivered" | "bounced", Teller::Provider) => {
                self.state != word.state() && is_mail == (word == ProviderWord::Bounced)
            }
            ("accepted", Teller::Anybody) => is_mail,
            ("delivered", Teller::Anybody) => is_mail && !is_proven && word == ProviderWord::Bounced,
            _ => false,
        }
    }
}
