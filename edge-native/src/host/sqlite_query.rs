//! One statement on one connection: binding, stepping, and what comes back.

use super::bindings::spin::sqlite::sqlite::{Error, QueryResult, RowResult, Value};
use rusqlite::fallible_iterator::FallibleIterator;
use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{Batch, Connection, ErrorCode, Statement, ToSql};
use std::cell::Cell;
use std::time::{Duration, Instant};

/// A result holds at most this many bytes of values; more wants a cursor or a LIMIT.
const LARGEST_RESULT: usize = 128 << 20;

/// A statement that only reads may take this long: until it ends it holds up its thread, and all who wait for that.
const READING: Duration = Duration::from_secs(10);
/// Steps of SQLite's machine between two looks at the clock: some thousandths of a second.
const LOOK: i32 = 100_000;

/// What came of trying to execute a statement.
pub enum Attempt {
    /// It ran, or failed for good.
    Done(Result<QueryResult, Error>),
    /// Another connection is writing; nothing has happened and trying again may work.
    Busy,
}

/// Executes a statement. Only the first statement of the text is executed, as on Spin. A statement
/// that would begin to write lets others go first when `give_way` says so.
pub fn attempt(
    connection: &Connection,
    sql: &str,
    parameters: &[Value],
    give_way: impl Fn() -> bool,
) -> Attempt {
    let result = match connection.prepare_cached(sql) {
        Ok(statement) if connection.is_autocommit() && !statement.readonly() && give_way() => {
            return Attempt::Busy;
        }
        Ok(mut statement) if statement.readonly() => {
            UNTIL.set(Some(Instant::now() + READING));
            let result = run(&mut statement, parameters);
            UNTIL.set(None);
            result
        }
        Ok(mut statement) => run(&mut statement, parameters),
        Err(rusqlite::Error::MultipleStatement) => first_only(connection, sql, parameters),
        Err(error) => Err(Failure::Sqlite(error)),
    };
    match result {
        Ok(result) => Attempt::Done(Ok(result)),
        Err(Failure::Sqlite(error)) if is_busy(connection, &error) => Attempt::Busy,
        Err(Failure::Sqlite(error)) => Attempt::Done(Err(describe(&error))),
        Err(Failure::Said(text)) => Attempt::Done(Err(Error::Io(text))),
    }
}

thread_local! {
    /// When the statement that this thread executes must have ended.
    static UNTIL: Cell<Option<Instant>> = const { Cell::new(None) };
}

/// Whether the statement that this thread executes has had its time; SQLite asks now and then.
fn is_over() -> bool {
    UNTIL.get().is_some_and(|until| Instant::now() > until)
}

/// Has SQLite ask for the time while it executes statements.
pub fn watch(connection: &mut Connection) -> Result<(), rusqlite::Error> {
    connection.progress_handler(LOOK, Some(is_over))
}

enum Failure {
    Sqlite(rusqlite::Error),
    Said(String),
}

impl From<rusqlite::Error> for Failure {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sqlite(error)
    }
}

fn first_only(
    connection: &Connection,
    sql: &str,
    parameters: &[Value],
) -> Result<QueryResult, Failure> {
    tracing::warn!(
        sql,
        "only the first of several statements is executed, as on Spin"
    );
    match FallibleIterator::next(&mut Batch::new(connection, sql))? {
        Some(mut statement) => run(&mut statement, parameters),
        None => Ok(QueryResult {
            columns: Vec::new(),
            rows: Vec::new(),
        }),
    }
}

fn run(statement: &mut Statement, parameters: &[Value]) -> Result<QueryResult, Failure> {
    let (given, wanted) = (parameters.len(), statement.parameter_count());
    if given != wanted {
        let what = format!("{given} parameters given, the statement has {wanted}");
        return Err(Failure::Said(what));
    }
    let columns: Vec<String> = statement.column_names().map(str::to_owned).collect();
    for (position, value) in parameters.iter().enumerate() {
        statement.raw_bind_parameter(position + 1, Parameter(value))?;
    }
    let mut rows = Vec::new();
    let mut size = 0;
    let mut cursor = statement.raw_query();
    while let Some(row) = cursor.next()? {
        let mut values = Vec::with_capacity(columns.len());
        for column in 0..columns.len() {
            let value = row.get_ref(column)?;
            size += 16 + value_size(value);
            values.push(take(value)?);
        }
        if size > LARGEST_RESULT {
            let most = LARGEST_RESULT >> 20;
            return Err(Failure::Said(format!(
                "the result is larger than {most} MB"
            )));
        }
        rows.push(RowResult { values });
    }
    Ok(QueryResult { columns, rows })
}

struct Parameter<'v>(&'v Value);

impl ToSql for Parameter<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self.0 {
            Value::Integer(number) => ValueRef::Integer(*number),
            Value::Real(number) => ValueRef::Real(*number),
            Value::Text(text) => ValueRef::Text(text.as_bytes()),
            Value::Blob(bytes) => ValueRef::Blob(bytes),
            Value::Null => ValueRef::Null,
        }))
    }
}

fn take(value: ValueRef) -> Result<Value, Failure> {
    Ok(match value {
        ValueRef::Null => Value::Null,
        ValueRef::Integer(number) => Value::Integer(number),
        ValueRef::Real(number) => Value::Real(number),
        ValueRef::Blob(bytes) => Value::Blob(bytes.to_vec()),
        ValueRef::Text(bytes) => match std::str::from_utf8(bytes) {
            Ok(text) => Value::Text(text.to_owned()),
            Err(error) => return Err(Failure::Said(format!("a text value is not UTF-8: {error}"))),
        },
    })
}

fn value_size(value: ValueRef) -> usize {
    match value {
        ValueRef::Text(bytes) | ValueRef::Blob(bytes) => bytes.len(),
        _ => 8,
    }
}

/// SQLITE_BUSY, unless this transaction read a snapshot that has passed: that never gets better. A
/// statement of its own just reads a newer one.
fn is_busy(connection: &Connection, error: &rusqlite::Error) -> bool {
    let Some(error) = error.sqlite_error() else {
        return false;
    };
    let passed = error.extended_code == rusqlite::ffi::SQLITE_BUSY_SNAPSHOT;
    error.code == ErrorCode::DatabaseBusy && (!passed || connection.is_autocommit())
}

/// The error as the guest sees it.
pub fn describe(error: &rusqlite::Error) -> Error {
    match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => Error::DatabaseFull,
        Some(ErrorCode::OperationInterrupted) => Error::Io(format!(
            "interrupted: a statement that reads may take {} s",
            READING.as_secs()
        )),
        _ => Error::Io(error.to_string()),
    }
}
