//! Host names of sub-accounts, in a slave's control database.

use crate::params;
use crate::port::{Db, Result, Row, one, transaction};
use crate::queries::custom_domain as sql;

/// A host name that a tenant asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CustomDomain {
    /// In lower case, in the DNS's own letters.
    pub name: String,
    /// What its owner must show in the DNS.
    pub token: String,
    /// When it was found there; milliseconds.
    pub verified_at: Option<i64>,
    /// When it was last looked for.
    pub checked_at: Option<i64>,
    /// Why it was not found, for people.
    pub reason: Option<String>,
    /// Milliseconds.
    pub created_at: i64,
}

fn from_row(mut r: Row) -> CustomDomain {
    CustomDomain {
        name: r.text(0),
        token: r.text(1),
        verified_at: r.opt_int(2),
        checked_at: r.opt_int(3),
        reason: r.opt_text(4),
        created_at: r.int(5),
    }
}

/// Asks for a name; one that the tenant asked for before keeps its token. False: the tenant has `max` others already.
pub fn ask(
    db: &dyn Db,
    tenant_id: &str,
    name: &str,
    token: &str,
    max: i64,
    now: i64,
) -> Result<bool> {
    transaction(db, || {
        if get(db, tenant_id, name)?.is_some() {
            return Ok(true);
        }
        if one(db, sql::COUNT, params![tenant_id])?.is_some_and(|r| r.int(0) >= max) {
            return Ok(false);
        }
        insert(db, tenant_id, name, token, now)?;
        Ok(true)
    })
}

/// Keeps a name with a token; one that the tenant asked for before keeps its own.
pub fn insert(db: &dyn Db, tenant_id: &str, name: &str, token: &str, now: i64) -> Result<()> {
    db.execute(sql::INSERT, params![name, tenant_id, token, now])
        .map(|_| ())
}

/// The names of a tenant, the oldest first.
pub fn of_tenant(db: &dyn Db, tenant_id: &str) -> Result<Vec<CustomDomain>> {
    let rows = db.query(sql::OF_TENANT, params![tenant_id])?;
    Ok(rows.into_iter().map(from_row).collect())
}

/// One name of a tenant.
pub fn get(db: &dyn Db, tenant_id: &str, name: &str) -> Result<Option<CustomDomain>> {
    Ok(one(db, sql::GET, params![tenant_id, name])?.map(from_row))
}

/// Where a verified name leads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// The tenant.
    pub tenant_id: String,
    /// Whether a request has come by the name.
    pub is_reached: bool,
}

/// Where a name leads; none for one that nobody has proven.
pub fn target(db: &dyn Db, name: &str) -> Result<Option<Target>> {
    let row = one(db, sql::TARGET, params![name])?;
    Ok(row.map(|mut r| Target {
        tenant_id: r.text(0),
        is_reached: r.opt_int(1).is_some(),
    }))
}

/// A request came by a verified name, so that links may be made with it.
pub fn reached(db: &dyn Db, name: &str, now: i64) -> Result<()> {
    db.execute(sql::REACHED, params![name, now]).map(|_| ())
}

/// The name that a tenant's links are made with: one that requests come by.
pub fn primary(db: &dyn Db, tenant_id: &str) -> Result<Option<String>> {
    Ok(one(db, sql::PRIMARY, params![tenant_id])?.map(|mut r| r.text(0)))
}

/// Verified names after another one, in their order.
pub fn verified(db: &dyn Db, after: &str, limit: i64) -> Result<Vec<String>> {
    let rows = db.query(sql::VERIFIED, params![after, limit])?;
    Ok(rows.into_iter().map(|mut r| r.text(0)).collect())
}

/// The proof of a token was found: the name leads to this tenant, and no other has it any more, or has asked for it. It
/// changes nothing when the tenant's token is another one by now.
pub fn verify(db: &dyn Db, tenant_id: &str, name: &str, token: &str, now: i64) -> Result<()> {
    transaction(db, || {
        let asked = get(db, tenant_id, name)?;
        if asked.is_some_and(|asked| asked.token == token) {
            db.execute(sql::RELEASE, params![name, tenant_id])?;
            db.execute(sql::VERIFY, params![tenant_id, name, now])?;
        }
        Ok(())
    })
}

/// No proof was found; `is_sure` when the DNS said so itself. A verified name leads on until that was so for a week.
pub fn refuse(
    db: &dyn Db,
    tenant_id: &str,
    name: &str,
    reason: &str,
    is_sure: bool,
    now: i64,
) -> Result<()> {
    let params = params![tenant_id, name, now, reason, is_sure];
    db.execute(sql::REFUSE, params).map(|_| ())
}

/// Names to look at again, each with its tenant: verified ones once a day, and for three days those that were asked for,
/// every ten minutes.
pub fn due(db: &dyn Db, now: i64, limit: i64) -> Result<Vec<(String, CustomDomain)>> {
    let rows = db.query(sql::DUE, params![now, limit])?;
    let pair = |mut r: Row| (r.text(6), from_row(r));
    Ok(rows.into_iter().map(pair).collect())
}

/// Gives a name up; false when the tenant had none of it.
pub fn delete(db: &dyn Db, tenant_id: &str, name: &str) -> Result<bool> {
    Ok(db.execute(sql::DELETE, params![tenant_id, name])? > 0)
}
