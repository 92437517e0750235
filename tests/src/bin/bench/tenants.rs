//! Many tenants on one slave: what they cost while nothing is due, and when one of them is looked at.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde_json::json;
use tests::harness::{Agency, Http, Options, Sluice, eventually, root};

use crate::{line, memory_mb, middle};

const TENANTS: usize = 10_000;
const ALLOCATED: usize = 1_000;
const COLD: usize = 200;
const STAGES: [&str; 7] = [
    "allocate", "ingest", "import", "plan", "rule", "search", "timeline",
];

/// All figures of this section.
pub fn measure() {
    let folder = tempfile::TempDir::new().expect("a folder");
    let manifest = manifest(folder.path());
    let options = Options::default()
        .argument("--manifest")
        .argument(&manifest);
    let mut sluice = options.start();
    let agency = Agency::sign_up(&sluice);
    let seconds = allocate(&agency);
    line(
        &format!("{ALLOCATED} sub-accounts asked for to active (s)"),
        seconds,
        None,
        "< 30",
    );

    sluice.interrupt(Duration::from_secs(30));
    let tenants = multiply(&sluice.data().join("sqlite"));
    sluice.start_again();
    let secret = secret(&sluice);
    let ticks = (0..=20).map(|_| tick_ms(&sluice, &secret)).skip(1);
    line(
        &format!("a tick of all stages, {TENANTS} tenants, nothing due (ms)"),
        middle(ticks),
        None,
        "< 50",
    );
    line(
        &format!("memory of host + worker, {TENANTS} tenants (MB)"),
        memory_mb(&sluice),
        None,
        "< 400",
    );
    cold(&sluice, &agency, &tenants);
    line(
        "memory of host + worker, after that (MB)",
        memory_mb(&sluice),
        None,
        "",
    );
}

/// `spin.toml` with as many slots as tenants, beside the same components.
fn manifest(folder: &Path) -> PathBuf {
    std::os::unix::fs::symlink(root().join("build"), folder.join("build")).expect("a link");
    let labels = (1..=TENANTS).fold(String::new(), |mut text, n| {
        let _ = write!(text, "\"slot{n:03}\", ");
        text
    });
    let (mut text, mut inside) = (String::new(), false);
    for row in std::fs::read_to_string(root().join("spin.toml"))
        .expect("spin.toml")
        .lines()
    {
        inside &= !row.contains("# slots: end");
        match row.split_once(" = ") {
            _ if inside => {}
            Some(("slots", _)) => text += &format!("slots = \"{TENANTS}\"\n"),
            _ => text += &format!("{row}\n"),
        }
        if row.contains("# slots: begin") {
            inside = true;
            text += &format!("{labels}\n");
        }
    }
    let path = folder.join("spin.toml");
    std::fs::write(&path, text).expect("a manifest");
    path
}

/// From the first request to the last sub-account that is active.
fn allocate(agency: &Agency) -> f64 {
    let start = Instant::now();
    for n in 0..ALLOCATED {
        let name = json!({"name": format!("Tenant {n}")});
        agency.http.post("/api/v1/subaccounts", &name).expect(202);
    }
    eventually("all sub-accounts", Duration::from_secs(300), || {
        let all = agency.http.get("/api/v1/subaccounts").expect(200).json();
        let all = all["items"].as_array().expect("items");
        all.iter().all(|s| s["status"] == "active").then_some(())
    });
    start.elapsed().as_secs_f64()
}

/// Fills the other slots with copies, as allocating them one by one would. Returns some that were not opened yet.
fn multiply(folder: &Path) -> Vec<String> {
    let control =
        rusqlite::Connection::open(folder.join("slave.db")).expect("the control database");
    let sample = folder.join("slot001.db");
    let mut ids = Vec::new();
    for n in ALLOCATED + 1..=TENANTS {
        let id = format!("019aa000-0000-7000-8000-{n:012x}");
        let insert = "insert into tenant (id, account_id, name, slot, schema_version, created_at)
            select ?1, account_id, 'Copy', ?2, schema_version, created_at from tenant where slot = 1";
        control
            .execute(insert, rusqlite::params![id, n as i64])
            .expect("a tenant");
        std::fs::copy(&sample, folder.join(format!("slot{n:03}.db"))).expect("a copy");
        ids.push(id);
    }
    ids
}

fn secret(sluice: &Sluice) -> String {
    let text = std::fs::read_to_string(sluice.data().join("secrets.toml")).expect("secrets.toml");
    let found = text
        .lines()
        .find_map(|row| row.strip_prefix("node_secret = "));
    found.expect("node_secret").trim_matches('"').to_owned()
}

fn tick_ms(sluice: &Sluice, secret: &str) -> f64 {
    let http = sluice.http().with_key(secret);
    let start = Instant::now();
    for stage in STAGES {
        http.post(&format!("/tick/{stage}"), &json!({})).expect(200);
    }
    start.elapsed().as_secs_f64() * 1000.0
}

/// Each tenant twice: the first look opens its database, the second finds it open.
fn cold(sluice: &Sluice, agency: &Agency, tenants: &[String]) {
    let step = tenants.len() / (2 * COLD);
    let chosen: Vec<_> = tenants.iter().step_by(step).collect();
    let (by_key, by_browser) = chosen.split_at(COLD);
    let ms = |http: &Http, path: &str| {
        let start = Instant::now();
        http.get(path).expect(200);
        start.elapsed().as_secs_f64() * 1000.0
    };
    let tags = |id: &String| format!("{}/s/{id}/api/v1/tags", sluice.url());
    let opened = by_key.iter().map(|id| {
        let (first, second) = (ms(&agency.http, &tags(id)), ms(&agency.http, &tags(id)));
        first - second
    });
    line(
        "opening a cold SQLite tenant (ms)",
        middle(opened),
        None,
        "< 5",
    );
    let page = |id: &&String| ms(&agency.browser, &format!("{}/s/{id}/", sluice.url()));
    line(
        "first page of a cold tenant (ms)",
        middle(by_browser.iter().map(page)),
        None,
        "< 20",
    );
}
