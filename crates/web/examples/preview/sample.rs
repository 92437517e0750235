//! Plausible data for every page. `lead` is the name of a lead, so that a test can make it hostile.

#[path = "people.rs"]
mod people;

use domain::identity::{Identity, Role};

use super::pages::api_key::{ApiKeyRow, ApiKeys, NewKey};
use super::pages::approval::{Approvals, Draft};
use super::pages::conditions::{Conditions, Row, subjects};
use super::pages::dashboard::{Dashboard, Numbers, ProfileUse, Setup, Wait};
use super::pages::error::ErrorPage;
use super::pages::import::{
    Column, FailedRow, Import, ImportProgress, ImportRow, Imports, Progress, Rows, Sniffed,
};
use super::pages::lead::{Happening, Lead, LeadRow, Leads, TagOrigin, ViewRow};
use super::pages::limits::ProfileLimits;
use super::pages::profile::{NewProfile, ProfileRow, Profiles};
use super::pages::request::{Attempt, Message, Request, RequestRow, Requests};
use super::pages::rule::{
    Counts, Instance, NewRule, Preview, Rule, RuleRow, Rules, Template as RuleTemplate, Variable,
};
use super::pages::session::{Demo, LogIn, SignUp};
use super::pages::subaccount::{SubaccountRow, Subaccounts};
use super::pages::team::Check;
use super::pages::timeline::Timeline;
use super::pages::unsubscribe::{Unsubscribe, Unsubscribed};
use super::pages::{Chart, Choice, Field, Page, Pager, Pair};

const NOW: i64 = 1_795_269_900_000; // 2026-11-21T14:05:00Z
const MINUTE: i64 = 60_000;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;
const MIDNIGHT: i64 = NOW - NOW % DAY;

/// (file name, HTML) of every page.
pub fn all(lead: &str) -> Vec<(&'static str, String)> {
    let mut pages = front();
    pages.extend(master());
    pages.extend(people::all());
    pages.extend(home());
    pages.extend(imports(lead));
    pages.extend(leads(lead));
    pages.extend(profiles());
    pages.extend(limits(lead));
    pages.extend(approvals(lead));
    pages.extend(rules(lead));
    pages.extend(requests(lead));
    pages.extend(timeline());
    pages.extend(others());
    pages
}

/// The fragment that an import's page asks for again and again.
pub fn fragment() -> String {
    ImportProgress {
        progress: importing(),
    }
    .render()
}

fn tenant() -> Page {
    Page {
        writes: true,
        ..Page::tenant(
            "/s/harbour",
            "",
            "Harbour Robotics",
            "mira@northlight.example",
            NOW,
        )
    }
}

fn account() -> Page {
    let who = Identity {
        account_id: s("a"),
        user_id: s("u"),
        email: s("mira@northlight.example"),
        role: Role::Owner,
        grants: Default::default(),
        limits: None,
        session_id: None,
    };
    Page::master(&who, NOW)
}

fn s(text: &str) -> String {
    text.to_owned()
}

fn front() -> Vec<(&'static str, String)> {
    let signup = SignUp {
        page: Page::front(NOW),
        error: None,
        account: Field::default(),
        email: Field::default(),
        password_error: None,
    };
    let refused = SignUp {
        page: Page::front(NOW),
        error: None,
        account: Field::of("Northlight"),
        email: Field::of("mira@northlight")
            .refused("This is not an e-mail address: the part after @ has no dot."),
        password_error: Some(s("Too short: 6 of at least 10 characters.")),
    };
    let login = LogIn {
        page: Page::front(NOW),
        error: Some(s("This e-mail and password do not belong together.")),
        email: Field::of("mira@northlight.example"),
        password_error: None,
        next: s("/subaccounts"),
        demo: None,
    };
    let demo = LogIn {
        page: Page::front(NOW),
        error: None,
        email: Field::default(),
        password_error: None,
        next: String::new(),
        demo: Some(Demo {
            email: s("demo@sluice.example"),
            password: s("gravel goes in"),
        }),
    };
    vec![
        ("signup", signup.render()),
        ("signup-refused", refused.render()),
        ("login", login.render()),
        ("login-demo", demo.render()),
    ]
}

