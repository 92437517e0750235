//! What twenty rules cost over a million leads. Run it by hand:
//! `cargo test --release -p stages --test rule_speed -- --ignored --nocapture`

use std::time::Instant;

use domain::filter::{Comparison, Filter, Op};
use domain::rule::{Action, Trigger};
use stages::rule::Rule as Stage;
use stages::run::Stage as _;
use store::rule::{self, Rule};
use store::{Db, event, params};
use store_native::Sqlite;

const NOW: i64 = 1_795_262_400_000;
const LEADS: i64 = 1_000_000;
const CHANGED: i64 = 1_000;

fn run(db: &dyn Db, sql: &str) {
    db.execute(sql, params![LEADS]).expect(sql);
}

fn fill(db: &dyn Db) {
    run(
        db,
        "with recursive n (i) as (select 1 union all select i + 1 from n where i < ?1) \
         insert into lead (id, email, country, data, created_at, updated_at) \
         select i, 'lead' || i || '@example.com', case when i % 2 = 0 then 'Peru' else 'Chad' end, '{\"plan\":\"gold\"}', 0, 0 from n",
    );
    run(
        db,
        "insert into event (at, kind, lead_id) select 0, 'lead_created', id from lead where id <= ?1",
    );
    run(
        db,
        "insert into tag (id, name, folded, created_at) select id, 't' || id, 't' || id, 0 from lead where id <= ?1 / 50000",
    );
}

fn made(db: &dyn Db, n: i64) {
    let peru = Comparison {
        name: "country".into(),
        op: Op::Eq,
        value: "peru".into(),
    };
    // Half of them wait for the tag that is put on, and each of these is for half of the leads.
    let rule = Rule {
        id: 0,
        name: format!("R{n}"),
        active: true,
        trigger: Trigger::TagAdded {
            tag: format!("t{}", if n % 2 == 0 { 1 } else { n + 1 }),
        },
        filter: Some(Filter::Field(peru)),
        delay_s: 0,
        content_id: None,
        action: Action::AddTag {
            tag: format!("done{n}"),
        },
        cursor: event::last_id(db).expect("a log"),
        created_at: NOW,
        approval: false,
        version: 1,
        skip_repliers: false,
        stop_reason: None,
        step: None,
    };
    rule::insert(db, &rule).expect("kept");
}

fn steps(db: &dyn Db) -> (u32, f64) {
    let begun = Instant::now();
    let mut steps = 0;
    while Stage.step(db, NOW, &mut || Ok(())).expect("a step") {
        steps += 1;
    }
    (steps, begun.elapsed().as_secs_f64() * 1000.0)
}

#[test]
#[ignore = "takes some ten seconds and measures the machine"]
fn a_change_costs_what_changed() {
    let path = std::env::temp_dir().join(format!("sluice-rules-{}.db", std::process::id()));
    let db = Sqlite::open(&path).expect("a file");
    store::migrate::migrate(&db, store::migrate::TENANT).expect("the schema is valid");
    fill(&db);
    (0..20).for_each(|n| made(&db, n));
    let (_, idle) = steps(&db);
    let (_, idle_again) = steps(&db);
    let change = "insert into event (at, kind, lead_id, tag_id) select 0, 'tag_added', id * 997, 1 from lead where id <= ?1";
    db.execute(change, params![CHANGED]).expect("changed");
    let begun = Instant::now();
    assert!(Stage.step(&db, NOW, &mut || Ok(())).expect("a step"));
    let evaluated = begun.elapsed().as_secs_f64() * 1000.0;
    let (more, performed) = steps(&db);
    let taken = db
        .query("select count(*) from rule_instance", &[])
        .expect("a count")[0]
        .int(0);
    let (_, idle_then) = steps(&db);
    for suffix in ["", "-wal", "-shm"] {
        let _ = std::fs::remove_file(format!("{}{suffix}", path.display()));
    }
    println!(
        "20 rules, {LEADS} leads: nothing changed {idle:.2} ms, again {idle_again:.2} ms; {CHANGED} leads changed: \
         evaluated in {evaluated:.1} ms ({taken} taken up), served in {performed:.1} ms ({more} steps); \
         nothing changed then {idle_then:.2} ms"
    );
    assert_eq!(taken, 10 * CHANGED / 2);
    assert!(evaluated < 200.0 && idle_then < 5.0, "slower than promised");
}
