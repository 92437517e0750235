//! What the links of a tenant were signed with at the nodes that it lived on before, sealed.

use crate::params;
use crate::port::{Db, Result};
use crate::queries::link_key as sql;

/// The keys of a tenant.
pub fn all(db: &dyn Db, tenant_id: &str) -> Result<Vec<String>> {
    let rows = db.query(sql::ALL, params![tenant_id])?;
    Ok(rows.into_iter().map(|mut r| r.text(0)).collect())
}

/// Puts keys in the place of those before. Call it inside a transaction.
pub fn put_all(db: &dyn Db, tenant_id: &str, sealed: &[String]) -> Result<()> {
    db.execute(sql::DELETE, params![tenant_id])?;
    for key in sealed {
        db.execute(sql::INSERT, params![tenant_id, key])?;
    }
    Ok(())
}
