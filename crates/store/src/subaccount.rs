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
    /// `requested`, `allocating`, `active` or `failed`.
    pub status: String,
    /// Why it is not active yet.
    pub reason: Option<String>,
    /// Where it is served, once active: a URL, or a path below the master's own address.
    pub base_url: Option<String>,
    /// Milliseconds.
    pub created_at: i64,
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

/// One that `allocate` works on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Due {
    /// UUIDv7.
    pub id: String,
    /// The account that asked for it.
    pub account_id: String,
    /// What people call it.
    pub name: String,
    /// 1 for the first try.
    pub attempt: u32,
}

/// Leases those that are due, oldest first.
pub fn claim_due(
    db: &dyn Db,
    token: &str,
    lease_until: i64,
    now: i64,
    limit: i64,
) -> Result<Vec<Due>> {
    if db.query(sql::ANY_DUE, params![now])?.is_empty() {
        return Ok(Vec::new());
    }
    let rows = db.query(sql::CLAIM_DUE, params![token, lease_until, now, limit])?;
    let due = |mut r: Row| Due {
        id: r.text(0),
        account_id: r.text(1),
        name: r.text(2),
        attempt: u32::try_from(r.int(3)).unwrap_or(1),
    };
    Ok(rows.into_iter().map(due).collect())
}

/// It has a home now. False when the lease was lost.
pub fn activate(db: &dyn Db, id: &str, token: &str, base_url: &str, now: i64) -> Result<bool> {
    Ok(db.execute(sql::ACTIVATE, params![id, token, base_url, now])? > 0)
}

/// It has to wait, and says why.
pub fn postpone(
    db: &dyn Db,
    id: &str,
    token: &str,
    reason: &str,
    next_at: i64,
    now: i64,
) -> Result<bool> {
    Ok(db.execute(sql::POSTPONE, params![id, token, reason, next_at, now])? > 0)
}