fn master() -> Vec<(&'static str, String)> {
    let row = |id: &str, name: &str, status: &str, reason: Option<&str>, age: i64| SubaccountRow {
        id: s(id),
        name: s(name),
        status: s(status),
        reason: reason.map(s),
        base_url: (status == "active").then(|| format!("http://localhost:8080/s/{id}")),
        created_at: NOW - age,
    };
    let items = vec![
        row(
            "kestrel",
            "Kestrel Legal",
            "allocating",
            Some("creating its database"),
            MINUTE / 2,
        ),
        row(
            "orchard",
            "Orchard & Sons",
            "failed",
            Some("no slave has a free slot: 32 of 32 in use"),
            3 * HOUR,
        ),
        row("harbour", "Harbour Robotics", "active", None, 12 * DAY),
        row("lumen", "Lumen Dental Group", "active", None, 64 * DAY),
    ];
    let list = Subaccounts {
        page: account(),
        items,
        name: Field::default(),
        may_create: true,
    };
    let empty = Subaccounts {
        page: account(),
        items: vec![],
        name: Field::default(),
        may_create: false,
    };
    let key = |name: &str, prefix: &str, used: Option<i64>| ApiKeyRow {
        id: s(prefix),
        name: s(name),
        prefix: s(prefix),
        scopes: s("read, write"),
        places: s("in Harbour Robotics"),
        owner: used
            .map(|_| s("theo@northlight.example"))
            .unwrap_or_default(),
        expires_at: used.map(|at| at + 90 * DAY),
        last_used_at: used,
    };
    let check = |value: &str, label: &str, chosen: bool| Check {
        value: s(value),
        label: s(label),
        chosen,
    };
    let scopes = || {
        vec![
            check("read", "read: look at everything in a sub-account", true),
            check(
                "write",
                "write: change leads, rules, senders and requests",
                false,
            ),
        ]
    };
    let keys = ApiKeys {
        page: account(),
        items: vec![
            key("Website form", "slk_7Qd2mA", None),
            key("CRM sync", "slk_p0XvT9", Some(NOW - 4 * MINUTE)),
        ],
        name: Field::default(),
        expires: String::new(),
        scopes: scopes(),
        scopes_error: None,
        places: vec![
            check("h", "Harbour Robotics", false),
            check("t", "Tidewater Foods", true),
        ],
        error: None,
        created: Some(NewKey {
            name: s("Website form"),
            key: s("slk_7Qd2mAfz0vK1sXcW8nRtYb4LhGjE6uPo"),
        }),
    };
    let no_keys = ApiKeys {
        page: account(),
        items: vec![],
        name: Field::of("").refused("Say what it is for, so that you know which one to revoke."),
        expires: String::new(),
        scopes: scopes(),
        scopes_error: Some(s("Must name at least one.")),
        places: vec![
            check("h", "Harbour Robotics", false),
            check("t", "Tidewater Foods", true),
        ],
        error: None,
        created: None,
    };
    vec![
        ("subaccounts", list.render()),
        ("subaccounts-empty", empty.render()),
        ("api-keys", keys.render()),
        ("api-keys-empty", no_keys.render()),
    ]
}

fn chart(days: i64) -> Chart {
    const SHAPE: [i64; 14] = [
        142, 188, 201, 196, 174, 38, 0, 203, 214, 236, 228, 211, 64, 187,
    ];
    let points = (0..days)
        .map(|i| {
            (
                MIDNIGHT - (days - 1 - i) * DAY,
                SHAPE[usize::try_from(i % 14).unwrap_or(0)],
            )
        })
        .collect();
    Chart {
        label: s("Mails performed"),
        step: s("day"),
        points,
    }
}

fn import_rows() -> Vec<ImportRow> {
    let row = |id, name: &str, tag: &str, status: &str, rows, age| ImportRow {
        id,
        name: s(name),
        tag: s(tag),
        status: s(status),
        rows,
        created_at: NOW - age,
    };
    let rows = |created, updated, unchanged, skipped, failed| Rows {
        total: created + updated + unchanged + skipped + failed,
        created,
        updated,
        unchanged,
        skipped,
        failed,
    };
    vec![
        row(
            9,
            "visitors-hall-4.csv",
            "fair-2026",
            "importing",
            rows(1204, 33, 10, 0, 2),
            MINUTE,
        ),
        row(
            8,
            "Automation fair 2026",
            "fair-2026",
            "done",
            rows(2871, 96, 14, 3, 12),
            2 * DAY,
        ),
        row(6, "report.pdf", "", "failed", rows(0, 0, 0, 0, 0), 3 * DAY),
        row(
            5,
            "Webinar, autumn",
            "warm",
            "done",
            rows(418, 7, 0, 1, 0),
            11 * DAY,
        ),
    ]
}

fn rule_rows() -> Vec<RuleRow> {
    let row = |id, name: &str, trigger: &str, action: &str, active, performed, last| RuleRow {
        id,
        name: s(name),
        trigger: s(trigger),
        action: s(action),
        active,
        performed,
        last_run_at: last,
    };
    vec![
        row(
            1,
            "Fair: first mail",
            "the tag fair-2026 is added",
            "send a mail after 1 day",
            true,
            1846,
            Some(NOW - 2 * MINUTE),
        ),
        row(
            2,
            "Webinar: recording",
            "the tag warm is added",
            "send a mail after 2 hours",
            true,
            418,
            Some(NOW - 11 * DAY),
        ),
        row(
            3,
            "Second nudge",
            "the tag no-reply is added",
            "send a mail after 1 week",
            false,
            0,
            None,
        ),
    ]
}

