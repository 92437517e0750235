//! Searches for leads that people keep.

use crate::params;
use crate::port::{Db, Result, one};
use crate::queries::saved_view as sql;

/// One of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SavedView {
    /// Its key in the tenant; 0 before it is kept.
    pub id: i64,
    /// What people call it.
    pub name: String,
    /// The search as the API takes it, in JSON.
    pub search: String,
    /// Whose it is alone (a person's UUID); everybody's when there is none.
    pub owner_id: Option<String>,
    /// Milliseconds.
    pub created_at: i64,
}

/// Keeps a view and returns its id.
pub fn insert(db: &dyn Db, view: &SavedView) -> Result<i64> {
    let owner = view.owner_id.as_deref();
    let params = params![&view.name, &view.search, owner, view.created_at];
    Ok(one(db, sql::INSERT, params)?.map_or(0, |r| r.int(0)))
}

/// Everybody's views and those of one person, by name.
pub fn list(db: &dyn Db, person: &str) -> Result<Vec<SavedView>> {
    let rows = db.query(sql::LIST, params![person])?;
    Ok(rows
        .into_iter()
        .map(|mut r| SavedView {
            id: r.int(0),
            name: r.text(1),
            search: r.text(2),
            owner_id: r.opt_text(3),
            created_at: r.int(4),
        })
        .collect())
}

/// How many there are, of everybody.
pub fn count(db: &dyn Db) -> Result<i64> {
    Ok(one(db, sql::COUNT, &[])?.map_or(0, |r| r.int(0)))
}

/// Removes everybody's view or one of a person; false when there is none.
pub fn delete(db: &dyn Db, id: i64, person: &str) -> Result<bool> {
    Ok(db.execute(sql::DELETE, params![id, person])? > 0)
}
