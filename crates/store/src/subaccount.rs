//! Sub-accounts, as the master knows them.

use crate::params;
use crate::port::{Db, Result, Row, one};
use crate::queries::subaccount as sql;

/// One sub-account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subaccount {
    /// UUIDv7.
    pub id: String,
    /// The account that asked for it.
    pub account_id: String,
    /// What people call it.
    pub name: String,
    /// `requested`, `allocating` or `active`; whatever it is, it may be suspended or deleted as well.
    pub status: String,
    /// Why it is not active yet.
    pub reason: Option<String>,
    /// Where it is served, once active: a URL, or a path below the master's own address.
    pub base_url: Option<String>,
    /// Milliseconds.
    pub created_at: i64,
    /// Since when it rests.
    pub suspended_at: Option<i64>,
    /// Since when it is deleted.
    pub deleted_at: Option<i64>,
    /// Until when it can be brought back, when it is deleted.
    pub purge_at: Option<i64>,
}

impl Subaccount {
    /// What it is to people: `deleted`, `suspended`, `requested`, `allocating` or `active`.
    pub fn state(&self) -> &str {
        match (self.deleted_at, self.suspended_at) {
            (Some(_), _) => "deleted",
            (None, Some(_)) => "suspended",
            (None, None) => &self.status,
        }
    }
}

fn from_row(mut r: Row) -> Subaccount {
    Subaccount {
        id: r.text(0),
        account_id: r.text(1),
        name: r.text(2),
        status: r.text(3),
        reason: r.opt_text(4),
        base_url: r.opt_text(5),
        created_at: r.int(6),
        suspended_at: r.opt_int(7),
        deleted_at: r.opt_int(8),
        purge_at: r.opt_int(9),
    }
}

/// Asks for a sub-account.
pub fn insert(db: &dyn Db, id: &str, account_id: &str, name: &str, now: i64) -> Result<()> {
    db.execute(sql::INSERT, params![id, account_id, name, now])
        .map(|_| ())
}

/// One sub-account of an account.
pub fn get(db: &dyn Db, id: &str, account_id: &str) -> Result<Option<Subaccount>> {
    Ok(one(db, sql::GET, params![id, account_id])?.map(from_row))
}

/// The sub-accounts of an account, newest first.
pub fn list(db: &dyn Db, account_id: &str) -> Result<Vec<Subaccount>> {
    Ok(db
        .query(sql::LIST, params![account_id])?
        .into_iter()
        .map(from_row)
        .collect())
}

/// How many an account has.
pub fn count(db: &dyn Db, account_id: &str) -> Result<i64> {
    Ok(one(db, sql::COUNT, params![account_id])?.map_or(0, |r| r.int(0)))
}

/// One sub-account, whosever it is.
pub fn any(db: &dyn Db, id: &str) -> Result<Option<Subaccount>> {
    Ok(one(db, sql::ANY, params![id])?.map(from_row))
}

/// It has a place in view.
pub fn allocating(db: &dyn Db, id: &str, now: i64) -> Result<()> {
    db.execute(sql::ALLOCATING, params![id, now]).map(|_| ())
}

/// It has a home.
pub fn activate(db: &dyn Db, id: &str, base_url: &str, now: i64) -> Result<()> {
    db.execute(sql::ACTIVATE, params![id, base_url, now])
        .map(|_| ())
}

/// Why it is not there yet, or what is the matter with it.
pub fn explain(db: &dyn Db, id: &str, reason: &str, now: i64) -> Result<()> {
    db.execute(sql::EXPLAIN, params![id, reason, now])
        .map(|_| ())
}

/// It has no place in view any more, says why, and is tried again by itself.
pub fn wait_again(db: &dyn Db, id: &str, reason: &str, next_at: i64, now: i64) -> Result<()> {
    db.execute(sql::WAIT_AGAIN, params![id, reason, next_at, now])
        .map(|_| ())
}

/// Calls it otherwise. False: there is none.
pub fn rename(db: &dyn Db, id: &str, account_id: &str, name: &str, now: i64) -> Result<bool> {
    changed(db, sql::RENAME, params![id, account_id, name, now])
}

/// Lets it rest (`since`), or work again (none). False: there is none, or it is deleted.
pub fn suspend(
    db: &dyn Db,
    id: &str,
    account_id: &str,
    since: Option<i64>,
    now: i64,
) -> Result<bool> {
    changed(db, sql::SUSPEND, params![id, account_id, since, now])
}

/// Deletes it; it can be brought back until `purge_at`. When it is deleted already, that time may only get shorter.
/// False: nothing changed.
pub fn delete(db: &dyn Db, id: &str, account_id: &str, now: i64, purge_at: i64) -> Result<bool> {
    let deleted = changed(db, sql::DELETE, params![id, account_id, now, purge_at])?;
    Ok(deleted || changed(db, sql::HASTEN, params![id, account_id, purge_at])?)
}

/// Brings it back. False: it is not deleted, or it is too late.
pub fn restore(db: &dyn Db, id: &str, account_id: &str, now: i64) -> Result<bool> {
    changed(db, sql::RESTORE, params![id, account_id, now])
}

fn changed(db: &dyn Db, sql: &str, params: &[crate::Value]) -> Result<bool> {
    Ok(db.execute(sql, params)? > 0)
}

/// Whether some are deleted for so long that they cannot be brought back.
pub fn any_purge(db: &dyn Db, now: i64) -> Result<bool> {
    Ok(!db.query(sql::ANY_PURGE, params![now])?.is_empty())
}

/// Those of them that have let go of their nodes: (id, account).
pub fn purged(db: &dyn Db, now: i64) -> Result<Vec<(String, String)>> {
    let rows = db.query(sql::PURGED, params![now])?;
    Ok(rows
        .into_iter()
        .map(|mut r| (r.text(0), r.text(1)))
        .collect())
}

/// Forgets it, and who might work in it, when its time to be brought back has passed.
pub fn destroy(db: &dyn Db, id: &str, now: i64) -> Result<()> {
    db.execute(sql::DELETE_MOVES, params![id, now])?;
    db.execute(sql::DESTROY, params![id, now]).map(|_| ())
}

/// The host name of its own by which a sub-account's people were last seen (JSON), and when, in milliseconds.
pub fn front(db: &dyn Db, id: &str) -> Result<Option<(String, i64)>> {
    let row = one(db, sql::FRONT, params![id])?;
    Ok(row.map(|mut r| (r.text(0), r.int(1))))
}

/// Remembers it.
pub fn set_front(db: &dyn Db, id: &str, front: &str, now: i64) -> Result<()> {
    db.execute(sql::SET_FRONT, params![id, front, now])
        .map(|_| ())
}
