//! Keys for programs. Only their hashes are kept.

use std::collections::BTreeSet;

use crate::params;
use crate::port::{Db, Result, Row, one};
use crate::queries::api_key as sql;
use crate::user;
use domain::identity::{Action, Identity, Limits};

/// A key as it is listed: never the key itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiKey {
    /// UUIDv7.
    pub id: String,
    /// What people call it.
    pub name: String,
    /// Its first characters, to tell keys apart.
    pub prefix: String,
    /// What it may do, and where.
    pub limits: Limits,
    /// When it ends by itself, in milliseconds.
    pub expires_at: Option<i64>,
    /// Milliseconds.
    pub created_at: i64,
    /// Milliseconds; exact to a minute.
    pub last_used_at: Option<i64>,
    /// The person whose rights it has.
    pub user_id: String,
    /// Their address.
    pub owner: String,
}

fn words<T: Ord>(text: &str, of: impl Fn(&str) -> Option<T>) -> BTreeSet<T> {
    text.split(' ').filter_map(of).collect()
}

fn limits(scopes: &str, subaccounts: &str) -> Limits {
    Limits {
        scopes: words(scopes, Action::of),
        subaccounts: words(subaccounts, |id| (!id.is_empty()).then(|| id.to_owned())),
    }
}

fn from_row(mut r: Row) -> ApiKey {
    ApiKey {
        id: r.text(0),
        name: r.text(1),
        prefix: r.text(2),
        limits: limits(&r.text(3), &r.text(4)),
        expires_at: r.opt_int(5),
        created_at: r.int(6),
        last_used_at: r.opt_int(7),
        user_id: r.text(8),
        owner: r.text(9),
    }
}

/// How long one that was revoked is kept, in milliseconds: 90 days.
const KEPT: i64 = 90 * 24 * 60 * 60 * 1000;

/// Keeps a new key's hash.
pub fn insert(db: &dyn Db, account_id: &str, key: &ApiKey, key_hash: &str) -> Result<()> {
    db.execute(sql::DELETE_OLD, params![key.created_at - KEPT])?;
    let scopes: Vec<_> = key.limits.scopes.iter().map(|a| a.name()).collect();
    let subaccounts: Vec<_> = key.limits.subaccounts.iter().map(String::as_str).collect();
    let params = params![
        &key.id,
        account_id,
        &key.user_id,
        &key.name,
        &key.prefix,
        key_hash,
        scopes.join(" "),
        subaccounts.join(" "),
        key.expires_at,
        key.created_at
    ];
    db.execute(sql::INSERT, params).map(|_| ())
}

/// Who a live key belongs to, cut down to what the key may; notes that it was used.
pub fn find(db: &dyn Db, key_hash: &str, now: i64) -> Result<Option<Identity>> {
    let Some(mut row) = one(db, sql::FIND, params![key_hash, now])? else {
        return Ok(None);
    };
    let mut who = user::identity(db, &mut row)?;
    who.limits = Some(limits(&row.text(4), &row.text(5)));
    if row.int(6) < now - user::SEEN_EVERY {
        // Only a note: that it cannot be kept is no reason to refuse what they came for.
        let _ = db.execute(sql::TOUCH, params![key_hash, now]);
        let _ = user::seen(db, &who.user_id, now);
    }
    Ok(Some(who))
}

/// The keys of an account that were not revoked, newest first.
pub fn list(db: &dyn Db, account_id: &str) -> Result<Vec<ApiKey>> {
    let rows = db.query(sql::LIST, params![account_id])?;
    Ok(rows.into_iter().map(from_row).collect())
}

/// One of them.
pub fn get(db: &dyn Db, id: &str, account_id: &str) -> Result<Option<ApiKey>> {
    Ok(one(db, sql::GET, params![id, account_id])?.map(from_row))
}

/// How many keys an account has that were not revoked.
pub fn count(db: &dyn Db, account_id: &str) -> Result<i64> {
    Ok(one(db, sql::COUNT, params![account_id])?.map_or(0, |r| r.int(0)))
}

/// Ends a key; false when there is no such live key.
pub fn revoke(db: &dyn Db, id: &str, account_id: &str, now: i64) -> Result<bool> {
    Ok(db.execute(sql::REVOKE, params![id, account_id, now])? > 0)
}

/// Ends all keys of a person, and says how many.
pub fn revoke_of_user(db: &dyn Db, user_id: &str, now: i64) -> Result<u64> {
    db.execute(sql::REVOKE_OF_USER, params![user_id, now])
}
