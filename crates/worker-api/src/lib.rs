//! The wire contract between a slave and its workers: JSON over HTTP under `/worker/v1`, and nothing else.
//!
//! Every call carries `Authorization: Bearer <worker token>`. Additions are optional fields with defaults, so that
//! an old worker's payload still parses and an old worker ignores what it does not know.
//!
//! | call | body | answer |
//! |---|---|---|
//! | `POST /worker/v1/register` | [`Register`] | [`Registered`] |
//! | `GET /worker/v1/profiles` (`ETag`, `If-None-Match` → 304) | – | [`Profiles`] |
//! | `POST /worker/v1/claim` | [`Claim`] | [`Claimed`] |
//! | `POST /worker/v1/begin` | [`Leases`] | [`Verdicts`] |
//! | `POST /worker/v1/renew` | [`Leases`] | [`Verdicts`] |
//! | `POST /worker/v1/results` | [`Results`] | [`Verdicts`] |
//!
//! Times are integer milliseconds since the Unix epoch, UTC.

mod outbox;

use serde::{Deserialize, Serialize};

pub use outbox::*;

/// A worker says who it is. The same name registers again after a restart and keeps its identity.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Register {
    /// A name that is unique for the slave and stable over restarts, for instance the host name.
    pub name: String,
    /// The version of the worker's binary.
    pub version: String,
}

/// What the slave answers to [`Register`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Registered {
    /// How long a claim holds a request before it must be renewed or reported.
    pub lease_ms: i64,
    /// How long to wait before the next claim when there was nothing to do.
    pub poll_ms: i64,
    /// The slave's clock when it answered.
    pub now: i64,
}

/// All profiles assigned to this worker, over all its sub-accounts.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Profiles {
    /// In order of sub-account and id.
    pub profiles: Vec<Profile>,
    /// Some sub-accounts could not be looked into. What is known of one that is missing stays as it is; ask again.
    #[serde(default, skip_serializing_if = "is_false")]
    pub partial: bool,
}

fn is_false(value: &bool) -> bool {
    !value
}

/// One sender, browser or vendor account that this worker runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Profile {
    /// The sub-account it belongs to (UUID).
    pub subaccount: String,
    /// Its key inside the sub-account.
    pub id: i64,
    /// What people call it.
    pub name: String,
    /// How it reaches the world.
    #[serde(flatten)]
    pub kind: ProfileKind,
    /// What it may do in a time.
    #[serde(default)]
    pub quotas: Quotas,
}

/// The type of a profile with that type's settings.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", content = "settings", rename_all = "snake_case")]
pub enum ProfileKind {
    /// Mail by SMTP submission to one server.
    Smtp(SmtpSettings),
}

/// Where and how a mail is handed over (RFC 5321, RFC 6409).
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SmtpSettings {
    /// Host name or address.
    pub host: String,
    /// TCP port: 25, 465, 587 or the server's own.
    pub port: u16,
    /// How the connection is protected.
    #[serde(default)]
    pub tls: Tls,
    /// For AUTH; none means no AUTH.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub username: Option<String>,
    /// For AUTH.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password: Option<String>,
    /// The `From` mailbox, `name <address>` or an address alone (RFC 5322); its address is the envelope sender.
    pub from: String,
}

impl std::fmt::Debug for SmtpSettings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The password must not reach a log by way of `{:?}`.
        f.debug_struct("SmtpSettings")
            .field("host", &self.host)
            .field("port", &self.port)
            .field("tls", &self.tls)
            .field("username", &self.username)
            .field("password", &self.password.as_ref().map(|_| "…"))
            .field("from", &self.from)
            .finish()
    }
}

/// Protection of an SMTP connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Tls {
    /// Plain text.
    None,
    /// Plain text, then STARTTLS (RFC 3207); required, not opportunistic.
    #[default]
    Starttls,
    /// TLS from the first byte (RFC 8314).
    Tls,
}

/// Limits of one profile.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Quotas {
    /// Most requests in any 24 hours; none means no limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub daily_max: Option<u32>,
    /// Shortest time between two requests, in milliseconds; none means no pause.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interval_ms: Option<u32>,
}

