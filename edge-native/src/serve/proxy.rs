//! One component on one thread: instances that are reused, their deadlines, and their end.

use super::{Limits, Loaded, Shared};
use crate::host::InstanceState;
use crate::host::outbound_http::Network;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};
use tokio::time::Sleep;
use wasmtime::{Store, StoreContextMut};
use wasmtime_wasi_http::handler::{
    HandlerState, Instance, ProxyHandler, ProxyPre, ShouldAccept, WorkerExpiration, WorkerState,
    WorkerStatus,
};
use wasmtime_wasi_http::{WasiHttpView, p2, p3};

/// The handler of one component on one thread.
pub type Handler = ProxyHandler<ComponentHandler>;

/// When a request last moved: at its start, and whenever a part of its body arrives.
pub struct Clock(AtomicU64);

static START: LazyLock<Instant> = LazyLock::new(Instant::now);

impl Clock {
    /// A clock that starts now.
    pub fn start() -> Arc<Self> {
        Arc::new(Self(AtomicU64::new(START.elapsed().as_millis() as u64)))
    }

    /// The request moved.
    pub fn touch(&self) {
        self.0.store(START.elapsed().as_millis() as u64, Relaxed);
    }

    /// When it last moved.
    pub fn moved(&self) -> Instant {
        *START + Duration::from_millis(self.0.load(Relaxed))
    }
}

/// What the host keeps beside a request.
pub struct RequestData {
    /// The request's clock, if it has a body.
    pub clock: Option<Arc<Clock>>,
}

/// Makes instances of one component for one thread.
pub struct ComponentHandler {
    shared: Arc<Shared>,
    loaded: Arc<Loaded>,
    network: Network,
    pre: ProxyPre<InstanceState>,
}

/// A handler for the component; fails when it does not export an HTTP handler.
pub fn handler(
    shared: &Arc<Shared>,
    loaded: &Arc<Loaded>,
    network: Network,
) -> wasmtime::Result<Handler> {
    let pre = exported(loaded)?;
    let (shared, loaded) = (shared.clone(), loaded.clone());
    Ok(ProxyHandler::new(ComponentHandler {
        shared,
        loaded,
        network,
        pre,
    }))
}

/// Fails when the component does not export an HTTP handler.
pub fn check(loaded: &Loaded) -> wasmtime::Result<()> {
    exported(loaded).map(drop)
}

fn exported(loaded: &Loaded) -> wasmtime::Result<ProxyPre<InstanceState>> {
    match p3::bindings::ServicePre::new(loaded.pre.clone()) {
        Ok(pre) => Ok(ProxyPre::P3(pre)),
        Err(_) => Ok(ProxyPre::P2(p2::bindings::ProxyPre::new(
            loaded.pre.clone(),
        )?)),
    }
}

impl ComponentHandler {
    /// The component.
    pub fn loaded(&self) -> &Arc<Loaded> {
        &self.loaded
    }
}

impl HandlerState for ComponentHandler {
    type StoreData = InstanceState;
    type WorkerExpiration = Expiration;
    type WorkerState = Worker;

    async fn instantiate(&self) -> wasmtime::Result<Instance<InstanceState, Expiration, Worker>> {
        let state = InstanceState::new(self.loaded.grants.clone(), self.network.clone());
        let mut store = state.store(&self.shared.engine);
        let limits = &self.shared.limits;
        let starting = self.pre.instantiate_async(&mut store);
        let proxy = tokio::time::timeout(limits.deadline, starting)
            .await
            .map_err(|_| wasmtime::format_err!("the instance took too long to start"))??;
        self.loaded.metrics.instances.inc();
        let life = Arc::new(Life::default());
        Ok(Instance {
            store,
            proxy,
            view: InstanceState::http,
            expiration: Expiration {
                timer: Box::pin(tokio::time::sleep(limits.idle)),
                limits: limits.clone(),
                life: life.clone(),
            },
            state: Worker {
                loaded: self.loaded.clone(),
                shared: self.shared.clone(),
                life,
            },
        })
    }
}

