//! What became of the rows of an import: batches of them, and a line for each row that made no lead.

use std::collections::BTreeMap;

use domain::merge::Verdict;
use domain::undo::Step;

use crate::import::Checkpoint;
use crate::params;
use crate::port::{Db, Result, Row, Value, insert_many, one};
use crate::queries::import_row as sql;

/// Rows that were merged together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Batch {
    /// Its first row.
    pub no: i64,
    /// How many there are.
    pub rows: i64,
    /// Where they begin in the file.
    pub at: Checkpoint,
    /// The first lead that they made; the others have the numbers after it, in the order of the rows.
    pub first_lead: Option<i64>,
}

/// Notes a batch that made so many leads. Call it inside the batch's transaction.
pub fn add_batch(db: &dyn Db, import: i64, batch: &Batch, leads: i64) -> Result<()> {
    let params = params![
        import,
        batch.no,
        batch.rows,
        batch.at.chunk,
        batch.at.offset,
        batch.at.line,
        batch.first_lead,
        batch.first_lead.map(|first| first + leads - 1)
    ];
    db.execute(sql::ADD_BATCH, params).map(|_| ())
}

/// The last batch that begins before a row.
pub fn batch_before(db: &dyn Db, import: i64, before: i64) -> Result<Option<Batch>> {
    let batch = |r: Row| Batch {
        no: r.int(0),
        rows: r.int(1),
        at: Checkpoint::of(&r, 2),
        first_lead: r.opt_int(5),
    };
    Ok(one(db, sql::BATCH_BEFORE, params![import, before])?.map(batch))
}

/// A row and what became of it.
#[derive(Debug)]
pub struct Ended<'a> {
    /// Its number.
    pub no: i64,
    /// Line of the file.
    pub line: i64,
    /// As it came.
    pub raw: &'a [u8],
    /// What became of it.
    pub verdict: &'a Verdict,
    /// What it changed, if it changed a lead.
    pub step: Option<&'a Step>,
}

/// Notes rows that made no lead; a failed one keeps its raw text. Call it inside their batch's transaction.
pub fn add<'a>(db: &dyn Db, import: i64, rows: impl Iterator<Item = Ended<'a>>) -> Result<()> {
    let values = rows.filter_map(|row| values(import, row)).flatten();
    let head = "insert into import_row (import_id, no, line, raw, fields, status, lead_id, error_code, error)";
    insert_many(db, head, 9, "", values).map(|_| ())
}

/// The columns of a row; none for one that made a lead.
fn values(import: i64, row: Ended<'_>) -> Option<[Value; 9]> {
    let (status, lead_id, code, error) = match row.verdict {
        Verdict::Created(_) => return None,
        Verdict::Updated(lead) => ("updated", Some(*lead), None, None),
        Verdict::Unchanged(lead) => ("unchanged", Some(*lead), None, None),
        Verdict::Skipped(code) => ("skipped", None, Some(*code), None),
        Verdict::Failed(code, error) => ("failed", None, Some(*code), Some(error.as_str())),
    };
    let raw = match status {
        "failed" => Value::Blob(row.raw.to_vec()),
        _ => Value::Null,
    };
    let step = row.step.and_then(|s| serde_json::to_string(s).ok());
    Some([
        import.into(),
        row.no.into(),
        row.line.into(),
        raw,
        step.into(),
        status.into(),
        lead_id.into(),
        code.into(),
        error.into(),
    ])
}

/// A row that made no lead.
#[derive(Debug)]
pub struct Met {
    /// The lead that it met, if there is one.
    pub lead_id: Option<i64>,
    /// Whether it changed that lead.
    pub changed: bool,
    /// How.
    pub step: Option<Step>,
}

/// The rows of a batch that made no lead, by their numbers.
pub fn met(db: &dyn Db, import: i64, batch: &Batch) -> Result<BTreeMap<i64, Met>> {
    let met = |mut r: Row| {
        let met = Met {
            lead_id: r.opt_int(1),
            changed: r.text(2) == "updated",
            step: r.opt_text(3).and_then(|f| serde_json::from_str(&f).ok()),
        };
        (r.int(0), met)
    };
    let rows = db.query(
        sql::BETWEEN,
        params![import, batch.no, batch.no + batch.rows],
    )?;
    Ok(rows.into_iter().map(met).collect())
}

/// A row that was refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FailedRow {
    /// Its number.
    pub no: i64,
    /// Line of the file.
    pub line: i64,
    /// As it came.
    pub raw: Vec<u8>,
    /// For programs.
    pub code: String,
    /// For people.
    pub error: String,
}

/// Refused rows after a number, in order.
pub fn failed(db: &dyn Db, id: i64, after: i64, limit: i64) -> Result<Vec<FailedRow>> {
    let row = |mut r: Row| FailedRow {
        no: r.int(0),
        line: r.int(1),
        raw: r.bytes(2),
        code: r.text(3),
        error: r.text(4),
    };
    Ok(db
        .query(sql::FAILED, params![id, after, limit])?
        .into_iter()
        .map(row)
        .collect())
}

/// The lead of the first row that has one.
pub fn first_lead(db: &dyn Db, id: i64) -> Result<Option<i64>> {
    Ok(one(db, sql::FIRST_LEAD, params![id])?.map(|r| r.int(0)))
}
