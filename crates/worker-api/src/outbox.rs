//! The installation's own mails: claimed from the master, reported to it. The paths are `POST /node/v1/outbox/claim` and
//! `POST /node/v1/outbox/results`.

use serde::{Deserialize, Serialize};

use crate::{Message, Outcome};

/// A worker asks for mails that are due.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutboxClaim {
    /// The most that it takes.
    pub max: u32,
}

/// The mails now leased to the worker.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct OutboxClaimed {
    /// Oldest first.
    pub mails: Vec<OutboxMail>,
}

/// One leased mail.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutboxMail {
    /// Which mail (UUID).
    pub id: String,
    /// The token the claim gave.
    pub lease_token: String,
    /// 1 for the first try.
    pub attempt: u32,
    /// The `From` mailbox.
    pub from: String,
    /// The mail.
    pub message: Message,
}

/// What became of several mails.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct OutboxResults {
    /// At most 100.
    pub results: Vec<OutboxReport>,
}

/// What became of one mail.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutboxReport {
    /// Which mail (UUID).
    pub id: String,
    /// The token the claim gave.
    pub lease_token: String,
    /// What happened.
    #[serde(flatten)]
    pub outcome: Outcome,
}

/// The master's answers, in the order of the reports.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct OutboxVerdicts {
    /// Whether the lease was current, so that the report counts.
    pub accepted: Vec<bool>,
}
