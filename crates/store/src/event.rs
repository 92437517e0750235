//! The log of what happened in a tenant. Only ever appended to.

use crate::params;
use crate::port::{Db, Result, Row, one};
use crate::queries::event as sql;

/// One thing that happened.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Event {
    /// Its place in the log; 0 before it is kept.
    pub id: i64,
    /// Milliseconds.
    pub at: i64,
    /// `tag_added`, `lead_created`, `outreach_performed` …: the timeline's metrics are these.
    pub kind: String,
    /// Whom it is about.
    pub lead_id: Option<i64>,
    /// The tag that was added.
    pub tag_id: Option<i64>,
    /// The import that did it.
    pub import_id: Option<i64>,
    /// The rule that did it.
    pub rule_id: Option<i64>,
    /// The profile that did it.
    pub profile_id: Option<i64>,
    /// The request it came from.
    pub request_id: Option<i64>,
    /// More, for people.
    pub data: Option<String>,
}

/// Appends one event.
pub fn insert(db: &dyn Db, e: &Event) -> Result<()> {
    let data = e.data.as_ref();
    let params = params![
        e.at,
        &e.kind,
        e.lead_id,
        e.tag_id,
        e.import_id,
        e.rule_id,
        e.profile_id,
        e.request_id,
        data
    ];
    db.execute(sql::INSERT, params).map(|_| ())
}

/// The place of the last event; 0 when there is none.
pub fn last_id(db: &dyn Db) -> Result<i64> {
    Ok(one(db, sql::LAST_ID, &[])?.map_or(0, |r| r.int(0)))
}

/// The last hundred events of a lead, newest first.
pub fn of_lead(db: &dyn Db, lead_id: i64) -> Result<Vec<Event>> {
    let rows = db.query(sql::OF_LEAD, params![lead_id])?;
    let event = |r| from_row(r, lead_id);
    Ok(rows.into_iter().map(event).collect())
}

pub(crate) fn from_row(mut r: Row, lead_id: i64) -> Event {
    Event {
        id: r.int(0),
        at: r.int(1),
        kind: r.text(2),
        lead_id: Some(lead_id),
        tag_id: r.opt_int(3),
        import_id: r.opt_int(4),
        rule_id: r.opt_int(5),
        profile_id: r.opt_int(6),
        request_id: r.opt_int(7),
        data: r.opt_text(8),
    }
}
