//! One connection: statements kept prepared, what comes back, and what may be tried again.

use super::bindings::spin::postgres::postgres::{
    Column, DbError, DbValue, Error, ParameterValue, QueryError,
};
use super::postgres_target::describe;
use super::postgres_value::{Cell, Parameter, data_type};
use futures::{StreamExt, pin_mut};
use std::collections::HashMap;
use std::time::Duration;
use tokio::task::AbortHandle;
use tokio_postgres::error::SqlState;
use tokio_postgres::{CancelToken, Client, Statement};

/// A result holds at most this many bytes; more wants a cursor or a LIMIT.
const LARGEST_RESULT: usize = 128 << 20;
/// Statements kept prepared for each connection, and how long their text may be.
const STATEMENTS: usize = 128;
const LONGEST_KEPT: usize = 64 << 10;

/// Ends what the last user left: an open transaction, settings, locks, cursors, temporary tables.
/// Prepared statements stay, which `DISCARD ALL` would not let them.
const RESET: &str = "SET SESSION AUTHORIZATION DEFAULT; RESET ALL; CLOSE ALL; UNLISTEN *; \
                     SELECT pg_advisory_unlock_all(); DISCARD TEMP; DISCARD SEQUENCES";
/// Statements after which no transaction is open that was not open before.
const PLAIN: [&str; 6] = ["select", "insert", "update", "delete", "with", "values"];

/// A connection and its prepared statements.
pub struct Wire {
    client: Client,
    carrier: AbortHandle,
    statements: HashMap<String, Kept>,
    uses: u64,
    busy: bool,
    used: bool,
    tainted: bool,
    /// Whether a transaction may be open.
    transacting: bool,
}

impl Drop for Wire {
    /// Nobody waits for the end of a statement that its user gave up: a silent server would keep the connection open.
    fn drop(&mut self) {
        if self.busy {
            self.carrier.abort();
        }
    }
}

struct Kept {
    statement: Statement,
    last: u64,
}

/// What a statement gave.
pub struct Outcome {
    /// The columns of its rows.
    pub columns: Vec<Column>,
    /// Its rows.
    pub rows: Vec<Vec<DbValue>>,
    /// How many rows it changed, or found.
    pub affected: u64,
}

/// Why a statement gave nothing.
pub enum Failure {
    /// For the guest to see.
    Said(Error),
    /// The connection was dead before the statement could take effect.
    Unsent(Error),
}

impl Wire {
    /// A fresh connection, and the task that carries its bytes.
    pub fn new(client: Client, carrier: AbortHandle) -> Self {
        Self {
            client,
            carrier,
            statements: HashMap::new(),
            uses: 0,
            busy: false,
            used: false,
            tainted: false,
            transacting: false,
        }
    }

    /// True when the connection is known to be over.
    pub fn is_closed(&self) -> bool {
        self.client.is_closed()
    }

    /// True while a statement was begun whose end nobody saw.
    pub fn is_busy(&self) -> bool {
        self.busy
    }

    /// True when a user did what no reset undoes without losing the prepared statements.
    pub fn is_tainted(&self) -> bool {
        self.tainted
    }

    /// Ends the running statement from another connection.
    pub fn cancel_token(&self) -> CancelToken {
        self.client.cancel_token()
    }

    /// Whether the server answers on this connection.
    pub async fn answers(&mut self, within: Duration) -> bool {
        self.trifle("", within).await
    }

    /// Removes the traces of the last user; `false` when that failed.
    pub async fn reset(&mut self, within: Duration) -> bool {
        // The server logs a warning where there is nothing to roll back.
        let rollback = if self.transacting { "ROLLBACK; " } else { "" };
        let done = self.trifle(&format!("{rollback}{RESET}"), within).await;
        self.transacting &= !done;
        done
    }

    async fn trifle(&mut self, sql: &str, within: Duration) -> bool {
        self.busy = true;
        let asking = self.client.batch_execute(sql);
        self.busy = !matches!(tokio::time::timeout(within, asking).await, Ok(Ok(())));
        !self.busy
    }

    /// Says that a new user has it.
    pub fn lend(&mut self) {
        self.used = false;
    }

