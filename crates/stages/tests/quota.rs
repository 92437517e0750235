//! Limits of profiles as `plan` and `claim` keep them, on a virtual clock.

use domain::brand::Brand;
use domain::quota::{DAY, Limits, Order};
use domain::window::{is_open, zone};
use stages::claim::{Claim, claim};
use stages::plan::Plan;
use stages::run::Stage;
use store::{Db, Value, params, profile, request};
use testkit::postgres::Kind;
use testkit::{new, on_both};

/// A Friday in March, two days before clocks are put forward in Europe.
const START: i64 = 1_774_569_600_000;
const LEASE: i64 = 60_000;
const NONE: [i64; 0] = [];

fn limits(json: &str) -> Limits {
    let limits: Limits = serde_json::from_str(json).expect("limits");
    assert_eq!(limits.check(), Ok(()));
    limits
}

fn add_profile(db: &dyn Db, limits: &Limits) -> i64 {
    let settings = r#"{"from":"ann@a.test"}"#;
    profile::insert(db, "Ann", "smtp", settings, limits, None, START).expect("a profile")
}

fn prepare(db: &dyn Db) {
    let text = "insert into content (outreach_type, subject, body, created_at) values ('email', 'Hi', 'Hi', 0)";
    db.execute(text, &[]).expect("a text");
}

fn add_lead(db: &dyn Db, id: i64, domain: &str, zone: Option<&str>) {
    let data = zone.map_or("{}".to_owned(), |zone| {
        format!(r#"{{"time_zone":"{zone}"}}"#)
    });
    let text =
        "insert into lead (id, email, data, created_at, updated_at) values (?1, ?2, ?3, 0, 0)";
    db.execute(text, params![id, format!("lead{id}@{domain}"), data])
        .expect("a lead");
}

fn add_request(db: &dyn Db, id: i64, lead: i64, rule: Option<i64>) {
    let text = "insert into request (id, kind, status, dedupe_key, lead_id, rule_id, content_id, run_at, created_at, updated_at) \
                values (?1, 'outreach', 'pending', 'test:' || ?1, ?2, cast(?3 as bigint), 1, ?4, ?4, ?4)";
    db.execute(text, params![id, lead, rule, START])
        .expect("a request");
}

fn plan(db: &dyn Db, now: i64) {
    while Plan.step(db, now, &mut || Ok(())).expect("a step") {}
}

/// Takes what there is, with the token `t` and the time; returns ids.
fn take(db: &dyn Db, now: i64, max: u32) -> Vec<i64> {
    let token = format!("t{now}");
    let taken = claim(
        db,
        &Claim {
            subaccount: "one",
            base_url: "http://one.test",
            brand: &Brand::default(),
            sign: &|_| "x".to_owned(),
            token: &token,
            now,
            lease_until: now + LEASE,
            max,
            busy: &[],
            worker: "w",
            unassigned: true,
        },
    );
    let tasks = taken.expect("a claim").tasks;
    tasks.iter().map(|t| t.lease.id).collect()
}

/// Takes what there is and begins it at once; returns ids.
fn work(db: &dyn Db, now: i64, max: u32) -> Vec<i64> {
    let token = format!("t{now}");
    let ids = take(db, now, max);
    for id in &ids {
        let begun = request::begin(db, *id, &token, now, now + LEASE).expect("an answer");
        assert!(begun, "request {id} may not begin");
        request::end(db, *id, &token, "performed", None, now, Some(now)).expect("kept");
    }
    ids
}

fn get(db: &dyn Db, id: i64) -> request::Request {
    request::get(db, id).expect("an answer").expect("a request")
}

#[test]
fn what_waits_says_why_and_goes_on_by_itself() {
    on_both(|engine| {
        let db = &*new(engine, Kind::Tenant);
        prepare(db);
        let quotas = r#"{"daily_max": 2, "windows": [{"days": ["sat", "sun", "mon"], "from": "09:00", "to": "17:00"}],
                        "time_zone": "Europe/Madrid"}"#;
        add_profile(db, &limits(quotas));
        for id in 1..=3 {
            add_lead(db, id, "x.test", None);
            add_request(db, id, id, None);
        }
        plan(db, START);
        let saturday = START + 32 * 3_600_000;
        let (reason, until) = get(db, 1).wait(START);
        assert_eq!(until, Some(saturday), "09:00 in Madrid in winter");
        assert!(reason.expect("a reason").contains("sending hours"));
        assert_eq!(work(db, START, 10), NONE);
        assert_eq!(work(db, saturday, 10), [3, 2], "the newest first");
        plan(db, saturday);
        // A day later clocks are an hour ahead: hours begin earlier, and the maximum ends where it did.
        let (reason, until) = get(db, 1).wait(saturday);
        assert_eq!(until, Some(saturday + DAY));
        assert!(reason.expect("a reason").contains("daily maximum of 2"));
        assert_eq!(work(db, saturday + DAY - 1, 10), NONE);
        assert_eq!(work(db, saturday + DAY, 10), [1]);
        assert_eq!(get(db, 1).wait(saturday + DAY), (None, None));
    });
}

