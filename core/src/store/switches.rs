//! What operators have switched off and whom they have blocked. Writer: the relayer.
//!
//! Both are read in the transaction that accepts a request and in the one that commits a batch, so they hold from the
//! moment they are stored, in every process. What waits and may no longer be issued is told so in the same transaction:
//! blocked, not queued (protocol.md §7.5).

use std::{fmt, str::FromStr};

use alloy::primitives::Address;
use sqlx::SqliteConnection;
use uuid::Uuid;

use super::{Store, StoreError, column};
use crate::{
    clock::now_ms,
    id::{BadPurpose, Purpose},
};

/// What waiting requests are told.
const SWITCHED_OFF: &str = "issuance was switched off; ask again later";
const WALLET_BLOCKED: &str = "this wallet gets no codes at the moment";

/// What a switch stands for.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Switch {
    /// All issuance.
    All,
    /// Issuance over one channel: `email`, `sms`, `webhook` or `inapp`.
    Channel(String),
    /// Issuance for one purpose.
    Purpose(Purpose),
}

impl Switch {
    /// `all`, `channel` or `purpose`.
    #[must_use]
    pub const fn scope(&self) -> &'static str {
        match self {
            Self::All => "all",
            Self::Channel(_) => "channel",
            Self::Purpose(_) => "purpose",
        }
    }

    /// The channel's or purpose's name; empty for all.
    #[must_use]
    pub fn name(&self) -> String {
        match self {
            Self::All => String::new(),
            Self::Channel(name) => name.clone(),
            Self::Purpose(purpose) => purpose.to_string(),
        }
    }

    /// Reads scope and name.
    ///
    /// # Errors
    /// When they name nothing.
    pub fn parse(scope: &str, name: &str) -> Result<Self, BadPurpose> {
        match scope {
            "purpose" => name.parse().map(Self::Purpose),
            "channel" => Ok(Self::Channel(name.to_owned())),
            _ => Ok(Self::All),
        }
    }
}

impl fmt::Display for Switch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => f.write_str("all issuance"),
            other => write!(f, "{} {}", other.scope(), other.name()),
        }
    }
}

/// A switch that is off.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SwitchedOff {
    /// What is off.
    pub switch: Switch,
    /// Why, in the operator's words.
    pub reason: String,
    /// Since when, in Unix milliseconds.
    pub since_ms: i64,
}

/// Who can be blocked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BlockKind {
    /// Gets no codes.
    Wallet,
    /// Issues none.
    Issuer,
}

impl BlockKind {
    /// The word of the table and of the command.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Wallet => "wallet",
            Self::Issuer => "issuer",
        }
    }
}

/// Neither `wallet` nor `issuer`.
#[derive(Debug, thiserror::Error)]
#[error("wallet or issuer is expected")]
pub struct BadBlockKind;

impl FromStr for BlockKind {
    type Err = BadBlockKind;

    fn from_str(word: &str) -> Result<Self, BadBlockKind> {
        [Self::Wallet, Self::Issuer].into_iter().find(|kind| kind.as_str() == word).ok_or(BadBlockKind)
    }
}

/// Somebody who is blocked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Blocked {
    /// As what.
    pub kind: BlockKind,
    /// Who.
    pub address: Address,
    /// Why, in the operator's words.
    pub reason: String,
    /// Since when, in Unix milliseconds.
    pub since_ms: i64,
}

/// Why a request may not be issued.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Barred {
    /// By a switch.
    Off(Switch),
    /// Its wallet is blocked.
    Wallet,
    /// The issuer is blocked.
    Issuer,
}

impl Barred {
    /// Reads what [`super::rules`] looks up: a switch with scope and name at rank 0, then issuer and wallet.
    pub(super) fn read(rank: i64, scope: &str, name: &str) -> Result<Self, StoreError> {
        match rank {
            0 => Switch::parse(scope, name).map(Self::Off).map_err(|_| StoreError::Damaged { table: "switched_off" }),
            1 => Ok(Self::Issuer),
            _ => Ok(Self::Wallet),
        }
    }
}

