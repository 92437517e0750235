//! Where sub-accounts are, were asked to be, or are leaving.

use crate::params;
use crate::port::{Db, Result, Row, one};
use crate::queries::placement as sql;

/// What a row is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// The node was or will be asked to take the sub-account.
    Reserved,
    /// It lives there.
    Placed,
    /// The node was or will be asked to let go of it.
    Releasing,
}

impl State {
    fn of(name: &str) -> State {
        match name {
            "placed" => State::Placed,
            "releasing" => State::Releasing,
            _ => State::Reserved,
        }
    }

    /// The word for it.
    pub fn name(self) -> &'static str {
        match self {
            State::Reserved => "reserved",
            State::Placed => "placed",
            State::Releasing => "releasing",
        }
    }
}

/// Which nodes may take sub-accounts.
#[derive(Debug, Clone, Copy)]
pub struct Eligible {
    /// Milliseconds.
    pub now: i64,
    /// They must have reported since.
    pub alive_since: i64,
    /// Whether there is a slave beside the master.
    pub local: bool,
}

/// One that something is to be done about, leased.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Job {
    /// UUID.
    pub subaccount_id: String,
    /// UUID, or `local`.
    pub node_id: String,
    /// What is to be done.
    pub state: State,
    /// 1 for the first try.
    pub attempts: u32,
    /// Calls of which nobody knows whether they arrived, this one included.
    pub unsure: i64,
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
    /// Where the node is reached; none for the one beside the master.
    pub node_url: Option<String>,
    /// Whether the node was revoked: it is not asked anything any more.
    pub revoked: bool,
}

/// Gives the oldest sub-account that waits a slot of the node with the most free ones: (sub-account, node). None: nobody
/// waits, or nothing is free.
pub fn reserve(db: &dyn Db, who: Eligible) -> Result<Option<(String, String)>> {
    let params = params![who.now, who.alive_since, who.local];
    Ok(one(db, sql::RESERVE, params)?.map(|mut r| (r.text(0), r.text(1))))
}

/// Takes a slot of one node for one sub-account that lives elsewhere. False: it cannot have one.
pub fn reserve_at(db: &dyn Db, id: &str, node: &str, who: Eligible) -> Result<bool> {
    let params = params![id, node, who.now, who.alive_since, who.local];
    Ok(db.execute(sql::RESERVE_AT, params)? > 0)
}

/// The node with the most free slots, but this one.
pub fn roomiest(db: &dyn Db, but: &str, who: Eligible) -> Result<Option<String>> {
    let params = params![but, who.alive_since, who.local];
    Ok(one(db, sql::ROOMIEST, params)?.map(|mut r| r.text(0)))
}

/// How many sub-accounts could be given a slot now, were there one.
pub fn waiting(db: &dyn Db, now: i64) -> Result<i64> {
    Ok(one(db, sql::WAITING, params![now])?.map_or(0, |r| r.int(0)))
}

/// Says why they wait.
pub fn explain_waiting(db: &dyn Db, reason: &str, now: i64) -> Result<()> {
    db.execute(sql::EXPLAIN_WAITING, params![reason, now])
        .map(|_| ())
}

/// Leases what is due.
pub fn claim_due(
    db: &dyn Db,
    token: &str,
    lease_until: i64,
    now: i64,
    limit: i64,
) -> Result<Vec<Job>> {
    if db.query(sql::ANY_DUE, params![now])?.is_empty() {
        return Ok(Vec::new());
    }
    db.execute(sql::CLAIM_DUE, params![token, lease_until, now, limit])?;
    let rows = db.query(sql::CLAIMED, params![token])?;
    Ok(rows.into_iter().map(job).collect())
}

fn job(mut r: Row) -> Job {
    Job {
        subaccount_id: r.text(0),
        node_id: r.text(1),
        state: State::of(&r.text(2)),
        attempts: u32::try_from(r.int(3)).unwrap_or(1),
        unsure: r.int(4),
        account_id: r.text(5),
        name: r.text(6),
        revision: r.int(7),
        suspended: r.opt_int(8).is_some(),
        deleted: r.opt_int(9).is_some(),
        node_url: r.opt_text(10),
        revoked: r.text(11) == "revoked",
    }
}

