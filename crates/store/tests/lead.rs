//! Filters mean the same on both engines as in a simple model, and pages neither lose nor repeat a lead.

use std::cell::RefCell;

use domain::filter::{Activity, Comparison, Filter, Happened, OneOf, Op, Operand, Span};
use proptest::prelude::*;
use store::lead::{self, Query, Sort};
use store::{Db, params, search, tag};
use testkit::postgres::Kind;
use testkit::{ENGINES, new};

/// What the model knows of a lead; its number is its place, from 1.
#[derive(Debug, Clone)]
struct Person {
    country: Option<&'static str>,
    size: Option<&'static str>,
    tags: Vec<&'static str>,
    /// (what, when)
    events: Vec<(Happened, i64)>,
    import: Option<i64>,
    at: i64,
}

const COUNTRIES: [&str; 4] = ["Peru", "PERU", "Chile", "Peru Sur"];
const SIZES: [&str; 9] = [
    "5",
    "12",
    "-3.5",
    "many",
    "1.2.3",
    "+7",
    "2026-01-02",
    "2026-11-21",
    "",
];
const TAGS: [&str; 2] = ["hot", "cold"];

fn person() -> impl Strategy<Value = Person> {
    (
        prop::option::of(prop::sample::select(&COUNTRIES[..])),
        prop::option::of(prop::sample::select(&SIZES[..])),
        prop::sample::subsequence(&TAGS[..], 0..=2),
        prop::collection::vec((prop::sample::select(&Happened::ALL[..3]), 0i64..30), 0..3),
        prop::option::of(1i64..3),
        0i64..30,
    )
        .prop_map(|(country, size, tags, events, import, at)| Person {
            country,
            size,
            tags,
            events,
            import,
            at,
        })
}

fn span() -> impl Strategy<Value = Span> {
    (prop::option::of(0i64..30), prop::option::of(0i64..30)).prop_map(|(after, before)| Span {
        within_days: None,
        after,
        before,
    })
}

fn comparison() -> impl Strategy<Value = Filter> {
    let ops = [
        Op::Eq,
        Op::Ne,
        Op::Contains,
        Op::StartsWith,
        Op::EndsWith,
        Op::IsSet,
        Op::NotSet,
        Op::Gt,
        Op::Gte,
        Op::Lt,
        Op::Lte,
    ];
    let values = [
        "peru",
        "U",
        "5",
        "-3.5",
        "7",
        "2026-01-02",
        "2026-06",
        "x'\"",
    ];
    (
        prop::sample::select(&["country", "size"][..]),
        prop::sample::select(ops.to_vec()),
        prop::sample::select(values.to_vec()),
    )
        .prop_map(|(name, op, value)| {
            Filter::Field(Comparison {
                name: name.into(),
                op,
                value: value.into(),
            })
        })
}

fn filter() -> impl Strategy<Value = Filter> {
    let leaf = prop_oneof![
        4 => comparison(),
        1 => prop::sample::select(&["HOT ", "cold", "none"][..]).prop_map(|t| Filter::Tag(t.into())),
        1 => (prop::sample::select(&Happened::ALL[..3]), span())
            .prop_map(|(what, when)| Filter::Activity(Activity { what, when })),
        1 => (1i64..4).prop_map(Filter::Import),
        1 => span().prop_map(Filter::Created),
        1 => span().prop_map(Filter::Updated),
        1 => prop::sample::subsequence(&["chile", "Peru sur", "x"][..], 1..3).prop_map(|v| Filter::OneOf(OneOf {
            name: "country".into(),
            values: v.into_iter().map(str::to_owned).collect(),
        })),
    ];
    leaf.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(Filter::And),
            prop::collection::vec(inner.clone(), 0..3).prop_map(Filter::Or),
            inner.prop_map(|f| Filter::Not(Box::new(f))),
        ]
    })
}

fn within(span: &Span, at: i64) -> bool {
    span.after.is_none_or(|after| at >= after) && span.before.is_none_or(|before| at < before)
}