fn home() -> Vec<(&'static str, String)> {
    let profile = |id, name: &str, state: &str, sent, daily_max| ProfileUse {
        id,
        name: s(name),
        state: s(state),
        sent,
        daily_max,
    };
    let wait = |n, whose: &str, path: &str, reason: &str, until| Wait {
        n,
        whose: s(whose),
        path: s(path),
        reason: s(reason),
        until,
    };
    let full = Dashboard {
        page: tenant().with_notice("The rule “Second nudge” is off."),
        setup: Setup {
            leads: true,
            profile: true,
            rule: true,
        },
        numbers: Numbers {
            leads: 4218,
            performed_today: 187,
            performed_7d: 1143,
            pending: 1025,
            failed: 4,
            uncertain: 1,
        },
        chart: chart(14),
        waits: vec![
            wait(
                612,
                "Mira at Harbour",
                "/profiles",
                "daily maximum reached",
                Some(NOW + 3 * HOUR),
            ),
            wait(
                398,
                "Fair: first mail",
                "/rules/1",
                "waiting out the delay of 1 day",
                None,
            ),
            wait(
                15,
                "Office relay",
                "/profiles",
                "the server refuses connections, tried again later",
                Some(NOW + 4 * MINUTE),
            ),
        ],
        profiles: vec![
            profile(1, "Mira at Harbour", "outreach", 150, Some(150)),
            profile(2, "Jon at Harbour", "outreach", 37, Some(150)),
            profile(3, "Office relay", "idle", 0, Some(500)),
        ],
        imports: import_rows(),
        rules: rule_rows().into_iter().filter(|r| r.active).collect(),
    };
    let first = Dashboard {
        page: tenant(),
        setup: Setup {
            leads: true,
            profile: false,
            rule: false,
        },
        numbers: Numbers {
            leads: 418,
            ..Numbers::default()
        },
        chart: Chart {
            label: s("Mails performed"),
            step: s("day"),
            points: (0..14).map(|i| (MIDNIGHT - (13 - i) * DAY, 0)).collect(),
        },
        waits: vec![],
        profiles: vec![],
        imports: vec![],
        rules: vec![],
    };
    vec![
        ("dashboard", full.render()),
        ("dashboard-first", first.render()),
    ]
}

fn importing() -> Progress {
    Progress {
        base: s("/s/harbour"),
        id: 9,
        status: s("importing"),
        reason: None,
        bytes_read: 9_812_000,
        bytes: 9_812_000,
        file_kept: true,
        rows: Rows {
            total: 96_400,
            created: 52_310,
            updated: 1_204,
            unchanged: 388,
            skipped: 12,
            failed: 41,
        },
    }
}

fn imports(lead: &str) -> Vec<(&'static str, String)> {
    let list = Imports {
        page: tenant(),
        items: import_rows(),
        pager: Pager {
            first: None,
            previous: None,
            next: Some(s("?cursor=5")),
        },
        name: Field::default(),
        tag: Field::default(),
        file_error: None,
        tags: vec![s("fair-2026"), s("warm")],
    };
    let empty = Imports {
        page: tenant(),
        items: vec![],
        pager: Pager::default(),
        name: Field::of("Spring"),
        tag: Field::default(),
        file_error: Some(s(
            "This is a PDF, not a table. Export it as CSV and upload that.",
        )),
        tags: vec![],
    };
    let live = Import {
        page: tenant(),
        name: s("visitors-hall-4.csv"),
        tag: s("fair-2026"),
        file_name: s("visitors-hall-4.csv"),
        bytes: 9_812_000,
        created_at: NOW - MINUTE,
        finished_at: None,
        progress: importing(),
        sniffed: None,
        columns: vec![],
        kept: vec![],
        kept_total: 0,
        failed_rows: vec![],
    };
    let column = |header: &str, field: Option<&str>, note: &str, sample: &str| Column {
        header: s(header),
        field: field.map(s),
        note: s(note),
        sample: s(sample),
    };
    let row = |line, code: &str, reason: &str, text: &str| FailedRow {
        line,
        code: s(code),
        reason: s(reason),
        text: s(text),
    };
    let done = Import {
        page: tenant(),
        name: s("Automation fair 2026"),
        tag: s("fair-2026"),
        file_name: s("fair-visitors-2026.csv"),
        bytes: 312_400,
        created_at: NOW - 2 * DAY,
        finished_at: Some(NOW - 2 * DAY + 4_000),
        progress: Progress {
            id: 8,
            status: s("done"),
            bytes: 312_400,
            bytes_read: 312_400,
            rows: import_rows()[1].rows,
            ..importing()
        },
        sniffed: Some(Sniffed {
            delimiter: s("semicolon"),
            encoding: s("UTF-8 with BOM"),
            header: true,
        }),
        columns: vec![
            column("Name", Some("first_name"), "", lead),
            column("Surname", Some("last_name"), "", "Ruiz"),
            column("E-Mail", Some("email"), "", "ana.ruiz@textil-norte.example"),
            column("Position", Some("job_title"), "", "Head of Automation"),
            column("Firm", Some("company"), "", "Textil Norte"),
            column("Stand visited", None, "custom data", "C14"),
            column("(no name)", None, "empty, ignored", ""),
        ],
        kept: vec![],
        kept_total: 0,
        failed_rows: vec![
            row(
                214,
                "email_invalid",
                "The e-mail has no domain.",
                "Piotr;Nowak;p.nowak@;Plant manager;Stalmet;A02",
            ),
            row(
                871,
                "row_too_wide",
                "The row has 9 cells, the header has 7.",
                "Lena;Brandt;lena@brandt.example;Owner;Brandt; GmbH;Hamburg;B1;",
            ),
            row(
                2960,
                "no_identity",
                "No e-mail, LinkedIn or id: nobody to match.",
                "Sam;;;Intern;Volt & Partners;C14",
            ),
        ],
    };
    let failed = Import {
        page: tenant(),
        name: s("report.pdf"),
        tag: String::new(),
        file_name: s("report.pdf"),
        bytes: 48_211,
        created_at: NOW - 3 * DAY,
        finished_at: Some(NOW - 3 * DAY),
        progress: Progress {
            status: s("failed"),
            reason: Some(s(
                "This is a PDF, not a table. Export it as CSV and upload that. No lead was changed.",
            )),
            rows: Rows::default(),
            ..importing()
        },
        sniffed: None,
        columns: vec![],
        kept: vec![],
        kept_total: 0,
        failed_rows: vec![],
    };
    vec![
        ("imports", list.render()),
        ("imports-empty", empty.render()),
        ("import-live", live.render()),
        ("import-done", done.render()),
        ("import-failed", failed.render()),
    ]
}

