//! Every event that a rule is for gives one instance and one request, however the log is cut and wherever it dies.

use domain::filter::{Comparison, Filter, Op};
use domain::rule::{Action, OutreachType, Trigger};
use proptest::prelude::*;
use stages::rule::Rule as Stage;
use stages::run::Stage as _;
use store::event::{self, Event};
use store::migrate::{TENANT, migrate};
use store::rule::{self, Rule};
use store::{Db, Engine, Open, Place, instance, params};
use testkit::Stores;

const NOW: i64 = 1_795_262_400_000;
const LEADS: i64 = 6;

/// (lead, tag, whether a tag was added at all)
type Happened = (i64, i64, bool);
/// (tag, only leads from Peru, delay in seconds, sees what was before)
type Wanted = (i64, bool, i64, bool);

fn happened() -> impl Strategy<Value = Vec<Happened>> {
    prop::collection::vec((1..=LEADS, 1i64..3, prop::bool::weighted(0.8)), 0..30)
}

fn insert(db: &dyn Db, (tag, filtered, delay_s, previous): Wanted) {
    let peru = Comparison {
        name: "country".into(),
        op: Op::Eq,
        value: "peru".into(),
    };
    let rule = Rule {
        id: 0,
        name: "Write".into(),
        active: true,
        trigger: Trigger::TagAdded {
            tag: format!("Tag{tag}"),
        },
        filter: filtered.then_some(Filter::Field(peru)),
        delay_s,
        action: Action::NewOutreach {
            outreach_type: OutreachType::Email,
            subject: "Hi".into(),
            body: "Hi".into(),
            html: None,
            mjml: None,
        },
        content_id: Some(1),
        approval: false,
        version: 1,
        skip_repliers: false,
        stop_reason: None,
        cursor: if previous {
            0
        } else {
            event::last_id(db).expect("a log")
        },
        created_at: NOW,
    };
    rule::insert(db, &rule).expect("kept");
}

/// Puts events into the log and returns their ids: what rules do is logged in between.
fn log(db: &dyn Db, events: &[Happened]) -> Vec<i64> {
    let one = |(lead, tag, added): &Happened| {
        let kind = if *added { "tag_added" } else { "lead_created" };
        let e = Event {
            at: NOW,
            kind: kind.into(),
            lead_id: Some(*lead),
            tag_id: Some(*tag),
            ..Event::default()
        };
        event::insert(db, &e).expect("kept");
        event::last_id(db).expect("a log")
    };
    events.iter().map(one).collect()
}

/// Looks at some more events, then at all that is left and due.
fn work(db: &dyn Db, part: i64, now: i64) -> store::Result<()> {
    let last = event::last_id(db)?;
    for rule in rule::list(db)?.iter().filter(|r| r.cursor < last) {
        let to = last.min(rule.cursor + part);
        store::transaction(db, || instance::evaluate(db, rule, to, now))?;
    }
    while Stage.step(db, now, &mut || Ok(()))? {}
    Ok(())
}

/// SQLite mostly: PostgreSQL takes its time.
fn engine() -> impl Strategy<Value = Engine> {
    prop_oneof![5 => Just(Engine::Sqlite), 1 => Just(Engine::Postgres)]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn each_event_counts_once_for_each_rule(
        engine in engine(),
        before in happened(),
        rules in prop::collection::vec((1i64..3, any::<bool>(), 0i64..3, any::<bool>()), 1..4),
        after in prop::collection::vec((happened(), 1i64..9, 0u64..25), 1..6),
    ) {
        let stores = Stores::on(engine);
        let db = stores.open(&Place::Slot(1)).expect("a tenant");
        migrate(&*db, TENANT).expect("the schema is valid");
        db.execute("insert into content (outreach_type, subject, body, created_at) values ('email', 'Hi', 'Hi', 0)", &[])
            .expect("a text");
        for id in 1..=LEADS {
            let country = if id % 2 == 0 { "Peru" } else { "Chad" };
            db.execute("insert into lead (id, country, created_at, updated_at) values (?1, ?2, 0, 0)", params![id, country])
                .expect("a lead");
        }
        for id in 1i64..3 {
            let tag = "insert into tag (id, name, folded, created_at) values (?1, 'Tag' || ?1, 'tag' || ?1, 0)";
            db.execute(tag, params![id]).expect("a tag");
        }
        let mut ids_of_events = log(&*db, &before);
        rules.iter().for_each(|wanted| insert(&*db, *wanted));
        for (events, part, statements) in &after {
            ids_of_events.extend(log(&*db, events));
            stores.die_after(*statements);
            let worked = work(&*db, *part, NOW + 1_000);
            prop_assert_eq!(worked.is_err(), stores.revive());
        }
        work(&*db, 1, NOW + 10_000).expect("all is done");
        let mut expected = Vec::new();
        let later = before.len();
        let all: Vec<Happened> = before.iter().chain(after.iter().flat_map(|a| &a.0)).copied().collect();
        for (r, (wanted, filtered, _, previous)) in rules.iter().enumerate() {
            for (e, (lead, tag, added)) in all.iter().enumerate() {
                if *added && tag == wanted && (!filtered || lead % 2 == 0) && (*previous || e >= later) {
                    expected.push([r as i64 + 1, ids_of_events[e], *lead]);
                }
            }
        }
        let ids = |sql| -> Vec<[i64; 3]> {
            let rows = db.query(sql, &[]).expect("rows");
            rows.iter().map(|r| [r.int(0), r.int(1), r.int(2)]).collect()
        };
        prop_assert_eq!(&ids("select rule_id, event_id, lead_id from rule_instance order by 1, 2"), &expected);
        let made = "select i.rule_id, i.event_id, r.lead_id from request r join rule_instance i \
                    on r.dedupe_key = 'rule_instance:' || i.id and r.rule_id = i.rule_id order by 1, 2";
        prop_assert_eq!(&ids(made), &expected);
        prop_assert_eq!(ids("select id, 0, 0 from request").len(), expected.len());
        let said = "select rule_id, 0, lead_id from event where kind = 'rule_performed'";
        prop_assert_eq!(ids(said).len(), expected.len());
    }
}
