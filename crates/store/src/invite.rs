//! Invitations to join an account.

use std::collections::BTreeMap;

use domain::identity::Role;

use crate::params;
use crate::port::{Db, Result, Row, one};
use crate::queries::invite as sql;
use crate::user::role;

/// An invitation that nobody accepted or revoked yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invite {
    /// UUIDv7.
    pub id: String,
    /// The account to join.
    pub account_id: String,
    /// Whom it was sent to; normalised.
    pub email: String,
    /// What they will be in the account.
    pub role: Role,
    /// Whoever invited them (UUID): the invitation ends with them.
    pub invited_by_id: String,
    /// Their address.
    pub invited_by: String,
    /// Milliseconds.
    pub created_at: i64,
    /// Milliseconds.
    pub expires_at: i64,
    /// What they will be in single sub-accounts.
    pub grants: BTreeMap<String, Role>,
}

fn from_row(db: &dyn Db, mut r: Row) -> Result<Invite> {
    let id = r.text(0);
    let grants = db.query(sql::GRANTS, params![&id])?;
    let grants = grants
        .into_iter()
        .map(|mut r| (r.text(0), role(&r.text(1))))
        .collect();
    Ok(Invite {
        id,
        account_id: r.text(1),
        email: r.text(2),
        role: role(&r.text(3)),
        invited_by: r.text(4),
        created_at: r.int(5),
        expires_at: r.int(6),
        invited_by_id: r.text(7),
        grants,
    })
}

/// How long one that has ended is kept, in milliseconds: 90 days.
const KEPT: i64 = 90 * 24 * 60 * 60 * 1000;

/// Keeps an invitation, in the place of an older one to the same address. Call it inside a transaction.
pub fn insert(db: &dyn Db, invite: &Invite) -> Result<()> {
    db.execute(sql::DELETE_OLD, params![invite.created_at - KEPT])?;
    let older = params![&invite.account_id, &invite.email, invite.created_at];
    db.execute(sql::REVOKE_OF_EMAIL, older)?;
    let row = params![
        &invite.id,
        &invite.account_id,
        &invite.email,
        invite.role.name(),
        &invite.invited_by,
        invite.created_at,
        invite.expires_at,
        &invite.invited_by_id
    ];
    db.execute(sql::INSERT, row)?;
    for (subaccount, role) in &invite.grants {
        let row = params![&invite.id, subaccount, role.name()];
        db.execute(sql::INSERT_GRANT, row)?;
    }
    Ok(())
}

/// The invitations of an account, newest first.
pub fn list(db: &dyn Db, account_id: &str) -> Result<Vec<Invite>> {
    let rows = db.query(sql::LIST, params![account_id])?;
    rows.into_iter().map(|r| from_row(db, r)).collect()
}

/// One of them.
pub fn get(db: &dyn Db, id: &str, account_id: &str) -> Result<Option<Invite>> {
    let row = one(db, sql::GET, params![id, account_id])?;
    row.map(|r| from_row(db, r)).transpose()
}

/// One that can still be accepted.
pub fn open(db: &dyn Db, id: &str, now: i64) -> Result<Option<Invite>> {
    let row = one(db, sql::OPEN, params![id, now])?;
    row.map(|r| from_row(db, r)).transpose()
}

/// How many an account has.
pub fn count(db: &dyn Db, account_id: &str) -> Result<i64> {
    Ok(one(db, sql::COUNT, params![account_id])?.map_or(0, |r| r.int(0)))
}

/// It holds longer.
pub fn extend(db: &dyn Db, id: &str, expires_at: i64) -> Result<bool> {
    Ok(db.execute(sql::EXTEND, params![id, expires_at])? > 0)
}

/// Takes an invitation back; false when there is none to take back.
pub fn revoke(db: &dyn Db, id: &str, account_id: &str, now: i64) -> Result<bool> {
    Ok(db.execute(sql::REVOKE, params![id, account_id, now])? > 0)
}

/// Somebody joined by it; false when it was accepted, revoked or too old. Call it inside the transaction that adds them,
/// after that.
pub fn accept(db: &dyn Db, id: &str, user_id: &str, now: i64) -> Result<bool> {
    if db.execute(sql::ACCEPT, params![id, now])? == 0 {
        return Ok(false);
    }
    db.execute(sql::ACCEPT_GRANTS, params![id, user_id])?;
    Ok(true)
}