fn leads(lead: &str) -> Vec<(&'static str, String)> {
    let row =
        |id, name: &str, email: &str, job: &str, company: &str, country: &str, tags: &[&str]| {
            LeadRow {
                id,
                name: s(name),
                email: s(email),
                job_title: s(job),
                company: s(company),
                country: s(country),
                tags: tags.iter().map(|t| s(t)).collect(),
            }
        };
    let items = vec![
        row(
            4218,
            lead,
            "ana.ruiz@textil-norte.example",
            "Head of Automation",
            "Textil Norte",
            "Spain",
            &["fair-2026", "hot"],
        ),
        row(
            4217,
            "Jonas Lindqvist",
            "jonas@lindqvist-verk.example",
            "Plant Manager",
            "Lindqvist Verkstad",
            "Sweden",
            &["fair-2026"],
        ),
        row(
            4216,
            "Beatrice Okafor",
            "b.okafor@delta-packaging.example",
            "COO",
            "Delta Packaging",
            "Nigeria",
            &["fair-2026", "warm"],
        ),
        row(
            4215,
            "",
            "info@stalmet.example",
            "",
            "Stalmet",
            "Poland",
            &["fair-2026"],
        ),
        row(
            4214,
            "Maximiliane von Hohenstein-Waldburg",
            "maximiliane.von.hohenstein@waldburg-maschinenbau.example",
            "Leiterin Produktionsplanung",
            "Waldburg Maschinenbau",
            "Germany",
            &["warm"],
        ),
        row(
            4213,
            "Tomás Aguirre",
            "tomas@aguirre.example",
            "Owner",
            "Aguirre e Hijos",
            "Argentina",
            &["fair-2026", "unsubscribed"],
        ),
        row(
            4212,
            "Hana Kimura",
            "hana.kimura@seto-precision.example",
            "Procurement Lead",
            "Seto Precision",
            "Japan",
            &[],
        ),
    ];
    let tags = vec![s("fair-2026"), s("hot"), s("no-reply"), s("warm")];
    let list = Leads {
        conditions: Conditions {
            rows: vec![Row {
                on: s("data.plan"),
                op: s("is"),
                value: Field::of("gold").refused("Type a value."),
            }],
            any: true,
            json: Field::of("{\"tag\": \"hot\"}"),
        },
        subjects: subjects(&[s("plan")]),
        sort: s(""),
        or_more: false,
        views: vec![ViewRow {
            id: 1,
            name: s("Hot & not mailed"),
            params: s("tag=hot"),
            shared: true,
        }],
        search: vec![Pair::new("tag", "fair-2026")],
        params: s("tag=fair-2026"),
        error: None,
        page: tenant(),
        q: String::new(),
        tag: s("fair-2026"),
        tags: tags.clone(),
        total: Some(4218),
        items,
        pager: Pager {
            first: Some(s("?before=4219")),
            previous: None,
            next: Some(s("?cursor=4212")),
        },
    };
    let none = Leads {
        conditions: Conditions::default(),
        subjects: subjects(&[s("plan")]),
        sort: s(""),
        or_more: false,
        views: vec![ViewRow {
            id: 1,
            name: s("Hot & not mailed"),
            params: s("tag=hot"),
            shared: true,
        }],
        search: vec![Pair::new("tag", "fair-2026")],
        params: s("tag=fair-2026"),
        error: None,
        page: tenant(),
        q: s("\"quoted\" & <odd>"),
        tag: String::new(),
        tags,
        total: None,
        items: vec![],
        pager: Pager::default(),
    };
    let empty = Leads {
        conditions: Conditions::default(),
        subjects: subjects(&[s("plan")]),
        sort: s(""),
        or_more: false,
        views: vec![ViewRow {
            id: 1,
            name: s("Hot & not mailed"),
            params: s("tag=hot"),
            shared: true,
        }],
        search: vec![Pair::new("tag", "fair-2026")],
        params: s("tag=fair-2026"),
        error: None,
        page: tenant(),
        q: String::new(),
        tag: String::new(),
        tags: vec![],
        total: Some(0),
        items: vec![],
        pager: Pager::default(),
    };
    let event = |age, what: &str, detail: &str, path: Option<&str>| Happening {
        at: NOW - age,
        what: s(what),
        detail: s(detail),
        path: path.map(s),
    };
    let one = Lead {
        page: tenant(),
        id: 4218,
        name: s(lead),
        headline: s("Head of Automation at Textil Norte"),
        suppressed: None,
        fields: vec![
            Pair::new("E-mail", "ana.ruiz@textil-norte.example"),
            Pair::new("Job title", "Head of Automation"),
            Pair::new("Company", "Textil Norte"),
            Pair::new("Phone", "+34 981 555 014"),
            Pair::new("LinkedIn", "linkedin.com/in/ana-ruiz-textil"),
            Pair::new("Country", "Spain"),
        ],
        data: vec![
            Pair::new("Stand visited", "C14"),
            Pair::new("Badge", "Exhibitor"),
        ],
        tags: vec![
            TagOrigin {
                tag: s("fair-2026"),
                origin: s("import Automation fair 2026"),
                path: Some(s("/imports/8")),
                at: NOW - 2 * DAY,
            },
            TagOrigin {
                tag: s("hot"),
                origin: s("mira@northlight.example"),
                path: None,
                at: NOW - 20 * HOUR,
            },
        ],
        requests: request_rows(lead).into_iter().take(2).collect(),
        history: vec![
            event(
                HOUR,
                "Mail performed",
                "“The cell from stand C14”, by Mira at Harbour",
                Some("/requests/1846"),
            ),
            event(
                20 * HOUR,
                "Tag hot added",
                "by mira@northlight.example",
                None,
            ),
            event(
                2 * DAY,
                "Rule took it up",
                "Fair: first mail, due in 1 day",
                Some("/rules/1"),
            ),
            event(
                2 * DAY,
                "Tag fair-2026 added",
                "by import Automation fair 2026",
                Some("/imports/8"),
            ),
            event(
                2 * DAY,
                "Lead created",
                "by import Automation fair 2026, line 118",
                Some("/imports/8"),
            ),
        ],
    };
    let bare = Lead {
        page: tenant(),
        id: 4218,
        name: s("info@stalmet.example"),
        headline: String::new(),
        suppressed: Some(s("unsubscribed on 3 Nov through the link of a mail")),
        fields: vec![],
        data: vec![],
        tags: vec![],
        requests: vec![],
        history: vec![],
    };
    vec![
        ("leads", list.render()),
        ("leads-none", none.render()),
        ("leads-empty", empty.render()),
        ("lead", one.render()),
        ("lead-bare", bare.render()),
    ]
}

