//! Merges the rows of an import into leads.

use domain::lead::Fields;
use domain::merge::{Changes, Verdict, merge};
use store::import::{self, Counts, Import};
use store::lead::{self, Source};
use store::{Db, Result, tag, transaction};

use crate::run::Stage;

/// Rows that are merged in one transaction.
const ROWS: i64 = 5_000;

/// The `import` stage.
pub struct Merge;

impl Stage for Merge {
    fn name(&self) -> &'static str {
        "import"
    }

    fn wakes(&self) -> &'static [&'static str] {
        &["rule", "timeline"]
    }

    fn step(&self, db: &dyn Db, now: i64, promise: &mut dyn FnMut() -> Result<()>) -> Result<bool> {
        let Some(import) = import::open(db, 100)?.into_iter().find(is_ready) else {
            return Ok(false);
        };
        promise()?;
        if import::finish(db, import.id, now)? {
            return Ok(true);
        }
        transaction(db, || merge_batch(db, &import, now))?;
        Ok(true)
    }

    fn next(&self, db: &dyn Db, now: i64) -> Result<Option<i64>> {
        // What is still being read wakes this stage itself when it is done.
        Ok(import::open(db, 100)?.iter().any(is_ready).then_some(now))
    }
}

fn is_ready(import: &Import) -> bool {
    matches!(import.status, "importing" | "canceling")
}

fn merge_batch(db: &dyn Db, import: &Import, now: i64) -> Result<()> {
    let waiting = import::rows(db, import.id, import.merged, ROWS)?;
    let Some(last) = waiting.last().map(|r| r.no) else {
        return Ok(());
    };
    let empty: Vec<_> = waiting
        .iter()
        .filter(|r| r.empty)
        .map(|r| (r.no, Verdict::Skipped("empty_row")))
        .collect();
    let rows: Vec<_> = waiting
        .into_iter()
        .filter_map(|r| Some((r.no, r.fields?)))
        .collect();
    let mut changes = match import.status {
        "canceling" => leave_out(rows),
        _ => {
            let known = lead::known_for(db, &rows)?;
            merge(rows, import.options.mode, known, lead::next_id(db)?)
        }
    };
    changes.verdicts.extend(empty);
    import::advance_merge(db, import.id, import.merged, last, count(&changes.verdicts))?;
    let tags = match &import.tag {
        Some(name) => vec![tag::ensure(db, name, now)?],
        None => Vec::new(),
    };
    let source = format!("import:{}", import.id);
    lead::apply(
        db,
        &changes,
        Source {
            name: &source,
            import_id: Some(import.id),
            tag_ids: &tags,
        },
        now,
    )?;
    import::settle_rows(db, import.id, &changes.verdicts)
}

/// What a canceled import makes of rows that it has not merged yet.
fn leave_out(rows: Vec<(i64, Fields)>) -> Changes {
    let skipped = |(no, _)| (no, Verdict::Skipped("canceled"));
    Changes {
        verdicts: rows.into_iter().map(skipped).collect(),
        ..Changes::default()
    }
}

fn count(verdicts: &[(i64, Verdict)]) -> Counts {
    let mut counts = Counts::default();
    for (_, verdict) in verdicts {
        *match verdict {
            Verdict::Created(_) => &mut counts.created,
            Verdict::Updated(_) => &mut counts.updated,
            Verdict::Unchanged(_) => &mut counts.unchanged,
            Verdict::Skipped(_) => &mut counts.skipped,
            Verdict::Failed(..) => &mut counts.failed,
        } += 1;
    }
    counts
}
