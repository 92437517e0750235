//! Matches rules against what happened, and turns what is due into requests.

use store::{Db, Result, event, rule};

use crate::run::Stage;

/// Events that one rule looks at in one transaction.
const EVENTS: i64 = 50_000;

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
        let last = event::last_id(db)?;
        let mut worked = false;
        for rule in rule::list(db)?
            .iter()
            .filter(|r| r.active && r.cursor < last)
        {
            rule::evaluate(db, rule, last.min(rule.cursor + EVENTS))?;
            worked = true;
        }
        if rule::next_due(db)?.is_some_and(|due| due <= now) {
            promise()?;
            worked |= rule::perform_due(db, now)? > 0;
        }
        Ok(worked)
    }

    fn next(&self, db: &dyn Db, _now: i64) -> Result<Option<i64>> {
        rule::next_due(db)
    }
}
