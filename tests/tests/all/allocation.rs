//! More sub-accounts than slots, while master and slaves die and come back: no slot is leaked, and none is doubled.

use std::collections::{BTreeSet, HashMap};
use std::sync::Mutex;
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};
use serde_json::{Value, json};
use tests::harness::{Agency, Http, LONG, Sluice, eventually, eventually_true};

use crate::nodes::{healthy, master, node, operator, seen, slave};

const ASKED: usize = 200;
const SLOTS: usize = 50;
/// The same every time, so that a failure can be repeated as far as timing allows.
const SEED: u64 = 0x0ddb_a115_eedf_00d5;
/// A call that died with the master is made again when its lease has ended.
const PATIENCE: Duration = Duration::from_secs(120);

/// What is in a database of a node.
fn look<T: rusqlite::types::FromSql>(node: &Sluice, label: &str, sql: &str) -> Vec<T> {
    let path = node.data().join(format!("sqlite/{label}.db"));
    let db = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY).unwrap();
    db.busy_timeout(Duration::from_secs(5)).unwrap();
    let mut statement = db.prepare(sql).unwrap();
    let rows = statement.query_map([], |row| row.get(0)).unwrap();
    rows.map(Result::unwrap).collect()
}

fn tenants(slave: &Sluice) -> Vec<String> {
    look(slave, "slave", "select id from tenant order by id")
}

/// Asks for a sub-account until it is promised: while the master is down, again.
fn insist(http: &Http, name: &str) -> String {
    let body = json!({"name": name}).to_string();
    let kind = [("content-type", "application/json")];
    eventually("a promise", LONG, || {
        let reply = http.try_send("POST", "/api/v1/subaccounts", &kind, body.as_bytes());
        let reply = reply.ok().filter(|reply| reply.status == 202)?;
        Some(reply.id())
    })
}

/// All sub-accounts by id, as the master lists them.
fn listed(agency: &Agency) -> HashMap<String, Value> {
    let list = agency.http.get("/api/v1/subaccounts").expect(200).json();
    let items = list["items"].as_array().unwrap().iter();
    items
        .map(|s| (s["id"].as_str().unwrap().to_owned(), s.clone()))
        .collect()
}

fn active(all: &HashMap<String, Value>) -> BTreeSet<String> {
    let active = all.iter().filter(|(_, s)| s["status"] == "active");
    active.map(|(id, _)| id.clone()).collect()
}

/// Which node dies when so many sub-accounts have a slot: the master once, and the slaves in no particular order.
fn kills() -> Vec<(usize, usize)> {
    let mut state = SEED;
    let mut next = |below: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        usize::try_from(state >> 33).unwrap() % below
    };
    let victims = [0, 1, 2, 1, 2];
    let steps = victims.iter().enumerate();
    steps.map(|(i, v)| (1 + i * 18 + next(18), *v)).collect()
}

