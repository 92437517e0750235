//! Host names come by proof, and go when the proof is gone for long.

use store::custom_domain::{due, get, insert, refuse, tenant, verify};
use store::{Db, params};
use testkit::postgres::Kind;
use testkit::{new, on_both};

const DAY: i64 = 86_400_000;
const MINUTE: i64 = 60_000;
const NAME: &str = "leads.client.example";

fn slave(engine: store::Engine) -> Box<dyn Db> {
    let db = new(engine, Kind::Slave);
    let insert =
        "insert into tenant (id, account_id, name, slot, created_at) values (?1, 'a', ?1, ?2, 0)";
    for (id, slot) in [("one", 1), ("two", 2)] {
        db.execute(insert, params![id, slot]).expect("kept");
    }
    db
}

fn names_due(db: &dyn Db, now: i64) -> Vec<String> {
    let due = due(db, now, 10).expect("an answer");
    due.into_iter().map(|(tenant, _)| tenant).collect()
}

#[test]
fn a_name_leads_on_for_a_week_without_its_proof() {
    on_both(|engine| {
        let db = slave(engine);
        insert(&*db, "one", NAME, "t", 0).expect("kept");
        verify(&*db, "one", NAME, 1).expect("kept");
        let lost = |day: i64, is_sure| {
            refuse(&*db, "one", NAME, "gone", is_sure, day * DAY).expect("kept");
            tenant(&*db, NAME).expect("an answer").is_none()
        };
        assert!((1..20).all(|day| !lost(day, false)), "nobody knows");
        assert!((20..28).all(|day| !lost(day, true)), "a week's patience");
        verify(&*db, "one", NAME, 28 * DAY).expect("kept");
        assert!((29..37).all(|day| !lost(day, true)), "a new week");
        assert!(lost(37, true), "then it leads nowhere");
        let left = get(&*db, "one", NAME).expect("an answer").expect("a name");
        assert_eq!(
            (left.verified_at, left.reason.as_deref()),
            (None, Some("gone"))
        );
    });
}

#[test]
fn names_are_looked_at_in_their_time() {
    on_both(|engine| {
        let db = slave(engine);
        insert(&*db, "one", NAME, "t", 0).expect("kept");
        insert(&*db, "two", NAME, "u", MINUTE).expect("kept");
        assert_eq!(names_due(&*db, 9 * MINUTE), [""; 0]);
        assert_eq!(names_due(&*db, 11 * MINUTE), ["one", "two"]);
        refuse(&*db, "one", NAME, "none", true, 11 * MINUTE).expect("kept");
        assert_eq!(names_due(&*db, 12 * MINUTE), ["two"]);
        verify(&*db, "one", NAME, 12 * MINUTE).expect("kept");
        assert_eq!(
            names_due(&*db, 4 * DAY),
            ["one"],
            "the other asked too long ago"
        );
        assert_eq!(names_due(&*db, DAY), ["two"]);
        verify(&*db, "two", NAME, DAY).expect("kept");
        assert_eq!(
            tenant(&*db, NAME).expect("an answer").as_deref(),
            Some("two")
        );
        assert_eq!(
            names_due(&*db, 5 * DAY),
            ["two"],
            "who lost it to another is not asked about"
        );
    });
}
