//! The leases of requests in hand, kept alive until they have ended, and how many each profile has.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::{Instant, sleep};
use worker_api::{Lease, ProfileKey};

use crate::client::Slave;

/// All leases in hand with the time they were last granted.
#[derive(Default)]
pub struct Leases {
    granted: Mutex<HashMap<Lease, Instant>>,
    hands: Mutex<HashMap<ProfileKey, Hands>>,
}

/// What one profile has in hand.
#[derive(Default)]
struct Hands {
    all: usize,
    slow: usize,
}

/// Holds a lease until it is dropped.
pub struct Held {
    leases: Arc<Leases>,
    lease: Lease,
    profile: ProfileKey,
    slow: bool,
}

impl Leases {
    /// Takes a profile's lease that was granted at `granted` or later; none when it is in hand already.
    pub fn hold(
        self: &Arc<Self>,
        lease: &Lease,
        profile_id: i64,
        granted: Instant,
    ) -> Option<Held> {
        let mut leases = self.leases();
        if leases.contains_key(lease) {
            return None;
        }
        leases.insert(lease.clone(), granted);
        drop(leases);
        let profile = ProfileKey {
            subaccount: lease.subaccount.clone(),
            profile_id,
        };
        self.hands().entry(profile.clone()).or_default().all += 1;
        Some(Held {
            leases: self.clone(),
            lease: lease.clone(),
            profile,
            slow: false,
        })
    }

    /// The profiles of which at least `limit` requests in hand take long.
    pub fn busy(&self, limit: usize) -> Vec<ProfileKey> {
        let hands = self.hands();
        let busy = hands.iter().filter(|(_, hands)| hands.slow >= limit);
        busy.map(|(profile, _)| profile.clone()).collect()
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

    fn hands(&self) -> MutexGuard<'_, HashMap<ProfileKey, Hands>> {
        self.hands.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn leases(&self) -> MutexGuard<'_, HashMap<Lease, Instant>> {
        self.granted.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Held {
    /// How many requests its profile has in hand, this one among them.
    pub fn of_profile(&self) -> usize {
        self.leases.hands().get(&self.profile).map_or(0, |h| h.all)
    }

    /// Says that it takes long.
    pub fn is_slow(&mut self) {
        if !self.slow
            && let Some(hands) = self.leases.hands().get_mut(&self.profile)
        {
            hands.slow += 1;
        }
        self.slow = true;
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.leases.leases().remove(&self.lease);
        let mut hands = self.leases.hands();
        if let Some(profile) = hands.get_mut(&self.profile) {
            profile.all -= 1;
            profile.slow -= usize::from(self.slow);
            if profile.all == 0 {
                hands.remove(&self.profile);
            }
        }
    }
}
