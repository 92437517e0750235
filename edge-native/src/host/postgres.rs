//! `spin:postgres@4.2.0`: every opened connection is one from a pool, alone until it is dropped,
//! so a transaction may span calls. Waiting for the server lets the thread go.

use super::InstanceState;
use super::bindings::spin::postgres::postgres::{
    self, Column, DbValue, Error, Host, HostConnection, HostConnectionBuilder,
    HostConnectionBuilderWithStore, HostConnectionWithStore, ParameterValue, RowSet,
};
use super::postgres_pool::{Loan, Pools, Refusal};
use super::postgres_query::{Failure, Outcome};
use super::postgres_target::Key;
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, Weak};
use std::time::Duration;
use wasmtime::component::{
    Accessor, FutureReader, HasData, Linker, Resource, ResourceTable, StreamReader,
};

/// Adds the capability.
pub fn link(linker: &mut Linker<InstanceState>) -> wasmtime::Result<()> {
    postgres::add_to_linker::<_, Postgres>(linker, |state| state)
}

/// Marks the capability in the linker.
pub struct Postgres;

impl HasData for Postgres {
    type Data<'a> = &'a mut InstanceState;
}

/// What an instance has to do with PostgreSQL.
pub struct Client {
    pools: Arc<Pools>,
    /// Connections that it holds.
    held: Arc<AtomicUsize>,
}

impl Client {
    /// A fresh instance holds nothing.
    pub fn new(pools: Arc<Pools>) -> Self {
        Self {
            pools,
            held: Arc::default(),
        }
    }

    /// Takes a connection that may be taken by whoever may talk to `allowed`.
    fn opening(
        &self,
        allowed: &[crate::config::outbound::AllowedHost],
        key: Key,
    ) -> impl Future<Output = Result<Connection, Error>> + Send + use<> {
        let target = self.pools.target(&key).map_err(|why| why.to_string());
        let target = target.and_then(|target| match target.forbidden(allowed) {
            None => Ok(target),
            Some(host) => Err(format!(
                "the component may not connect to {host}; list `postgres://{host}` in its \
                 `allowed_outbound_hosts`"
            )),
        });
        let (pools, held) = (self.pools.clone(), self.held.clone());
        async move {
            let target = target.map_err(Error::ConnectionFailed)?;
            let loan = pools.take(&key, &target, &held).await.map_err(refuse)?;
            Ok(Connection {
                loan: Some(loan),
                working: Weak::new(),
            })
        }
    }
}

fn refuse(refusal: Refusal) -> Error {
    Error::ConnectionFailed(refusal.to_string())
}

/// A guest's connection; empty while an asynchronous call works on it, and for good when that was cancelled.
pub struct Connection {
    loan: Option<Loan>,
    /// Held by the call that works on it, however that ends.
    working: Weak<()>,
}

impl Connection {
    /// What an asynchronous call works with; none while another one does, an error when that was cancelled.
    fn begin(&mut self) -> Option<Result<(Loan, Arc<()>), Error>> {
        let working = Arc::new(());
        match self.loan.take() {
            Some(loan) => {
                self.working = Arc::downgrade(&working);
                Some(Ok((loan, working)))
            }
            None if self.working.strong_count() > 0 => None,
            None => Some(Err(self.empty())),
        }
    }

    fn empty(&self) -> Error {
        match self.working.strong_count() {
            0 => Error::ConnectionFailed(
                "the connection was closed in the middle of a call that was cancelled".to_owned(),
            ),
            _ => Error::Other("the connection is in use".to_owned()),
        }
    }

    async fn run(&mut self, sql: &str, parameters: &[ParameterValue]) -> Result<Outcome, Error> {
        let Some(loan) = self.loan.as_mut() else {
            return Err(self.empty());
        };
        run(loan, sql, parameters).await
    }
}

/// Executes a statement, on another connection if this one died before anything was done on it.
async fn run(loan: &mut Loan, sql: &str, parameters: &[ParameterValue]) -> Result<Outcome, Error> {
    let mut replaced = false;
    loop {
        let Some(wire) = loan.wire() else {
            return Err(Error::ConnectionFailed("the connection is gone".to_owned()));
        };
        match wire.run(sql, parameters).await {
            Ok(outcome) => return Ok(outcome),
            Err(Failure::Unsent(_)) if !replaced => {
                replaced = true;
                loan.replace().await.map_err(refuse)?;
            }
            Err(Failure::Said(error) | Failure::Unsent(error)) => return Err(error),
        }
    }
}

fn row_set(outcome: Outcome) -> RowSet {
    RowSet {
        columns: outcome.columns,
        rows: outcome.rows,
    }
}

/// A connection string that a guest completes before it connects.
pub struct ConnectionBuilder {
    key: Key,
}

fn push<T: Send + 'static>(
    table: &mut ResourceTable,
    made: Result<T, Error>,
) -> wasmtime::Result<Result<Resource<T>, Error>> {
    match made {
        Ok(made) => Ok(Ok(table.push(made)?)),
        Err(error) => Ok(Err(error)),
    }
}

impl InstanceState {
    fn opening(&self, key: Key) -> impl Future<Output = Result<Connection, Error>> + Send + use<> {
        self.postgres.opening(&self.grants.config.outbound, key)
    }

    /// Runs a statement by a synchronous call.
    async fn run_postgres(
        &mut self,
        this: Resource<Connection>,
        sql: &str,
        parameters: &[ParameterValue],
    ) -> wasmtime::Result<Result<Outcome, Error>> {
        Ok(self.table.get_mut(&this)?.run(sql, parameters).await)
    }
}