impl Store {
    /// Switches issuance off. What waits is failed; returns how many requests.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn switch_off(&self, switch: &Switch, reason: &str) -> Result<u64, StoreError> {
        let mut tx = self.write().await?;
        sqlx::query(
            "INSERT INTO switched_off (scope, name, reason, since_ms) VALUES (?, ?, ?, ?)
             ON CONFLICT DO UPDATE SET reason = excluded.reason",
        )
        .bind(switch.scope())
        .bind(switch.name())
        .bind(reason)
        .bind(now_ms())
        .execute(&mut *tx)
        .await?;
        let failed = fail_barred(&mut tx).await?;
        tx.commit().await?;
        Ok(failed)
    }

    /// Switches issuance on again; whether it was off.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn switch_on(&self, switch: &Switch) -> Result<bool, StoreError> {
        let delete = sqlx::query("DELETE FROM switched_off WHERE scope = ? AND name = ?");
        let gone = self.alone(delete.bind(switch.scope()).bind(switch.name())).await?;
        Ok(gone.rows_affected() > 0)
    }

    /// What is switched off, the widest first.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn switched_off(&self) -> Result<Vec<SwitchedOff>, StoreError> {
        let rows: Vec<(String, String, String, i64)> =
            sqlx::query_as("SELECT scope, name, reason, since_ms FROM switched_off ORDER BY scope, name")
                .fetch_all(&self.readers)
                .await?;
        let read = |(scope, name, reason, since_ms): (String, String, String, i64)| {
            let switch = Switch::parse(&scope, &name).map_err(|_| StoreError::Damaged { table: "switched_off" })?;
            Ok(SwitchedOff { switch, reason, since_ms })
        };
        rows.into_iter().map(read).collect()
    }

    /// Blocks a wallet or an issuer. What waits for a blocked wallet is failed; returns how many requests.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn block(&self, kind: BlockKind, address: Address, reason: &str) -> Result<u64, StoreError> {
        let mut tx = self.write().await?;
        sqlx::query(
            "INSERT INTO blocked (kind, address, reason, since_ms) VALUES (?, ?, ?, ?)
             ON CONFLICT DO UPDATE SET reason = excluded.reason",
        )
        .bind(kind.as_str())
        .bind(address.as_slice())
        .bind(reason)
        .bind(now_ms())
        .execute(&mut *tx)
        .await?;
        let failed = fail_barred(&mut tx).await?;
        tx.commit().await?;
        Ok(failed)
    }

    /// Lifts a block; whether there was one.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn unblock(&self, kind: BlockKind, address: Address) -> Result<bool, StoreError> {
        let delete = sqlx::query("DELETE FROM blocked WHERE kind = ? AND address = ?");
        let gone = self.alone(delete.bind(kind.as_str()).bind(address.as_slice())).await?;
        Ok(gone.rows_affected() > 0)
    }

    /// Who is blocked, oldest first.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn blocked(&self) -> Result<Vec<Blocked>, StoreError> {
        let rows: Vec<(String, Vec<u8>, String, i64)> =
            sqlx::query_as("SELECT kind, address, reason, since_ms FROM blocked ORDER BY since_ms, address")
                .fetch_all(&self.readers)
                .await?;
        let read = |(kind, address, reason, since_ms): (String, Vec<u8>, String, i64)| {
            let kind = kind.parse().map_err(|_| StoreError::Damaged { table: "blocked" })?;
            Ok(Blocked { kind, address: column::address(&address, "blocked")?, reason, since_ms })
        };
        rows.into_iter().map(read).collect()
    }
}

/// Whether nothing may be issued under a key.
pub(super) async fn is_issuer_blocked(write: &mut SqliteConnection, issuer: Address) -> Result<bool, StoreError> {
    let row = sqlx::query("SELECT 1 FROM blocked WHERE kind = 'issuer' AND address = ?").bind(issuer.as_slice());
    Ok(row.fetch_optional(write).await?.is_some())
}

/// Fails what waits and may no longer be issued: called by every write that puts requests into the queue or bars them.
pub(super) async fn fail_barred(write: &mut SqliteConnection) -> Result<u64, StoreError> {
    let by_switch: Vec<(Uuid, Vec<u8>, String)> = sqlx::query_as(
        "SELECT r.id, r.purpose, c.channel FROM requests r JOIN contacts c ON c.id = r.contact_id
         WHERE r.state = 'queued' AND EXISTS (SELECT 1 FROM switched_off)",
    )
    .fetch_all(&mut *write)
    .await?;
    let off: Vec<(String, String)> =
        sqlx::query_as("SELECT scope, name FROM switched_off").fetch_all(&mut *write).await?;
    let mut failed = 0;
    for (id, purpose, channel) in by_switch {
        let purpose = column::purpose(&purpose, "requests")?.to_string();
        let is_off = off.iter().any(|(scope, name)| match scope.as_str() {
            "purpose" => *name == purpose,
            "channel" => *name == channel,
            _ => true,
        });
        if is_off {
            failed += fail(write, SWITCHED_OFF, id).await?;
        }
    }
    let by_block: Vec<Uuid> = sqlx::query_scalar(
        "SELECT r.id FROM blocked b JOIN accounts a ON a.wallet = b.address JOIN requests r ON r.account_id = a.id
         WHERE b.kind = 'wallet' AND r.state = 'queued'",
    )
    .fetch_all(&mut *write)
    .await?;
    for id in by_block {
        failed += fail(write, WALLET_BLOCKED, id).await?;
    }
    Ok(failed)
}

async fn fail(write: &mut SqliteConnection, why: &str, id: Uuid) -> Result<u64, StoreError> {
    let done = sqlx::query(
        "UPDATE requests SET state = 'failed', failure = ?, failed_at_ms = ? WHERE id = ? AND state = 'queued'",
    )
    .bind(why)
    .bind(now_ms())
    .bind(id)
    .execute(write)
    .await?;
    Ok(done.rows_affected())
}