fn compares(c: &Comparison, text: &str) -> bool {
    let (text_lower, value) = (text.to_lowercase(), c.value.to_lowercase());
    let ordered = |than: fn(std::cmp::Ordering) -> bool| match c.operand() {
        Some(Operand::Number(number)) => {
            let mine = Comparison {
                value: text.into(),
                ..c.clone()
            };
            let Some(Operand::Number(mine)) = mine.operand() else {
                return false;
            };
            mine.partial_cmp(&number).is_some_and(than)
        }
        Some(Operand::Date(date)) => {
            let mine = Comparison {
                value: text.into(),
                ..c.clone()
            };
            matches!(mine.operand(), Some(Operand::Date(_))) && than(text.cmp(date))
        }
        None => false,
    };
    match c.op {
        Op::Eq => text_lower == value,
        Op::Ne => text_lower != value,
        Op::Contains => text_lower.contains(&value),
        Op::StartsWith => text_lower.starts_with(&value),
        Op::EndsWith => text_lower.ends_with(&value),
        Op::IsSet => !text.is_empty(),
        Op::NotSet => text.is_empty(),
        Op::Gt => ordered(std::cmp::Ordering::is_gt),
        Op::Gte => ordered(std::cmp::Ordering::is_ge),
        Op::Lt => ordered(std::cmp::Ordering::is_lt),
        Op::Lte => ordered(std::cmp::Ordering::is_le),
    }
}

fn fits(filter: &Filter, p: &Person) -> bool {
    let text = |name: &str| match name {
        "country" => p.country.unwrap_or_default(),
        _ => p.size.unwrap_or_default(),
    };
    match filter {
        Filter::And(all) => all.iter().all(|f| fits(f, p)),
        Filter::Or(any) => any.iter().any(|f| fits(f, p)),
        Filter::Not(inner) => !fits(inner, p),
        Filter::Tag(tag) => p.tags.contains(&tag.trim().to_lowercase().as_str()),
        Filter::Field(c) => compares(c, text(&c.name)),
        Filter::OneOf(one) => one
            .values
            .iter()
            .any(|v| v.to_lowercase() == text(&one.name).to_lowercase()),
        Filter::Activity(a) => p
            .events
            .iter()
            .any(|(what, at)| *what == a.what && within(&a.when, *at)),
        Filter::Import(id) => p.import == Some(*id),
        Filter::Created(span) => within(span, p.at),
        Filter::Updated(span) => within(span, p.at + 3),
    }
}

fn insert(db: &dyn Db, people: &[Person]) {
    db.execute("delete from event", &[]).expect("empty");
    db.execute("delete from import", &[]).expect("empty");
    db.execute("delete from lead", &[]).expect("empty");
    for derived in [
        "search_word",
        "search_order",
        "search_stale",
        "search_state",
    ] {
        let text = format!("delete from {derived}");
        db.execute(&text, &[]).expect("empty");
    }
    for n in 1..3i64 {
        let import = "insert into import (id, name, status, created_at, touched_at) values (?1, 'x', 'done', 0, 0)";
        db.execute(import, params![n]).expect("an import");
    }
    for (i, p) in people.iter().enumerate() {
        let id = i as i64 + 1;
        let data = p
            .size
            .map_or("{}".to_owned(), |size| format!("{{\"size\":\"{size}\"}}"));
        let row = params![id, p.country, data, p.at, p.at + 3];
        let text = "insert into lead (id, country, data, created_at, updated_at) values (?1, ?2, ?3, ?4, ?5)";
        db.execute(text, row).expect("a lead");
        let created = "insert into event (at, kind, lead_id) values (?1, ?2, ?3)";
        db.execute(created, params![p.at, "lead_created", id])
            .expect("an event");
        for (what, at) in &p.events {
            db.execute(created, params![*at, what.event(), id])
                .expect("an event");
        }
        for name in &p.tags {
            let tag = tag::ensure(db, name, 0).expect("a tag");
            tag::add(db, tag, id, "api", 0).expect("tagged");
        }
        if let Some(import) = p.import {
            let row = match id % 2 {
                0 => {
                    "insert into import_row (import_id, no, line, status, lead_id) values (?1, ?2, 1, 'updated', ?2)"
                }
                _ => {
                    "insert into import_batch (import_id, no, rows, chunk_no, chunk_offset, line, first_lead, last_lead) \
                     values (?1, ?2, 1, 0, 0, 1, ?2, ?2)"
                }
            };
            db.execute(row, params![import, id]).expect("a row");
        }
    }
}

