//! Supervises one local `sluice-worker`: started when the host serves, started again when it dies,
//! stopped with the host. The worker ends when its standard input does, so it cannot outlive a host
//! that was killed.

use anyhow::{Context, Result};
use rustix::process::{Pid, Signal, kill_process};
use std::ffi::OsString;
use std::io::Read;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::{Duration, Instant};
use tokio::process::{Child, ChildStdin, Command};
use tokio::sync::watch;

/// How long the worker may look at its settings.
const CHECK: Duration = Duration::from_secs(5);

/// What the worker is started with.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The program.
    pub program: PathBuf,
    /// Where this host answers.
    pub url: String,
    /// What it shows the slave, when one runs here.
    pub token: Option<String>,
    /// Its folder.
    pub data: PathBuf,
    /// Whether it may talk to mail servers at private addresses.
    pub allow_private: bool,
    /// The installation's own mails, when its master runs here.
    pub outbox: Option<Outbox>,
}

/// How the installation's own mails leave.
#[derive(Debug, Clone)]
pub struct Outbox {
    /// What the worker shows the master, which answers where the slave does.
    pub token: String,
    /// `smtp[s]://…`; a folder takes its place when it is not set.
    pub relay: Option<String>,
    /// The folder.
    pub folder: PathBuf,
}

