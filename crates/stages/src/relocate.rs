//! Moves sub-accounts from one node to another, which stay readable meanwhile.
//!
//! The target makes room, the source comes to rest, rows go over piece by piece through the master, the target becomes the
//! home in one transaction, begins to work, and the source lets go. Until that transaction everything can be taken back, and
//! is when it fails: the source works on and the target lets go. After it nothing is taken back. Every call may be made
//! again, so whoever dies over one is followed by somebody who makes it again.

use domain::retry::backoff;
use serde::{Deserialize, Serialize};
use store::archive::copy::{Digest, Position};
use store::relocation::{self, Job, Node, State};
use store::{Db, Result, node, subaccount, transaction};

use crate::allocate::{Answer, Call, Order, Placed, Placement, Tick, Wish};

/// What the target is asked: `PUT /node/v1/subaccounts/{id}/arrival`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Arrival {
    /// The account that owns it.
    pub account_id: String,
    /// What people call it.
    pub name: String,
    /// The number of the wish.
    pub revision: i64,
}

/// How far the copy at the target is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Arrived {
    /// After which row it goes on; none at the beginning.
    pub position: Option<Position>,
    /// Whether all of it is there.
    #[serde(default)]
    pub complete: bool,
}

/// What the source is asked: `PUT /node/v1/subaccounts/{id}/departure`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Departure {
    /// The number of the wish.
    pub revision: i64,
}

/// How the source is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Departing {
    /// Whether nothing changes in it any more.
    pub ready: bool,
    /// What it waits for, for people.
    #[serde(default)]
    pub reason: String,
}

/// Which rows are wanted: `POST /node/v1/subaccounts/{id}/departure/pieces`, and `…/digests` of both nodes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wanted {
    /// Those after this.
    pub after: Option<Position>,
}

/// What belongs to a sub-account and is not in its database, or can be read at one node only:
/// `GET /node/v1/subaccounts/{id}/departure/belongings`, `PUT …/arrival/belongings`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Belongings {
    /// Passwords of profiles: (profile, password).
    pub passwords: Vec<(i64, String)>,
    /// What links in its mails were signed with.
    pub link_keys: Vec<String>,
    /// Host names of its own, and what proves them: (name, token).
    pub domains: Vec<(String, String)>,
}

/// What the source is asked at last: `POST /node/v1/subaccounts/{id}/departure/completion`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Leave {
    /// The number of the wish.
    pub revision: i64,
    /// Where the sub-account is now.
    pub moved_to: String,
}

/// How long a lease holds, in milliseconds: longer than one step takes.
const LEASE: i64 = 45_000;
/// How long one tick drives moves, and one of them, in milliseconds: a tick has other things to do, too.
const BUDGET: i64 = 4_000;
/// How often the source is asked whether it has come to rest, in milliseconds.
const LOOK: i64 = 1_000;
/// How long the source may take to come to rest, in milliseconds.
const RESTLESS: i64 = 15 * 60_000;
/// Failed attempts in a row after which a move is given up: about five minutes.
const ATTEMPTS: u32 = 10;

/// What comes after a step.
enum Next {
    /// Another one, at once.
    On,
    /// Nothing for now: the lease was given back, or somebody else has it.
    Later,
}

/// Drives what is due; returns how many moves were driven.
///
/// # Errors
/// When the master's database fails.
pub fn run(tick: &Tick<'_>, db: &dyn Db) -> Result<usize> {
    let end = (tick.clock)() + BUDGET;
    let mut driven = 0;
    loop {
        let now = (tick.clock)();
        let token = format!("{}.move.{driven}", tick.token);
        let Some(job) = relocation::claim(db, &token, now + LEASE, now)? else {
            return Ok(driven);
        };
        drive(tick, db, job, &token)?;
        driven += 1;
        if (tick.clock)() >= end {
            return Ok(driven);
        }
    }
}

fn drive(tick: &Tick<'_>, db: &dyn Db, mut job: Job, token: &str) -> Result<()> {
    let end = (tick.clock)() + BUDGET;
    loop {
        if !relocation::renew(db, &job, token, (tick.clock)() + LEASE)? {
            return Ok(());
        }
        match step(tick, db, &mut job, token)? {
            Next::Later => return Ok(()),
            Next::On if (tick.clock)() < end => {}
            Next::On => {
                let now = (tick.clock)();
                return relocation::pause(db, &job, token, None, now, true);
            }
        }
    }
}

fn step(tick: &Tick<'_>, db: &dyn Db, job: &mut Job, token: &str) -> Result<Next> {
    let lost = match job.state {
        State::Reserving | State::Freezing | State::Copying => {
            job.source.revoked || job.target.revoked
        }
        // The original is there yet.
        State::Switching => job.target.revoked && !job.source.revoked,
        _ => false,
    };
    if lost {
        return fail(tick, db, job, token, "One of its nodes was revoked.");
    }
    match job.state {
        State::Reserving => reserve(tick, db, job, token),
        State::Freezing => freeze(tick, db, job, token),
        State::Copying => copy(tick, db, job, token),
        State::Switching => switch(tick, db, job, token),
        State::Cleaning => clean(tick, db, job, token),
        State::Done | State::Failed => Ok(Next::Later),
    }
}

