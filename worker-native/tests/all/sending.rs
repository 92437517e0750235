//! What the mail server does, and what the slave hears of it.

use tempfile::tempdir;
use worker_api::{Outcome, SmtpSettings, Tls};

use crate::{
    slave::{SUBACCOUNT, Slave, Status},
    smtp::{AcceptAndClose, Action, Close, Hang, Hold, Say, Server},
    until,
    worker::{Worker, command},
};

fn kind(outcome: &Outcome) -> &'static str {
    match outcome {
        Outcome::Performed { .. } => "performed",
        Outcome::Failed { .. } => "failed",
        Outcome::Retry { .. } => "retry",
        Outcome::Uncertain { .. } => "uncertain",
        Outcome::Released => "released",
    }
}

#[tokio::test]
async fn many_mails_leave_once_each_over_few_connections() {
    let (slave, server, data) = (
        Slave::start().await,
        Server::start().await,
        tempdir().unwrap(),
    );
    slave.profile_at(1, server.address);
    (1..=200).for_each(|id| slave.request(id, 1));
    let _worker = Worker::start(&slave, &data);
    until("all have ended", || slave.all_ended()).await;
    assert_eq!(
        slave.ended(7),
        Some(Outcome::Performed {
            detail: "250 queued".into()
        })
    );
    let accepted = server.accepted();
    assert_eq!(accepted.len(), 200);
    assert!(accepted.values().all(|&n| n == 1));
    assert!(
        server.state().connections <= 4,
        "{} connections",
        server.state().connections
    );
    let mail = server.state().mails[0].clone();
    assert!(
        mail.contains("List-Unsubscribe: <https://sluice.test/u/1>\r\n"),
        "{mail}"
    );
    assert!(mail.contains("\r\n\r\nHello\r\n..\r\nHello\r\n"), "{mail}");
    let from = server
        .state()
        .commands
        .iter()
        .find(|c| c.starts_with("MAIL"))
        .cloned();
    assert_eq!(from.as_deref(), Some("MAIL FROM:<ann@agency.test>"));
}

#[tokio::test]
async fn each_step_that_goes_wrong_ends_the_request_by_its_meaning() {
    let table: &[(&str, Action, &str, &str)] = &[
        ("greeting", Say("554 go away"), "retry", "554 go away"),
        ("greeting", Say("421 busy"), "retry", "421 busy"),
        (
            "greeting",
            Say("HTTP/1.1 400 Bad Request"),
            "retry",
            "not understood",
        ),
        ("greeting", Close, "retry", "closed the connection"),
        ("greeting", Hang, "retry", "no answer within 2 s"),
        ("ehlo", Say("502 no"), "retry", "502"),
        ("mail", Say("550 who?"), "failed", "550 who?"),
        ("mail", Say("451 greylisted"), "retry", "451 greylisted"),
        (
            "mail",
            Say("530 authenticate first"),
            "retry",
            "wants authentication",
        ),
        (
            "rcpt",
            Say("550 5.1.1 no such user"),
            "failed",
            "550 5.1.1 no such user",
        ),
        ("rcpt", Say("452 full"), "retry", "452 full"),
        ("rcpt", Close, "retry", "lost"),
        ("data", Say("554 no"), "failed", "554 no"),
        ("data", Say("451 no"), "retry", "451 no"),
        ("data", Say("250 what"), "retry", "not understood"),
        ("data", Close, "retry", "lost"),
        ("data", Hang, "retry", "no answer"),
        ("text", Say("552 too big"), "failed", "552 too big"),
        ("text", Say("451 try later"), "retry", "451 try later"),
        ("text", Say("250"), "performed", ""),
        ("text", Say("what?"), "uncertain", "not understood"),
        ("text", Close, "uncertain", "handed over"),
        ("text", AcceptAndClose, "uncertain", "handed over"),
        ("text", Hang, "uncertain", "no answer within 2 s"),
    ];
    let (slave, data) = (Slave::start().await, tempdir().unwrap());
    let mut servers = vec![];
    for (id, (step, action, _, _)) in (1..).zip(table) {
        let server = Server::start().await;
        server.script(step, std::slice::from_ref(action));
        slave.profile_at(id, server.address);
        slave.request(id, id);
        servers.push(server);
    }
    let _worker = Worker::start(&slave, &data);
    for (id, ((step, action, want, words), server)) in (1..).zip(table.iter().zip(&servers)) {
        let outcome = slave.outcome(id).await;
        let case = format!("{step} {action:?}: {outcome:?}");
        assert_eq!(kind(&outcome), *want, "{case}");
        if let Outcome::Failed { error }
        | Outcome::Retry { error, .. }
        | Outcome::Uncertain { error } = &outcome
        {
            assert!(error.contains(words), "{case}");
        }
        if let Action::Say(text) = action
            && text.starts_with("421")
        {
            assert!(
                matches!(
                    outcome,
                    Outcome::Retry {
                        after_ms: Some(60_000..),
                        ..
                    }
                ),
                "{case}"
            );
        }
        assert!(
            server.state().texts <= 1,
            "{case}: the text came {} times",
            server.state().texts
        );
    }
}