#[test]
fn of_two_hundred_that_ask_at_once_a_hundred_get_the_hundred_slots() {
    let master = master();
    let (north, north_id) = slave(&master, "north", SLOTS);
    let (south, south_id) = slave(&master, "south", SLOTS);
    let agency = Agency::sign_up(&master);
    healthy(&agency, &north_id);
    healthy(&agency, &south_id);

    let mut hosts = [master, north, south];
    let promised = Mutex::new(BTreeSet::new());
    std::thread::scope(|scope| {
        for part in 0..8 {
            let (http, promised) = (agency.http.clone(), &promised);
            scope.spawn(move || {
                for n in (part..ASKED).step_by(8) {
                    let id = insist(&http, &format!("s{n}"));
                    promised.lock().unwrap().insert(id);
                }
            });
        }
        for (taken, victim) in kills() {
            let slaves = &hosts[1..];
            eventually_true(&format!("{taken} taken slots"), PATIENCE, || {
                slaves.iter().map(|s| tenants(s).len()).sum::<usize>() >= taken
            });
            hosts[victim].kill();
            hosts[victim].start_again();
        }
    });
    let promised = promised.into_inner().unwrap();
    assert!(promised.len() >= ASKED);
    let [master, north, south] = &hosts;

    // Everybody who was promised one is known. A hundred work, and all others wait and say why.
    let reason = "All 100 slots of 2 nodes are taken. It goes on by itself when one is free.";
    let all = eventually("a hundred, and a reason for the others", PATIENCE, || {
        let all = listed(&agency);
        let waits = |s: &&Value| s["status"] == "requested" && s["reason"] == reason;
        let waiting = all.values().filter(waits).count();
        (active(&all).len() == 2 * SLOTS && waiting == all.len() - 2 * SLOTS).then_some(all)
    });
    assert!(promised.iter().all(|id| all.contains_key(id)));
    no_slot_is_leaked_or_doubled(&agency, &hosts, &active(&all));
    for id in [&north_id, &south_id] {
        assert_eq!(node(&agency, id)["placed"], SLOTS, "{id}");
    }

    // Room that somebody leaves is taken by itself, by the one that has waited longest.
    let gone = active(&all).pop_first().unwrap();
    operator(master, &["tenant", "delete", &gone, "--grace", "0"]);
    let next = eventually("one that waited", PATIENCE, || {
        let now = active(&listed(&agency));
        let mut fresh = now.difference(&active(&all)).cloned().collect::<Vec<_>>();
        (now.len() == 2 * SLOTS).then(|| fresh.pop()).flatten()
    });
    let waited = |id: &String| (all[id]["created_at"].as_i64(), id.clone());
    let longest = all.keys().filter(|id| !active(&all).contains(*id));
    assert_eq!(longest.min_by_key(|id| waited(id)), Some(&next));
    assert_eq!(seen(&agency, &next)["reason"], Value::Null);
    agency
        .http
        .get(&format!("/api/v1/subaccounts/{gone}"))
        .expect(404);
    let last = active(&listed(&agency));
    no_slot_is_leaked_or_doubled(&agency, &hosts, &last);
    assert!(!tenants(north).contains(&gone) && !tenants(south).contains(&gone));
}

/// What the master gave away is what the slaves hold, each slot once, in a file of its own; and all of it works.
fn no_slot_is_leaked_or_doubled(agency: &Agency, hosts: &[Sluice; 3], active: &BTreeSet<String>) {
    let [master, slaves @ ..] = hosts;
    let placed: Vec<String> = look(
        master,
        "master",
        "select subaccount_id from placement where state = 'placed'",
    );
    let taken: Vec<i64> = look(master, "master", "select count(*) from placement");
    assert_eq!(taken, [2 * SLOTS as i64], "rows that take a slot");
    assert_eq!(&placed.into_iter().collect::<BTreeSet<_>>(), active);
    for id in active {
        let base = seen(agency, id)["base_url"].as_str().unwrap().to_owned();
        agency.http.under(&base).get("/api/v1/leads").expect(200);
    }
    let mut held = BTreeSet::new();
    for slave in slaves {
        let slots: Vec<i64> = look(slave, "slave", "select slot from tenant order by slot");
        let whole: Vec<i64> = (1..=SLOTS as i64).collect();
        assert_eq!(slots, whole, "each slot once");
        for id in tenants(slave) {
            assert!(held.insert(id.clone()), "{id} lives in two places");
        }
        assert_eq!(files(slave), SLOTS, "a database for each");
    }
    assert_eq!(&held, active);
}

/// Databases of sub-accounts in a slave's folder that hold anything.
fn files(slave: &Sluice) -> usize {
    let entries = std::fs::read_dir(slave.data().join("sqlite")).unwrap();
    let names = entries.map(|e| e.unwrap().file_name().into_string().unwrap());
    let labels = names.filter_map(|n| n.strip_suffix(".db").map(str::to_owned));
    let slots = labels.filter(|l| l.starts_with("slot"));
    let in_use = |label: &String| {
        let tables = "select count(*) from sqlite_schema where name = 'lead'";
        look::<i64>(slave, label, tables) == [1]
    };
    slots.filter(in_use).count()
}