fn ask(tick: &Tick<'_>, job: &Job, node: &Node, order: Order) -> Answer {
    let call = Call {
        subaccount_id: job.subaccount_id.clone(),
        node_id: node.id.clone(),
        node_url: node.url.clone(),
        order,
    };
    let answer = (tick.ask)(&[call]).pop();
    answer.unwrap_or_else(|| Answer::Unknown("no answer".to_owned()))
}

/// Asks for JSON.
fn ask_for<T: for<'a> Deserialize<'a>>(
    tick: &Tick<'_>,
    job: &Job,
    node: &Node,
    order: Order,
) -> std::result::Result<T, Answer> {
    match ask(tick, job, node, order) {
        Answer::Told(body) => serde_json::from_slice(&body)
            .map_err(|e| Answer::Unknown(format!("An answer cannot be read: {e}."))),
        answer => Err(answer),
    }
}

/// Goes on to the next state.
fn advance(db: &dyn Db, job: &mut Job, token: &str, to: State) -> Result<Next> {
    if !relocation::step(db, job, token, to)? {
        return Ok(Next::Later);
    }
    job.state = to;
    job.attempts = 0;
    Ok(Next::On)
}

/// A call did not do what it should: it is made again, or the move is given up.
fn trouble(tick: &Tick<'_>, db: &dyn Db, job: &Job, token: &str, answer: Answer) -> Result<Next> {
    let revocable = matches!(
        job.state,
        State::Reserving | State::Freezing | State::Copying
    );
    let (reason, sure) = match answer {
        Answer::Refused { reason, .. } => (reason, true),
        Answer::NotSent(reason) | Answer::Unknown(reason) => (reason, false),
        Answer::Done(_) | Answer::Told(_) => ("An answer makes no sense.".to_owned(), false),
    };
    if revocable && (sure || job.attempts >= ATTEMPTS) {
        return fail(tick, db, job, token, &reason);
    }
    let next_at = (tick.clock)() + backoff(job.attempts);
    relocation::pause(db, job, token, Some(&reason), next_at, false)?;
    Ok(Next::Later)
}

fn fail(tick: &Tick<'_>, db: &dyn Db, job: &Job, token: &str, reason: &str) -> Result<Next> {
    let now = (tick.clock)();
    transaction(db, || relocation::fail(db, job, token, reason, now))?;
    Ok(Next::Later)
}

fn arrive(tick: &Tick<'_>, job: &Job) -> std::result::Result<Arrived, Answer> {
    let arrival = Arrival {
        account_id: job.account_id.clone(),
        name: job.name.clone(),
        revision: job.revision,
    };
    ask_for(tick, job, &job.target, Order::Arrive(arrival))
}

/// The target makes room.
fn reserve(tick: &Tick<'_>, db: &dyn Db, job: &mut Job, token: &str) -> Result<Next> {
    match arrive(tick, job) {
        Ok(_) => advance(db, job, token, State::Freezing),
        Err(answer) => trouble(tick, db, job, token, answer),
    }
}

/// The source comes to rest.
fn freeze(tick: &Tick<'_>, db: &dyn Db, job: &mut Job, token: &str) -> Result<Next> {
    let departure = Departure {
        revision: job.revision,
    };
    let now = (tick.clock)();
    match ask_for::<Departing>(tick, job, &job.source, Order::Depart(departure)) {
        Ok(departing) if departing.ready => advance(db, job, token, State::Copying),
        Ok(departing) if now - job.created_at > RESTLESS => {
            let reason = format!("It did not come to rest. {}", departing.reason);
            fail(tick, db, job, token, &reason)
        }
        Ok(departing) => {
            let reason = Some(departing.reason.as_str());
            relocation::pause(db, job, token, reason, now + LOOK, true)?;
            Ok(Next::Later)
        }
        Err(answer) => trouble(tick, db, job, token, answer),
    }
}

/// Rows go over, for as long as this tick has time; then both ends are compared, and what else belongs to the sub-account
/// goes over.
fn copy(tick: &Tick<'_>, db: &dyn Db, job: &mut Job, token: &str) -> Result<Next> {
    let end = (tick.clock)() + BUDGET;
    let compared = job.compared.as_deref().map(serde_json::from_str);
    let mut compared: Option<Compared> = compared.and_then(std::result::Result::ok);
    if compared.is_none() {
        match hand_all_over(tick, job, end) {
            Ok(true) => compared = Some(Compared::Until(None)),
            Ok(false) => return Ok(Next::On),
            Err(answer) => return trouble(tick, db, job, token, answer),
        }
    }
    while let Some(Compared::Until(after)) = compared.take() {
        let next = match compare(tick, job, after) {
            Ok(next) => next,
            Err(answer) => return trouble(tick, db, job, token, answer),
        };
        let over = (tick.clock)() >= end;
        if over || next == Compared::All {
            let text = serde_json::to_string(&next).unwrap_or_default();
            relocation::compared(db, job, token, &text)?;
            job.compared = Some(text);
        }
        if over {
            return Ok(Next::On);
        }
        compared = Some(next);
    }
    match hand_belongings_over(tick, job) {
        Ok(()) => make_home(tick, db, job, token),
        Err(answer) => trouble(tick, db, job, token, answer),
    }
}

