//! The product's speed beside the native floor's, in one run on one machine. `scripts/bench` builds and starts it.
//!
//! Everything is measured over the real programs, three times; the middle one counts.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod logins;
mod pipeline;
mod tenants;
mod wrk;

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::json;
use tempfile::TempDir;
use tests::harness::{
    Agency, Http, Sink, Sluice, Sub, bearers, eventually, free_port, people, root,
};
use wrk::{Load, run};

const ROWS: usize = 100_000;
const MAILS: usize = 3_000;
const RUNS: usize = 3;
const SECONDS: u32 = 5;

/// What can be asked for by name; without a name, all of it.
const SECTIONS: [(&str, fn()); 5] = [
    ("start", second_start),
    ("load", load_and_mails),
    ("pipeline", pipeline::measure),
    ("tenants", tenants::measure),
    ("logins", logins::measure),
];

fn main() {
    let wanted: Vec<String> = std::env::args().skip(1).collect();
    let names = SECTIONS.map(|(name, _)| name);
    if let Some(unknown) = wanted.iter().find(|w| !names.contains(&w.as_str())) {
        eprintln!(
            "There is no section {unknown}; there are {}.",
            names.join(", ")
        );
        std::process::exit(2);
    }
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    println!("{cores} cores; medians of {RUNS} runs; wrk with 64 connections for {SECONDS} s");
    println!("{:<62} {:>12} {:>12}  target", "", "sluice", "native floor");
    for (name, measure) in SECTIONS {
        if wanted.is_empty() || wanted.iter().any(|w| w == name) {
            measure();
        }
    }
}

/// Uploads, requests, mails, and the memory they take.
fn load_and_mails() {
    let (scratch, file) = (TempDir::new().expect("a folder"), people("bench", ROWS));
    let sluice = Sluice::start();
    let agency = Agency::sign_up(&sluice);
    let sub = agency.subaccount("Idle");
    eventually("an idle minute's start", Duration::from_secs(60), || {
        (!sluice.workers().is_empty()).then_some(())
    });
    // What signing up took is given back by and by.
    std::thread::sleep(Duration::from_secs(45));
    line(
        "memory of host + worker, idle (MB)",
        memory_mb(&sluice),
        None,
        "< 80",
    );

    let merged =
        middle((0..RUNS).map(|n| import_seconds(&agency.subaccount(&format!("Bulk {n}")), &file)));
    line(
        &format!(
            "{ROWS} rows, {:.1} MB, upload to merged (s)",
            mb(file.len())
        ),
        merged,
        Some(insert_seconds(&scratch, &file)),
        "<= 6",
    );

    sub.import("tag=hot", &file);
    let floor = Floor::start(&scratch);
    let key = agency
        .browser
        .post("/api/v1/api-keys", &json!({"name": "bench"}))
        .expect(201)
        .json();
    let key = key["key"].as_str().expect("a key");
    let lead = sub.leads("email=bench7@company2.test")[0]["id"].clone();
    let base = sub.http.base();
    for (what, url, key, floor_path, target) in [
        (
            "a component, no database",
            format!("{}/login", sluice.url()),
            None,
            "/hello",
            30_000.0,
        ),
        (
            "a row by key",
            format!("{base}/api/v1/leads/{lead}"),
            Some(key),
            "/row/7",
            18_000.0,
        ),
        (
            "50 of 100,000 leads",
            format!("{base}/api/v1/leads?limit=50"),
            Some(key),
            "/leads",
            4_000.0,
        ),
    ] {
        let ours = load(&url, key);
        let theirs = load(
            &format!("http://127.0.0.1:{}{floor_path}", floor.port),
            None,
        );
        line(
            &format!("{what} (requests/s)"),
            ours.rate,
            Some(theirs.rate),
            &format!(">= {target}"),
        );
        line(
            "    p99 (ms)",
            ours.p99_ms,
            Some(theirs.p99_ms),
            if floor_path == "/leads" { "< 40" } else { "" },
        );
    }
    line(
        "memory of host + worker, after all this (MB)",
        memory_mb(&sluice),
        None,
        "",
    );
    line(
        &format!("mails/s, rule to sink, {MAILS} mails"),
        mails_per_second(&agency),
        None,
        "",
    );
}

fn line(what: &str, ours: f64, floor: Option<f64>, target: &str) {
    let floor = floor.map_or_else(String::new, number);
    println!("{what:<62} {:>12} {floor:>12}  {target}", number(ours));
}

fn number(n: f64) -> String {
    if n >= 100.0 {
        format!("{n:.0}")
    } else {
        format!("{n:.2}")
    }
}