/// A worker that was asked to stop is killed after this long: a little more than it takes itself.
const PATIENCE: Duration = Duration::from_secs(12);
/// A worker that lived this long starts again without delay.
const HEALTHY: Duration = Duration::from_secs(60);
/// What the worker has from its host or not at all.
const OURS: [&str; 2] = ["SLUICE_SLAVE_URL", "SLUICE_WORKER_TOKEN"];
const SHORTEST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// Keeps the worker running until told to stop.
pub async fn supervise(settings: Settings, mut stopping: watch::Receiver<bool>) {
    let mut pause = SHORTEST_PAUSE;
    while !*stopping.borrow() {
        let started = Instant::now();
        match start(&settings) {
            Ok(mut child) => {
                tracing::info!(pid = child.id(), "the worker started");
                // Taken, since waiting would close it, and its end asks the worker to end.
                let input = child.stdin.take();
                let told = stopping.wait_for(|stop| *stop);
                let ended = tokio::select! {
                    ended = child.wait() => Some(ended),
                    _ = told => None,
                };
                match ended {
                    None => return stop(child, input).await,
                    Some(Ok(status)) => tracing::warn!(%status, "the worker ended"),
                    Some(Err(error)) => tracing::warn!(%error, "the worker is lost"),
                }
            }
            Err(error) => tracing::error!("{error:#}"),
        }
        if started.elapsed() > HEALTHY {
            pause = SHORTEST_PAUSE;
        }
        tracing::info!(
            ms = pause.as_millis(),
            "the worker starts again after a pause"
        );
        let told = stopping.wait_for(|stop| *stop);
        if tokio::time::timeout(pause, told).await.is_ok() {
            return;
        }
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

/// Lets the worker look at its settings, without working. A program that does not know the word says nothing of them.
///
/// # Errors
/// What it says is wrong with them.
pub fn check(settings: &Settings) -> Result<(), String> {
    let mut command = command(settings, std::env::vars_os().map(|(name, _)| name));
    let command = command.as_std_mut().arg("check").stdin(Stdio::null());
    let child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn();
    let mut child = child.map_err(|error| format!("it cannot be started: {error}"))?;
    let until = Instant::now() + CHECK;
    while matches!(child.try_wait(), Ok(None)) {
        if Instant::now() > until {
            let _ = child.kill();
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    let failed = child.wait().is_ok_and(|status| !status.success());
    let mut said = String::new();
    let read = child
        .stderr
        .take()
        .map(|mut pipe| pipe.read_to_string(&mut said));
    match read {
        Some(Ok(_)) if failed && said.contains("SLUICE_") => Err(said.trim().to_owned()),
        _ => Ok(()),
    }
}

fn start(settings: &Settings) -> Result<Child> {
    command(settings, std::env::vars_os().map(|(name, _)| name))
        .stdin(Stdio::piped())
        .kill_on_drop(true)
        // A terminal's Ctrl-C goes to the host alone, which then stops the worker in order.
        .process_group(0)
        .spawn()
        .with_context(|| format!("starting {}", settings.program.display()))
}

/// The worker's command; `inherited` are the names in the host's environment.
fn command(settings: &Settings, inherited: impl Iterator<Item = OsString>) -> Command {
    let mut command = Command::new(&settings.program);
    // The application's secrets are none of its business, and whom it works for is said below.
    let ours = |name: &OsString| {
        let name = name.to_string_lossy();
        name.starts_with("SPIN_VARIABLE_") || OURS.contains(&&*name)
    };
    inherited.filter(ours).for_each(|name| {
        command.env_remove(name);
    });
    if let Some(outbox) = &settings.outbox {
        command
            .env("SLUICE_MASTER_URL", &settings.url)
            .env("SLUICE_MASTER_TOKEN", &outbox.token)
            .env("SLUICE_OUTBOX", &outbox.folder);
        if let Some(relay) = &outbox.relay {
            command.env("SLUICE_RELAY", relay);
        }
    }
    if let Some(token) = &settings.token {
        command
            .env("SLUICE_SLAVE_URL", &settings.url)
            .env("SLUICE_WORKER_TOKEN", token);
    }
    let private = if settings.allow_private { "1" } else { "0" };
    command
        .env("SLUICE_SUPERVISED", "1")
        .env("SLUICE_WORKER_DATA", &settings.data)
        .env("SLUICE_ALLOW_PRIVATE", private);
    command
}

async fn stop(mut child: Child, input: Option<ChildStdin>) {
    let pid = child
        .id()
        .and_then(|id| i32::try_from(id).ok())
        .and_then(Pid::from_raw);
    if let Some(pid) = pid {
        // It may have ended by itself just now.
        let _ = kill_process(pid, Signal::TERM);
    }
    match tokio::time::timeout(PATIENCE, child.wait()).await {
        Ok(Ok(status)) => tracing::info!(%status, "the worker stopped"),
        Ok(Err(error)) => tracing::warn!(%error, "the worker is lost"),
        Err(_) => {
            tracing::warn!("the worker did not stop in time and is killed");
            let _ = child.kill().await;
        }
    }
    drop(input);
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    fn given(settings: &Settings) -> BTreeMap<String, Option<String>> {
        let inherited = ["PATH", "SPIN_VARIABLE_SECRET_KEY", "SLUICE_WORKER_TOKEN"];
        let command = command(settings, inherited.iter().map(OsString::from));
        let text = |text: &std::ffi::OsStr| text.to_string_lossy().into_owned();
        let pairs = command.as_std().get_envs();
        pairs.map(|(n, v)| (text(n), v.map(text))).collect()
    }

    #[test]
    fn a_worker_gets_what_it_needs_and_no_secrets_of_the_application() {
        let mut settings = Settings {
            program: "/w".into(),
            url: "http://h".to_owned(),
            token: Some("t".to_owned()),
            data: "/d".into(),
            allow_private: false,
            outbox: None,
        };
        let all = given(&settings);
        assert_eq!(all["SPIN_VARIABLE_SECRET_KEY"], None);
        assert_eq!(all["SLUICE_WORKER_TOKEN"].as_deref(), Some("t"));
        assert!(!all.contains_key("PATH") && !all.contains_key("SLUICE_MASTER_URL"));
        settings.token = None;
        settings.outbox = Some(Outbox {
            token: "m".to_owned(),
            relay: None,
            folder: "/o".into(),
        });
        let alone = given(&settings);
        assert_eq!(alone["SLUICE_WORKER_TOKEN"], None);
        assert!(!alone.contains_key("SLUICE_SLAVE_URL"));
        assert_eq!(alone["SLUICE_MASTER_URL"].as_deref(), Some("http://h"));
    }
}
