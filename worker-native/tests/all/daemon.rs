//! Starting, stopping, and what an operator sees.

use std::process::Stdio;

use tempfile::tempdir;
use worker_api::Outcome;

use crate::{
    slave::{Slave, Status},
    smtp::{Hang, Hold, Server},
    until,
    worker::{Worker, command, terminate},
};

#[tokio::test]
async fn sigterm_finishes_what_is_in_flight_and_gives_the_rest_back() {
    let (slave, server, data) = (
        Slave::start().await,
        Server::start().await,
        tempdir().unwrap(),
    );
    server.script("rcpt", &[Hold, Hold, Hold, Hold]);
    slave.profile_at(1, server.address);
    (1..=20).for_each(|id| slave.request(id, 1));
    let mut worker = Worker::start(&slave, &data);
    until("four mails are in flight", || server.state().holding == 4).await;
    terminate(&worker);
    until("the others are given back", || {
        slave
            .state()
            .requests
            .values()
            .filter(|r| r.status == Status::Pending)
            .count()
            == 16
    })
    .await;
    server.release();
    assert!(worker.exit().await.success());
    let performed = slave
        .state()
        .requests
        .values()
        .filter(|r| matches!(r.status, Status::Ended(Outcome::Performed { .. })))
        .count();
    assert_eq!((performed, server.accepted().len()), (4, 4));
}

#[tokio::test]
async fn a_supervised_worker_ends_with_its_supervisor() {
    let (slave, data) = (Slave::start().await, tempdir().unwrap());
    let mut command = command(&slave, data.path());
    command.env("SLUICE_SUPERVISED", "1").stdin(Stdio::piped());
    let mut worker = Worker::spawn(command);
    until("it works", || slave.state().calls.contains_key("claim")).await;
    drop(worker.child.stdin.take());
    assert!(worker.exit().await.success());
}

#[tokio::test]
async fn it_waits_for_a_slave_that_is_not_there_yet_and_for_a_token_that_is_wrong() {
    let (slave, server, data) = (
        Slave::start().await,
        Server::start().await,
        tempdir().unwrap(),
    );
    slave.state().broken = Some(http::StatusCode::BAD_GATEWAY);
    slave.profile_at(1, server.address);
    slave.request(1, 1);
    let _worker = Worker::start(&slave, &data);
    until("it has tried twice", || {
        slave.state().calls.get("register").is_some_and(|&n| n >= 2)
    })
    .await;
    slave.state().broken = None;
    assert!(matches!(slave.outcome(1).await, Outcome::Performed { .. }));

    let other = tempdir().unwrap();
    let mut command = command(&slave, other.path());
    command
        .env("SLUICE_WORKER_TOKEN", "wrong")
        .stderr(Stdio::piped());
    let registers = slave.state().calls["register"];
    let mut worker = Worker::spawn(command);
    until("it has tried", || {
        slave.state().calls["register"] > registers
    })
    .await;
    terminate(&worker);
    assert!(worker.exit().await.success());
    let mut said = String::new();
    std::io::Read::read_to_string(&mut worker.child.stderr.take().unwrap(), &mut said).unwrap();
    assert!(said.contains("SLUICE_WORKER_TOKEN"), "{said}");
}

#[tokio::test]
async fn results_wait_for_the_slave_even_over_a_restart() {
    let (slave, server, data) = (
        Slave::start().await,
        Server::start().await,
        tempdir().unwrap(),
    );
    server.script("text", &[Hold]);
    slave.profile_at(1, server.address);
    slave.request(1, 1);
    let mut worker = Worker::start(&slave, &data);
    until("the server has the mail", || {
        server.state().mails.len() == 1
    })
    .await;
    slave.state().broken = Some(http::StatusCode::INTERNAL_SERVER_ERROR);
    let before = slave.state().calls.get("results").copied().unwrap_or(0);
    server.release();
    until("a report was tried", || {
        slave.state().calls.get("results").copied().unwrap_or(0) > before
    })
    .await;
    worker.kill();
    slave.state().broken = None;
    let _worker = Worker::start(&slave, &data);
    assert_eq!(
        slave.outcome(1).await,
        Outcome::Performed {
            detail: "250 queued".into()
        }
    );
}

