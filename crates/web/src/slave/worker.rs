//! The calls of workers. The types are in `worker-api`.

use std::collections::{BTreeMap, HashMap};

use domain::retry::pause_after;
use http::{Method, header};
use stages::claim;
use store::event::{self, Event};
use store::request::{self, State};
use store::{credential, message, profile, setting, transaction, work};
use worker_api::{
    Claim, Claimed, Lease, Leases, Outcome, Profile, ProfileKind, Profiles, Register, Registered,
    Report, Results, UNAVAILABLE, Verdict, Verdicts,
};

use crate::assertion::WorkerIdentity;
use crate::context::{Context, LOCAL, random_text};
use crate::http::{Answer, Problem, Request, Response};
use crate::seal::Sealer;
use crate::slave::{Scope, access, profile::opened};

/// How long a claim holds a request, in milliseconds.
const LEASE: i64 = 60_000;
/// How often an idle worker asks, in milliseconds.
const POLL: i64 = 500;
/// When a tenant is looked into again whose claim failed, in milliseconds.
const AGAIN: i64 = 5_000;
/// Tenants that one claim looks into.
const TENANTS: i64 = 64;
/// Items that one call may carry.
const ITEMS: usize = 500;

/// Answers `/worker/v1/…`.
///
/// # Errors
/// 404, 405, or what the call says.
pub fn route(
    cx: &Context<'_>,
    request: &Request,
    path: &[&str],
    worker: &WorkerIdentity,
) -> Answer {
    match (&request.method, path) {
        (&Method::POST, ["register"]) => register(cx, &request.json()?),
        (&Method::GET, ["profiles"]) => profiles(cx, request, worker),
        (&Method::POST, ["claim"]) => claim(cx, &request.json()?, worker),
        (&Method::POST, ["begin"]) => leases(cx, request.json()?, worker, |scope, l| {
            // What has not begun when a sub-account is suspended, or moves, does not begin.
            if !scope.state.works() {
                return Ok(false);
            }
            Ok(request::begin(
                &*scope.db,
                l.id,
                &l.lease_token,
                cx.now,
                cx.now + LEASE,
            )?)
        }),
        (&Method::POST, ["renew"]) => leases(cx, request.json()?, worker, |scope, l| {
            Ok(request::renew(
                &*scope.db,
                l.id,
                &l.lease_token,
                cx.now + LEASE,
            )?)
        }),
        (&Method::POST, ["results"]) => results(cx, request.json()?, worker),
        (_, ["register" | "profiles" | "claim" | "begin" | "renew" | "results"]) => {
            Err(Problem::method_not_allowed())
        }
        _ => Err(Problem::not_found()),
    }
}

fn register(cx: &Context<'_>, input: &Register) -> Answer {
    let name = crate::input::name("name", &input.name)?;
    credential::register_worker(&*cx.control()?, &name, &input.version, cx.now)?;
    Ok(Response::json(
        200,
        &Registered {
            lease_ms: LEASE,
            poll_ms: POLL,
            now: cx.now,
        },
    ))
}

/// Whether a lease was given to this worker. A lease without a mark is from before leases had one.
fn is_own(lease: &Lease, worker: &WorkerIdentity) -> bool {
    match lease.lease_token.split_once('.') {
        Some((mark, _)) => mark == worker.mark(),
        None => worker.id == LOCAL,
    }
}

/// The active profiles that this worker is for. Whether anything changed is known from the control database alone.
fn profiles(cx: &Context<'_>, request: &Request, worker: &WorkerIdentity) -> Answer {
    let control = cx.control()?;
    let homes = work::due(&*control, "profiles", i64::MAX, i64::MAX)?;
    let mut state = format!("{}/{};", worker.id, worker.unassigned);
    for home in &homes {
        state.push_str(&format!("{}@{};", home.tenant_id, home.marked_at));
    }
    let etag = format!("\"{}\"", &crate::auth::token_hash("profiles", &state)[..32]);
    if request.header(header::IF_NONE_MATCH) == Some(etag.as_str()) {
        let mut response = Response::no_content().with(header::ETAG, &etag);
        response.status = http::StatusCode::NOT_MODIFIED;
        return Ok(response);
    }
    let mut answer = Profiles::default();
    for home in homes {
        match profiles_in(cx, &home.tenant_id, worker) {
            Ok(profiles) => answer.profiles.extend(profiles),
            // It has gone meanwhile.
            Err(problem) if problem.status == 404 => {}
            Err(problem) => {
                eprintln!("profiles {}: {}", home.tenant_id, problem.title);
                answer.partial = true;
            }
        }
    }
    let response = Response::json(200, &answer);
    // Without a tag the worker asks until nothing is missing.
    Ok(match answer.partial {
        true => response,
        false => response.with(header::ETAG, &etag),
    })
}

