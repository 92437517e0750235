//! Merges the rows of a file into leads, and takes them back.

use domain::lead::Fields;
use domain::merge::{Changes, Verdict, merge};
use domain::record::{Consumed, Record};
use domain::table::{self, RowError};
use domain::undo::{Step, take_back};
use store::import::{self, Checkpoint, Counts, Import};
use store::import_row::{self, Batch, Ended};
use store::lead::{self, Source};
use store::{Db, Error, Result, tag, transaction, undo};

use crate::file::{CHUNKS, Part, unclosed};
use crate::run::Stage;

/// Rows by their numbers, and what became of them.
type Verdicts = Vec<(i64, Verdict)>;
/// Leads, and what rows changed of them.
type Steps = Vec<(i64, Option<Step>)>;

/// The most rows that are merged, or taken back, in one transaction.
const ROWS: usize = 10_000;

/// The `import` stage.
pub struct Merge;

impl Stage for Merge {
    fn name(&self) -> &'static str {
        "import"
    }

    fn wakes(&self) -> &'static [&'static str] {
        &["rule", "timeline", "search"]
    }

    fn step(&self, db: &dyn Db, now: i64, promise: &mut dyn FnMut() -> Result<()>) -> Result<bool> {
        if let Some(import) = undo::open(db)? {
            promise()?;
            return transaction(db, || take_back_batch(db, &import, now)).map(|()| true);
        }
        // The one that got on least is next, so a large file does not hold up a small one.
        let ready = import::open(db, 100)?.into_iter().filter(is_ready);
        let Some(import) = ready.min_by_key(|import| import.merged) else {
            return import::drop_expired(db, now);
        };
        promise()?;
        if import::finish(db, import.id, now)? || import::end_canceled(db, import.id, now)? {
            return Ok(true);
        }
        let file = Rows::read(db, &import, import.merge_at, ROWS)?;
        transaction(db, || merge_batch(db, &import, file, now))?;
        Ok(true)
    }

    fn next(&self, db: &dyn Db, now: i64) -> Result<Option<i64>> {
        // What is still being read wakes this stage itself when it is done.
        let ready = import::open(db, 100)?.iter().any(is_ready);
        match ready || undo::open(db)?.is_some() {
            true => Ok(Some(now)),
            false => import::next_expiry(db),
        }
    }
}

fn is_ready(import: &Import) -> bool {
    matches!(import.status, "importing" | "canceling")
}

/// Rows as a file has them.
struct Rows {
    rows: Vec<Row>,
    /// Where the row after them begins.
    end: Checkpoint,
}

struct Row {
    line: i64,
    /// As it came.
    raw: Vec<u8>,
    /// What it says, nothing for an empty row, or why it is refused.
    read: std::result::Result<Option<Fields>, RowError>,
}

impl Rows {
    /// Reads at most so many rows from a place on.
    fn read(db: &dyn Db, import: &Import, at: Checkpoint, most: usize) -> Result<Rows> {
        for limit in CHUNKS {
            let part = Part::load(db, import, at, limit)?;
            let (rows, consumed) = rows(&part, import, most);
            if !rows.is_empty() {
                let end = part.checkpoint(consumed);
                return Ok(Rows { rows, end });
            }
        }
        Err(Error::Other(format!(
            "the file of import {} ends before its rows do",
            import.id
        )))
    }
}

fn rows(part: &Part, import: &Import, most: usize) -> (Vec<Row>, Consumed) {
    let mut rows = Vec::new();
    let read = |line, record: &Record<'_>| match record.unclosed {
        true => Err(RowError {
            code: "unclosed_quote",
            message: unclosed(line),
        }),
        false => table::read_row(&import.columns, &import.options, record.cells()),
    };
    let consumed = part.records(import, |line, record| {
        rows.push(Row {
            line,
            read: read(line, &record),
            raw: record.raw.to_vec(),
        });
        rows.len() < most
    });
    (rows, consumed)
}

