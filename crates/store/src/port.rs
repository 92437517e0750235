//! The port: what the store needs of a database.

use std::fmt;

use crate::server::Server;

/// One SQL value, as SQLite and Spin know it.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// SQL NULL.
    Null,
    /// A 64-bit integer; times are milliseconds, flags 0 or 1.
    Integer(i64),
    /// A 64-bit float.
    Real(f64),
    /// UTF-8 text.
    Text(String),
    /// Bytes.
    Blob(Vec<u8>),
}

macro_rules! from {
    ($($t:ty => |$v:ident| $e:expr),* $(,)?) => { $(impl From<$t> for Value { fn from($v: $t) -> Self { $e } })* };
}

from! {
    i64 => |v| Value::Integer(v),
    i32 => |v| Value::Integer(v.into()),
    u32 => |v| Value::Integer(v.into()),
    bool => |v| Value::Integer(v.into()),
    f64 => |v| Value::Real(v),
    &str => |v| Value::Text(v.to_owned()),
    &String => |v| Value::Text(v.clone()),
    String => |v| Value::Text(v),
    Vec<u8> => |v| Value::Blob(v),
}

impl<T: Into<Value>> From<Option<T>> for Value {
    fn from(v: Option<T>) -> Self {
        v.map_or(Value::Null, Into::into)
    }
}

/// A list of parameters, `?1` first.
#[macro_export]
macro_rules! params {
    ($($v:expr),* $(,)?) => { &[$($crate::Value::from($v)),*][..] };
}

/// One row of an answer, its columns in the order the query names them.
#[derive(Debug, Clone, PartialEq)]
pub struct Row(pub Vec<Value>);

impl Row {
    fn take(&mut self, column: usize) -> Value {
        self.0
            .get_mut(column)
            .map_or(Value::Null, |v| std::mem::replace(v, Value::Null))
    }

    /// The integer in a column, 0 where it is NULL or of another type.
    pub fn int(&self, column: usize) -> i64 {
        self.opt_int(column).unwrap_or_default()
    }

    /// The integer in a column, if there is one.
    pub fn opt_int(&self, column: usize) -> Option<i64> {
        match self.0.get(column) {
            Some(Value::Integer(v)) => Some(*v),
            Some(Value::Real(v)) => Some(*v as i64),
            _ => None,
        }
    }

    /// Whether a column holds a number other than 0.
    pub fn flag(&self, column: usize) -> bool {
        self.int(column) != 0
    }

    /// Takes the text out of a column; empty where it is NULL.
    pub fn text(&mut self, column: usize) -> String {
        self.opt_text(column).unwrap_or_default()
    }

    /// Takes the text out of a column, if there is one.
    pub fn opt_text(&mut self, column: usize) -> Option<String> {
        match self.take(column) {
            Value::Text(v) => Some(v),
            Value::Blob(v) => Some(String::from_utf8_lossy(&v).into_owned()),
            Value::Integer(v) => Some(v.to_string()),
            _ => None,
        }
    }

    /// Takes the bytes out of a column; empty where it is NULL.
    pub fn bytes(&mut self, column: usize) -> Vec<u8> {
        match self.take(column) {
            Value::Blob(v) => v,
            Value::Text(v) => v.into_bytes(),
            _ => Vec::new(),
        }
    }
}

/// Why the store could not do what it was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The disk, or the room a database may take, is full. Nothing of the statement was kept.
    #[error("the database is full: {0}")]
    Full(String),
    /// Somebody else held the database for longer than the host waits. Nothing was kept; try again.
    #[error("the database is busy: {0}")]
    Busy(String),
    /// The database server cannot be reached, takes no more connections, or only reads. Nothing was kept, unless it was a
    /// commit whose answer was lost; try again.
    #[error("the database cannot be reached: {0}")]
    Unavailable(String),
    /// A unique key or a check refused the row.
    #[error("the database refused the row: {0}")]
    Constraint(String),
    /// Another writer moved the cursor first: everything of this transaction was taken back.
    #[error("another worker is ahead of this one")]
    Stale,
    /// The database was written by a newer version.
    #[error("{0}")]
    NewerSchema(String),
    /// Anything else.
    #[error("the database failed: {0}")]
    Other(String),
}

impl Error {
    /// Sorts a message of SQLite into the classes that callers tell apart.
    pub fn from_sqlite(message: impl fmt::Display) -> Self {
        let message = message.to_string();
        let lower = message.to_lowercase();
        if lower.contains("disk is full") || lower.contains("database-full") {
            Error::Full(message)
        } else if ["locked", "busy", "interrupted"]
            .iter()
            .any(|word| lower.contains(word))
        {
            Error::Busy(message)
        } else if lower.contains("constraint failed") {
            Error::Constraint(message)
        } else {
            Error::Other(message)
        }
    }
}

