//! A disk without room: what was confirmed is there, what was refused is not, and it goes on once there is room again.

use std::collections::BTreeSet;
use std::path::Path;

use rusqlite::{Connection, OpenFlags};
use serde_json::{Value, json};
use tests::harness::{Agency, LONG, Options, Reply, SOON, Sluice, Sub, eventually_true, people};

/// A lead of some size, so that the disk is full soon.
fn write(sub: &Sub, n: usize) -> (String, Reply) {
    let email = format!("big{n}@lead.test");
    let fields = (0..8).map(|i| (format!("note{i}"), json!("x".repeat(4000))));
    let data: serde_json::Map<String, Value> = fields.collect();
    let body = json!({"email": email, "data": data});
    (email, sub.http.post("/api/v1/leads", &body))
}

/// Says that no room is left, as a problem.
fn is_full(reply: &Reply) -> bool {
    if reply.status != 507 {
        return false;
    }
    let problem = reply.json();
    assert_eq!(problem["title"], "No room is left", "{problem}");
    let kind = reply.header("content-type");
    assert_eq!(kind, Some("application/problem+json"));
    true
}

/// Asks SQLite itself about every database of a host.
fn nothing_is_corrupted(sluice: &Sluice) {
    let folder = sluice.data().join("sqlite");
    let paths = std::fs::read_dir(folder)
        .unwrap()
        .map(|e| e.unwrap().path());
    let databases: Vec<_> = paths
        .filter(|p| p.extension().is_some_and(|e| e == "db"))
        .collect();
    assert!(databases.len() >= 3, "{databases:?}");
    for path in databases {
        assert_eq!(integrity(&path), "ok", "{}", path.display());
    }
}

fn integrity(path: &Path) -> String {
    let db = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY).unwrap();
    db.query_row("pragma integrity_check", [], |row| row.get(0))
        .unwrap()
}

fn emails(sub: &Sub) -> BTreeSet<String> {
    let leads = sub.leads("q=big");
    let email = |lead: &Value| lead["email"].as_str().unwrap().to_owned();
    leads.iter().map(email).collect()
}

#[test]
fn a_full_disk_is_said_loses_nothing_and_is_over_when_there_is_room() {
    let mut sluice = Sluice::prepare(Options::default().no_worker());
    let disk = match sluice.small_disk(24) {
        Ok(disk) => disk,
        Err(why) => {
            // Never in silence where everything is to be tested.
            assert!(std::env::var_os("CI").is_none(), "no small disk: {why}");
            eprintln!("NOT TESTED: a full disk. Only root may mount a small one: {why}");
            return;
        }
    };
    let ballast = disk.ballast(12);
    sluice.start_again();
    let agency = Agency::sign_up(&sluice);
    let sub = agency.subaccount("Acme");

    let mut confirmed = BTreeSet::new();
    let mut n = 0;
    eventually_true("a full disk", LONG, || {
        n += 1;
        let (email, reply) = write(&sub, n);
        if reply.status == 201 {
            confirmed.insert(email);
            return false;
        }
        assert!(is_full(&reply), "{} {}", reply.status, reply.text());
        true
    });
    assert!(
        confirmed.len() > 10,
        "{} before it was full",
        confirmed.len()
    );

    // A file is refused too, and leaves nothing behind; what is there can be read.
    let file = people("ann", 5_000);
    let upload = || {
        sub.http
            .post_bytes("/api/v1/imports?tag=hot", "text/csv", file.as_bytes())
    };
    let refused = upload();
    assert!(is_full(&refused), "{} {}", refused.status, refused.text());
    assert_eq!(
        emails(&sub),
        confirmed,
        "no more and no less than was confirmed"
    );
    nothing_is_corrupted(&sluice);

    // A power failure on the full disk changes nothing of that.
    sluice.kill();
    sluice.start_again();
    assert_eq!(emails(&sub), confirmed);
    nothing_is_corrupted(&sluice);

    std::fs::remove_file(ballast).unwrap();
    eventually_true("room again", SOON, || {
        let (email, reply) = write(&sub, n + 1);
        matches!(reply.status, 200 | 201) && confirmed.insert(email)
    });
    let import = upload().expect(202).json()["id"].clone();
    let end = sub.import_end(&import);
    assert_eq!(
        (&end["status"], &end["rows"]["created"]),
        (&json!("done"), &json!(5_000)),
        "{end}"
    );
    assert_eq!(emails(&sub), confirmed);
    let imports = sub.http.get("/api/v1/imports").expect(200).json();
    assert_eq!(imports["items"].as_array().unwrap().len(), 1, "{imports}");
    nothing_is_corrupted(&sluice);
    drop(sluice);
    drop(disk);
}
