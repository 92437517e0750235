//! Who must not be written to again.

use std::collections::HashSet;

use crate::params;
use crate::port::{Db, Result, one};
use crate::queries::suppression as sql;

/// Suppresses an address; false when it was already.
pub fn insert(
    db: &dyn Db,
    address: &str,
    reason: &str,
    lead_id: Option<i64>,
    now: i64,
) -> Result<bool> {
    Ok(db.execute(sql::INSERT, params![address, reason, lead_id, now])? > 0)
}

/// Why an address is suppressed, if it is.
pub fn reason(db: &dyn Db, address: &str) -> Result<Option<String>> {
    Ok(one(db, sql::GET, params![address])?.map(|mut r| r.text(0)))
}

/// Which of some addresses are suppressed.
pub fn among<'a>(db: &dyn Db, addresses: impl Iterator<Item = &'a str>) -> Result<HashSet<String>> {
    let addresses: Vec<_> = addresses.collect();
    let json = serde_json::to_string(&addresses).unwrap_or_default();
    Ok(db
        .query(sql::LIST_IN, params![json])?
        .into_iter()
        .map(|mut r| r.text(0))
        .collect())
}