/// The node did what was asked.
pub fn applied(db: &dyn Db, job: &Job, token: &str, now: i64) -> Result<bool> {
    let (id, node) = (&job.subaccount_id, &job.node_id);
    Ok(db.execute(sql::APPLIED, params![id, node, token, job.revision, now])? > 0)
}

/// The same again at `next_at`, since nobody knows whether the call arrived.
/// False when somebody else has taken it over.
pub fn later(db: &dyn Db, job: &Job, token: &str, next_at: i64) -> Result<bool> {
    let (id, node) = (&job.subaccount_id, &job.node_id);
    Ok(db.execute(sql::LATER, params![id, node, token, next_at])? > 0)
}

/// The same again at `next_at`; the call has certainly not arrived.
/// False when somebody else has taken it over.
pub fn not_sent(db: &dyn Db, job: &Job, token: &str, next_at: i64) -> Result<bool> {
    let (id, node) = (&job.subaccount_id, &job.node_id);
    Ok(db.execute(sql::NOT_SENT, params![id, node, token, next_at])? > 0)
}

/// Its node is gone for good: nobody is asked any more. False when somebody else has taken it over.
pub fn lost(db: &dyn Db, job: &Job, token: &str) -> Result<bool> {
    let (id, node) = (&job.subaccount_id, &job.node_id);
    Ok(db.execute(sql::LOST, params![id, node, token])? > 0)
}

/// The slot is free again: the node was never used, or has let go.
pub fn leave(db: &dyn Db, job: &Job, token: &str) -> Result<bool> {
    let (id, node) = (&job.subaccount_id, &job.node_id);
    Ok(db.execute(sql::LEAVE, params![id, node, token])? > 0)
}

/// The node may have taken it: it has to be told to let go first.
pub fn release(db: &dyn Db, job: &Job, token: &str, next_at: i64) -> Result<()> {
    let (id, node) = (&job.subaccount_id, &job.node_id);
    db.execute(sql::RELEASE, params![id, node, token, next_at])
        .map(|_| ())
}

/// Something changed about a sub-account: its node is told at the next tick.
pub fn nudge(db: &dyn Db, id: &str, now: i64) -> Result<()> {
    db.execute(sql::NUDGE, params![id, now]).map(|_| ())
}

/// Deleted sub-accounts whose time to be brought back has passed leave their nodes.
pub fn purge(db: &dyn Db, now: i64) -> Result<()> {
    db.execute(sql::PURGE, params![now]).map(|_| ())
}

/// A node is gone for good: what was only asked of it is free to go elsewhere, what lives there is looked at.
pub fn node_lost(db: &dyn Db, node: &str, now: i64) -> Result<()> {
    db.execute(sql::DROP_RESERVED, params![node])?;
    db.execute(sql::OF_LOST_NODE, params![node, now])
        .map(|_| ())
}

/// Where a sub-account is: (node, its name), its home first.
pub fn of_subaccount(db: &dyn Db, id: &str) -> Result<Vec<(String, String, State)>> {
    let rows = db.query(sql::OF_SUBACCOUNT, params![id])?;
    let row = |mut r: Row| (r.text(0), r.text(2), State::of(&r.text(1)));
    Ok(rows.into_iter().map(row).collect())
}

/// The node that a sub-account lives on.
pub fn home(db: &dyn Db, id: &str) -> Result<Option<String>> {
    let all = of_subaccount(db, id)?;
    let mut homes = all.into_iter().filter(|(_, _, s)| *s == State::Placed);
    Ok(homes.next().map(|(node, _, _)| node))
}

/// What is on a node.
pub fn of_node(db: &dyn Db, node: &str) -> Result<Vec<(String, State)>> {
    let rows = db.query(sql::OF_NODE, params![node])?;
    let row = |mut r: Row| (r.text(0), State::of(&r.text(1)));
    Ok(rows.into_iter().map(row).collect())
}
