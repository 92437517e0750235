//! Imports: chunks as they came, rows as they were read, and the two cursors behind which everything is accounted for.

use std::collections::BTreeMap;

use domain::lead::Fields;
use domain::mapping::Options;
use domain::merge::Verdict;
use domain::table::{Column, RowError};
use domain::undo::{Step, TakenBack};

use crate::params;
use crate::port::{BATCH, Db, Error, Result, Row, Value, insert_many, one};
use crate::queries::import as sql;

/// One import.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Import {
    /// Its key in the tenant.
    pub id: i64,
    /// What people call it, often the file's name.
    pub name: String,
    /// The tag its leads get.
    pub tag: Option<String>,
    /// `waiting` (for its columns to be mapped), `pending`, `ingesting`, `importing`, `done` or `failed`; `canceling` and
    /// `canceled` when somebody ended it; `undoing` and `undone` when somebody took it back.
    pub status: &'static str,
    /// Why it failed.
    pub reason: Option<String>,
    /// As sniffed.
    pub encoding: Option<String>,
    /// As sniffed.
    pub delimiter: Option<String>,
    /// As sniffed.
    pub has_header: Option<bool>,
    /// Where cells go.
    pub columns: Vec<Column>,
    /// Bytes that arrived.
    pub bytes_received: i64,
    /// Whether all of the file has arrived.
    pub upload_done: bool,
    /// The ingest cursor: chunk, offset in it, line in the file.
    pub at: Checkpoint,
    /// Rows read.
    pub total: i64,
    /// Rows up to this number are merged.
    pub merged: i64,
    /// Rows that made a lead.
    pub created: i64,
    /// Rows that changed a lead.
    pub updated: i64,
    /// Rows that said nothing new.
    pub unchanged: i64,
    /// Rows left out on purpose.
    pub skipped: i64,
    /// Rows that were refused.
    pub failed: i64,
    /// Milliseconds.
    pub created_at: i64,
    /// Milliseconds.
    pub finished_at: Option<i64>,
    /// When bytes last arrived.
    pub touched_at: i64,
    /// What was said about it.
    pub options: Options,
    /// Rows from this number on are taken back.
    pub undo_at: Option<i64>,
    /// When it was taken back; milliseconds.
    pub undone_at: Option<i64>,
}

/// The status that a row's `status` and `intent` make together.
fn status(status: &str, intent: Option<&str>, undone: bool) -> &'static str {
    match (status, intent) {
        (_, Some("undo")) if undone => "undone",
        (_, Some("undo")) => "undoing",
        ("failed", _) => "failed",
        ("done", Some("cancel")) => "canceled",
        (_, Some("cancel")) => "canceling",
        ("pending", Some("map")) => "waiting",
        ("pending", _) => "pending",
        ("ingesting", _) => "ingesting",
        ("importing", _) => "importing",
        _ => "done",
    }
}

/// A place between two records of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Checkpoint {
    /// Number of the chunk.
    pub chunk: i64,
    /// Bytes into it.
    pub offset: i64,
    /// Line of the file, from 1.
    pub line: i64,
}

fn from_row(mut r: Row) -> Import {
    Import {
        id: r.int(0),
        name: r.text(1),
        tag: r.opt_text(2),
        status: status(
            &r.text(3),
            r.opt_text(24).as_deref(),
            r.opt_int(27).is_some(),
        ),
        reason: r.opt_text(4),
        encoding: r.opt_text(5),
        delimiter: r.opt_text(6),
        has_header: r.opt_int(7).map(|v| v != 0),
        columns: serde_json::from_str(&r.text(8)).unwrap_or_default(),
        bytes_received: r.int(9),
        upload_done: r.flag(10),
        at: Checkpoint {
            chunk: r.int(11),
            offset: r.int(12),
            line: r.int(13),
        },
        total: r.int(14),
        merged: r.int(15),
        created: r.int(16),
        updated: r.int(17),
        unchanged: r.int(18),
        skipped: r.int(19),
        failed: r.int(20),
        created_at: r.int(21),
        finished_at: r.opt_int(22),
        touched_at: r.int(23),
        options: serde_json::from_str(&r.text(25)).unwrap_or_default(),
        undo_at: r.opt_int(26),
        undone_at: r.opt_int(27),
    }
}

