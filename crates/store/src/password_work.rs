//! Turns for hashing passwords, so that many log-ins at once do not take the whole machine.

use crate::params;
use crate::port::{Db, Result};
use crate::queries::password_work as sql;

/// Most turns that can be asked for: as many rows as the schema has.
pub const MOST: i64 = 16;

/// Takes one of `turns` until a time; false when all are taken. `token` names the taker.
pub fn take(db: &dyn Db, token: &str, turns: i64, now: i64, until: i64) -> Result<bool> {
    let turns = turns.clamp(1, MOST);
    if db.query(sql::ANY_FREE, params![turns, now])?.is_empty() {
        return Ok(false);
    }
    Ok(db.execute(sql::TAKE, params![token, until, now, turns])? > 0)
}

/// Gives a turn back.
pub fn give_back(db: &dyn Db, token: &str) -> Result<()> {
    db.execute(sql::GIVE_BACK, params![token]).map(|_| ())
}
