//! Sub-accounts on their way from one node to another.

use crate::params;
use crate::placement::{self, Eligible};
use crate::port::{Db, Result, Row, one};
use crate::queries::relocation as sql;

/// What is to be done next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// The target makes room.
    Reserving,
    /// The source comes to rest.
    Freezing,
    /// Rows go over.
    Copying,
    /// The target is the home, and begins to work.
    Switching,
    /// The source lets go.
    Cleaning,
    /// It moved.
    Done,
    /// It stayed.
    Failed,
}

impl State {
    /// The word for it.
    pub fn name(self) -> &'static str {
        match self {
            State::Reserving => "reserving",
            State::Freezing => "freezing",
            State::Copying => "copying",
            State::Switching => "switching",
            State::Cleaning => "cleaning",
            State::Done => "done",
            State::Failed => "failed",
        }
    }

    fn of(name: &str) -> State {
        match name {
            "freezing" => State::Freezing,
            "copying" => State::Copying,
            "switching" => State::Switching,
            "cleaning" => State::Cleaning,
            "done" => State::Done,
            "failed" => State::Failed,
            _ => State::Reserving,
        }
    }
}

/// One as it is listed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Relocation {
    /// UUIDv7.
    pub id: String,
    /// From which node.
    pub source_id: String,
    /// To which.
    pub target_id: String,
    /// How far it is.
    pub state: State,
    /// What it waits for, or why it failed.
    pub reason: Option<String>,
    /// Milliseconds.
    pub created_at: i64,
    /// When it was done, or failed.
    pub finished_at: Option<i64>,
}

/// One of the two nodes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// UUID, or `local`.
    pub id: String,
    /// Where it is reached; none for the one beside the master.
    pub url: Option<String>,
    /// Whether it was revoked: it is not asked anything any more.
    pub revoked: bool,
}

/// One that is to go on, leased.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Job {
    /// UUIDv7.
    pub id: String,
    /// What moves.
    pub subaccount_id: String,
    /// From where.
    pub source: Node,
    /// To where.
    pub target: Node,
    /// What is to be done.
    pub state: State,
    /// 1 for the first try.
    pub attempts: u32,
    /// Milliseconds.
    pub created_at: i64,
    /// The owner.
    pub account_id: String,
    /// What people call it.
    pub name: String,
    /// The number of the wishes below.
    pub revision: i64,
    /// Whether it is to rest.
    pub suspended: bool,
    /// Whether it is deleted.
    pub deleted: bool,
    /// Where people reach it.
    pub base_url: Option<String>,
    /// How far the copy was compared with the original, as whoever did it wrote it down.
    pub compared: Option<String>,
}

/// Asks for a move: takes a slot of the target, and voids what the nodes were told before. Call it inside a transaction.
/// False: the sub-account cannot move now, or there is no slot.
pub fn insert(
    db: &dyn Db,
    id: &str,
    subaccount: &str,
    target: &str,
    who: Eligible,
) -> Result<bool> {
    let row = params![id, subaccount, target, who.now];
    if db.execute(sql::INSERT, row)? == 0 {
        return Ok(false);
    }
    db.execute(sql::BUMP, params![subaccount])?;
    placement::reserve_at(db, subaccount, target, who)
}

/// The moves of a sub-account, newest first.
pub fn list(db: &dyn Db, subaccount: &str) -> Result<Vec<Relocation>> {
    let rows = db.query(sql::LIST, params![subaccount])?;
    let row = |mut r: Row| Relocation {
        id: r.text(0),
        source_id: r.text(1),
        target_id: r.text(2),
        state: State::of(&r.text(3)),
        reason: r.opt_text(4),
        created_at: r.int(5),
        finished_at: r.opt_int(6),
    };
    Ok(rows.into_iter().map(row).collect())
}

/// Leases the one that is due for longest.
pub fn claim(db: &dyn Db, token: &str, until: i64, now: i64) -> Result<Option<Job>> {
    if db.query(sql::ANY_DUE, params![now])?.is_empty() {
        return Ok(None);
    }
    db.execute(sql::CLAIM, params![token, until, now])?;
    Ok(one(db, sql::CLAIMED, params![token])?.map(job))
}

