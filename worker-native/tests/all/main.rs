//! The real `sluice-worker` between a slave and a mail server that do as the tests tell them.

#![allow(
    clippy::unwrap_used,
    missing_docs,
    reason = "a panic is how a test speaks"
)]

mod crashes;
mod daemon;
mod outbox;
mod sending;
mod slave;
mod smtp;
mod speed;
mod tls;
mod worker;

use std::time::Duration;

use tokio::time::{Instant, sleep};

/// Waits until `condition` holds; panics with `what` when it does not in time.
async fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !condition() {
        assert!(Instant::now() < deadline, "waited too long until {what}");
        sleep(Duration::from_millis(5)).await;
    }
}
