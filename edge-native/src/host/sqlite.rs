//! `spin:sqlite@3.1.0`: every opened connection is a real one of its own, so a transaction may
//! span calls. Statements run on the calling thread; only waiting for another writer lets it go.

use super::InstanceState;
use super::bindings::spin::sqlite::sqlite::{
    self, Error, Host, HostConnection, HostConnectionWithStore, QueryResult, RowResult, Value,
};
use super::sqlite_pool::{Databases, Label, Pooled};
use super::sqlite_query::{Attempt, attempt, describe};
use std::sync::Arc;
use std::time::{Duration, Instant};
use wasmtime::component::{
    Accessor, FutureReader, HasData, Linker, Resource, ResourceTable, StreamReader,
};

/// How long a statement waits for another writer, in all.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// A write of one statement is over so soon that looking again at once beats going to sleep.
const SPIN: Duration = Duration::from_micros(40);

/// Adds the capability.
pub fn link(linker: &mut Linker<InstanceState>) -> wasmtime::Result<()> {
    sqlite::add_to_linker::<_, Sqlite>(linker, |state| state)
}

/// Marks the capability in the linker.
pub struct Sqlite;

impl HasData for Sqlite {
    type Data<'a> = &'a mut InstanceState;
}

/// A guest's connection; the real one is taken from the pool when it is first used.
pub struct Connection {
    databases: Arc<Databases>,
    label: Arc<Label>,
    pooled: Option<Pooled>,
    lent: bool,
}

impl Connection {
    /// A connection to a label, not opened yet.
    pub fn new(databases: Arc<Databases>, label: Arc<Label>) -> Self {
        Self {
            databases,
            label,
            pooled: None,
            lent: false,
        }
    }

    /// Takes the real connection out for an asynchronous call; `None` while another call has it.
    fn lend(&mut self) -> Option<Self> {
        if std::mem::replace(&mut self.lent, true) {
            return None;
        }
        let (databases, label) = (self.databases.clone(), self.label.clone());
        Some(Self {
            databases,
            label,
            pooled: self.pooled.take(),
            lent: false,
        })
    }

    fn give_back(&mut self, connection: Self) {
        self.pooled = connection.pooled;
        self.lent = false;
    }

    /// Executes a statement, waiting for other writers up to the busy timeout.
    pub async fn execute(&mut self, sql: &str, parameters: &[Value]) -> Result<QueryResult, Error> {
        if self.pooled.is_none() {
            self.pooled = Some(self.databases.take(&self.label).map_err(|e| describe(&e))?);
        }
        let started = Instant::now();
        loop {
            if let Some(result) = self.attempt(sql, parameters, true) {
                return result;
            }
            if started.elapsed() >= SPIN {
                break;
            }
            std::thread::yield_now();
        }
        // Others may be waiting for this very transaction, so it must not wait behind them.
        let turn = match self.in_transaction() {
            true => None,
            false => Some(
                self.label
                    .queue
                    .turn(BUSY_TIMEOUT)
                    .await
                    .ok_or_else(locked)?,
            ),
        };
        loop {
            if let Some(result) = self.attempt(sql, parameters, false) {
                return result;
            }
            if started.elapsed() >= BUSY_TIMEOUT {
                return Err(locked());
            }
            match &turn {
                Some(turn) => turn.wait().await,
                None => tokio::time::sleep(Duration::from_millis(1)).await,
            }
        }
    }

    fn in_transaction(&self) -> bool {
        let connection = self.pooled.as_ref().and_then(Pooled::get);
        connection.is_some_and(|connection| !connection.is_autocommit())
    }

    /// Tries once; `None` while another connection writes, or when it is `polite` and others wait
    /// to write.
    fn attempt(
        &self,
        sql: &str,
        parameters: &[Value],
        polite: bool,
    ) -> Option<Result<QueryResult, Error>> {
        let Some(connection) = self.pooled.as_ref().and_then(Pooled::get) else {
            return Some(Err(Error::InvalidConnection));
        };
        let give_way = || polite && self.label.queue.is_overdue();
        match attempt(connection, sql, parameters, give_way) {
            Attempt::Busy => None,
            Attempt::Done(result) => {
                self.label.queue.ended();
                Some(result)
            }
        }
    }