/// Begins an import and returns its id.
pub fn insert(db: &dyn Db, name: &str, tag: Option<&str>, now: i64) -> Result<i64> {
    Ok(one(db, sql::INSERT, params![name, tag, now])?.map_or(0, |r| r.int(0)))
}

/// One import.
pub fn get(db: &dyn Db, id: i64) -> Result<Option<Import>> {
    Ok(one(db, sql::GET, params![id])?.map(from_row))
}

/// The newest imports.
pub fn list(db: &dyn Db, limit: i64) -> Result<Vec<Import>> {
    Ok(db
        .query(sql::LIST, params![limit])?
        .into_iter()
        .map(from_row)
        .collect())
}

/// Imports that are not finished and wait for nobody, oldest first.
pub fn open(db: &dyn Db, limit: i64) -> Result<Vec<Import>> {
    Ok(db
        .query(sql::OPEN, params![limit])?
        .into_iter()
        .map(from_row)
        .collect())
}

/// Keeps the next piece of an upload. False when the import has ended meanwhile (the file was refused).
pub fn add_chunk(db: &dyn Db, id: i64, no: i64, bytes: Vec<u8>, now: i64) -> Result<bool> {
    crate::transaction(db, || {
        let size = bytes.len() as i64;
        let open = db.execute(sql::COUNT_BYTES, params![id, size, now])? > 0;
        if open {
            db.execute(sql::ADD_CHUNK, params![id, no, bytes])?;
        }
        Ok(open)
    })
}

/// Names an import whose upload is under way.
pub fn relabel(db: &dyn Db, id: i64, name: Option<&str>, tag: Option<&str>) -> Result<()> {
    db.execute(sql::RELABEL, params![id, name, tag]).map(|_| ())
}

/// How many files wait for their columns to be mapped.
pub fn count_held(db: &dyn Db) -> Result<i64> {
    Ok(one(db, sql::COUNT_HELD, &[])?.map_or(0, |r| r.int(0)))
}

/// Notes what was said about a file; `held` keeps it until its columns are mapped. False when bytes have arrived already.
pub fn configure(db: &dyn Db, id: i64, held: bool, options: &Options) -> Result<bool> {
    let intent = held.then_some("map");
    let options = serde_json::to_string(options).unwrap_or_default();
    Ok(db.execute(sql::CONFIGURE, params![id, intent, options])? > 0)
}

/// What a person decided about a file that waited for it.
#[derive(Debug)]
pub struct Mapped<'a> {
    /// A name of a charset.
    pub encoding: &'a str,
    /// Between two cells.
    pub delimiter: char,
    /// Whether the first record names the columns.
    pub has_header: bool,
    /// Where cells go.
    pub columns: &'a [Column],
    /// The rest.
    pub options: &'a Options,
    /// The tag its leads get.
    pub tag: Option<&'a str>,
}

/// Lets a file that waited be read. False when it does not wait, or is not here as a whole.
pub fn start(db: &dyn Db, id: i64, mapped: &Mapped<'_>) -> Result<bool> {
    let columns = serde_json::to_string(mapped.columns).unwrap_or_default();
    let options = serde_json::to_string(mapped.options).unwrap_or_default();
    let params = params![
        id,
        mapped.encoding,
        mapped.delimiter.to_string(),
        mapped.has_header,
        columns,
        options,
        mapped.tag
    ];
    Ok(db.execute(sql::START, params)? > 0)
}

/// Gives up files that nobody mapped: those whose upload is silent since `silent`, and all that wait since `waiting`.
pub fn expire_held(db: &dyn Db, now: i64, silent: i64, waiting: i64, reason: &str) -> Result<bool> {
    if oldest_held(db)?.is_none_or(|touched| touched >= silent) {
        return Ok(false);
    }
    crate::transaction(db, || {
        let expired = db.query(sql::EXPIRE_HELD, params![now, silent, waiting, reason])?;
        for row in &expired {
            db.execute(sql::DELETE_CHUNKS, params![row.int(0), i64::MAX])?;
        }
        Ok(!expired.is_empty())
    })
}

/// When the file that waits longest was last touched.
pub fn oldest_held(db: &dyn Db) -> Result<Option<i64>> {
    Ok(one(db, sql::OLDEST_HELD, &[])?.and_then(|r| r.opt_int(0)))
}

