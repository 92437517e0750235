//! Finds a home for every requested sub-account, keeps the homes of the others as their owners want them, and takes
//! deleted ones away.
//!
//! Two databases and a network between them: a call may have arrived although its answer did not. So a slot is taken at
//! the master before the slave is asked, every call carries the number of the wish that it is about, and a node is left
//! only after it refused for sure, or after it said that it let go.

use domain::retry::backoff;
use serde::{Deserialize, Serialize};
use store::node::Capacity;
use store::placement::{Eligible, Job, State};
use store::{Db, Open, Place, Result, migrate, node, placement, subaccount, transaction};

use crate::relocate::{self, Arrival, Departure, Leave, Wanted};

/// What a sub-account is to do.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Wish {
    /// Work.
    #[default]
    Active,
    /// Rest.
    Suspended,
    /// Nothing; it can still be brought back.
    Deleted,
}

/// What the master asks of a slave: `PUT /node/v1/subaccounts/{id}`. Asking twice is the same as once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Placement {
    /// The account that owns it.
    pub account_id: String,
    /// What people call it.
    pub name: String,
    /// Grows with each change.
    #[serde(default)]
    pub revision: i64,
    /// What it is to do.
    #[serde(default)]
    pub state: Wish,
    /// Whether the node is to take it, rather than to have it: one that lost it must not begin anew.
    #[serde(default = "yes")]
    pub fresh: bool,
}

fn yes() -> bool {
    true
}

/// The body of a good answer.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Placed {
    /// Where the sub-account is served; empty when it is not.
    #[serde(default)]
    pub base_url: String,
    /// How many sub-accounts the slave has room for.
    #[serde(default)]
    pub slots: i64,
    /// How many it has.
    #[serde(default)]
    pub used: i64,
}

/// What a slave is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Order {
    /// `PUT /node/v1/subaccounts/{id}`
    Put(Placement),
    /// `DELETE /node/v1/subaccounts/{id}?revision=N`
    Release(i64),
    /// `GET /node/v1/status`
    Status,
    /// `PUT /node/v1/subaccounts/{id}/arrival`
    Arrive(Arrival),
    /// `PUT /node/v1/subaccounts/{id}/departure`
    Depart(Departure),
    /// `POST /node/v1/subaccounts/{id}/departure/pieces`
    Read(Wanted),
    /// `POST /node/v1/subaccounts/{id}/arrival/pieces`, with what was read.
    Write(Vec<u8>),
    /// `POST /node/v1/subaccounts/{id}/digests`
    Digest(Wanted),
    /// `GET /node/v1/subaccounts/{id}/departure/belongings`
    Pack,
    /// `PUT /node/v1/subaccounts/{id}/arrival/belongings`, with what was packed.
    Unpack(Vec<u8>),
    /// `POST /node/v1/subaccounts/{id}/departure/completion`
    Leave(Leave),
}

/// One call of a slave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// UUID; empty for [`Order::Status`].
    pub subaccount_id: String,
    /// UUID, or `local`.
    pub node_id: String,
    /// Where it is reached; none for the one beside the master.
    pub node_url: Option<String>,
    /// What it is asked.
    pub order: Order,
}

impl Call {
    /// What goes over the wire: method, path with its query, and body.
    pub fn request(&self) -> (&'static str, String, Vec<u8>) {
        let own = format!("/node/v1/subaccounts/{}", self.subaccount_id);
        let at = |rest: &str| format!("{own}/{rest}");
        match &self.order {
            Order::Put(wish) => ("PUT", own, json(wish)),
            Order::Release(n) => ("DELETE", format!("{own}?revision={n}"), Vec::new()),
            Order::Status => ("GET", "/node/v1/status".to_owned(), Vec::new()),
            Order::Arrive(arrival) => ("PUT", at("arrival"), json(arrival)),
            Order::Depart(departure) => ("PUT", at("departure"), json(departure)),
            Order::Read(wanted) => ("POST", at("departure/pieces"), json(wanted)),
            Order::Write(piece) => ("POST", at("arrival/pieces"), piece.clone()),
            Order::Digest(wanted) => ("POST", at("digests"), json(wanted)),
            Order::Pack => ("GET", at("departure/belongings"), Vec::new()),
            Order::Unpack(packed) => ("PUT", at("arrival/belongings"), packed.clone()),
            Order::Leave(leave) => ("POST", at("departure/completion"), json(leave)),
        }
    }

