//! Rolls the event log up into counts by hour.

use store::{Db, Result, timeline};

use crate::run::Stage;

/// The `timeline` stage.
pub struct Timeline;

impl Stage for Timeline {
    fn name(&self) -> &'static str {
        "timeline"
    }

    fn wakes(&self) -> &'static [&'static str] {
        &[]
    }

    fn step(
        &self,
        db: &dyn Db,
        _now: i64,
        _promise: &mut dyn FnMut() -> Result<()>,
    ) -> Result<bool> {
        timeline::roll_up(db)
    }

    fn next(&self, _db: &dyn Db, _now: i64) -> Result<Option<i64>> {
        Ok(None)
    }
}
