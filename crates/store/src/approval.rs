//! Requests that a person is to approve before they are sent.

use crate::params;
use crate::port::{Db, Result, one};
use crate::queries::approval as sql;
use crate::request;

/// Which of them; 0 is for any.
#[derive(Debug, Clone, Copy, Default)]
pub struct Which {
    /// Of this rule.
    pub rule_id: i64,
    /// Of this profile.
    pub profile_id: i64,
}

/// Requests that one call settles.
pub const BATCH: i64 = 5_000;

/// How many there are, and the newest of them.
pub fn count(db: &dyn Db, which: Which) -> Result<(i64, Option<i64>)> {
    let row = one(db, sql::COUNT, params![which.rule_id, which.profile_id])?;
    Ok(row.map_or((0, None), |r| (r.int(0), r.opt_int(1))))
}

/// Has a person approve what waits for a profile and was not approved yet.
pub fn ask_for_profile(db: &dyn Db, profile_id: i64, now: i64) -> Result<u64> {
    db.execute(sql::ASK_FOR_PROFILE, params![profile_id, now])
}

/// Lets a request go on; false when it does not wait for that.
pub fn approve(db: &dyn Db, id: i64, now: i64) -> Result<bool> {
    Ok(db.execute(sql::APPROVE, params![id, now])? > 0)
}

/// Ends a request; false when it does not wait for that. Call it inside a transaction.
pub fn reject(db: &dyn Db, id: i64, now: i64) -> Result<bool> {
    let Some(row) = one(db, sql::REJECT, params![id, now])? else {
        return Ok(false);
    };
    request::note_canceled(db, &row, now)?;
    Ok(true)
}

/// Lets the oldest go on, at most [`BATCH`] and none newer than `up_to`; how many they were.
pub fn approve_all(db: &dyn Db, which: Which, up_to: i64, now: i64) -> Result<u64> {
    let params = params![now, up_to, which.rule_id, which.profile_id, BATCH];
    db.execute(sql::APPROVE_ALL, params)
}

/// Ends the oldest, at most [`BATCH`] and none newer than `up_to`; how many they were. Call it inside a transaction.
pub fn reject_all(db: &dyn Db, which: Which, up_to: i64, now: i64) -> Result<u64> {
    let params = params![now, up_to, which.rule_id, which.profile_id, BATCH];
    db.execute(sql::NOTE_REJECTED, params)?;
    db.execute(sql::REJECT_ALL, params)
}
