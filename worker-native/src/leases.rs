//! The leases of requests in hand, kept alive until they have ended.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::{Instant, sleep};
use worker_api::Lease;

use crate::client::Slave;

/// All leases in hand with the time they were last granted.
#[derive(Default)]
pub struct Leases {
    granted: Mutex<HashMap<Lease, Instant>>,
}

/// Holds a lease until it is dropped.
pub struct Held {
    leases: Arc<Leases>,
    lease: Lease,
}

impl Leases {
    /// Takes a lease that was granted at `granted` or later; none when it is in hand already.
    pub fn hold(self: &Arc<Self>, lease: &Lease, granted: Instant) -> Option<Held> {
        let mut leases = self.leases();
        if leases.contains_key(lease) {
            return None;
        }
        leases.insert(lease.clone(), granted);
        Some(Held {
            leases: self.clone(),
            lease: lease.clone(),
        })
    }

    /// Renews each lease when half its time has passed.
    pub async fn run(self: Arc<Self>, slave: Arc<Slave>, lease_time: Duration) {
        let half = lease_time / 2;
        let tick = (lease_time / 8).clamp(Duration::from_millis(100), Duration::from_secs(10));
        loop {
            sleep(tick).await;
            let due: Vec<Lease> = self
                .leases()
                .iter()
                .filter(|(_, granted)| granted.elapsed() + tick >= half)
                .map(|(lease, _)| lease.clone())
                .take(500)
                .collect();
            if due.is_empty() {
                continue;
            }
            let asked = Instant::now();
            match slave.renew(&due).await {
                Ok(verdicts) => {
                    let mut leases = self.leases();
                    for (lease, verdict) in due.iter().zip(verdicts) {
                        match verdict {
                            Some(v) if v.accepted => {
                                if let Some(granted) = leases.get_mut(lease) {
                                    *granted = asked;
                                }
                            }
                            // Its begin or its result will be refused; nothing must be done here but not to ask again.
                            Some(_) => {
                                leases.remove(lease);
                            }
                            None => {}
                        }
                    }
                }
                Err(error) => {
                    tracing::warn!(%error, leases = due.len(), "leases could not be renewed")
                }
            }
        }
    }

    fn leases(&self) -> MutexGuard<'_, HashMap<Lease, Instant>> {
        self.granted.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.leases.leases().remove(&self.lease);
    }
}
