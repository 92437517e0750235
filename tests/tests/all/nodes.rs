//! A master, two slaves and two workers, each a process with a data folder of its own, joined by tokens.

use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tests::harness::{
    Agency, Http, LONG, Options, SOON, Sink, Sluice, Worker, eventually, eventually_true, people,
    root,
};

/// A revocation is known everywhere within two seconds; a busy machine gets some more to answer.
pub(crate) const REVOKED: Duration = Duration::from_secs(5);

pub(crate) fn master() -> Sluice {
    Options::default()
        .no_worker()
        .argument("--manifest")
        .argument(root().join("deploy/master.toml"))
        .argument("--variable")
        .argument("node_hosts=http://127.0.0.1:*")
        .start()
}

/// The operator's command line on the master's data folder.
pub(crate) fn operator(master: &Sluice, arguments: &[&str]) -> String {
    let output = Command::new(root().join("target/release/sluice"))
        .args(arguments)
        .args(["--master", &master.url(), "--data"])
        .arg(master.data())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{arguments:?}: {said}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// The word after another one.
pub(crate) fn after<'a>(text: &'a str, word: &str) -> &'a str {
    let mut words = text.split_whitespace();
    words.find(|w| *w == word);
    words.next().unwrap_or_else(|| panic!("no {word}: {text}"))
}

/// A slave with so few slots, as it is written into a manifest of its own.
pub(crate) fn slave_manifest(slave: &Sluice, slots: usize) -> PathBuf {
    let text = std::fs::read_to_string(root().join("deploy/slave.toml")).unwrap();
    let build = root().join("build").display().to_string();
    let text = text
        .replace("\"../build/", &format!("\"{build}/"))
        .replace("slots = \"64\"", &format!("slots = \"{slots}\""));
    let path = slave.scratch().join("slave.toml");
    std::fs::write(&path, text).unwrap();
    path
}

/// A slave that has joined: its host, and its node's id.
pub(crate) fn slave(master: &Sluice, name: &str, slots: usize) -> (Sluice, String) {
    let invited = operator(master, &["node", "add", "--kind", "slave", "--name", name]);
    let bare = Sluice::prepare(Options::default().no_worker());
    let manifest = slave_manifest(&bare, slots);
    let mut slave = bare.with(
        Options::default()
            .no_worker()
            .argument("--manifest")
            .argument(manifest),
    );
    let output = Command::new(root().join("target/release/sluice"))
        .args(["join", "--master", &master.url()])
        .args(["--token", after(&invited, "token"), "--data"])
        .arg(slave.data())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{said}");
    slave.start_again();
    (slave, after(&invited, "node").to_owned())
}

fn worker(master: &Sluice, slave: &str, name: &str) -> (Worker, String) {
    let arguments = [
        "node", "add", "--kind", "worker", "--slave", slave, "--name", name,
    ];
    let invited = operator(master, &arguments);
    let (token, id) = (after(&invited, "token"), after(&invited, "node"));
    let data = master.scratch().join(name);
    let worker = Worker::join(&master.url(), token, &data, &master.mark());
    (worker, id.to_owned())
}

pub(crate) fn node(agency: &Agency, id: &str) -> Value {
    agency
        .http
        .get(&format!("/api/v1/nodes/{id}"))
        .expect(200)
        .json()
}

pub(crate) fn healthy(agency: &Agency, id: &str) {
    eventually_true("a node that reports", SOON, || {
        node(agency, id)["healthy"] == true
    });
}

/// Asks for a sub-account without waiting for it.
pub(crate) fn ask(agency: &Agency, name: &str) -> String {
    let made = agency
        .http
        .post("/api/v1/subaccounts", &json!({"name": name}));
    made.expect(202).json()["id"].as_str().unwrap().to_owned()
}

pub(crate) fn seen(agency: &Agency, id: &str) -> Value {
    let path = format!("/api/v1/subaccounts/{id}");
    agency.http.get(&path).expect(200).json()
}