/// Everybody that a search finds, page by page to the end, and that the way back shows the same pages.
fn walk(db: &dyn Db, query: &Query) -> Vec<i64> {
    let ids = |query: &Query| {
        let page = lead::listed(db, query).expect("a page");
        let json = lead::list_json(db, query).expect("a page");
        let ids: Vec<_> = page.items.iter().map(|l| l.id).collect();
        let same: Vec<_> = json.items.iter().map(|(id, _)| *id).collect();
        assert_eq!(ids, same);
        (ids, page.next, page.previous)
    };
    let (mut pages, mut from) = (Vec::new(), None);
    loop {
        let (found, next, previous) = ids(&Query {
            from: from.take(),
            ..query.clone()
        });
        if let Some(cursor) = previous.clone() {
            let (before, back, _) = ids(&Query {
                from: Some(cursor),
                ..query.clone()
            });
            assert_eq!(Some(&before), pages.last());
            assert!(back.is_some());
        }
        assert_eq!(previous.is_some(), !pages.is_empty() && !found.is_empty());
        pages.push(found);
        match next {
            Some(cursor) => from = Some(cursor),
            None => return pages.into_iter().flatten().collect(),
        }
    }
}

#[test]
fn a_filter_means_what_it_says() {
    for engine in ENGINES {
        let db = RefCell::new(new(engine, Kind::Tenant));
        let cases = if engine == store::Engine::Sqlite {
            300
        } else {
            40
        };
        let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig::with_cases(cases));
        let given = (
            prop::collection::vec(person(), 0..14),
            prop::collection::vec(filter(), 1..6),
            1i64..6,
        );
        let result = runner.run(&given, |(people, filters, limit)| {
            let db = &**db.borrow();
            insert(db, &people);
            for filter in filters {
                let fitting = people.iter().zip(1..).filter(|(p, _)| fits(&filter, p));
                let mut expected: Vec<i64> = fitting.map(|(_, id)| id).collect();
                let query = |name| Query {
                    filter: filter.clone(),
                    sort: Sort::from_name(name).expect("an order"),
                    limit,
                    ..Query::default()
                };
                if people.len() % 2 == 0 {
                    search::step(db).expect("indexed");
                }
                prop_assert_eq!(walk(db, &query("created")), expected.clone());
                let count = lead::count_fitting(db, &query("name")).expect("a count");
                let unlimited = filter == Filter::And(Vec::new());
                prop_assert_eq!(
                    (count.n, count.or_more),
                    match unlimited {
                        true => (0, false), // The model writes leads past the count.
                        false => (expected.len() as i64, false),
                    }
                );
                if search::is_behind(db) == Ok(false) {
                    let mut updated = walk(db, &query("-updated"));
                    prop_assert!(
                        updated
                            .windows(2)
                            .all(|w| people[w[0] as usize - 1].at >= people[w[1] as usize - 1].at)
                    );
                    updated.sort_unstable();
                    prop_assert_eq!(updated, expected.clone());
                }
                expected.reverse();
                prop_assert_eq!(walk(db, &query("-id")), expected);
            }
            Ok(())
        });
        result.unwrap_or_else(|e| panic!("{engine:?}: {e}"));
    }
}

/// What is done to a list of leads that is searched.
#[derive(Debug, Clone)]
enum Step {
    Add(String, String),
    Rename(usize, String),
    Remove(usize),
    Index,
}

