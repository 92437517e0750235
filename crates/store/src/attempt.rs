//! The brake on guessing: failures by what was tried.

use crate::params;
use crate::port::{Db, Result, one};
use crate::queries::attempt as sql;

/// How it went so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Attempts {
    /// Failures since the last success.
    pub failures: i64,
    /// When the last one was, in milliseconds.
    pub last_at: i64,
    /// Until when the next try is refused, in milliseconds.
    pub blocked_until: i64,
}

/// The failures of a kind for a name; those before `since` are forgotten.
pub fn get(db: &dyn Db, kind: &str, name: &str, since: i64) -> Result<Attempts> {
    let found = one(db, sql::GET, params![kind, name])?.map(|r| Attempts {
        failures: if r.int(1) < since { 0 } else { r.int(0) },
        last_at: r.int(1),
        blocked_until: r.int(2),
    });
    Ok(found.unwrap_or_default())
}

/// Notes a failure; the next try is refused until `blocked_until`. Failures before `since` are forgotten.
pub fn fail(
    db: &dyn Db,
    kind: &str,
    name: &str,
    now: i64,
    blocked_until: i64,
    since: i64,
) -> Result<()> {
    db.execute(sql::FAIL, params![kind, name, now, blocked_until, since])
        .map(|_| ())
}

/// A try succeeded: the count begins anew.
pub fn forget(db: &dyn Db, kind: &str, name: &str) -> Result<()> {
    db.execute(sql::FORGET, params![kind, name]).map(|_| ())
}

/// Forgets all failures before a time.
pub fn delete_old(db: &dyn Db, before: i64) -> Result<()> {
    db.execute(sql::DELETE_OLD, params![before]).map(|_| ())
}
