//! Senders, and later browsers and vendors.

use domain::quota::{DAY, Usage};
use worker_api::Quotas;

use crate::params;
use crate::port::{Db, Result, Row, one};
use crate::queries::profile as sql;

/// One profile. Secrets in `settings` are sealed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Profile {
    /// Its key in the tenant.
    pub id: i64,
    /// What people call it.
    pub name: String,
    /// `smtp`.
    pub kind: String,
    /// Whether it works.
    pub active: bool,
    /// JSON, by type.
    pub settings: String,
    /// Its limits.
    pub quotas: Quotas,
    /// Not before this time, by its interval.
    pub next_at: i64,
    /// Milliseconds.
    pub created_at: i64,
    /// The worker that it is for (UUID of a node, or `local`); none: anybody that takes such.
    pub worker: Option<String>,
}

impl Profile {
    /// Whether a worker of this id may work for it; `unassigned`: whether that worker takes what is nobody's.
    pub fn is_for(&self, worker: &str, unassigned: bool) -> bool {
        self.worker
            .as_deref()
            .map_or(unassigned, |assigned| assigned == worker)
    }
}

fn from_row(mut r: Row) -> Profile {
    Profile {
        id: r.int(0),
        name: r.text(1),
        kind: r.text(2),
        active: r.flag(3),
        settings: r.text(4),
        quotas: serde_json::from_str(&r.text(5)).unwrap_or_default(),
        next_at: r.int(6),
        created_at: r.int(7),
        worker: r.opt_text(8),
    }
}

/// Keeps a new profile and returns its id.
pub fn insert(
    db: &dyn Db,
    name: &str,
    kind: &str,
    settings: &str,
    quotas: &Quotas,
    worker: Option<&str>,
    now: i64,
) -> Result<i64> {
    let quotas = serde_json::to_string(quotas).unwrap_or_default();
    let params = params![name, kind, settings, quotas, now, worker];
    Ok(one(db, sql::INSERT, params)?.map_or(0, |r| r.int(0)))
}

/// All profiles in order.
pub fn list(db: &dyn Db) -> Result<Vec<Profile>> {
    Ok(db
        .query(sql::LIST, &[])?
        .into_iter()
        .map(from_row)
        .collect())
}

/// One profile.
pub fn get(db: &dyn Db, id: i64) -> Result<Option<Profile>> {
    Ok(one(db, sql::GET, params![id])?.map(from_row))
}

/// Switches a profile on or off; false when there is none.
pub fn set_active(db: &dyn Db, id: i64, active: bool, now: i64) -> Result<bool> {
    Ok(db.execute(sql::SET_ACTIVE, params![id, active, now])? > 0)
}

/// Puts settings (JSON, by type) in the place of those before; false when there is none.
pub fn set_settings(db: &dyn Db, id: i64, settings: &str, now: i64) -> Result<bool> {
    Ok(db.execute(sql::SET_SETTINGS, params![id, settings, now])? > 0)
}

/// Switches all profiles off; returns how many worked until now.
pub fn pause_all(db: &dyn Db, now: i64) -> Result<u64> {
    db.execute(sql::PAUSE_ALL, params![now])
}

/// Gives a profile to one worker, or to nobody in particular; false when there is none.
pub fn set_worker(db: &dyn Db, id: i64, worker: Option<&str>, now: i64) -> Result<bool> {
    Ok(db.execute(sql::SET_WORKER, params![id, worker, now])? > 0)
}

/// When it may claim again.
pub fn set_next_at(db: &dyn Db, id: i64, next_at: i64) -> Result<()> {
    db.execute(sql::SET_NEXT_AT, params![id, next_at])
        .map(|_| ())
}

/// What a profile did in the last 24 hours and has in hand.
pub fn usage(db: &dyn Db, profile: &Profile, now: i64) -> Result<Usage> {
    let begun = one(db, sql::USAGE, params![profile.id, now - DAY])?;
    let running = one(db, sql::RUNNING, params![profile.id])?;
    Ok(Usage {
        begun: begun.as_ref().map_or(0, |r| r.int(0)),
        oldest: begun.and_then(|r| r.opt_int(1)),
        running: running.map_or(0, |r| r.int(0)),
        next_at: profile.next_at,
    })
}

/// How many requests wait for each profile: (profile, count).
pub fn pending(db: &dyn Db) -> Result<Vec<(i64, i64)>> {
    Ok(db
        .query(sql::PENDING, &[])?
        .into_iter()
        .map(|r| (r.int(0), r.int(1)))
        .collect())
}