    /// Why it came to nothing, for people: the slave at `at` did what `trouble` says. Moves are told to the operator, who
    /// learns the address; all else to customers, who do not.
    pub fn came_to_nothing(&self, at: &str, trouble: &str) -> String {
        match self.order {
            Order::Put(_) | Order::Release(_) | Order::Status => format!("Its server {trouble}"),
            _ => format!("The slave at {at} {trouble}"),
        }
    }

    /// What a good answer to it means.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn good(&self, body: Vec<u8>) -> std::result::Result<Answer, serde_json::Error> {
        match &self.order {
            Order::Put(_) | Order::Release(_) | Order::Status | Order::Leave(_) => {
                serde_json::from_slice(&body).map(Answer::Done)
            }
            _ => Ok(Answer::Told(body)),
        }
    }
}

fn json(value: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(value).unwrap_or_default()
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// It is done.
    Done(Placed),
    /// It is done, and this is what was asked for: JSON.
    Told(Vec<u8>),
    /// The slave will not do it, for sure. When it has no room, it said so.
    Refused {
        /// For people.
        reason: String,
        /// Whether all of its slots are taken.
        full: bool,
    },
    /// The slave has certainly not seen the call; for people.
    NotSent(String),
    /// Nobody knows; for people.
    Unknown(String),
}

/// How long one round of calls may take, in milliseconds: longer than the calls' own limits.
const LEASE: i64 = 45_000;
/// Calls that go out at once.
const BATCH: i64 = 16;
/// How long one tick goes on, in milliseconds.
const BUDGET: i64 = 15_000;
/// How long a node that cannot be reached is passed over, in milliseconds.
const REST: i64 = 15_000;
/// How often a node is asked for a place before another one is.
const PATIENCE: u32 = 5;
/// How old the news of the slave beside the master may be before it is asked, in milliseconds.
const STALE: i64 = 30_000;

/// What a tick needs from outside.
pub struct Tick<'a> {
    /// The databases.
    pub stores: &'a dyn Open,
    /// Milliseconds since the epoch.
    pub clock: &'a dyn Fn() -> i64,
    /// A random name for the leases of this tick.
    pub token: String,
    /// Whether there is a slave beside the master.
    pub local: bool,
    /// Makes calls, all at once; one answer for each, in their order.
    pub ask: &'a dyn Fn(&[Call]) -> Vec<Answer>,
}

impl Tick<'_> {
    fn eligible(&self) -> Eligible {
        let now = (self.clock)();
        Eligible {
            now,
            alive_since: now - node::SILENT,
            local: self.local,
        }
    }
}

/// Places what is due, and drives moves; returns how many there were.
///
/// # Errors
/// When the master's database fails.
pub fn run(tick: &Tick<'_>) -> Result<usize> {
    let db = tick.stores.open(&Place::Master)?;
    let db = &*db;
    migrate::migrate(db, migrate::MASTER)?;
    let end = (tick.clock)() + BUDGET;
    ask_local(tick, db)?;
    purge(db, (tick.clock)())?;
    let mut calls = 0;
    let mut round = 0;
    loop {
        let reserved = reserve(tick, db)?;
        round += 1;
        let done = work(tick, db, &format!("{}.{round}", tick.token))?;
        calls += done;
        if (done == 0 && !reserved) || (tick.clock)() >= end {
            break;
        }
    }
    calls += relocate::run(tick, db)?;
    purge(db, (tick.clock)())?;
    explain(tick, db)?;
    Ok(calls)
}

/// The slave beside the master need not report before it is used: an installation is ready when it has started.
fn ask_local(tick: &Tick<'_>, db: &dyn Db) -> Result<()> {
    let now = (tick.clock)();
    let stale = |n: &node::Node| n.seen_at <= now - STALE;
    if !tick.local || !node::get(db, LOCAL)?.is_some_and(|n| stale(&n)) {
        return Ok(());
    }
    let call = Call {
        subaccount_id: String::new(),
        node_id: LOCAL.to_owned(),
        node_url: None,
        order: Order::Status,
    };
    if let Some(Answer::Done(placed)) = (tick.ask)(&[call]).pop() {
        node::seen(db, LOCAL, placed.slots, placed.used, (tick.clock)())?;
    }
    Ok(())
}

const LOCAL: &str = "local";

