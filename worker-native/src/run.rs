//! The daemon: register, claim, perform, report, until it is told to stop.

use std::{sync::Arc, time::Duration};

use anyhow::Context;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, mpsc, watch},
    time::{Instant, sleep, timeout},
};
use worker_api::{Claim, Outcome, Register, Registered, Task};

use crate::{
    begin::Begins,
    client::{CallError, Slave},
    config::Config,
    journal::Journal,
    leases::Leases,
    now_ms,
    profiles::Profiles,
    report::{FULL, Reporter},
    send::{Phase, SLOW, Shell},
    smtp::connect::Connector,
};

/// How long mails in flight may take to finish when the worker stops.
const DRAIN: Duration = Duration::from_secs(8);

/// How long the last reports may take then.
const FAREWELL: Duration = Duration::from_secs(2);

/// How often profiles are asked for.
const REFRESH: Duration = Duration::from_secs(2);

/// Requests of slow servers that may be in hand beside the others.
const SLOW_HANDS: usize = 1024;

/// With so many in hand a profile is busy: its connections have work, and as much again waits.
const BUSY: usize = 8;

/// More than this a profile does not get, even if the slave gives it: they would take the slow ones' room.
const TOO_MANY: usize = 64;

/// How long to wait for more room before asking for little.
const GATHER: Duration = Duration::from_millis(30);

/// Works until `stop` is done.
///
/// # Errors
/// When the journal cannot be opened, or cannot be written any more.
pub async fn run(config: Config, stop: impl Future<Output = &'static str>) -> anyhow::Result<()> {
    let (journal, left) =
        Journal::open(&config.data, now_ms()).context("the journal cannot be opened")?;
    if !left.is_empty() {
        tracing::info!(reports = left.len(), "the last process left reports");
    }
    let slave = Arc::new(Slave::new(&config.slave_url, &config.token)?);
    let connector = Connector::new(
        config.extra_ca.as_deref(),
        config.allow_private,
        config.hello.clone(),
        config.timeouts,
    )
    .context("SLUICE_SMTP_CA")?;
    let reporter = Arc::new(Reporter::new(journal.clone(), left));
    let shell = Arc::new(Shell {
        begins: Begins::start(slave.clone()),
        slave: slave.clone(),
        journal,
        reporter: reporter.clone(),
        profiles: Profiles::default(),
        connector,
        slots: Semaphore::new(config.concurrency),
        phase: watch::channel(Phase::Running).0,
    });
    let me = Register {
        name: config.name.clone(),
        version: env!("CARGO_PKG_VERSION").into(),
    };
    tokio::pin!(stop);

    let registered = tokio::select! {
        why = &mut stop => {
            tracing::info!(why, "stopping before the slave answered");
            return Ok(());
        }
        registered = register(&slave, &me) => registered,
    };
    tracing::info!(worker = %me.name, slave = %config.slave_url, lease_ms = registered.lease_ms, "registered");

    let leases = Arc::new(Leases::default());
    let lease_time =
        Duration::from_millis(registered.lease_ms.clamp(1000, 86_400_000).unsigned_abs());
    tokio::spawn(reporter.clone().run(slave.clone()));
    tokio::spawn(leases.clone().run(slave.clone(), lease_time));
    tokio::spawn(keep_profiles(shell.clone()));

    // As much again as is in flight waits in hand, so that a connection that is ready finds work.
    let hands = config.concurrency * 2;
    let (alive, mut ended) = mpsc::channel(1);
    let claimer = Claimer {
        shell: shell.clone(),
        leases,
        me,
        hands,
        room: Arc::new(Semaphore::new(hands)),
        slow: Arc::new(Semaphore::new(SLOW_HANDS)),
        alive,
        registered,
    };
    let result = tokio::select! {
        why = &mut stop => {
            tracing::info!(why, "stopping");
            Ok(())
        }
        error = claimer.run() => Err(error),
    };
    drain(&shell, &mut ended).await;
    result
}

