//! A mail server that is down, refuses, hangs, or wants TLS and a password: each shows on the request.

use std::net::TcpListener;
use std::time::Duration;

use serde_json::{Value, json};
use tests::harness::{
    Agency, Authority, LONG, Options, SOON, Sink, SinkOptions, Sluice, Sub, eventually,
    eventually_true, free_port,
};

/// Three attempts take 5 s and 30 s of pauses.
const PATIENCE: Duration = Duration::from_secs(90);

/// A host whose worker waits two seconds for a mail server instead of minutes.
fn impatient() -> Options {
    Options::default()
        .env("SLUICE_SMTP_TIMEOUT_S", "2")
        .env("SLUICE_SMTP_END_TIMEOUT_S", "2")
}

/// A sub-account with a rule and one sender, and one lead for each local part.
fn mailing(sluice: &Sluice, settings: Value, locals: &[&str]) -> Sub {
    let sub = Agency::sign_up(sluice).subaccount("Acme");
    sub.profile_with(settings);
    sub.rule("hot", "Hello", "Hi");
    let rows: Vec<_> = locals
        .iter()
        .map(|local| format!("{local}@x.test\n"))
        .collect();
    sub.import("tag=hot", format!("email\n{}", rows.concat()));
    sub
}

/// Waits until the request to this local part has this status, after so many attempts, and gives its error.
fn outcome(sub: &Sub, local: &str, status: &str, attempts: u64) -> String {
    let request = eventually(
        &format!("{local} is {status} after {attempts}"),
        PATIENCE,
        || {
            let request = sub.request_to(&format!("{local}@x.test"));
            let over = !matches!(
                request["status"].as_str(),
                None | Some("pending" | "running")
            );
            assert!(
                !over || request["status"] == status,
                "{local} should be {status}: {request}"
            );
            (request["status"] == status && request["attempts"].as_u64() >= Some(attempts))
                .then_some(request)
        },
    );
    request["error"].as_str().unwrap_or_default().to_owned()
}

#[test]
fn every_answer_of_a_server_has_its_meaning() {
    let (sluice, sink) = (impatient().start(), Sink::start());
    let locals = [
        "fine",
        "reject",
        "rejectdata",
        "defer",
        "deferdata",
        "tempfail-once",
        "drop-rcpt",
        "drop-data",
        "drop-stored",
        "stall",
    ];
    let sub = mailing(&sluice, sink.settings(), &locals);

    outcome(&sub, "fine", "performed", 1);
    assert!(outcome(&sub, "reject", "failed", 1).contains("550"));
    assert!(outcome(&sub, "rejectdata", "failed", 1).contains("554"));
    assert!(outcome(&sub, "defer", "pending", 2).contains("451"));
    assert!(outcome(&sub, "deferdata", "pending", 2).contains("451"));
    outcome(&sub, "tempfail-once", "performed", 2);
    // A connection that the server closed between two mails is opened again at once, within the same attempt.
    outcome(&sub, "drop-rcpt", "performed", 1);
    for local in ["drop-data", "drop-stored", "stall"] {
        assert!(
            !outcome(&sub, local, "uncertain", 1).is_empty(),
            "{local} says why"
        );
    }
    assert_eq!(sub.requests("kind=outreach&status=uncertain").len(), 3);

    let mut arrived: Vec<_> = sink.mails().iter().map(|m| m.to().to_owned()).collect();
    arrived.sort();
    let expected = ["drop-rcpt", "drop-stored", "fine", "stall", "tempfail-once"]
        .map(|local| format!("{local}@x.test"));
    assert_eq!(arrived, expected, "each at most once");
}

#[test]
fn a_server_that_is_down_or_mute_is_tried_again() {
    let sluice = impatient().start();
    let mute = TcpListener::bind("127.0.0.1:0").unwrap();
    let server = |port: u16| json!({"host": "127.0.0.1", "port": port, "tls": "none", "from": "ann@agency.test"});
    let down_port = free_port();
    let down = mailing(&sluice, server(down_port), &["down"]);
    let silent = mailing(
        &sluice,
        server(mute.local_addr().unwrap().port()),
        &["mute"],
    );
    let unknown = json!({"host": "no-such-host.invalid", "port": 25, "tls": "none", "from": "ann@agency.test"});
    let unknown = mailing(&sluice, unknown, &["unknown"]);
    for (sub, local) in [(&down, "down"), (&silent, "mute"), (&unknown, "unknown")] {
        let error = outcome(sub, local, "pending", 1);
        eventually_true("a reason", SOON, || {
            !sub.request_to(&format!("{local}@x.test"))["error"]
                .as_str()
                .unwrap_or_default()
                .is_empty()
        });
        println!("{local}: {error}");
    }
}

