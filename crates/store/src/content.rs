//! Templates of outreach. A row never changes.

use domain::letter::Texts;

use crate::params;
use crate::port::{Db, Result, one};
use crate::queries::rule as sql;

/// Keeps templates and returns their id.
pub fn insert(db: &dyn Db, texts: &Texts, now: i64) -> Result<i64> {
    let html = texts.html.as_ref();
    let params = params!["email", &texts.subject, &texts.body, now, html];
    Ok(one(db, sql::INSERT_CONTENT, params)?.map_or(0, |r| r.int(0)))
}

/// Templates by id.
pub fn get(db: &dyn Db, id: i64) -> Result<Option<Texts>> {
    Ok(one(db, sql::CONTENT, params![id])?.map(|mut r| Texts {
        subject: r.text(0),
        body: r.text(1),
        html: r.opt_text(2),
    }))
}