/// What an instance's worker and its expiration know together.
#[derive(Default)]
struct Life {
    /// Set when a request passed its deadline: the instance only finishes what it has.
    expired: AtomicBool,
    /// Clocks of requests with bodies that are being served.
    uploads: Mutex<Vec<Arc<Clock>>>,
}

impl Life {
    fn last_upload(&self) -> Option<Instant> {
        let mut uploads = self.uploads.lock().unwrap_or_else(PoisonError::into_inner);
        uploads.retain(|clock| Arc::strong_count(clock) > 1);
        uploads.iter().map(|clock| clock.moved()).max()
    }
}

/// Ends an instance that is idle, stuck, or streams for too long.
pub struct Expiration {
    timer: Pin<Box<Sleep>>,
    limits: Limits,
    life: Arc<Life>,
}

impl Expiration {
    fn due(&self, status: WorkerStatus, start: Instant) -> Instant {
        /// The request's own deadline comes first; this one is for guests that never let go.
        const GRACE: Duration = Duration::from_millis(500);
        let limits = &self.limits;
        match status {
            WorkerStatus::Idle => start + limits.idle,
            WorkerStatus::Requests => {
                let moved = self
                    .life
                    .last_upload()
                    .map_or(start, |moved| moved.max(start));
                moved + limits.deadline + GRACE
            }
            WorkerStatus::PostReturn if self.life.expired.load(Relaxed) => start + GRACE,
            WorkerStatus::PostReturn => start + limits.stream,
        }
    }
}

impl WorkerExpiration for Expiration {
    fn poll(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        status: WorkerStatus,
        start: Instant,
    ) -> Poll<()> {
        let due = self.due(status, start);
        // The timer may ring early, then it is wound again; it must never ring late.
        if self.timer.deadline().into_std() > due {
            self.timer.as_mut().reset(due.into());
        }
        while self.timer.as_mut().poll(context).is_ready() {
            if Instant::now() >= due {
                return Poll::Ready(());
            }
            self.timer.as_mut().reset(due.into());
        }
        Poll::Pending
    }
}

/// The state of one instance's worker.
pub struct Worker {
    shared: Arc<Shared>,
    loaded: Arc<Loaded>,
    life: Arc<Life>,
}

impl WorkerState for Worker {
    type StoreData = InstanceState;
    type RequestData = RequestData;

    fn should_accept_request(&self, concurrent: usize, total: usize) -> ShouldAccept {
        if total >= self.shared.limits.reuse || self.life.expired.load(Relaxed) {
            ShouldAccept::Never
        } else if concurrent >= self.shared.limits.per_instance {
            ShouldAccept::No
        } else {
            ShouldAccept::Yes
        }
    }

    fn on_request_start(
        &self,
        _store: StoreContextMut<'_, InstanceState>,
        data: RequestData,
        _task: wasmtime::component::GuestTaskId,
    ) -> Pin<Box<dyn Future<Output = ()> + Send + Sync>> {
        let (life, deadline) = (self.life.clone(), self.shared.limits.deadline);
        if let Some(clock) = &data.clock {
            let mut uploads = life.uploads.lock().unwrap_or_else(PoisonError::into_inner);
            uploads.retain(|clock| Arc::strong_count(clock) > 1);
            uploads.push(clock.clone());
        }
        Box::pin(async move {
            tokio::time::sleep(deadline).await;
            if let Some(clock) = data.clock {
                loop {
                    let left = deadline.saturating_sub(clock.moved().elapsed());
                    if left.is_zero() {
                        break;
                    }
                    tokio::time::sleep(left).await;
                }
            }
            life.expired.store(true, Relaxed);
        })
    }

    fn drop(&self, store: Store<InstanceState>, result: wasmtime::Result<()>) {
        drop(store);
        if self.shared.stopping.load(Relaxed) {
            return;
        }
        if let Err(error) = result {
            self.loaded.metrics.traps.inc();
            let (component, reason) = (&self.loaded.name, reason(&error));
            tracing::error!(component, reason, "an instance ended: {error:#}");
        }
    }
}

/// Why an instance ended, in a few words.
fn reason(error: &wasmtime::Error) -> String {
    match error.downcast_ref::<wasmtime::Trap>() {
        Some(trap) => trap.to_string(),
        None => error.root_cause().to_string(),
    }
}
