//! What `/metrics` tells.

use crate::host::postgres_pool::Pools;
use crate::host::sqlite_pool::Databases;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::Registry;
use std::sync::Arc;
use std::time::Duration;

type Labels = Vec<(&'static str, String)>;

/// All counters of the host.
pub struct Metrics {
    registry: Registry,
    requests: Family<Labels, Counter>,
    latency: Family<Labels, Histogram, fn() -> Histogram>,
    traps: Family<Labels, Counter>,
    instances: Family<Labels, Counter>,
    cron: Family<Labels, Counter>,
    connections: Gauge,
    postgres_connections: Gauge,
    memory: Gauge,
    databases: Arc<Databases>,
    postgres: Arc<Pools>,
    /// Requests answered by the host itself because too many were being served.
    pub refused: Counter,
}

/// The counters of one component, looked up once.
pub struct ComponentMetrics {
    /// Answers by class of status: index 1 counts 200–299.
    by_class: [Counter; 5],
    latency: Histogram,
    /// Instances that ended in a trap.
    pub traps: Counter,
    /// Instances made.
    pub instances: Counter,
    /// Ticks that succeeded.
    pub ticks_ok: Counter,
    /// Ticks that failed or trapped.
    pub ticks_failed: Counter,
}

impl ComponentMetrics {
    /// Counts one answered request.
    pub fn answered(&self, status: http::StatusCode, took: Duration) {
        let class = usize::from(status.as_u16() / 100).clamp(1, 5);
        self.by_class[class - 1].inc();
        self.latency.observe(took.as_secs_f64());
    }
}

fn histogram() -> Histogram {
    Histogram::new(exponential_buckets(0.000_25, 2.0, 18))
}

impl Metrics {
    /// Fresh counters.
    pub fn new(databases: Arc<Databases>, postgres: Arc<Pools>) -> Self {
        let mut registry = Registry::with_prefix("sluice");
        let requests = Family::<Labels, Counter>::default();
        let latency =
            Family::<Labels, Histogram, fn() -> Histogram>::new_with_constructor(histogram);
        let traps = Family::<Labels, Counter>::default();
        let instances = Family::<Labels, Counter>::default();
        let cron = Family::<Labels, Counter>::default();
        let (connections, memory) = (Gauge::default(), Gauge::default());
        let postgres_connections = Gauge::default();
        let refused = Counter::default();
        registry.register(
            "requests",
            "Answers by component and class",
            requests.clone(),
        );
        registry.register(
            "request_seconds",
            "Time to the response head",
            latency.clone(),
        );
        registry.register("traps", "Instances that ended in a trap", traps.clone());
        registry.register("instances_created", "Instances made", instances.clone());
        registry.register("cron_ticks", "Ticks by component and result", cron.clone());
        registry.register(
            "sqlite_connections",
            "Open SQLite connections",
            connections.clone(),
        );
        registry.register(
            "postgres_connections",
            "Open connections to PostgreSQL",
            postgres_connections.clone(),
        );
        registry.register(
            "resident_bytes",
            "Resident memory of the host",
            memory.clone(),
        );
        registry.register("refused", "Requests refused as too many", refused.clone());
        Self {
            registry,
            requests,
            latency,
            traps,
            instances,
            cron,
            connections,
            postgres_connections,
            memory,
            databases,
            postgres,
            refused,
        }
    }

    /// The counters of a component.
    pub fn component(&self, name: &str) -> ComponentMetrics {
        let of = |key: &'static str, value: &str| -> Labels {
            vec![("component", name.to_owned()), (key, value.to_owned())]
        };
        let own: Labels = vec![("component", name.to_owned())];
        // A borrowed counter would hold its family's lock until the end of the statement.
        let class = |class: usize| {
            self.requests
                .get_or_create_owned(&of("class", &format!("{class}xx")))
        };
        ComponentMetrics {
            by_class: std::array::from_fn(|index| class(index + 1)),
            latency: self.latency.get_or_create_owned(&own),
            traps: self.traps.get_or_create_owned(&own),
            instances: self.instances.get_or_create_owned(&own),
            ticks_ok: self.cron.get_or_create_owned(&of("result", "ok")),
            ticks_failed: self.cron.get_or_create_owned(&of("result", "failed")),
        }
    }

    /// The text that Prometheus reads.
    pub fn text(&self) -> String {
        self.connections
            .set(i64::try_from(self.databases.open_connections()).unwrap_or(i64::MAX));
        self.postgres_connections
            .set(i64::try_from(self.postgres.open_connections()).unwrap_or(i64::MAX));
        self.memory.set(resident_bytes().unwrap_or(0));
        let mut text = String::new();
        // Writing to a String cannot fail.
        let _ = encode(&mut text, &self.registry);
        text
    }
}

/// Resident memory of this process, where `/proc` tells it.
pub fn resident_bytes() -> Option<i64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kilobytes: i64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kilobytes * 1024)
}
