//! The wasmtime engine: how guests are compiled, where their memory comes from, and the clock
//! that ends busy loops.

pub mod cache;

use std::time::Duration;
use wasmtime::{Config, Engine, InstanceAllocationStrategy, PoolingAllocationConfig};

/// How often a running guest must let its thread go.
pub const EPOCH: Duration = Duration::from_millis(10);

/// The bounds of all guests together.
#[derive(Debug, Clone, Copy)]
pub struct EngineLimits {
    /// Most linear memory of one instance, in bytes.
    pub memory: usize,
    /// Most instances alive at once.
    pub instances: u32,
}

/// Makes the engine. Pooled memory needs terabytes of address space; where that is not to be had
/// (a small `ulimit -v`), instances get their memory one by one.
pub fn new(limits: EngineLimits) -> wasmtime::Result<Engine> {
    let mut config = base();
    config.allocation_strategy(InstanceAllocationStrategy::Pooling(pool(limits)));
    Engine::new(&config).or_else(|error| {
        tracing::warn!(%error, "no pooled memory for instances; they will start more slowly");
        Engine::new(&base())
    })
}

fn base() -> Config {
    let mut config = Config::new();
    config.wasm_component_model(true);
    config.wasm_component_model_async(true);
    config.epoch_interruption(true);
    config
}

fn pool(limits: EngineLimits) -> PoolingAllocationConfig {
    let mut pool = PoolingAllocationConfig::new();
    let instances = limits.instances;
    pool.total_component_instances(instances)
        .total_core_instances(instances.saturating_mul(8))
        .total_memories(instances)
        .total_tables(instances.saturating_mul(2))
        .total_stacks(instances.saturating_mul(4))
        .max_memory_size(limits.memory)
        .table_elements(100_000)
        .max_core_instances_per_component(64)
        .max_component_instance_size(4 << 20)
        .max_unused_warm_slots(16);
    pool
}

/// Starts the thread that moves the epoch on; it ends when the engine is gone.
pub fn start_epochs(engine: &Engine) -> std::io::Result<()> {
    let weak = engine.weak();
    let tick = move || {
        while let Some(engine) = weak.upgrade() {
            engine.increment_epoch();
            drop(engine);
            std::thread::sleep(EPOCH);
        }
    };
    std::thread::Builder::new()
        .name("epoch".into())
        .spawn(tick)
        .map(drop)
}