#[tokio::test]
async fn a_server_that_is_down_or_unknown_or_private_is_told_apart() {
    let (slave, data) = (Slave::start().await, tempdir().unwrap());
    let gone = tokio::net::TcpListener::bind("127.0.0.1:0")
        .await
        .unwrap()
        .local_addr()
        .unwrap();
    slave.profile_at(1, gone);
    let settings = |host: &str| SmtpSettings {
        host: host.into(),
        port: 25,
        tls: Tls::None,
        username: None,
        password: None,
        from: "ann@agency.test".into(),
    };
    slave.profile(2, settings("no-such-host.invalid"));
    slave.profile(
        3,
        SmtpSettings {
            from: "not a mailbox".into(),
            ..settings("127.0.0.1")
        },
    );
    (1..=3).for_each(|id| slave.request(id, id));
    slave.request(4, 99);
    let _worker = Worker::start(&slave, &data);
    let words = [
        (1, "retry", "could not be reached"),
        (2, "retry", "name was not found"),
        (3, "failed", "sender"),
        (4, "retry", "does not hold its profile"),
    ];
    for (id, want, text) in words {
        let outcome = slave.outcome(id).await;
        assert_eq!(kind(&outcome), want, "{outcome:?}");
        assert!(format!("{outcome:?}").contains(text), "{outcome:?}");
    }
}

#[tokio::test]
async fn private_addresses_are_refused_unless_allowed() {
    let (slave, server, data) = (
        Slave::start().await,
        Server::start().await,
        tempdir().unwrap(),
    );
    for (id, host) in [
        (1, "127.0.0.1"),
        (2, "localhost"),
        (3, "[::1]"),
        (4, "::ffff:127.0.0.1"),
        (5, "169.254.169.254"),
        (6, "2130706433"),
    ] {
        let from = "ann@agency.test".into();
        slave.profile(
            id,
            SmtpSettings {
                host: host.into(),
                port: server.address.port(),
                tls: Tls::None,
                username: None,
                password: None,
                from,
            },
        );
        slave.request(id, id);
    }
    let mut command = command(&slave, data.path());
    command.env("SLUICE_ALLOW_PRIVATE", "0");
    let _worker = Worker::spawn(command);
    for id in 1..=6 {
        let outcome = slave.outcome(id).await;
        assert!(
            matches!(&outcome, Outcome::Failed { error } if error.contains("not on the public internet")),
            "{id}: {outcome:?}"
        );
    }
    assert_eq!(server.state().connections, 0);
}

#[tokio::test]
async fn a_mail_that_cannot_be_made_fails_and_harms_no_other() {
    let (slave, server, data) = (
        Slave::start().await,
        Server::start().await,
        tempdir().unwrap(),
    );
    slave.profile_at(1, server.address);
    slave.request_with(1, 1, |m| m.subject = "a\r\nBcc: victim@example.test".into());
    slave.request_with(2, 1, |m| {
        m.to = "a@b.test>\r\nRCPT TO:<victim@example.test".into()
    });
    slave.request_with(3, 1, |m| m.headers.push(("X".into(), "a\nb".into())));
    slave.request_with(4, 1, |m| m.to = "zoë@example.test".into());
    slave.request(5, 1);
    let _worker = Worker::start(&slave, &data);
    for id in 1..=4 {
        let outcome = slave.outcome(id).await;
        assert_eq!(kind(&outcome), "failed", "{id}: {outcome:?}");
    }
    assert!(format!("{:?}", slave.outcome(4).await).contains("SMTPUTF8"));
    assert_eq!(kind(&slave.outcome(5).await), "performed");
    assert!(!server.state().commands.iter().any(|c| c.contains("victim")));
}

