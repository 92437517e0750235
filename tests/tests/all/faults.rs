//! A PostgreSQL server that is away, crashes, is full, only reads or is slow. Every answer is
//! clear, nothing that was confirmed is lost, and it goes on without a restart.

use std::collections::BTreeSet;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use store::Db;
use testkit::cluster::Cluster;
use tests::harness::{Agency, LONG, Options, Reply, SOON, Sub, eventually_true};

/// The longest that anybody is left waiting: a lock, or a place among the connections, is waited for up to 5 s.
const BOUND: Duration = Duration::from_secs(15);

/// A host with everything on a server.
fn on(cluster: &Cluster, more: &[&str]) -> Options {
    let databases = [
        ("master_database", "fault_master"),
        ("control_database", "fault_control"),
        ("tenant_database", "postgres"),
    ];
    let options = databases
        .iter()
        .fold(Options::default(), |options, (name, database)| {
            options
                .argument("--variable")
                .argument(format!("{name}={}", cluster.dsn(database)))
        });
    more.iter()
        .fold(options, |options, more| options.argument(*more))
}

fn cluster(connections: u32) -> Cluster {
    let cluster = Cluster::start(connections);
    let admin = cluster.connect("postgres").unwrap();
    for name in ["fault_master", "fault_control"] {
        admin
            .execute(&format!("create database {name}"), &[])
            .unwrap();
    }
    cluster
}

/// Asks, and is answered in time.
fn timely(ask: impl FnOnce() -> Reply) -> Reply {
    let begun = Instant::now();
    let reply = ask();
    assert!(
        begun.elapsed() < BOUND,
        "an answer took {:?}",
        begun.elapsed()
    );
    reply
}

/// Says that it is not the caller's fault, and when to come again.
fn is_away(reply: &Reply) -> bool {
    if reply.status != 503 {
        return false;
    }
    let after = reply
        .header("retry-after")
        .and_then(|s| s.parse::<u32>().ok());
    assert!(after.is_some(), "503 without Retry-After: {}", reply.text());
    assert_eq!(
        reply.header("content-type"),
        Some("application/problem+json")
    );
    true
}

fn write(sub: &Sub, email: &str) -> Reply {
    timely(|| sub.http.post("/api/v1/leads", &json!({"email": email})))
}

fn emails(sub: &Sub) -> BTreeSet<String> {
    let leads = sub.leads("");
    let email = |lead: &Value| lead["email"].as_str().unwrap().to_owned();
    leads.iter().map(email).collect()
}

#[test]
fn a_server_that_is_down_at_the_start_and_crashes_later_loses_no_confirmed_write() {
    let mut cluster = cluster(60);
    cluster.crash();
    let sluice = on(&cluster, &[]).start();
    let body = json!({"email": "early@agency.test", "password": "correct horse", "account": "A"});
    let early = timely(|| sluice.http().post("/api/v1/signup", &body));
    assert!(is_away(&early), "{} {}", early.status, early.text());
    cluster.up();
    eventually_true("the server is found", SOON, || {
        sluice.http().post("/api/v1/signup", &body).status == 201
    });

    let sub = Agency::sign_up(&sluice).subaccount("Acme");
    let (confirmed, over) = (Mutex::new(BTreeSet::new()), AtomicBool::new(false));
    std::thread::scope(|scope| {
        for writer in 0..4 {
            let (sub, confirmed, over) = (&sub, &confirmed, &over);
            scope.spawn(move || {
                for n in 0.. {
                    if over.load(Ordering::Relaxed) {
                        break;
                    }
                    let email = format!("w{writer}n{n}@lead.test");
                    let reply = write(sub, &email);
                    match reply.status {
                        201 => drop(confirmed.lock().unwrap().insert(email)),
                        _ => assert!(is_away(&reply), "{} {}", reply.status, reply.text()),
                    }
                }
            });
        }
        let count = || confirmed.lock().unwrap().len();
        for _ in 0..3 {
            let before = count();
            eventually_true("some more writes", LONG, || count() >= before + 20);
            cluster.crash();
            cluster.up();
        }
        let before = count();
        eventually_true("writes after the last crash", LONG, || {
            count() >= before + 20
        });
        over.store(true, Ordering::Relaxed);
    });
    let confirmed = confirmed.into_inner().unwrap();
    let there = emails(&sub);
    let lost: Vec<_> = confirmed.difference(&there).collect();
    assert!(lost.is_empty(), "confirmed and not there: {lost:?}");
    println!(
        "{} writes were confirmed, {} are there",
        confirmed.len(),
        there.len()
    );
}

#[test]
fn a_server_that_is_full_only_reads_or_is_slow_says_so_and_comes_back() {
    let cluster = cluster(40);
    let sluice = on(&cluster, &["--postgres-connections", "12"]).start();
    let agency = Agency::sign_up(&sluice);
    let (sub, other) = (agency.subaccount("Acme"), agency.subaccount("Other"));
    write(&sub, "first@lead.test").expect(201);
    write(&other, "first@lead.test").expect(201);
    let admin = cluster.connect("postgres").unwrap();

    // Others take every connection as soon as ours end.
    let mut others = Vec::new();
    let ours =
        "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'sluice'";
    eventually_true("no connection is left", LONG, || {
        admin.query(ours, &[]).unwrap();
        others.extend(std::iter::from_fn(|| cluster.connect("postgres").ok()));
        is_away(&write(&sub, "second@lead.test"))
    });
    drop(others);
    eventually_true("connections again", SOON, || {
        matches!(write(&sub, "second@lead.test").status, 200 | 201)
    });

    // It only reads, as one that is taking over: what is there can still be seen.
    let read_only = |on: &str| {
        let set = format!("alter system set default_transaction_read_only = {on}");
        admin.execute(&set, &[]).unwrap();
        admin.query("select pg_reload_conf()", &[]).unwrap();
    };
    read_only("on");
    eventually_true("no write", SOON, || {
        is_away(&write(&sub, "third@lead.test"))
    });
    assert!(is_away(&write(&sub, "fourth@lead.test")));
    read_only("off");
    eventually_true("writes again", SOON, || {
        matches!(write(&sub, "third@lead.test").status, 200 | 201)
    });

    // Somebody holds a lock in one database: its people are not left waiting, and others notice nothing.
    let database = format!("t_{}", sub.id.replace('-', ""));
    let holder = cluster.connect(&database).unwrap();
    holder.execute("begin", &[]).unwrap();
    holder
        .execute("lock table lead in access exclusive mode", &[])
        .unwrap();
    let slow = write(&sub, "fifth@lead.test");
    assert!(is_away(&slow), "{} {}", slow.status, slow.text());
    let begun = Instant::now();
    write(&other, "second@lead.test").expect(201);
    assert!(
        begun.elapsed() < Duration::from_secs(3),
        "{:?}",
        begun.elapsed()
    );
    holder.execute("rollback", &[]).unwrap();
    eventually_true("the lock is gone", SOON, || {
        matches!(write(&sub, "fifth@lead.test").status, 200 | 201)
    });
    let expected = ["fifth", "first", "second", "third"].map(|n| format!("{n}@lead.test"));
    let there = emails(&sub);
    assert!(expected.iter().all(|e| there.contains(e)), "{there:?}");
    assert!(
        !there.contains("fourth@lead.test"),
        "a write that was refused"
    );
}
