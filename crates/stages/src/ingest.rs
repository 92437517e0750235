//! Reads the chunks of an upload into rows, from checkpoint to checkpoint. Nothing touches a lead before the whole
//! file has been read, so a file that breaks off or cannot be read changes nothing.

use domain::dialect::Charset;
use domain::lead::Target;
use domain::mapping::Options;
use domain::preview;
use domain::record::{self, Consumed};
use domain::table::{self, Column, RECORD_MAX, RowError};
use store::import::{self, Batch, Checkpoint, Import, NewRow};
use store::{Db, Result, lead};

use crate::run::Stage;

/// The size that uploads are cut into.
pub const CHUNK: usize = 256 * 1024;
/// Chunks that one step reads.
const CHUNKS: i64 = 4;
/// Chunks that the longest record may span.
const CHUNKS_MAX: i64 = (RECORD_MAX / CHUNK) as i64 + 2;
/// Rows that one step keeps.
const ROWS: usize = 5_000;
/// An upload that is silent for so long has broken off, in milliseconds.
const ABANDONED: i64 = 10 * 60 * 1000;

/// A file that nobody maps is kept for so long, in milliseconds.
const HELD: i64 = 7 * 24 * 60 * 60 * 1000;
const NOT_MAPPED: &str = "Nobody said where the columns of this file go, or its upload broke off, so nothing of it was imported. Upload the file again.";

/// The `ingest` stage.
pub struct Ingest;

impl Stage for Ingest {
    fn name(&self) -> &'static str {
        "ingest"
    }

    fn wakes(&self) -> &'static [&'static str] {
        &["import"]
    }

    fn step(&self, db: &dyn Db, now: i64, promise: &mut dyn FnMut() -> Result<()>) -> Result<bool> {
        // Each open import gets its turn in each step, so a large file does not hold up a small one.
        let mut worked = import::expire_held(db, now, now - ABANDONED, now - HELD, NOT_MAPPED)?;
        for import in import::open(db, 100)? {
            worked |= match import.status {
                "pending" => describe(db, &import, now)?,
                "ingesting" => read(db, &import, now, promise)?,
                _ => false,
            };
        }
        Ok(worked)
    }

    fn next(&self, db: &dyn Db, now: i64) -> Result<Option<i64>> {
        let waiting = import::open(db, 100)?
            .iter()
            .any(|i| !matches!(i.status, "importing" | "canceling"));
        // A file that nobody maps is looked at now and then.
        let held = import::oldest_held(db)?.map(|_| now + ABANDONED);
        Ok(waiting.then_some(now + 1_000).or(held))
    }
}

fn fail(db: &dyn Db, import: &Import, reason: &str, now: i64) -> Result<bool> {
    import::fail(db, import.id, reason, now).map(|()| true)
}

/// Nothing to read yet: waits, unless nothing will ever come.
fn wait(db: &dyn Db, import: &Import, now: i64) -> Result<bool> {
    if !import.upload_done && import.touched_at < now - ABANDONED {
        return fail(
            db,
            import,
            "The upload broke off, and nothing of it was imported. Upload the file again.",
            now,
        );
    }
    Ok(false)
}

/// Finds out how the file is written.
fn describe(db: &dyn Db, import: &Import, now: i64) -> Result<bool> {
    let Some((_, bytes)) = import::chunks(db, import.id, 0, 1)?.into_iter().next() else {
        if import.upload_done {
            return fail(db, import, "The file is empty.", now);
        }
        return wait(db, import, now);
    };
    let whole = import.upload_done && import.bytes_received == bytes.len() as i64;
    let look = match preview::look(&bytes, whole, &import.options) {
        Ok(Some(look)) => look,
        Ok(None) if !import.upload_done => return wait(db, import, now),
        Ok(None) if !whole => {
            return fail(
                db,
                import,
                "The first line of the file is too long to be a header or a row.",
                now,
            );
        }
        Ok(None) => return fail(db, import, "The file is empty.", now),
        Err(reason) => return fail(db, import, &reason, now),
    };
    ensure_custom_fields(db, &look.columns, &import.options, now)?;
    let delimiter = char::from(look.dialect.delimiter).to_string();
    import::describe(
        db,
        import.id,
        look.charset.name(),
        &delimiter,
        look.dialect.has_header,
        &look.columns,
    )?;
    Ok(true)
}

/// Makes the custom fields known that a file's leads get.
///
/// # Errors
/// When the store fails.
pub fn ensure_custom_fields(
    db: &dyn Db,
    columns: &[Column],
    options: &Options,
    now: i64,
) -> Result<()> {
    let columns = columns.iter().filter_map(|c| c.target.as_ref());
    let constants = options.constants.iter().map(|c| &c.target);
    let custom = columns.chain(constants).filter_map(|target| match target {
        Target::Data(name) => Some(name.as_str()),
        _ => None,
    });
    lead::ensure_custom_fields(db, custom, now)
}

