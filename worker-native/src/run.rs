//! The daemon: register, claim, perform, report, until it is told to stop.

use std::{sync::Arc, time::Duration};

use anyhow::Context;
use tokio::{
    sync::{Semaphore, mpsc, watch},
    time::{Instant, sleep, timeout},
};
use worker_api::{Register, Registered};

use crate::{
    begin::Begins,
    claim::Claimer,
    client::{CallError, Slave},
    config::{Config, Home},
    join::{self, Joined},
    journal::Journal,
    leases::Leases,
    now_ms, outbox,
    profiles::Profiles,
    report::Reporter,
    send::{Phase, Shell},
    smtp::connect::Connector,
};

/// How long mails in flight may take to finish when the worker stops.
const DRAIN: Duration = Duration::from_secs(8);

/// How long the last reports may take then.
const FAREWELL: Duration = Duration::from_secs(2);

/// How often profiles are asked for.
const REFRESH: Duration = Duration::from_secs(2);

/// How often when the slave could not tell all of them: then it looks into every sub-account each time.
const REPEAT: Duration = Duration::from_secs(10);

/// Works until `stop` is done.
///
/// # Errors
/// When the journal cannot be opened, or cannot be written any more.
pub async fn run(
    mut config: Config,
    stop: impl Future<Output = &'static str>,
) -> anyhow::Result<()> {
    let (tell, told) = watch::channel(false);
    let stop = async {
        let why = stop.await;
        tell.send_replace(true);
        why
    };
    let outbox = config.outbox.take();
    let mails = match outbox {
        // The relay is the operator's, wherever it is.
        Some(settings) => Some((settings, connector(&config, true)?)),
        None => None,
    };
    let slave = config.slave.take();
    let working = async {
        let result = match slave {
            Some(slave) => work(slave, config, stop).await,
            None => {
                tracing::info!(why = stop.await, "stopping");
                Ok(())
            }
        };
        tell.send_replace(true);
        result
    };
    tokio::join!(working, send_own(mails, told)).0
}

/// The installation's own mails, until it is told to stop and for the time of a drain after that.
async fn send_own(mails: Option<(outbox::Settings, Connector)>, mut told: watch::Receiver<bool>) {
    let Some((settings, connector)) = mails else {
        return;
    };
    let running = outbox::run(settings, connector, told.clone());
    let overdue = async {
        let _ = told.wait_for(|stop| *stop).await;
        sleep(DRAIN + FAREWELL).await;
    };
    tokio::select! {
        ended = running => {
            if let Err(error) = ended {
                tracing::error!("the installation's mails are not sent: {error:#}");
            }
        }
        () = overdue => {
            tracing::warn!("a mail of the installation is out; it may be sent once more");
        }
    }
}

fn connector(config: &Config, allow_private: bool) -> anyhow::Result<Connector> {
    Connector::new(
        config.extra_ca.as_deref(),
        allow_private,
        config.hello.clone(),
        config.timeouts,
    )
    .context("SLUICE_SMTP_CA")
}

/// Works for a slave.
async fn work(
    home: Home,
    config: Config,
    stop: impl Future<Output = &'static str>,
) -> anyhow::Result<()> {
    let slave = Arc::new(Slave::new(&home.url, &home.token)?);
    let shell = shell(&slave, &config)?;
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
    tracing::info!(worker = %me.name, slave = %home.url, lease_ms = registered.lease_ms, "registered");

    let leases = Arc::new(Leases::default());
    let lease_time =
        Duration::from_millis(registered.lease_ms.clamp(1000, 86_400_000).unsigned_abs());
    tokio::spawn(shell.reporter.clone().run(slave.clone()));
    tokio::spawn(leases.clone().run(slave.clone(), lease_time));
    tokio::spawn(keep_profiles(shell.clone()));
    if let Some(joined) = config.joined {
        tell_master(joined, &shell, config.concurrency);
    }

    let (alive, mut ended) = mpsc::channel(1);
    let concurrency = config.concurrency;
    let claimer = Claimer::new(shell.clone(), leases, me, concurrency, alive, registered);
    let claiming = claimer.run();
    tokio::pin!(claiming);
    let result = tokio::select! {
        why = &mut stop => {
            tracing::info!(why, "stopping");
            shell.phase.send_replace(Phase::Draining);
            claiming.await
        }
        result = &mut claiming => result,
    };
    drain(&shell, &mut ended).await;
    result
}

/// What all work shares, with the journal that the last process left.
fn shell(slave: &Arc<Slave>, config: &Config) -> anyhow::Result<Arc<Shell>> {
    let (journal, left) =
        Journal::open(&config.data, now_ms()).context("the journal cannot be opened")?;
    if !left.is_empty() {
        tracing::info!(reports = left.len(), "the last process left reports");
    }
    Ok(Arc::new(Shell {
        begins: Begins::start(slave.clone()),
        slave: slave.clone(),
        reporter: Arc::new(Reporter::new(journal.clone(), left)),
        journal,
        profiles: Profiles::default(),
        connector: connector(config, config.allow_private)?,
        slots: Semaphore::new(config.concurrency),
        phase: watch::channel(Phase::Running).0,
        rest_until: watch::channel(Instant::now()).0,
    }))
}

fn tell_master(joined: Joined, shell: &Arc<Shell>, all: usize) {
    let shell = shell.clone();
    let work = move || {
        let busy = all.saturating_sub(shell.slots.available_permits());
        serde_json::json!({"profiles": shell.profiles.count(), "in_flight": busy})
    };
    tokio::spawn(join::report(joined, work));
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
        let mut pause = REFRESH;
        match shell.profiles.refresh(&shell.slave).await {
            Ok(complete) => {
                failing = false;
                pause = if complete { REFRESH } else { REPEAT };
            }
            Err(error) if !failing => {
                failing = true;
                tracing::warn!(%error, "profiles could not be fetched");
            }
            Err(_) => {}
        }
        shell.profiles.tidy();
        sleep(pause).await;
    }
}