#[test]
fn tls_and_passwords_work_in_both_ways() {
    let authority = Authority::new();
    let sluice = impatient().env("SLUICE_SMTP_CA", authority.ca()).start();
    for mode in ["starttls", "tls"] {
        let sink = Sink::with(&SinkOptions {
            tls: Some((mode, &authority)),
            auth: Some("ann:secret"),
            delay_ms: 0,
        });
        let mut settings = sink.settings();
        settings["username"] = json!("ann");
        settings["password"] = json!("secret");
        let right = mailing(&sluice, settings.clone(), &["right"]);
        outcome(&right, "right", "performed", 1);
        let mails = sink.mails();
        assert!(
            mails.len() == 1 && mails[0].by_tls() && mails[0].login() == Some("ann"),
            "{mails:?}"
        );

        settings["password"] = json!("wrong");
        let wrong = mailing(&sluice, settings, &["wrong"]);
        let error = reason(&wrong, "wrong");
        assert!(error.contains("535"), "{error}");
        assert!(!error.contains("wrong"), "no password in {error}");
        assert_eq!(sink.mails().len(), 1);
    }
}

#[test]
fn nothing_is_sent_to_a_server_that_cannot_prove_who_it_is() {
    let (trusted, stranger) = (Authority::new(), Authority::new());
    let sluice = impatient().env("SLUICE_SMTP_CA", trusted.ca()).start();
    for mode in ["starttls", "tls"] {
        let sink = Sink::with(&SinkOptions {
            tls: Some((mode, &stranger)),
            ..Default::default()
        });
        let error = reason(&mailing(&sluice, sink.settings(), &["x"]), "x").to_lowercase();
        assert!(
            error.contains("certificate") || error.contains("tls"),
            "{error}"
        );
        assert_eq!(sink.mails().len(), 0);
    }
    // STARTTLS is demanded, not tried: a server without it gets nothing.
    let plain = Sink::start();
    let mut settings = plain.settings();
    settings["tls"] = json!("starttls");
    let error = reason(&mailing(&sluice, settings, &["x"]), "x");
    assert!(error.to_uppercase().contains("STARTTLS"), "{error}");
    assert_eq!(plain.mails().len(), 0);
}

#[test]
fn a_header_cannot_be_smuggled_in_by_a_lead() {
    let (sluice, sink) = (Sluice::start(), Sink::start());
    let sub = Agency::sign_up(&sluice).subaccount("Acme");
    sub.profile(&sink);
    sub.rule(
        "hot",
        "Hello {{ first_name }}",
        "Dear {{ first_name }}\n.\nstill the same mail\n",
    );
    let csv = "email,first_name\nann@x.test,\"A\r\nBcc: eve@x.test\r\n\r\nnew body\"\n";
    sub.import("tag=hot", csv);
    eventually_true("an end", LONG, || {
        let status = sub.request_to("ann@x.test")["status"].clone();
        !matches!(status.as_str(), None | Some("pending" | "running"))
    });
    for mail in sink.mails() {
        assert_eq!(mail.to(), "ann@x.test");
        let head = mail.raw().replace("\r\n", "\n");
        let head = head.split("\n\n").next().unwrap_or_default();
        assert!(
            !head
                .lines()
                .any(|line| line.to_lowercase().starts_with("bcc:")),
            "{head}"
        );
        assert!(
            mail.text().contains("still the same mail"),
            "{}",
            mail.text()
        );
    }
}

/// The error of the only request, as soon as there is one.
fn reason(sub: &Sub, local: &str) -> String {
    eventually(&format!("an error for {local}"), PATIENCE, || {
        let request = sub.request_to(&format!("{local}@x.test"));
        assert_ne!(request["status"], "performed", "{request}");
        request["error"]
            .as_str()
            .filter(|e| !e.is_empty())
            .map(str::to_owned)
    })
}
