//! Writers that found their database busy.

use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};
use tokio::sync::Notify;

/// The first writer in turn is overtaken for this long only.
const PATIENCE: Duration = Duration::from_millis(5);

/// Who waits to write: one after the other, the first in turn trying again and again. Latecomers
/// may overtake, which is fastest for all, until the first has waited for [`PATIENCE`].
#[derive(Default)]
pub struct WriteQueue {
    turn: tokio::sync::Mutex<()>,
    /// When the first in turn joined the queue, in microseconds since [`START`]; 0 is nobody.
    since: AtomicU64,
    ended: Notify,
}

/// The first in turn of a queue.
pub struct Turn<'q> {
    queue: &'q WriteQueue,
    _turn: tokio::sync::MutexGuard<'q, ()>,
}

static START: LazyLock<Instant> = LazyLock::new(Instant::now);

fn now() -> u64 {
    START.elapsed().as_micros() as u64
}

impl WriteQueue {
    /// True when the first in turn has waited for so long that others must let it go first.
    pub fn is_overdue(&self) -> bool {
        let since = self.since.load(Relaxed);
        since > 0 && now().saturating_sub(since) > PATIENCE.as_micros() as u64
    }

    /// A write ended.
    pub fn ended(&self) {
        if self.since.load(Relaxed) > 0 {
            self.ended.notify_one();
        }
    }

    /// Waits for this writer's turn, for `most` at the longest.
    pub async fn turn(&self, most: Duration) -> Option<Turn<'_>> {
        let joined = now().max(1);
        let turn = tokio::time::timeout(most, self.turn.lock()).await.ok()?;
        self.since.store(joined, Relaxed);
        Some(Turn {
            queue: self,
            _turn: turn,
        })
    }
}

impl Turn<'_> {
    /// Waits for a moment, or until a write ends.
    pub async fn wait(&self) {
        let ended = self.queue.ended.notified();
        let _ = tokio::time::timeout(Duration::from_millis(1), ended).await;
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.queue.since.store(0, Relaxed);
    }
}