#[tokio::test]
async fn a_mail_whose_answer_is_still_out_at_the_end_is_uncertain_after_the_next_start() {
    let (slave, server, data) = (
        Slave::start().await,
        Server::start().await,
        tempdir().unwrap(),
    );
    server.script("text", &[Hang]);
    slave.profile_at(1, server.address);
    slave.request(1, 1);
    let mut command = command(&slave, data.path());
    command.env("SLUICE_SMTP_END_TIMEOUT_S", "600");
    let mut worker = Worker::spawn(command);
    until("the server has the mail", || server.state().texts == 1).await;
    worker.kill();
    let _worker = Worker::start(&slave, &data);
    assert!(matches!(slave.outcome(1).await, Outcome::Uncertain { .. }));
    assert_eq!(server.state().texts, 1);
}

#[tokio::test]
async fn unchanged_profiles_are_not_sent_again() {
    let (slave, server, data) = (
        Slave::start().await,
        Server::start().await,
        tempdir().unwrap(),
    );
    slave.profile_at(1, server.address);
    let _worker = Worker::start(&slave, &data);
    until("the tag was used", || slave.state().not_modified >= 1).await;
    // A task that names a profile which came later makes the worker look at once.
    slave.profile_at(2, server.address);
    slave.request(1, 2);
    assert!(matches!(slave.outcome(1).await, Outcome::Performed { .. }));
}

#[tokio::test]
async fn a_second_worker_on_the_same_folder_is_refused() {
    let (slave, data) = (Slave::start().await, tempdir().unwrap());
    let _worker = Worker::start(&slave, &data);
    until("it works", || slave.state().calls.contains_key("claim")).await;
    let output = command(&slave, data.path()).output().unwrap();
    assert!(!output.status.success());
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("another worker uses the folder"), "{said}");
}

#[tokio::test]
async fn mistakes_in_the_settings_are_told_together_and_doctor_says_what_to_do() {
    let (slave, data) = (Slave::start().await, tempdir().unwrap());
    let mut bad = command(&slave, data.path());
    let output = bad
        .env("SLUICE_SLAVE_URL", "nonsense")
        .env_remove("SLUICE_WORKER_TOKEN")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2));
    assert!(
        said.contains("SLUICE_SLAVE_URL") && said.contains("SLUICE_WORKER_TOKEN"),
        "{said}"
    );

    // The slave answers on this test's own thread, so the child must not block it.
    let doctor = |token: &'static str, url: Option<String>| {
        let mut command = command(&slave, data.path());
        command.arg("doctor").env("SLUICE_WORKER_TOKEN", token);
        if let Some(url) = url {
            command.env("SLUICE_SLAVE_URL", url);
        }
        async move {
            let output = tokio::task::spawn_blocking(move || command.output().unwrap())
                .await
                .unwrap();
            (
                output.status.success(),
                String::from_utf8_lossy(&output.stdout).into_owned(),
            )
        }
    };
    let (well, said) = doctor(crate::slave::TOKEN, None).await;
    assert!(well && said.contains("the token is good"), "{said}");
    let (well, said) = doctor("wrong", None).await;
    assert!(!well && said.contains("SLUICE_WORKER_TOKEN"), "{said}");
    let (well, said) = doctor("x", Some("http://127.0.0.1:1".into())).await;
    assert!(!well && said.contains("start the slave"), "{said}");
}

#[tokio::test]
async fn what_a_killed_worker_had_in_hand_goes_back_at_the_next_start() {
    let (slave, server, data) = (
        Slave::start().await,
        Server::start().await,
        tempdir().unwrap(),
    );
    // The slave alone would wait for the end of the leases, which is later than this test.
    slave.state().lease_ms = 600_000;
    server.script("data", &[Hold, Hold, Hold, Hold]);
    slave.profile_at(1, server.address);
    (1..=20).for_each(|id| slave.request(id, 1));
    let mut worker = Worker::start(&slave, &data);
    until("four mails are in flight", || server.state().holding == 4).await;
    worker.kill();
    server.release();
    let _worker = Worker::start(&slave, &data);
    until("all have ended", || slave.all_ended()).await;
    let accepted = server.accepted();
    assert_eq!(accepted.len(), 20);
    assert!(accepted.values().all(|&n| n == 1));
}
