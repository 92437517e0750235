//! Counts by hour, rolled up from the event log.

use crate::params;
use crate::port::{Db, Error, Result, one};
use crate::queries::{cursor, timeline as sql};

/// Events that are rolled up in one transaction.
const BATCH: i64 = 100_000;

/// Counts what happened since the last time. The cursor moves in the same transaction, by compare and swap, so each
/// event is counted once however often this runs. Returns whether there is more.
pub fn roll_up(db: &dyn Db) -> Result<bool> {
    let last = crate::event::last_id(db)?;
    let from = cursor_of(db, "timeline")?;
    if last <= from {
        return Ok(false);
    }
    let to = last.min(from + BATCH);
    crate::transaction(db, || {
        db.execute(cursor::ENSURE, params!["timeline"])?;
        if db.execute(cursor::ADVANCE, params!["timeline", from, to])? == 0 {
            return Err(Error::Stale);
        }
        db.execute(sql::ROLL_UP, params![from, to])
    })?;
    Ok(to < last)
}

fn cursor_of(db: &dyn Db, stage: &str) -> Result<i64> {
    Ok(one(db, cursor::GET, params![stage])?.map_or(0, |r| r.int(0)))
}

/// Sums of a metric between two times for each step of `step` milliseconds; steps without any are left out.
pub fn points(db: &dyn Db, metric: &str, from: i64, to: i64, step: i64) -> Result<Vec<(i64, i64)>> {
    let rows = db.query(sql::POINTS, params![metric, from, to, step])?;
    Ok(rows.into_iter().map(|r| (r.int(0), r.int(1))).collect())
}

/// The sum of a metric between two times.
pub fn total(db: &dyn Db, metric: &str, from: i64, to: i64) -> Result<i64> {
    Ok(one(db, sql::TOTAL, params![metric, from, to])?.map_or(0, |r| r.int(0)))
}

/// The sum of a metric for each rule: (rule, count).
pub fn by_rule(db: &dyn Db, metric: &str) -> Result<Vec<(i64, i64)>> {
    let rows = db.query(sql::BY_RULE, params![metric])?;
    Ok(rows.into_iter().map(|r| (r.int(0), r.int(1))).collect())
}