/// Ends an import that is not finished; rows that are read and not merged will be skipped. False when it has ended.
pub fn cancel(db: &dyn Db, id: i64) -> Result<bool> {
    crate::transaction(db, || {
        let canceled = db.execute(sql::CANCEL, params![id])? > 0;
        if canceled {
            db.execute(sql::DELETE_CHUNKS, params![id, i64::MAX])?;
        }
        Ok(canceled)
    })
}

/// All of the file is here.
pub fn end_upload(db: &dyn Db, id: i64, now: i64) -> Result<()> {
    db.execute(sql::END_UPLOAD, params![id, now]).map(|_| ())
}

/// Chunks from a number on: (number, bytes).
pub fn chunks(db: &dyn Db, id: i64, from: i64, limit: i64) -> Result<Vec<(i64, Vec<u8>)>> {
    Ok(db
        .query(sql::CHUNKS, params![id, from, limit])?
        .into_iter()
        .map(|mut r| (r.int(0), r.bytes(1)))
        .collect())
}

/// Notes how the file is written. From then on it is being ingested.
pub fn describe(
    db: &dyn Db,
    id: i64,
    encoding: &str,
    delimiter: &str,
    has_header: bool,
    columns: &[Column],
) -> Result<()> {
    let columns = serde_json::to_string(columns).unwrap_or_default();
    db.execute(
        sql::DESCRIBE,
        params![id, encoding, delimiter, has_header, columns],
    )
    .map(|_| ())
}

/// A row as it was read.
#[derive(Debug, Clone)]
pub struct NewRow {
    /// Counts from 1.
    pub no: i64,
    /// Line of the file.
    pub line: i64,
    /// As it came.
    pub raw: Vec<u8>,
    /// What it says, nothing for an empty row, or why it is refused.
    pub read: std::result::Result<Option<Fields>, RowError>,
}

/// A batch of rows with the cursor before and after it.
#[derive(Debug)]
pub struct Batch {
    /// The rows.
    pub rows: Vec<NewRow>,
    /// Where the batch began; somebody else's progress since then makes it stale.
    pub from: Checkpoint,
    /// Where it ended.
    pub to: Checkpoint,
    /// The encoding, which may be known only now.
    pub encoding: &'static str,
}

/// Keeps a batch and moves the cursor, together or not at all.
pub fn add_rows(db: &dyn Db, id: i64, batch: Batch) -> Result<()> {
    let failed = batch.rows.iter().filter(|r| r.read.is_err()).count() as i64;
    let count = batch.rows.len() as i64;
    let values: Vec<Value> = batch
        .rows
        .into_iter()
        .flat_map(|row| row_params(id, row))
        .collect();
    let (from, to) = (batch.from, batch.to);
    crate::transaction(db, || {
        let cursor = params![
            id,
            from.chunk,
            from.offset,
            to.chunk,
            to.offset,
            to.line,
            count,
            failed,
            batch.encoding
        ];
        if db.execute(sql::ADVANCE_INGEST, cursor)? == 0 {
            return Err(Error::Stale);
        }
        let head =
            "insert into import_row (import_id, no, line, raw, fields, status, error_code, error)";
        insert_many(db, head, 8, "", values)?;
        db.execute(sql::DELETE_CHUNKS, params![id, to.chunk])
            .map(|_| ())
    })
}

fn row_params(import_id: i64, row: NewRow) -> [Value; 8] {
    let (fields, status, code, error) = match row.read {
        Ok(Some(fields)) => (serde_json::to_string(&fields).ok(), "pending", None, None),
        Ok(None) => (None, "empty", None, None),
        Err(e) => (None, "failed", Some(e.code), Some(e.message)),
    };
    let raw = if status == "empty" {
        Value::Null
    } else {
        row.raw.into()
    };
    [
        import_id.into(),
        row.no.into(),
        row.line.into(),
        raw,
        fields.into(),
        status.into(),
        code.into(),
        error.into(),
    ]
}

/// All rows are read; they are still to be merged.
pub fn begin_importing(db: &dyn Db, id: i64) -> Result<()> {
    crate::transaction(db, || {
        db.execute(sql::BEGIN_IMPORTING, params![id])?;
        db.execute(sql::DELETE_CHUNKS, params![id, i64::MAX])
            .map(|_| ())
    })
}

/// A row that waits to be merged.
#[derive(Debug)]
pub struct Waiting {
    /// Its number.
    pub no: i64,
    /// What it says; none when it is settled already (`empty` or failed).
    pub fields: Option<Fields>,
    /// Whether it was empty.
    pub empty: bool,
}