fn job(mut r: Row) -> Job {
    let node = |r: &mut Row, id: usize, url: usize| Node {
        id: r.text(id),
        url: r.opt_text(url),
        revoked: r.text(url + 1) == "revoked",
    };
    Job {
        source: node(&mut r, 2, 13),
        target: node(&mut r, 3, 15),
        id: r.text(0),
        subaccount_id: r.text(1),
        state: State::of(&r.text(4)),
        attempts: u32::try_from(r.int(5)).unwrap_or(1),
        created_at: r.int(6),
        account_id: r.text(7),
        name: r.text(8),
        revision: r.int(9),
        suspended: r.opt_int(10).is_some(),
        deleted: r.opt_int(11).is_some(),
        base_url: r.opt_text(12),
        compared: r.opt_text(17),
    }
}

/// Holds the lease for longer. False: somebody else has it.
pub fn renew(db: &dyn Db, job: &Job, token: &str, until: i64) -> Result<bool> {
    Ok(db.execute(sql::RENEW, params![&job.id, token, until])? > 0)
}

/// Goes on to the next state. False: somebody else has the lease.
pub fn step(db: &dyn Db, job: &Job, token: &str, to: State) -> Result<bool> {
    let params = params![&job.id, token, job.state.name(), to.name()];
    Ok(db.execute(sql::STEP, params)? > 0)
}

/// Writes down how far the copy was compared with the original.
pub fn compared(db: &dyn Db, job: &Job, token: &str, compared: &str) -> Result<()> {
    db.execute(sql::COMPARED, params![&job.id, token, compared])
        .map(|_| ())
}

/// Goes on at `next_at`; `got_on`: what failed before does not count any more.
pub fn pause(
    db: &dyn Db,
    job: &Job,
    token: &str,
    reason: Option<&str>,
    next_at: i64,
    got_on: bool,
) -> Result<()> {
    let params = params![&job.id, token, reason, next_at, got_on];
    db.execute(sql::PAUSE, params).map(|_| ())
}

/// The copy is complete: the target is the home from here on. Call it inside a transaction. False: somebody else has the
/// lease, or there is no slot at the target any more.
pub fn switch(db: &dyn Db, job: &Job, token: &str) -> Result<bool> {
    let id = &job.subaccount_id;
    let moved = step(db, job, token, State::Switching)?
        && db.execute(sql::LEAVE_SOURCE, params![id, &job.source.id])? > 0
        && db.execute(sql::ENTER_TARGET, params![id, &job.target.id])? > 0;
    if moved {
        db.execute(sql::BUMP, params![id])?;
    }
    Ok(moved)
}

/// The target does what is wanted.
pub fn applied(db: &dyn Db, job: &Job, now: i64) -> Result<()> {
    let params = params![&job.subaccount_id, &job.target.id, job.revision, now];
    db.execute(sql::APPLIED, params).map(|_| ())
}

/// The source has let go, and the move is over. Call it inside a transaction.
pub fn done(db: &dyn Db, job: &Job, token: &str, now: i64) -> Result<bool> {
    let done = State::Done.name();
    let over = db.execute(
        sql::FINISH,
        params![&job.id, token, done, None::<&str>, now],
    )? > 0;
    if over {
        db.execute(sql::LEFT, params![&job.subaccount_id, &job.source.id])?;
    }
    Ok(over)
}

/// The sub-account stays where it is, and is told so; the target lets go. Call it inside a transaction.
pub fn fail(db: &dyn Db, job: &Job, token: &str, reason: &str, now: i64) -> Result<bool> {
    let failed = State::Failed.name();
    let over = db.execute(sql::FINISH, params![&job.id, token, failed, reason, now])? > 0;
    if over {
        db.execute(sql::BUMP, params![&job.subaccount_id])?;
        if job.state == State::Switching {
            let id = &job.subaccount_id;
            db.execute(sql::LEAVE_TARGET, params![id, &job.target.id])?;
            db.execute(sql::RETURN_TO_SOURCE, params![id, &job.source.id])?;
        }
        let target = params![&job.subaccount_id, &job.target.id, now];
        db.execute(sql::GIVE_UP_TARGET, target)?;
        placement::nudge(db, &job.subaccount_id, now)?;
    }
    Ok(over)
}
