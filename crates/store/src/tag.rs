//! Tags, and who put them on whom.

use crate::params;
use crate::port::{Db, Result, one};
use crate::queries::tag as sql;

/// A tag's id, made if there is none of that name (letters without case).
pub fn ensure(db: &dyn Db, name: &str, now: i64) -> Result<i64> {
    let (name, folded) = (name.trim(), name.trim().to_lowercase());
    db.execute(sql::ENSURE, params![name, &folded, now])?;
    Ok(find(db, &folded)?.unwrap_or_default())
}

/// A tag's id by its name.
pub fn find(db: &dyn Db, name: &str) -> Result<Option<i64>> {
    Ok(one(db, sql::BY_FOLDED, params![name.trim().to_lowercase()])?.map(|r| r.int(0)))
}

/// All tags by name, up to 500: (id, name).
pub fn list(db: &dyn Db) -> Result<Vec<(i64, String)>> {
    Ok(db
        .query(sql::LIST, &[])?
        .into_iter()
        .map(|mut r| (r.int(0), r.text(1)))
        .collect())
}

/// The names of all tags, up to 500.
pub fn names(db: &dyn Db) -> Result<Vec<String>> {
    Ok(list(db)?.into_iter().map(|(_, name)| name).collect())
}

/// Puts a tag on a lead; false when it was there.
pub fn add(db: &dyn Db, tag_id: i64, lead_id: i64, source: &str, now: i64) -> Result<bool> {
    Ok(db.execute(sql::ADD_TO_LEAD, params![tag_id, lead_id, now, source])? > 0)
}

/// A tag on a lead.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Provenance {
    /// The tag's name.
    pub name: String,
    /// When it was put on.
    pub at: i64,
    /// By what: `import:7`, `api`, `rule:3`.
    pub source: String,
}

/// The tags of a lead with where they came from.
pub fn of_lead(db: &dyn Db, lead_id: i64) -> Result<Vec<Provenance>> {
    let rows = db.query(sql::OF_LEAD, params![lead_id])?;
    Ok(rows
        .into_iter()
        .map(|mut r| Provenance {
            name: r.text(0),
            at: r.int(1),
            source: r.text(2),
        })
        .collect())
}
