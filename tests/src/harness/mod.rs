//! Everything a scenario says, it says in these words.

mod agency;
mod browser;
mod csv;
mod disk;
mod http;
mod person;
mod process;
mod resolver;
mod sink;
mod sluice;
mod tls;
mod worker;

use std::time::{Duration, Instant};

pub use agency::{Agency, Sub};
pub use browser::{Browser, Page};
pub use csv::people;
pub use disk::SmallDisk;
pub use http::{Http, Reply};
pub use person::{log_in, totp};
pub use process::{bearers, free_port, root};
pub use resolver::Resolver;
pub use sink::{Mail, Sink, SinkOptions};
pub use sluice::{Options, Sluice};
pub use tls::Authority;
pub use worker::Worker;

/// Short waits: something that takes no work, only a tick or two.
pub const SOON: Duration = Duration::from_secs(20);
/// Long waits: a whole stage of work on a slow machine.
pub const LONG: Duration = Duration::from_secs(120);

/// Polls until `probe` gives something, or fails the test naming what it waited for.
pub fn eventually<T>(what: &str, deadline: Duration, mut probe: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    let mut pause = Duration::from_millis(10);
    loop {
        if let Some(found) = probe() {
            return found;
        }
        assert!(
            start.elapsed() < deadline,
            "waited {deadline:?} in vain: {what}"
        );
        std::thread::sleep(pause);
        pause = (pause * 3 / 2).min(Duration::from_millis(250));
    }
}

/// [`eventually`] for a plain condition.
pub fn eventually_true(what: &str, deadline: Duration, mut condition: impl FnMut() -> bool) {
    eventually(what, deadline, || condition().then_some(()));
}

/// The time now in milliseconds since the epoch, as the API counts.
pub fn now_ms() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    i64::try_from(since.expect("a clock after 1970").as_millis())
        .expect("a clock before the year 292 million")
}