#[tokio::test]
async fn an_idle_connection_that_was_closed_costs_nothing() {
    let (slave, server, data) = (
        Slave::start().await,
        Server::start().await,
        tempdir().unwrap(),
    );
    server.state().mails_a_connection = Some(3);
    slave.profile_at(1, server.address);
    (1..=40).for_each(|id| slave.request(id, 1));
    let _worker = Worker::start(&slave, &data);
    until("all have ended", || slave.all_ended()).await;
    assert!((1..=40).all(|id| kind(&slave.ended(id).unwrap()) == "performed"));
    assert_eq!(server.accepted().len(), 40);
    // And one that says so before it goes.
    server.state().mails_a_connection = None;
    slave.request(41, 1);
    assert_eq!(kind(&slave.outcome(41).await), "performed");
    server.script("mail", &[Say("421 idle too long")]);
    slave.request(42, 1);
    assert_eq!(kind(&slave.outcome(42).await), "performed");
}

#[tokio::test]
async fn a_refused_recipient_leaves_the_connection_good_for_the_next() {
    let (slave, server, data) = (
        Slave::start().await,
        Server::start().await,
        tempdir().unwrap(),
    );
    server.script(
        "rcpt",
        &[
            Say("550 no"),
            Say("550 no"),
            Say("550 no"),
            Say("550 no"),
            Say("550 no"),
        ],
    );
    slave.profile_at(1, server.address);
    (1..=20).for_each(|id| slave.request(id, 1));
    let _worker = Worker::start(&slave, &data);
    until("all have ended", || slave.all_ended()).await;
    assert_eq!(server.accepted().len(), 15);
    assert!(server.state().connections <= 4);
}

#[tokio::test]
async fn nothing_leaves_when_the_slave_refuses_or_cannot_record_the_begin() {
    let (slave, server, data) = (
        Slave::start().await,
        Server::start().await,
        tempdir().unwrap(),
    );
    slave.state().refuse_begins = true;
    slave.profile_at(1, server.address);
    slave.request(1, 1);
    let mut worker = Worker::start(&slave, &data);
    until("the begin was refused", || {
        slave.state().calls.get("begin").is_some_and(|&n| n >= 1)
    })
    .await;
    until("the connection is gone", || server.state().open == 0).await;
    assert_eq!(server.state().texts, 0);
    assert!(matches!(
        slave.state().requests[&1].status,
        Status::Leased(_)
    ));
    // The journal holds nothing of it.
    worker.kill();
    slave.state().refuse_begins = false;
    slave.state().requests.get_mut(&1).unwrap().status = Status::Pending;
    let _worker = Worker::start(&slave, &data);
    assert_eq!(kind(&slave.outcome(1).await), "performed");
    assert_eq!(server.accepted().values().sum::<usize>(), 1);
}

#[tokio::test]
async fn a_slave_that_is_away_in_the_middle_gets_the_request_back() {
    let (slave, server, data) = (
        Slave::start().await,
        Server::start().await,
        tempdir().unwrap(),
    );
    server.script("data", &[Hold]);
    slave.profile_at(1, server.address);
    slave.request(1, 1);
    let _worker = Worker::start(&slave, &data);
    until("the server has the envelope", || {
        server.state().holding == 1
    })
    .await;
    slave.state().broken = Some(http::StatusCode::SERVICE_UNAVAILABLE);
    server.release();
    // The worker gives the slave ten seconds, then lets go of the mail server.
    until("the worker has let go", || server.state().open == 0).await;
    assert_eq!(server.state().texts, 0);
    slave.state().broken = None;
    assert_eq!(kind(&slave.outcome(1).await), "performed");
    assert_eq!(slave.state().requests[&1].attempt, 2);
    assert_eq!(server.accepted().values().sum::<usize>(), 1);
}

#[tokio::test]
async fn leases_are_renewed_while_the_server_is_slow() {
    let (slave, server, data) = (
        Slave::start().await,
        Server::start().await,
        tempdir().unwrap(),
    );
    slave.state().lease_ms = 1000;
    server.script("rcpt", &[Hold]);
    slave.profile_at(1, server.address);
    slave.request(1, 1);
    let mut command = command(&slave, data.path());
    command.env("SLUICE_SMTP_TIMEOUT_S", "30");
    let _worker = Worker::spawn(command);
    until("the lease was renewed three times", || {
        slave.state().requests[&1].renewals >= 3
    })
    .await;
    server.release();
    assert_eq!(kind(&slave.outcome(1).await), "performed");
    assert_eq!(slave.state().requests[&1].attempt, 1);
}

