//! One component on one thread: instances that are reused, their deadlines, and their end.

use super::{Limits, Loaded, Shared};
use crate::host::InstanceState;
use crate::host::outbound_http::Network;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed};
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

/// When a request last moved: at its start, and whenever a good part of its body has arrived.
pub struct Clock {
    moved: AtomicU64,
    /// Bytes that arrived since.
    bytes: AtomicU64,
    /// Whether it is the client that is waited for.
    waiting: AtomicBool,
}

/// A body that comes more slowly than this within a request's deadline does not move.
const MOVE: u64 = 16 << 10;

static START: LazyLock<Instant> = LazyLock::new(Instant::now);

impl Clock {
    /// A clock that starts now.
    pub fn start() -> Arc<Self> {
        Arc::new(Self {
            moved: AtomicU64::new(START.elapsed().as_millis() as u64),
            bytes: AtomicU64::new(0),
            waiting: AtomicBool::new(false),
        })
    }

    /// A part of the body arrived.
    pub fn arrived(&self, bytes: usize) {
        let bytes = bytes as u64;
        if self.bytes.fetch_add(bytes, Relaxed) + bytes >= MOVE {
            self.touch();
        }
    }

    /// The whole body is there.
    pub fn done(&self) {
        self.wait(false);
        self.touch();
    }

    /// Says whether more of the body is waited for.
    pub fn wait(&self, waiting: bool) {
        self.waiting.store(waiting, Relaxed);
    }

    /// Whether it is the client that is waited for.
    pub fn is_waiting(&self) -> bool {
        self.waiting.load(Relaxed)
    }

    fn touch(&self) {
        self.bytes.store(0, Relaxed);
        let now = START.elapsed().as_millis() as u64;
        self.moved.store(now, Relaxed);
    }

    /// When it last moved.
    pub fn moved(&self) -> Instant {
        *START + Duration::from_millis(self.moved.load(Relaxed))
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
    alive: Arc<AtomicUsize>,
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
        alive: Arc::default(),
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
        let memory = state.memory();
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
                alive: self.alive.clone(),
                most_memory: memory.load(Relaxed) + limits.spare_memory,
                memory,
            },
            state: Worker {
                loaded: self.loaded.clone(),
                shared: self.shared.clone(),
                life,
                _alive: Alive::new(&self.alive),
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
    alive: Arc<AtomicUsize>,
    memory: Arc<AtomicUsize>,
    most_memory: usize,
}

impl Expiration {
    fn due(&self, status: WorkerStatus, start: Instant) -> Instant {
        /// The request's own deadline comes first; this one is for guests that never let go.
        const GRACE: Duration = Duration::from_millis(500);
        let limits = &self.limits;
        match status {
            // What one request needed is not kept for the next one, which may never come.
            WorkerStatus::Idle if self.memory.load(Relaxed) > self.most_memory => start,
            // The last one stays warm.
            WorkerStatus::Idle if self.alive.load(Relaxed) <= 1 => Instant::now() + limits.idle,
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

/// Counts an instance for as long as it lives.
struct Alive(Arc<AtomicUsize>);

impl Alive {
    fn new(alive: &Arc<AtomicUsize>) -> Self {
        alive.fetch_add(1, Relaxed);
        Self(alive.clone())
    }
}

impl Drop for Alive {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}

/// The state of one instance's worker.
pub struct Worker {
    shared: Arc<Shared>,
    loaded: Arc<Loaded>,
    life: Arc<Life>,
    _alive: Alive,
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
