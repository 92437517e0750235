//! Runs a stage over the tenants that have work due, within a time budget, under leases.

use store::work::{self, Due};
use store::{Db, Error, Open, Result, tenant};

/// One stage of the pipeline.
pub trait Stage {
    /// Its name in `tenant_work`.
    fn name(&self) -> &'static str;

    /// The stages that get work from what this one does.
    fn wakes(&self) -> &'static [&'static str];

    /// Does one bounded piece of work and says whether there was any. It calls `promise` before its first write: the
    /// stages that come after are then sure to look, even if this one dies right after the write.
    fn step(&self, db: &dyn Db, now: i64, promise: &mut dyn FnMut() -> Result<()>) -> Result<bool>;

    /// When there will be something to do; none when only a new promise can bring work.
    fn next(&self, db: &dyn Db, now: i64) -> Result<Option<i64>>;
}

/// What a tick needs from outside.
pub struct Tick<'a> {
    /// The databases.
    pub stores: &'a dyn Open,
    /// Milliseconds since the epoch.
    pub clock: &'a dyn Fn() -> i64,
    /// A random name for the leases of this tick.
    pub token: String,
}

/// What a tick did.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Tenants that were looked at.
    pub tenants: usize,
    /// Steps that did something.
    pub steps: usize,
    /// Tenants that failed, each with its reason; they are tried again.
    pub failures: Vec<(String, String)>,
}

/// How long one tick works, in milliseconds; what is left waits for the next.
const BUDGET: i64 = 20_000;
/// How long it stays with one tenant while others wait.
const TENANT_BUDGET: i64 = 3_000;
/// How long a lease holds: longer than any step.
const LEASE: i64 = 20_000;
/// Tenants that are leased at once.
const TENANTS: i64 = 8;

/// Runs a stage until nothing is due or the budget is spent.
///
/// # Errors
/// When the control database does not answer. What goes wrong inside a tenant is in the [`Summary`] and hurts no other.
pub fn run(stage: &dyn Stage, tick: &Tick<'_>) -> Result<Summary> {
    let control = tenant::open_control(tick.stores)?;
    let mut summary = Summary::default();
    let end = (tick.clock)() + BUDGET;
    loop {
        let now = (tick.clock)();
        let due = work::lease(
            &*control,
            stage.name(),
            &tick.token,
            now + LEASE,
            now,
            TENANTS,
        )?;
        if due.is_empty() {
            return Ok(summary);
        }
        for due in due {
            let next = match run_tenant(stage, tick, &*control, &due, &mut summary) {
                Ok(next) => next,
                Err(e) => {
                    summary
                        .failures
                        .push((due.tenant_id.clone(), e.to_string()));
                    Some((tick.clock)() + 5_000)
                }
            };
            summary.tenants += 1;
            work::release(
                &*control,
                &due,
                stage.name(),
                &tick.token,
                next,
                (tick.clock)(),
            )?;
        }
        if (tick.clock)() >= end {
            return Ok(summary);
        }
    }
}

fn run_tenant(
    stage: &dyn Stage,
    tick: &Tick<'_>,
    control: &dyn Db,
    due: &Due,
    summary: &mut Summary,
) -> Result<Option<i64>> {
    let Some(tenant) = tenant::get(control, &due.tenant_id)? else {
        return Ok(None);
    };
    let db = tenant::open(tick.stores, control, &tenant)?;
    let end = (tick.clock)() + TENANT_BUDGET;
    let mut promised = false;
    let wake = || -> Result<()> {
        let now = (tick.clock)();
        stage
            .wakes()
            .iter()
            .try_for_each(|other| work::mark(control, &tenant.id, other, now, now))
    };
    loop {
        let mut promise = || {
            if !promised {
                wake()?;
            }
            promised = true;
            Ok(())
        };
        let worked = match stage.step(&*db, (tick.clock)(), &mut promise) {
            Ok(worked) => worked,
            // Somebody else works on this tenant after our lease ended: leave it to them.
            Err(Error::Stale) => return Ok(Some((tick.clock)() + 1_000)),
            Err(e) => return Err(e),
        };
        summary.steps += usize::from(worked);
        let now = (tick.clock)();
        if !worked || now >= end {
            if promised {
                // Once more, now that the work is there to be found.
                wake()?;
            }
            return if worked {
                Ok(Some(now))
            } else {
                stage.next(&*db, now)
            };
        }
    }
}
