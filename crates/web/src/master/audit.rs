//! The audit log of an account.

use domain::identity::Action;
use serde::Serialize;
use serde_json::{Value, json};
use store::Db;
use store::audit::{self, Entry};

use crate::http::{Answer, Problem, Request, Response};
use crate::input;
use crate::master::caller::Caller;

/// One line as the API shows it.
#[derive(Debug, Serialize)]
pub struct View {
    /// Grows.
    pub id: i64,
    /// Milliseconds.
    pub at: i64,
    /// The person (UUID), when it was one.
    pub user_id: Option<String>,
    /// Their address, or `system`, `operator`, a node's name.
    pub who: String,
    /// What they showed.
    pub via: String,
    /// Where they were; empty when that is not known.
    pub address: String,
    /// Noun and verb.
    pub action: String,
    /// The id of what it was done to.
    pub subject_id: String,
    /// What people call that.
    pub subject: String,
    /// How it was.
    pub before: Option<Value>,
    /// How it is.
    pub after: Option<Value>,
}

impl From<Entry> for View {
    fn from(e: Entry) -> Self {
        View {
            id: e.id,
            at: e.at,
            user_id: e.user_id,
            who: e.who,
            via: e.via,
            address: e.address,
            action: e.action,
            subject_id: e.subject_id,
            subject: e.subject,
            before: e.before,
            after: e.after,
        }
    }
}

/// A page of the log, newest first, and the cursor to the next.
///
/// # Errors
/// 403 for whoever does not administer the account, 422 for a bad parameter.
pub fn views(
    db: &dyn Db,
    caller: &Caller,
    request: &Request,
) -> Result<(Vec<View>, Option<String>), Problem> {
    caller.require(Action::Administer)?;
    let limit = input::limit(request.param("limit"))?;
    let cursor = input::cursor(request.param("cursor"))?;
    let mut entries = audit::list(db, &caller.who.account_id, cursor, limit + 1)?;
    let more = entries.len() as i64 > limit;
    entries.truncate(usize::try_from(limit).unwrap_or_default());
    let last = entries.last().filter(|_| more);
    let next = last.map(|e| input::cursor_text(e.id));
    Ok((entries.into_iter().map(View::from).collect(), next))
}

/// The same as JSON.
///
/// # Errors
/// 403 for whoever does not administer the account, 422 for a bad parameter.
pub fn list(db: &dyn Db, caller: &Caller, request: &Request) -> Answer {
    let (items, next_cursor) = views(db, caller, request)?;
    Ok(Response::json(
        200,
        &json!({"items": items, "next_cursor": next_cursor}),
    ))
}