fn profiles_in(
    cx: &Context<'_>,
    tenant: &str,
    worker: &WorkerIdentity,
) -> Result<Vec<Profile>, Problem> {
    let scope = access::public(cx, tenant)?;
    let brand = setting::brand(&*scope.db)?;
    let mine = |p: &profile::Profile| p.active && p.is_for(&worker.id, worker.unassigned);
    let profiles = profile::list(&*scope.db)?.into_iter().filter(mine);
    let shown = profiles.filter_map(|p| {
        // A password that was sealed with another key cannot be used: the profile is left out, and its requests wait.
        let mut settings = opened(&cx.config.secret_key, &scope.tenant.id, &p)?;
        settings.from = claim::signed(&settings.from, &brand);
        Some(Profile {
            subaccount: scope.tenant.id.clone(),
            id: p.id,
            name: p.name,
            kind: ProfileKind::Smtp(settings),
            quotas: p.quotas.quotas(),
        })
    });
    Ok(shown.collect())
}

/// Leases due requests, tenant after tenant, the longest waiting first. Each gets at most its share. A tenant that fails
/// hurts no other.
fn claim(cx: &Context<'_>, input: &Claim, worker: &WorkerIdentity) -> Answer {
    if worker.draining {
        return Ok(Response::json(200, &Claimed::default()));
    }
    let control = cx.control()?;
    credential::worker_called(&*control, &input.worker, cx.now)?;
    let due = work::due(&*control, "claim", cx.now, TENANTS)?;
    let more = due.len() as i64 == TENANTS;
    let mut room = input.max.min(ITEMS as u32);
    let mut claimed = Claimed::default();
    for (left, due) in (1..=due.len() as u32).rev().zip(&due) {
        if room == 0 {
            break;
        }
        let busy = input.busy.iter().filter(|k| k.subaccount == due.tenant_id);
        let busy: Vec<i64> = busy.map(|k| k.profile_id).collect();
        match claim_in(cx, due, room.div_ceil(left), &busy, worker) {
            Ok(taken) => {
                room -= taken.tasks.len() as u32;
                claimed.requests.extend(taken.tasks);
                // What is another worker's stays due: put off, it would be missed by a worker that asks at the wrong
                // moments. It goes behind those that this claim had no look at.
                if taken.foreign && more {
                    work::requeue(&*control, due, "claim", cx.now)?;
                }
            }
            Err(problem) => {
                eprintln!("claim {}: {}", due.tenant_id, problem.title);
                work::postpone(&*control, due, "claim", Some(cx.now + AGAIN), cx.now)?;
            }
        }
    }
    Ok(Response::json(200, &claimed))
}

fn claim_in(
    cx: &Context<'_>,
    due: &work::Due,
    max: u32,
    busy: &[i64],
    worker: &WorkerIdentity,
) -> Result<claim::Taken, Problem> {
    let scope = access::public(cx, &due.tenant_id)?;
    let lease_until = cx.now + LEASE;
    let mark = |stage, at| work::mark(&*scope.control, &scope.tenant.id, stage, at, cx.now);
    // Whatever happens to this worker, somebody looks after its leases when they end.
    mark("plan", lease_until + 1)?;
    let links = Sealer::new(&cx.config.secret_key).link_key(&scope.tenant.id);
    let taken = claim::claim(
        &*scope.db,
        &claim::Claim {
            subaccount: &scope.tenant.id,
            base_url: &scope.base_url()?,
            brand: &setting::brand(&*scope.db)?,
            sign: &|lead_id| links.sign_lead(&scope.tenant.id, lead_id),
            token: &format!("{}.{}", worker.mark(), random_text(18)),
            now: cx.now,
            lease_until,
            max,
            busy,
            worker: &worker.id,
            unassigned: worker.unassigned,
        },
    )?;
    if taken.refused {
        mark("rule", cx.now)?;
        mark("timeline", cx.now)?;
    }
    if !taken.foreign {
        work::postpone(&*scope.control, due, "claim", taken.next, cx.now)?;
    }
    Ok(taken)
}