#[test]
fn sub_accounts_live_on_slaves_of_their_own_and_work_there() {
    let (mut master, sink) = (master(), Sink::start());
    let (north, north_id) = slave(&master, "north", 2);
    let (mut south, south_id) = slave(&master, "south", 1);
    let agency = Agency::sign_up(&master);
    healthy(&agency, &north_id);
    healthy(&agency, &south_id);

    // Three have room, the fourth waits and says why.
    let subs: Vec<_> = ["a", "b", "c"]
        .iter()
        .map(|n| agency.subaccount(n))
        .collect();
    let on = |slave: &Sluice| {
        let here = |s: &&tests::harness::Sub| s.http.base().starts_with(&slave.url());
        subs.iter().filter(here).count()
    };
    assert_eq!((on(&north), on(&south)), (2, 1), "spread over both");
    let fourth = ask(&agency, "d");
    let reason = eventually("a reason", SOON, || {
        seen(&agency, &fourth)["reason"].as_str().map(str::to_owned)
    });
    assert!(
        reason.starts_with("All 3 slots of 2 nodes are taken."),
        "{reason}"
    );

    // The main job, on a slave, by a worker of its own; the other worker has no part in it.
    let sub = subs
        .iter()
        .find(|s| s.http.base().starts_with(&north.url()));
    let sub = sub.unwrap();
    let (ann, ann_id) = worker(&master, &north_id, "ann");
    let (bob, bob_id) = worker(&master, &north_id, "bob");
    let mut settings =
        json!({"name": "Ann", "type": "smtp", "settings": sink.settings(), "quotas": {}});
    settings["worker"] = ann_id.as_str().into();
    let profile = sub
        .http
        .post("/api/v1/profiles", &settings)
        .expect(201)
        .json();
    assert_eq!(profile["worker"], ann_id.as_str());
    sub.rule("hot", "Hello", "Hi");
    sub.import("tag=hot", people("ann", 5));
    let done = sub.ended_requests(5, LONG);
    assert!(done.iter().all(|r| r["status"] == "performed"), "{done:?}");
    assert_eq!(sink.mails().len(), 5);
    let profiles = |worker: &Worker| {
        let http = north.http().with_key(&worker.credential());
        http.get("/worker/v1/profiles").expect(200).json()["profiles"].clone()
    };
    assert_eq!(profiles(&ann).as_array().unwrap().len(), 1);
    assert_eq!(profiles(&bob), json!([]), "another worker's profile");
    let elsewhere = south.http().with_key(&ann.credential());
    assert_eq!(
        elsewhere.get("/worker/v1/profiles").status,
        401,
        "a worker of north"
    );

    // A deleted one makes room for the one that waits.
    let gone = subs
        .iter()
        .find(|s| s.http.base().starts_with(&south.url()));
    let gone = gone.unwrap();
    south.kill();
    operator(&master, &["tenant", "delete", &gone.id, "--grace", "0"]);
    south.start_again();
    eventually_true("the fourth", LONG, || {
        seen(&agency, &fourth)["status"] == "active"
    });
    assert_eq!(
        agency
            .http
            .get(&format!("/api/v1/subaccounts/{}", gone.id))
            .status,
        404
    );

    // A worker that is revoked is out within two seconds.
    agency
        .http
        .send("DELETE", &format!("/api/v1/nodes/{bob_id}"), &[], &[])
        .expect(204);
    let since = Instant::now();
    eventually_true("bob is out", REVOKED, || {
        let http = north.http().with_key(&bob.credential());
        http.get("/worker/v1/profiles").status == 401
    });
    println!("revoked after {:?}", since.elapsed());

    // Without the master, whoever was seen a moment ago goes on.
    let leads = sub.http.get("/api/v1/leads").expect(200).json();
    master.kill();
    std::thread::sleep(Duration::from_secs(4));
    for _ in 0..3 {
        assert_eq!(sub.http.get("/api/v1/leads").expect(200).json(), leads);
    }
    let stranger = Http::new(sub.http.base()).with_key("slk_nobody");
    assert_eq!(stranger.get("/api/v1/leads").status, 503);
    master.start_again();

    // A slave that is revoked forgets everybody.
    agency
        .http
        .send("DELETE", &format!("/api/v1/nodes/{north_id}"), &[], &[])
        .expect(204);
    eventually_true("north is out", REVOKED, || {
        sub.http.get("/api/v1/leads").status == 503
    });
}

#[test]
fn a_slave_that_dies_during_allocation_leaks_nothing() {
    let master = master();
    let (mut only, id) = slave(&master, "only", 5);
    let agency = Agency::sign_up(&master);
    healthy(&agency, &id);
    let asked: Vec<_> = (0..8).map(|n| ask(&agency, &format!("s{n}"))).collect();
    for _ in 0..3 {
        std::thread::sleep(Duration::from_millis(400));
        only.kill();
        only.start_again();
    }
    let active = || {
        let states = asked.iter().map(|id| seen(&agency, id)["status"].clone());
        states.filter(|s| s == "active").count()
    };
    eventually_true("five of them", LONG, || active() == 5);
    let there = node(&agency, &id);
    assert_eq!(there["placed"], 5, "{there}");
    eventually_true("a report", SOON, || node(&agency, &id)["used"] == 5);
    std::thread::sleep(Duration::from_secs(2));
    assert_eq!(active(), 5, "and no more");
}

#[test]
fn a_token_is_good_once_and_a_rotated_credential_for_a_while() {
    let master = master();
    let agency = Agency::sign_up(&master);
    let invited = operator(&master, &["node", "add", "--kind", "slave"]);
    let (id, token) = (after(&invited, "node"), after(&invited, "token"));
    let join = |token: &str| {
        master
            .http()
            .post("/node/v1/join", &json!({"token": token}))
    };
    let first = join(token).expect(200).json();
    join(token).expect(401);
    join("slj_made-up").expect(401);
    let beat = |credential: &Value| {
        let http = master.http().with_key(credential.as_str().unwrap());
        let body = json!({"version": "1", "slots": 1, "base_url": "http://127.0.0.1:9"});
        http.post("/node/v1/heartbeat", &body).status
    };
    assert_eq!(beat(&first["credential"]), 200);
    assert_eq!(node(&agency, id)["healthy"], true);
    let rotated = operator(&master, &["node", "rotate", id]);
    assert_eq!(beat(&first["credential"]), 200, "until it joins again");
    let second = join(after(&rotated, "token")).expect(200).json();
    assert_ne!(first["credential"], second["credential"]);
    assert_eq!(
        (beat(&first["credential"]), beat(&second["credential"])),
        (200, 200)
    );
    operator(&master, &["node", "revoke", id]);
    assert_eq!(
        (beat(&first["credential"]), beat(&second["credential"])),
        (401, 401)
    );
    let listed = operator(&master, &["node", "list"]);
    assert!(
        listed.contains(id) && listed.contains("revoked"),
        "{listed}"
    );

    // Others than those who run the installation see nothing of it.
    let other = Agency::sign_up(&master);
    other.http.get("/api/v1/nodes").expect(403);
    master.http().get("/api/v1/nodes").expect(401);
}
