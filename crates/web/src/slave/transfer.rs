//! What the master asks of the two nodes when a sub-account moves (see `stages::relocate`). The target is told where it
//! stands by what it holds; the source hands out nothing before nothing in it can change any more.

use serde::Serialize;
use stages::relocate::{Arrival, Arrived, Belongings, Departing, Departure, Leave, Wanted};
use store::archive::Error;
use store::archive::copy::{self, Piece};
use store::tenant::{self, Tenant};
use store::tenant_state::{self, Moved, State};
use store::{Db, custom_domain, link_key, profile, request, transaction, work};

use crate::context::Context;
use crate::http::{Answer, Problem, Request, Response};
use crate::input;
use crate::seal::{LinkKey, Sealer};
use crate::slave::archive::STAGES;
use crate::slave::node::{busy, full, late, room, settle};
use crate::slave::profile::{opened, reseal};

/// How long after the last change was let through the source is read, in milliseconds: longer than a request may run.
const DRAIN: i64 = 35_000;

/// Answers `/node/v1/subaccounts/{id}/arrival…`, `…/departure…` and `…/digests`.
///
/// # Errors
/// 404, 405, or what the call says.
pub fn route(cx: &Context<'_>, request: &Request, id: &str, call: &str, rest: &[&str]) -> Answer {
    match (request.method.as_str(), call, rest) {
        ("PUT", "arrival", []) => arrive(cx, id, &request.json()?),
        ("POST", "arrival", ["pieces"]) => take(cx, id, &request.json()?),
        ("PUT", "arrival", ["belongings"]) => unpack(cx, id, &request.json()?),
        ("POST", "digests", []) => digest(cx, id, &request.json()?),
        ("PUT", "departure", []) => depart(cx, id, &request.json()?),
        ("POST", "departure", ["pieces"]) => hand_out(cx, id, &request.json()?),
        ("GET", "departure", ["belongings"]) => pack(cx, id),
        ("POST", "departure", ["completion"]) => leave(cx, id, &request.json()?),
        (_, _, []) | (_, "arrival" | "departure", ["pieces" | "belongings" | "completion"]) => {
            Err(Problem::method_not_allowed())
        }
        _ => Err(Problem::not_found()),
    }
}

fn told(body: &impl Serialize) -> Answer {
    Ok(Response::json(200, body))
}

fn problem(error: Error) -> Problem {
    match error {
        Error::Store(e) => e.into(),
        e => Problem::new(422, "The copy is not the same").detail(e.to_string()),
    }
}

fn find(control: &dyn Db, id: &str) -> Result<Tenant, Problem> {
    tenant::get(control, id)?.ok_or_else(Problem::not_found)
}

/// Nothing can be done in this state.
fn out_of_turn(state: State) -> Problem {
    Problem::new(409, "The sub-account cannot move now").detail(format!(
        "At this node it is {}. Nothing was changed.",
        state.name()
    ))
}

/// Makes room: a slot or a database, which serves nothing. Says how far the copy is.
fn arrive(cx: &Context<'_>, id: &str, arrival: &Arrival) -> Answer {
    let name = input::name("name", &arrival.name)?;
    let control = cx.control()?;
    let tenant = transaction(&*control, || {
        let known = tenant_state::get(&*control, id)?;
        let gone = known.state == State::Gone && arrival.revision <= known.revision;
        if gone || arrival.revision < known.revision {
            return Err(late());
        }
        if known.state != State::Arriving && tenant::get(&*control, id)?.is_some() {
            return Err(out_of_turn(known.state));
        }
        let account = &arrival.account_id;
        let slots = cx.config.slots;
        let found = tenant::allocate(cx.stores, &*control, id, account, &name, slots, cx.now)?;
        let tenant = found.ok_or_else(|| full(cx))?;
        let revision = arrival.revision;
        tenant_state::set(&*control, id, revision, State::Arriving, None, cx.now)?;
        Ok(tenant)
    })?;
    let db = settle(cx, &*control, tenant)?;
    told(&Arrived {
        position: copy::position(&*db).map_err(problem)?,
        complete: false,
    })
}

/// The copy, which nothing but calls of the master reaches.
fn arriving(cx: &Context<'_>, control: &dyn Db, id: &str) -> Result<Box<dyn Db>, Problem> {
    let tenant = find(control, id)?;
    match tenant_state::get(control, id)?.state {
        State::Arriving => Ok(tenant::open(cx.stores, control, &tenant)?),
        state => Err(out_of_turn(state)),
    }
}

/// Keeps a piece.
fn take(cx: &Context<'_>, id: &str, piece: &Piece) -> Answer {
    let db = arriving(cx, &*cx.control()?, id)?;
    let complete = copy::write(&*db, piece).map_err(problem)?;
    told(&Arrived {
        position: copy::position(&*db).map_err(problem)?,
        complete,
    })
}

/// What some rows come to, at either end.
fn digest(cx: &Context<'_>, id: &str, wanted: &Wanted) -> Answer {
    let control = cx.control()?;
    let db = match tenant_state::get(&*control, id)?.state {
        State::Arriving => arriving(cx, &*control, id)?,
        _ => departing(cx, &*control, id)?,
    };
    told(&copy::digest(&*db, wanted.after.as_ref()).map_err(problem)?)
}

