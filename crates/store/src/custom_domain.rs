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

/// Asks for a name; one that the tenant asked for before keeps its token.
pub fn insert(db: &dyn Db, tenant_id: &str, name: &str, token: &str, now: i64) -> Result<()> {
    db.execute(sql::INSERT, params![name, tenant_id, token, now])
        .map(|_| ())
}

/// How many names a tenant asked for.
pub fn count(db: &dyn Db, tenant_id: &str) -> Result<i64> {
    Ok(one(db, sql::COUNT, params![tenant_id])?.map_or(0, |r| r.int(0)))
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

/// The tenant that a verified name leads to.
pub fn tenant(db: &dyn Db, name: &str) -> Result<Option<String>> {
    Ok(one(db, sql::TENANT, params![name])?.map(|mut r| r.text(0)))
}

/// The name that a tenant's links are made with.
pub fn primary(db: &dyn Db, tenant_id: &str) -> Result<Option<String>> {
    Ok(one(db, sql::PRIMARY, params![tenant_id])?.map(|mut r| r.text(0)))
}

/// Verified names after another one, in their order.
pub fn verified(db: &dyn Db, after: &str, limit: i64) -> Result<Vec<String>> {
    let rows = db.query(sql::VERIFIED, params![after, limit])?;
    Ok(rows.into_iter().map(|mut r| r.text(0)).collect())
}

/// The proof was found: the name leads to this tenant, and to no other any more.
pub fn verify(db: &dyn Db, tenant_id: &str, name: &str, now: i64) -> Result<()> {
    transaction(db, || {
        db.execute(sql::RELEASE, params![name, tenant_id, now])?;
        db.execute(sql::VERIFY, params![tenant_id, name, now])?;
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
