//! Telling the slave what became of requests: on disk first, then in batches, for as long as it takes.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{sync::watch, time::sleep};
use worker_api::{Lease, Outcome, Report};

use crate::{
    client::{CallError, Slave},
    journal::{Journal, Mark},
    now_ms,
};

/// The most reports in one call.
const BATCH: usize = 500;

/// With so many reports waiting, no more work is claimed.
pub const FULL: usize = 500;

/// The queue of what the slave has not heard yet.
pub struct Reporter {
    journal: Journal,
    queue: Mutex<VecDeque<(Report, Option<Mark>)>>,
    length: watch::Sender<usize>,
}

impl Reporter {
    /// A queue that begins with what the last process left, which is in the journal already.
    pub fn new(journal: Journal, left: Vec<Report>) -> Self {
        let queue: VecDeque<_> = left.into_iter().map(|report| (report, None)).collect();
        let length = watch::channel(queue.len()).0;
        Self {
            journal,
            queue: Mutex::new(queue),
            length,
        }
    }

    /// Notes an outcome in the journal and hands it over for reporting.
    pub fn ended(&self, lease: Lease, outcome: Outcome) {
        tracing::debug!(subaccount = %lease.subaccount, request = lease.id, ?outcome, "ended");
        let report = Report {
            lease,
            outcome,
            at: now_ms(),
        };
        // Without a journal the slave's ear is all that is left.
        let mark = self
            .journal
            .ended(&report)
            .inspect_err(|error| tracing::error!(%error, "an outcome is not in the journal"))
            .ok();
        let length = {
            let mut queue = self.queue();
            queue.push_back((report, mark));
            queue.len()
        };
        self.length.send_replace(length);
    }

    /// Forgets a lease that was refused before anything happened.
    pub fn forget(&self, lease: &Lease) {
        if let Err(error) = self.journal.removed(lease) {
            tracing::warn!(%error, "a refused begin stays in the journal");
        }
    }

    /// How many reports wait, as it changes.
    pub fn length(&self) -> watch::Receiver<usize> {
        self.length.subscribe()
    }

    /// Reports for ever.
    pub async fn run(self: Arc<Self>, slave: Arc<Slave>) {
        let mut length = self.length();
        let mut pause = Duration::from_millis(100);
        let mut limit = BATCH;
        loop {
            if length.wait_for(|&n| n > 0).await.is_err() {
                return;
            }
            let batch: Vec<(Report, Option<Mark>)> =
                self.queue().iter().take(limit).cloned().collect();
            if let Some(mark) = batch.iter().filter_map(|(_, mark)| *mark).max()
                && let Err(error) = self.journal.durable(mark).await
            {
                tracing::error!(%error, "outcomes are reported though they are not safely on disk");
            }
            let reports: Vec<Report> = batch.into_iter().map(|(report, _)| report).collect();
            match slave.results(&reports).await {
                Ok(verdicts) => {
                    for (report, verdict) in reports.iter().zip(&verdicts) {
                        if let Some(v) = verdict
                            .as_ref()
                            .filter(|v| !v.accepted && report.outcome != Outcome::Released)
                        {
                            tracing::warn!(
                                subaccount = %report.lease.subaccount, request = report.lease.id,
                                reason = v.reason.as_deref().unwrap_or("-"), outcome = ?report.outcome,
                                "the slave did not take a result"
                            );
                        }
                    }
                    let heard: Vec<bool> = verdicts.iter().map(Option::is_some).collect();
                    self.done(&heard, true);
                    if heard.contains(&true) {
                        pause = Duration::from_millis(100);
                        limit = BATCH;
                    }
                    if !heard.contains(&false) {
                        continue;
                    }
                    tracing::warn!("the slave could not take every result; the others wait");
                }
                // Of a batch that cannot be understood, find the one report that is to blame.
                Err(error) if error.is_refusal() && reports.len() > 1 => {
                    tracing::warn!(%error, "a batch of results was refused; trying one by one");
                    limit = 1;
                    continue;
                }
                Err(error) if error.is_refusal() => {
                    tracing::error!(%error, report = ?reports.first(), "a result was refused; it stays in the journal until the next start");
                    self.done(&vec![true; reports.len()], false);
                    continue;
                }
                Err(CallError::Unauthorized(status)) => {
                    tracing::error!(
                        "{}; {} results wait",
                        CallError::Unauthorized(status),
                        *length.borrow()
                    );
                    pause = Duration::from_secs(10);
                }
                Err(error) => tracing::warn!(%error, waiting = *length.borrow(), "results wait"),
            }
            sleep(pause).await;
            pause = (pause * 2).min(Duration::from_secs(5));
        }
    }

    /// Takes off the queue's first reports what was heard; the rest goes to its end, so that one sub-account that
    /// cannot be written does not hold up the others.
    fn done(&self, heard: &[bool], forget: bool) {
        let (gone, length) = {
            let mut queue = self.queue();
            let first: Vec<_> = queue.drain(..heard.len()).zip(heard).collect();
            let (gone, left): (Vec<_>, Vec<_>) = first.into_iter().partition(|(_, heard)| **heard);
            queue.extend(left.into_iter().map(|(entry, _)| entry));
            (gone, queue.len())
        };
        if forget {
            for ((report, _), _) in gone {
                // If it stays, the next start reports it once more, which the slave takes as the repetition it is.
                let _ = self.journal.removed(&report.lease);
            }
        }
        self.length.send_replace(length);
    }

    fn queue(&self) -> MutexGuard<'_, VecDeque<(Report, Option<Mark>)>> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
