//! `sluice up`: start everything, say so, and stop everything in order.

use crate::cli::Up;
use crate::config::fault::Faults;
use crate::config::manifest::Manifest;
use crate::config::variables::{self, Sources};
use crate::config::{self, App};
use crate::data::DataFolder;
use crate::load;
use crate::serve::listener::Threads;
use anyhow::{Context, Result};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

/// Work in flight may go on for this long after the signal to stop.
const DRAIN: Duration = Duration::from_secs(10);

/// Runs until a signal ends it.
pub fn run(options: &Up) -> Result<()> {
    let data = DataFolder::open(&options.data)?;
    let mut faults = Faults::default();
    let app = configure(options, &data, &mut faults)?;
    if !faults.is_empty() {
        faults.into_result()?;
        return Ok(());
    }
    let shared = load::load(app, &data, &options.limits, &mut faults)?;
    faults.into_result()?;
    let shared = Arc::new(shared);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let threads = Threads::start(&shared, options.limits.threads.unwrap_or(cores))?;
    runtime.block_on(serve(options, &threads))?;
    threads.stop(DRAIN);
    shared.databases.checkpoint();
    Ok(())
}

async fn serve(options: &Up, threads: &Threads) -> Result<()> {
    let listener = tokio::net::TcpListener::bind(options.listen)
        .await
        .with_context(|| format!("listening on {}", options.listen))?;
    println!("sluice is ready at http://{}", listener.local_addr()?);
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, client)) => threads.take(stream.into_std()?, client),
                Err(error) => {
                    tracing::warn!(%error, "a connection was not accepted");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            },
            _ = tokio::signal::ctrl_c() => return Ok(()),
        }
    }
}

/// Reads manifest and variables; what is wrong goes to `faults`.
pub fn configure(options: &Up, data: &DataFolder, faults: &mut Faults) -> Result<App> {
    let mut secrets = data.secrets()?;
    let public = options
        .public_url
        .clone()
        .unwrap_or_else(|| format!("http://{}", options.listen));
    let host = [
        ("public_url", public),
        ("slave_url", local_url(options.listen)),
    ];
    let values = |manifest: &Manifest, faults: &mut Faults| -> BTreeMap<String, String> {
        let mut sources = Sources {
            environment: &|name| std::env::var(name).ok(),
            options: &options.variables,
            host: &host,
            secret: &mut |name| secrets.get(name).map_err(|error| format!("{error:#}")),
        };
        variables::resolve(manifest, &mut sources, faults)
    };
    Ok(config::load(&options.manifest, values, faults))
}

/// The URL that processes on this machine use.
pub fn local_url(listen: SocketAddr) -> String {
    let mut address = listen;
    if address.ip().is_unspecified() {
        address.set_ip(match address {
            SocketAddr::V4(_) => std::net::Ipv4Addr::LOCALHOST.into(),
            SocketAddr::V6(_) => std::net::Ipv6Addr::LOCALHOST.into(),
        });
    }
    format!("http://{address}")
}
