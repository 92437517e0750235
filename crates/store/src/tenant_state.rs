//! What the master wants of a tenant, and whether it is on its way to another node.

use crate::params;
use crate::port::{Db, Result, one};
use crate::queries::tenant_state as sql;

/// How long a tenant that is gone is remembered, in milliseconds.
const REMEMBERED: i64 = 30 * 24 * 60 * 60 * 1000;
/// How long whoever reads an archive may be silent before they count as dead, in milliseconds.
const SILENT: i64 = 60_000;

/// What a tenant may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Everything.
    Active,
    /// Nothing, until it is let go on.
    Suspended,
    /// Nothing; it can still be brought back.
    Deleted,
    /// Be read: it moves, and what is at work in it comes to its end.
    Moving,
    /// Be read: it is being copied, and nothing may change.
    Frozen,
    /// It is not here any more.
    Gone,
    /// Nothing: it comes from another node and is not complete.
    Arriving,
    /// Nothing: an archive is read into it.
    Restoring,
}

impl State {
    /// The word for it.
    pub fn name(self) -> &'static str {
        match self {
            State::Active => "active",
            State::Suspended => "suspended",
            State::Deleted => "deleted",
            State::Moving => "moving",
            State::Frozen => "frozen",
            State::Gone => "gone",
            State::Arriving => "arriving",
            State::Restoring => "restoring",
        }
    }

    fn of(name: &str) -> State {
        match name {
            "suspended" => State::Suspended,
            "deleted" => State::Deleted,
            "moving" => State::Moving,
            "frozen" => State::Frozen,
            "gone" => State::Gone,
            "arriving" => State::Arriving,
            "restoring" => State::Restoring,
            _ => State::Active,
        }
    }

    /// Whether stages and workers may begin something.
    pub fn works(self) -> bool {
        self == State::Active
    }
}

/// What is known of a tenant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Known {
    /// The number of the last wish.
    pub revision: i64,
    /// What it may do.
    pub state: State,
    /// Where it is now, and whose it is, when it moved away.
    pub moved: Option<Moved>,
    /// Since when it is so; milliseconds.
    pub changed_at: i64,
}

/// Where a tenant went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Moved {
    /// The account that owns it: its people are told.
    pub account_id: String,
    /// Its address there, without a slash at the end.
    pub to: String,
}

/// What is known of a tenant.
pub fn get(db: &dyn Db, id: &str) -> Result<Known> {
    let row = one(db, sql::GET, params![id])?;
    Ok(row.map_or(
        Known {
            revision: 0,
            state: State::Active,
            moved: None,
            changed_at: 0,
        },
        |mut r| Known {
            revision: r.int(0),
            state: State::of(&r.text(1)),
            moved: r
                .opt_text(2)
                .zip(r.opt_text(3))
                .map(|(account_id, to)| Moved { account_id, to }),
            changed_at: r.int(4),
        },
    ))
}

/// Takes note of a wish of the master's. False: it is an old one, and nothing changed.
pub fn put(db: &dyn Db, id: &str, revision: i64, state: State, now: i64) -> Result<bool> {
    let before = get(db, id)?;
    let kept = db.execute(sql::PUT, params![id, revision, state.name(), now])? > 0;
    if kept && state == State::Active && before.state != State::Active {
        db.execute(sql::WAKE, params![id, now])?;
    }
    if kept && state != State::Active {
        db.execute(sql::REST, params![id])?;
    }
    Ok(kept)
}

/// Makes a step of a move, or of letting go. The revision never falls.
pub fn set(
    db: &dyn Db,
    id: &str,
    revision: i64,
    state: State,
    moved: Option<&Moved>,
    now: i64,
) -> Result<()> {
    let (account_id, to) = moved.map(|m| (&m.account_id, &m.to)).unzip();
    let params = params![id, revision, state.name(), account_id, to, now];
    db.execute(sql::SET, params)?;
    if state == State::Active {
        db.execute(sql::WAKE, params![id, now])?;
    }
    Ok(())
}

/// Lets an archive be read into a tenant, which nobody else sees or works in until [`restored`]. False: it may not be
/// now, because it is not active.
pub fn restore(db: &dyn Db, id: &str, now: i64) -> Result<bool> {
    Ok(db.execute(sql::RESTORE, params![id, now])? > 0)
}

/// Says that whoever reads the archive is alive. False: they were silent for so long that somebody else went on.
pub fn keep_restoring(db: &dyn Db, id: &str, now: i64) -> Result<bool> {
    Ok(db.execute(sql::KEEP_RESTORING, params![id, now])? > 0)
}

/// The archive was read, or nothing of it was kept: the tenant works.
pub fn restored(db: &dyn Db, id: &str, now: i64) -> Result<()> {
    if db.execute(sql::RESTORED, params![id, now])? > 0 {
        db.execute(sql::WAKE, params![id, now])?;
    }
    Ok(())
}

/// Gives a tenant back whose archive nobody reads any more. True when it did.
pub fn heal(db: &dyn Db, id: &str, now: i64) -> Result<bool> {
    Ok(db.execute(sql::HEAL, params![id, now - SILENT, now])? > 0)
}

/// What people call the tenant, and whose it is.
pub fn rename(db: &dyn Db, id: &str, name: &str, account_id: &str) -> Result<()> {
    db.execute(sql::RENAME, params![id, name, account_id])
        .map(|_| ())
}

/// Whether a stage is at work in it.
pub fn is_leased(db: &dyn Db, id: &str, now: i64) -> Result<bool> {
    Ok(!db.query(sql::LEASED, params![id, now])?.is_empty())
}

/// Forgets tenants that have been gone for long.
pub fn tidy(db: &dyn Db, now: i64) -> Result<()> {
    db.execute(sql::FORGET, params![now - REMEMBERED])
        .map(|_| ())
}