fn merge_batch(db: &dyn Db, import: &Import, mut file: Rows, now: i64) -> Result<()> {
    let first = import.merged + 1;
    let (said, mut verdicts) = sort_out(first, &mut file.rows);
    let (known, next_id) = (lead::known_for(db, &said)?, lead::next_id(db)?);
    let changes = merge(said, import.options.mode, known, next_id);
    verdicts.extend(changes.verdicts.iter().cloned());
    let merged = import.merged + file.rows.len() as i64;
    import::advance_merge(db, import, merged, file.end, count(&verdicts))?;
    let tags = match &import.tag {
        Some(name) => vec![tag::ensure(db, name, now)?],
        None => Vec::new(),
    };
    let source = Source {
        name: &format!("import:{}", import.id),
        import_id: Some(import.id),
        tag_ids: &tags,
    };
    lead::apply(db, &changes, source, now)?;
    let batch = Batch {
        no: first,
        rows: file.rows.len() as i64,
        at: import.merge_at,
        first_lead: changes.created.keys().next().copied(),
    };
    import_row::add_batch(db, import.id, &batch, changes.created.len() as i64)?;
    let ended = |(no, verdict)| end(first, &file.rows, &changes, no, verdict);
    let rows = verdicts.iter().map(|(no, verdict)| ended((*no, verdict)));
    import_row::add(db, import.id, rows)
}

/// Takes out of some rows what they say, and says what becomes of those that say nothing.
fn sort_out(first: i64, rows: &mut [Row]) -> (Vec<(i64, Fields)>, Verdicts) {
    let (mut said, mut verdicts) = (Vec::with_capacity(rows.len()), Vec::new());
    for (no, row) in (first..).zip(rows) {
        match std::mem::replace(&mut row.read, Ok(None)) {
            Ok(Some(fields)) => said.push((no, fields)),
            Ok(None) => verdicts.push((no, Verdict::Skipped("empty_row"))),
            Err(e) => verdicts.push((no, Verdict::Failed(e.code, e.message))),
        }
    }
    (said, verdicts)
}

fn end<'a>(
    first: i64,
    rows: &'a [Row],
    changes: &'a Changes,
    no: i64,
    verdict: &'a Verdict,
) -> Ended<'a> {
    let row = &rows[(no - first) as usize];
    Ended {
        no,
        line: row.line,
        raw: &row.raw,
        verdict,
        step: changes.steps.get(&no),
    }
}

/// Takes the last rows back that are not taken back yet.
fn take_back_batch(db: &dyn Db, import: &Import, now: i64) -> Result<()> {
    let from = import.undo_at.unwrap_or(1);
    let batch = import_row::batch_before(db, import.id, from)?;
    undo::advance(db, import.id, from, batch.map(|b| b.no), now)?;
    let Some(batch) = batch else {
        return Ok(());
    };
    let (ids, steps) = steps(db, import, &batch)?;
    let back = take_back(steps, undo::now(db, import.id, &ids)?);
    undo::apply(db, import.id, &ids, &back, now)?;
    undo::keep(db, import.id, &back)
}

/// The leads of a batch's rows, and what each row changed, the last one first. What a row said that made a lead is read
/// from the file again.
fn steps(db: &dyn Db, import: &Import, batch: &Batch) -> Result<(Vec<i64>, Steps)> {
    let file = Rows::read(db, import, batch.at, batch.rows as usize)?;
    let met = import_row::met(db, import.id, batch)?;
    let mut made = batch.first_lead.unwrap_or_default()..;
    let (mut ids, mut steps) = (Vec::new(), Vec::new());
    for (no, row) in (batch.no..).zip(file.rows) {
        match met.get(&no) {
            Some(met) => {
                ids.extend(met.lead_id);
                let changed = met.lead_id.filter(|_| met.changed);
                steps.extend(changed.map(|lead| (lead, met.step.clone())));
            }
            None => {
                let lead = made.next().unwrap_or_default();
                ids.push(lead);
                steps.push((lead, row.read.ok().flatten().map(Step::making)));
            }
        }
    }
    ids.sort_unstable();
    ids.dedup();
    steps.reverse();
    Ok((ids, steps))
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
