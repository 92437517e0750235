//! Asking for work when there is room for it, and starting it.

use std::{sync::Arc, time::Duration};

use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, mpsc},
    time::{Instant, sleep, timeout},
};
use worker_api::{Claim, Outcome, Register, Registered, Task};

use crate::{
    client::{CallError, Claimed},
    journal::Broken,
    leases::{Held, Leases},
    report::FULL,
    send::{Phase, SLOW, Shell},
};

/// Requests of slow servers that may be in hand beside the others.
const SLOW_HANDS: usize = 1024;

/// With so many slow ones in hand a profile is busy: its connections have work, and as much again waits.
const BUSY: usize = 8;

/// More than this a profile does not get, even if the slave gives it: they would take the slow ones' room.
const TOO_MANY: usize = 64;

/// How long to wait for more room before asking for little.
const GATHER: Duration = Duration::from_millis(30);

/// How long a claim that is under way when the worker stops may still bring requests, which then go back at once
/// instead of when their leases end.
const LAST_CLAIM: Duration = Duration::from_millis(500);

/// Claims and starts requests.
pub struct Claimer {
    shell: Arc<Shell>,
    leases: Arc<Leases>,
    me: Register,
    hands: usize,
    room: Arc<Semaphore>,
    /// Room for those that a slow server holds up, so that the others keep theirs.
    slow: Arc<Semaphore>,
    /// Each request in hand has a copy.
    alive: mpsc::Sender<()>,
    registered: Registered,
}

impl Claimer {
    /// A claimer; `alive` and its copies are dropped when the last request in hand has ended.
    pub fn new(
        shell: Arc<Shell>,
        leases: Arc<Leases>,
        me: Register,
        concurrency: usize,
        alive: mpsc::Sender<()>,
        registered: Registered,
    ) -> Self {
        // As much again as is in flight waits in hand, so that a connection that is ready finds work.
        let hands = concurrency * 2;
        let room = Arc::new(Semaphore::new(hands));
        let slow = Arc::new(Semaphore::new(SLOW_HANDS));
        Self {
            shell,
            leases,
            me,
            hands,
            room,
            slow,
            alive,
            registered,
        }
    }

    /// Claims until the worker drains.
    ///
    /// # Errors
    /// When the journal cannot be written any more.
    pub async fn run(mut self) -> anyhow::Result<()> {
        let shell = self.shell.clone();
        let mut wait = Duration::ZERO;
        let mut failures = 0;
        loop {
            tokio::select! {
                biased;
                () = shell.reached(Phase::Draining) => return Ok(()),
                ready = self.ready(wait) => ready?,
            }
            let max = u32::try_from(self.room.available_permits()).unwrap_or(u32::MAX);
            let (worker, busy) = (self.me.name.clone(), self.leases.busy(BUSY));
            let asked = Instant::now();
            let claim = Claim { worker, max, busy };
            let claimed = tokio::select! {
                claimed = shell.slave.claim(&claim) => claimed,
                () = async {
                    shell.reached(Phase::Draining).await;
                    sleep(LAST_CLAIM).await;
                } => return Ok(()),
            };
            wait = match claimed {
                Ok(claimed) => {
                    failures = 0;
                    let got = claimed.tasks.len() + claimed.unknown.len();
                    self.start(claimed, asked);
                    self.pause_after(got, max)
                }
                Err(error) => {
                    tracing::warn!(%error, "nothing claimed");
                    if error.is_unknown_worker()
                        && let Ok(registered) = shell.slave.register(&self.me).await
                    {
                        self.registered = registered;
                    }
                    failures += 1;
                    match error {
                        CallError::Unauthorized(_) => Duration::from_secs(10),
                        _ => Duration::from_millis(100 << failures.min(6))
                            .min(Duration::from_secs(5)),
                    }
                }
            };
        }
    }

    /// Waits until there is reason and room to claim.
    async fn ready(&self, wait: Duration) -> Result<(), Broken> {
        sleep(wait).await;
        self.wait_for_room().await;
        // Back-pressure: what is done must be told before more is done.
        let _ = self.shell.reporter.length().wait_for(|&n| n < FULL).await;
        self.shell.rest().await;
        self.shell.journal.check()
    }

    fn pause_after(&self, got: usize, max: u32) -> Duration {
        let poll = Duration::from_millis(self.registered.poll_ms.clamp(10, 60_000).unsigned_abs());
        match got {
            0 => poll,
            _ if got < max as usize => poll.min(GATHER),
            _ => Duration::ZERO,
        }
    }

    /// Waits for a good part of the room, or a moment for any.
    async fn wait_for_room(&self) {
        let part = u32::try_from((self.hands / 4).max(1)).unwrap_or(1);
        if timeout(GATHER, self.room.acquire_many(part)).await.is_err() {
            drop(self.room.acquire().await);
        }
    }

    fn start(&self, claimed: Claimed, asked: Instant) {
        for (lease, error) in claimed.unknown {
            tracing::warn!(subaccount = %lease.subaccount, request = lease.id, error, "claimed work that this version does not know");
            self.shell.reporter.ended(
                lease,
                Outcome::Retry {
                    error: "this version of the worker does not know this kind of work".into(),
                    after_ms: Some(300_000),
                },
            );
        }
        for task in claimed.tasks {
            let Some(held) = self.leases.hold(&task.lease, task.profile_id, asked) else {
                continue;
            };
            // Only so that a restart can give it back at once; without it the lease runs out.
            let _ = self.shell.journal.claimed(&task.lease);
            if held.of_profile() > TOO_MANY {
                let error = "many mails already wait for this profile's slow mail server".into();
                let after_ms = Some(30_000);
                let outcome = Outcome::Retry { error, after_ms };
                self.shell.reporter.ended(task.lease, outcome);
                continue;
            }
            // A slave that gives more than was asked for is served all the same.
            let permit = self.room.clone().try_acquire_owned().ok();
            tokio::spawn(hold(
                self.shell.clone(),
                task,
                permit,
                self.slow.clone(),
                held,
                self.alive.clone(),
            ));
        }
    }
}

/// Performs a request; when that takes long, its room is given to another one.
async fn hold(
    shell: Arc<Shell>,
    task: Task,
    mut permit: Option<OwnedSemaphorePermit>,
    slow: Arc<Semaphore>,
    mut held: Held,
    alive: mpsc::Sender<()>,
) {
    {
        let work = shell.perform(task);
        tokio::pin!(work);
        tokio::select! {
            () = &mut work => {}
            () = sleep(SLOW) => {
                held.is_slow();
                let _slow = slow.try_acquire().inspect(|_| drop(permit.take()));
                work.await;
            }
        }
    }
    drop((held, permit, alive));
}