/// Lets mails in flight finish, gives the rest back, and reports. `ended` closes with the last of them.
async fn drain(shell: &Shell, ended: &mut mpsc::Receiver<()>) {
    shell.phase.send_replace(Phase::Draining);
    if timeout(DRAIN, ended.recv()).await.is_err() {
        shell.phase.send_replace(Phase::Stopped);
        if timeout(Duration::from_millis(200), ended.recv())
            .await
            .is_err()
        {
            tracing::warn!("mails whose answer is still out are settled at the next start");
        }
    }
    let mut waiting = shell.reporter.length();
    if timeout(FAREWELL, waiting.wait_for(|&n| n == 0))
        .await
        .is_err()
    {
        tracing::warn!(
            reports = *waiting.borrow(),
            "reports wait in the journal for the next start"
        );
    }
    tracing::info!("stopped");
}

async fn register(slave: &Slave, me: &Register) -> Registered {
    let mut pause = Duration::from_millis(100);
    loop {
        match slave.register(me).await {
            Ok(registered) => return registered,
            Err(error @ CallError::Unauthorized(_)) => {
                tracing::error!("{error}");
                pause = Duration::from_secs(10);
            }
            Err(error) => tracing::warn!(%error, "not registered yet"),
        }
        sleep(pause).await;
        pause = (pause * 2).min(Duration::from_secs(5));
    }
}

async fn keep_profiles(shell: Arc<Shell>) {
    let mut failing = false;
    loop {
        match shell.profiles.refresh(&shell.slave).await {
            Ok(()) => failing = false,
            Err(error) if !failing => {
                failing = true;
                tracing::warn!(%error, "profiles could not be fetched");
            }
            Err(_) => {}
        }
        shell.profiles.tidy();
        sleep(REFRESH).await;
    }
}

struct Claimer {
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
    /// Claims for ever; gives the reason when it cannot go on.
    async fn run(mut self) -> anyhow::Error {
        let mut pause = Duration::from_millis(100);
        let mut waiting = self.shell.reporter.length();
        loop {
            self.wait_for_room().await;
            // Back-pressure: what is done must be told before more is done.
            let _ = waiting.wait_for(|&n| n < FULL).await;
            if let Err(broken) = self.shell.journal.check() {
                return broken.into();
            }
            let max = u32::try_from(self.room.available_permits()).unwrap_or(u32::MAX);
            let asked = Instant::now();
            match self
                .shell
                .slave
                .claim(&Claim {
                    worker: self.me.name.clone(),
                    max,
                    busy: self.leases.busy(BUSY),
                })
                .await
            {
                Ok(claimed) => {
                    pause = Duration::from_millis(100);
                    let got = claimed.tasks.len() + claimed.unknown.len();
                    self.start(claimed, asked);
                    if got < max as usize {
                        let poll = Duration::from_millis(
                            self.registered.poll_ms.clamp(10, 60_000).unsigned_abs(),
                        );
                        sleep(if got == 0 { poll } else { poll.min(GATHER) }).await;
                    }
                }
                Err(error) => {
                    tracing::warn!(%error, "nothing claimed");
                    if error.is_unknown_worker() {
                        match self.shell.slave.register(&self.me).await {
                            Ok(registered) => self.registered = registered,
                            Err(error) => tracing::warn!(%error, "not registered"),
                        }
                    } else if matches!(error, CallError::Unauthorized(_)) {
                        pause = Duration::from_secs(10);
                    }
                    sleep(pause).await;
                    pause = (pause * 2).min(Duration::from_secs(5));
                }
            }
        }
    }

    /// Waits for a good part of the room, or a moment for any.
    async fn wait_for_room(&self) {
        let part = u32::try_from((self.hands / 4).max(1)).unwrap_or(1);
        if timeout(GATHER, self.room.acquire_many(part)).await.is_err() {
            drop(self.room.acquire().await);
        }
    }

    fn start(&self, claimed: crate::client::Claimed, asked: Instant) {
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
                (held, self.alive.clone()),
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
    until_the_end: impl Sized,
) {
    {
        let work = shell.perform(task);
        tokio::pin!(work);
        tokio::select! {
            () = &mut work => {}
            () = sleep(SLOW) => {
                let _slow = slow.try_acquire().inspect(|_| drop(permit.take()));
                work.await;
            }
        }
    }
    drop((until_the_end, permit));
}