/// The scopes of a call that speaks of several sub-accounts, each opened once.
struct Scopes<'a> {
    cx: &'a Context<'a>,
    open: HashMap<String, Result<Option<Scope<'a>>, Problem>>,
}

impl<'a> Scopes<'a> {
    fn new(cx: &'a Context<'a>) -> Self {
        Scopes {
            cx,
            open: HashMap::new(),
        }
    }

    fn get(&mut self, subaccount: &str) -> Result<Option<&Scope<'a>>, Problem> {
        if !self.open.contains_key(subaccount) {
            let scope = match access::public(self.cx, subaccount) {
                Ok(scope) => Ok(Some(scope)),
                Err(problem) if problem.status == 404 => Ok(None),
                Err(problem) => {
                    eprintln!("leases of {subaccount}: {}", problem.title);
                    Err(problem)
                }
            };
            self.open.insert(subaccount.to_owned(), scope);
        }
        match self.open.get(subaccount) {
            Some(Ok(scope)) => Ok(scope.as_ref()),
            Some(Err(problem)) => Err(problem.clone()),
            None => Ok(None),
        }
    }
}

fn verdict(
    lease: &Lease,
    accepted: bool,
    lease_until: Option<i64>,
    reason: Option<&str>,
) -> Verdict {
    Verdict {
        subaccount: lease.subaccount.clone(),
        id: lease.id,
        accepted,
        lease_until: lease_until.filter(|_| accepted),
        reason: reason.filter(|_| !accepted).map(str::to_owned),
    }
}

fn too_many(count: usize) -> Result<(), Problem> {
    match count > ITEMS {
        true => Err(Problem::invalid(
            "requests",
            format!("must be at most {ITEMS} at once"),
        )),
        false => Ok(()),
    }
}

