//! Host names come by proof, and go when the proof is gone for long.

use store::custom_domain::{ask, due, get, primary, reached, refuse, target, verify};
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

fn insert(db: &dyn Db, tenant: &str, token: &str, now: i64) {
    assert!(ask(db, tenant, NAME, token, 20, now).expect("kept"));
}

fn leads_to(db: &dyn Db) -> Option<String> {
    target(db, NAME).expect("an answer").map(|t| t.tenant_id)
}

fn names_due(db: &dyn Db, now: i64) -> Vec<String> {
    let due = due(db, now, 10).expect("an answer");
    due.into_iter().map(|(tenant, _)| tenant).collect()
}

#[test]
fn a_name_leads_on_for_a_week_without_its_proof() {
    on_both(|engine| {
        let db = slave(engine);
        insert(&*db, "one", "t", 0);
        verify(&*db, "one", NAME, "t", 1).expect("kept");
        let lost = |day: i64, is_sure| {
            refuse(&*db, "one", NAME, "gone", is_sure, day * DAY).expect("kept");
            leads_to(&*db).is_none()
        };
        assert!((1..20).all(|day| !lost(day, false)), "nobody knows");
        assert!((20..28).all(|day| !lost(day, true)), "a week's patience");
        verify(&*db, "one", NAME, "t", 28 * DAY).expect("kept");
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
        insert(&*db, "one", "t", 0);
        insert(&*db, "two", "u", MINUTE);
        assert_eq!(names_due(&*db, 9 * MINUTE), [""; 0]);
        assert_eq!(names_due(&*db, 11 * MINUTE), ["one", "two"]);
        refuse(&*db, "one", NAME, "none", true, 11 * MINUTE).expect("kept");
        assert_eq!(names_due(&*db, 12 * MINUTE), ["two"]);
        assert_eq!(names_due(&*db, 4 * DAY), [""; 0], "asked for long ago");
        verify(&*db, "one", NAME, "t", DAY).expect("kept");
        assert_eq!(names_due(&*db, 2 * DAY), ["one"], "once a day");
    });
}

#[test]
fn who_proves_a_name_has_it_alone() {
    on_both(|engine| {
        let db = slave(engine);
        insert(&*db, "one", "t", 0);
        insert(&*db, "two", "u", 0);
        verify(&*db, "one", NAME, "t", 1).expect("kept");
        assert_eq!(get(&*db, "two", NAME).expect("an answer"), None);
        insert(&*db, "two", "v", 2);
        verify(&*db, "two", NAME, "v", 3).expect("kept");
        verify(&*db, "one", NAME, "t", 3).expect("an old look");
        assert_eq!(leads_to(&*db).as_deref(), Some("two"));
        insert(&*db, "one", "w", 4);
        let again = get(&*db, "one", NAME).expect("an answer").expect("a name");
        assert_eq!(again.token, "w", "the token from before proves nothing");
    });
}

#[test]
fn links_are_made_with_a_name_that_somebody_came_by() {
    on_both(|engine| {
        let db = slave(engine);
        let links = || primary(&*db, "one").expect("an answer");
        insert(&*db, "one", "t", 0);
        reached(&*db, NAME, 1).expect("kept");
        verify(&*db, "one", NAME, "t", 2).expect("kept");
        assert_eq!(links(), None, "it need not lead here");
        reached(&*db, NAME, 3).expect("kept");
        assert_eq!(links().as_deref(), Some(NAME));
    });
}

#[test]
fn a_tenant_has_so_many_names_and_asks_for_one_of_them_again() {
    on_both(|engine| {
        let db = slave(engine);
        let ask = |name, token| ask(&*db, "one", name, token, 2, 0).expect("an answer");
        assert!(ask("a.example", "t") && ask("b.example", "u"));
        assert!(!ask("c.example", "v"));
        assert!(ask("b.example", "w"));
        let kept = get(&*db, "one", "b.example").expect("an answer");
        assert_eq!(kept.expect("a name").token, "u");
    });
}
