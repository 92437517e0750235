//! Imports: chunks as they came, and the two cursors that go through them.

use domain::mapping::Options;
use domain::table::Column;

use crate::params;
use crate::port::{Db, Error, Result, Row, one};
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
    /// Where the row after them begins.
    pub merge_at: Checkpoint,
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
    /// Until when its file is kept, and it can be taken back; milliseconds. None while it goes on.
    pub file_until: Option<i64>,
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
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Checkpoint {
    /// Number of the chunk.
    pub chunk: i64,
    /// Bytes into it.
    pub offset: i64,
    /// Line of the file, from 1.
    pub line: i64,
}

impl Default for Checkpoint {
    fn default() -> Self {
        Checkpoint {
            chunk: 0,
            offset: 0,
            line: 1,
        }
    }
}

impl Checkpoint {
    /// Reads one from three columns.
    pub(crate) fn of(r: &Row, first: usize) -> Self {
        Checkpoint {
            chunk: r.int(first),
            offset: r.int(first + 1),
            line: r.int(first + 2),
        }
    }
}

/// An import from its columns, in the order in which all queries give them.
pub(crate) fn from_row(mut r: Row) -> Import {
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
        at: Checkpoint::of(&r, 11),
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
        merge_at: Checkpoint::of(&r, 28),
        file_until: r.opt_int(31),
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

/// Ends an import that is not finished; rows that are not merged will be skipped. False when it has ended.
pub fn cancel(db: &dyn Db, id: i64) -> Result<bool> {
    Ok(db.execute(sql::CANCEL, params![id])? > 0)
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

/// Moves the ingest cursor behind some rows that can be read; the encoding may be known only now.
///
/// # Errors
/// [`Error::Stale`] when another worker moved it.
pub fn advance_ingest(
    db: &dyn Db,
    import: &Import,
    to: Checkpoint,
    rows: i64,
    encoding: &str,
) -> Result<()> {
    let from = import.at;
    let cursor = params![
        import.id,
        from.chunk,
        from.offset,
        to.chunk,
        to.offset,
        to.line,
        rows,
        encoding
    ];
    match db.execute(sql::ADVANCE_INGEST, cursor)? {
        0 => Err(Error::Stale),
        _ => Ok(()),
    }
}

/// All rows can be read; they are still to be merged.
pub fn begin_importing(db: &dyn Db, id: i64) -> Result<()> {
    db.execute(sql::BEGIN_IMPORTING, params![id]).map(|_| ())
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
pub fn advance_merge(
    db: &dyn Db,
    import: &Import,
    merged: i64,
    at: Checkpoint,
    c: Counts,
) -> Result<()> {
    let params = params![
        import.id,
        import.merged,
        merged,
        c.created,
        c.updated,
        c.unchanged,
        c.skipped,
        c.failed,
        at.chunk,
        at.offset,
        at.line
    ];
    match db.execute(sql::ADVANCE_MERGE, params)? {
        0 => Err(Error::Stale),
        _ => Ok(()),
    }
}

/// How long the file of an import is kept after its end, in milliseconds.
pub const FILE_KEPT: i64 = 30 * 24 * 60 * 60 * 1000;

/// How many bytes of files are kept, in all; the newest file is kept whatever its size.
const FILES_MAX: i64 = 4 << 30;

/// Ends an import whose rows are all merged; true when that is so.
pub fn finish(db: &dyn Db, id: i64, now: i64) -> Result<bool> {
    let finished = db.execute(sql::FINISH, params![id, now, now + FILE_KEPT])? > 0;
    if finished {
        db.execute(sql::BOUND_FILES, params![now, FILES_MAX])?;
    }
    Ok(finished)
}

/// Ends an import that somebody canceled: what is not merged is skipped. True when that is so.
pub fn end_canceled(db: &dyn Db, id: i64, now: i64) -> Result<bool> {
    Ok(db.execute(sql::END_CANCELED, params![id, now, now + FILE_KEPT])? > 0)
}

/// Chunks that are removed at once.
const DROPPED: i64 = 64;

/// Removes a part of a file that is kept no longer; false when there is none.
pub fn drop_expired(db: &dyn Db, now: i64) -> Result<bool> {
    let Some(expired) = one(db, sql::EXPIRED, params![now])? else {
        return Ok(false);
    };
    let id = expired.int(0);
    db.execute(sql::DROP_CHUNKS, params![id, DROPPED])?;
    db.execute(sql::DROP_FILE, params![id])?;
    Ok(true)
}

/// When the next file is kept no longer.
pub fn next_expiry(db: &dyn Db) -> Result<Option<i64>> {
    Ok(one(db, sql::NEXT_EXPIRY, &[])?.and_then(|r| r.opt_int(0)))
}

/// Ends an import whose file cannot be read.
pub fn fail(db: &dyn Db, id: i64, reason: &str, now: i64) -> Result<()> {
    crate::transaction(db, || {
        db.execute(sql::FAIL, params![id, reason, now])?;
        db.execute(sql::DELETE_CHUNKS, params![id, i64::MAX])
            .map(|_| ())
    })
}
