//! From a checked configuration to components that are ready to be instantiated.

use crate::cli::LimitOptions;
use crate::config::App;
use crate::config::fault::Faults;
use crate::data::DataFolder;
use crate::engine::{self, EngineLimits};
use crate::host::key_value::Stores;
use crate::host::postgres_pool::Pools;
use crate::host::sqlite_pool::Databases;
use crate::host::{self, Grants, InstanceState};
use crate::metrics::Metrics;
use crate::serve::edge::Edge;
use crate::serve::{Limits, Loaded, Shared};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use wasmtime::component::{Component, Linker};

/// Compiles, links and checks every component; what is wrong with any of them goes to `faults`.
pub fn load(
    app: App,
    data: &DataFolder,
    edge: Edge,
    options: &LimitOptions,
    faults: &mut Faults,
) -> anyhow::Result<Shared> {
    let memory = options.instance_memory << 20;
    let engine_limits = EngineLimits {
        memory,
        instances: options.max_instances,
    };
    let engine = engine::new(engine_limits)?;
    engine::start_epochs(&engine)?;
    let configs = || app.components.values();
    let databases = Arc::new(Databases::new(
        &data.databases(),
        options.sqlite_synchronous,
        options.sqlite_connections,
        configs().flat_map(|config| config.sqlite.iter().map(String::as_str)),
    ));
    let stores = Arc::new(Stores::new(
        &data.stores(),
        configs().flat_map(|config| config.key_value.iter().map(String::as_str)),
    ));
    let postgres = Arc::new(Pools::new(
        options.postgres_connections,
        roots(options, faults),
    ));
    let metrics = Arc::new(Metrics::new(databases.clone(), postgres.clone()));
    let linker = host::linker(&engine)?;
    let mut components = BTreeMap::new();
    for config in configs() {
        let grants = Arc::new(Grants {
            config: config.clone(),
            databases: databases.clone(),
            postgres: postgres.clone(),
            stores: stores.clone(),
            memory,
        });
        let compiled = engine::cache::load(&engine, engine_limits, &config.source, &data.cache());
        match compiled.and_then(|compiled| link(&linker, &compiled, grants, &metrics)) {
            Ok(loaded) => drop(components.insert(config.name.clone(), Arc::new(loaded))),
            Err(error) => {
                let what = format!("component `{}` does not load: {error:#}", config.name);
                let fix = "build it for wasm32-wasip2; it may import WASI and Spin's interfaces \
                           sqlite@3.1.0, postgres@4.2.0, variables@3.0.0, key-value@3.0.0";
                faults.add(config.source.display().to_string(), what, fix);
            }
        }
    }
    let limits = limits_of(options);
    Ok(Shared {
        engine,
        app,
        components,
        limits,
        metrics,
        databases,
        postgres,
        edge,
        in_flight: 0.into(),
        stopping: false.into(),
    })
}

/// Certificates that servers of PostgreSQL may show beside the usual ones.
pub fn roots(options: &LimitOptions, faults: &mut Faults) -> Vec<u8> {
    let Some(path) = &options.postgres_roots else {
        return Vec::new();
    };
    std::fs::read(path).unwrap_or_else(|error| {
        let what = format!("{} cannot be read: {error}", path.display());
        faults.add(
            "--postgres-roots",
            what,
            "name a file with certificates in PEM",
        );
        Vec::new()
    })
}

fn link(
    linker: &Linker<InstanceState>,
    component: &Component,
    grants: Arc<Grants>,
    metrics: &Metrics,
) -> anyhow::Result<Loaded> {
    let pre = linker.instantiate_pre(component)?;
    let name = grants.config.name.clone();
    let metrics = metrics.component(&name);
    Ok(Loaded {
        name,
        pre,
        grants,
        metrics,
    })
}

fn limits_of(options: &LimitOptions) -> Limits {
    Limits {
        body: options.max_body,
        head: options.max_head,
        deadline: Duration::from_secs(options.deadline),
        head_time: Duration::from_secs(options.head_timeout),
        connections: options.max_connections,
        requests: options.max_requests,
        per_instance: options.instance_concurrency,
        reuse: options.instance_reuse,
        idle: Duration::from_secs(30),
        spare_memory: 8 << 20,
        stream: Duration::from_secs(options.max_stream),
        trusted: options.trusted_proxy.clone(),
    }
}