/// Gives slots to those who wait. Says whether anybody got one.
fn reserve(tick: &Tick<'_>, db: &dyn Db) -> Result<bool> {
    let eligible = tick.eligible();
    if placement::waiting(db, eligible.now)? == 0 {
        return Ok(false);
    }
    transaction(db, || {
        let mut any = false;
        for _ in 0..BATCH {
            let Some((id, _)) = placement::reserve(db, eligible)? else {
                break;
            };
            subaccount::allocating(db, &id, eligible.now)?;
            any = true;
        }
        Ok(any)
    })
}

/// Those who still wait learn why.
fn explain(tick: &Tick<'_>, db: &dyn Db) -> Result<()> {
    let eligible = tick.eligible();
    if placement::waiting(db, eligible.now)? == 0 {
        return Ok(());
    }
    let now = eligible.now;
    let there = node::capacity(db, eligible.alive_since, eligible.local, now)?;
    let reason = no_room(there);
    placement::explain_waiting(db, &reason, eligible.now)
}

fn no_room(there: Capacity) -> String {
    let count = |n: i64, one: &str, more: &str| match n {
        1 => format!("1 {one}"),
        n => format!("{n} {more}"),
    };
    let silent = match there.silent {
        0 => String::new(),
        n => format!(
            " {} not reported for a minute and gets none.",
            count(n, "node has", "nodes have")
        ),
    };
    let resting = match there.resting {
        0 => String::new(),
        n => format!(
            " {} not take any just now and is asked again soon.",
            count(n, "node does", "nodes do")
        ),
    };
    let taken = match there.nodes {
        0 => "There is no node that takes sub-accounts.".to_owned(),
        n => format!(
            "All {} of {} are taken.",
            count(there.slots, "slot", "slots"),
            count(n, "node", "nodes")
        ),
    };
    format!("{taken}{resting}{silent} It goes on by itself when one is free.")
}

/// Does one round of what is due; returns how many calls were made.
fn work(tick: &Tick<'_>, db: &dyn Db, token: &str) -> Result<usize> {
    let now = (tick.clock)();
    let jobs = placement::claim_due(db, token, now + LEASE, now, BATCH)?;
    let (dead, jobs): (Vec<_>, Vec<_>) = jobs.into_iter().partition(|job| job.revoked);
    for job in &dead {
        of_revoked(db, job, token, (tick.clock)())?;
    }
    let calls: Vec<Call> = jobs.iter().map(call).collect();
    let answers = match calls.is_empty() {
        true => Vec::new(),
        false => (tick.ask)(&calls),
    };
    for (job, answer) in jobs.iter().zip(answers) {
        let now = (tick.clock)();
        transaction(db, || settle(db, job, token, answer, now))?;
    }
    Ok(jobs.len() + dead.len())
}

fn call(job: &Job) -> Call {
    let state = match (job.deleted, job.suspended) {
        (true, _) => Wish::Deleted,
        (false, true) => Wish::Suspended,
        (false, false) => Wish::Active,
    };
    let order = match job.state {
        State::Releasing => Order::Release(job.revision),
        State::Reserved | State::Placed => Order::Put(Placement {
            account_id: job.account_id.clone(),
            name: job.name.clone(),
            revision: job.revision,
            state,
            fresh: job.state == State::Reserved,
        }),
    };
    Call {
        subaccount_id: job.subaccount_id.clone(),
        node_id: job.node_id.clone(),
        node_url: job.node_url.clone(),
        order,
    }
}

/// The operator said that the node is gone for good: it is not asked.
fn of_revoked(db: &dyn Db, job: &Job, token: &str, now: i64) -> Result<()> {
    if job.state == State::Placed {
        let reason = "The node that it lived on was revoked. Restore it from an archive.";
        return transaction(db, || match placement::lost(db, job, token)? {
            true => subaccount::explain(db, &job.subaccount_id, reason, now),
            false => Ok(()),
        });
    }
    transaction(db, || go(db, job, token, "Its node was revoked.", now))
}

/// Leaves the node; the sub-account looks for another.
fn go(db: &dyn Db, job: &Job, token: &str, reason: &str, now: i64) -> Result<()> {
    if placement::leave(db, job, token)? {
        let next_at = now + 1000;
        subaccount::wait_again(db, &job.subaccount_id, reason, next_at, now)?;
    }
    Ok(())
}

