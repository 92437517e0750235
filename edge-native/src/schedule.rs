//! `[[trigger.cron]]`: schedules fire on a thread of their own, so that a long tick never delays a
//! page. Ticks of one trigger never overlap: one that would, does not happen.

use crate::host::InstanceState;
use crate::host::outbound_http::Network;
use crate::serve::router::Router;
use crate::serve::{Loaded, Shared};
use anyhow::{Context, Result, anyhow};
use bindings::SpinCron;
use bindings::fermyon::spin_cron::cron_types::{Error, Metadata};
use chrono::Utc;
use std::sync::{Arc, Weak};
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::sync::watch;
use wasmtime::Store;

/// Bindings of Spin's cron world, generated from `wit/`.
#[allow(missing_docs)]
mod bindings {
    wasmtime::component::bindgen!({
        path: "wit/deps/spin-cron@2.0.0",
        world: "fermyon:spin-cron/spin-cron",
        exports: { default: async },
    });
}

/// A tick may take this long.
const DEADLINE: Duration = Duration::from_secs(60);
/// Ticks that one instance serves before a fresh one takes over.
const REUSE: u32 = 1000;

/// The thread that fires schedules.
pub struct Schedules {
    stop: watch::Sender<bool>,
    handle: JoinHandle<()>,
}

impl Schedules {
    /// Starts the thread; its ticks begin when the schedules say so.
    pub fn start(shared: &Arc<Shared>) -> Result<Self> {
        let mut tickers = Vec::new();
        for (name, schedule) in &shared.app.crons {
            let loaded = shared.components[name].clone();
            tickers.push((Ticker::new(shared, loaded)?, schedule.clone()));
        }
        let (stop, stopping) = watch::channel(false);
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let run = move || {
            let all = tickers.into_iter().map(|(ticker, schedule)| {
                let stopping = stopping.clone();
                ticker.run(schedule, stopping)
            });
            runtime.block_on(futures::future::join_all(all));
        };
        let handle = std::thread::Builder::new().name("cron".into()).spawn(run)?;
        Ok(Self { stop, handle })
    }

    /// Starts no more ticks and waits for running ones, up to `most`.
    pub fn stop(self, most: Duration) {
        let _ = self.stop.send(true);
        let until = std::time::Instant::now() + most;
        while !self.handle.is_finished() && std::time::Instant::now() < until {
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

/// Fails when the component does not export the cron function.
pub fn check(loaded: &Loaded) -> Result<()> {
    bindings::SpinCronPre::new(loaded.pre.clone())?;
    Ok(())
}

struct Ticker {
    shared: Arc<Shared>,
    loaded: Arc<Loaded>,
    network: Network,
    pre: bindings::SpinCronPre<InstanceState>,
    instance: Option<TickInstance>,
}

struct TickInstance {
    store: Store<InstanceState>,
    guest: SpinCron,
    ticks: u32,
}

impl Ticker {
    fn new(shared: &Arc<Shared>, loaded: Arc<Loaded>) -> Result<Self> {
        let pre = bindings::SpinCronPre::new(loaded.pre.clone())?;
        // As on Spin, a scheduled component calls no other component.
        let network = Network::new(Weak::<Router>::new());
        Ok(Self {
            shared: shared.clone(),
            loaded,
            network,
            pre,
            instance: None,
        })
    }

    async fn run(mut self, schedule: cron::Schedule, mut stopping: watch::Receiver<bool>) {
        while let Some(next) = schedule.after(&Utc::now()).next() {
            let wait = (next - Utc::now()).to_std().unwrap_or_default();
            let told = stopping.wait_for(|stop| *stop);
            if tokio::time::timeout(wait, told).await.is_ok() {
                return;
            }
            let component = &self.loaded.name.clone();
            match self.tick(next.timestamp().unsigned_abs()).await {
                Ok(()) => drop(self.loaded.metrics.ticks_ok.inc()),
                Err(error) => {
                    self.loaded.metrics.ticks_failed.inc();
                    tracing::error!(component, "a tick failed: {error:#}");
                }
            }
        }
    }

    /// One tick. The instance is kept for the next one unless it trapped or took too long.
    async fn tick(&mut self, timestamp: u64) -> Result<()> {
        let mut instance = match self.instance.take() {
            Some(instance) if instance.ticks < REUSE => instance,
            _ => self.instantiate().await?,
        };
        instance.ticks += 1;
        let metadata = Metadata { timestamp };
        let call = instance
            .guest
            .call_handle_cron_event(&mut instance.store, metadata);
        let result = tokio::time::timeout(DEADLINE, call).await;
        let result = match result {
            Ok(Ok(result)) => result,
            Ok(Err(trap)) => {
                self.loaded.metrics.traps.inc();
                return Err(anyhow::Error::from(trap)).context("the component trapped");
            }
            Err(_) => {
                return Err(anyhow!(
                    "the tick took longer than {} s",
                    DEADLINE.as_secs()
                ));
            }
        };
        self.instance = Some(instance);
        result.map_err(|Error::Other(text)| anyhow!(text))
    }

    async fn instantiate(&self) -> Result<TickInstance> {
        let state = InstanceState::new(self.loaded.grants.clone(), self.network.clone());
        let mut store = state.store(&self.shared.engine);
        let guest = self.pre.instantiate_async(&mut store).await?;
        self.loaded.metrics.instances.inc();
        Ok(TickInstance {
            store,
            guest,
            ticks: 0,
        })
    }
}
