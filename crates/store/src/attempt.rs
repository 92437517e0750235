//! The brake on guessing: tries by what was tried.

use crate::params;
use crate::port::{Db, Result, one};
use crate::queries::attempt as sql;

/// How it went so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Attempts {
    /// Tries since `first_at` that were no success.
    pub failures: i64,
    /// Since when they are counted, in milliseconds.
    pub first_at: i64,
    /// Until when the next try is refused, in milliseconds.
    pub blocked_until: i64,
}

/// The tries of a kind for a name.
pub fn get(db: &dyn Db, kind: &str, name: &str) -> Result<Attempts> {
    let found = one(db, sql::GET, params![kind, name])?.map(|r| Attempts {
        failures: r.int(0),
        first_at: r.int(1),
        blocked_until: r.int(2),
    });
    Ok(found.unwrap_or_default())
}

/// Keeps the count. Call it in the transaction that read it.
pub fn put(db: &dyn Db, kind: &str, name: &str, attempts: &Attempts) -> Result<()> {
    let row = params![
        kind,
        name,
        attempts.failures,
        attempts.first_at,
        attempts.blocked_until
    ];
    db.execute(sql::PUT, row).map(|_| ())
}

/// A try that was counted, and made the pause until `until`, was no failure.
pub fn give_back(db: &dyn Db, kind: &str, name: &str, until: i64) -> Result<()> {
    db.execute(sql::GIVE_BACK, params![kind, name, until])
        .map(|_| ())
}

/// A try succeeded: the count begins anew.
pub fn forget(db: &dyn Db, kind: &str, name: &str) -> Result<()> {
    db.execute(sql::FORGET, params![kind, name]).map(|_| ())
}

/// Forgets what began before a time.
pub fn delete_old(db: &dyn Db, before: i64) -> Result<()> {
    db.execute(sql::DELETE_OLD, params![before]).map(|_| ())
}