fn plain(address: String) -> Key {
    Key {
        address,
        roots: None,
    }
}

impl Host for &mut InstanceState {}

impl HostConnection for &mut InstanceState {
    async fn open(
        &mut self,
        address: String,
    ) -> wasmtime::Result<Result<Resource<Connection>, Error>> {
        let connection = self.opening(plain(address)).await;
        push(&mut self.table, connection)
    }

    async fn query(
        &mut self,
        this: Resource<Connection>,
        statement: String,
        parameters: Vec<ParameterValue>,
    ) -> wasmtime::Result<Result<RowSet, Error>> {
        let outcome = self.run_postgres(this, &statement, &parameters).await?;
        Ok(outcome.map(row_set))
    }

    async fn execute(
        &mut self,
        this: Resource<Connection>,
        statement: String,
        parameters: Vec<ParameterValue>,
    ) -> wasmtime::Result<Result<u64, Error>> {
        let outcome = self.run_postgres(this, &statement, &parameters).await?;
        Ok(outcome.map(|outcome| outcome.affected))
    }

    fn drop(&mut self, this: Resource<Connection>) -> wasmtime::Result<()> {
        self.table.delete(this)?;
        Ok(())
    }
}

impl HostConnectionBuilder for &mut InstanceState {
    fn new(&mut self, address: String) -> wasmtime::Result<Resource<ConnectionBuilder>> {
        let key = plain(address);
        Ok(self.table.push(ConnectionBuilder { key })?)
    }

    fn set_ca_root(
        &mut self,
        this: Resource<ConnectionBuilder>,
        certificate: String,
    ) -> wasmtime::Result<Result<(), Error>> {
        self.table.get_mut(&this)?.key.roots = Some(certificate);
        Ok(Ok(()))
    }

    async fn build(
        &mut self,
        this: Resource<ConnectionBuilder>,
    ) -> wasmtime::Result<Result<Resource<Connection>, Error>> {
        let key = self.table.get(&this)?.key.clone();
        let connection = self.opening(key).await;
        push(&mut self.table, connection)
    }

    fn drop(&mut self, this: Resource<ConnectionBuilder>) -> wasmtime::Result<()> {
        self.table.delete(this)?;
        Ok(())
    }
}

/// Runs a statement by an asynchronous call: calls on one connection go one after the other.
async fn run_async(
    accessor: &Accessor<InstanceState, Postgres>,
    this: &Resource<Connection>,
    sql: &str,
    parameters: &[ParameterValue],
) -> wasmtime::Result<Result<Outcome, Error>> {
    let (mut loan, working) = loop {
        let taken = accessor.with(|mut access| -> wasmtime::Result<_> {
            Ok(access.get().table.get_mut(this)?.begin())
        })?;
        match taken {
            Some(Ok(taken)) => break taken,
            Some(Err(gone)) => return Ok(Err(gone)),
            None => tokio::time::sleep(Duration::from_millis(1)).await,
        }
    };
    let outcome = run(&mut loan, sql, parameters).await;
    accessor.with(|mut access| {
        if let Ok(this) = access.get().table.get_mut(this) {
            this.loan = Some(loan);
        }
    });
    drop(working);
    Ok(outcome)
}

type Rows = (
    Vec<Column>,
    StreamReader<Vec<DbValue>>,
    FutureReader<Result<(), Error>>,
);

impl HostConnectionWithStore<InstanceState> for Postgres {
    async fn open_async(
        accessor: &Accessor<InstanceState, Self>,
        address: String,
    ) -> wasmtime::Result<Result<Resource<Connection>, Error>> {
        let opening = accessor.with(|mut access| access.get().opening(plain(address)));
        let connection = opening.await;
        accessor.with(|mut access| push(&mut access.get().table, connection))
    }

    async fn query_async(
        accessor: &Accessor<InstanceState, Self>,
        this: Resource<Connection>,
        statement: String,
        parameters: Vec<ParameterValue>,
    ) -> wasmtime::Result<Result<Rows, Error>> {
        let outcome = run_async(accessor, &this, &statement, &parameters).await?;
        accessor.with(|mut access| {
            Ok(match outcome {
                Err(error) => Err(error),
                Ok(Outcome { columns, rows, .. }) => {
                    let rows = StreamReader::new(&mut access, rows)?;
                    let end = async { wasmtime::error::Ok(Ok(())) };
                    Ok((columns, rows, FutureReader::new(&mut access, end)?))
                }
            })
        })
    }

    async fn execute_async(
        accessor: &Accessor<InstanceState, Self>,
        this: Resource<Connection>,
        statement: String,
        parameters: Vec<ParameterValue>,
    ) -> wasmtime::Result<Result<u64, Error>> {
        let outcome = run_async(accessor, &this, &statement, &parameters).await?;
        Ok(outcome.map(|outcome| outcome.affected))
    }
}

impl HostConnectionBuilderWithStore<InstanceState> for Postgres {
    async fn build_async(
        accessor: &Accessor<InstanceState, Self>,
        this: Resource<ConnectionBuilder>,
    ) -> wasmtime::Result<Result<Resource<Connection>, Error>> {
        let opening = accessor.with(|mut access| -> wasmtime::Result<_> {
            let state = access.get();
            let key = state.table.get(&this)?.key.clone();
            Ok(state.opening(key))
        })?;
        let connection = opening.await;
        accessor.with(|mut access| push(&mut access.get().table, connection))
    }
}

#[cfg(test)]
#[path = "postgres_tests.rs"]
mod tests;
