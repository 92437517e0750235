//! Matches rules against what happened, and turns what is due into requests.

use store::instance::{self, Work};
use store::{Db, Result, event, rule, transaction};

use crate::run::Stage;

/// Events that rules look at in one transaction, all of them together.
const EVENTS: i64 = 50_000;
/// The fewest that one of them looks at.
const EVENTS_OF_ONE: i64 = 2_000;
/// Leads that are served in one transaction, of all rules together.
const LEADS: i64 = 10_000;
/// The fewest of one rule.
const LEADS_OF_ONE: i64 = 200;

/// The `rule` stage.
pub struct Rule;

impl Stage for Rule {
    fn name(&self) -> &'static str {
        "rule"
    }

    fn wakes(&self) -> &'static [&'static str] {
        &["plan", "timeline"]
    }

    fn step(&self, db: &dyn Db, now: i64, promise: &mut dyn FnMut() -> Result<()>) -> Result<bool> {
        let work = instance::look(db)?;
        let behind: Vec<_> = work.iter().filter(|w| w.behind).collect();
        let is_due = |w: &&Work| w.due_at.is_some_and(|due| due <= now);
        let due: Vec<_> = work.iter().filter(is_due).collect();
        let mut worked = match behind.is_empty() {
            true => false,
            false => transaction(db, || evaluate(db, &behind, now))?,
        };
        if !due.is_empty() {
            promise()?;
            worked |= transaction(db, || perform(db, &due, now))?;
        }
        Ok(worked)
    }

    fn next(&self, db: &dyn Db, _now: i64) -> Result<Option<i64>> {
        Ok(instance::look(db)?.iter().filter_map(|w| w.due_at).min())
    }
}

/// Matches rules against some of the events that they have not seen.
fn evaluate(db: &dyn Db, behind: &[&Work], now: i64) -> Result<bool> {
    let events = (EVENTS / behind.len() as i64).max(EVENTS_OF_ONE);
    let last = event::last_id(db)?;
    let mut worked = false;
    for work in behind {
        // One that cannot be read waits for a version that can; one that was switched off meanwhile, until it is on.
        let Some(rule) = rule::get(db, work.rule_id)?.filter(|rule| rule.active) else {
            continue;
        };
        instance::evaluate(db, &rule, last.min(rule.cursor + events), now)?;
        worked = true;
    }
    Ok(worked)
}

/// Does what rules do for some of the leads whose time has come.
fn perform(db: &dyn Db, due: &[&Work], now: i64) -> Result<bool> {
    let leads = (LEADS / due.len() as i64).max(LEADS_OF_ONE);
    let mut worked = false;
    for work in due {
        worked |= instance::perform(db, (work.rule_id, work.version), now, leads)?;
    }
    Ok(worked)
}
