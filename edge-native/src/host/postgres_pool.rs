//! The connections of all connection strings: pooled for each, bounded over all of them.

use super::postgres_query::Wire;
use super::postgres_target::{Key, Target, describe};
use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::ThreadId;
use std::time::{Duration, Instant};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, oneshot};

/// How long a guest waits for a connection, in all.
pub const WAIT: Duration = Duration::from_secs(5);
/// An idle connection is closed after this long.
const IDLE: Duration = Duration::from_secs(60);
/// A connection that has been idle for this long must show that it lives before it is lent.
const SUSPECT: Duration = Duration::from_secs(1);
/// A server answers a trifle within this time, or its connection counts as dead.
const TRIFLE: Duration = Duration::from_secs(2);

/// All pools.
pub struct Pools {
    most: usize,
    roots: Vec<u8>,
    /// Connections on loan, of which an instance's first ones leave some to those that hold one.
    lending: Arc<Semaphore>,
    firsts: Arc<Semaphore>,
    open: AtomicUsize,
    closed: Notify,
    pools: Mutex<HashMap<Key, Arc<Pool>>>,
}

/// The idle connections of one connection string.
struct Pool {
    target: Arc<Target>,
    idle: Mutex<Vec<Idle>>,
}

struct Idle {
    /// Comes when the last user's traces are gone; never, if that failed.
    wire: oneshot::Receiver<Wire>,
    since: Instant,
    /// The thread that carries its bytes.
    home: ThreadId,
}

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// The connection string makes no sense.
    #[error("{0}")]
    Address(String),
    /// All connections stayed on loan.
    #[error(
        "all {0} connections to PostgreSQL were in use for {wait} s; raise --postgres-connections, \
         or try again",
        wait = WAIT.as_secs()
    )]
    Exhausted(usize),
    /// The server could not be reached, or let nobody in.
    #[error("{0}")]
    Server(String),
}

/// One of the connections that may be open.
pub struct Slot(Arc<Pools>);

impl Drop for Slot {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Relaxed);
        self.0.closed.notify_one();
    }
}

impl Pools {
    /// Pools of at most `most` connections together; `roots` are certificates in PEM to trust
    /// beside the usual ones.
    pub fn new(most: usize, roots: Vec<u8>) -> Self {
        let most = most.max(1);
        Self {
            most,
            roots,
            lending: Arc::new(Semaphore::new(most)),
            firsts: Arc::new(Semaphore::new(most - most / 4)),
            open: AtomicUsize::new(0),
            closed: Notify::new(),
            pools: Mutex::default(),
        }
    }

    /// How many connections are open.
    pub fn open_connections(&self) -> usize {
        self.open.load(Relaxed)
    }

    /// The target of a connection string.
    pub fn target(&self, key: &Key) -> Result<Arc<Target>, Refusal> {
        if let Some(pool) = self.lock().get(key) {
            return Ok(pool.target.clone());
        }
        let target = Target::parse(key, &self.roots).map_err(Refusal::Address)?;
        Ok(Arc::new(target))
    }

    /// Takes a connection out of its pool, or opens one. `held` counts those of the same instance.
    pub async fn take(
        self: &Arc<Self>,
        key: &Key,
        target: &Arc<Target>,
        held: &Arc<AtomicUsize>,
    ) -> Result<Loan, Refusal> {
        let until = Instant::now() + WAIT;
        let permits = tokio::time::timeout(WAIT, self.permits(held.load(Relaxed) > 0));
        let permits = permits.await.map_err(|_| Refusal::Exhausted(self.most))?;
        let wire = match self.reuse(key).await {
            Some(mut wire) => {
                wire.lend();
                wire
            }
            None => self.open(target, until).await?,
        };
        held.fetch_add(1, Relaxed);
        Ok(Loan {
            wire: Some(wire),
            pools: self.clone(),
            key: key.clone(),
            target: target.clone(),
            held: held.clone(),
            _permits: permits,
        })
    }

    /// Who already holds a connection may take from a reserve: else as many instances as there are
    /// connections could hold one each, and wait for a second one for ever.
    async fn permits(&self, holds: bool) -> Permits {
        // The semaphores are never closed.
        let first = match holds {
            true => None,
            false => self.firsts.clone().acquire_owned().await.ok(),
        };
        let loan = self.lending.clone().acquire_owned().await.ok();
        (first, loan)
    }

    async fn reuse(&self, key: &Key) -> Option<Wire> {
        let pool = self.lock().get(key).cloned()?;
        loop {
            let idle = pool.pop()?;
            let Ok(Ok(mut wire)) = tokio::time::timeout(TRIFLE, idle.wire).await else {
                continue;
            };
            if wire.is_closed() {
                continue;
            }
            let suspect = idle.since.elapsed() >= SUSPECT;
            if !suspect || wire.answers(TRIFLE).await {
                return Some(wire);
            }
            // The others of a silent server are as dead, and each would take as long to find out.
            pool.lock().clear();
        }
    }

