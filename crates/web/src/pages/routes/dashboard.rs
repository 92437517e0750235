//! The first page of a sub-account.

use domain::quota::{Verdict, decide};
use store::profile::{self, Profile};
use store::{import, lead, request, timeline as counts};

use super::{import as imports, profile as profiles, rule, timeline};
use crate::Problem;
use crate::http::{Answer, Response};
use crate::pages::Page;
use crate::pages::dashboard::{Dashboard, Numbers, ProfileUse, Setup, Wait};
use crate::slave::timeline::DAY;
use crate::slave::{Scope, request as api};

/// Imports, rules and profiles that are shown here; all of them have pages of their own.
const SHOWN: usize = 5;
/// A pause shorter than this is no wait worth telling, in milliseconds.
const PAUSE: i64 = 60_000;

pub fn show(scope: &Scope<'_>, page: Page) -> Answer {
    let db = &*scope.db;
    let senders = profile::list(db)?;
    let numbers = numbers(scope)?;
    let rules = rule::rows(scope)?;
    let imports = import::list(db, SHOWN as i64)?;
    let view = Dashboard {
        page,
        setup: Setup {
            leads: numbers.leads > 0,
            profile: !senders.is_empty(),
            rule: !rules.is_empty(),
        },
        numbers,
        chart: timeline::of_mails(scope)?,
        waits: waits(scope, &senders)?,
        profiles: uses(scope, &senders)?,
        imports: imports.into_iter().map(imports::row).collect(),
        rules: rules.into_iter().filter(|r| r.active).take(SHOWN).collect(),
    };
    Ok(Response::html(200, view.render()))
}

fn numbers(scope: &Scope<'_>) -> Result<Numbers, Problem> {
    let (db, now) = (&*scope.db, scope.cx.now);
    let today = now.div_euclid(DAY) * DAY;
    let by_status = request::counts(db)?;
    let count = |status: &str| {
        let found = by_status.iter().find(|(s, _)| s == status);
        found.map_or(0, |(_, n)| *n)
    };
    let performed = |from| counts::total(db, "outreach_performed", from, now + 1);
    Ok(Numbers {
        leads: lead::count(db)?,
        performed_today: performed(today)?,
        performed_7d: performed(today - 6 * DAY)?,
        pending: count("pending") + count("running"),
        failed: count("failed"),
        uncertain: count("uncertain"),
    })
}

fn uses(scope: &Scope<'_>, senders: &[Profile]) -> Result<Vec<ProfileUse>, Problem> {
    let (db, now) = (&*scope.db, scope.cx.now);
    let running = request::running(db)?;
    let mut uses = Vec::new();
    for p in senders.iter().take(SHOWN) {
        uses.push(ProfileUse {
            id: p.id,
            name: p.name.clone(),
            state: profiles::state(p, &running).to_owned(),
            sent: profile::usage(db, p, now)?.begun,
            daily_max: p.quotas.daily_max(now).map(i64::from),
        });
    }
    Ok(uses)
}

/// What is held: without a profile, at a profile that may not go on yet, or after an error.
fn waits(scope: &Scope<'_>, senders: &[Profile]) -> Result<Vec<Wait>, Problem> {
    let (db, now) = (&*scope.db, scope.cx.now);
    let wait = |n, whose: &str, reason: &str, until| Wait {
        n,
        whose: whose.to_owned(),
        path: "/profiles".to_owned(),
        reason: reason.trim_end_matches('.').to_owned(),
        until,
    };
    let mut waits = Vec::new();
    let no_worker = api::no_worker(scope)?;
    if let (n @ 1.., Some(reason)) = request::held_unplanned(db, now)? {
        waits.push(wait(n, "Profiles", &reason, None));
    }
    let retrying = request::retrying(db, now)?;
    let pending = profile::pending(db)?;
    for p in senders {
        let again = retrying.iter().find(|r| r.profile_id == p.id);
        let again_n = again.map_or(0, |r| r.n);
        let due = pending.iter().find(|(id, _)| *id == p.id);
        let due = due.map_or(0, |(_, n)| *n) - again_n;
        if due > 0 {
            let usage = profile::usage(db, p, now)?;
            match decide(&p.quotas, &usage, None, now) {
                _ if !p.readable => waits.push(wait(due, &p.name, p.off_reason(), None)),
                _ if !p.active => waits.push(wait(due, &p.name, "it is switched off", None)),
                Verdict::Wait(hold) if hold.until > now + PAUSE => {
                    waits.push(wait(due, &p.name, &hold.reason, Some(hold.until)));
                }
                _ => {
                    if let Some(reason) = &no_worker {
                        waits.push(wait(due, &p.name, reason, None));
                    }
                }
            }
        }
        if let Some(r) = again {
            waits.push(wait(r.n, &p.name, &r.error, Some(r.next_at)));
        }
    }
    Ok(waits)
}
