//! Log-ins of people, and the brake on guessing.

use crate::params;
use crate::port::{Db, Result, Row, one};
use crate::queries::session as sql;

/// Somebody who is signed in, by session or by key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The account they belong to (UUID).
    pub account_id: String,
    /// The person (UUID).
    pub user_id: String,
    /// Their address.
    pub email: String,
}

impl Identity {
    pub(crate) fn from_row(mut row: Row) -> Self {
        Identity {
            account_id: row.text(0),
            user_id: row.text(1),
            email: row.text(2),
        }
    }
}

/// Keeps a new session's hash.
pub fn insert(
    db: &dyn Db,
    token_hash: &str,
    user_id: &str,
    now: i64,
    expires_at: i64,
) -> Result<()> {
    db.execute(sql::DELETE_EXPIRED, params![now])?;
    db.execute(sql::INSERT, params![token_hash, user_id, now, expires_at])
        .map(|_| ())
}

/// Who a live session belongs to.
pub fn find(db: &dyn Db, token_hash: &str, now: i64) -> Result<Option<Identity>> {
    Ok(one(db, sql::FIND, params![token_hash, now])?.map(Identity::from_row))
}

/// Ends a session.
pub fn delete(db: &dyn Db, token_hash: &str) -> Result<()> {
    db.execute(sql::DELETE, params![token_hash]).map(|_| ())
}

/// Failed log-ins for an address so far, and until when the next is refused.
pub fn attempts(db: &dyn Db, email: &str) -> Result<(i64, i64)> {
    Ok(one(db, sql::ATTEMPT, params![email])?.map_or((0, 0), |r| (r.int(0), r.int(1))))
}

/// Notes a failed log-in; the next is refused until `blocked_until`.
pub fn record_failure(db: &dyn Db, email: &str, blocked_until: i64) -> Result<()> {
    db.execute(sql::RECORD_FAILURE, params![email, blocked_until])
        .map(|_| ())
}

/// A log-in succeeded: the count begins anew.
pub fn forget_failures(db: &dyn Db, email: &str) -> Result<()> {
    db.execute(sql::FORGET_FAILURES, params![email]).map(|_| ())
}
