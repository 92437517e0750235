//! The port on PostgreSQL, whatever carries the statements: it translates them, gives transactions the meaning they
//! have in SQLite, and sorts errors.

use std::borrow::Cow;
use std::cell::Cell;

use crate::dialect::{self, LOCK};
use crate::port::{Db, Engine, Error, Result, Row, Value};

/// Carries statements in PostgreSQL's dialect over one connection.
pub trait Wire {
    /// Runs one statement and returns all its rows.
    ///
    /// # Errors
    /// When the server refuses it or cannot be reached.
    fn query(&self, sql: &str, params: &[Value]) -> Result<Vec<Row>>;

    /// Runs one statement and returns how many rows it changed.
    ///
    /// # Errors
    /// When the server refuses it or cannot be reached.
    fn execute(&self, sql: &str, params: &[Value]) -> Result<u64>;
}

/// One connection to a database.
pub struct Postgres<W: Wire> {
    wire: W,
    state: Cell<State>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// No transaction is open.
    Idle,
    /// One is open.
    Open,
    /// One is open in which a statement failed: PostgreSQL would answer its commit with a rollback, and call it a success.
    Broken,
}

impl<W: Wire> Postgres<W> {
    /// Speaks over a connection on which no transaction is open.
    pub fn new(wire: W) -> Self {
        Postgres {
            wire,
            state: Cell::new(State::Idle),
        }
    }

    /// What carries the statements.
    pub fn wire(&self) -> &W {
        &self.wire
    }

    fn begin(&self) -> Result<()> {
        if self.state.get() != State::Idle {
            return Err(Error::Other(
                "cannot start a transaction within a transaction".to_owned(),
            ));
        }
        self.wire.execute("begin", &[])?;
        self.state.set(State::Open);
        // Statements after this one see all that those who held the lock before have written.
        self.noted(self.wire.execute(LOCK, &[]))
            .map(|_| ())
            .inspect_err(|_| self.rollback())
    }

    fn commit(&self) -> Result<()> {
        match self.state.get() {
            State::Idle => Err(Error::Other("no transaction is open".to_owned())),
            State::Open => {
                let committed = self.wire.execute("commit", &[]);
                match &committed {
                    Ok(_) => self.state.set(State::Idle),
                    Err(_) => self.state.set(State::Broken),
                }
                committed.map(|_| ())
            }
            State::Broken => {
                self.rollback();
                let reason = "a statement of this transaction failed, and nothing of it was kept";
                Err(Error::Other(reason.to_owned()))
            }
        }
    }

    /// Best effort: a connection that cannot even do this is of no use to anybody, and the server rolls back by itself.
    fn rollback(&self) {
        let _ = self.wire.execute("rollback", &[]);
        self.state.set(State::Idle);
    }

    fn noted<T>(&self, result: Result<T>) -> Result<T> {
        if result.is_err() && self.state.get() == State::Open {
            self.state.set(State::Broken);
        }
        result
    }

    /// Runs a statement, as a transaction of its own that waits for other writers where it must.
    fn run<T>(
        &self,
        sql: &str,
        params: &[Value],
        work: impl FnOnce(&str, &[Value]) -> Result<T>,
    ) -> Result<T> {
        let statement = dialect::statement(sql, params);
        let params = without_nul(params);
        if self.state.get() != State::Idle || !statement.reads_to_write {
            return self.noted(work(&statement.sql, &params));
        }
        self.begin()?;
        let done = self.noted(work(&statement.sql, &params));
        match done {
            Ok(done) => self
                .commit()
                .inspect_err(|_| self.rollback())
                .map(|()| done),
            Err(e) => {
                self.rollback();
                Err(e)
            }
        }
    }
}

impl<W: Wire> Db for Postgres<W> {
    fn engine(&self) -> Engine {
        Engine::Postgres
    }

    fn query(&self, sql: &str, params: &[Value]) -> Result<Vec<Row>> {
        self.run(sql, params, |sql, params| self.wire.query(sql, params))
    }

    fn execute(&self, sql: &str, params: &[Value]) -> Result<u64> {
        match sql {
            "begin immediate" => self.begin().map(|()| 0),
            "commit" => self.commit().map(|()| 0),
            "rollback" => {
                self.rollback();
                Ok(0)
            }
            sql => self.run(sql, params, |sql, params| self.wire.execute(sql, params)),
        }
    }
}

impl<W: Wire> Drop for Postgres<W> {
    fn drop(&mut self) {
        // A pool may hand the connection to somebody else as it is.
        if self.state.get() != State::Idle {
            self.rollback();
        }
    }
}

/// PostgreSQL keeps no NUL in texts; the sign for what cannot be shown stands in for it.
fn without_nul(params: &[Value]) -> Cow<'_, [Value]> {
    let has_nul = |v: &Value| matches!(v, Value::Text(text) if text.contains('\0'));
    if !params.iter().any(has_nul) {
        return Cow::Borrowed(params);
    }
    let clean = |v: &Value| match v {
        Value::Text(text) => Value::Text(text.replace('\0', "\u{fffd}")),
        v => v.clone(),
    };
    Cow::Owned(params.iter().map(clean).collect())
}

/// A NUMERIC, which sums are, as the number it is.
pub fn number(text: &str) -> Value {
    match text.parse() {
        Ok(integer) => Value::Integer(integer),
        Err(_) => text.parse().map_or(Value::Null, Value::Real),
    }
}

impl Error {
    /// Sorts an error of PostgreSQL by its SQLSTATE into the classes that callers tell apart.
    pub fn from_sqlstate(code: &str, message: &str) -> Self {
        let message = format!("{message} ({code})");
        match code {
            "53100" => Error::Full(message),
            // Serialization, deadlock, lock not available, canceled (statement_timeout).
            "40001" | "40P01" | "55P03" | "57014" => Error::Busy(message),
            // A read-only server is one that is taking over, or being moved.
            "25006" | "25P03" => Error::Unavailable(message),
            // Two more are databases and roles, tables and functions that are there already.
            "42P04" | "42710" => Error::Constraint(message),
            code => match code.get(..2) {
                Some("23") => Error::Constraint(message),
                // Connections, resources (too many clients, memory), operator (shutting down, starting up), system.
                Some("08" | "53" | "57" | "58") => Error::Unavailable(message),
                _ => Error::Other(message),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_sorted_by_their_code() {
        let class = |code| Error::from_sqlstate(code, "x");
        assert!(matches!(class("53100"), Error::Full(_)));
        for busy in ["40001", "40P01", "55P03", "57014"] {
            assert!(matches!(class(busy), Error::Busy(_)), "{busy}");
        }
        for away in ["53300", "57P01", "57P03", "08006", "25006"] {
            assert!(matches!(class(away), Error::Unavailable(_)), "{away}");
        }
        assert!(matches!(class("23505"), Error::Constraint(_)));
        assert!(matches!(class("42P01"), Error::Other(_)));
        assert!(matches!(class(""), Error::Other(_)));
    }

    #[test]
    fn sums_are_integers_where_they_can_be() {
        assert_eq!(number("12"), Value::Integer(12));
        assert_eq!(number("-0.5"), Value::Real(-0.5));
        assert_eq!(number("NaN?"), Value::Null);
    }
}