/// Reads on from the checkpoint.
fn read(
    db: &dyn Db,
    import: &Import,
    now: i64,
    promise: &mut dyn FnMut() -> Result<()>,
) -> Result<bool> {
    for limit in [CHUNKS, CHUNKS_MAX] {
        let chunks = import::chunks(db, import.id, import.at.chunk, limit)?;
        let all = (chunks.len() as i64) < limit;
        let window = Window::new(import, &chunks, all && import.upload_done);
        if window.text.is_empty() && window.last {
            promise()?;
            import::begin_importing(db, import.id)?;
            return Ok(true);
        }
        let (rows, consumed) = match window.rows(import) {
            Ok(read) => read,
            Err(line) => return fail(db, import, &unclosed(line), now),
        };
        if consumed.bytes > 0 {
            let batch = Batch {
                rows,
                from: import.at,
                to: window.checkpoint(import, &chunks, consumed),
                encoding: window.charset.name(),
            };
            import::add_rows(db, import.id, batch)?;
            return Ok(true);
        }
        if all {
            return wait(db, import, now);
        }
    }
    fail(db, import, &unclosed(import.at.line), now)
}

fn unclosed(line: i64) -> String {
    format!(
        "A quoted cell in the row that begins on line {line} never ends: a quotation mark is missing."
    )
}

/// A part of a file that begins between two records.
struct Window {
    charset: Charset,
    /// In UTF-8.
    text: Vec<u8>,
    /// Whether the file ends with it.
    last: bool,
}

impl Window {
    fn new(import: &Import, chunks: &[(i64, Vec<u8>)], last: bool) -> Self {
        let mut bytes = Vec::with_capacity(chunks.iter().map(|(_, b)| b.len()).sum());
        for (i, (_, chunk)) in chunks.iter().enumerate() {
            let from = if i == 0 { import.at.offset as usize } else { 0 };
            bytes.extend_from_slice(chunk.get(from..).unwrap_or_default());
        }
        let before = Charset::from_name(import.encoding.as_deref().unwrap_or("us-ascii"));
        let charset = match before.sniff(&bytes) {
            // A file does not become UTF-16 in the middle.
            Charset::Utf16Le | Charset::Utf16Be if before == Charset::Ascii => Charset::Utf8,
            charset => charset,
        };
        let text = match record::decode(&bytes, charset) {
            std::borrow::Cow::Borrowed(_) => bytes,
            std::borrow::Cow::Owned(text) => text,
        };
        Window {
            charset,
            text,
            last,
        }
    }

    /// The rows of this part, or the line of one that swallows the lines after it, because a quote is not closed.
    fn rows(&self, import: &Import) -> std::result::Result<(Vec<NewRow>, Consumed), i64> {
        let delimiter = import
            .delimiter
            .as_ref()
            .and_then(|d| d.bytes().next())
            .unwrap_or(b',');
        let at_start = import.at.chunk == 0 && import.at.offset == 0;
        let mut header = at_start && import.has_header == Some(true);
        let mut rows = Vec::new();
        let mut swallowed = None;
        let consumed = record::split(&self.text, delimiter, self.last, |r| {
            if std::mem::take(&mut header) {
                return true;
            }
            let line = import.at.line + r.lines_before as i64;
            if r.unclosed && r.raw.contains(&b'\n') {
                swallowed = Some(line);
                return false;
            }
            let read = match r.unclosed {
                true => Err(RowError {
                    code: "unclosed_quote",
                    message: unclosed(line),
                }),
                false => table::read_row(&import.columns, &import.options, r.cells()),
            };
            let no = import.total + 1 + rows.len() as i64;
            rows.push(NewRow {
                no,
                line,
                read,
                raw: r.raw.to_vec(),
            });
            rows.len() < ROWS
        });
        swallowed.map_or(Ok((rows, consumed)), Err)
    }

    /// Where in the chunks the consumed text ends.
    fn checkpoint(
        &self,
        import: &Import,
        chunks: &[(i64, Vec<u8>)],
        consumed: Consumed,
    ) -> Checkpoint {
        let used = record::encoded_len(&self.text[..consumed.bytes], self.charset);
        let mut offset = import.at.offset as usize + used;
        let mut chunk = import.at.chunk;
        for (no, bytes) in chunks {
            chunk = *no;
            if offset < bytes.len() {
                break;
            }
            // Right at the end of a chunk: the next one begins there.
            offset -= bytes.len();
            chunk = no + 1;
        }
        Checkpoint {
            chunk,
            offset: offset as i64,
            line: import.at.line + consumed.lines as i64,
        }
    }
}
