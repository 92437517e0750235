//! The log-ins of a person: looked at, and ended.

use http::header;
use serde::Serialize;
use serde_json::json;
use store::audit::{self, Change};
use store::{Db, session, transaction};

use crate::auth;
use crate::context::Context;
use crate::http::{Answer, Problem, Response};
use crate::master::caller::Caller;

/// A log-in as the API shows it.
#[derive(Debug, Serialize)]
pub struct View {
    /// Its name, which is not its token.
    pub id: String,
    /// Whether it is the one that asks.
    pub current: bool,
    /// What the browser says it is.
    pub user_agent: String,
    /// Where it logged in from.
    pub address: String,
    /// The host that it holds on; empty for the master's.
    pub host: String,
    /// Milliseconds.
    pub created_at: i64,
    /// Milliseconds.
    pub last_seen_at: i64,
    /// Milliseconds.
    pub expires_at: i64,
}

/// The live sessions of the caller, the one used last first.
///
/// # Errors
/// 403 for a key.
pub fn views(cx: &Context<'_>, db: &dyn Db, caller: &Caller) -> Result<Vec<View>, Problem> {
    let current = caller.session()?;
    let sessions = session::list(db, &caller.who.user_id, cx.now)?;
    let view = |s: session::Session| View {
        current: s.id == current,
        id: s.id,
        user_agent: s.user_agent,
        address: s.address,
        host: s.host,
        created_at: s.created_at,
        last_seen_at: s.last_seen_at,
        expires_at: s.expires_at,
    };
    Ok(sessions.into_iter().map(view).collect())
}

/// The same as JSON.
///
/// # Errors
/// 403 for a key.
pub fn list(cx: &Context<'_>, db: &dyn Db, caller: &Caller) -> Answer {
    Ok(Response::json(
        200,
        &json!({"items": views(cx, db, caller)?}),
    ))
}

/// Ends one session of the caller.
///
/// # Errors
/// 404 when they have none of that name.
pub fn end(cx: &Context<'_>, db: &dyn Db, caller: &Caller, id: &str) -> Answer {
    caller.session()?;
    transaction(db, || {
        if !session::delete_by_id(db, id, &caller.who.user_id)? {
            return Err(Problem::not_found());
        }
        Ok(note(cx, db, caller, "session.ended", id, None)?)
    })?;
    Ok(Response::no_content())
}

/// Ends all sessions of the caller, this one too.
///
/// # Errors
/// 403 for a key.
pub fn end_all(cx: &Context<'_>, db: &dyn Db, caller: &Caller) -> Answer {
    let id = caller.session()?;
    transaction(db, || {
        let ended = session::delete_all(db, &caller.who.user_id)?;
        let after = Some(json!({"sessions_ended": ended}));
        note(cx, db, caller, "session.all_ended", id, after)
    })?;
    Ok(Response::no_content().with(header::SET_COOKIE, &auth::clear_cookie(cx)))
}

fn note(
    cx: &Context<'_>,
    db: &dyn Db,
    caller: &Caller,
    action: &str,
    id: &str,
    after: Option<serde_json::Value>,
) -> store::Result<()> {
    let change = Change {
        action,
        subject_id: id,
        subject: &caller.who.email,
        before: None,
        after,
    };
    audit::record(db, cx.now, &caller.actor, &change)
}
