//! What the master said of a credential, remembered for a moment, and the workers that registered.

use crate::params;
use crate::port::{Db, Result, one};
use crate::queries::credential as sql;
use crate::session::Identity;

/// How long an answer of the master holds, in milliseconds: what is revoked there ends here within that time.
pub const HOLDS: i64 = 2000;

/// Who a credential belongs to, if the master said so a moment ago.
pub fn get(db: &dyn Db, token_hash: &str, now: i64) -> Result<Option<Identity>> {
    Ok(one(db, sql::GET, params![token_hash, now - HOLDS])?.map(Identity::from_row))
}

/// Remembers the master's answer.
pub fn put(db: &dyn Db, token_hash: &str, who: &Identity, now: i64) -> Result<()> {
    db.execute(sql::DELETE_OLD, params![now - 60 * HOLDS])?;
    db.execute(
        sql::PUT,
        params![token_hash, &who.account_id, &who.user_id, &who.email, now],
    )
    .map(|_| ())
}

/// A worker said that it is there.
pub fn register_worker(db: &dyn Db, name: &str, version: &str, now: i64) -> Result<()> {
    db.execute(sql::REGISTER_WORKER, params![name, version, now])
        .map(|_| ())
}
