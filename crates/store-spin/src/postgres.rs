//! PostgreSQL by address.

use spin_sdk::pg::wit::postgres::{
    Connection, DbValue, Error as PgError, ParameterValue, QueryError,
};
use store::postgres::number;
use store::{Error, Result, Row, Value};

/// A connection to one database on a server.
pub type Postgres = store::postgres::Postgres<Wire>;

/// How many connections of the host's pool are tried: some may have died with the server they were made to.
const TRIES: usize = 4;

/// Connects to a database.
///
/// # Errors
/// When the server cannot be reached, or the manifest does not allow this component to.
pub fn connect(address: &str) -> Result<Postgres> {
    let mut last = Error::Unavailable("no connection".to_owned());
    for _ in 0..TRIES {
        let connection = Connection::open(address).map_err(error)?;
        // Whoever had it before may have left a transaction open, and the host would not end it.
        match connection.execute("rollback", &[]) {
            Ok(_) => return Ok(Postgres::new(Wire(connection))),
            Err(e) => last = error(e),
        }
    }
    Err(last)
}

/// Carries statements over one connection.
pub struct Wire(Connection);

impl store::postgres::Wire for Wire {
    fn query(&self, sql: &str, params: &[Value]) -> Result<Vec<Row>> {
        let params: Vec<_> = params.iter().map(param).collect();
        let answer = self.0.query(sql, &params).map_err(error)?;
        let row = |row: Vec<DbValue>| Row(row.into_iter().map(value).collect());
        Ok(answer.rows.into_iter().map(row).collect())
    }

    fn execute(&self, sql: &str, params: &[Value]) -> Result<u64> {
        let params: Vec<_> = params.iter().map(param).collect();
        self.0.execute(sql, &params).map_err(error)
    }
}

fn error(e: PgError) -> Error {
    match e {
        PgError::ConnectionFailed(message) => Error::Unavailable(message),
        PgError::QueryFailed(QueryError::DbError(e)) => Error::from_sqlstate(&e.code, &e.message),
        // Without a structure there was no answer of the server: the connection broke, unless it says something else.
        PgError::QueryFailed(QueryError::Text(message)) => {
            let broken = ["connection", "communicating", "closed", "timed out"];
            match broken.iter().any(|word| message.contains(word)) {
                true => Error::Unavailable(message),
                false => Error::Other(message),
            }
        }
        PgError::BadParameter(message)
        | PgError::ValueConversionFailed(message)
        | PgError::Other(message) => Error::Other(message),
    }
}

fn param(v: &Value) -> ParameterValue {
    match v {
        Value::Null => ParameterValue::DbNull,
        Value::Integer(v) => ParameterValue::Int64(*v),
        Value::Real(v) => ParameterValue::Floating64(*v),
        Value::Text(v) => ParameterValue::Str(v.clone()),
        Value::Blob(v) => ParameterValue::Binary(v.clone()),
    }
}

fn value(v: DbValue) -> Value {
    match v {
        DbValue::Boolean(v) => Value::Integer(v.into()),
        DbValue::Int8(v) => Value::Integer(v.into()),
        DbValue::Int16(v) => Value::Integer(v.into()),
        DbValue::Int32(v) => Value::Integer(v.into()),
        DbValue::Int64(v) => Value::Integer(v),
        DbValue::Floating32(v) => Value::Real(v.into()),
        DbValue::Floating64(v) => Value::Real(v),
        DbValue::Str(v) => Value::Text(v),
        DbValue::Binary(v) => Value::Blob(v),
        DbValue::Decimal(v) => number(&v),
        // Names of the catalogue come as bytes.
        DbValue::Unsupported(v) | DbValue::Jsonb(v) => {
            Value::Text(String::from_utf8_lossy(&v).into_owned())
        }
        // The schema has no other types.
        _ => Value::Null,
    }
}
