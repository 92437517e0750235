//! Sample data for the pages about people.

use super::super::pages::audit::{AuditLog, EntryRow};
use super::super::pages::confirmation::{Confirm, ConfirmFirst};
use super::super::pages::invite::Accept;
use super::super::pages::password::{Done, Forgot, Reset};
use super::super::pages::second_factor::{Codes, Setup};
use super::super::pages::session::CodeForm;
use super::super::pages::team::{Check, GrantRow, InviteRow, Person, PersonRow, Team};
use super::super::pages::you::{SessionRow, You};
use super::super::pages::{Choice, Field, Page, Pager, Pair};
use super::super::totp;
use super::{DAY, HOUR, MINUTE, NOW, account, s};

/// (file name, HTML) of each.
pub fn all() -> Vec<(&'static str, String)> {
    let mut pages = front();
    pages.extend(you());
    pages.extend(team());
    pages.push(("audit-log", audit()));
    pages
}

fn front() -> Vec<(&'static str, String)> {
    let page = || Page::front(NOW);
    let email = || s("mira@northlight.example");
    let forgot = Forgot {
        page: page(),
        error: None,
        email: Field::default(),
        sent: None,
    };
    let sent = Forgot {
        page: page(),
        error: None,
        email: Field::default(),
        sent: Some(email()),
    };
    let reset = Reset {
        page: page(),
        error: None,
        ends_keys: true,
        token: s("x"),
        password_error: Some(s("Must have 8 to 256 characters.")),
    };
    let done = Done {
        page: page(),
        title: s("This link does not work any more"),
        text: s("It was used, it is older than 30 minutes, or a newer one was sent."),
        href: s("/forgot"),
        label: s("Send another one"),
    };
    let confirm = Confirm {
        page: page(),
        error: None,
        token: s("x"),
    };
    let first = ConfirmFirst {
        page: page(),
        error: None,
        email: email(),
        sent: true,
    };
    let accept = Accept {
        page: page(),
        error: None,
        token: s("x"),
        account: s("Northlight"),
        invited_by: s("theo@northlight.example"),
        role: s("client"),
        email: s("ana@harbour.example"),
        password_error: None,
    };
    let code = CodeForm {
        page: page(),
        error: None,
        ticket: s("x"),
        code_error: Some(s("Is not a current code, or it was used already.")),
        next: String::new(),
    };
    vec![
        ("forgot", forgot.render()),
        ("forgot-sent", sent.render()),
        ("reset", reset.render()),
        ("reset-spent", done.render()),
        ("confirm", confirm.render()),
        ("confirm-first", first.render()),
        ("invite", accept.render()),
        ("login-code", code.render()),
    ]
}

fn session(browser: &str, current: bool, age: i64) -> SessionRow {
    SessionRow {
        id: s(browser),
        current,
        browser: s(browser),
        host: if current {
            String::new()
        } else {
            s("leads.harbour.example")
        },
        address: if current {
            s("203.0.113.7")
        } else {
            String::new()
        },
        created_at: NOW - age,
        last_seen_at: NOW - age / 40,
    }
}

fn you() -> Vec<(&'static str, String)> {
    let you = |second_factor: bool| You {
        id: s("you"),
        page: account(),
        error: None,
        email: s("mira@northlight.example"),
        role: s("owner"),
        confirmed: second_factor,
        old_password_error: None,
        new_password_error: None,
        password_code_error: None,
        new_email: Field::default(),
        email_password_error: None,
        email_code_error: None,
        second_factor,
        codes_left: 8,
        factor_password_error: None,
        code_error: second_factor.then(|| s("Is not a current code, or it was used already.")),
        sessions: vec![
            session("Firefox on Linux", true, 2 * HOUR),
            session("Safari on iPhone", false, 9 * DAY),
        ],
    };
    let secret = *b"12345678901234567890";
    let uri = totp::uri(&secret, "mira@northlight.example");
    let setup = Setup {
        page: account(),
        error: None,
        secret: totp::base32(&secret),
        qr: totp::svg(&uri).unwrap_or_default(),
        uri,
        code_error: None,
    };
    let codes = Codes {
        page: account(),
        codes: (0..10)
            .map(|n| format!("k3q{n}-7fmx-2p{n}d-wq5t"))
            .collect(),
    };
    vec![
        ("profile-plain", you(false).render()),
        ("profile-factor", you(true).render()),
        ("second-factor", setup.render()),
        ("recovery-codes", codes.render()),
    ]
}

fn person(email: &str, role: &str, you: bool) -> PersonRow {
    PersonRow {
        id: s(email),
        email: s(email),
        role: s(role),
        you,
        confirmed: role != "client",
        second_factor: you,
        everywhere: matches!(role, "owner" | "admin"),
        places: match role {
            "client" => s("Harbour Robotics (client)"),
            "member" => s("Harbour Robotics (member), Tidewater Foods (member)"),
            _ => String::new(),
        },
        last_seen_at: you.then_some(NOW - 3 * MINUTE),
    }
}

fn team() -> Vec<(&'static str, String)> {
    let check = |name: &str, chosen: bool| Check {
        value: s(name),
        label: s(name),
        chosen,
    };
    let roles = || {
        ["client", "member", "admin", "owner"]
            .map(|r| Choice::new(r, r))
            .to_vec()
    };
    let list = Team {
        page: account(),
        error: None,
        people: vec![
            person("mira@northlight.example", "owner", true),
            person("theo@northlight.example", "member", false),
            person("ana@harbour.example", "client", false),
        ],
        invites: vec![InviteRow {
            id: s("i"),
            email: s("jo@tidewater.example"),
            role: s("client"),
            places: s("Tidewater Foods (client)"),
            invited_by: s("mira@northlight.example"),
            expires_at: NOW + 6 * DAY,
        }],
        email: Field::default(),
        role: s("client"),
        roles: roles(),
        places: vec![
            check("Harbour Robotics", true),
            check("Tidewater Foods", false),
        ],
    };
    let show = Person {
        page: account(),
        error: None,
        person: person("ana@harbour.example", "client", false),
        created_at: NOW - 12 * DAY,
        roles: roles(),
        grants: vec![GrantRow {
            id: s("g"),
            label: s("Harbour Robotics"),
            role: s("client"),
        }],
        places: vec![Choice::new("t", "Tidewater Foods")],
    };
    vec![("team", list.render()), ("person", show.render())]
}

fn audit() -> String {
    let entry = |age: i64, action: &str, subject: &str, changes: Vec<Pair>| EntryRow {
        at: NOW - age,
        action: s(action),
        subject: s(subject),
        who: s("mira@northlight.example"),
        via: s("session q3JZ0t"),
        address: s("203.0.113.7"),
        changes,
    };
    let log = AuditLog {
        page: account(),
        items: vec![
            entry(
                MINUTE,
                "person: role changed",
                "theo@northlight.example",
                vec![Pair::new("role", "client → member")],
            ),
            entry(
                3 * HOUR,
                "api key: created",
                "CRM sync",
                vec![
                    Pair::new("prefix", "slk_p0XvT9"),
                    Pair::new("scopes", "read, write"),
                ],
            ),
            entry(2 * DAY, "session: begun", "mira@northlight.example", vec![]),
        ],
        pager: Pager {
            first: None,
            previous: None,
            next: Some(s("?cursor=c7")),
        },
    };
    log.render()
}
