//! Who changed what. Write it in the transaction of the change.

use serde::Serialize;
use serde_json::Value;

use crate::node;
use crate::params;
use crate::port::{Db, Result, Row};
use crate::queries::audit as sql;

/// Who did something, by what, and from where.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Actor {
    /// The account that the log belongs to; none for what concerns the whole installation.
    pub account_id: Option<String>,
    /// The person, when it was one.
    pub user_id: Option<String>,
    /// Their address, or `operator`, `system`, a node's name.
    pub who: String,
    /// What they showed: `session 1a2b3c4d`, `key slk_abc123`, `link`, `operator`.
    pub via: String,
    /// Where they were; empty when that is not known.
    pub address: String,
}

impl Actor {
    /// Sluice itself, in an account.
    pub fn system(account_id: Option<&str>) -> Self {
        Actor {
            account_id: account_id.map(str::to_owned),
            who: "system".to_owned(),
            ..Actor::default()
        }
    }
}

/// What was done to what.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Change<'a> {
    /// Noun and verb: `person.role_changed`, `api_key.created`, `subaccount.suspended`.
    pub action: &'a str,
    /// The id of what it was done to.
    pub subject_id: &'a str,
    /// What people call that.
    pub subject: &'a str,
    /// How it was, without secrets.
    pub before: Option<Value>,
    /// How it is, without secrets.
    pub after: Option<Value>,
}

/// One line of the log, as the API shows it too.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Entry {
    /// Grows.
    pub id: i64,
    /// Milliseconds.
    pub at: i64,
    /// The person, when it was one.
    pub user_id: Option<String>,
    /// As [`Actor::who`].
    pub who: String,
    /// As [`Actor::via`].
    pub via: String,
    /// As [`Actor::address`].
    pub address: String,
    /// As [`Change::action`].
    pub action: String,
    /// As [`Change::subject_id`].
    pub subject_id: String,
    /// As [`Change::subject`].
    pub subject: String,
    /// As [`Change::before`].
    pub before: Option<Value>,
    /// As [`Change::after`].
    pub after: Option<Value>,
}

/// How long the log goes back, in milliseconds: a year.
const KEPT: i64 = 365 * 24 * 60 * 60 * 1000;

/// Notes a change. Call it in the transaction that makes the change, so that neither is there without the other.
pub fn record(db: &dyn Db, now: i64, actor: &Actor, change: &Change<'_>) -> Result<()> {
    let text = |state: &Option<Value>| state.as_ref().map(Value::to_string);
    let row = params![
        actor.account_id.as_deref(),
        now,
        actor.user_id.as_deref(),
        &actor.who,
        &actor.via,
        &actor.address,
        change.action,
        change.subject_id,
        change.subject,
        text(&change.before),
        text(&change.after)
    ];
    db.execute(sql::DELETE_OLD, params![now - KEPT])?;
    db.execute(sql::INSERT, row).map(|_| ())
}

/// The log of an account, newest first, older than an entry; for one that runs the installation, with what concerns no
/// account, as nodes do.
pub fn list(db: &dyn Db, account_id: &str, before: Option<i64>, limit: i64) -> Result<Vec<Entry>> {
    let list = match node::is_operator(db, account_id)? {
        true => sql::LIST_OPERATOR,
        false => sql::LIST,
    };
    let rows = db.query(list, params![account_id, before.unwrap_or(i64::MAX), limit])?;
    Ok(rows.into_iter().map(from_row).collect())
}

fn from_row(mut r: Row) -> Entry {
    let state = |text: Option<String>| text.and_then(|text| serde_json::from_str(&text).ok());
    Entry {
        id: r.int(0),
        at: r.int(1),
        user_id: r.opt_text(2),
        who: r.text(3),
        via: r.text(4),
        address: r.text(5),
        action: r.text(6),
        subject_id: r.text(7),
        subject: r.text(8),
        before: state(r.opt_text(9)),
        after: state(r.opt_text(10)),
    }
}