fn step() -> impl Strategy<Value = Step> {
    let name = || prop::sample::select(&["Zoë", "zoe ann", "Ánnabel", "Björn-Åke", "Ok 5", ""][..]);
    prop_oneof![
        4 => (name(), name()).prop_map(|(a, b)| Step::Add(a.into(), b.into())),
        2 => (0usize..9, name()).prop_map(|(i, a)| Step::Rename(i, a.into())),
        1 => (0usize..9).prop_map(Step::Remove),
        2 => Just(Step::Index),
    ]
}

#[test]
fn words_find_leads_whether_the_index_knows_them_or_not() {
    for engine in ENGINES {
        let cases = if engine == store::Engine::Sqlite {
            150
        } else {
            8
        };
        let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig::with_cases(cases));
        let result = runner.run(&prop::collection::vec(step(), 0..20), |steps| {
            let db = &*new(engine, Kind::Tenant);
            let mut names: Vec<Option<(String, String)>> = Vec::new();
            for step in steps {
                match step {
                    Step::Add(first, company) => {
                        let id = names.len() as i64 + 1;
                        let text = "insert into lead (id, first_name, company, created_at, updated_at) values (?1, ?2, ?3, 0, 0)";
                        db.execute(text, params![id, &first, &company]).expect("a lead");
                        names.push(Some((first, company)));
                    }
                    Step::Rename(i, name) if names.get(i).is_some_and(Option::is_some) => {
                        let text = "update lead set first_name = ?2 where id = ?1";
                        db.execute(text, params![i as i64 + 1, &name]).expect("renamed");
                        names[i].as_mut().expect("there").0 = name;
                    }
                    // The number of the last lead must not be given again.
                    Step::Remove(i) if i + 1 < names.len() && names[i].is_some() => {
                        let text = "delete from lead where id = ?1";
                        db.execute(text, params![i as i64 + 1]).expect("gone");
                        names[i] = None;
                    }
                    Step::Index => while search::step(db).expect("indexed") {},
                    _ => {}
                }
                for q in ["zo", "ANN", "anna", "ake bj", "5 o", "zoe zoe", "nobody"] {
                    let asked = domain::search::query(q);
                    let fits = |name: &Option<(String, String)>| {
                        let (first, company) = name.as_ref()?;
                        let mut words = domain::search::words(first);
                        words.extend(domain::search::words(company));
                        let found = |w: &String| words.iter().any(|word| word.starts_with(w.as_str()));
                        asked.iter().all(found).then_some(())
                    };
                    let fitting = names.iter().zip(1..).filter(|(n, _)| fits(n).is_some());
                    let mut expected: Vec<i64> = fitting.map(|(_, id)| id).collect();
                    expected.reverse();
                    let query = Query { q: Some(q.into()), limit: 2, ..Query::default() };
                    prop_assert_eq!(walk(db, &query), expected.clone(), "{}", q);
                    let count = lead::count_fitting(db, &query).expect("a count");
                    prop_assert_eq!(count.n, expected.len() as i64);
                }
            }
            Ok(())
        });
        result.unwrap_or_else(|e| panic!("{engine:?}: {e}"));
    }
}

#[test]
fn the_number_of_leads_is_kept() {
    for engine in ENGINES {
        let db = &*new(engine, Kind::Tenant);
        let person = |n: i64| {
            let mut fields = domain::lead::Fields::default();
            fields.set(domain::lead::Field::Email, format!("p{n}@x.test"));
            (n, fields)
        };
        for first in [1, 4] {
            let rows = (first..first + 5).map(person).collect::<Vec<_>>();
            let known = lead::known_for(db, &rows).expect("known");
            let next = lead::next_id(db).expect("a number");
            let changes = domain::merge::merge(rows, domain::mapping::Mode::Both, known, next);
            let source = lead::Source {
                name: "api",
                import_id: None,
                tag_ids: &[],
            };
            lead::apply(db, &changes, source, 0).expect("kept");
        }
        assert_eq!(lead::count(db), Ok(8));
        db.execute("delete from lead where id in (2, 3, 99)", &[])
            .expect("gone");
        assert_eq!(lead::count(db), Ok(6));
    }
}
