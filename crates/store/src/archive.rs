//! One sub-account as one portable file, from either engine and into either.
//!
//! The file is NDJSON. A header names the format, the schema's version and the tables; each table is a line with its
//! columns, a line for each row (an array; bytes are `{"base64": …}`), and a line with the number of rows and the SHA-256
//! of their lines; a trailer says that nothing is missing. Tables come after those they refer to.

use std::collections::HashSet;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use serde_json::json;
use sha2::{Digest, Sha256};

use crate::migrate::{TENANT, latest, migrate};
use crate::port::{Db, Engine, Error as StoreError, Value, insert_many};

mod catalog;
pub mod copy;
use catalog::Table;

/// Why an archive could not be written or read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// This is no archive, or one that was changed or broke off; for people.
    #[error("{0}")]
    Invalid(String),
    /// The archive was written by a newer version.
    #[error("{0}")]
    Newer(String),
    /// There is something in the database already.
    #[error("the database is not empty: {0} has rows")]
    NotEmpty(String),
}

type Result<T> = std::result::Result<T, Error>;

/// It does not begin as an archive does.
fn foreign() -> Error {
    Error::Invalid("This is no archive of a sub-account; nothing of it was kept.".to_owned())
}

/// Drops all that a tenant's database holds.
///
/// # Errors
/// When the database fails.
pub fn clear(db: &dyn Db) -> crate::Result<()> {
    catalog::clear(db).map_err(|e| match e {
        Error::Store(e) => e,
        e => StoreError::Other(e.to_string()),
    })
}

/// The version of the format.
const FORMAT: i64 = 1;
/// Rows that are read at once, and of tables that hold bytes.
const ROWS: i64 = 500;
const ROWS_WITH_BYTES: i64 = 32;
/// Bytes that are written at once.
const PIECE: usize = 4 << 20;
/// The longest line that is read.
const LINE: usize = 64 << 20;

