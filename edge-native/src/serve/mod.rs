//! Serving HTTP: one single-threaded runtime a core, each with instances of its own, so that a
//! request never changes threads on its way to a guest and back.

pub mod body;
pub mod client;
pub mod edge;
mod headers;
mod linger;
pub mod listener;
mod peers;
pub mod problem;
pub mod proxy;
pub mod router;
pub mod visitor;

use crate::config::App;
use crate::host::postgres_pool::Pools;
use crate::host::sqlite_pool::Databases;
use crate::host::{Grants, InstanceState};
use crate::metrics::{ComponentMetrics, Metrics};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize};
use std::time::Duration;
use wasmtime::Engine;
use wasmtime::component::InstancePre;

/// The bounds of serving.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Most bytes of a request's body.
    pub body: u64,
    /// Most bytes of a request's head.
    pub head: usize,
    /// Wall-clock time until the response's head; counted anew whenever an upload moves on.
    pub deadline: Duration,
    /// Wall-clock time until the request's head is there, also on a connection that is kept alive.
    pub head_time: Duration,
    /// Most open connections.
    pub connections: usize,
    /// Most requests being served at once.
    pub requests: usize,
    /// Requests that one instance serves at once.
    pub per_instance: usize,
    /// Requests that one instance serves in its life.
    pub reuse: usize,
    /// An instance without work is disposed of after this long, unless it is its component's last
    /// on the thread.
    pub idle: Duration,
    /// An instance that ends its work with so much more memory than at its start, in bytes, is
    /// disposed of at once.
    pub spare_memory: usize,
    /// A response may stream for this long after its head.
    pub stream: Duration,
    /// Proxies that are believed when they say for whom they ask.
    pub trusted: Vec<client::Network>,
}

/// Everything that the threads share.
pub struct Shared {
    /// The engine that all components are compiled for.
    pub engine: Engine,
    /// The checked configuration.
    pub app: App,
    /// Components by name, ready to be instantiated.
    pub components: BTreeMap<String, Arc<Loaded>>,
    /// The bounds.
    pub limits: Limits,
    /// The counters.
    pub metrics: Arc<Metrics>,
    /// The databases.
    pub databases: Arc<Databases>,
    /// The connections to PostgreSQL.
    pub postgres: Arc<Pools>,
    /// How the world reaches the host.
    pub edge: edge::Edge,
    /// Requests being served now, over all threads.
    pub in_flight: AtomicUsize,
    /// Set when the host stops: instances that end from now on are not news.
    pub stopping: AtomicBool,
}

/// A component that is compiled, linked and checked once.
pub struct Loaded {
    /// Its name.
    pub name: String,
    /// Linked, so that an instance is a copy.
    pub pre: InstancePre<InstanceState>,
    /// What its instances may do.
    pub grants: Arc<Grants>,
    /// Its counters.
    pub metrics: ComponentMetrics,
}
