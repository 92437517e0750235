//! The timeline that grew bit by bit, with deaths in between, is the one that is counted from scratch.

use proptest::prelude::*;
use store::event::{self, Event};
use store::migrate::{TENANT, migrate};
use store::{Db, Engine, Open, Place, timeline};
use testkit::Stores;

const HOUR: i64 = 3_600_000;

fn happened() -> impl Strategy<Value = Event> {
    let kinds = [
        "lead_created",
        "tag_added",
        "outreach_performed",
        "outreach_failed",
    ];
    let of = || prop::option::of(1i64..4);
    (0..kinds.len(), 0..5 * HOUR, of(), of()).prop_map(move |(kind, at, profile_id, rule_id)| {
        Event {
            at: 1_795_262_400_000 + at,
            kind: kinds[kind].to_owned(),
            profile_id,
            rule_id,
            ..Event::default()
        }
    })
}

fn rows(db: &dyn Db) -> Vec<store::Row> {
    let all = "select metric, hour, profile_id, rule_id, n from timeline order by 1, 2, 3, 4";
    db.query(all, &[]).expect("rows")
}

fn roll_up(db: &dyn Db) -> store::Result<()> {
    while timeline::roll_up(db)? {}
    Ok(())
}

/// SQLite mostly: PostgreSQL takes its time.
fn engine() -> impl Strategy<Value = Engine> {
    prop_oneof![5 => Just(Engine::Sqlite), 1 => Just(Engine::Postgres)]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_rebuild_gives_the_same_rows(
        engine in engine(),
        history in prop::collection::vec((prop::collection::vec(happened(), 0..30), prop::option::of(0u64..9)), 1..12),
    ) {
        let stores = Stores::on(engine);
        let db = stores.open(&Place::Slot(1)).expect("a tenant");
        migrate(&*db, TENANT).expect("the schema is valid");
        let mut total = 0;
        for (events, death) in &history {
            for e in events {
                event::insert(&*db, e).expect("kept");
                total += 1;
            }
            if let Some(statements) = death {
                stores.die_after(*statements);
            }
            let rolled = roll_up(&*db);
            prop_assert_eq!(rolled.is_err(), stores.revive());
        }
        roll_up(&*db).expect("counted");
        let grown = rows(&*db);
        prop_assert_eq!(grown.iter().map(|r| r.int(4)).sum::<i64>(), total);
        db.execute("delete from timeline", &[]).expect("gone");
        db.execute("delete from stage_cursor", &[]).expect("gone");
        roll_up(&*db).expect("counted");
        prop_assert_eq!(rows(&*db), grown);
    }
}