fn mb(bytes: usize) -> f64 {
    bytes as f64 / 1e6
}

fn middle(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<_> = values.collect();
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn load(url: &str, key: Option<&str>) -> Load {
    run(url, key, 1);
    let mut runs: Vec<_> = (0..RUNS).map(|_| run(url, key, SECONDS)).collect();
    runs.sort_by(|a, b| a.rate.total_cmp(&b.rate));
    runs[RUNS / 2]
}

/// Resident memory of everything that the host started, itself included.
fn memory_mb(sluice: &Sluice) -> f64 {
    let resident = |pid: i32| {
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
        let line = status
            .lines()
            .find(|line| line.starts_with("VmRSS:"))?
            .to_owned();
        line.split_whitespace().nth(1)?.parse::<f64>().ok()
    };
    bearers(&sluice.mark())
        .into_iter()
        .filter_map(resident)
        .sum::<f64>()
        / 1000.0
}

fn import_seconds(sub: &Sub, file: &str) -> f64 {
    let start = Instant::now();
    let id = sub.upload("tag=bulk", file);
    let path = format!("/api/v1/imports/{id}");
    let end = loop {
        let now = sub.http.get(&path).expect(200).json();
        if matches!(now["status"].as_str(), Some("done" | "failed")) {
            break now;
        }
        assert!(start.elapsed() < Duration::from_secs(120), "{now}");
        std::thread::sleep(Duration::from_millis(20));
    };
    assert_eq!(end["rows"]["created"], ROWS, "{end}");
    start.elapsed().as_secs_f64()
}

fn insert_seconds(scratch: &TempDir, file: &str) -> f64 {
    let csv = scratch.path().join("bulk.csv");
    std::fs::write(&csv, file).expect("a file");
    middle((0..RUNS).map(|n| {
        let database = scratch.path().join(format!("insert{n}.db"));
        let output = Command::new(program("floor"))
            .arg("insert")
            .args([&csv, &database])
            .output()
            .expect("floor");
        String::from_utf8_lossy(&output.stdout)
            .trim()
            .parse()
            .expect("seconds")
    }))
}

/// From the command of the README to the first page, when everything was built and started before.
fn second_start() {
    let scratch = TempDir::new().expect("a folder");
    let seconds = (0..=RUNS).map(|_| {
        let (port, start) = (free_port(), Instant::now());
        let mut child = Command::new(root().join("scripts/up"))
            .args(["--listen", &format!("127.0.0.1:{port}"), "--data"])
            .arg(scratch.path().join("data"))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("scripts/up");
        let http = Http::new(&format!("http://127.0.0.1:{port}"));
        while !http
            .try_send("GET", "/login", &[], &[])
            .is_ok_and(|reply| reply.status == 200)
        {
            assert!(start.elapsed() < Duration::from_secs(120), "no page");
            std::thread::sleep(Duration::from_millis(5));
        }
        let seconds = start.elapsed().as_secs_f64();
        interrupt(&mut child);
        seconds
    });
    let seconds: Vec<_> = seconds.collect();
    line("start on a new folder (s)", seconds[0], None, "");
    line(
        "second start, scripts/up to the first page (s)",
        middle(seconds.into_iter().skip(1)),
        None,
        "< 2",
    );
}

fn interrupt(child: &mut Child) {
    let pid = rustix::process::Pid::from_child(child);
    rustix::process::kill_process(pid, rustix::process::Signal::INT).expect("a signal");
    child.wait().expect("an end");
}

/// Rule, plan, claim, SMTP: from the first mail to the last at the sink.
fn mails_per_second(agency: &Agency) -> f64 {
    let (sink, sub) = (Sink::start(), agency.subaccount("Mails"));
    sub.profile(&sink);
    sub.import("tag=hot", people("mail", MAILS));
    let start = Instant::now();
    sub.rule("hot", "Hello {{first_name}}", "How is {{company}}?");
    sink.wait_for(MAILS);
    MAILS as f64 / start.elapsed().as_secs_f64()
}

/// The native server.
struct Floor {
    port: u16,
    child: Child,
}

impl Floor {
    fn start(scratch: &TempDir) -> Floor {
        let mut command = Command::new(program("floor"));
        command
            .arg("serve")
            .arg(scratch.path().join("floor.db"))
            .stdout(Stdio::piped());
        let mut child = command.spawn().expect("floor");
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("a pipe"))
            .read_line(&mut line)
            .expect("a line");
        Floor {
            port: line.trim().parse().expect("a port"),
            child,
        }
    }
}

impl Drop for Floor {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn program(name: &str) -> std::path::PathBuf {
    std::env::current_exe()
        .expect("a path")
        .with_file_name(name)
}