fn limits(name: &str) -> Vec<(&'static str, String)> {
    let day = |short, long, hours: &str| (short, long, Field::of(hours));
    let page = ProfileLimits {
        page: tenant(),
        id: 1,
        name: s(name),
        wait: Some((
            s("The profile pauses between two mails."),
            Some(NOW + MINUTE),
        )),
        error: None,
        daily_max: Field::of("150"),
        daily_aborted_max: Field::of("10"),
        interval_s: Field::of("45"),
        jitter_s: Field::of("20"),
        domain_gap_s: Field::of("x").refused("Must be a number of seconds."),
        ramp_start: Field::of("20"),
        ramp_step: Field::of("5"),
        ramp_since: Some(NOW - 3 * 24 * HOUR),
        time_zone: Field::of("Europe/Madrid"),
        zones: vec![s("Europe/Madrid"), s("UTC")],
        windows_in: s("lead"),
        order: s("newest"),
        approval: true,
        days: vec![
            day("mon", "Monday", "09:00-12:00, 13:00-17:00"),
            day("sat", "Saturday", ""),
        ],
    };
    vec![("profile-limits", page.render())]
}

fn approvals(lead: &str) -> Vec<(&'static str, String)> {
    let draft = |id, error: Option<&str>| Draft {
        id,
        lead_id: Some(7),
        lead: s(lead),
        rule: s("Greet"),
        subject: s("Hello"),
        body: s("How do you do?"),
        error: error.map(s),
    };
    let list = Approvals {
        page: tenant(),
        n: 2,
        up_to: 9,
        rule_id: s("1"),
        rules: vec![Choice::new("1", "Greet")],
        items: vec![
            draft(9, None),
            draft(8, Some("The lead or the text is gone.")),
        ],
        pager: Pager::default(),
    };
    let empty = Approvals {
        page: tenant(),
        n: 0,
        up_to: 0,
        rule_id: String::new(),
        rules: vec![],
        items: vec![],
        pager: Pager::default(),
    };
    vec![
        ("approvals", list.render()),
        ("approvals-empty", empty.render()),
    ]
}