/// A result of the store.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What kind of database answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Engine {
    /// A file of SQLite.
    Sqlite,
    /// A database on a PostgreSQL server.
    Postgres,
}

/// A connection to one database, with SQL in SQLite's dialect and `?N` parameters.
pub trait Db {
    /// What kind of database this is. Few need to ask: queries are the same for both.
    fn engine(&self) -> Engine;

    /// Runs one statement and returns all its rows.
    fn query(&self, sql: &str, params: &[Value]) -> Result<Vec<Row>>;

    /// Runs one statement and returns how many rows it changed.
    fn execute(&self, sql: &str, params: &[Value]) -> Result<u64>;

    /// Like [`Self::execute`], with parameters that are given away: many of them need not be copied on their way.
    fn write(&self, sql: &str, params: Vec<Value>) -> Result<u64> {
        self.execute(sql, &params)
    }
}

/// Which of a node's databases is meant.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Place {
    /// People, keys and sub-accounts.
    Master,
    /// A slave's list of its tenants and of their work.
    Control,
    /// A tenant's own SQLite file; slots count from 1.
    Slot(i64),
    /// A tenant's own database on the PostgreSQL server, by its name.
    Database(String),
}

impl Place {
    /// The label of an SQLite database, and the name of a PostgreSQL one: `master`, `slave`, `slot001`, `t_…`.
    pub fn label(&self) -> String {
        match self {
            Place::Master => "master".to_owned(),
            Place::Control => "slave".to_owned(),
            Place::Slot(slot) => format!("slot{slot:03}"),
            Place::Database(name) => name.clone(),
        }
    }
}

/// Opens databases.
pub trait Open {
    /// Opens one.
    ///
    /// # Errors
    /// When there is no such place here, or it cannot be opened.
    fn open(&self, place: &Place) -> Result<Box<dyn Db>>;

    /// Whether new tenants get databases of their own on a server, rather than slots.
    fn has_tenant_server(&self) -> bool {
        false
    }

    /// The server on which tenants have databases of their own; none where they get slots.
    ///
    /// # Errors
    /// When it cannot be reached.
    fn tenant_server(&self) -> Result<Option<Server>> {
        Ok(None)
    }
}

/// The first row of an answer.
pub fn one(db: &dyn Db, sql: &str, params: &[Value]) -> Result<Option<Row>> {
    Ok(db.query(sql, params)?.into_iter().next())
}

/// Runs `work` as one transaction: all of it is kept, or none. The write lock is taken at once, so that two writers
/// wait for each other instead of failing half-way.
pub fn transaction<T, E: From<Error>>(
    db: &dyn Db,
    work: impl FnOnce() -> Result<T, E>,
) -> Result<T, E> {
    db.execute("begin immediate", &[])?;
    match work() {
        Ok(value) => {
            if let Err(error) = db.execute("commit", &[]) {
                // A commit that failed (disk full) leaves the transaction open.
                let _ = db.execute("rollback", &[]);
                return Err(error.into());
            }
            Ok(value)
        }
        Err(error) => {
            // The first error is the one worth telling; the host rolls back an abandoned connection anyway.
            let _ = db.execute("rollback", &[]);
            Err(error)
        }
    }
}

/// `?1, ?2), (?3, ?4` …: the inside of a multi-row `VALUES` for so many rows and columns.
pub fn placeholders(rows: usize, columns: usize) -> String {
    let mut text = String::with_capacity(rows * columns * 7);
    for row in 0..rows {
        text.push_str(if row == 0 { "(" } else { ", (" });
        for column in 0..columns {
            if column > 0 {
                text.push(',');
            }
            text.push('?');
            text.push_str(&(row * columns + column + 1).to_string());
        }
        text.push(')');
    }
    text
}

/// Rows of a multi-row insert that go over the host boundary at once (measured best at some hundred).
pub const BATCH: usize = 500;

/// Inserts many rows with as few statements as possible: `head (?1, …), (…) tail`.
pub fn insert_many(
    db: &dyn Db,
    head: &str,
    columns: usize,
    tail: &str,
    values: impl IntoIterator<Item = Value>,
) -> Result<u64> {
    let (mut values, mut changed) = (values.into_iter(), 0);
    let text = |rows| format!("{head} values {} {tail}", placeholders(rows, columns));
    let full = text(BATCH);
    loop {
        let mut part = Vec::with_capacity(BATCH * columns);
        part.extend(values.by_ref().take(BATCH * columns));
        let rows = part.len() / columns;
        changed += match rows {
            0 => return Ok(changed),
            BATCH => db.write(&full, part)?,
            rows => db.write(&text(rows), part)?,
        };
    }
}
