//! What a guest can reach. Every capability is one file and reads alike: configured at start with
//! faults collected, a state for each instance, functions in the linker.

pub mod bindings;
pub mod key_value;
pub mod outbound_http;
pub mod postgres;
pub mod postgres_numeric;
pub mod postgres_pool;
pub mod postgres_query;
#[cfg(test)]
pub mod postgres_server;
pub mod postgres_target;
pub mod postgres_tls;
pub mod postgres_value;
pub mod sqlite;
pub mod sqlite_pool;
pub mod sqlite_query;
pub mod sqlite_queue;
pub mod stdio;
pub mod variables;
pub mod wasi;

use crate::config::ComponentConfig;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use wasmtime::component::{Linker, ResourceTable};
use wasmtime::{Engine, ResourceLimiter, Store, UpdateDeadline};
use wasmtime_wasi::WasiCtx;
use wasmtime_wasi_http::WasiHttpCtx;

/// What every instance of one component shares.
pub struct Grants {
    /// The component's configuration.
    pub config: ComponentConfig,
    /// The databases of the application.
    pub databases: Arc<sqlite_pool::Databases>,
    /// The connections to PostgreSQL.
    pub postgres: Arc<postgres_pool::Pools>,
    /// The key-value stores of the application.
    pub stores: Arc<key_value::Stores>,
    /// Most linear memory of one instance, in bytes.
    pub memory: usize,
}

/// The state of one instance: what its host functions work on.
pub struct InstanceState {
    grants: Arc<Grants>,
    table: ResourceTable,
    wasi: WasiCtx,
    http: WasiHttpCtx,
    outbound: outbound_http::Outbound,
    postgres: postgres::Client,
    memory: MemoryLimit,
}

impl InstanceState {
    /// The state of a fresh instance.
    pub fn new(grants: Arc<Grants>, network: outbound_http::Network) -> Self {
        Self {
            wasi: wasi::context(&grants.config),
            http: WasiHttpCtx::new(),
            outbound: outbound_http::Outbound::new(grants.clone(), network),
            postgres: postgres::Client::new(grants.postgres.clone()),
            memory: MemoryLimit {
                most: grants.memory,
                component: grants.config.name.clone(),
                used: Arc::default(),
            },
            table: ResourceTable::new(),
            grants,
        }
    }

    /// How much linear memory the instance uses, in bytes, now and later.
    pub fn memory(&self) -> Arc<AtomicUsize> {
        self.memory.used.clone()
    }

    /// A store for a fresh instance: bounded in memory, and letting its thread go every epoch.
    pub fn store(self, engine: &Engine) -> Store<Self> {
        let mut store = Store::new(engine, self);
        store.limiter(|state| &mut state.memory);
        store.set_epoch_deadline(1);
        // `yield_now` comes back only after the thread has looked at its sockets; a plain yield
        // would be polled again at once, for as long as the runtime sees tasks that are ready.
        store.epoch_deadline_callback(|_| {
            Ok(UpdateDeadline::YieldCustom(
                1,
                Box::pin(tokio::task::yield_now()),
            ))
        });
        store
    }
}

/// The linker with everything the host gives.
pub fn linker(engine: &Engine) -> wasmtime::Result<Linker<InstanceState>> {
    let mut linker = Linker::new(engine);
    wasi::link(&mut linker)?;
    outbound_http::link(&mut linker)?;
    sqlite::link(&mut linker)?;
    postgres::link(&mut linker)?;
    variables::link(&mut linker)?;
    key_value::link(&mut linker)?;
    Ok(linker)
}

/// Ends growth beyond the instance's share; the guest sees an allocation that failed.
struct MemoryLimit {
    most: usize,
    component: String,
    used: Arc<AtomicUsize>,
}

impl ResourceLimiter for MemoryLimit {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let fits = desired <= self.most;
        if fits {
            // An instance may have several memories; none of them ever shrinks.
            self.used
                .fetch_add(desired.saturating_sub(current), Relaxed);
        } else {
            let (component, most) = (&self.component, self.most);
            tracing::warn!(
                component,
                desired,
                most,
                "an instance asked for too much memory"
            );
        }
        Ok(fits)
    }

    fn table_growing(
        &mut self,
        _current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        Ok(desired <= 100_000)
    }
}
