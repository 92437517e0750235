//! No tenant with work is forgotten, wherever a stage dies.

use proptest::prelude::*;
use stages::import::Merge;
use stages::ingest::Ingest;
use stages::plan::Plan;
use stages::rule::Rule;
use stages::run::{Stage, Tick, run};
use stages::timeline::Timeline;
use store::{Db, Engine, Open, Place, event, import, rule, tenant, work};
use testkit::{Stores, on_both};

const START: i64 = 1_795_262_400_000;
const LEADS: i64 = 3;

fn number(db: &dyn Db, sql: &str) -> i64 {
    db.query(sql, &[]).expect("an answer")[0].int(0)
}

/// A tenant with a rule and an upload that is to be imported.
fn busy_tenant(stores: &Stores, id: &str, now: i64) {
    let control = tenant::open_control(stores).expect("a slave");
    let kept = tenant::allocate(stores, &*control, id, "a", id, 9, now);
    let tenant = kept.expect("kept").expect("room");
    let db = tenant::open(stores, &*control, &tenant).expect("a tenant");
    db.execute("insert into content (outreach_type, subject, body, created_at) values ('email', 'Hi', 'Hi', 0)", &[])
        .expect("a text");
    rule::insert(
        &*db,
        &rule::Rule {
            id: 0,
            name: "Write".into(),
            active: true,
            trigger: domain::rule::Trigger::TagAdded { tag: "hot".into() },
            filter: None,
            delay_s: 90,
            action: domain::rule::Action::NewOutreach {
                outreach_type: domain::rule::OutreachType::Email,
                subject: "Hi".into(),
                body: "Hi".into(),
                html: None,
                mjml: None,
            },
            content_id: Some(1),
            cursor: event::last_id(&*db).expect("a log"),
            created_at: now,
            approval: false,
            version: 1,
            skip_repliers: false,
            stop_reason: None,
            step: None,
        },
    )
    .expect("a rule");
    db.execute(
        "insert into profile (name, type, settings, created_at, updated_at) values ('Ann', 'smtp', '{}', 0, 0)",
        &[],
    )
    .expect("a profile");
    let mark = |at| work::mark(&*control, id, "ingest", at, at).expect("promised");
    mark(now);
    let import = import::insert(&*db, "people.csv", Some("Hot"), now).expect("kept");
    let rows = (0..LEADS)
        .map(|n| format!("p{n}@x.test\n"))
        .collect::<String>();
    let file = format!("email\n{rows}").into_bytes();
    import::add_chunk(&*db, import, 0, file, now).expect("kept");
    import::end_upload(&*db, import, now).expect("kept");
    mark(now + 1);
}

fn tick(stores: &Stores, now: i64, token: String) {
    let stages: [&dyn Stage; 5] = [&Timeline, &Plan, &Rule, &Merge, &Ingest];
    for stage in stages {
        let clock = || now;
        let token = format!("{token} {}", stage.name());
        let tick = Tick {
            stores,
            clock: &clock,
            token,
        };
        // What fails is tried again.
        let _ = run(stage, &tick);
    }
}

/// SQLite mostly: PostgreSQL takes its time.
fn engine() -> impl Strategy<Value = Engine> {
    prop_oneof![5 => Just(Engine::Sqlite), 1 => Just(Engine::Postgres)]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn all_work_is_done_in_the_end(
        engine in engine(),
        lives in prop::collection::vec((0u64..70, prop_oneof![Just(1i64), Just(1_000), Just(30_000), Just(61_000)]), 0..40),
    ) {
        let stores = Stores::on(engine);
        let mut now = START;
        for id in ["one", "two"] {
            busy_tenant(&stores, id, now);
        }
        for (n, (statements, pause)) in lives.iter().enumerate() {
            stores.die_after(*statements);
            tick(&stores, now, n.to_string());
            stores.revive();
            now += pause;
        }
        for n in 0..40 {
            now += 15_000;
            tick(&stores, now, format!("last {n}"));
        }
        for slot in [1, 2] {
            let db = stores.open(&Place::Slot(slot)).expect("a tenant");
            prop_assert_eq!(number(&*db, "select count(*) from import where status = 'done'"), 1);
            prop_assert_eq!(number(&*db, "select count(*) from lead"), LEADS);
            prop_assert_eq!(number(&*db, "select count(*) from request where profile_id = 1"), LEADS);
            // Made, tagged, and served by the rule.
            prop_assert_eq!(number(&*db, "select count(*) from event"), 3 * LEADS);
            prop_assert_eq!(number(&*db, "select sum(n) from timeline"), 3 * LEADS);
        }
    }
}

#[test]
fn leases_exclude_each_other() {
    on_both(|engine| {
        let stores = Stores::on(engine);
        busy_tenant(&stores, "one", START);
        let control = stores.open(&Place::Control).expect("a slave");
        let lease = |token, now| {
            work::lease(&*control, "ingest", token, now + 60_000, now, 8).expect("an answer")
        };
        let mine = lease("mine", START + 1);
        assert_eq!(mine.len(), 1);
        assert_eq!(lease("yours", START + 2), []);
        assert_eq!(
            lease("yours", START + 60_001).len(),
            1,
            "the first one died"
        );
        // Whoever comes back late ends nothing.
        work::release(&*control, &mine[0], "ingest", "mine", None, START + 130_000)
            .expect("an answer");
        assert_eq!(lease("third", START + 60_002), []);
    });
}

#[test]
fn a_promise_in_the_same_millisecond_is_not_lost() {
    on_both(|engine| {
        let stores = Stores::on(engine);
        busy_tenant(&stores, "one", START);
        let control = stores.open(&Place::Control).expect("a slave");
        let mark = |now| work::mark(&*control, "one", "claim", now, now).expect("promised");
        mark(START);
        let seen = work::due(&*control, "claim", START, 8).expect("an answer");
        // Somebody whose clock is behind promises work while a claim that found nothing is under way.
        mark(START - 500);
        work::postpone(&*control, &seen[0], "claim", None, START).expect("an answer");
        assert_eq!(
            work::due(&*control, "claim", START, 8)
                .expect("an answer")
                .len(),
            1
        );
    });
}
