//! Single values of a tenant.

use crate::params;
use crate::port::{Db, Result, one};
use crate::queries::setting as sql;

/// A value by its key.
pub fn get(db: &dyn Db, key: &str) -> Result<Option<String>> {
    Ok(one(db, sql::GET, params![key])?.map(|mut r| r.text(0)))
}

/// Keeps a value unless there is one, and returns the one that is kept.
pub fn get_or_insert(db: &dyn Db, key: &str, value: &str) -> Result<String> {
    db.execute(sql::INSERT, params![key, value])?;
    Ok(get(db, key)?.unwrap_or_default())
}