/// A worker asks for due requests of the profiles it holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claim {
    /// The name it registered with.
    pub worker: String,
    /// The most requests it has room for now.
    pub max: u32,
    /// Profiles that have enough in hand, for instance because their server is slow: none of their requests now.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub busy: Vec<ProfileKey>,
}

/// Which profile of which sub-account.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ProfileKey {
    /// The sub-account (UUID).
    pub subaccount: String,
    /// The profile's key inside the sub-account.
    pub profile_id: i64,
}

/// The requests now leased to the worker.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Claimed {
    /// Newest first within a profile, fair between tenants.
    pub requests: Vec<Task>,
}

/// One leased request with all that is needed to perform it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Task {
    /// Which request, under which lease.
    #[serde(flatten)]
    pub lease: Lease,
    /// The profile that must perform it.
    pub profile_id: i64,
    /// 1 for the first try.
    pub attempt: u32,
    /// The lease ends then unless it is renewed.
    pub lease_until: i64,
    /// What to do.
    #[serde(flatten)]
    pub work: Work,
}

/// The work of a request, by kind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Work {
    /// Send one mail. Not repeatable: `begin` must be recorded before the server can have accepted it.
    Outreach {
        /// The mail.
        message: Message,
    },
}

/// A mail in parts; the worker makes the MIME text of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// The Message-ID without its angle brackets; the same for every attempt of a request.
    pub message_id: String,
    /// The `Date` field's time.
    pub date: i64,
    /// The recipient's address.
    pub to: String,
    /// The recipient's display name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to_name: Option<String>,
    /// Rendered subject, one line.
    pub subject: String,
    /// Rendered plain-text body.
    pub text: String,
    /// Rendered HTML body.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub html: Option<String>,
    /// Further header fields in order, for instance `List-Unsubscribe` and `List-Unsubscribe-Post`; values are raw.
    #[serde(default)]
    pub headers: Vec<(String, String)>,
}

/// One request under one lease. Whoever holds an older token is refused (fencing).
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Lease {
    /// The sub-account (UUID).
    pub subaccount: String,
    /// The request's key inside the sub-account.
    pub id: i64,
    /// The token the claim gave.
    pub lease_token: String,
}

/// Several leases, to begin or to renew.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Leases {
    /// At most 500.
    pub requests: Vec<Lease>,
}

/// What became of several requests.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Results {
    /// At most 500.
    pub results: Vec<Report>,
}

/// What became of one request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// Which request, under which lease.
    #[serde(flatten)]
    pub lease: Lease,
    /// What happened.
    #[serde(flatten)]
    pub outcome: Outcome,
    /// When it happened, by the worker's clock.
    pub at: i64,
}

/// The end of one attempt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum Outcome {
    /// The server took the mail.
    Performed {
        /// The server's last reply.
        #[serde(default)]
        detail: String,
    },
    /// It cannot succeed: bad address, refused content, bad settings. Not tried again.
    Failed {
        /// For a person.
        error: String,
    },
    /// It did not happen, and may succeed later.
    Retry {
        /// For a person.
        error: String,
        /// Not before this many milliseconds from now; none leaves it to the slave's schedule.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        after_ms: Option<i64>,
    },
    /// It may or may not have happened. Never tried again; evidence decides.
    Uncertain {
        /// For a person.
        error: String,
    },
    /// The worker is certain that the effect did not begin (its journal says so), and gives the request back.
    Released,
}

/// The slave's answers, in the order of what was asked.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Verdicts {
    /// One for each lease asked about.
    pub verdicts: Vec<Verdict>,
}

/// The reason of a verdict that is none: the sub-account could not be looked into just now, and whether the step counts
/// is not known. Ask again.
pub const UNAVAILABLE: &str = "unavailable";

/// One answer to a begin, a renewal or a report.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verdict {
    /// The sub-account (UUID).
    pub subaccount: String,
    /// The request's key.
    pub id: i64,
    /// Whether the lease was current, so that the step counts. A repeated result is accepted again.
    pub accepted: bool,
    /// The lease's end after a begin or a renewal that was accepted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lease_until: Option<i64>,
    /// Why it was refused: `stale_lease`, `not_found`, `suppressed`, `canceled`; or [`UNAVAILABLE`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}