    /// Executes one statement.
    pub async fn run(
        &mut self,
        sql: &str,
        parameters: &[ParameterValue],
    ) -> Result<Outcome, Failure> {
        if self.client.is_closed() {
            return Err(self.unsent(lost("before the statement was sent")));
        }
        if !self.transacting && is_rollback(sql) {
            return Ok(Outcome {
                columns: Vec::new(),
                rows: Vec::new(),
                affected: 0,
            });
        }
        self.busy = true;
        self.tainted |= begins_with(sql, &["prepare"]);
        self.transacting |= !begins_with(sql, &PLAIN);
        let result = self.attempt(sql, parameters).await;
        let result = match result {
            // Somebody changed a table, or dropped all prepared statements: nothing was executed.
            Err(Step::Execute(error))
                if is_stale(&error) && self.statements.remove(sql).is_some() =>
            {
                match self.attempt(sql, parameters).await {
                    // It was inside a transaction, which is over.
                    Err(again) if code(&again) == Some(&SqlState::IN_FAILED_SQL_TRANSACTION) => {
                        Err(Step::Execute(error))
                    }
                    result => result,
                }
            }
            result => result,
        };
        // A result too large was not read to its end.
        self.busy = matches!(result, Err(Step::TooLarge));
        match result {
            Ok(outcome) => {
                self.used = true;
                self.transacting &= !(is_rollback(sql) || sql.eq_ignore_ascii_case("commit"));
                Ok(outcome)
            }
            Err(step) => Err(self.failure(step)),
        }
    }

    async fn attempt(&mut self, sql: &str, parameters: &[ParameterValue]) -> Result<Outcome, Step> {
        let statement = self.prepare(sql).await.map_err(Step::Prepare)?;
        let types = statement.params();
        if types.len() != parameters.len() {
            let (given, wanted) = (parameters.len(), types.len());
            return Err(Step::Parameter(format!(
                "{given} parameters given, the statement has {wanted}"
            )));
        }
        let mut bound = Vec::with_capacity(parameters.len());
        for (index, (value, kind)) in parameters.iter().zip(types).enumerate() {
            let parameter = Parameter::new(value, kind)
                .map_err(|what| Step::Parameter(format!("parameter {}: {what}", index + 1)))?;
            bound.push(parameter);
        }
        let columns = statement.columns().iter().map(|column| Column {
            name: column.name().to_owned(),
            data_type: data_type(column.type_()),
        });
        let columns = columns.collect();
        let stream = self.client.query_raw(&statement, bound).await;
        let stream = stream.map_err(Step::Execute)?;
        pin_mut!(stream);
        let (mut rows, mut size) = (Vec::new(), 0);
        let mut unreadable = None;
        while let Some(row) = stream.next().await {
            let row = row.map_err(Step::Execute)?;
            size += row.raw_size_bytes() + 24;
            if size > LARGEST_RESULT {
                return Err(Step::TooLarge);
            }
            let cells =
                (0..row.len()).map(|index| row.try_get::<_, Cell>(index).map(|cell| cell.0));
            match cells.collect::<Result<Vec<_>, _>>() {
                Ok(cells) => rows.push(cells),
                // The rest is still read, so that the connection can go on.
                Err(error) => unreadable = unreadable.or(Some(describe(&error))),
            }
        }
        match unreadable {
            Some(what) => Err(Step::Value(what)),
            None => Ok(Outcome {
                columns,
                rows,
                affected: stream.rows_affected().unwrap_or(0),
            }),
        }
    }

    /// A prepared statement; the one not used for the longest time makes room.
    async fn prepare(&mut self, sql: &str) -> Result<Statement, tokio_postgres::Error> {
        self.uses += 1;
        if let Some(kept) = self.statements.get_mut(sql) {
            kept.last = self.uses;
            return Ok(kept.statement.clone());
        }
        let statement = self.client.prepare(sql).await?;
        if sql.len() > LONGEST_KEPT || begins_with(sql, &["create", "alter", "drop", "prepare"]) {
            return Ok(statement);
        }
        if self.statements.len() >= STATEMENTS {
            let oldest = self.statements.iter().min_by_key(|(_, kept)| kept.last);
            if let Some(oldest) = oldest.map(|(sql, _)| sql.clone()) {
                self.statements.remove(&oldest);
            }
        }
        let kept = Kept {
            statement: statement.clone(),
            last: self.uses,
        };
        self.statements.insert(sql.to_owned(), kept);
        Ok(statement)
    }