/// Rows after the import cursor.
pub fn rows(db: &dyn Db, id: i64, after: i64, limit: i64) -> Result<Vec<Waiting>> {
    let waiting = |mut r: Row| {
        let (no, fields, status) = (r.int(0), r.opt_text(1), r.text(2));
        let fields = fields
            .filter(|_| status == "pending")
            .and_then(|f| serde_json::from_str(&f).ok());
        Waiting {
            no,
            fields,
            empty: status == "empty",
        }
    };
    Ok(db
        .query(sql::ROWS, params![id, after, limit])?
        .into_iter()
        .map(waiting)
        .collect())
}

/// How many rows ended how.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Rows that made a lead.
    pub created: i64,
    /// Rows that changed a lead.
    pub updated: i64,
    /// Rows that said nothing new.
    pub unchanged: i64,
    /// Rows left out on purpose.
    pub skipped: i64,
    /// Rows refused while merging.
    pub failed: i64,
}

/// Moves the import cursor behind a batch. Call it first inside the batch's transaction.
///
/// # Errors
/// [`Error::Stale`] when another worker moved it.
pub fn advance_merge(db: &dyn Db, id: i64, from: i64, to: i64, c: Counts) -> Result<()> {
    let params = params![
        id,
        from,
        to,
        c.created,
        c.updated,
        c.unchanged,
        c.skipped,
        c.failed
    ];
    match db.execute(sql::ADVANCE_MERGE, params)? {
        0 => Err(Error::Stale),
        _ => Ok(()),
    }
}

/// Notes what became of rows; only a failed one keeps its raw text. What a row changed is kept as its fields when it made
/// a lead, and as its step when it changed one.
pub fn settle_rows(
    db: &dyn Db,
    id: i64,
    verdicts: &[(i64, Verdict)],
    steps: &BTreeMap<i64, Step>,
) -> Result<()> {
    for part in verdicts.chunks(BATCH) {
        // The range keeps SQLite from reading all rows of the import for each batch.
        let numbers = || part.iter().map(|(no, _)| *no);
        let mut params: Vec<Value> =
            vec![id.into(), numbers().min().into(), numbers().max().into()];
        let mut values = String::new();
        for (no, verdict) in part {
            let (status, lead_id, code, error) = match verdict {
                Verdict::Created(lead) => ("created", Some(*lead), None, None),
                Verdict::Updated(lead) => ("updated", Some(*lead), None, None),
                Verdict::Unchanged(lead) => ("unchanged", Some(*lead), None, None),
                Verdict::Skipped(code) => ("skipped", None, Some(*code), None),
                Verdict::Failed(code, error) => ("failed", None, Some(*code), Some(error.as_str())),
            };
            let [no_, status_, lead_, code_, error_, step_] =
                [1, 2, 3, 4, 5, 6].map(|i| params.len() + i);
            let step = steps.get(no).and_then(|s| serde_json::to_string(s).ok());
            // The first row says what the columns are: some may be NULL in all rows.
            values.push_str(&match values.is_empty() {
                true => format!(
                    "(?{no_},?{status_},cast(?{lead_} as bigint),cast(?{code_} as text),cast(?{error_} as text),cast(?{step_} as text))"
                ),
                false => format!(",(?{no_},?{status_},?{lead_},?{code_},?{error_},?{step_})"),
            });
            params.extend([
                Value::from(*no),
                status.into(),
                lead_id.into(),
                code.into(),
                error.into(),
                step.into(),
            ]);
        }
        let text = format!(
            "with v (no, status, lead_id, code, error, step) as (values {values}) update import_row set status = v.status, lead_id = v.lead_id, \
             error_code = v.code, error = v.error, \
             fields = case when v.status = 'created' then import_row.fields else v.step end, raw = case when v.status = 'failed' then raw end \
             from v where import_row.import_id = ?1 and import_row.no between ?2 and ?3 and import_row.no = v.no"
        );
        db.execute(&text, &params)?;
    }
    Ok(())
}

/// Ends an import whose rows are all merged; true when that is so.
pub fn finish(db: &dyn Db, id: i64, now: i64) -> Result<bool> {
    Ok(db.execute(sql::FINISH, params![id, now])? > 0)
}