#[test]
fn leads_are_met_in_their_own_hours_and_domains_at_their_pace() {
    on_both(|engine| {
        let db = &*new(engine, Kind::Tenant);
        prepare(db);
        let quotas = r#"{"domain_gap_ms": 600000, "windows_in": "lead", "order": "oldest",
                        "windows": [{"days": ["fri"], "from": "08:00", "to": "20:00"}]}"#;
        let id = add_profile(db, &limits(quotas));
        let windows = limits(quotas).windows.expect("windows");
        let zones = ["Asia/Tokyo", "Europe/Madrid", "America/New_York"];
        for n in 0..30 {
            let domain = ["a.test", "b.test"][n as usize % 2];
            add_lead(db, n + 1, domain, Some(zones[n as usize % 3]));
            add_request(db, n + 1, n + 1, Some(n % 4));
        }
        plan(db, START);
        let mut done: Vec<(i64, i64)> = Vec::new();
        for minute in 0..3 * 24 * 60 {
            let now = START + minute * 60_000;
            done.extend(work(db, now, 50).into_iter().map(|id| (id, now)));
        }
        assert_eq!(done.len(), 30, "all on one Friday");
        for (id, at) in &done {
            let zone = zone(zones[(id - 1) as usize % 3]).expect("a zone");
            assert!(is_open(&windows, &zone, *at), "{id} at {at}");
            let others = done.iter().filter(|(other, _)| other % 2 == id % 2);
            let near = others.filter(|(_, other)| (other - at).abs() < 600_000);
            assert_eq!(near.count(), 1, "{id} at {at}");
        }
        // Other limits: what recipients held up is looked at again.
        add_lead(db, 31, "a.test", Some("Asia/Tokyo"));
        add_request(db, 31, 31, None);
        let later = START + 3 * DAY;
        plan(db, later);
        assert_eq!(work(db, later, 50), NONE);
        assert!(get(db, 31).wait(later).1.expect("until") > later);
        profile::set_quotas(db, id, &Limits::default(), later).expect("kept");
        assert_eq!(work(db, later, 50), [31]);
    });
}

