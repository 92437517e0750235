//! `sluice up`: start everything, say so, and stop everything in order.

use crate::acme::Domains;
use crate::admin::{self, Health, Told};
use crate::cli::Up;
use crate::config::fault::Faults;
use crate::demo;
use crate::mail_page::{self, Mails};
use crate::schedule::Schedules;
use crate::serve::Shared;
use crate::serve::listener::Threads;
use crate::start::{self, Prepared};
use crate::status::Machine;
use crate::{worker, world};
use anyhow::{Context, Result};
use bytes::Bytes;
use http_body_util::Empty;
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use std::io::Write as _;
use std::net::SocketAddr;
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
    // What is made while starting, and by the first ticks, stays for ever and is spread over many huge pages, each of them
    // taken whole. What requests take later comes and goes, and is faster in them.
    huge_pages(false);
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

/// Lets the allocator have huge pages, or not. Where the kernel has none it makes no difference.
fn huge_pages(allowed: bool) {
    if let Err(error) = rustix::thread::disable_transparent_huge_pages(!allowed) {
        tracing::debug!(%error, "huge pages are as the system has them");
    }
}

async fn serve(options: &Up, prepared: Prepared, threads: &Arc<Threads>) -> Result<()> {
    let Prepared {
        data,
        listener,
        tls,
        admin: admin_listener,
        acme,
        node_secret,
        shared,
        mut worker,
        local_url,
        demo_password,
    } = prepared;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let address = listener.local_addr()?;
    let mut accepting = vec![accepting(listener, threads, false)?];
    if let Some(tls) = tls {
        tracing::info!(address = %tls.local_addr()?, "serving TLS");
        accepting.push(self::accepting(tls, threads, true)?);
    }
    if let Some(tls) = &shared.edge.tls {
        tokio::spawn(world::watch(tls.certificates.clone()));
    }
    let health = Arc::new(Health::default());
    tracing::info!(admin = %admin_listener.local_addr()?, "serving /healthz, /metrics and /status");
    let told = Told {
        health: health.clone(),
        metrics: shared.metrics.clone(),
        machine: Machine::new(options.data.clone()),
        acme: acme.clone(),
    };
    tokio::spawn(admin::serve(admin_listener, told));
    if let Some(acme) = acme {
        let domains = Domains::new(&local_url, node_secret);
        let shared = shared.clone();
        tokio::spawn(async move { acme.run(&shared.edge.challenges, &domains).await });
    }
    tokio::spawn(housekeeping(shared));
    let demo = match options.demo {
        true => Some(demo::start(options, &data.demo_mails())?),
        false => None,
    };
    let databases = data.databases();
    let (stop_worker, stopping) = watch::channel(false);
    let mails_at = match worker.as_mut().and_then(|worker| worker.outbox.as_mut()) {
        Some(outbox) => own_mails(options, demo.as_ref(), outbox)?,
        None => None,
    };
    let supervising = worker.map(|worker| tokio::spawn(worker::supervise(worker, stopping)));
    let ready = async {
        first_answer(&local_url).await;
        if let Some(demo) = demo {
            demo::seed(&demo, &local_url, &demo_password, &databases).await;
        }
        health.set(true);
        if let Some(address) = mails_at {
            println!("mails of this installation: http://{address}");
        }
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
    for accepting in accepting {
        accepting.abort();
    }
    drop(data);
    Ok(())
}

/// Where the installation's own mails can be read, unless a relay takes them. The demo catches them with all others.
fn own_mails(
    options: &Up,
    demo: Option<&demo::Demo>,
    outbox: &mut worker::Outbox,
) -> Result<Option<SocketAddr>> {
    if outbox.relay.is_some() {
        return Ok(None);
    }
    if let Some(demo) = demo {
        outbox.relay = Some(format!("smtp://{}?tls=none", demo.smtp));
        return Ok(Some(demo.page));
    }
    let mails = Mails::open(&outbox.folder).context("the folder of the installation's mails")?;
    let listener = mail_page::bind(
        options.mail_page,
        &outbox.folder.with_file_name("mail-page-port"),
    )?;
    let address = listener.local_addr()?;
    tokio::spawn(mail_page::serve(
        listener,
        "Mails of this installation",
        Arc::new(mails),
    ));
    Ok(Some(address))
}

fn accepting(
    listener: std::net::TcpListener,
    threads: &Arc<Threads>,
    secure: bool,
) -> Result<tokio::task::JoinHandle<()>> {
    listener.set_nonblocking(true)?;
    let listener = tokio::net::TcpListener::from_std(listener)?;
    Ok(tokio::spawn(accept(listener, threads.clone(), secure)))
}

async fn accept(listener: tokio::net::TcpListener, threads: Arc<Threads>, secure: bool) {
    loop {
        match listener
            .accept()
            .await
            .and_then(|(stream, client)| Ok((stream.into_std()?, client)))
        {
            Ok((stream, client)) => threads.take(stream, client, secure),
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
        huge_pages(true);
        shared.databases.close_expired();
        shared.postgres.close_expired();
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
