//! What the master said of a credential, remembered for a while, and the workers that registered.

use crate::params;
use crate::port::{Db, Result, one};
use crate::queries::credential as sql;

/// How long an answer of the master holds without asking again, in milliseconds: what is revoked there ends here within
/// that time.
pub const HOLDS: i64 = 2000;

/// What the master said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remembered {
    /// The statement, as JSON.
    pub claims: String,
    /// Whether it was said so lately that the master need not be asked.
    pub fresh: bool,
}

/// What the master said of a credential, unless the statement has ended.
pub fn get(db: &dyn Db, token_hash: &str, now: i64) -> Result<Option<Remembered>> {
    let row = one(db, sql::GET, params![token_hash, now])?;
    Ok(row.map(|mut r| Remembered {
        // A clock that was set back must not make an old answer last.
        fresh: (now - HOLDS + 1..=now + HOLDS).contains(&r.int(1)),
        claims: r.text(0),
    }))
}

/// Remembers what the master said, which holds until `ends_at` while it cannot be asked.
pub fn put(db: &dyn Db, token_hash: &str, claims: &str, now: i64, ends_at: i64) -> Result<()> {
    db.execute(sql::DELETE_OLD, params![now])?;
    db.execute(sql::PUT, params![token_hash, claims, now, ends_at])
        .map(|_| ())
}

/// The master does not answer: what it said last goes on, and it is asked again when that is no longer fresh.
pub fn keep(db: &dyn Db, token_hash: &str, now: i64) -> Result<()> {
    db.execute(sql::KEEP, params![token_hash, now]).map(|_| ())
}

/// The credential is nobody's any more.
pub fn forget(db: &dyn Db, token_hash: &str) -> Result<()> {
    db.execute(sql::DELETE, params![token_hash]).map(|_| ())
}

/// The master does not know this node any more: nothing that it said before counts.
pub fn forget_all(db: &dyn Db) -> Result<()> {
    db.execute(sql::DELETE_ALL, &[]).map(|_| ())
}

/// A worker said that it is there.
pub fn register_worker(db: &dyn Db, name: &str, version: &str, now: i64) -> Result<()> {
    db.execute(sql::REGISTER_WORKER, params![name, version, now])
        .map(|_| ())
}

/// How long a worker's last sign of life may be unwritten, in milliseconds.
const UNWRITTEN: i64 = 20_000;

/// A worker that said once that it is there calls again.
pub fn worker_called(db: &dyn Db, name: &str, now: i64) -> Result<()> {
    // Most calls change nothing, and must not wait for writers.
    match last_worker(db)? {
        Some(at) if at > now - UNWRITTEN => Ok(()),
        _ => db
            .execute(sql::WORKER_SEEN, params![name, now, now - UNWRITTEN])
            .map(|_| ()),
    }
}

/// When any worker called last, in milliseconds; none when none ever did.
pub fn last_worker(db: &dyn Db) -> Result<Option<i64>> {
    Ok(one(db, sql::LAST_WORKER, &[])?.and_then(|r| r.opt_int(0)))
}
