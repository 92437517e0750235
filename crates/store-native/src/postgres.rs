//! The port on a PostgreSQL server, one connection at a time. Not for threads that run an asynchronous runtime.

use std::cell::RefCell;
use std::collections::HashMap;
use std::error::Error as _;

use ::postgres::types::{FromSql, IsNull, ToSql, Type, private::BytesMut};
use ::postgres::{Client, NoTls, Statement};
use store::postgres::number;
use store::{Error, Result, Row, Value};

/// A connection to one database on a server.
pub type Postgres = store::postgres::Postgres<Wire>;

/// Connects to a database: `host=/run/postgresql user=sluice password=… dbname=…`.
///
/// # Errors
/// When the server cannot be reached or lets nobody in.
pub fn connect(dsn: &str) -> Result<Postgres> {
    let client = Client::connect(dsn, NoTls).map_err(error)?;
    Ok(Postgres::new(Wire(RefCell::new(Connection {
        client,
        prepared: HashMap::new(),
    }))))
}

/// Carries statements over one connection.
pub struct Wire(RefCell<Connection>);

struct Connection {
    client: Client,
    prepared: HashMap<String, Statement>,
}

/// Statements that are kept prepared.
const PREPARED: usize = 128;

impl Connection {
    fn prepare(&mut self, sql: &str) -> Result<Statement> {
        if let Some(statement) = self.prepared.get(sql) {
            return Ok(statement.clone());
        }
        let statement = self.client.prepare(sql).map_err(error)?;
        // A plan for a table that changes is of no use any more.
        let changes_schema = ["create", "alter", "drop"]
            .iter()
            .any(|word| sql.starts_with(word));
        if changes_schema || self.prepared.len() >= PREPARED {
            self.prepared.clear();
        }
        if !changes_schema {
            self.prepared.insert(sql.to_owned(), statement.clone());
        }
        Ok(statement)
    }
}

impl Wire {
    /// Prepares a statement without running it.
    ///
    /// # Errors
    /// When the statement does not fit the schema.
    pub fn check(&self, sql: &str) -> Result<()> {
        self.0
            .borrow_mut()
            .client
            .prepare(sql)
            .map(|_| ())
            .map_err(error)
    }

    /// The process that serves this connection; it can be ended from another one.
    ///
    /// # Errors
    /// When the server does not answer.
    pub fn process(&self) -> Result<i64> {
        let rows = store::postgres::Wire::query(self, "select pg_backend_pid()", &[])?;
        Ok(rows.first().map_or(0, |r| r.int(0)))
    }
}

impl store::postgres::Wire for Wire {
    fn query(&self, sql: &str, params: &[Value]) -> Result<Vec<Row>> {
        let mut connection = self.0.borrow_mut();
        let statement = connection.prepare(sql)?;
        let params: Vec<_> = params.iter().map(Param).collect();
        let params: Vec<&(dyn ToSql + Sync)> = params.iter().map(|p| p as _).collect();
        let rows = connection
            .client
            .query(&statement, &params)
            .map_err(error)?;
        let row = |row: &::postgres::Row| {
            let values = (0..row.len()).map(|i| row.try_get::<_, Column>(i).map(|c| c.0));
            values.collect::<Result<_, _>>().map(Row).map_err(error)
        };
        rows.iter().map(row).collect()
    }

    fn execute(&self, sql: &str, params: &[Value]) -> Result<u64> {
        let mut connection = self.0.borrow_mut();
        let statement = connection.prepare(sql)?;
        let params: Vec<_> = params.iter().map(Param).collect();
        let params: Vec<&(dyn ToSql + Sync)> = params.iter().map(|p| p as _).collect();
        connection
            .client
            .execute(&statement, &params)
            .map_err(error)
    }
}

fn error(e: ::postgres::Error) -> Error {
    match e.as_db_error() {
        Some(db) => Error::from_sqlstate(db.code().code(), db.message()),
        // Without an answer of the server there is no connection, or never was one; the cause says more than the error.
        None if e.is_closed() || e.source().is_some_and(|s| s.is::<std::io::Error>()) => {
            let cause = e.source().map_or(e.to_string(), ToString::to_string);
            Error::Unavailable(cause)
        }
        None => Error::Other(match e.source() {
            Some(cause) => format!("{e}: {cause}"),
            None => e.to_string(),
        }),
    }
}