#[tokio::test]
async fn a_dead_server_is_not_tried_for_every_mail_in_hand() {
    let (slave, server, data) = (
        Slave::start().await,
        Server::start().await,
        tempdir().unwrap(),
    );
    server.script("greeting", &vec![Say("554 closed for repair"); 1000]);
    slave.profile_at(1, server.address);
    (1..=32).for_each(|id| slave.request(id, 1));
    let _worker = Worker::start(&slave, &data);
    until("all have ended", || slave.all_ended()).await;
    assert!((1..=32).all(|id| kind(&slave.ended(id).unwrap()) == "retry"));
    assert!(
        server.state().connections <= 8,
        "{} connections",
        server.state().connections
    );
}

#[tokio::test]
async fn credentials_are_used_and_a_refusal_is_the_profiles_matter() {
    let (slave, server, data) = (
        Slave::start().await,
        Server::start().await,
        tempdir().unwrap(),
    );
    server.state().offers = vec!["AUTH LOGIN PLAIN".into()];
    let settings = SmtpSettings {
        host: "127.0.0.1".into(),
        port: server.address.port(),
        tls: Tls::None,
        username: Some("ann".into()),
        password: Some("pässword".into()),
        from: "ann@agency.test".into(),
    };
    slave.profile(1, settings.clone());
    slave.request(1, 1);
    let _worker = Worker::start(&slave, &data);
    assert_eq!(kind(&slave.outcome(1).await), "performed");
    assert!(
        server
            .state()
            .commands
            .contains(&"AUTH PLAIN AGFubgBww6Rzc3dvcmQ=".to_owned())
    );
    // New settings take effect without a restart.
    server.script("auth", &[Say("535 wrong")]);
    {
        let mut state = slave.state();
        state.profiles.clear();
        state.tag += 1;
    }
    slave.profile(
        2,
        SmtpSettings {
            password: Some("x".into()),
            ..settings
        },
    );
    slave.request(2, 2);
    let outcome = slave.outcome(2).await;
    assert!(
        matches!(&outcome, Outcome::Retry { error, .. } if error.contains("authentication was refused: 535 wrong")),
        "{outcome:?}"
    );
    assert_eq!(slave.state().profiles[0].subaccount, SUBACCOUNT);
}

#[tokio::test]
async fn servers_that_hang_do_not_hold_up_the_others() {
    for ignores_busy in [false, true] {
        let (slave, data) = (Slave::start().await, tempdir().unwrap());
        slave.state().ignores_busy = ignores_busy;
        let (stuck, server) = (Server::start().await, Server::start().await);
        stuck.script("text", &vec![Hang; 1000]);
        // More mails for stuck servers than fit in hand, and they come first.
        for id in 1..=10 {
            slave.profile_at(id, stuck.address);
        }
        slave.profile_at(11, server.address);
        (1..=120).for_each(|id| slave.request(id, 1 + id % 10));
        (401..=500).for_each(|id| slave.request(id, 11));
        let mut command = command(&slave, data.path());
        command.env("SLUICE_SMTP_END_TIMEOUT_S", "600");
        let _worker = Worker::spawn(command);
        until("the good server has its mails", || {
            server.accepted().len() == 100
        })
        .await;
        assert_eq!(stuck.state().texts, 40);
    }
}

#[tokio::test]
async fn a_sub_account_that_cannot_be_looked_into_holds_up_no_other() {
    let (slave, server, data) = (
        Slave::start().await,
        Server::start().await,
        tempdir().unwrap(),
    );
    slave.profile_at(1, server.address);
    slave.profile_at(2, server.address);
    slave.request(0, 1);
    let _worker = Worker::start(&slave, &data);
    until("the profile is known", || slave.all_ended()).await;
    {
        let mut state = slave.state();
        state.partial = true;
        state.tag += 1;
        state.unavailable = (1..=5).collect();
    }
    // The slave's next answer about profiles names none.
    tokio::time::sleep(std::time::Duration::from_millis(2500)).await;
    (1..=5).for_each(|id| slave.request(id, 2));
    (6..=20).for_each(|id| slave.request(id, 1));
    until("the others have ended", || {
        (6..=20).all(|id| slave.ended(id).is_some())
    })
    .await;
    assert!((1..=5).all(|id| slave.ended(id).is_none()));
    slave.state().unavailable.clear();
    until("all have ended", || slave.all_ended()).await;
    assert!(
        (1..=20).all(|id| matches!(slave.ended(id), Some(Outcome::Performed { .. }))),
        "asked again"
    );
    assert!(server.accepted().values().all(|&n| n == 1));
}
