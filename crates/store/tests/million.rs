//! How long searches take at a million leads: `cargo test --release -p store --test million -- --ignored --nocapture`.
//! The file is made once, in `SLUICE_MILLION` (a path); without it nothing is measured.

use std::time::Instant;

use domain::filter::Filter;
use domain::lead::{Field, Fields};
use domain::mapping::Mode;
use domain::merge::{Known, merge};
use serde_json::json;
use store::lead::{self, Query, Sort, Source};
use store::migrate::{TENANT, migrate};
use store::{Db, search, tag, transaction};
use store_native::Sqlite;

const LEADS: i64 = 1_000_000;
const COUNTRIES: [&str; 8] = ["DE", "FR", "US", "PL", "ES", "PE", "SE", "NG"];
const NAMES: [&str; 6] = ["Ann", "Björn", "Zoë", "Jonas", "Hana", "José"];

fn person(n: i64) -> Fields {
    let mut fields = Fields::default();
    let pick = |k: i64, of: i64| n.wrapping_mul(k).rem_euclid(of);
    fields.set(Field::Email, format!("p{n}@c{}.test", pick(31, 50_021)));
    fields.set(Field::FirstName, NAMES[pick(7, 6) as usize]);
    fields.set(Field::LastName, format!("Östlund{}", pick(7919, 99_991)));
    fields.set(Field::JobTitle, format!("Head of Unit {}", pick(13, 500)));
    fields.set(Field::Company, format!("Acme {} GmbH", pick(31, 50_021)));
    fields.set(Field::Country, COUNTRIES[pick(3, 8) as usize]);
    fields.data.insert(
        "plan".into(),
        ["gold", "silver", "free"][pick(5, 3) as usize].into(),
    );
    fields
        .data
        .insert("size".into(), pick(17, 10_007).to_string());
    fields
}

fn fill(db: &dyn Db) {
    let begun = Instant::now();
    let tags: Vec<i64> = ["all", "third", "rare"]
        .iter()
        .map(|t| tag::ensure(db, t, 0).expect("a tag"))
        .collect();
    for first in (1..=LEADS).step_by(5000) {
        transaction(db, || {
            let rows = (first..first + 5000).map(|n| (n, person(n))).collect();
            let changes = merge(rows, Mode::Both, Known::default(), lead::next_id(db)?);
            let source = Source {
                name: "api",
                import_id: None,
                tag_ids: &tags[..1],
            };
            lead::apply(db, &changes, source, 1_790_000_000_000 + first)
        })
        .expect("leads");
    }
    eprintln!(
        "filled with {:.0} leads a second",
        LEADS as f64 / begun.elapsed().as_secs_f64()
    );
    for (text, id) in [
        (
            "insert into lead_tag (tag_id, lead_id, at, source) select ?1, id, 0, 'api' from lead where id % 3 = 0",
            tags[1],
        ),
        (
            "insert into lead_tag (tag_id, lead_id, at, source) select ?1, id, 0, 'api' from lead where id % 5000 = 0",
            tags[2],
        ),
        (
            "insert into event (at, kind, lead_id) select 1790000000000 + id, 'outreach_performed', id from lead where id % 4 = 0 and ?1 > 0",
            1,
        ),
        (
            "insert into event (at, kind, lead_id) select 1790000000000 + id, 'replied', id from lead where id % 2000 = 0 and ?1 > 0",
            1,
        ),
    ] {
        db.execute(text, &[id.into()]).expect("filled");
    }
}