fn profiles() -> Vec<(&'static str, String)> {
    let row =
        |id, name: &str, address: &str, from: &str, tls: &str, state: &str, sent| ProfileRow {
            id,
            name: s(name),
            kind: s("smtp"),
            address: s(address),
            from: s(from),
            tls: s(tls),
            state: s(state),
            active: true,
            trouble: None,
            locked: false,
            daily_max: Some(150),
            interval_ms: Some(45_000),
            sent,
            wait: None,
        };
    let mut relay = row(
        3,
        "Office relay",
        "localhost:2525",
        "office@harbour-robotics.example",
        "none",
        "idle",
        0,
    );
    relay.trouble = Some(s("connection refused, 4 times since 13:20"));
    relay.daily_max = None;
    relay.interval_ms = None;
    let mut old = row(
        4,
        "Old newsletter",
        "mail.harbour.example:465",
        "news@harbour.example",
        "tls",
        "idle",
        0,
    );
    old.active = false;
    let items = vec![
        row(
            1,
            "Mira at Harbour",
            "smtp.harbour-robotics.example:587",
            "mira@harbour-robotics.example",
            "starttls",
            "outreach",
            150,
        ),
        row(
            2,
            "Jon at Harbour",
            "smtp.harbour-robotics.example:587",
            "jon@harbour-robotics.example",
            "starttls",
            "online",
            37,
        ),
        relay,
        old,
    ];
    let list = Profiles {
        page: tenant(),
        items,
    };
    let empty = Profiles {
        page: tenant(),
        items: vec![],
    };
    let blank = NewProfile::blank(tenant());
    let refused = NewProfile {
        name: Field::of("Jon at Harbour"),
        host: Field::of("smtp.harbour robotics").refused("A host name has no spaces."),
        port: Field::of("70000").refused("Between 1 and 65535."),
        from: Field::of("Jon <jon@harbour-robotics.example>"),
        password_error: Some(s("Type it again: passwords are not kept.")),
        ..NewProfile::blank(tenant())
    };
    vec![
        ("profiles", list.render()),
        ("profiles-empty", empty.render()),
        ("profile-new", blank.render()),
        ("profile-refused", refused.render()),
    ]
}

const BODY: &str = "Hello {{first_name | default(\"there\")}},

thank you for stopping at our stand. You asked how the small cell copes with mixed batches; \
here is a two-minute film of it doing just that, at a plant about the size of {{company}}.

Shall I bring one over for an afternoon?

Mira
Harbour Robotics";

fn template(subject: &str, body: &str) -> RuleTemplate {
    RuleTemplate {
        subject: s(subject),
        body: s(body),
        markup: None,
    }
}

