//! Starting, stopping, and starting wrongly.

use std::os::unix::process::CommandExt;
use std::process::Command;
use std::time::{Duration, Instant};

use tests::harness::{Agency, Options, Sink, Sluice, bearers, eventually_true, people, root};

#[test]
fn ctrl_c_ends_everything_and_the_next_start_finds_everything() {
    let (mut sluice, sink) = (Sluice::start(), Sink::start());
    let sub = Agency::sign_up(&sluice).subaccount("Acme");
    sub.profile(&sink);
    sub.rule("hot", "Hello", "Hi");
    sub.import("tag=hot", people("ann", 30));
    eventually_true("a worker", Duration::from_secs(10), || {
        sluice.workers().len() == 1
    });

    let status = sluice.interrupt(Duration::from_secs(15));
    assert!(status.success(), "{status}\n{}", sluice.log());
    assert_eq!(
        bearers(&sluice.mark()),
        [] as [i32; 0],
        "nothing is left running"
    );

    let started = Instant::now();
    sluice.start_again();
    println!("a second start took {:?}", started.elapsed());
    let requests = sub.ended_requests(30, Duration::from_secs(120));
    assert!(
        requests.iter().all(|r| r["status"] == "performed"),
        "a clean stop leaves nothing uncertain: {requests:?}"
    );
    let mails = sink.mails();
    assert_eq!(mails.len(), 30);
}

#[test]
fn a_worker_does_not_outlive_a_host_that_was_killed() {
    let mut sluice = Sluice::start();
    eventually_true("a worker", Duration::from_secs(10), || {
        sluice.workers().len() == 1
    });
    sluice.kill();
    eventually_true("no process", Duration::from_secs(20), || {
        bearers(&sluice.mark()).is_empty()
    });
}

#[test]
fn a_second_host_on_the_same_folder_is_refused() {
    let sluice = Sluice::start();
    let port = tests::harness::free_port();
    let output = Command::new(root().join("target/release/sluice"))
        .current_dir(root())
        .args(["up", "--listen", &format!("127.0.0.1:{port}"), "--data"])
        .arg(sluice.data())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success(), "{said}");
    assert!(
        said.contains(&sluice.data().display().to_string()),
        "it says which folder: {said}"
    );
    assert!(sluice.is_up());
    assert_eq!(sluice.http().get("/login").status, 200);
}

#[test]
fn a_port_that_is_taken_is_said_at_once() {
    let first = Sluice::start();
    let taken = first.url().trim_start_matches("http://").to_owned();
    let other = Sluice::prepare(Options::default());
    let output = Command::new(root().join("target/release/sluice"))
        .current_dir(root())
        .args(["up", "--listen", &taken, "--data"])
        .arg(other.data())
        .process_group(0)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success() && said.contains(&taken), "{said}");
}

#[test]
fn all_mistakes_in_a_manifest_are_told_at_once_with_their_lines() {
    let sluice = Sluice::prepare(Options::default());
    let manifest = std::fs::read_to_string(root().join("spin.toml")).unwrap();
    let broken = manifest
        .replacen("spin_manifest_version = 2", "spin_manifest_version = 3", 1)
        .replacen("route =", "rout =", 1)
        .replacen("[component.master]", "[component.mastre]", 1);
    let path = sluice.scratch().join("spin.toml");
    std::fs::write(&path, broken).unwrap();
    let output = Command::new(root().join("target/release/sluice"))
        .current_dir(sluice.scratch())
        .args(["up", "--manifest"])
        .arg(&path)
        .arg("--data")
        .arg(sluice.data())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success(), "{said}");
    let lines = said
        .lines()
        .filter(|line| line.contains("spin.toml:"))
        .count();
    assert!(
        lines >= 2,
        "several mistakes, each with file and line: {said}"
    );
    assert!(said.contains("rout"), "{said}");
}
