//! Reads an upload as it arrives, to know how it is written, how many rows it has and that it can be read to its end.
//! Nothing touches a lead before, so a file that breaks off or cannot be read changes nothing.

use domain::lead::Target;
use domain::mapping::Options;
use domain::preview;
use domain::record::Consumed;
use domain::table::Column;
use store::import::{self, Import};
use store::{Db, Result, lead};

use crate::file::{CHUNKS, Part, unclosed};
use crate::run::Stage;

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
    for limit in CHUNKS {
        let part = Part::load(db, import, import.at, limit)?;
        if part.is_end() {
            promise()?;
            import::begin_importing(db, import.id)?;
            return Ok(true);
        }
        let (rows, consumed) = match count(&part, import) {
            Ok(counted) => counted,
            Err(line) => return fail(db, import, &unclosed(line), now),
        };
        if consumed.bytes > 0 {
            let to = part.checkpoint(consumed);
            import::advance_ingest(db, import, to, rows, part.charset.name())?;
            return Ok(true);
        }
        if part.all {
            return wait(db, import, now);
        }
    }
    fail(db, import, &unclosed(import.at.line), now)
}

/// How many rows a part has, or the line of one that swallows the lines after it, because a quote is not closed.
fn count(part: &Part, import: &Import) -> std::result::Result<(i64, Consumed), i64> {
    let (mut rows, mut swallowed) = (0, None);
    let consumed = part.records(import, |line, record| {
        if record.unclosed && record.raw.contains(&b'\n') {
            swallowed = Some(line);
            return false;
        }
        rows += 1;
        true
    });
    swallowed.map_or(Ok((rows, consumed)), Err)
}
