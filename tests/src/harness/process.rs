//! Child processes that do not outlive their test.

use std::fs::{self, File};
use std::net::TcpListener;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use super::eventually;

/// The variable that every process started for one test bears, with a value of that test's own.
const MARK: &str = "SLUICE_TEST_HOME";

/// The checkout.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("a workspace")
        .to_path_buf()
}

/// A TCP port of 127.0.0.1 that nobody listens on at this moment.
pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0")
        .and_then(|l| l.local_addr())
        .expect("a free port")
        .port()
}

/// The processes that bear `mark`: those that a test started, and all of their descendants.
pub fn bearers(mark: &str) -> Vec<i32> {
    let wanted = format!("{MARK}={mark}");
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries
        .filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok())
        .filter(|pid| {
            let environ = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
            environ
                .split(|&b| b == 0)
                .any(|word| word == wanted.as_bytes())
                && !is_zombie(*pid)
        })
        .collect()
}

/// Sends a signal; a process that is gone already is fine.
pub(super) fn signal(pid: i32, signal: Signal) {
    if let Some(pid) = Pid::from_raw(pid) {
        let _ = kill_process(pid, signal);
    }
}

/// Ends all that bear `mark`, at once.
pub(super) fn sweep(mark: &str) {
    for pid in bearers(mark) {
        signal(pid, Signal::KILL);
    }
}

fn is_zombie(pid: i32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(')')
        .is_none_or(|(_, rest)| rest.trim_start().starts_with('Z'))
}

/// One child with its output in a file. Dropping it kills it.
pub(super) struct Process {
    child: Child,
    log: PathBuf,
}

impl Process {
    /// Starts `command` bearing `mark`; both outputs are appended to `log`.
    pub(super) fn spawn(mut command: Command, mark: &str, log: &Path) -> Process {
        let open = || {
            File::options()
                .create(true)
                .append(true)
                .open(log)
                .expect("a log file")
        };
        command
            .env(MARK, mark)
            .stdin(Stdio::null())
            .stdout(open())
            .stderr(open());
        let child = command.spawn().unwrap_or_else(|e| {
            panic!(
                "{} does not start: {e} (scripts/build?)",
                command.get_program().display()
            )
        });
        Process {
            child,
            log: log.to_path_buf(),
        }
    }

    pub(super) fn pid(&self) -> i32 {
        i32::try_from(self.child.id()).expect("a pid")
    }

    pub(super) fn log(&self) -> String {
        fs::read(&self.log)
            .map(|b| String::from_utf8_lossy(&b).into_owned())
            .unwrap_or_default()
    }

    /// Waits for a line that contains `text`, after byte `from` of the log, and gives that line.
    pub(super) fn line_with(&mut self, text: &str, from: usize, deadline: Duration) -> String {
        eventually(&format!("the line \"{text}\""), deadline, || {
            let ended = self.child.try_wait().expect("a child");
            let log = self.log();
            let fresh = log.get(from..).unwrap_or_default();
            let line = fresh
                .lines()
                .find(|line| line.contains(text))
                .map(str::to_owned);
            if line.is_none()
                && let Some(status) = ended
            {
                panic!("ended with {status} before \"{text}\":\n{fresh}");
            }
            line
        })
    }

    pub(super) fn signal(&self, which: Signal) {
        signal(self.pid(), which);
    }

    /// Kills it as a power failure would, and waits until it is gone.
    pub(super) fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Waits for its end.
    pub(super) fn wait(&mut self, deadline: Duration) -> ExitStatus {
        eventually("the end of a process", deadline, || {
            self.child.try_wait().expect("a child")
        })
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Whether a process ended as it wanted to, rather than by a signal.
pub(super) fn ended_by_itself(status: ExitStatus) -> bool {
    status.signal().is_none()
}
