//! Keys for programs. Only their hashes are kept.

use crate::params;
use crate::port::{Db, Result, one};
use crate::queries::api_key as sql;
use crate::session::Identity;

/// A key as it is listed: never the key itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiKey {
    /// UUIDv7.
    pub id: String,
    /// What people call it.
    pub name: String,
    /// Its first characters, to tell keys apart.
    pub prefix: String,
    /// Milliseconds.
    pub created_at: i64,
    /// Milliseconds; exact to a minute.
    pub last_used_at: Option<i64>,
}

/// Keeps a new key's hash.
pub fn insert(db: &dyn Db, who: &Identity, key: &ApiKey, key_hash: &str) -> Result<()> {
    let params = params![
        &key.id,
        &who.account_id,
        &who.user_id,
        &key.name,
        &key.prefix,
        key_hash,
        key.created_at
    ];
    db.execute(sql::INSERT, params).map(|_| ())
}

/// Who a live key belongs to; notes that it was used.
pub fn find(db: &dyn Db, key_hash: &str, now: i64) -> Result<Option<Identity>> {
    let found = one(db, sql::FIND, params![key_hash])?.map(Identity::from_row);
    if found.is_some() {
        db.execute(sql::TOUCH, params![key_hash, now])?;
    }
    Ok(found)
}

/// The live keys of an account, newest first.
pub fn list(db: &dyn Db, account_id: &str) -> Result<Vec<ApiKey>> {
    let rows = db.query(sql::LIST, params![account_id])?;
    Ok(rows
        .into_iter()
        .map(|mut r| ApiKey {
            id: r.text(0),
            name: r.text(1),
            prefix: r.text(2),
            created_at: r.int(3),
            last_used_at: r.opt_int(4),
        })
        .collect())
}

/// How many live keys an account has.
pub fn count(db: &dyn Db, account_id: &str) -> Result<i64> {
    Ok(one(db, sql::COUNT, params![account_id])?.map_or(0, |r| r.int(0)))
}

/// Ends a key; false when there is no such live key.
pub fn revoke(db: &dyn Db, id: &str, account_id: &str, now: i64) -> Result<bool> {
    Ok(db.execute(sql::REVOKE, params![id, account_id, now])? > 0)
}
