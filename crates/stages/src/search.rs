//! Takes new and changed leads into the index that they are searched by.

use store::{Db, Result, import, search};

use crate::run::Stage;

/// The `search` stage.
pub struct Search;

impl Stage for Search {
    fn name(&self) -> &'static str {
        "search"
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
        // An import goes first: beside it there is one step a tick.
        Ok(search::step(db)? && import::open(db, 1)?.is_empty())
    }

    fn next(&self, db: &dyn Db, now: i64) -> Result<Option<i64>> {
        Ok(search::is_behind(db)?.then_some(now + 1_000))
    }
}
