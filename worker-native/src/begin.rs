//! Asking the slave's leave right before an effect that cannot be repeated; many at once in one call.

use std::{sync::Arc, time::Duration};

use tokio::{
    sync::{Semaphore, mpsc, oneshot},
    time::{Instant, sleep},
};
use worker_api::Lease;

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
        let slave = slave.clone();
        tokio::spawn(async move {
            ask(&slave, batch).await;
            drop(call);
        });
    }
}

/// Repeats the call until there is a word or nobody waits any more: a begin under the same lease may be repeated.
async fn ask(slave: &Slave, mut batch: Vec<Ask>) {
    loop {
        let leases: Vec<Lease> = batch.iter().map(|a| a.lease.clone()).collect();
        match slave.begin(&leases, CALL).await {
            Ok(verdicts) => {
                for (ask, verdict) in batch.into_iter().zip(verdicts) {
                    let answer = match verdict {
                        Some(v) if v.accepted => Answer::Go,
                        Some(v) => {
                            Answer::Refused(v.reason.unwrap_or_else(|| "stale_lease".into()))
                        }
                        None => Answer::Unknown("the slave gave no verdict".into()),
                    };
                    let _ = ask.answer.send(answer);
                }
                return;
            }
            Err(error) => {
                let now = Instant::now();
                let hopeless = error.is_refusal() || matches!(error, CallError::Unauthorized(_));
                tracing::debug!(%error, "a begin was not recorded");
                let (waiting, over): (Vec<Ask>, Vec<Ask>) = batch
                    .into_iter()
                    .partition(|a| !hopeless && a.until > now && !a.answer.is_closed());
                for ask in over {
                    let _ = ask.answer.send(Answer::Unknown(error.to_string()));
                }
                if waiting.is_empty() {
                    return;
                }
                batch = waiting;
                sleep(Duration::from_millis(200)).await;
            }
        }
    }
}
