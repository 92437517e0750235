//! The audit log of an account.

use domain::identity::Action;
use serde_json::json;
use store::Db;
use store::audit::{self, Entry};

use crate::http::{Answer, Problem, Request, Response};
use crate::input;
use crate::master::caller::Caller;

/// A page of the log, newest first, and the cursor to the next.
///
/// # Errors
/// 403 for whoever does not administer the account, 422 for a bad parameter.
pub fn entries(
    db: &dyn Db,
    caller: &Caller,
    request: &Request,
) -> Result<(Vec<Entry>, Option<String>), Problem> {
    caller.require(Action::Administer)?;
    let limit = input::limit(request.param("limit"))?;
    let cursor = input::cursor(request.param("cursor"))?;
    let mut entries = audit::list(db, &caller.who.account_id, cursor, limit + 1)?;
    let more = entries.len() as i64 > limit;
    entries.truncate(usize::try_from(limit).unwrap_or_default());
    let last = entries.last().filter(|_| more);
    let next = last.map(|e| input::cursor_text(e.id));
    Ok((entries, next))
}

/// The same as JSON.
///
/// # Errors
/// 403 for whoever does not administer the account, 422 for a bad parameter.
pub fn list(db: &dyn Db, caller: &Caller, request: &Request) -> Answer {
    let (items, next_cursor) = entries(db, caller, request)?;
    Ok(Response::json(
        200,
        &json!({"items": items, "next_cursor": next_cursor}),
    ))
}