/// Later, and not all at the same moment.
fn again(job: &Job, now: i64) -> i64 {
    let pause = backoff(job.attempts);
    let mark = job
        .subaccount_id
        .bytes()
        .fold(u64::from(job.attempts), |h, b| {
            h.wrapping_mul(31).wrapping_add(b.into())
        });
    now + pause + (mark % 1000) as i64 * pause / 2000
}

fn settle(db: &dyn Db, job: &Job, token: &str, answer: Answer, now: i64) -> Result<()> {
    let id = &job.subaccount_id;
    let next_at = again(job, now);
    // Whether no earlier call may have arrived.
    let first = job.unsure <= 1;
    match (job.state, answer) {
        (State::Reserved | State::Placed, Answer::Done(placed)) => {
            node::seen(db, &job.node_id, placed.slots, placed.used, now)?;
            if placement::applied(db, job, token, now)? {
                subaccount::activate(db, id, &placed.base_url, now)?;
            }
            Ok(())
        }
        (State::Releasing, Answer::Done(placed)) => {
            node::seen(db, &job.node_id, placed.slots, placed.used, now)?;
            go(db, job, token, "It is given another place.", now)
        }
        (State::Reserved, Answer::Refused { reason, full }) => {
            match full {
                true => node::full(db, &job.node_id)?,
                // It may refuse everybody, and be the roomiest for that.
                false => node::rest(db, &job.node_id, now + REST)?,
            }
            match first {
                true => go(db, job, token, &reason, now),
                false => placement::release(db, job, token, now),
            }
        }
        (State::Reserved, Answer::NotSent(reason)) if first => {
            node::rest(db, &job.node_id, now + REST)?;
            go(db, job, token, &reason, now)
        }
        (State::Reserved, Answer::Unknown(_)) if job.attempts >= PATIENCE => {
            node::rest(db, &job.node_id, now + REST)?;
            placement::release(db, job, token, now)
        }
        (_, Answer::NotSent(reason)) => {
            let kept = placement::not_sent(db, job, token, next_at)?;
            tell(db, job, kept, &reason, now)
        }
        (_, Answer::Unknown(reason) | Answer::Refused { reason, .. }) => {
            let kept = placement::later(db, job, token, next_at)?;
            tell(db, job, kept, &reason, now)
        }
        (_, Answer::Told(_)) => placement::later(db, job, token, next_at).map(|_| ()),
    }
}

/// What does not work is said where people look for it: that it is not there yet, or that what they changed has not
/// arrived. Not by those whose lease has ended: they know nothing of it any more.
fn tell(db: &dyn Db, job: &Job, kept: bool, reason: &str, now: i64) -> Result<()> {
    match job.state {
        State::Reserved | State::Placed if kept => {
            subaccount::explain(db, &job.subaccount_id, reason, now)
        }
        _ => Ok(()),
    }
}

/// Takes away what was deleted long ago: first from its node, then from here.
fn purge(db: &dyn Db, now: i64) -> Result<()> {
    if !subaccount::any_purge(db, now)? {
        return Ok(());
    }
    placement::purge(db, now)?;
    for (id, _) in subaccount::purged(db, now)? {
        transaction(db, || subaccount::destroy(db, &id, now))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn customers_do_not_learn_the_addresses_of_nodes() {
        let told = |order| {
            let call = Call {
                subaccount_id: "7".into(),
                node_id: "n".into(),
                node_url: Some("http://10.0.0.7:3001".into()),
                order,
            };
            call.came_to_nothing("http://10.0.0.7:3001", "cannot be asked: it is away.")
        };
        assert_eq!(
            told(Order::Release(1)),
            "Its server cannot be asked: it is away."
        );
        let to_operator = "The slave at http://10.0.0.7:3001 cannot be asked: it is away.";
        assert_eq!(told(Order::Pack), to_operator);
    }

    fn there(slots: i64, nodes: i64, silent: i64) -> Capacity {
        Capacity {
            slots,
            nodes,
            silent,
            resting: 0,
        }
    }

    #[test]
    fn the_reason_says_what_there_is() {
        assert_eq!(
            no_room(there(100, 2, 0)),
            "All 100 slots of 2 nodes are taken. It goes on by itself when one is free."
        );
        assert_eq!(
            no_room(there(1, 1, 1)),
            "All 1 slot of 1 node are taken. 1 node has not reported for a minute and gets none. It goes on by itself when one is free."
        );
        assert!(
            no_room(there(0, 0, 2))
                .starts_with("There is no node that takes sub-accounts. 2 nodes")
        );
    }
}