/// Seals secrets with this node's key, and promises work to every stage. Doing it again changes nothing.
fn unpack(cx: &Context<'_>, id: &str, belongings: &Belongings) -> Answer {
    let control = cx.control()?;
    let db = arriving(cx, &*control, id)?;
    let sealer = Sealer::new(&cx.config.secret_key);
    transaction(&*db, || {
        for (profile_id, password) in &belongings.passwords {
            let found = profile::get(&*db, *profile_id)?;
            let settings = found.and_then(|p| reseal(&sealer, id, &p, password));
            if let Some(settings) = settings {
                profile::set_settings(&*db, *profile_id, &settings, cx.now)?;
            }
        }
        Ok::<_, Problem>(())
    })?;
    let keys = belongings.link_keys.iter();
    let keys: Vec<_> = keys.map(|k| sealer.seal(&LinkKey::place(id), k)).collect();
    transaction(&*control, || {
        link_key::put_all(&*control, id, &keys)?;
        // The name still leads to the old node: its owner points it here, and checks it, with the proof that is there.
        for (name, token) in &belongings.domains {
            custom_domain::insert(&*control, id, name, token, cx.now)?;
        }
        for stage in STAGES {
            work::mark(&*control, id, stage, cx.now, cx.now)?;
        }
        Ok::<_, Problem>(())
    })?;
    told(&Arrived::default())
}

/// Comes to rest: first nobody may begin anything, and when nothing is under way any more, nothing changes; what was let
/// through before that is done a little later.
fn depart(cx: &Context<'_>, id: &str, departure: &Departure) -> Answer {
    let control = cx.control()?;
    let tenant = find(&*control, id)?;
    let known = tenant_state::get(&*control, id)?;
    if departure.revision < known.revision {
        return Err(late());
    }
    let set = |state| tenant_state::set(&*control, id, departure.revision, state, None, cx.now);
    let waits = match known.state {
        State::Active => {
            set(State::Moving)?;
            "Nothing new is begun in it."
        }
        State::Moving if is_busy(cx, &*control, &tenant)? => {
            "Work that has begun is brought to its end."
        }
        State::Moving => {
            set(State::Frozen)?;
            "Changes that were let through are finished."
        }
        State::Frozen if !is_drained(cx, known.changed_at) => {
            "Changes that were let through are finished."
        }
        State::Frozen if is_busy(cx, &*control, &tenant)? => {
            set(State::Moving)?;
            "Work that has begun is brought to its end."
        }
        State::Frozen => "",
        state => return Err(out_of_turn(state)),
    };
    told(&Departing {
        ready: waits.is_empty(),
        reason: waits.to_owned(),
    })
}

fn is_drained(cx: &Context<'_>, frozen_at: i64) -> bool {
    cx.now >= frozen_at + DRAIN
}

/// Whether a stage is at work in it, or a worker that has begun: its report is not to be lost.
fn is_busy(cx: &Context<'_>, control: &dyn Db, tenant: &Tenant) -> Result<bool, Problem> {
    if tenant_state::is_leased(control, &tenant.id, cx.now)? {
        return Ok(true);
    }
    let db = tenant::open(cx.stores, control, tenant)?;
    Ok(request::any_begun(&*db, cx.now)?)
}

/// The original, when nothing in it can change any more.
fn departing(cx: &Context<'_>, control: &dyn Db, id: &str) -> Result<Box<dyn Db>, Problem> {
    let tenant = find(control, id)?;
    let known = tenant_state::get(control, id)?;
    match known.state {
        State::Frozen if is_drained(cx, known.changed_at) => {
            Ok(tenant::open(cx.stores, control, &tenant)?)
        }
        State::Frozen => Err(busy()),
        state => Err(out_of_turn(state)),
    }
}

/// Hands out the piece after a position.
fn hand_out(cx: &Context<'_>, id: &str, wanted: &Wanted) -> Answer {
    let db = departing(cx, &*cx.control()?, id)?;
    told(&copy::read(&*db, wanted.after.as_ref()).map_err(problem)?)
}

/// Hands out what is not in the database, or not readable in it elsewhere.
fn pack(cx: &Context<'_>, id: &str) -> Answer {
    let control = cx.control()?;
    let db = departing(cx, &*control, id)?;
    let key = &cx.config.secret_key;
    let sealer = Sealer::new(key);
    let password = |p: &profile::Profile| Some((p.id, opened(key, id, p)?.password?));
    let earlier = link_key::all(&*control, id)?;
    let earlier = earlier.iter();
    let earlier = earlier.filter_map(|k| sealer.open(&LinkKey::place(id), k));
    let own = sealer.link_key(id).text();
    let mut link_keys: Vec<String> = earlier.filter(|k| *k != own).collect();
    link_keys.push(own);
    let domains = custom_domain::of_tenant(&*control, id)?;
    told(&Belongings {
        passwords: profile::list(&*db)?.iter().filter_map(password).collect(),
        link_keys,
        domains: domains.into_iter().map(|d| (d.name, d.token)).collect(),
    })
}

/// How long what was let through may go on reading what goes, in milliseconds.
const LINGER: i64 = 3_000;

/// Lets go of a sub-account that works at another node, and remembers where: who asks for it is sent there from now on, and
/// its database goes a little later.
fn leave(cx: &Context<'_>, id: &str, leave: &Leave) -> Answer {
    let control = cx.control()?;
    let known = tenant_state::get(&*control, id)?;
    if known.revision > leave.revision || !matches!(known.state, State::Frozen | State::Gone) {
        return Err(out_of_turn(known.state));
    }
    if known.state == State::Frozen {
        let moved = Moved {
            account_id: find(&*control, id)?.account_id,
            to: leave.moved_to.clone(),
        };
        let (revision, gone) = (leave.revision, State::Gone);
        tenant_state::set(&*control, id, revision, gone, Some(&moved), cx.now)?;
    }
    if known.state == State::Frozen || cx.now < known.changed_at + LINGER {
        return Err(busy());
    }
    tenant::destroy(cx.stores, &*control, id)?;
    told(&room(cx, &*control, String::new())?)
}
