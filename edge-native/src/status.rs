//! How the machine and the host fare, for `/status` on the admin port: whoever looks after many
//! nodes asks it.

use crate::metrics::resident_bytes;
use serde::Serialize;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// The share of the processors that work is of this long at least.
const WINDOW: Duration = Duration::from_secs(1);

/// Looks at the machine.
pub struct Machine {
    data: PathBuf,
    started: Instant,
    cpu: Mutex<Cpu>,
}

struct Cpu {
    since: Instant,
    busy: u64,
    total: u64,
    share: f64,
}

/// What it found; what the system does not tell is 0.
#[derive(Debug, Serialize)]
pub struct Status {
    /// How much of all processors works, 0 to 1.
    pub cpu: f64,
    /// Memory, in bytes.
    pub memory: Memory,
    /// The disk of the data folder, in bytes.
    pub disk: Disk,
    /// The host's version.
    pub version: &'static str,
    /// Seconds since the host started.
    pub uptime_s: u64,
}

/// Memory, in bytes.
#[derive(Debug, Serialize)]
pub struct Memory {
    /// Of the machine, without what it would give away.
    pub used: u64,
    /// Of the machine.
    pub total: u64,
    /// Of the host.
    pub rss: u64,
}

/// A disk, in bytes.
#[derive(Debug, Serialize)]
pub struct Disk {
    /// What the host may still use.
    pub free: u64,
    /// All of it.
    pub total: u64,
}

impl Machine {
    /// The machine, with the disk of a folder.
    pub fn new(data: PathBuf) -> Self {
        let (busy, total) = ticks(&read("/proc/stat")).unwrap_or_default();
        let now = Instant::now();
        Self {
            data,
            started: now,
            cpu: Mutex::new(Cpu {
                since: now,
                busy,
                total,
                share: 0.0,
            }),
        }
    }

    /// How it fares now.
    pub fn status(&self) -> Status {
        let disk = rustix::fs::statvfs(&self.data).ok();
        let disk = disk.map_or((0, 0), |disk| {
            (disk.f_bavail * disk.f_frsize, disk.f_blocks * disk.f_frsize)
        });
        let (used, total) = memory(&read("/proc/meminfo")).unwrap_or_default();
        let rss = resident_bytes().and_then(|bytes| u64::try_from(bytes).ok());
        Status {
            cpu: self.cpu(),
            memory: Memory {
                used,
                total,
                rss: rss.unwrap_or(0),
            },
            disk: Disk {
                free: disk.0,
                total: disk.1,
            },
            version: env!("CARGO_PKG_VERSION"),
            uptime_s: self.started.elapsed().as_secs(),
        }
    }

    /// The share of work since somebody last asked, or in the window before.
    fn cpu(&self) -> f64 {
        let mut cpu = self.cpu.lock().unwrap_or_else(PoisonError::into_inner);
        let Some((busy, total)) = ticks(&read("/proc/stat")) else {
            return 0.0;
        };
        let passed = total.saturating_sub(cpu.total);
        if cpu.since.elapsed() >= WINDOW && passed > 0 {
            let worked = busy.saturating_sub(cpu.busy) as f64 / passed as f64;
            *cpu = Cpu {
                since: Instant::now(),
                busy,
                total,
                share: (worked.clamp(0.0, 1.0) * 1000.0).round() / 1000.0,
            };
        }
        cpu.share
    }
}

fn read(path: &str) -> String {
    std::fs::read_to_string(path).unwrap_or_default()
}

/// Ticks that processors worked, and all ticks, from `/proc/stat`.
fn ticks(stat: &str) -> Option<(u64, u64)> {
    let line = stat.lines().find_map(|line| line.strip_prefix("cpu "))?;
    // The last two are parts of the first two.
    let ticks = line.split_whitespace().take(8).map(str::parse);
    let ticks: Vec<u64> = ticks.collect::<Result<_, _>>().ok()?;
    let total: u64 = ticks.iter().sum();
    let idle = ticks.get(3)? + ticks.get(4)?;
    Some((total - idle, total))
}

/// Used and total memory, from `/proc/meminfo`.
fn memory(info: &str) -> Option<(u64, u64)> {
    let field = |name: &str| {
        let line = info.lines().find_map(|line| line.strip_prefix(name))?;
        let kilobytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
        Some(kilobytes * 1024)
    };
    let total = field("MemTotal:")?;
    Some((total.saturating_sub(field("MemAvailable:")?), total))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_systems_files_are_read() {
        let stat = "cpu  10 0 20 60 10 0 0 0 5 0\ncpu0 1 2 3 4 5 6 7 8 9 0\n";
        assert_eq!(ticks(stat), Some((30, 100)));
        assert_eq!(ticks("nothing"), None);
        let info = "MemTotal:       1000 kB\nMemFree: 1 kB\nMemAvailable:    400 kB\n";
        assert_eq!(memory(info), Some((600 << 10, 1000 << 10)));
        assert_eq!(memory(""), None);
    }

    #[test]
    fn this_machine_tells_everything() {
        let folder = tempfile::tempdir().unwrap();
        let machine = Machine::new(folder.path().to_owned());
        let until = Instant::now() + WINDOW;
        while Instant::now() < until {
            std::hint::black_box(0);
        }
        let status = machine.status();
        assert!(status.cpu > 0.0 && status.cpu <= 1.0, "{status:?}");
        assert!(status.memory.used > 0 && status.memory.used < status.memory.total);
        assert!(status.memory.rss > 0 && status.memory.rss < status.memory.total);
        assert!(status.disk.free > 0 && status.disk.free <= status.disk.total);
        assert_eq!(status.version, env!("CARGO_PKG_VERSION"));
    }
}
