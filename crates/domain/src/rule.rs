//! What a rule waits for and what it does.

use serde::{Deserialize, Serialize};

/// What makes a rule act.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub enum Trigger {
    /// A lead got a tag.
    TagAdded {
        /// The tag's name.
        tag: String,
    },
}

/// What a rule does for a lead.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub enum Action {
    /// Writes to the lead.
    NewOutreach {
        /// The channel.
        outreach_type: OutreachType,
        /// Template of the subject.
        subject: String,
        /// Template of the plain-text body.
        body: String,
    },
}

/// A channel to write through.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OutreachType {
    /// E-mail.
    Email,
}

/// The longest delay, in seconds: a year.
pub const DELAY_MAX: i64 = 366 * 24 * 60 * 60;
