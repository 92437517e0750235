//! Which tenants have work due for which stage. It lives in the slave's control database, beside the tenants' own
//! ones, so a promise of work is written **before** the change that makes it: a crash between the two costs a look
//! into a tenant for nothing, never a forgotten tenant.

use crate::params;
use crate::port::{Db, Result};
use crate::queries::work as sql;

/// How long after a promise a stage keeps looking, although it found nothing: longer than any request may run.
pub const GRACE: i64 = 60_000;

/// A tenant whose work is due.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Due {
    /// The sub-account's UUID.
    pub tenant_id: String,
    /// When somebody last promised work.
    pub marked_at: i64,
}

/// Promises that a stage has work for a tenant from `due_at` on.
pub fn mark(db: &dyn Db, tenant_id: &str, stage: &str, due_at: i64, now: i64) -> Result<()> {
    db.execute(sql::MARK, params![tenant_id, stage, due_at, now])
        .map(|_| ())
}

/// Leases tenants whose work is due, longest waiting first.
pub fn lease(
    db: &dyn Db,
    stage: &str,
    token: &str,
    lease_until: i64,
    now: i64,
    limit: i64,
) -> Result<Vec<Due>> {
    // Most ticks find nothing; they should not take the write lock to learn that.
    if due(db, stage, now, 1)?.is_empty() {
        return Ok(Vec::new());
    }
    rows(
        db,
        sql::LEASE,
        params![stage, token, lease_until, now, limit],
    )
}

/// Tenants whose work is due, for a stage that leases its own rows.
pub fn due(db: &dyn Db, stage: &str, now: i64, limit: i64) -> Result<Vec<Due>> {
    rows(db, sql::DUE, params![stage, now, limit])
}

fn rows(db: &dyn Db, sql: &str, params: &[crate::Value]) -> Result<Vec<Due>> {
    let rows = db.query(sql, params)?;
    Ok(rows
        .into_iter()
        .map(|mut r| Due {
            tenant_id: r.text(0),
            marked_at: r.int(1),
        })
        .collect())
}

/// Ends a lease: the stage comes back at `next`, or soon while a promise is fresh, or not before the next promise.
pub fn release(
    db: &dyn Db,
    due: &Due,
    stage: &str,
    token: &str,
    next: Option<i64>,
    now: i64,
) -> Result<()> {
    let fresh = due.marked_at > now - GRACE;
    let next = match next {
        Some(next) if fresh => Some(next.min(now + 2000)),
        None if fresh => Some(now + 2000),
        next => next,
    };
    let Some(next) = next else {
        db.execute(
            sql::FORGET,
            params![&due.tenant_id, stage, token, due.marked_at],
        )?;
        // Somebody promised more meanwhile: the row stays, and only the lease ends.
        let now_due = params![&due.tenant_id, stage, token, due.marked_at, now];
        return db.execute(sql::RESCHEDULE, now_due).map(|_| ());
    };
    db.execute(
        sql::RESCHEDULE,
        params![&due.tenant_id, stage, token, due.marked_at, next],
    )
    .map(|_| ())
}

/// Moves on work that is not leased by tenant.
pub fn postpone(db: &dyn Db, due: &Due, stage: &str, next: Option<i64>, now: i64) -> Result<()> {
    let next = next.unwrap_or(now + GRACE).max(now + 100);
    db.execute(
        sql::POSTPONE_UNLEASED,
        params![&due.tenant_id, stage, due.marked_at, next],
    )
    .map(|_| ())
}

/// Puts work that is due, and stays so, behind all other that is.
pub fn requeue(db: &dyn Db, due: &Due, stage: &str, now: i64) -> Result<()> {
    db.execute(
        sql::POSTPONE_UNLEASED,
        params![&due.tenant_id, stage, due.marked_at, now],
    )
    .map(|_| ())
}
