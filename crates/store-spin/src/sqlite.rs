//! SQLite by label.

use spin_sdk::sqlite::wit::sqlite::{self as wit, Connection};
use store::{Db, Engine, Error, Result, Row, Value};

/// A connection to one labelled database. Dropped inside a transaction, it is rolled back by the host.
pub struct Sqlite(Connection);

impl Sqlite {
    /// Opens the database of a label.
    ///
    /// # Errors
    /// When the manifest does not give this label to the component.
    pub fn open(label: &str) -> Result<Self> {
        Connection::open(label).map(Sqlite).map_err(|e| match e {
            wit::Error::NoSuchDatabase | wit::Error::AccessDenied => Error::Other(format!(
                "there is no database “{label}” for this component: list it in the manifest"
            )),
            e => error(e),
        })
    }
}

fn error(e: wit::Error) -> Error {
    match e {
        wit::Error::Io(message) => Error::from_sqlite(message),
        wit::Error::DatabaseFull => Error::Full("no room is left".to_owned()),
        e => Error::Other(format!("{e:?}")),
    }
}

impl Db for Sqlite {
    fn engine(&self) -> Engine {
        Engine::Sqlite
    }

    fn query(&self, sql: &str, params: &[Value]) -> Result<Vec<Row>> {
        let params: Vec<_> = params.iter().cloned().map(param).collect();
        let result = self.0.execute(sql, &params).map_err(error)?;
        let row = |r: wit::RowResult| Row(r.values.into_iter().map(value).collect());
        Ok(result.rows.into_iter().map(row).collect())
    }

    fn execute(&self, sql: &str, params: &[Value]) -> Result<u64> {
        self.query(sql, params)?;
        Ok(self.0.changes())
    }

    fn write(&self, sql: &str, params: Vec<Value>) -> Result<u64> {
        let params: Vec<_> = params.into_iter().map(param).collect();
        self.0.execute(sql, &params).map_err(error)?;
        Ok(self.0.changes())
    }
}

fn param(v: Value) -> wit::Value {
    match v {
        Value::Null => wit::Value::Null,
        Value::Integer(v) => wit::Value::Integer(v),
        Value::Real(v) => wit::Value::Real(v),
        Value::Text(v) => wit::Value::Text(v),
        Value::Blob(v) => wit::Value::Blob(v),
    }
}

fn value(v: wit::Value) -> Value {
    match v {
        wit::Value::Null => Value::Null,
        wit::Value::Integer(v) => Value::Integer(v),
        wit::Value::Real(v) => Value::Real(v),
        wit::Value::Text(v) => Value::Text(v),
        wit::Value::Blob(v) => Value::Blob(v),
    }
}
