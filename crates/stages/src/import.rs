//! Merges the rows of an import into leads.

use domain::lead::Fields;
use domain::merge::{Changes, Verdict, merge};
use domain::undo::take_back;
use store::import::{self, Counts, Import};
use store::lead::{self, Source};
use store::{Db, Result, tag, transaction, undo};

use crate::run::Stage;

/// The most rows that are merged, or taken back, in one transaction.
const ROWS: i64 = 5_000;
/// About how many bytes of a file they may come from: they are held in memory, several times over.
const BYTES: i64 = 8 << 20;

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
        if let Some(import) = import::undoing(db)? {
            return transaction(db, || take_back_batch(db, &import, now)).map(|()| true);
        }
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
        let ready = import::open(db, 100)?.iter().any(is_ready);
        Ok((ready || import::undoing(db)?.is_some()).then_some(now))
    }
}

fn is_ready(import: &Import) -> bool {
    matches!(import.status, "importing" | "canceling")
}

/// Rows of an import that one transaction takes: fewer of long ones.
fn batch(import: &Import) -> i64 {
    let mean = import.bytes_received / import.total.max(1);
    (BYTES / mean.max(1)).clamp(16, ROWS)
}

fn merge_batch(db: &dyn Db, import: &Import, now: i64) -> Result<()> {
    let waiting = import::rows(db, import.id, import.merged, batch(import))?;
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
    import::settle_rows(db, import.id, &changes.verdicts, &changes.steps)
}

/// Takes the last rows back that are not taken back yet.
fn take_back_batch(db: &dyn Db, import: &Import, now: i64) -> Result<()> {
    let from = import.undo_at.unwrap_or(1);
    let rows = import::settled_rows(db, import.id, from, batch(import))?;
    import::advance_undo(db, import.id, from, rows.last().map(|r| r.no), now)?;
    let mut ids: Vec<_> = rows.iter().filter_map(|r| r.lead_id).collect();
    ids.sort_unstable();
    ids.dedup();
    let changed = rows.into_iter().filter(|r| r.changed);
    let steps: Vec<_> = changed.filter_map(|r| Some((r.lead_id?, r.step))).collect();
    let back = take_back(steps, undo::now(db, import.id, &ids)?);
    undo::apply(db, import.id, &ids, &back, now)?;
    import::keep(db, import.id, &back)
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