    fn failure(&mut self, step: Step) -> Failure {
        let (error, harmless) = match step {
            Step::Parameter(what) => return Failure::Said(Error::BadParameter(what)),
            Step::Value(what) => return Failure::Said(Error::ValueConversionFailed(what)),
            Step::TooLarge => {
                let text = format!("the result is larger than {} MB", LARGEST_RESULT >> 20);
                return Failure::Said(Error::QueryFailed(QueryError::Text(text)));
            }
            Step::Prepare(error) => (error, true),
            Step::Execute(error) => (error, false),
        };
        let Some(said) = error.as_db_error() else {
            let gone = self.client.is_closed() || error.is_closed();
            return match (gone, harmless) {
                (true, true) => self.unsent(lost("before the statement was executed")),
                (true, false) => Failure::Said(lost(
                    "while the statement was being executed; whether it took effect is not known",
                )),
                (false, _) => Failure::Said(Error::QueryFailed(QueryError::Text(describe(&error)))),
            };
        };
        // A server that ends a connection says so instead of executing what comes next.
        let ended = [
            SqlState::ADMIN_SHUTDOWN,
            SqlState::CRASH_SHUTDOWN,
            SqlState::CANNOT_CONNECT_NOW,
            SqlState::IDLE_SESSION_TIMEOUT,
        ];
        match ended.contains(said.code()) {
            true => self.unsent(query_failed(&error, said)),
            false => Failure::Said(query_failed(&error, said)),
        }
    }

    /// Only a user's first statement can move to another connection: later ones may be part of a
    /// transaction, or need what was set before.
    fn unsent(&self, error: Error) -> Failure {
        match self.used {
            true => Failure::Said(error),
            false => Failure::Unsent(error),
        }
    }
}

enum Step {
    Prepare(tokio_postgres::Error),
    Execute(tokio_postgres::Error),
    Parameter(String),
    Value(String),
    TooLarge,
}

fn lost(when: &str) -> Error {
    Error::ConnectionFailed(format!("the connection to PostgreSQL was lost {when}"))
}

fn code(step: &Step) -> Option<&SqlState> {
    match step {
        Step::Prepare(error) | Step::Execute(error) => error.code(),
        _ => None,
    }
}

/// Whether a prepared statement no longer fits.
fn is_stale(error: &tokio_postgres::Error) -> bool {
    let Some(said) = error.as_db_error() else {
        return false;
    };
    let changed = said.message().contains("cached plan must not change");
    *said.code() == SqlState::INVALID_SQL_STATEMENT_NAME
        || (*said.code() == SqlState::FEATURE_NOT_SUPPORTED && changed)
}

fn is_rollback(sql: &str) -> bool {
    sql.eq_ignore_ascii_case("rollback")
}

fn begins_with(sql: &str, words: &[&str]) -> bool {
    let mut parts = sql.trim_start().split(|c: char| !c.is_ascii_alphabetic());
    let first = parts.next().unwrap_or_default();
    words.iter().any(|word| first.eq_ignore_ascii_case(word))
}

fn query_failed(error: &tokio_postgres::Error, said: &tokio_postgres::error::DbError) -> Error {
    let extras = [
        ("hint", said.hint()),
        ("where", said.where_()),
        ("schema", said.schema()),
        ("table", said.table()),
        ("column", said.column()),
        ("datatype", said.datatype()),
        ("constraint", said.constraint()),
        ("routine", said.routine()),
    ];
    let extras = extras.into_iter();
    let known = extras.filter_map(|(name, value)| Some((name.to_owned(), value?.to_owned())));
    Error::QueryFailed(QueryError::DbError(DbError {
        as_text: describe(error),
        severity: said.severity().to_owned(),
        code: said.code().code().to_owned(),
        message: said.message().to_owned(),
        detail: said.detail().map(str::to_owned),
        extras: known.collect(),
    }))
}