#[derive(Debug)]
struct Param<'a>(&'a Value);

impl ToSql for Param<'_> {
    fn to_sql(
        &self,
        ty: &Type,
        out: &mut BytesMut,
    ) -> Result<IsNull, Box<dyn std::error::Error + Sync + Send>> {
        match self.0 {
            Value::Null => Ok(IsNull::Yes),
            Value::Integer(v) => v.to_sql(ty, out),
            Value::Real(v) => v.to_sql(ty, out),
            Value::Text(v) => v.to_sql(ty, out),
            Value::Blob(v) => v.to_sql(ty, out),
        }
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    ::postgres::types::to_sql_checked!();
}

/// A value of any type that the store meets.
struct Column(Value);

impl<'a> FromSql<'a> for Column {
    fn from_sql(
        ty: &Type,
        raw: &'a [u8],
    ) -> Result<Self, Box<dyn std::error::Error + Sync + Send>> {
        Ok(Column(match *ty {
            Type::BOOL => Value::Integer(bool::from_sql(ty, raw)?.into()),
            Type::INT2 => Value::Integer(i16::from_sql(ty, raw)?.into()),
            Type::INT4 => Value::Integer(i32::from_sql(ty, raw)?.into()),
            Type::INT8 => Value::Integer(i64::from_sql(ty, raw)?),
            Type::OID => Value::Integer(u32::from_sql(ty, raw)?.into()),
            Type::FLOAT4 => Value::Real(f32::from_sql(ty, raw)?.into()),
            Type::FLOAT8 => Value::Real(f64::from_sql(ty, raw)?),
            Type::NUMERIC => numeric(raw),
            Type::BYTEA => Value::Blob(raw.to_vec()),
            Type::VOID => Value::Null,
            _ => Value::Text(String::from_utf8_lossy(raw).into_owned()),
        }))
    }

    fn from_sql_null(_: &Type) -> Result<Self, Box<dyn std::error::Error + Sync + Send>> {
        Ok(Column(Value::Null))
    }

    fn accepts(_: &Type) -> bool {
        true
    }
}

/// Reads the binary form of NUMERIC: the number of digits to the base 10,000, the weight of the first, the sign, the
/// decimal places, the digits, each two bytes.
fn numeric(raw: &[u8]) -> Value {
    let words: Vec<i16> = raw
        .chunks_exact(2)
        .map(|b| i16::from_be_bytes([b[0], b[1]]))
        .collect();
    let [_, weight, sign, places, digits @ ..] = &words[..] else {
        return Value::Null;
    };
    let digit = |at: i16| {
        digits
            .get(usize::try_from(at).unwrap_or(usize::MAX))
            .copied()
    };
    let mut text = match *sign {
        0x4000 => "-".to_owned(),
        0 => String::new(),
        // Not a number, or an infinite one.
        _ => return Value::Null,
    };
    text.push('0');
    for at in 0..=*weight {
        text.push_str(&format!("{:04}", digit(at).unwrap_or(0)));
    }
    let mut fraction = String::new();
    for at in 1..=(*places + 3) / 4 {
        fraction.push_str(&format!("{:04}", digit(*weight + at).unwrap_or(0)));
    }
    let fraction = fraction.trim_end_matches('0');
    if !fraction.is_empty() {
        text.push('.');
        text.push_str(fraction);
    }
    number(&text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raw(words: &[i16]) -> Vec<u8> {
        words.iter().flat_map(|w| w.to_be_bytes()).collect()
    }

    #[test]
    fn numerics_are_read() {
        assert_eq!(numeric(&raw(&[0, 0, 0, 0])), Value::Integer(0));
        assert_eq!(
            numeric(&raw(&[2, 1, 0, 0, 12, 34])),
            Value::Integer(120_034)
        );
        assert_eq!(
            numeric(&raw(&[1, 1, 0x4000, 0, 7])),
            Value::Integer(-70_000)
        );
        assert_eq!(numeric(&raw(&[2, 0, 0, 2, 1, 2500])), Value::Real(1.25));
        assert_eq!(numeric(&raw(&[1, -1, 0, 2, 2500])), Value::Real(0.25));
        assert_eq!(numeric(&[]), Value::Null);
    }
}