/// Does one step for each lease. A sub-account that fails hurts no other: its leases get no verdict yet.
fn leases(
    cx: &Context<'_>,
    input: Leases,
    worker: &WorkerIdentity,
    step: impl Fn(&Scope<'_>, &Lease) -> Result<bool, Problem>,
) -> Answer {
    too_many(input.requests.len())?;
    let mut scopes = Scopes::new(cx);
    let mut given = |lease: &Lease| -> Result<Verdict, Problem> {
        let scope = match is_own(lease, worker) {
            true => scopes.get(&lease.subaccount)?,
            false => None,
        };
        let Some(scope) = scope else {
            return Ok(verdict(lease, false, None, Some("not_found")));
        };
        let accepted = step(scope, lease)?;
        let reason = match accepted {
            true => None,
            false => Some(why_not(scope, lease)?),
        };
        Ok(verdict(lease, accepted, Some(cx.now + LEASE), reason))
    };
    let unavailable = |lease| verdict(lease, false, None, Some(UNAVAILABLE));
    let all = input.requests.iter();
    let verdicts = all.map(|lease| given(lease).unwrap_or_else(|_| unavailable(lease)));
    Ok(Response::json(
        200,
        &Verdicts {
            verdicts: verdicts.collect(),
        },
    ))
}

fn why_not(scope: &Scope<'_>, lease: &Lease) -> Result<&'static str, Problem> {
    Ok(match request::state(&*scope.db, lease.id)? {
        None => "not_found",
        Some(state) if matches!(state.status.as_str(), "aborted" | "canceled") => "canceled",
        Some(_) => "stale_lease",
    })
}

/// Takes reports: those of one sub-account in one transaction. One that fails hurts no other.
fn results(cx: &Context<'_>, input: Results, worker: &WorkerIdentity) -> Answer {
    too_many(input.results.len())?;
    let mut by_tenant: BTreeMap<&str, Vec<(usize, &Report)>> = BTreeMap::new();
    let own = |(_, report): &(usize, &Report)| is_own(&report.lease, worker);
    for (i, report) in input.results.iter().enumerate().filter(own) {
        by_tenant
            .entry(&report.lease.subaccount)
            .or_default()
            .push((i, report));
    }
    let mut taken = vec![Err("not_found"); input.results.len()];
    let mut scopes = Scopes::new(cx);
    for (subaccount, reports) in by_tenant {
        let settled = match scopes.get(subaccount) {
            Ok(None) => continue,
            Ok(Some(scope)) => settle_all(scope, &reports),
            Err(problem) => Err(problem),
        };
        let settled = settled.unwrap_or_else(|_| vec![Err(UNAVAILABLE); reports.len()]);
        for ((i, _), settled) in reports.into_iter().zip(settled) {
            taken[i] = settled;
        }
    }
    let verdict = |(report, taken): (&Report, Result<(), &str>)| {
        verdict(&report.lease, taken.is_ok(), None, taken.err())
    };
    let verdicts = input.results.iter().zip(taken).map(verdict).collect();
    Ok(Response::json(200, &Verdicts { verdicts }))
}

/// Each report's end, in their order.
fn settle_all(
    scope: &Scope<'_>,
    reports: &[(usize, &Report)],
) -> Result<Vec<Result<(), &'static str>>, Problem> {
    let settle = |(_, report): &(usize, &Report)| -> Result<_, Problem> {
        let accepted = settle(scope, report)?;
        Ok(accepted.then_some(()).ok_or("stale_lease"))
    };
    scope.promising(&["claim", "rule", "timeline"], || {
        transaction(&*scope.db, || reports.iter().map(settle).collect())
    })
}

/// Takes one report. The same report again is accepted and changes nothing; a report under another lease is refused.
fn settle(scope: &Scope<'_>, report: &Report) -> Result<bool, Problem> {
    let (db, now) = (&*scope.db, scope.cx.now);
    let (id, token) = (report.lease.id, report.lease.lease_token.as_str());
    let Some(state) = request::state(db, id)? else {
        return Ok(false);
    };
    if state.lease_token.as_deref() != Some(token) {
        return Ok(false);
    }
    // A worker's clock may be off; nothing happens in the future.
    let at = report.at.min(now);
    // Given back already: the same report again is known, and any other contradicts it.
    if state.status == "pending" {
        return Ok(matches!(
            report.outcome,
            Outcome::Retry { .. } | Outcome::Released
        ));
    }
    let end = |status: &str, error: Option<&str>| -> Result<bool, Problem> {
        let changed = request::end(db, id, token, status, error, now, Some(at))?;
        if changed {
            event::insert(
                db,
                &ended(&format!("outreach_{status}"), id, &state, at, error),
            )?;
        }
        Ok(changed)
    };
    match &report.outcome {
        Outcome::Performed { detail } => {
            if end("performed", None)? {
                message::sent(db, id, at, detail)?;
            }
        }
        Outcome::Failed { error } => {
            end("failed", Some(error))?;
        }
        Outcome::Uncertain { error } => {
            end("uncertain", Some(error))?;
        }
        Outcome::Retry { error, after_ms } => match pause_after(state.attempts, *after_ms) {
            Some(pause) => {
                request::give_back(db, id, token, Some(error), now + pause, now, 0)?;
            }
            None => {
                let error = format!("Given up after {} attempts. {error}", state.attempts);
                end("failed", Some(&error))?;
            }
        },
        Outcome::Released => {
            request::give_back(db, id, token, None, now, now, 1)?;
        }
    }
    Ok(true)
}

fn ended(kind: &str, id: i64, state: &State, at: i64, error: Option<&str>) -> Event {
    Event {
        at,
        kind: kind.to_owned(),
        request_id: Some(id),
        lead_id: state.lead_id,
        profile_id: state.profile_id,
        rule_id: state.rule_id,
        data: error.map(str::to_owned),
        ..Event::default()
    }
}
