//! How fast it is; run by hand:
//! `cargo test --release -p worker-native --test all speed -- --ignored --nocapture`

use std::time::Instant;

use tempfile::tempdir;

use crate::{slave::Slave, smtp::Server, until, worker::Worker};

/// A field of `/proc/<pid>/status` in KiB.
fn kib(worker: &Worker, field: &str) -> u64 {
    let text = std::fs::read_to_string(format!("/proc/{}/status", worker.child.id())).unwrap();
    let line = text.lines().find(|l| l.starts_with(field)).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

#[tokio::test]
#[ignore = "a measurement"]
async fn speed() {
    const MAILS: i64 = 10_000;
    for profiles in [1, 4, 16] {
        let (slave, data, server) = (
            Slave::start().await,
            tempdir().unwrap(),
            Server::start().await,
        );
        (0..profiles).for_each(|id| slave.profile_at(id, server.address));
        let worker = Worker::start(&slave, &data);
        until("it idles", || {
            slave.state().calls.get("claim").is_some_and(|&n| n > 5)
        })
        .await;
        let idle = kib(&worker, "VmRSS");
        (1..=MAILS).for_each(|id| slave.request(id, id % profiles));
        let start = Instant::now();
        until("all were taken", || {
            server.state().mails.len() == MAILS as usize
        })
        .await;
        until("all have ended", || slave.all_ended()).await;
        let rate = MAILS as f64 / start.elapsed().as_secs_f64();
        let (peak, calls) = (kib(&worker, "VmHWM"), slave.state().calls.clone());
        println!(
            "{profiles} profiles: {rate:.0} mails/s; resident {idle} KiB idle, {peak} KiB at most; {calls:?}"
        );
    }
}
