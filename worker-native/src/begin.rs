//! Asking the slave's leave right before an effect that cannot be repeated; many at once in one call.

use std::{sync::Arc, time::Duration};

use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot},
    time::{Instant, sleep},
};
use worker_api::{Lease, Verdict};

use crate::client::{CallError, Slave};

/// How long a mail server is kept waiting for the slave's word.
const PATIENCE: Duration = Duration::from_secs(10);

/// How long one call may take within that.
const CALL: Duration = Duration::from_secs(5);

/// Calls at once; what comes meanwhile waits and then goes together.
const CALLS: usize = 2;

/// The slave's word.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// The begin is recorded.
    Go,
    /// The lease is no longer this worker's, or the request no longer wanted.
    Refused(String),
    /// No word; the begin may or may not be recorded.
    Unknown(String),
}

struct Ask {
    lease: Lease,
    until: Instant,
    answer: oneshot::Sender<Answer>,
}

/// Where to ask.
pub struct Begins {
    queue: mpsc::Sender<Ask>,
}

impl Begins {
    /// Starts asking `slave`; must be called within a runtime.
    pub fn start(slave: Arc<Slave>) -> Self {
        let (queue, asks) = mpsc::channel(1024);
        tokio::spawn(run(slave, asks));
        Self { queue }
    }

    /// Asks and waits.
    pub async fn begin(&self, lease: &Lease) -> Answer {
        let (answer, word) = oneshot::channel();
        let ask = Ask {
            lease: lease.clone(),
            until: Instant::now() + PATIENCE,
            answer,
        };
        if self.queue.send(ask).await.is_err() {
            return Answer::Unknown("the worker is stopping".into());
        }
        word.await
            .unwrap_or_else(|_| Answer::Unknown("the worker is stopping".into()))
    }
}

async fn run(slave: Arc<Slave>, mut asks: mpsc::Receiver<Ask>) {
    let calls = Arc::new(Semaphore::new(CALLS));
    while let Ok(call) = calls.clone().acquire_owned().await {
        let mut batch = Vec::new();
        if asks.recv_many(&mut batch, 500).await == 0 {
            return;
        }
        tokio::spawn(ask(slave.clone(), batch, calls.clone(), call));
    }
}

/// Repeats the call until there is a word for each or nobody waits any more: a begin under the same lease may be
/// repeated. While it pauses, others may call.
async fn ask(
    slave: Arc<Slave>,
    mut batch: Vec<Ask>,
    calls: Arc<Semaphore>,
    mut call: OwnedSemaphorePermit,
) {
    loop {
        let leases: Vec<Lease> = batch.iter().map(|a| a.lease.clone()).collect();
        let (verdicts, why, hopeless) = match slave.begin(&leases, CALL).await {
            Ok(verdicts) => (verdicts, "the slave gave no verdict".to_owned(), false),
            Err(error) => {
                tracing::debug!(%error, "a begin was not recorded");
                let hopeless = error.is_refusal() || matches!(error, CallError::Unauthorized(_));
                (vec![None; batch.len()], error.to_string(), hopeless)
            }
        };
        drop(call);
        batch = settle(batch, verdicts, &why, hopeless);
        if batch.is_empty() {
            return;
        }
        sleep(Duration::from_millis(200)).await;
        call = match calls.clone().acquire_owned().await {
            Ok(call) => call,
            Err(_) => return,
        };
    }
}

/// Tells those that there is a word for, or no hope of one; the others are left.
fn settle(batch: Vec<Ask>, verdicts: Vec<Option<Verdict>>, why: &str, hopeless: bool) -> Vec<Ask> {
    let now = Instant::now();
    let mut waiting = Vec::new();
    for (ask, verdict) in batch.into_iter().zip(verdicts) {
        let answer = match verdict {
            Some(v) if v.accepted => Answer::Go,
            Some(v) => Answer::Refused(v.reason.unwrap_or_else(|| "stale_lease".into())),
            None if !hopeless && ask.until > now && !ask.answer.is_closed() => {
                waiting.push(ask);
                continue;
            }
            None => Answer::Unknown(why.to_owned()),
        };
        let _ = ask.answer.send(answer);
    }
    waiting
}
