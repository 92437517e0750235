//! What many log-ins at once do to everybody else.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde_json::json;
use tests::harness::{Agency, Sluice};

use crate::{line, middle};

const PER_SECOND: u32 = 50;
const SECONDS: u64 = 10;
/// Log-ins on their way at once, at most.
const CLIENTS: u32 = 100;

/// All figures of this section.
pub fn measure() {
    let sluice = Sluice::start();
    let agency = Agency::sign_up(&sluice);
    let sub = agency.subaccount("Quiet");
    sub.import("tag=hot", tests::harness::people("quiet", 1_000));
    let page = format!("{}/", sub.http.base());
    let alone = p99(
        &agency,
        &page,
        &AtomicBool::new(false),
        Duration::from_secs(5),
    );
    line("page without log-ins, p99 (ms)", alone, None, "");

    let (over, done, refused) = (
        AtomicBool::new(false),
        AtomicUsize::new(0),
        AtomicUsize::new(0),
    );
    let body = json!({"email": agency.email, "password": agency.password});
    let start = Instant::now();
    let beside = std::thread::scope(|scope| {
        let (over, done, refused) = (&over, &done, &refused);
        for client in 0..CLIENTS {
            let (http, body) = (sluice.http(), body.clone());
            scope.spawn(move || {
                // Each client has its own moments; together they make the rate.
                let period = Duration::from_secs(1) * CLIENTS / PER_SECOND;
                let mut at = start + Duration::from_secs(1) * client / PER_SECOND;
                while !over.load(Ordering::Relaxed) {
                    std::thread::sleep(at.saturating_duration_since(Instant::now()));
                    let reply = http.post("/api/v1/login", &body);
                    let count = if reply.status == 200 { done } else { refused };
                    count.fetch_add(1, Ordering::Relaxed);
                    at += period;
                }
            });
        }
        let p99 = p99(&agency, &page, over, Duration::from_secs(SECONDS));
        over.store(true, Ordering::Relaxed);
        p99
    });
    let seconds = start.elapsed().as_secs_f64();
    line(
        &format!("page beside {PER_SECOND} log-ins a second, p99 (ms)"),
        beside,
        None,
        "< 100",
    );
    let rate = |n: &AtomicUsize| n.load(Ordering::Relaxed) as f64 / seconds;
    line("    log-ins a second that succeeded", rate(&done), None, "");
    line(
        "    log-ins a second told to come again",
        rate(&refused),
        None,
        "",
    );
    line("    one log-in alone (ms)", one(&sluice, &body), None, "");
}

/// A page again and again, a hundred times a second at most.
fn p99(agency: &Agency, page: &str, over: &AtomicBool, time: Duration) -> f64 {
    let (start, mut taken) = (Instant::now(), Vec::new());
    while start.elapsed() < time && !over.load(Ordering::Relaxed) {
        let asked = Instant::now();
        agency.browser.get(page).expect(200);
        taken.push(asked.elapsed().as_secs_f64() * 1000.0);
        std::thread::sleep(Duration::from_millis(10).saturating_sub(asked.elapsed()));
    }
    taken.sort_by(f64::total_cmp);
    taken[taken.len() * 99 / 100]
}

fn one(sluice: &Sluice, body: &serde_json::Value) -> f64 {
    middle((0..5).map(|_| {
        let start = Instant::now();
        sluice.http().post("/api/v1/login", body).expect(200);
        start.elapsed().as_secs_f64() * 1000.0
    }))
}
