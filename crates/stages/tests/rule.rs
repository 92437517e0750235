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
        step: None,
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

/// What a rule of a chain waits for; the number is of a rule before it, counted down.
#[derive(Debug, Clone, Copy)]
enum Waits {
    Tag(i64),
    Opened,
    After(usize),
    TaggedBy(usize),
}

fn waits() -> impl Strategy<Value = Waits> {
    prop_oneof![
        2 => (1i64..3).prop_map(Waits::Tag),
        1 => Just(Waits::Opened),
        2 => (0usize..4).prop_map(Waits::After),
        2 => (0usize..4).prop_map(Waits::TaggedBy),
    ]
}

/// The rule that is meant, if there is one before this one.
fn before(rule: usize, back: usize) -> Option<usize> {
    rule.checked_sub(back + 1)
}

/// (what it waits for, only leads from Peru, whether it writes or tags, delay in seconds)
type Link = (Waits, bool, bool, i64);

/// How often each rule is to serve each lead, as a simple model says.
fn model(links: &[Link], opened: &[i64], events: &[Happened]) -> Vec<Vec<usize>> {
    let mut served: Vec<Vec<usize>> = Vec::new();
    for (rule, (waits, peru, _, _)) in links.iter().enumerate() {
        let times = |lead: i64| {
            let at = lead as usize - 1;
            match waits {
                Waits::Tag(tag) => events
                    .iter()
                    .filter(|e| e.2 && e.0 == lead && e.1 == *tag)
                    .count(),
                Waits::Opened => opened.iter().filter(|l| **l == lead).count(),
                Waits::After(back) => before(rule, *back).map_or(0, |of| served[of][at]),
                Waits::TaggedBy(back) => match before(rule, *back) {
                    // A lead gets a tag once, however often the rule serves it.
                    Some(of) if !links[of].2 => served[of][at].min(1),
                    _ => 0,
                },
            }
        };
        let of_lead = |lead: i64| {
            if !peru || lead % 2 == 0 {
                times(lead)
            } else {
                0
            }
        };
        served.push((1..=LEADS).map(of_lead).collect());
    }
    served
}

fn insert_link(db: &dyn Db, number: usize, (waits, peru, writes, delay_s): Link) {
    insert(db, (1, peru, delay_s, true));
    let trigger = match waits {
        Waits::Tag(tag) => Trigger::TagAdded {
            tag: format!("Tag{tag}"),
        },
        Waits::Opened => Trigger::Open { rule_id: None },
        Waits::After(back) => match before(number, back) {
            Some(of) => Trigger::RulePerformed {
                rule_id: of as i64 + 1,
            },
            None => Trigger::EventCreated {
                event: "never".into(),
            },
        },
        Waits::TaggedBy(back) => Trigger::TagAdded {
            tag: before(number, back).map_or("never".into(), |of| format!("by{of}")),
        },
    };
    let trigger = serde_json::to_string(&trigger).expect("JSON");
    db.execute(
        "update rule set trigger = ?2 where id = ?1",
        params![number as i64 + 1, trigger],
    )
    .expect("kept");
    if !writes {
        let action = serde_json::to_string(&Action::AddTag {
            tag: format!("by{number}"),
        })
        .expect("JSON");
        db.execute(
            "update rule_version set action = ?2 where rule_id = ?1",
            params![number as i64 + 1, action],
        )
        .expect("kept");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn chains_of_rules_do_what_a_simple_model_says(
        engine in engine(),
        links in prop::collection::vec((waits(), any::<bool>(), any::<bool>(), 0i64..3), 1..6),
        lives in prop::collection::vec((happened(), prop::collection::vec(1..=LEADS, 0..4), 1i64..9, 0u64..60), 1..6),
    ) {
        let stores = Stores::on(engine);
        let db = stores.open(&Place::Slot(1)).expect("a tenant");
        migrate(&*db, TENANT).expect("the schema is valid");
        db.execute("insert into content (outreach_type, subject, body, created_at) values ('email', 'Hi', 'Hi', 0)", &[]).expect("a text");
        for id in 1..=LEADS {
            let country = if id % 2 == 0 { "Peru" } else { "Chad" };
            db.execute("insert into lead (id, country, created_at, updated_at) values (?1, ?2, 0, 0)", params![id, country]).expect("a lead");
        }
        for id in 1..3 {
            store::tag::ensure(&*db, &format!("Tag{id}"), 0).expect("a tag");
        }
        links.iter().enumerate().for_each(|(number, link)| insert_link(&*db, number, *link));
        let (mut events, mut opened) = (Vec::new(), Vec::new());
        for (n, (happened, opens, part, statements)) in lives.iter().enumerate() {
            log(&*db, happened);
            for lead in opens {
                let e = Event { at: NOW, kind: "opened".into(), lead_id: Some(*lead), ..Event::default() };
                event::insert(&*db, &e).expect("kept");
            }
            events.extend(happened.iter().copied());
            opened.extend(opens.iter().copied());
            stores.die_after(*statements);
            let worked = work(&*db, *part, NOW + n as i64 * 1_000);
            prop_assert_eq!(worked.is_err(), stores.revive());
        }
        // Delays add up along a chain.
        for later in [10_000, 20_000, 40_000] {
            work(&*db, 1_000, NOW + later).expect("all is done");
        }
        let served = model(&links, &opened, &events);
        for (rule, (_, _, writes, _)) in links.iter().enumerate() {
            for lead in 1..=LEADS {
                let expected = served[rule][lead as usize - 1] as i64;
                let count = |sql: &str| db.query(sql, params![rule as i64 + 1, lead]).expect("a count")[0].int(0);
                let of = "where rule_id = ?1 and lead_id = ?2";
                prop_assert_eq!(count(&format!("select count(*) from rule_instance {of} and status = 'performed'")), expected);
                prop_assert_eq!(count(&format!("select count(*) from event {of} and kind = 'rule_performed'")), expected);
                let mails = if *writes { expected } else { 0 };
                prop_assert_eq!(count(&format!("select count(*) from request {of}")), mails);
            }
        }
    }
}
