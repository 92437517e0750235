//! Senders, and later browsers and vendors.

use std::collections::HashMap;

use domain::quota::{DAY, Hold, Limits, Usage};

use crate::params;
use crate::port::{Db, Result, Row, one};
use crate::queries::{approval, profile as sql};

/// One profile. Secrets in `settings` are sealed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Profile {
    /// Its key in the tenant.
    pub id: i64,
    /// What people call it.
    pub name: String,
    /// `smtp`.
    pub kind: String,
    /// Whether it works: it is switched on, and its limits can be read.
    pub active: bool,
    /// JSON, by type.
    pub settings: String,
    /// Its limits; none when they cannot be read.
    pub quotas: Limits,
    /// Whether its limits can be read: those that another version wrote may not.
    pub readable: bool,
    /// Not before this time, by its interval.
    pub next_at: i64,
    /// Milliseconds.
    pub created_at: i64,
    /// The worker that it is for (UUID of a node, or `local`); none: anybody that takes such.
    pub worker: Option<String>,
    /// The rule that its last request came from; 0 for none.
    pub last_rule_id: i64,
    /// Why it may do nothing, as it was when somebody looked.
    pub wait_reason: Option<String>,
    /// Until when.
    pub wait_until: Option<i64>,
}

impl Profile {
    /// Whether a worker of this id may work for it; `unassigned`: whether that worker takes what is nobody's.
    pub fn is_for(&self, worker: &str, unassigned: bool) -> bool {
        self.worker
            .as_deref()
            .map_or(unassigned, |assigned| assigned == worker)
    }

    /// Why it does not work, when it is not active.
    pub fn off_reason(&self) -> &'static str {
        match self.readable {
            true => "The profile is switched off.",
            false => {
                "The profile's limits cannot be read here, so it sends nothing. Save its limits again."
            }
        }
    }

    /// Whether this is what is kept of why it waits.
    pub fn waits_for(&self, hold: Option<&Hold>) -> bool {
        let until = hold.map(|h| h.until).filter(|until| *until < i64::MAX);
        self.wait_reason.as_deref() == hold.map(|h| h.reason.as_str()) && self.wait_until == until
    }
}

fn from_row(mut r: Row) -> Profile {
    let quotas = serde_json::from_str(&r.text(5));
    let readable = quotas.is_ok();
    Profile {
        id: r.int(0),
        name: r.text(1),
        kind: r.text(2),
        active: r.flag(3) && readable,
        settings: r.text(4),
        quotas: quotas.unwrap_or_default(),
        readable,
        next_at: r.int(6),
        created_at: r.int(7),
        worker: r.opt_text(8),
        last_rule_id: r.int(9),
        wait_reason: r.opt_text(10),
        wait_until: r.opt_int(11),
    }
}

/// Keeps a new profile and returns its id.
pub fn insert(
    db: &dyn Db,
    name: &str,
    kind: &str,
    settings: &str,
    quotas: &Limits,
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

/// Puts limits in the place of those before; false when there is none. Its requests that wait for something are looked
/// at again. Call it inside a transaction.
pub fn set_quotas(db: &dyn Db, id: i64, quotas: &Limits, now: i64) -> Result<bool> {
    let asks = quotas.approval;
    let quotas = serde_json::to_string(quotas).unwrap_or_default();
    let changed = db.execute(sql::SET_QUOTAS, params![id, quotas, now])? > 0;
    db.execute(crate::queries::request::RELEASE_HELD, params![id, now])?;
    let approval = match asks {
        true => approval::ASK_FOR_PROFILE,
        false => approval::RELEASE_PROFILE,
    };
    db.execute(approval, params![id, now])?;
    set_wait(db, id, None)?;
    Ok(changed)
}

/// It took a request: when it may take more, the pause to make after that one began, and the rule it came from.
pub fn set_pace(db: &dyn Db, id: i64, next_at: i64, pause: i64, rule_id: i64) -> Result<()> {
    db.execute(sql::SET_PACE, params![id, next_at, pause, rule_id])
        .map(|_| ())
}

/// It took nothing of the rules up to this one: the others have their turn.
pub fn set_turn(db: &dyn Db, id: i64, rule_id: i64) -> Result<()> {
    db.execute(sql::SET_TURN, params![id, rule_id]).map(|_| ())
}

/// Keeps why a profile may do nothing and until when; none when it may.
pub fn set_wait(db: &dyn Db, id: i64, wait: Option<&Hold>) -> Result<()> {
    let reason = wait.map(|w| w.reason.as_str());
    let until = wait.map(|w| w.until).filter(|until| *until < i64::MAX);
    db.execute(sql::SET_WAIT, params![id, reason, until])
        .map(|_| ())
}

/// What a profile did in the last 24 hours and has in hand.
pub fn usage(db: &dyn Db, profile: &Profile, now: i64) -> Result<Usage> {
    let row = one(db, sql::USAGE, params![now - DAY, profile.id])?;
    let usage = row.as_ref().map(usage_of).unwrap_or_default();
    with_ends(db, profile, usage, now)
}

/// The same of all profiles, by their ids, and when the next request of each is due.
pub fn usages(db: &dyn Db, now: i64) -> Result<HashMap<i64, (Usage, Option<i64>)>> {
    let rows = db.query(sql::USAGES, params![now - DAY])?;
    let entry = |r: Row| (r.int(0), (usage_of(&r), r.opt_int(6)));
    Ok(rows.into_iter().map(entry).collect())
}

fn usage_of(r: &Row) -> Usage {
    Usage {
        next_at: r.int(1),
        begun: r.int(2),
        running: r.int(3),
        in_hand: r.int(4),
        aborted: r.int(5),
        ..Usage::default()
    }
}

/// A usage with the times when there is room again, where a maximum is reached.
pub fn with_ends(db: &dyn Db, profile: &Profile, usage: Usage, now: i64) -> Result<Usage> {
    let nth = |text: &str, n: i64| -> Result<Option<i64>> {
        let row = one(db, text, params![profile.id, now - DAY, n])?;
        Ok(row.and_then(|r| r.opt_int(0)))
    };
    let mut usage = usage;
    let over = |max: Option<u32>, used: i64| max.map(|max| used - i64::from(max));
    let begun = over(profile.quotas.daily_max(now), usage.begun + usage.running);
    if let Some(n @ 0..) = begun {
        usage.frees_at = nth(sql::NTH_BEGUN, n)?;
    }
    let aborted = over(profile.quotas.daily_aborted_max, usage.aborted);
    if let Some(n @ 0..) = aborted {
        usage.aborted_frees_at = nth(sql::NTH_ABORTED, n)?;
    }
    Ok(usage)
}

/// When the next request of each profile is due.
pub fn due(db: &dyn Db) -> Result<HashMap<i64, i64>> {
    let rows = db.query(sql::DUE, &[])?;
    let entry = |r: Row| Some((r.int(0), r.opt_int(1)?));
    Ok(rows.into_iter().filter_map(entry).collect())
}

/// How many requests wait for each profile: (profile, count).
pub fn pending(db: &dyn Db) -> Result<Vec<(i64, i64)>> {
    Ok(db
        .query(sql::PENDING, &[])?
        .into_iter()
        .map(|r| (r.int(0), r.int(1)))
        .collect())
}
