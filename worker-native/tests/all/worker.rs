//! The real binary as a child process.

use std::{
    path::Path,
    process::{Child, Command, ExitStatus, Stdio},
};

use tempfile::TempDir;

use crate::slave::{Slave, TOKEN};

/// A running worker; killed when dropped.
pub struct Worker {
    pub child: Child,
}

/// The binary with the settings that all tests share.
pub fn command(slave: &Slave, data: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sluice-worker"));
    command
        .env_clear()
        .env("SLUICE_SLAVE_URL", format!("http://{}", slave.address))
        .env("SLUICE_WORKER_TOKEN", TOKEN)
        .env("SLUICE_WORKER_DATA", data)
        .env("SLUICE_ALLOW_PRIVATE", "1")
        .env("SLUICE_SMTP_TIMEOUT_S", "2")
        .env("SLUICE_SMTP_END_TIMEOUT_S", "2")
        .env(
            "SLUICE_LOG",
            std::env::var("SLUICE_LOG").unwrap_or_else(|_| "warn".into()),
        )
        .stdin(Stdio::null());
    command
}

impl Worker {
    pub fn start(slave: &Slave, data: &TempDir) -> Self {
        Self::spawn(command(slave, data.path()))
    }

    pub fn spawn(mut command: Command) -> Self {
        Self {
            child: command.spawn().unwrap(),
        }
    }

    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    pub async fn exit(&mut self) -> ExitStatus {
        let mut status = None;
        crate::until("the worker has ended", || {
            status = self.child.try_wait().unwrap();
            status.is_some()
        })
        .await;
        status.unwrap()
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// SIGTERM.
pub fn terminate(worker: &Worker) {
    let pid = worker.child.id().to_string();
    assert!(
        Command::new("kill")
            .args(["-TERM", &pid])
            .status()
            .unwrap()
            .success()
    );
}
