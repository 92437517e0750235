//! `sluice up`: start everything, say so, and stop everything in order.

use crate::admin::{self, Health};
use crate::cli::Up;
use crate::config::fault::Faults;
use crate::demo;
use crate::schedule::Schedules;
use crate::serve::Shared;
use crate::serve::listener::Threads;
use crate::start::{self, Prepared};
use crate::worker;
use anyhow::{Context, Result};
use bytes::Bytes;
use http_body_util::Empty;
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use std::io::Write as _;
use std::sync::Arc;
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

/// Work in flight may go on for this long after the signal to stop.
const DRAIN: Duration = Duration::from_secs(10);
/// How often connections that nobody uses are looked for.
const HOUSEKEEPING: Duration = Duration::from_secs(15);

/// Runs until a signal ends it.
pub fn run(options: &Up) -> Result<()> {
    raise_file_limit();
    let mut faults = Faults::default();
    let prepared = start::prepare(options, &mut faults);
    faults.into_result()?;
    let prepared = prepared.context("there is nothing to serve")?;
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let count = options.limits.threads.unwrap_or(cores).max(1);
    let threads = Arc::new(Threads::start(&prepared.shared, count)?);
    let schedules = Schedules::start(&prepared.shared)?;
    let shared = prepared.shared.clone();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let served = runtime.block_on(serve(options, prepared, &threads));
    schedules.stop(DRAIN);
    threads.stop(&shared, DRAIN);
    shared.databases.checkpoint();
    tracing::info!("stopped");
    // What still runs has had its time; nothing may hold up the exit.
    runtime.shutdown_background();
    served
}

async fn serve(options: &Up, prepared: Prepared, threads: &Arc<Threads>) -> Result<()> {
    let Prepared {
        data,
        listener,
        admin: admin_listener,
        shared,
        worker,
        local_url,
        demo_password,
    } = prepared;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let address = listener.local_addr()?;
    listener.set_nonblocking(true)?;
    let listener = tokio::net::TcpListener::from_std(listener)?;
    let accepting = tokio::spawn(accept(listener, threads.clone()));
    let health = Arc::new(Health::default());
    tracing::info!(admin = %admin_listener.local_addr()?, "serving /healthz and /metrics");
    tokio::spawn(admin::serve(
        admin_listener,
        health.clone(),
        shared.metrics.clone(),
    ));
    tokio::spawn(housekeeping(shared));
    let demo = match options.demo {
        true => Some(demo::start(options, &data.demo_mails())?),
        false => None,
    };
    let databases = data.databases();
    let (stop_worker, stopping) = watch::channel(false);
    let supervising = worker.map(|worker| tokio::spawn(worker::supervise(worker, stopping)));
    let ready = async {
        first_answer(&local_url).await;
        if let Some(demo) = demo {
            demo::seed(&demo, &local_url, &demo_password, &databases).await;
        }
        health.set(true);
        println!("sluice is ready at http://{address}");
        let _ = std::io::stdout().flush();
        std::future::pending::<()>().await
    };
    tokio::select! {
        () = ready => {}
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
    tracing::info!("stopping");
    health.set(false);
    // The worker first, while the slave it reports to still answers.
    let _ = stop_worker.send(true);
    if let Some(supervising) = supervising {
        let _ = supervising.await;
    }
    accepting.abort();
    drop(data);
    Ok(())
}

async fn accept(listener: tokio::net::TcpListener, threads: Arc<Threads>) {
    loop {
        match listener
            .accept()
            .await
            .and_then(|(stream, client)| Ok((stream.into_std()?, client)))
        {
            Ok((stream, client)) => threads.take(stream, client),
            Err(error) => {
                tracing::warn!(%error, "a connection was not accepted");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }
}

async fn housekeeping(shared: Arc<Shared>) {
    loop {
        tokio::time::sleep(HOUSEKEEPING).await;
        shared.databases.close_expired();
    }
}

/// Waits until the application answers its first request, whatever it says.
async fn first_answer(url: &str) {
    let client = Client::builder(TokioExecutor::new()).build_http::<Empty<Bytes>>();
    let Ok(uri) = url.parse::<http::Uri>() else {
        return;
    };
    match tokio::time::timeout(Duration::from_secs(30), client.get(uri)).await {
        Ok(Ok(answer)) => tracing::debug!(status = %answer.status(), "the first answer"),
        Ok(Err(error)) => tracing::warn!(%error, "the first request was not answered"),
        Err(_) => tracing::warn!("the first request was not answered in time"),
    }
}

/// Every database takes three files and every client one: the soft limit of 1,024 is soon reached.
fn raise_file_limit() {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    if let Err(error) = setrlimit(Resource::Nofile, limit) {
        tracing::warn!(%error, "the limit of open files stays as it is");
    }
}
