//! Gives due requests to profiles, settles leases that ended, and says why what waits is waiting.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use domain::quota::{GAP_MAX, Hold, Verdict, decide};
use store::profile::{self, Profile};
use store::turn::{self, Assignment};
use store::{Db, Result, request};

use crate::run::Stage;

/// Requests that one step assigns.
const REQUESTS: i64 = 10_000;

/// The `plan` stage.
pub struct Plan;

impl Stage for Plan {
    fn name(&self) -> &'static str {
        "plan"
    }

    fn wakes(&self) -> &'static [&'static str] {
        &["claim", "rule", "timeline"]
    }

    fn step(&self, db: &dyn Db, now: i64, promise: &mut dyn FnMut() -> Result<()>) -> Result<bool> {
        let mut worked = false;
        if request::next_lease_end(db)?.is_some_and(|end| end <= now) {
            promise()?;
            worked |= request::expire_leases(db, now)? > 0;
        }
        if request::next_unplanned(db)?.is_some_and(|due| due <= now) {
            promise()?;
            worked |= request::end_hopeless(db, now, REQUESTS)? > 0;
            worked |= assign(db, now)?;
        }
        if !worked {
            explain_waits(db, now)?;
        }
        Ok(worked)
    }

    fn next(&self, db: &dyn Db, now: i64) -> Result<Option<i64>> {
        let unplanned = request::next_unplanned(db)?.map(|due| due.max(now + 5_000));
        let lease = request::next_lease_end(db)?;
        let held = request::next_planned(db)?.map(|due| due.max(now + 10_000));
        Ok([unplanned, lease, held].into_iter().flatten().min())
    }
}

/// Spreads due requests over the profiles that can send them: each goes to the one that will be through with it first.
fn assign(db: &dyn Db, now: i64) -> Result<bool> {
    let senders: Vec<Profile> = profile::list(db)?
        .into_iter()
        .filter(|p| p.active)
        .collect();
    if senders.is_empty() {
        request::hold_unplanned(
            db,
            "No active profile can send e-mail. Add one under Profiles.",
            now,
        )?;
        return Ok(false);
    }
    let ids = request::unplanned(db, now, REQUESTS)?;
    let waiting = profile::pending(db)?;
    let load = |id: i64| waiting.iter().find(|(p, _)| *p == id);
    let line = |p: &Profile| Line {
        load: load(p.id).map_or(0, |(_, n)| u64::try_from(*n).unwrap_or(0)),
        rate: p.quotas.daily_rate(now),
    };
    let lines: Vec<Line> = senders.iter().map(line).collect();
    let dealt = spread(&ids, &lines);
    let assignments = dealt.into_iter().map(|(id, at)| {
        let profile = &senders[at];
        (id, profile.id, profile.quotas.approval)
    });
    let assignments: Vec<Assignment> = assignments.collect();
    store::transaction(db, || turn::assign(db, &assignments, now))?;
    Ok(!ids.is_empty())
}

/// What waits for a profile, and about how much of it the profile does in a day.
struct Line {
    load: u64,
    rate: u64,
}

/// Deals ids one by one to the line that will be through with it first: (id, index of the line).
fn spread(ids: &[i64], lines: &[Line]) -> Vec<(i64, usize)> {
    let through = |load: u64, rate: u64| (load + 1).saturating_mul(1_000_000) / rate.max(1);
    let entry =
        |(at, line): (usize, &Line)| Reverse((through(line.load, line.rate), at, line.load));
    let mut heap: BinaryHeap<_> = lines.iter().enumerate().map(entry).collect();
    let mut dealt = Vec::with_capacity(ids.len());
    for id in ids {
        let Some(Reverse((_, at, load))) = heap.pop() else {
            break;
        };
        dealt.push((*id, at));
        heap.push(Reverse((through(load + 1, lines[at].rate), at, load + 1)));
    }
    dealt
}

/// Keeps with each profile that something waits for whether it may do that, or why not and until when.
fn explain_waits(db: &dyn Db, now: i64) -> Result<()> {
    turn::forget_domains(db, now - i64::from(GAP_MAX))?;
    let usages = profile::usages(db, now)?;
    for profile in profile::list(db)? {
        let Some((usage, Some(due))) = usages.get(&profile.id) else {
            continue;
        };
        let hold = match profile.active {
            _ if *due > now => None,
            false => Some(Hold {
                until: i64::MAX,
                reason: profile.off_reason().to_owned(),
            }),
            true => {
                let usage = profile::with_ends(db, &profile, *usage, now)?;
                match decide(&profile.quotas, &usage, None, now) {
                    Verdict::Wait(hold) => Some(hold),
                    Verdict::Now { .. } => None,
                }
            }
        };
        if profile.waits_for(hold.as_ref()) {
            continue;
        }
        profile::set_wait(db, profile.id, hold.as_ref())?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dealt(ids: &[i64], lines: &[(u64, u64)]) -> Vec<usize> {
        let line = |(load, rate): &(u64, u64)| Line {
            load: *load,
            rate: *rate,
        };
        let lines: Vec<_> = lines.iter().map(line).collect();
        spread(ids, &lines).into_iter().map(|(_, at)| at).collect()
    }

    #[test]
    fn the_least_loaded_profile_gets_the_next_request() {
        assert_eq!(
            dealt(&[1, 2, 3, 4, 5], &[(3, 10), (0, 10)]),
            [1, 1, 1, 0, 1]
        );
        assert!(dealt(&[1], &[]).is_empty());
    }

    #[test]
    fn a_profile_that_does_more_gets_more() {
        let ids: Vec<i64> = (0..110).collect();
        let dealt = dealt(&ids, &[(0, 10), (0, 100)]);
        assert_eq!(dealt.iter().filter(|at| **at == 0).count(), 10);
    }
}
