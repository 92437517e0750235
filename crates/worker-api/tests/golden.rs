//! Each type of the contract against a file that another version of either side may have written.
//!
//! A change that breaks one of these breaks workers in the field: add optional fields instead.

#![allow(clippy::unwrap_used, reason = "a panic is how a test speaks")]

use std::fmt::Debug;

use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Value, json};
use worker_api::*;

/// The file parses as `T`, equals `value`, and `value` is written as the file has it.
fn golden<T: Serialize + DeserializeOwned + PartialEq + Debug>(file: &str, value: &T) {
    let path = format!("{}/tests/golden/{file}.json", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{path}: {e}"));
    let parsed: T = serde_json::from_str(&text).unwrap_or_else(|e| panic!("{path}: {e}"));
    assert_eq!(&parsed, value, "{path}");
    let file: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(serde_json::to_value(value).unwrap(), file, "{path}");
}

fn lease(id: i64) -> Lease {
    Lease {
        subaccount: "0198a7c0-0000-7000-8000-000000000001".into(),
        id,
        lease_token: format!("token-{id}"),
    }
}

fn profile(id: i64, settings: SmtpSettings, quotas: Quotas) -> Profile {
    let subaccount = lease(id).subaccount;
    Profile {
        subaccount,
        id,
        name: "Ann".into(),
        kind: ProfileKind::Smtp(settings),
        quotas,
    }
}

#[test]
fn register() {
    golden(
        "register",
        &Register {
            name: "host-1a2b3c4d".into(),
            version: "0.1.0".into(),
        },
    );
    golden(
        "registered",
        &Registered {
            lease_ms: 60_000,
            poll_ms: 1000,
            now: 1_700_000_000_000,
        },
    );
}

#[test]
fn profiles() {
    let full = SmtpSettings {
        host: "mail.example.test".into(),
        port: 465,
        tls: Tls::Tls,
        username: Some("ann".into()),
        password: Some("secret".into()),
        from: "Ann Lee <ann@example.test>".into(),
    };
    let bare = SmtpSettings {
        tls: Tls::None,
        username: None,
        password: None,
        from: "ann@example.test".into(),
        port: 25,
        ..full.clone()
    };
    let quotas = Quotas {
        daily_max: Some(200),
        interval_ms: Some(30_000),
    };
    let profiles = vec![
        profile(1, full.clone(), quotas),
        profile(2, bare, Quotas::default()),
    ];
    let partial = false;
    golden("profiles", &Profiles { profiles, partial });
    let nothing = Profiles {
        profiles: vec![],
        partial: true,
    };
    golden("profiles_partial", &nothing);
    assert!(!format!("{full:?}").contains("secret"));
}

#[test]
fn claims() {
    golden(
        "claim",
        &Claim {
            worker: "host-1a2b3c4d".into(),
            max: 16,
            busy: vec![],
        },
    );
    let busy = ProfileKey {
        subaccount: lease(7).subaccount,
        profile_id: 3,
    };
    golden(
        "claim_busy",
        &Claim {
            worker: "host-1a2b3c4d".into(),
            max: 4,
            busy: vec![busy],
        },
    );
    let message = Message {
        message_id: "7.1@example.test".into(),
        date: 1_700_000_000_000,
        to: "lee@example.test".into(),
        to_name: Some("Lee".into()),
        subject: "Hello".into(),
        text: "Hi Lee".into(),
        html: Some("<p>Hi Lee</p>".into()),
        headers: vec![(
            "List-Unsubscribe".into(),
            "<https://example.test/u/1>".into(),
        )],
    };
    let bare = Message {
        to_name: None,
        html: None,
        headers: vec![],
        ..message.clone()
    };
    let task = |id, message| Task {
        lease: lease(id),
        profile_id: 3,
        attempt: 1,
        lease_until: 1_700_000_060_000,
        work: Work::Outreach { message },
    };
    golden(
        "claimed",
        &Claimed {
            requests: vec![task(7, message), task(8, bare)],
        },
    );
}

#[test]
fn leases_and_verdicts() {
    golden(
        "leases",
        &Leases {
            requests: vec![lease(7), lease(8)],
        },
    );
    let verdict = |id, accepted| Verdict {
        subaccount: lease(id).subaccount,
        id,
        accepted,
        lease_until: None,
        reason: None,
    };
    let granted = Verdict {
        lease_until: Some(1_700_000_060_000),
        ..verdict(7, true)
    };
    let refused = Verdict {
        reason: Some("stale_lease".into()),
        ..verdict(8, false)
    };
    golden(
        "verdicts",
        &Verdicts {
            verdicts: vec![granted, refused],
        },
    );
}

#[test]
fn results() {
    let report = |id, outcome| Report {
        lease: lease(id),
        outcome,
        at: 1_700_000_001_000,
    };
    let results = vec![
        report(
            1,
            Outcome::Performed {
                detail: "250 Ok: queued".into(),
            },
        ),
        report(
            2,
            Outcome::Failed {
                error: "550 no such user".into(),
            },
        ),
        report(
            3,
            Outcome::Retry {
                error: "451 later".into(),
                after_ms: Some(60_000),
            },
        ),
        report(
            4,
            Outcome::Retry {
                error: "no route".into(),
                after_ms: None,
            },
        ),
        report(
            5,
            Outcome::Uncertain {
                error: "no answer".into(),
            },
        ),
        report(6, Outcome::Released),
    ];
    golden("results", &Results { results });
}

#[test]
fn a_payload_of_the_first_version_still_parses() {
    let profile: Profile = serde_json::from_value(json!({
        "subaccount": "s", "id": 1, "name": "n", "type": "smtp",
        "settings": { "host": "h", "port": 587, "from": "a@b.test" }
    }))
    .unwrap();
    let ProfileKind::Smtp(settings) = profile.kind;
    assert_eq!(
        (settings.tls, settings.username, profile.quotas),
        (Tls::Starttls, None, Quotas::default())
    );
    let task: Task = serde_json::from_value(json!({
        "subaccount": "s", "id": 1, "lease_token": "t", "profile_id": 1, "attempt": 1, "lease_until": 0, "kind": "outreach",
        "message": { "message_id": "m@x", "date": 0, "to": "a@b.test", "subject": "s", "text": "t" }
    }))
    .unwrap();
    let Work::Outreach { message } = task.work;
    assert!(message.headers.is_empty() && message.html.is_none());
    let report: Report = serde_json::from_value(json!({
        "subaccount": "s", "id": 1, "lease_token": "t", "at": 0, "outcome": "performed"
    }))
    .unwrap();
    assert_eq!(
        report.outcome,
        Outcome::Performed {
            detail: String::new()
        }
    );
}

#[test]
fn fields_of_a_later_version_are_ignored() {
    let verdict: Verdict = serde_json::from_value(
        json!({ "subaccount": "s", "id": 1, "accepted": true, "colour": "blue" }),
    )
    .unwrap();
    assert!(verdict.accepted);
    let task: Task = serde_json::from_value(json!({
        "subaccount": "s", "id": 1, "lease_token": "t", "profile_id": 1, "attempt": 1, "lease_until": 0, "kind": "outreach",
        "priority": 5,
        "message": { "message_id": "m@x", "date": 0, "to": "a@b.test", "subject": "s", "text": "t", "attachments": [] }
    }))
    .unwrap();
    assert_eq!(task.lease.id, 1);
}

#[test]
fn outbox() {
    let message = Message {
        message_id: "0198a7c0@sluice.example".into(),
        date: 1_700_000_000_000,
        to: "ann@agency.example".into(),
        to_name: None,
        subject: "Confirm your e-mail address".into(),
        text: "Here:\n\nhttps://sluice.example/confirm?token=x\n".into(),
        html: None,
        headers: Vec::new(),
    };
    golden("outbox_claim", &OutboxClaim { max: 10 });
    let mail = OutboxMail {
        id: "0198a7c0-0000-7000-8000-000000000009".into(),
        lease_token: "token-9".into(),
        attempt: 1,
        from: "Sluice <no-reply@sluice.example>".into(),
        message,
    };
    golden("outbox_claimed", &OutboxClaimed { mails: vec![mail] });
    let report = |outcome| OutboxReport {
        id: "0198a7c0-0000-7000-8000-000000000009".into(),
        lease_token: "token-9".into(),
        outcome,
    };
    let results = vec![
        report(Outcome::Performed {
            detail: "250 OK".into(),
        }),
        report(Outcome::Retry {
            error: "451 later".into(),
            after_ms: Some(60_000),
        }),
    ];
    golden("outbox_results", &OutboxResults { results });
    let accepted = vec![true, false];
    golden("outbox_verdicts", &OutboxVerdicts { accepted });
}
