//! The port on rusqlite.

use std::path::Path;
use std::time::Duration;

use rusqlite::types::{ToSqlOutput, ValueRef};
use store::{Db, Engine, Error, Result, Row, Value};

/// One connection to an SQLite database.
pub struct Sqlite(rusqlite::Connection);

impl Sqlite {
    /// Opens a database file, made if there is none, with the settings the host gives to components.
    ///
    /// # Errors
    /// When the file cannot be opened or is no database.
    pub fn open(path: &Path) -> Result<Self> {
        Self::prepare(rusqlite::Connection::open(path).map_err(error)?)
    }

    /// A database in memory that is gone when it is dropped.
    ///
    /// # Errors
    /// When there is no memory for it.
    pub fn in_memory() -> Result<Self> {
        Self::prepare(rusqlite::Connection::open_in_memory().map_err(error)?)
    }

    fn prepare(connection: rusqlite::Connection) -> Result<Self> {
        connection
            .busy_timeout(Duration::from_secs(5))
            .map_err(error)?;
        connection.set_prepared_statement_cache_capacity(128);
        for pragma in [
            "pragma foreign_keys = on",
            "pragma journal_mode = wal",
            "pragma synchronous = normal",
        ] {
            connection
                .query_row(pragma, [], |_| Ok(()))
                .or_else(none_is_fine)
                .map_err(error)?;
        }
        Ok(Sqlite(connection))
    }

    /// Prepares a statement without running it.
    ///
    /// # Errors
    /// When the statement does not fit the schema.
    pub fn check(&self, sql: &str) -> Result<()> {
        self.0.prepare(sql).map(|_| ()).map_err(error)
    }
}

fn none_is_fine(e: rusqlite::Error) -> rusqlite::Result<()> {
    match e {
        rusqlite::Error::QueryReturnedNoRows => Ok(()),
        e => Err(e),
    }
}

fn error(e: rusqlite::Error) -> Error {
    Error::from_sqlite(e)
}

struct Param<'a>(&'a Value);

impl rusqlite::ToSql for Param<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self.0 {
            Value::Null => ValueRef::Null,
            Value::Integer(v) => ValueRef::Integer(*v),
            Value::Real(v) => ValueRef::Real(*v),
            Value::Text(v) => ValueRef::Text(v.as_bytes()),
            Value::Blob(v) => ValueRef::Blob(v),
        }))
    }
}

impl Db for Sqlite {
    fn engine(&self) -> Engine {
        Engine::Sqlite
    }

    fn query(&self, sql: &str, params: &[Value]) -> Result<Vec<Row>> {
        let mut statement = self.0.prepare_cached(sql).map_err(error)?;
        let mut rows = statement
            .query(rusqlite::params_from_iter(params.iter().map(Param)))
            .map_err(error)?;
        let mut all = Vec::new();
        while let Some(row) = rows.next().map_err(error)? {
            // Asked of the row: a statement that was prepared before the schema changed is prepared anew by the first step.
            let columns = row.as_ref().column_count();
            let values = (0..columns)
                .map(|i| row.get_ref(i).map(value))
                .collect::<rusqlite::Result<_>>();
            all.push(Row(values.map_err(error)?));
        }
        Ok(all)
    }

    fn execute(&self, sql: &str, params: &[Value]) -> Result<u64> {
        let before = self.0.total_changes();
        self.query(sql, params)?;
        // Like the host's `changes`, but without what an earlier statement changed.
        Ok(if self.0.total_changes() == before {
            0
        } else {
            self.0.changes()
        })
    }
}

fn value(v: ValueRef<'_>) -> Value {
    match v {
        ValueRef::Null => Value::Null,
        ValueRef::Integer(v) => Value::Integer(v),
        ValueRef::Real(v) => Value::Real(v),
        ValueRef::Text(v) => Value::Text(String::from_utf8_lossy(v).into_owned()),
        ValueRef::Blob(v) => Value::Blob(v.to_vec()),
    }
}
