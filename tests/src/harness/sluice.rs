//! The host as a person starts it: `sluice up` on a data folder of its own.

use std::ffi::OsString;
use std::fs::DirEntry;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::sync::LazyLock;
use std::time::Duration;

use rustix::process::Signal;
use tempfile::TempDir;

use super::process::{Process, ended_by_itself, free_port, root, signal, sweep};
use super::{Http, SmallDisk, Worker, bearers};

/// Starting compiles the components once, if no test did before.
const READY: Duration = Duration::from_secs(120);

/// Compiled components are the same for every host, so all of them share one folder; what is older than a day goes.
fn compiled() -> &'static Path {
    static FOLDER: LazyLock<PathBuf> = LazyLock::new(|| {
        let folder = root().join("target/test-cache");
        std::fs::create_dir_all(&folder).expect("a folder");
        let is_old = |entry: &DirEntry| {
            let time = entry.metadata().and_then(|m| m.modified()).ok();
            let age = time.and_then(|time| time.elapsed().ok());
            age.is_some_and(|age| age > Duration::from_secs(24 * 3600))
        };
        let entries = std::fs::read_dir(&folder).into_iter().flatten().flatten();
        for entry in entries.filter(is_old) {
            // Another run may have been faster.
            let _ = std::fs::remove_file(entry.path());
        }
        folder
    });
    &FOLDER
}

/// How to start it.
#[derive(Default, Clone)]
pub struct Options {
    arguments: Vec<OsString>,
    environment: Vec<(OsString, OsString)>,
}

impl Options {
    /// Without the worker that it supervises.
    pub fn no_worker(self) -> Options {
        self.argument("--no-worker")
    }

    /// With one more argument.
    pub fn argument(mut self, argument: impl Into<OsString>) -> Options {
        self.arguments.push(argument.into());
        self
    }

    /// With a variable that it and its worker see.
    pub fn env(mut self, name: impl Into<OsString>, value: impl Into<OsString>) -> Options {
        self.environment.push((name.into(), value.into()));
        self
    }

    /// Starts it, and waits until it says that it is ready.
    pub fn start(self) -> Sluice {
        let mut sluice = Sluice::prepare(self);
        sluice.start_again();
        sluice
    }
}

/// One host on one data folder; it may be down. Dropping it ends it and all its children.
pub struct Sluice {
    options: Options,
    folder: TempDir,
    port: u16,
    process: Option<Process>,
}

impl Sluice {
    /// A running host with its worker.
    pub fn start() -> Sluice {
        Options::default().start()
    }

    /// A host that is not started yet.
    pub fn prepare(options: Options) -> Sluice {
        let sluice = Sluice {
            options,
            folder: TempDir::new().expect("a folder"),
            port: free_port(),
            process: None,
        };
        std::fs::create_dir(sluice.data()).expect("a folder");
        sluice.share_compiled();
        sluice
    }

    fn share_compiled(&self) {
        symlink(compiled(), self.data().join("cache")).expect("a link");
    }

    /// Puts the data folder on a disk of its own, of so many megabytes; the host must not have been started yet.
    ///
    /// # Errors
    /// What the system says to whoever may not mount one.
    pub fn small_disk(&self, megabytes: u32) -> Result<SmallDisk, String> {
        let disk = SmallDisk::mount(&self.data(), megabytes)?;
        self.share_compiled();
        Ok(disk)
    }

    /// The same folder and port with other options; it must be down.
    pub fn with(mut self, options: Options) -> Sluice {
        assert!(self.process.is_none(), "it is up");
        self.options = options;
        self
    }

    /// Where it answers, without a slash at the end.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// A client that nobody knows.
    pub fn http(&self) -> Http {
        Http::new(&self.url())
    }

    /// Its data folder.
    pub fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// A folder for what else the test needs; it goes with the host.
    pub fn scratch(&self) -> &Path {
        self.folder.path()
    }

    /// What every process of it bears in its environment.
    pub fn mark(&self) -> String {
        self.folder.path().display().to_string()
    }

    /// The command line on this data folder, as a person would type it.
    pub fn command(&self) -> Command {
        let mut command = Command::new(root().join("target/release/sluice"));
        command
            .current_dir(root())
            .args([
                "up",
                "--listen",
                &format!("127.0.0.1:{}", self.port),
                "--data",
            ])
            .arg(self.data())
            .args(&self.options.arguments)
            // The mail server of the tests is on this machine.
            .env("SLUICE_ALLOW_PRIVATE", "1")
            .envs(
                self.options
                    .environment
                    .iter()
                    .map(|(name, value)| (name, value)),
            );
        command
    }

    /// Starts it on the same folder and port, and waits until it is ready.
    pub fn start_again(&mut self) {
        let log = self.folder.path().join("sluice.log");
        let from =
            std::fs::metadata(&log).map_or(0, |m| usize::try_from(m.len()).expect("a short log"));
        let mut process = Process::spawn(self.command(), &self.mark(), &log);
        let line = process.line_with("sluice is ready at", from, READY);
        assert!(
            line.contains(&self.url()),
            "another address than asked for: {line}"
        );
        self.process = Some(process);
    }

    /// Everything it has printed since it was first started.
    pub fn log(&self) -> String {
        let bytes = std::fs::read(self.folder.path().join("sluice.log")).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// SIGKILL to the host alone; its worker is left to itself.
    pub fn kill(&mut self) {
        self.process.take().expect("a running host").kill();
    }

    /// SIGKILL to the workers that the host supervises.
    pub fn kill_workers(&self) -> usize {
        let workers = self.workers();
        workers.iter().for_each(|&pid| signal(pid, Signal::KILL));
        workers.len()
    }

    /// The pids of the workers under this host's mark.
    pub fn workers(&self) -> Vec<i32> {
        let is_worker = |pid: &i32| {
            let comm = std::fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
            comm.trim_end() == "sluice-worker"
        };
        bearers(&self.mark())
            .into_iter()
            .filter(is_worker)
            .collect()
    }

    /// Ctrl-C, then waits for the end.
    pub fn interrupt(&mut self, deadline: Duration) -> ExitStatus {
        let mut process = self.process.take().expect("a running host");
        process.signal(Signal::INT);
        let status = process.wait(deadline);
        assert!(ended_by_itself(status), "ended by a signal: {status}");
        status
    }

    /// Whether it still runs.
    pub fn is_up(&self) -> bool {
        self.process
            .as_ref()
            .is_some_and(|p| bearers(&self.mark()).contains(&p.pid()))
    }

    /// The secret that workers show, from the data folder.
    pub fn worker_token(&self) -> String {
        let path = self.data().join("secrets.toml");
        let text =
            std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        let values = text.lines().filter_map(|line| line.split_once('='));
        let token = values
            .into_iter()
            .find(|(key, _)| key.trim() == "worker_token");
        token
            .expect("worker_token in secrets.toml")
            .1
            .trim()
            .trim_matches('"')
            .to_owned()
    }

    /// A worker beside the host (start the host with [`Options::no_worker`]).
    pub fn worker(&self) -> Worker {
        Worker::start(
            &self.url(),
            &self.worker_token(),
            &self.folder.path().join("worker"),
            &self.mark(),
        )
    }
}

impl Drop for Sluice {
    fn drop(&mut self) {
        self.process = None;
        sweep(&self.mark());
        if std::thread::panicking() {
            let log = self.log();
            let lines: Vec<_> = log.lines().collect();
            eprintln!(
                "--- the host said at last:\n{}",
                lines[lines.len().saturating_sub(40)..].join("\n")
            );
        }
    }
}