#[derive(Serialize, Deserialize)]
struct Header {
    sluice_archive: i64,
    schema_version: i64,
    tables: Vec<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Begin {
    table: String,
    columns: Vec<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct End {
    end: String,
    rows: u64,
    sha256: String,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Trailer {
    complete: bool,
    rows: u64,
}

/// What an archive holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Summary {
    /// Tables.
    pub tables: usize,
    /// Rows of all of them.
    pub rows: u64,
}

/// Writes an archive piece by piece, as the database is at the beginning.
pub struct Writer {
    db: Box<dyn Db>,
    version: i64,
    tables: Vec<Table>,
    /// The table that is being written, and how far: the key of the last row.
    at: usize,
    last: Option<Vec<Value>>,
    begun: bool,
    done: bool,
    hash: Sha256,
    rows: u64,
    total: u64,
}

impl Writer {
    /// Looks at a tenant's database. Nobody has to stop writing to it: a snapshot is read.
    ///
    /// # Errors
    /// When the database fails.
    pub fn new(db: Box<dyn Db>) -> Result<Writer> {
        match db.engine() {
            Engine::Sqlite => db.execute("begin", &[])?,
            Engine::Postgres => {
                db.execute("begin isolation level repeatable read read only", &[])?;
                // Whoever takes the pieces may be slow.
                db.execute(PATIENCE, &[])?
            }
        };
        let version = crate::migrate::version(&*db)?;
        let tables = catalog::tables(&*db)?;
        Ok(Writer {
            db,
            version,
            tables,
            at: 0,
            last: None,
            begun: false,
            done: false,
            hash: Sha256::new(),
            rows: 0,
            total: 0,
        })
    }

    /// The next lines; none after the last.
    ///
    /// # Errors
    /// When the database fails. The archive then breaks off, which its reader notices.
    pub fn piece(&mut self) -> Result<Option<Vec<u8>>> {
        let mut out = Vec::new();
        if !self.begun {
            let tables = self.tables.iter().map(|t| t.name.clone()).collect();
            let header = Header {
                sluice_archive: FORMAT,
                schema_version: self.version,
                tables,
            };
            line(&mut out, &header);
            self.begun = true;
        }
        while !self.done && out.len() < PIECE {
            match self.tables.get(self.at) {
                Some(_) => self.step(&mut out)?,
                None => {
                    let rows = self.total;
                    line(
                        &mut out,
                        &Trailer {
                            complete: true,
                            rows,
                        },
                    );
                    self.done = true;
                }
            }
        }
        Ok(Some(out).filter(|out| !out.is_empty()))
    }

    /// Some rows of the table that is being written, with its first and its last line.
    fn step(&mut self, out: &mut Vec<u8>) -> Result<()> {
        let table = &self.tables[self.at];
        if self.last.is_none() {
            let (table, columns) = (table.name.clone(), table.columns.clone());
            line(out, &Begin { table, columns });
        }
        let limit = if table.bytes { ROWS_WITH_BYTES } else { ROWS };
        let (text, params) = table.page(self.last.as_deref(), limit);
        let rows = self.db.query(&text, &params)?;
        let ended = (rows.len() as i64) < limit;
        for row in &rows {
            let begin = out.len();
            let cells: Vec<_> = row.0.iter().map(to_json).collect();
            line(out, &cells);
            self.hash.update(&out[begin..]);
        }
        self.rows += rows.len() as u64;
        self.last = rows
            .last()
            .map(|row| table.key_of(row))
            .or(self.last.take())
            .or(Some(Vec::new()));
        if ended {
            let end = End {
                end: table.name.clone(),
                rows: self.rows,
                sha256: hex(std::mem::take(&mut self.hash)),
            };
            line(out, &end);
            self.total += self.rows;
            (self.at, self.last, self.rows) = (self.at + 1, None, 0);
        }
        Ok(())
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        let _ = self.db.execute("rollback", &[]);
    }
}

const PATIENCE: &str = "set local idle_in_transaction_session_timeout = '10min'";

fn line(out: &mut Vec<u8>, value: &impl Serialize) {
    // Plain data always becomes JSON, and a Vec takes all of it.
    let _ = serde_json::to_writer(&mut *out, value);
    out.push(b'\n');
}

fn hex(hash: Sha256) -> String {
    hash.finalize().iter().map(|b| format!("{b:02x}")).collect()
}

fn to_json(value: &Value) -> serde_json::Value {
    match value {
        Value::Null => serde_json::Value::Null,
        Value::Integer(v) => json!(v),
        Value::Real(v) => json!(v),
        Value::Text(v) => json!(v),
        Value::Blob(v) => json!({"base64": STANDARD.encode(v)}),
    }
}

fn from_json(value: serde_json::Value) -> Option<Value> {
    Some(match value {
        serde_json::Value::Null => Value::Null,
        serde_json::Value::Number(n) => match n.as_i64() {
            Some(v) => Value::Integer(v),
            None => Value::Real(n.as_f64()?),
        },
        serde_json::Value::String(v) => Value::Text(v),
        serde_json::Value::Object(v) => {
            Value::Blob(STANDARD.decode(v.get("base64")?.as_str()?).ok()?)
        }
        _ => return None,
    })
}

/// Reads an archive piece by piece into an empty database: all of it, or nothing.
pub struct Reader {
    db: Box<dyn Db>,
    rest: Vec<u8>,
    number: u64,
    tables: Vec<Table>,
    expected: Vec<String>,
    state: State,
    hash: Sha256,
    rows: u64,
    batch: Vec<Value>,
    batch_bytes: usize,
    summary: Summary,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// The header is missing yet.
    New,
    /// A table is to begin, or the trailer to come.
    Between,
    /// Rows of the table with this place in `tables`.
    In(usize),
    /// The trailer was there.
    Complete,
    /// Everything is kept.
    Kept,
}

impl Reader {
    /// Reads into a tenant's database, which must hold no rows.
    pub fn new(db: Box<dyn Db>) -> Reader {
        Reader {
            db,
            rest: Vec::new(),
            number: 0,
            tables: Vec::new(),
            expected: Vec::new(),
            state: State::New,
            hash: Sha256::new(),
            rows: 0,
            batch: Vec::new(),
            batch_bytes: 0,
            summary: Summary::default(),
        }
    }

    /// Takes the next bytes, cut wherever they came.
    ///
    /// # Errors
    /// When they cannot be what comes next, or the database fails. Nothing of the archive is kept then.
    pub fn push(&mut self, bytes: &[u8]) -> Result<()> {
        let mut bytes = bytes;
        while let Some(end) = bytes.iter().position(|b| *b == b'\n') {
            let (head, tail) = bytes.split_at(end + 1);
            bytes = tail;
            match self.rest.is_empty() {
                true => self.line(head)?,
                false => {
                    self.rest.extend_from_slice(head);
                    let line = std::mem::take(&mut self.rest);
                    self.line(&line)?;
                }
            }
        }
        self.rest.extend_from_slice(bytes);
        match (self.rest.len() > LINE, self.state) {
            (false, _) => Ok(()),
            (true, State::New) => Err(foreign()),
            (true, _) => Err(self.invalid("it is longer than any line of an archive")),
        }
    }

    /// Keeps everything, and brings the database to this binary's version. What `settle` changes is kept with it, or not at
    /// all; the database has the schema of the archive then, which may be an old one.
    ///
    /// # Errors
    /// When the archive broke off, or the database fails.
    pub fn finish(mut self, settle: impl FnOnce(&dyn Db) -> crate::Result<()>) -> Result<Summary> {
        if self.state == State::New {
            return Err(foreign());
        }
        if self.state != State::Complete || !self.rest.is_empty() {
            return Err(Error::Invalid(format!(
                "The archive breaks off after line {}; nothing of it was kept.",
                self.number
            )));
        }
        catalog::set_sequences(&*self.db, &self.tables)?;
        settle(&*self.db)?;
        self.db.execute("commit", &[])?;
        self.state = State::Kept;
        migrate(&*self.db, TENANT)?;
        Ok(self.summary)
    }

    fn invalid(&self, reason: &str) -> Error {
        Error::Invalid(format!(
            "Line {} of the archive is wrong: {reason}. Nothing of it was kept.",
            self.number
        ))
    }

    fn line(&mut self, line: &[u8]) -> Result<()> {
        self.number += 1;
        match self.state {
            State::New => self.header(line),
            State::Between if self.expected.is_empty() => self.trailer(line),
            State::Between => self.begin(line),
            State::In(table) if line.first() == Some(&b'[') => self.row(table, line),
            State::In(table) => self.end(table, line),
            State::Complete | State::Kept => Err(self.invalid("nothing may follow the last line")),
        }
    }

    fn parse<T: for<'a> Deserialize<'a>>(&self, line: &[u8], what: &str) -> Result<T> {
        serde_json::from_slice(line).map_err(|e| self.invalid(&format!("it is not {what} ({e})")))
    }

    fn header(&mut self, line: &[u8]) -> Result<()> {
        let header: Header = serde_json::from_slice(line).map_err(|_| foreign())?;
        let (version, known) = (header.schema_version, latest(TENANT));
        if header.sluice_archive != FORMAT || version > known {
            return Err(Error::Newer(format!(
                "The archive has the format {} and the schema {version}; this server knows the format {FORMAT} and schemas up \
                 to {known}: read it with a newer version.",
                header.sluice_archive
            )));
        }
        let migrations = usize::try_from(version).ok().and_then(|v| TENANT.get(..v));
        let Some(migrations) = migrations.filter(|m| !m.is_empty()) else {
            return Err(self.invalid("there is no such version of the schema"));
        };
        catalog::prepare(&*self.db, migrations)?;
        self.db.execute("begin immediate", &[])?;
        self.state = State::Between;
        if self.db.engine() == Engine::Postgres {
            self.db.execute(PATIENCE, &[])?;
        }
        // Somebody may have written between the first look and the lock.
        catalog::require_empty(&*self.db)?;
        self.tables = catalog::tables(&*self.db)?;
        let ours: HashSet<_> = self.tables.iter().map(|t| &t.name).collect();
        let theirs: HashSet<_> = header.tables.iter().collect();
        if ours != theirs || header.tables.len() != ours.len() {
            return Err(self.invalid("its tables are not those of its version"));
        }
        self.expected = header.tables;
        self.expected.reverse();
        Ok(())
    }

    fn begin(&mut self, line: &[u8]) -> Result<()> {
        let begin: Begin = self.parse(line, "the beginning of a table")?;
        if self.expected.pop().as_ref() != Some(&begin.table) {
            return Err(self.invalid("another table is to come"));
        }
        let place = self.tables.iter().position(|t| t.name == begin.table);
        let same: HashSet<_> = begin.columns.iter().collect();
        let Some(place) = place.filter(|at| {
            let ours = &self.tables[*at].columns;
            ours.len() == begin.columns.len() && ours.iter().collect::<HashSet<_>>() == same
        }) else {
            return Err(self.invalid("its columns are not those of its version"));
        };
        // In the archive's order, whatever the order here.
        self.tables[place].columns = begin.columns;
        (self.state, self.rows, self.hash) = (State::In(place), 0, Sha256::new());
        Ok(())
    }

    fn row(&mut self, table: usize, line: &[u8]) -> Result<()> {
        let cells: Vec<serde_json::Value> = self.parse(line, "a row")?;
        let columns = self.tables[table].columns.len();
        let values: Option<Vec<_>> = cells.into_iter().map(from_json).collect();
        let Some(values) = values.filter(|v| v.len() == columns) else {
            return Err(self.invalid("it does not have the cells of its table"));
        };
        self.hash.update(line);
        self.rows += 1;
        self.batch.extend(values);
        self.batch_bytes += line.len();
        match self.batch.len() >= columns * ROWS as usize || self.batch_bytes > PIECE {
            true => self.flush(table),
            false => Ok(()),
        }
    }

    fn flush(&mut self, table: usize) -> Result<()> {
        let table = &self.tables[table];
        let values = std::mem::take(&mut self.batch);
        self.batch_bytes = 0;
        insert_many(&*self.db, &table.insert(), table.columns.len(), "", values)
            .map(|_| ())
            .map_err(|e| match e {
                // The statement is ours; what does not fit can only be the rows.
                StoreError::Constraint(_) | StoreError::Other(_) => {
                    self.invalid("the rows before it do not fit their table")
                }
                e => e.into(),
            })
    }

    fn end(&mut self, table: usize, line: &[u8]) -> Result<()> {
        let end: End = self.parse(line, "a row or the end of a table")?;
        self.flush(table)?;
        let hash = hex(std::mem::take(&mut self.hash));
        if end.end != self.tables[table].name || end.rows != self.rows || end.sha256 != hash {
            return Err(self.invalid("the rows before it are not the ones that were written"));
        }
        self.summary.tables += 1;
        self.summary.rows += self.rows;
        self.state = State::Between;
        Ok(())
    }

    fn trailer(&mut self, line: &[u8]) -> Result<()> {
        let trailer: Trailer = self.parse(line, "the last line of an archive")?;
        if !trailer.complete || trailer.rows != self.summary.rows {
            return Err(self.invalid("rows are missing"));
        }
        self.state = State::Complete;
        Ok(())
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        if !matches!(self.state, State::New | State::Kept) {
            let _ = self.db.execute("rollback", &[]);
            // The empty database may have been taken back to an older version for the archive.
            let _ = migrate(&*self.db, TENANT);
        }
    }
}
