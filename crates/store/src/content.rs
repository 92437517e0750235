//! Templates of outreach. A row never changes.

use domain::rule::Action;

use crate::params;
use crate::port::{Db, Result, one};
use crate::queries::rule as sql;

/// Templates of a subject and a body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Content {
    /// One line.
    pub subject: String,
    /// Plain text.
    pub body: String,
}

/// Keeps what an action writes and returns its id; none when it writes nothing.
pub fn insert(db: &dyn Db, action: &Action, now: i64) -> Result<Option<i64>> {
    let Action::NewOutreach {
        outreach_type: _,
        subject,
        body,
    } = action
    else {
        return Ok(None);
    };
    let params = params!["email", subject, body, now];
    Ok(one(db, sql::INSERT_CONTENT, params)?.map(|r| r.int(0)))
}

/// Templates by id.
pub fn get(db: &dyn Db, id: i64) -> Result<Option<Content>> {
    Ok(one(db, sql::CONTENT, params![id])?.map(|mut r| Content {
        subject: r.text(0),
        body: r.text(1),
    }))
}
