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

    /// A worker that joins the master at `master` with a token, and then works for its slave.
    pub fn join(master: &str, token: &str, data: &Path, mark: &str) -> Worker {
        let output = Command::new(root().join("target/release/sluice-worker"))
            .args(["join", "--master", master, "--token", token, "--data"])
            .arg(data)
            .output()
            .expect("sluice-worker");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{said}");
        Worker::start("", "", data, mark)
    }

    /// What it shows its slave, when it has joined.
    pub fn credential(&self) -> String {
        let kept = std::fs::read(self.data.join("node.json")).expect("node.json");
        let kept: serde_json::Value = serde_json::from_slice(&kept).expect("JSON");
        kept["credential"]
            .as_str()
            .expect("a credential")
            .to_owned()
    }

    /// Starts it on the same journal.
    pub fn start_again(&mut self) {
        let mut command = Command::new(root().join("target/release/sluice-worker"));
        if !self.token.is_empty() {
            command
                .env("SLUICE_SLAVE_URL", &self.slave)
                .env("SLUICE_WORKER_TOKEN", &self.token);
        }
        command
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