    fn last_insert_rowid(&self) -> i64 {
        self.pooled
            .as_ref()
            .and_then(Pooled::get)
            .map_or(0, |c| c.last_insert_rowid())
    }

    fn changes(&self) -> u64 {
        self.pooled
            .as_ref()
            .and_then(Pooled::get)
            .map_or(0, |c| c.changes())
    }
}

fn locked() -> Error {
    Error::Io("database is locked".to_owned())
}

fn open(state: &InstanceState, name: &str) -> Result<Connection, Error> {
    if !state.grants.config.sqlite.contains(name) {
        return Err(Error::AccessDenied);
    }
    let databases = &state.grants.databases;
    let label = databases.label(name).ok_or(Error::NoSuchDatabase)?;
    Ok(Connection::new(databases.clone(), label.clone()))
}

fn push(
    table: &mut ResourceTable,
    connection: Result<Connection, Error>,
) -> wasmtime::Result<Result<Resource<Connection>, Error>> {
    match connection {
        Ok(connection) => Ok(Ok(table.push(connection)?)),
        Err(error) => Ok(Err(error)),
    }
}

impl Host for &mut InstanceState {}

impl HostConnection for &mut InstanceState {
    fn open(&mut self, name: String) -> wasmtime::Result<Result<Resource<Connection>, Error>> {
        let connection = open(self, &name);
        push(&mut self.table, connection)
    }

    async fn execute(
        &mut self,
        this: Resource<Connection>,
        sql: String,
        parameters: Vec<Value>,
    ) -> wasmtime::Result<Result<QueryResult, Error>> {
        Ok(self.table.get_mut(&this)?.execute(&sql, &parameters).await)
    }

    fn last_insert_rowid(&mut self, this: Resource<Connection>) -> wasmtime::Result<i64> {
        Ok(self.table.get(&this)?.last_insert_rowid())
    }

    fn changes(&mut self, this: Resource<Connection>) -> wasmtime::Result<u64> {
        Ok(self.table.get(&this)?.changes())
    }

    fn drop(&mut self, this: Resource<Connection>) -> wasmtime::Result<()> {
        self.table.delete(this)?;
        Ok(())
    }
}

type Rows = (
    Vec<String>,
    StreamReader<RowResult>,
    FutureReader<Result<(), Error>>,
);

impl HostConnectionWithStore<InstanceState> for Sqlite {
    async fn open_async(
        accessor: &Accessor<InstanceState, Self>,
        name: String,
    ) -> wasmtime::Result<Result<Resource<Connection>, Error>> {
        accessor.with(|mut access| access.get().open(name))
    }

    async fn execute_async(
        accessor: &Accessor<InstanceState, Self>,
        this: Resource<Connection>,
        sql: String,
        parameters: Vec<Value>,
    ) -> wasmtime::Result<Result<Rows, Error>> {
        let mut connection = loop {
            let taken = accessor.with(|mut access| -> wasmtime::Result<_> {
                let connection = access.get().table.get_mut(&this)?;
                Ok(connection.lend())
            })?;
            match taken {
                Some(connection) => break connection,
                // Another call of the same guest is waiting for a lock on this connection.
                None => tokio::time::sleep(Duration::from_millis(1)).await,
            }
        };
        let result = connection.execute(&sql, &parameters).await;
        accessor.with(|mut access| {
            if let Ok(this) = access.get().table.get_mut(&this) {
                this.give_back(connection);
            }
            Ok(match result {
                Err(error) => Err(error),
                Ok(QueryResult { columns, rows }) => {
                    let rows = StreamReader::new(&mut access, rows)?;
                    let end = async { wasmtime::error::Ok(Ok(())) };
                    Ok((columns, rows, FutureReader::new(&mut access, end)?))
                }
            })
        })
    }

    async fn last_insert_rowid_async(
        accessor: &Accessor<InstanceState, Self>,
        this: Resource<Connection>,
    ) -> wasmtime::Result<i64> {
        accessor.with(|mut access| access.get().last_insert_rowid(this))
    }

    async fn changes_async(
        accessor: &Accessor<InstanceState, Self>,
        this: Resource<Connection>,
    ) -> wasmtime::Result<u64> {
        accessor.with(|mut access| access.get().changes(this))
    }
}

#[cfg(test)]
#[path = "sqlite_tests.rs"]
mod tests;
