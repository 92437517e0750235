//! A sub-account goes to another slave while it is read, and to a file and back: nothing of it is lost, nothing stays behind.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tests::harness::{Agency, Http, LONG, Sluice, Sub, eventually, eventually_true, people};

use crate::nodes::{healthy, master, operator, slave};

/// Coming to rest takes half a minute, and the machine may be busy.
const MOVED: Duration = Duration::from_secs(240);
const LEADS: usize = 3_000;

/// What the API counts in a sub-account.
fn counts(sub: &Sub) -> Value {
    let imports = sub.http.get("/api/v1/imports").expect(200).json();
    let rules = sub.http.get("/api/v1/rules").expect(200).json();
    let mut leads = sub.leads("");
    leads.sort_by_key(|lead| lead["id"].as_i64());
    json!({
        "leads": leads,
        "imports": imports["items"],
        "rules": rules["items"].as_array().map(Vec::len),
        "requests": requests(sub),
        "created": sub.timeline("lead_created"),
    })
}

fn requests(sub: &Sub) -> usize {
    sub.requests("limit=200").len()
}

/// Whether any of a slave's databases has a text in it.
fn holds(slave: &Sluice, text: &str) -> bool {
    let folder = std::fs::read_dir(slave.data().join("sqlite")).unwrap();
    let files = folder.flatten().map(|entry| std::fs::read(entry.path()));
    files.flatten().any(|bytes| {
        let mut windows = bytes.windows(text.len());
        windows.any(|window| window == text.as_bytes())
    })
}

/// Reads a sub-account until told to stop, going where it is sent; how many times.
fn read_on(http: &Http, stop: &AtomicBool, reads: &AtomicUsize) {
    let mut base = http.base().to_owned();
    let begun = Instant::now();
    while !stop.load(Ordering::Relaxed) && begun.elapsed() < 2 * MOVED {
        let answer = http.under(&base).get("/api/v1/leads?limit=1");
        match answer.status {
            308 => {
                let to = answer.header("location").expect("where to").to_owned();
                base = to.split("/api/").next().expect("a base").to_owned();
            }
            _ => {
                let leads = answer.expect(200).json();
                assert_eq!(leads["items"].as_array().map(Vec::len), Some(1), "{leads}");
                reads.fetch_add(1, Ordering::Relaxed);
            }
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// Asks for the move and reads on meanwhile; where the sub-account is then.
fn relocate(agency: &Agency, sub: &Sub, target: &str) -> Sub {
    let moves = format!("/api/v1/subaccounts/{}/relocations", sub.id);
    let (stop, reads) = (AtomicBool::new(false), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        let reader = scope.spawn(|| read_on(&sub.http, &stop, &reads));
        let asked = agency.http.post(&moves, &json!({"node_id": target}));
        asked.expect(202);
        agency.http.post(&moves, &json!({})).expect(409);
        // What nobody may change, nobody changes: it is said so, and when to come again.
        eventually_true("a change that is refused", LONG, || {
            let refused = sub.http.post("/api/v1/requests/0/cancellation", &json!({}));
            refused.status == 503 && refused.header("retry-after").is_some()
        });
        let done = eventually("the end of the move", MOVED, || {
            let all = agency.http.get(&moves).expect(200).json();
            let last = all["items"][0].clone();
            assert_ne!(last["state"], "failed", "{last}");
            (last["state"] == "done").then_some(last)
        });
        assert_eq!(done["target_id"], target);
        std::thread::sleep(Duration::from_secs(1));
        stop.store(true, Ordering::Relaxed);
        reader.join().expect("every read was answered");
    });
    assert!(
        reads.load(Ordering::Relaxed) > 20,
        "it was read all the while"
    );
    let now = agency.http.get(&format!("/api/v1/subaccounts/{}", sub.id));
    let base = now.expect(200).json()["base_url"]
        .as_str()
        .expect("an address")
        .to_owned();
    Sub {
        http: sub.http.under(&base),
        id: sub.id.clone(),
    }
}

#[test]
fn a_sub_account_moves_while_it_is_read_and_goes_to_a_file_and_back() {
    let master = master();
    let (north, north_id) = slave(&master, "north", 2);
    let (south, south_id) = slave(&master, "south", 2);
    let agency = Agency::sign_up(&master);
    healthy(&agency, &north_id);
    healthy(&agency, &south_id);
    let sub = agency.subaccount("acme");
    let (source, target, target_id) = match sub.http.base().starts_with(&north.url()) {
        true => (&north, &south, &south_id),
        false => (&south, &north, &north_id),
    };
    // A rule without a sender: what it makes waits.
    sub.rule("hot", "Hello", "Hi");
    sub.import("tag=hot", people("ann", LEADS));
    eventually_true("requests", LONG, || requests(&sub) == LEADS);
    eventually_true("what was counted", LONG, || {
        sub.timeline("lead_created") == LEADS as i64
    });
    let before = counts(&sub);
    let trace = before["leads"][LEADS - 1]["email"]
        .as_str()
        .expect("an address");
    assert!(holds(source, trace));

    let moved = relocate(&agency, &sub, target_id);
    assert!(
        moved.http.base().starts_with(&target.url()),
        "{}",
        moved.http.base()
    );
    assert_eq!(counts(&moved), before);
    assert!(!holds(source, trace), "nothing of it stays behind");
    moved
        .http
        .post("/api/v1/leads", &json!({"email": "new@x.test"}))
        .expect(201);
    // The old address leads on.
    let answer = sub.http.get("/api/v1/leads/1").expect(308);
    let to = format!("{}/api/v1/leads/1", moved.http.base());
    assert_eq!(answer.header("location"), Some(to.as_str()));
    // Stages work at the new place.
    moved.import("tag=hot", people("bob", 10));
    eventually_true("new requests", LONG, || requests(&moved) == LEADS + 10);

    // To a file, and into another sub-account.
    let before = counts(&moved);
    let file = master.scratch().join("acme.sluice");
    let path = file.display().to_string();
    let said = operator(&master, &["tenant", "archive", &moved.id, "--to", &path]);
    assert!(said.contains(" rows, "), "{said}");
    let copy = agency.subaccount("copy");
    let said = operator(&master, &["tenant", "restore", &path, "--to", &copy.id]);
    assert!(said.contains(" tables, "), "{said}");
    assert_eq!(counts(&copy), before);
    // A file that was changed is refused, and leaves nothing.
    let text = std::fs::read_to_string(&file)
        .unwrap()
        .replace("ann", "eve");
    let empty = agency.subaccount("empty");
    let headers = [("content-type", "application/x-ndjson")];
    let refused = empty
        .http
        .send("PUT", "/api/v1/archive", &headers, text.as_bytes());
    assert_eq!(
        refused.expect(422).json()["title"],
        "This is no archive that can be restored"
    );
    assert!(empty.leads("").is_empty());
    // By the API the same.
    let whole = moved.http.get("/api/v1/archive").expect(200).body;
    let restored = empty.http.send("PUT", "/api/v1/archive", &headers, &whole);
    assert!(restored.expect(200).json()["rows"].as_u64() > Some(LEADS as u64));
    assert_eq!(counts(&empty), before);
}