fn rules(lead: &str) -> Vec<(&'static str, String)> {
    let list = Rules {
        page: tenant(),
        items: rule_rows(),
    };
    let empty = Rules {
        page: tenant(),
        items: vec![],
    };
    let variables: Vec<Variable> = [
        ("first_name", "Ana"),
        ("last_name", "Ruiz"),
        ("email", "ana.ruiz@textil-norte.example"),
        ("job_title", "Head of Automation"),
        ("company", "Textil Norte"),
        ("country", "Spain"),
        ("data.stand_visited", "C14"),
    ]
    .map(|(name, example)| Variable {
        name: s(name),
        example: s(example),
    })
    .into();
    let tags = vec![s("fair-2026"), s("warm")];
    let blank = NewRule::blank(tenant(), tags.clone(), variables.clone());
    let refused = NewRule {
        name: Field::of("Fair: first mail"),
        tag: Field::of("fair-2026"),
        subject: Field::of("The cell from stand {{data.stand_visited}}"),
        body: Field::of(BODY.replace("first_name", "firstname"))
            .refused("There is no variable “firstname”. Did you mean “first_name”?"),
        ..NewRule::blank(tenant(), tags, variables)
    };
    let instance = |id, who: &str, status: &str, at, request_id, note: Option<&str>| Instance {
        lead_id: id,
        lead: s(who),
        status: s(status),
        at,
        request_id,
        note: note.map(s),
    };
    let show = Rule {
        page: tenant(),
        id: 1,
        name: s("Fair: first mail"),
        trigger: s("the tag fair-2026 is added"),
        action: s("send a mail"),
        delay_s: 86_400,
        active: true,
        stopped: None,
        letter: Some(template("The cell from stand {{data.stand_visited}}", BODY)),
        dry_run: None,
        counts: Counts {
            waiting: 398,
            running: 627,
            performed: 1846,
            failed: 4,
            aborted: 11,
            uncertain: 1,
        },
        instances: vec![
            instance(
                4217,
                "Jonas Lindqvist",
                "waiting",
                NOW + 5 * HOUR,
                None,
                None,
            ),
            instance(
                4216,
                "Beatrice Okafor",
                "pending",
                NOW - HOUR,
                Some(1851),
                Some("daily maximum reached"),
            ),
            instance(4218, lead, "performed", NOW - HOUR, Some(1846), None),
            instance(
                4213,
                "Tomás Aguirre",
                "aborted",
                NOW - 3 * HOUR,
                None,
                Some("unsubscribed meanwhile"),
            ),
        ],
        pager: Pager {
            first: None,
            previous: None,
            next: Some(s("?cursor=4213")),
        },
        preview: Some(Preview {
            lead_id: 4218,
            lead: s(lead),
            subject: s("The cell from stand C14"),
            body: BODY
                .replace("{{first_name | default(\"there\")}}", "Ana")
                .replace("{{company}}", "Textil Norte"),
            html: None,
            missing: vec![],
            error: None,
        }),
    };
    let stopped = Rule {
        page: tenant(),
        id: 3,
        name: s("Second nudge"),
        trigger: s("the tag no-reply is added"),
        action: s("send a mail"),
        delay_s: 0,
        active: false,
        stopped: Some(s("What this rule does set it off again and again.")),
        letter: Some(template("Still there, {{first_name}}?", "Hello")),
        dry_run: None,
        counts: Counts::default(),
        instances: vec![],
        pager: Pager::default(),
        preview: Some(Preview {
            lead_id: 4215,
            lead: s("info@stalmet.example"),
            subject: String::new(),
            body: String::new(),
            html: None,
            missing: vec![],
            error: Some(s("first_name is empty for this lead and has no fallback.")),
        }),
    };
    vec![
        ("rules", list.render()),
        ("rules-empty", empty.render()),
        ("rule-new", blank.render()),
        ("rule-refused", refused.render()),
        ("rule", show.render()),
        ("rule-stopped", stopped.render()),
    ]
}

fn request_rows(lead: &str) -> Vec<RequestRow> {
    let row =
        |id, status: &str, who: &str, profile: &str, attempts, note: Option<&str>| RequestRow {
            id,
            kind: s("outreach"),
            status: s(status),
            lead_id: Some(id + 2372),
            lead: s(who),
            profile: s(profile),
            attempts,
            due_at: Some(NOW + (id - 1849) * 40 * MINUTE),
            ended_at: (status == "performed").then_some(NOW - HOUR),
            note: note.map(s),
            wait_until: None,
        };
    vec![
        row(1846, "performed", lead, "Mira at Harbour", 1, None),
        row(
            1852,
            "pending",
            "Hana Kimura",
            "",
            0,
            Some("held: daily maximum reached until 17:05"),
        ),
        row(
            1851,
            "running",
            "Beatrice Okafor",
            "Jon at Harbour",
            1,
            None,
        ),
        row(
            1845,
            "failed",
            "p.nowak@stalmet.example",
            "Jon at Harbour",
            3,
            Some("550 5.1.1 No such user here"),
        ),
        row(
            1844,
            "uncertain",
            "Jonas Lindqvist",
            "Office relay",
            1,
            Some("the connection broke after the mail was handed over; not sent again"),
        ),
        row(
            1843,
            "aborted",
            "Tomás Aguirre",
            "",
            0,
            Some("unsubscribed meanwhile"),
        ),
        row(
            1842,
            "canceled",
            "info@stalmet.example",
            "",
            0,
            Some("by mira@northlight.example"),
        ),
    ]
}

