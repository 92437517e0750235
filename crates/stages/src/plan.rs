//! Gives due requests to profiles, settles leases that ended, and says why what waits is waiting.

use domain::quota::{Allowance, allowance};
use store::profile::{self, Profile};
use store::{Db, Result, request};

use crate::run::Stage;

/// Requests that one step assigns.
const REQUESTS: i64 = 2_000;

/// The `plan` stage.
pub struct Plan;

impl Stage for Plan {
    fn name(&self) -> &'static str {
        "plan"
    }

    fn wakes(&self) -> &'static [&'static str] {
        &["claim", "timeline"]
    }

    fn step(&self, db: &dyn Db, now: i64, promise: &mut dyn FnMut() -> Result<()>) -> Result<bool> {
        let mut worked = false;
        if request::next_lease_end(db)?.is_some_and(|end| end <= now) {
            promise()?;
            worked |= request::expire_leases(db, now)? > 0;
        }
        if request::next_unplanned(db)?.is_some_and(|due| due <= now) {
            promise()?;
            worked |= request::end_hopeless(db, now)? > 0;
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

/// Spreads due requests over the profiles that can send them: each goes to the one with the least waiting.
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
    let load = |id: i64| {
        waiting
            .iter()
            .find(|(p, _)| *p == id)
            .map_or(0, |(_, n)| *n)
    };
    let mut loads: Vec<(i64, i64)> = senders.iter().map(|p| (load(p.id), p.id)).collect();
    for (profile_id, ids) in spread(&ids, &mut loads) {
        request::assign(db, &ids, profile_id, now)?;
    }
    Ok(!ids.is_empty())
}

/// Deals ids to the least loaded of (load, profile) one by one.
fn spread(ids: &[i64], loads: &mut [(i64, i64)]) -> Vec<(i64, Vec<i64>)> {
    let mut dealt: Vec<(i64, Vec<i64>)> = loads.iter().map(|(_, id)| (*id, Vec::new())).collect();
    for id in ids {
        let Some(at) = (0..loads.len()).min_by_key(|i| loads[*i].0) else {
            break;
        };
        loads[at].0 += 1;
        dealt[at].1.push(*id);
    }
    dealt.retain(|(_, ids)| !ids.is_empty());
    dealt
}

fn explain_waits(db: &dyn Db, now: i64) -> Result<()> {
    for profile in profile::list(db)? {
        if request::next_planned_of(db, profile.id)?.is_none_or(|due| due > now) {
            continue;
        }
        if !profile.active {
            request::hold_profile(db, profile.id, "The profile is switched off.", now)?;
            continue;
        }
        let usage = profile::usage(db, &profile, now)?;
        if let Allowance::Wait { until, reason } = allowance(&profile.quotas, &usage, now, 1)
            && until > now + 60_000
        {
            request::hold_profile(db, profile.id, &reason, now)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_least_loaded_profile_gets_the_next_request() {
        let mut loads = vec![(3, 10), (0, 20)];
        assert_eq!(
            spread(&[1, 2, 3, 4, 5], &mut loads),
            [(10, vec![4]), (20, vec![1, 2, 3, 5])]
        );
    }
}