#[test]
#[ignore = "takes a minute and a gigabyte"]
fn searches_of_a_million_leads() {
    let Ok(path) = std::env::var("SLUICE_MILLION") else {
        return eprintln!("SLUICE_MILLION names no file");
    };
    let db = Sqlite::open(std::path::Path::new(&path)).expect("a file");
    migrate(&db, TENANT).expect("migrated");
    if lead::next_id(&db).expect("a number") == 1 {
        fill(&db);
    }
    let begun = Instant::now();
    let mut steps = 0;
    while search::step(&db).expect("indexed") {
        steps += 1;
    }
    if steps > 1 {
        let took = begun.elapsed().as_secs_f64();
        eprintln!("indexed {:.0} leads a second", LEADS as f64 / took);
    }
    for q in [
        "ann",
        "jose acme 77",
        "ostlund5 head",
        "p77",
        "a",
        "gmbh unit",
        "zzz",
        "c2387",
    ] {
        let query = Query {
            q: Some(q.into()),
            limit: 50,
            ..Query::default()
        };
        measure(&format!("search {q}"), 30, || {
            lead::list_json(&db, &query).expect("a page").items.len()
        });
        measure(&format!("count {q}"), 30, || {
            lead::count_fitting(&db, &query).expect("a count").n as usize
        });
    }
    let filters = [
        ("everybody", json!({"and": []})),
        (
            "tag of all, country",
            json!({"and": [{"tag": "all"}, {"field": {"name": "country", "op": "eq", "value": "pe"}}]}),
        ),
        (
            "third, plan",
            json!({"and": [{"tag": "third"}, {"field": {"name": "plan", "op": "eq", "value": "gold"}}]}),
        ),
        (
            "rare, country",
            json!({"and": [{"tag": "rare"}, {"field": {"name": "country", "op": "eq", "value": "PE"}}]}),
        ),
        (
            "replied, country",
            json!({"and": [{"activity": {"what": "replied"}}, {"field": {"name": "country", "op": "eq", "value": "PE"}}]}),
        ),
        (
            "mailed, not replied",
            json!({"and": [{"activity": {"what": "mailed"}}, {"not": {"activity": {"what": "replied"}}}]}),
        ),
        (
            "size > 9000, country",
            json!({"and": [{"field": {"name": "size", "op": "gt", "value": 9000}}, {"field": {"name": "country", "op": "eq", "value": "PE"}}]}),
        ),
        (
            "address",
            json!({"and": [{"field": {"name": "email", "op": "eq", "value": "p77@c2387.test"}}, {"tag": "all"}]}),
        ),
        (
            "company, country",
            json!({"and": [{"field": {"name": "company", "op": "eq", "value": "acme 2387 gmbh"}}, {"field": {"name": "country", "op": "eq", "value": "PE"}}]}),
        ),
        (
            "last name, title",
            json!({"and": [{"field": {"name": "last_name", "op": "eq", "value": "Östlund5"}}, {"field": {"name": "job_title", "op": "starts_with", "value": "head"}}]}),
        ),
        (
            "nobody: third, country XX",
            json!({"and": [{"tag": "third"}, {"field": {"name": "country", "op": "eq", "value": "XX"}}]}),
        ),
        (
            "nobody: size < 0, contains",
            json!({"and": [{"field": {"name": "size", "op": "lt", "value": 0}}, {"field": {"name": "company", "op": "contains", "value": "zzz"}}]}),
        ),
    ];
    for (name, filter) in filters {
        let filter: Filter = serde_json::from_value(filter).expect("a filter");
        for sort in ["-created", "created", "name"] {
            let query = Query {
                filter: filter.clone(),
                sort: Sort::from_name(sort).expect("an order"),
                limit: 50,
                ..Query::default()
            };
            measure(&format!("{name} by {sort}"), 30, || {
                lead::list_json(&db, &query).expect("a page").items.len()
            });
            if sort == "created" {
                measure(&format!("count of {name}"), 30, || {
                    lead::count_fitting(&db, &query).expect("a count").n as usize
                });
            }
        }
    }
}

/// Prints the median and the slowest of some runs.
fn measure(name: &str, runs: usize, run: impl Fn() -> usize) {
    let mut times = Vec::new();
    let mut n = 0;
    for _ in 0..runs {
        let begun = Instant::now();
        n = run();
        times.push(begun.elapsed().as_secs_f64() * 1000.0);
        if times.iter().sum::<f64>() > 5000.0 {
            break;
        }
    }
    times.sort_by(f64::total_cmp);
    let (median, last) = (times[times.len() / 2], times[times.len() - 1]);
    eprintln!("{name:50} {n:4} leads, median {median:8.2} ms, slowest {last:8.2} ms");
}