#[test]
fn rules_have_their_turn_and_profiles_their_order() {
    on_both(|engine| {
        let db = &*new(engine, Kind::Tenant);
        prepare(db);
        let mut paced = limits(r#"{"interval_ms": 1000, "order": "oldest"}"#);
        let id = add_profile(db, &paced);
        add_lead(db, 1, "x.test", None);
        for n in 1..=20 {
            add_request(db, n, 1, Some(7));
        }
        for n in 21..=22 {
            add_request(db, n, 1, Some(9));
        }
        add_request(db, 23, 1, None);
        plan(db, START);
        let one_by_one: Vec<i64> = (0..7)
            .flat_map(|n| work(db, START + n * 1000, 10))
            .collect();
        assert_eq!(one_by_one, [1, 21, 23, 2, 22, 3, 4]);
        assert_eq!(work(db, START + 6999, 10), NONE, "it pauses");
        paced = Limits {
            order: Order::Newest,
            ..Limits::default()
        };
        profile::set_quotas(db, id, &paced, START + 7000).expect("kept");
        assert_eq!(work(db, START + 7000, 3), [20, 19, 18]);
    });
}

#[test]
fn a_window_that_closes_stops_what_has_not_begun() {
    on_both(|engine| {
        let db = &*new(engine, Kind::Tenant);
        prepare(db);
        let quotas = r#"{"windows": [{"days": ["fri"], "from": "00:00", "to": "17:00"}]}"#;
        let id = add_profile(db, &limits(quotas));
        add_lead(db, 1, "x.test", None);
        add_request(db, 1, 1, None);
        plan(db, START);
        let five = START + 17 * 3_600_000;
        let queues = store::turn::queues(db, id, 0, Order::Newest, five - 1, 9);
        assert_eq!(queues.expect("an answer").0.len(), 1);
        store::turn::lease(db, &[(1, Some(five))], "t", five + LEASE, five - 1).expect("leased");
        assert!(!request::begin(db, 1, "t", five, five + LEASE).expect("an answer"));
        assert!(request::begin(db, 1, "t", five - 1, five + LEASE).expect("an answer"));
        assert!(
            request::begin(db, 1, "t", five, five + LEASE).expect("an answer"),
            "it has begun"
        );
    });
}

/// When each domain was written to: times.
fn writings(db: &dyn Db) -> Vec<i64> {
    let rows = db.query("select last_at from recipient_domain", &[]);
    rows.expect("rows").iter().map(|r| r.int(0)).collect()
}

#[test]
fn a_try_that_never_began_costs_no_pause_for_its_domain() {
    on_both(|engine| {
        let db = &*new(engine, Kind::Tenant);
        prepare(db);
        let quotas = r#"{"domain_gap_ms": 604800000, "interval_ms": 60000, "order": "oldest"}"#;
        let id = add_profile(db, &limits(quotas));
        for n in 1..=2 {
            add_lead(db, n, ["a.test", "b.test"][n as usize - 1], None);
            add_request(db, n, n, None);
        }
        plan(db, START);
        let suppress = "insert into suppression (value, reason, created_at) values ('lead1@a.test', 'bounced', 0)";
        db.execute(suppress, &[]).expect("kept");
        assert_eq!(take(db, START, 9), NONE, "the address is suppressed");
        assert_eq!(writings(db), NONE);
        let pause = |db| {
            profile::get(db, id)
                .expect("an answer")
                .expect("it")
                .next_at
        };
        assert_eq!(pause(db), 0, "nothing was sent");
        assert_eq!(take(db, START, 9), [2]);
        let token = format!("t{START}");
        let renewed = START + 2 * LEASE;
        assert!(request::renew(db, 2, &token, renewed).expect("an answer"));
        assert_eq!(writings(db), [renewed], "it may begin until then");
        plan(db, renewed);
        assert_eq!(writings(db), NONE, "the lease ended");
        assert_eq!(take(db, renewed, 9), [2]);
        let (token, later) = (format!("t{renewed}"), renewed + LEASE);
        assert!(request::give_back(db, 2, &token, None, later, later, 1).expect("kept"));
        assert_eq!(writings(db), NONE, "it was given back");
        assert_eq!(work(db, later, 9), [2]);
        assert!(!request::renew(db, 2, "x", later).expect("an answer"));
        assert_eq!(writings(db), [later]);
    });
}

#[test]
fn what_comes_back_is_approved_first_when_that_was_switched_on_meanwhile() {
    on_both(|engine| {
        let db = &*new(engine, Kind::Tenant);
        prepare(db);
        let id = add_profile(db, &Limits::default());
        add_lead(db, 1, "a.test", None);
        add_request(db, 1, 1, None);
        plan(db, START);
        assert_eq!(take(db, START, 9), [1]);
        profile::set_quotas(db, id, &limits(r#"{"approval": true}"#), START).expect("kept");
        let token = format!("t{START}");
        assert!(request::give_back(db, 1, &token, None, START, START, 1).expect("kept"));
        assert_eq!(take(db, START + 1, 9), NONE);
        assert!(get(db, 1).awaits_approval);
        store::approval::approve(db, 1, START + 2).expect("kept");
        assert_eq!(take(db, START + 2, 9), [1]);
    });
}

#[test]
fn what_waits_for_one_domain_holds_up_no_other() {
    on_both(|engine| {
        let db = &*new(engine, Kind::Tenant);
        prepare(db);
        add_profile(
            db,
            &limits(r#"{"domain_gap_ms": 86400000, "order": "oldest"}"#),
        );
        add_lead(db, 1, "a.test", None);
        add_lead(db, 2, "b.test", None);
        store::transaction(db, || {
            (1..=600).for_each(|n| add_request(db, n, 1, None));
            Ok::<_, store::Error>(())
        })
        .expect("kept");
        plan(db, START);
        assert_eq!(work(db, START, 9), [1]);
        assert_eq!(work(db, START, 9), NONE);
        let tomorrow = START + DAY;
        add_request(db, 601, 2, None);
        plan(db, tomorrow);
        assert_eq!(work(db, tomorrow, 9), [2, 601]);
    });
}

#[test]
fn many_rules_that_wait_hold_up_no_other() {
    on_both(|engine| {
        let db = &*new(engine, Kind::Tenant);
        prepare(db);
        add_profile(db, &limits(r#"{"domain_gap_ms": 86400000}"#));
        add_lead(db, 1, "a.test", None);
        add_lead(db, 2, "b.test", None);
        (1..=55).for_each(|n| add_request(db, n, 1, Some(n)));
        add_request(db, 60, 2, Some(60));
        plan(db, START);
        assert_eq!(work(db, START, 9), [1]);
        assert_eq!(work(db, START, 9), NONE, "of the next 50 rules");
        assert_eq!(work(db, START, 9), [60]);
    });
}

#[test]
fn a_profile_whose_limits_cannot_be_read_does_nothing_and_says_why() {
    on_both(|engine| {
        let db = &*new(engine, Kind::Tenant);
        prepare(db);
        let id = add_profile(db, &Limits::default());
        add_lead(db, 1, "a.test", None);
        add_request(db, 1, 1, None);
        plan(db, START);
        let newer = "update profile set quotas = '{\"hourly_max\": 1}'";
        db.execute(newer, &[]).expect("kept");
        assert_eq!(take(db, START, 9), NONE);
        plan(db, START);
        let (reason, _) = get(db, 1).wait(START);
        assert!(reason.expect("a reason").contains("limits cannot be read"));
        profile::set_quotas(db, id, &Limits::default(), START).expect("kept");
        assert_eq!(take(db, START, 9), [1]);
    });
}

/// The figure that the product promises is two seconds; the test leaves room for slow machines.
#[test]
fn many_requests_are_planned_over_many_profiles_quickly() {
    let db = &*new(store::Engine::Sqlite, Kind::Tenant);
    prepare(db);
    let quotas = r#"{"daily_max": 200, "interval_ms": 30000, "jitter_ms": 9000,
                    "windows": [{"days": ["mon", "fri"], "from": "09:00", "to": "17:00"}], "time_zone": "Europe/Madrid"}"#;
    store::transaction(db, || {
        for _ in 0..500 {
            add_profile(db, &limits(quotas));
        }
        let numbers = "with recursive n (id) as (select 1 union all select id + 1 from n where id < 100000)";
        for insert in [
            "insert into lead (id, email, created_at, updated_at) select id, 'p' || id || '@x.test', 0, 0 from n",
            "insert into request (kind, status, dedupe_key, lead_id, rule_id, content_id, run_at, created_at, updated_at) \
             select 'outreach', 'pending', 'k' || id, id, id % 7, 1, 1, 1, 1 from n",
        ] {
            db.execute(&format!("{numbers} {insert}"), &[] as &[Value])?;
        }
        Ok::<_, store::Error>(())
    })
    .expect("kept");
    let begin = std::time::Instant::now();
    plan(db, START);
    let took = begin.elapsed();
    println!("100,000 requests over 500 profiles were planned in {took:?}");
    let loads = profile::pending(db).expect("loads");
    assert_eq!(
        (loads.len(), loads.iter().map(|(_, n)| n).sum()),
        (500, 100_000)
    );
    assert!(loads.iter().all(|(_, n)| *n == 200));
    assert!(took.as_secs() < 10, "{took:?}");
}
