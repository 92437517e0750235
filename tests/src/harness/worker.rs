//! A worker that the test starts by itself, to end it as it likes.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::SOON;
use super::process::{Process, root};
use rustix::process::Signal;

/// One worker on one journal folder; it may be down.
pub struct Worker {
    slave: String,
    token: String,
    data: PathBuf,
    mark: String,
    process: Option<Process>,
}

impl Worker {
    /// A worker of the slave at `slave`.
    pub fn start(slave: &str, token: &str, data: &Path, mark: &str) -> Worker {
        std::fs::create_dir_all(data).expect("a folder");
        let (slave, token, mark) = (slave.to_owned(), token.to_owned(), mark.to_owned());
        let mut worker = Worker {
            slave,
            token,
            data: data.to_path_buf(),
            mark,
            process: None,
        };
        worker.start_again();
        worker
    }

    /// Starts it on the same journal.
    pub fn start_again(&mut self) {
        let mut command = Command::new(root().join("target/release/sluice-worker"));
        command
            .env("SLUICE_SLAVE_URL", &self.slave)
            .env("SLUICE_WORKER_TOKEN", &self.token)
            .env("SLUICE_WORKER_DATA", &self.data)
            .env("SLUICE_ALLOW_PRIVATE", "1");
        let log = self.data.join("worker.log");
        self.process = Some(Process::spawn(command, &self.mark, &log));
    }

    /// SIGKILL.
    pub fn kill(&mut self) {
        self.process.take().expect("a running worker").kill();
    }

    /// SIGTERM: it finishes what it holds, and must end by itself.
    pub fn drain(&mut self) {
        let mut process = self.process.take().expect("a running worker");
        process.signal(Signal::TERM);
        let status = process.wait(SOON);
        assert!(
            status.success(),
            "a drained worker ends well: {status}\n{}",
            process.log()
        );
    }
}