    async fn open(self: &Arc<Self>, target: &Arc<Target>, until: Instant) -> Result<Wire, Refusal> {
        loop {
            let slot = self.slot(until).await?;
            let left = until.saturating_duration_since(Instant::now());
            let connecting = tokio::time::timeout(left.max(TRIFLE), target.connect());
            let error = match connecting.await {
                Ok(Ok((client, carrier))) => {
                    let carrying = tokio::spawn(async move {
                        carrier.await;
                        drop(slot);
                    });
                    return Ok(Wire::new(client, carrying.abort_handle()));
                }
                Ok(Err(error)) => error,
                Err(_) => {
                    let text = "the server did not let the connection in within time".to_owned();
                    return Err(Refusal::Server(text));
                }
            };
            drop(slot);
            let full = error.code() == Some(&tokio_postgres::error::SqlState::TOO_MANY_CONNECTIONS);
            let starting =
                error.code() == Some(&tokio_postgres::error::SqlState::CANNOT_CONNECT_NOW);
            if !(full || starting) || Instant::now() >= until {
                return Err(Refusal::Server(describe(&error)));
            }
            if full {
                self.close_oldest();
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// One of the connections that may be open; the one idle for the longest time makes room.
    async fn slot(self: &Arc<Self>, until: Instant) -> Result<Slot, Refusal> {
        loop {
            let more = |open| (open < self.most).then_some(open + 1);
            if self.open.fetch_update(Relaxed, Relaxed, more).is_ok() {
                return Ok(Slot(self.clone()));
            }
            self.close_oldest();
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(Refusal::Exhausted(self.most));
            }
            // A notice may go to somebody who has just given up: look again soon.
            let pause = left.min(Duration::from_millis(20));
            let _ = tokio::time::timeout(pause, self.closed.notified()).await;
        }
    }

    /// Closes connections that have been idle for longer than usual, and forgets empty pools.
    pub fn close_expired(&self) {
        self.lock().retain(|_, pool| {
            let mut idle = pool.lock();
            idle.retain(|one| one.since.elapsed() < IDLE);
            !idle.is_empty()
        });
    }

    fn close_oldest(&self) {
        let pools: Vec<_> = self.lock().values().cloned().collect();
        let oldest = pools
            .iter()
            .filter_map(|pool| Some((pool.lock().iter().map(|one| one.since).min()?, pool)))
            .min_by_key(|(since, _)| *since);
        if let Some((since, pool)) = oldest {
            let mut idle = pool.lock();
            if let Some(index) = idle.iter().position(|one| one.since == since) {
                idle.swap_remove(index);
            }
        }
    }

    /// Closes the idle connections of a server that turned out to have gone away meanwhile.
    fn close_idle(&self, key: &Key) {
        if let Some(pool) = self.lock().get(key) {
            pool.lock().clear();
        }
    }

    fn give_back(&self, key: &Key, target: &Arc<Target>, wire: oneshot::Receiver<Wire>) {
        let mut pools = self.lock();
        let pool = pools.entry(key.clone()).or_insert_with(|| {
            Arc::new(Pool {
                target: target.clone(),
                idle: Mutex::default(),
            })
        });
        pool.lock().push(Idle {
            wire,
            since: Instant::now(),
            home: std::thread::current().id(),
        });
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Key, Arc<Pool>>> {
        self.pools.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Pool {
    /// The connection used last, of this thread rather than of another one.
    fn pop(&self) -> Option<Idle> {
        let mut idle = self.lock();
        let here = std::thread::current().id();
        let own = idle.iter().rposition(|one| one.home == here);
        let index = own.or(idle.len().checked_sub(1))?;
        Some(idle.remove(index))
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Idle>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

type Permits = (Option<OwnedSemaphorePermit>, Option<OwnedSemaphorePermit>);

/// A connection on loan. Dropped, it is given back without a trace of its user; in the middle of a
/// statement, the statement is ended and the connection closed.
pub struct Loan {
    wire: Option<Wire>,
    pools: Arc<Pools>,
    key: Key,
    target: Arc<Target>,
    held: Arc<AtomicUsize>,
    _permits: Permits,
}

impl Loan {
    /// The connection.
    pub fn wire(&mut self) -> Option<&mut Wire> {
        self.wire.as_mut()
    }

    /// Takes another connection in place of one that turned out to be dead.
    pub async fn replace(&mut self) -> Result<(), Refusal> {
        self.wire = None;
        self.pools.close_idle(&self.key);
        let until = Instant::now() + WAIT;
        self.wire = Some(self.pools.open(&self.target, until).await?);
        Ok(())
    }
}

impl Drop for Loan {
    fn drop(&mut self) {
        self.held.fetch_sub(1, Relaxed);
        let Some(mut wire) = self.wire.take() else {
            return;
        };
        let Ok(runtime) = tokio::runtime::Handle::try_current() else {
            return;
        };
        if wire.is_busy() {
            let token = wire.cancel_token();
            runtime.spawn(self.target.clone().cancel(token));
            return;
        }
        if wire.is_closed() || wire.is_tainted() {
            return;
        }
        let (clean, coming) = oneshot::channel();
        self.pools.give_back(&self.key, &self.target, coming);
        runtime.spawn(async move {
            if wire.reset(TRIFLE).await {
                // Nobody waits for it when it was closed to make room.
                let _ = clean.send(wire);
            }
        });
    }
}
