//! Imports and searches of a sub-account, empty and with a million leads.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;
use tests::harness::{Agency, Sluice, Sub, eventually, people};

use crate::{insert_seconds, line};

/// Rows of one file.
const ROWS: usize = 100_000;
/// Leads of a full sub-account.
const LEADS: usize = 1_000_000;
/// Requests for each figure.
const ASKED: usize = 300;

/// All figures of this section.
pub fn measure() {
    let scratch = TempDir::new().expect("a folder");
    let sluice = Sluice::start();
    let sub = Agency::sign_up(&sluice).subaccount("Full");
    let file = people("p0x", ROWS);
    let floor = ROWS as f64 / insert_seconds(&scratch, &file);
    let rate = |file: &str| ROWS as f64 / seconds(&sub, file);
    let what = "import into an empty sub-account (rows/s)";
    line(what, rate(&file), Some(floor), ">= 60000");
    for part in 1..LEADS / ROWS {
        seconds(&sub, &people(&format!("p{part}x"), ROWS));
    }
    // Three of ten rows are known.
    let (known, new) = (people("p5x", ROWS * 3 / 10), people("new", ROWS * 7 / 10));
    let rows = new.split_once("\r\n").map_or("", |(_, rows)| rows);
    line(
        "import beside 1,000,000 leads, 30 % known (rows/s)",
        rate(&format!("{known}{rows}")),
        Some(floor),
        ">= 60 % of the first",
    );
    searches(&sub);
}

/// From the first byte of the upload to the last lead.
fn seconds(sub: &Sub, file: &str) -> f64 {
    let start = Instant::now();
    let id = sub.upload("tag=bulk", file);
    let end = sub.import_end_within(&id, Duration::from_secs(300));
    assert_eq!(end["status"], "done", "{end}");
    start.elapsed().as_secs_f64()
}

fn searches(sub: &Sub) {
    let found = |q: &str| sub.leads(&format!("q={q}&limit=1")).len() == 1;
    eventually("the index of words", Duration::from_secs(900), || {
        found("new69999").then_some(())
    });
    let get = |path: &str| drop(sub.http.get(path).expect(200));
    let asks =
        |filter: Value| move || drop(sub.http.post("/api/v1/leads/search", &filter).expect(200));
    let two = json!({"limit": 50, "filter": {"and": [
        {"tag": "bulk"}, {"field": {"name": "email", "op": "starts_with", "value": "p7x"}}]}});
    let other = json!({"limit": 50, "filter": {"and": [
        {"field": {"name": "country", "op": "eq", "value": "us"}},
        {"field": {"name": "segment", "op": "eq", "value": "s3"}}]}});
    let count = || drop(sub.http.post("/api/v1/leads/count", &json!({})).expect(200));
    for (what, ask, target) in [
        (
            "50 of 1,000,000 leads",
            Box::new(|| get("/api/v1/leads?limit=50")) as Box<dyn Fn()>,
            "< 30",
        ),
        ("a tag and a field", Box::new(asks(two)), "< 30"),
        ("two fields", Box::new(asks(other)), "< 30"),
        (
            "words of any field",
            Box::new(|| get("/api/v1/leads?q=company%20p3x77&limit=50")),
            "< 50",
        ),
        ("their count", Box::new(count), "< 10"),
    ] {
        line(&format!("{what}, p99 (ms)"), p99(&*ask), None, target);
    }
}

/// One request after the other.
fn p99(ask: &dyn Fn()) -> f64 {
    let taken = |_| {
        let start = Instant::now();
        ask();
        start.elapsed().as_secs_f64() * 1000.0
    };
    let mut all: Vec<_> = (0..ASKED).map(taken).collect();
    all.sort_by(f64::total_cmp);
    all[ASKED * 99 / 100]
}