/// How far the copy was compared with the original.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Compared {
    /// Up to this row.
    Until(Option<Position>),
    /// To the end: they are the same.
    All,
}

/// Hands rows over until all are there, or time is up: false.
fn hand_all_over(tick: &Tick<'_>, job: &Job, end: i64) -> std::result::Result<bool, Answer> {
    let mut arrived = arrive(tick, job)?;
    while !arrived.complete {
        if (tick.clock)() >= end {
            return Ok(false);
        }
        arrived = hand_over(tick, job, arrived.position)?;
    }
    Ok(true)
}

/// Compares a stretch of both ends.
fn compare(
    tick: &Tick<'_>,
    job: &Job,
    after: Option<Position>,
) -> std::result::Result<Compared, Answer> {
    let digest = |node: &Node| -> std::result::Result<Digest, Answer> {
        let after = after.clone();
        ask_for(tick, job, node, Order::Digest(Wanted { after }))
    };
    let (there, here) = (digest(&job.source)?, digest(&job.target)?);
    if there != here {
        return Err(Answer::Refused {
            reason: "The copy is not the same as the original.".to_owned(),
            full: false,
        });
    }
    Ok(match there.end {
        Some(end) => Compared::Until(Some(end)),
        None => Compared::All,
    })
}

/// What is not in the database, or not readable in it elsewhere.
fn hand_belongings_over(tick: &Tick<'_>, job: &Job) -> std::result::Result<(), Answer> {
    match ask(tick, job, &job.source, Order::Pack) {
        Answer::Told(belongings) => match ask(tick, job, &job.target, Order::Unpack(belongings)) {
            Answer::Told(_) => Ok(()),
            answer => Err(answer),
        },
        answer => Err(answer),
    }
}

/// From here on the target is the home.
fn make_home(tick: &Tick<'_>, db: &dyn Db, job: &Job, token: &str) -> Result<Next> {
    let now = (tick.clock)();
    let switched = transaction(db, || match relocation::switch(db, job, token)? {
        // It goes on with what its owner wants by then.
        true => relocation::pause(db, job, token, None, now, true),
        // Half of it must not stay.
        false => Err(store::Error::Stale),
    });
    match switched {
        Err(store::Error::Stale) => fail(
            tick,
            db,
            job,
            token,
            "The target has no slot for it any more.",
        ),
        switched => switched.map(|()| Next::Later),
    }
}

/// One piece, from the source to the target.
fn hand_over(
    tick: &Tick<'_>,
    job: &Job,
    after: Option<Position>,
) -> std::result::Result<Arrived, Answer> {
    match ask(tick, job, &job.source, Order::Read(Wanted { after })) {
        Answer::Told(piece) => ask_for(tick, job, &job.target, Order::Write(piece)),
        answer => Err(answer),
    }
}

/// The target begins to work, with what was wanted meanwhile.
fn switch(tick: &Tick<'_>, db: &dyn Db, job: &mut Job, token: &str) -> Result<Next> {
    let state = match (job.deleted, job.suspended) {
        (true, _) => Wish::Deleted,
        (false, true) => Wish::Suspended,
        (false, false) => Wish::Active,
    };
    let wish = Placement {
        account_id: job.account_id.clone(),
        name: job.name.clone(),
        revision: job.revision,
        state,
        fresh: false,
    };
    match ask(tick, job, &job.target, Order::Put(wish)) {
        Answer::Done(placed) => {
            let now = (tick.clock)();
            job.base_url = Some(placed.base_url.clone());
            transaction(db, || {
                seen(db, &job.target, &placed, now)?;
                relocation::applied(db, job, now)?;
                subaccount::activate(db, &job.subaccount_id, &placed.base_url, now)?;
                advance(db, job, token, State::Cleaning)
            })
        }
        answer => trouble(tick, db, job, token, answer),
    }
}

fn seen(db: &dyn Db, node: &Node, placed: &Placed, now: i64) -> Result<()> {
    node::seen(db, &node.id, placed.slots, placed.used, now)
}

/// The source lets go.
fn clean(tick: &Tick<'_>, db: &dyn Db, job: &mut Job, token: &str) -> Result<Next> {
    let leave = Leave {
        revision: job.revision,
        moved_to: job.base_url.clone().unwrap_or_default(),
    };
    let placed = match job.source.revoked {
        true => None,
        false => match ask(tick, job, &job.source, Order::Leave(leave)) {
            Answer::Done(placed) => Some(placed),
            answer => return trouble(tick, db, job, token, answer),
        },
    };
    let now = (tick.clock)();
    transaction(db, || {
        if let Some(placed) = &placed {
            seen(db, &job.source, placed, now)?;
        }
        relocation::done(db, job, token, now)
    })?;
    Ok(Next::Later)
}