/// Promises to take an import back. False when it has not ended, or is taken back already.
pub fn begin_undo(db: &dyn Db, id: i64) -> Result<bool> {
    Ok(db.execute(sql::BEGIN_UNDO, params![id])? > 0)
}

/// An import that is being taken back.
pub fn undoing(db: &dyn Db) -> Result<Option<Import>> {
    Ok(one(db, sql::UNDOING, &[])?.map(from_row))
}

/// A row that is merged: its number, its lead, and what it changed if it changed something.
#[derive(Debug)]
pub struct Settled {
    /// Its number.
    pub no: i64,
    /// Its lead, if it has one.
    pub lead_id: Option<i64>,
    /// Whether it made or changed that lead.
    pub changed: bool,
    /// How. Rows of versions that did not note it have none.
    pub step: Option<Step>,
}

/// Rows before a number, the last one first.
pub fn settled_rows(db: &dyn Db, id: i64, before: i64, limit: i64) -> Result<Vec<Settled>> {
    let settled = |mut r: Row| {
        let (no, lead_id, status, fields) = (r.int(0), r.opt_int(1), r.text(2), r.opt_text(3));
        let step = fields.and_then(|f| match status.as_str() {
            "created" => serde_json::from_str(&f).ok().map(Step::making),
            _ => serde_json::from_str(&f).ok(),
        });
        Settled {
            no,
            lead_id,
            changed: matches!(status.as_str(), "created" | "updated"),
            step,
        }
    };
    let rows = db.query(sql::SETTLED_ROWS, params![id, before, limit])?;
    Ok(rows.into_iter().map(settled).collect())
}

/// Moves the undo cursor to a row, or ends the undo when there is none left. Call it first inside the batch's transaction.
///
/// # Errors
/// [`Error::Stale`] when another worker moved it.
pub fn advance_undo(db: &dyn Db, id: i64, from: i64, to: Option<i64>, now: i64) -> Result<()> {
    let moved = match to {
        Some(to) => db.execute(sql::ADVANCE_UNDO, params![id, from, to])?,
        None => db.execute(sql::END_UNDO, params![id, from, now])?,
    };
    match moved {
        0 => Err(Error::Stale),
        _ => Ok(()),
    }
}

/// Notes what an undo had to leave.
pub fn keep(db: &dyn Db, id: i64, back: &TakenBack) -> Result<()> {
    let kept = back
        .kept
        .iter()
        .flat_map(|(lead, field)| [Value::from(id), (*lead).into(), field.into()]);
    let head = "insert into import_kept (import_id, lead_id, field)";
    insert_many(db, head, 3, "on conflict do nothing", kept.collect()).map(|_| ())
}

/// What an undo had to leave: lead and field, the first ones by lead.
pub fn kept(db: &dyn Db, id: i64, limit: i64) -> Result<Vec<(i64, String)>> {
    let rows = db.query(sql::KEPT, params![id, limit])?;
    Ok(rows
        .into_iter()
        .map(|mut r| (r.int(0), r.text(1)))
        .collect())
}

/// How much an undo had to leave.
pub fn count_kept(db: &dyn Db, id: i64) -> Result<i64> {
    Ok(one(db, sql::COUNT_KEPT, params![id])?.map_or(0, |r| r.int(0)))
}

/// Ends an import whose file cannot be read.
pub fn fail(db: &dyn Db, id: i64, reason: &str, now: i64) -> Result<()> {
    crate::transaction(db, || {
        db.execute(sql::FAIL, params![id, reason, now])?;
        db.execute(sql::DELETE_CHUNKS, params![id, i64::MAX])
            .map(|_| ())
    })
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
pub fn failed_rows(db: &dyn Db, id: i64, after: i64, limit: i64) -> Result<Vec<FailedRow>> {
    let row = |mut r: Row| FailedRow {
        no: r.int(0),
        line: r.int(1),
        raw: r.bytes(2),
        code: r.text(3),
        error: r.text(4),
    };
    Ok(db
        .query(sql::FAILED_ROWS, params![id, after, limit])?
        .into_iter()
        .map(row)
        .collect())
}

/// The lead of the first row that has one.
pub fn first_lead(db: &dyn Db, id: i64) -> Result<Option<i64>> {
    Ok(one(db, sql::FIRST_LEAD, params![id])?.map(|r| r.int(0)))
}