fn requests(lead: &str) -> Vec<(&'static str, String)> {
    let list = Requests {
        page: tenant(),
        status: String::new(),
        kind: s("outreach"),
        awaiting: 12,
        items: request_rows(lead),
        pager: Pager {
            first: None,
            previous: None,
            next: Some(s("?kind=outreach&cursor=1842")),
        },
    };
    let empty = Requests {
        page: tenant(),
        status: String::new(),
        kind: String::new(),
        awaiting: 0,
        items: vec![],
        pager: Pager::default(),
    };
    let message = Message {
        sent: true,
        from: s("Mira Holm <mira@harbour-robotics.example>"),
        to: format!("{lead} <ana.ruiz@textil-norte.example>"),
        subject: s("The cell from stand C14"),
        body: BODY
            .replace("{{first_name | default(\"there\")}}", "Ana")
            .replace("{{company}}", "Textil Norte"),
        html: None,
        headers: vec![
            Pair::new(
                "Message-ID",
                "<1846.harbour.5f0c2a@harbour-robotics.example>",
            ),
            Pair::new("Date", "Sat, 21 Nov 2026 13:05:00 +0000"),
            Pair::new(
                "List-Unsubscribe",
                "<http://localhost:8080/s/harbour/u/8Jx2k>",
            ),
            Pair::new("List-Unsubscribe-Post", "List-Unsubscribe=One-Click"),
        ],
    };
    let attempt = Attempt {
        n: 2,
        began_at: Some(NOW - HOUR + 400),
        ended_at: Some(NOW - HOUR + 1_200),
        outcome: s("performed"),
        detail: Some(s("250 2.0.0 Ok: queued as 4TzX1k")),
    };
    let done = Request {
        page: tenant(),
        request: request_rows(lead).remove(0),
        rule: Some((s("Fair: first mail"), s("/rules/1"))),
        awaits_approval: false,
        cancelable: false,
        message: Some(message),
        attempts: vec![attempt],
    };
    let waiting = Request {
        page: tenant(),
        request: request_rows(lead).remove(1),
        rule: None,
        awaits_approval: true,
        cancelable: true,
        message: None,
        attempts: vec![],
    };
    vec![
        ("requests", list.render()),
        ("requests-empty", empty.render()),
        ("request", done.render()),
        ("request-waiting", waiting.render()),
    ]
}

fn timeline() -> Vec<(&'static str, String)> {
    let metrics = vec![
        Choice::new("outreach_performed", "Mails performed"),
        Choice::new("outreach_failed", "Mails failed"),
        Choice::new("lead_created", "Leads created"),
        Choice::new("unsubscribed", "Unsubscribes"),
    ];
    let full = Timeline {
        page: tenant(),
        metric: s("outreach_performed"),
        metrics: metrics.clone(),
        from: Field::of("2026-10-25"),
        to: Field::of("2026-11-21"),
        step: s("day"),
        chart: chart(28),
    };
    let hours = Timeline {
        page: tenant(),
        metric: s("outreach_performed"),
        metrics: metrics.clone(),
        from: Field::of("2026-11-20"),
        to: Field::of("2026-11-21"),
        step: s("hour"),
        chart: Chart {
            label: s("Mails performed"),
            step: s("hour"),
            points: (0..48)
                .map(|i| (MIDNIGHT - DAY + i * HOUR, (i * 7) % 23))
                .collect(),
        },
    };
    let empty = Timeline {
        page: tenant(),
        metric: s("unsubscribed"),
        metrics,
        from: Field::of("2026-11-21"),
        to: Field::of("2026-11-01").refused("Not before the first day."),
        step: s("day"),
        chart: Chart {
            label: s("Unsubscribes"),
            step: s("day"),
            points: vec![],
        },
    };
    vec![
        ("timeline", full.render()),
        ("timeline-hours", hours.render()),
        ("timeline-empty", empty.render()),
    ]
}

fn others() -> Vec<(&'static str, String)> {
    let neutral = || Page::neutral("/s/harbour", "Harbour Robotics", NOW);
    let leave = Unsubscribe {
        page: neutral(),
        sender: s("Harbour Robotics"),
        address: s("ana.ruiz@textil-norte.example"),
        action: s("/s/harbour/u/8Jx2k"),
    };
    let left = Unsubscribed {
        page: neutral(),
        sender: s("Harbour Robotics"),
        address: s("ana.ruiz@textil-norte.example"),
    };
    let mut broken = ErrorPage::new(tenant(), 500);
    broken.reference = Some(s("01939f3e-7c1a"));
    vec![
        ("unsubscribe", leave.render()),
        ("unsubscribed", left.render()),
        ("error-400", ErrorPage::new(account(), 400).render()),
        ("error-403", ErrorPage::new(account(), 403).render()),
        ("error-404", ErrorPage::new(tenant(), 404).render()),
        ("error-404-neutral", ErrorPage::new(neutral(), 404).render()),
        (
            "error-404-front",
            ErrorPage::new(Page::front(NOW), 404).render(),
        ),
        ("error-413", ErrorPage::new(tenant(), 413).render()),
        ("error-422", ErrorPage::new(tenant(), 422).render()),
        ("error-500", broken.render()),
        ("error-503", ErrorPage::new(tenant(), 503).render()),
    ]
}
