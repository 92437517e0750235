//! Log-ins of people. Only hashes of their tokens are kept.

use domain::identity::Identity;

use crate::params;
use crate::port::{Db, Result, one};
use crate::queries::session as sql;
use crate::user;

/// A log-in as it is listed: never its token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    /// Its name, which is not its token.
    pub id: String,
    /// What the browser says it is.
    pub user_agent: String,
    /// Where it logged in from.
    pub address: String,
    /// The host that it holds on; empty for the master's.
    pub host: String,
    /// Milliseconds.
    pub created_at: i64,
    /// Milliseconds; exact to a minute.
    pub last_seen_at: i64,
    /// Milliseconds.
    pub expires_at: i64,
}

/// Keeps a new session's hash; whoever begins it is here.
pub fn insert(db: &dyn Db, token_hash: &str, user_id: &str, session: &Session) -> Result<()> {
    db.execute(sql::DELETE_EXPIRED, params![session.created_at])?;
    let row = params![
        token_hash,
        &session.id,
        user_id,
        &session.user_agent,
        &session.address,
        session.created_at,
        session.expires_at,
        Some(&session.host).filter(|host| !host.is_empty())
    ];
    db.execute(sql::INSERT, row)?;
    user::seen(db, user_id, session.created_at)
}

/// Who a live session belongs to, with what they may do and where; notes that they were here. A session that is bound
/// to a host is nobody's on any other; `host` is empty on the master's own.
pub fn find(db: &dyn Db, token_hash: &str, host: &str, now: i64) -> Result<Option<Identity>> {
    let Some(mut row) = one(db, sql::FIND, params![token_hash, now, host])? else {
        return Ok(None);
    };
    let mut who = user::identity(db, &mut row)?;
    who.session_id = row.opt_text(4);
    if row.int(5) < now - user::SEEN_EVERY {
        // Only a note: that it cannot be kept is no reason to refuse what they came for.
        let _ = db.execute(sql::SEEN, params![token_hash, now]);
        let _ = user::seen(db, &who.user_id, now);
    }
    Ok(Some(who))
}

/// The live sessions of a person, the one used last first.
pub fn list(db: &dyn Db, user_id: &str, now: i64) -> Result<Vec<Session>> {
    let rows = db.query(sql::LIST, params![user_id, now])?;
    let session = |mut r: crate::Row| {
        let created_at = r.int(3);
        Session {
            id: r.text(0),
            user_agent: r.text(1),
            address: r.text(2),
            created_at,
            last_seen_at: r.opt_int(4).unwrap_or(created_at),
            expires_at: r.int(5),
            host: r.text(6),
        }
    };
    Ok(rows.into_iter().map(session).collect())
}

/// Ends a session; false when it has ended already.
pub fn delete(db: &dyn Db, token_hash: &str) -> Result<bool> {
    Ok(db.execute(sql::DELETE, params![token_hash])? > 0)
}

/// Ends a session of a person by its name; false when they have none of that name.
pub fn delete_by_id(db: &dyn Db, id: &str, user_id: &str) -> Result<bool> {
    Ok(db.execute(sql::DELETE_BY_ID, params![id, user_id])? > 0)
}

/// Ends all sessions of a person, and says how many.
pub fn delete_all(db: &dyn Db, user_id: &str) -> Result<u64> {
    db.execute(sql::DELETE_ALL, params![user_id])
}

/// Ends all sessions of a person but the one of that name, and says how many.
pub fn delete_others(db: &dyn Db, user_id: &str, id: &str) -> Result<u64> {
    db.execute(sql::DELETE_OTHERS, params![user_id, id])
}
