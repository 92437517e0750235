//! What PostgreSQL must be made to do to be as good as SQLite: writers one after the other, logs in their order, errors
//! that say whether to try again.

use std::collections::BTreeSet;
use std::thread;
use std::time::{Duration, Instant};

use domain::quota::Order;
use store::event::{self, Event};
use store::migrate::{TENANT, migrate};
use store::{Db, Engine, Error, params, transaction};
use store_native::{Postgres, connect};
use testkit::postgres::{Kind, Scratch, server};
use testkit::{new, on_both};

fn number(db: &dyn Db, sql: &str) -> i64 {
    db.query(sql, &[]).expect("an answer")[0].int(0)
}

const PUT: &str = "insert into setting (key, value) values (?1, ?2)";

#[test]
fn a_transaction_is_kept_whole_or_not_at_all() {
    on_both(|engine| {
        let db = new(engine, Kind::Tenant);
        let failed: Result<(), Error> = transaction(&*db, || {
            db.execute(PUT, params!["a", "1"])?;
            Err(Error::Stale)
        });
        assert_eq!(failed, Err(Error::Stale));
        let failed: Result<u64, Error> = transaction(&*db, || {
            db.execute(PUT, params!["a", "1"])?;
            db.execute(PUT, params!["a", "2"])
        });
        assert!(matches!(failed, Err(Error::Constraint(_))), "{failed:?}");
        assert_eq!(number(&*db, "select count(*) from setting"), 0);
        let kept: Result<u64, Error> = transaction(&*db, || db.execute(PUT, params!["a", "1"]));
        assert_eq!(kept, Ok(1));
        assert!(db.execute("begin immediate", &[]).is_ok());
        assert!(db.execute("begin immediate", &[]).is_err(), "one at a time");
        db.execute("rollback", &[]).expect("ended");
        assert_eq!(number(&*db, "select count(*) from setting"), 1);
    });
}

#[test]
fn a_transaction_with_a_hidden_failure_does_not_pretend_to_be_kept() {
    let db = Scratch::new(Kind::Tenant);
    let result: Result<(), Error> = transaction(&db, || {
        db.execute(PUT, params!["a", "1"])?;
        let _ = db.execute(PUT, params!["a", "2"]);
        Ok(())
    });
    assert!(matches!(result, Err(Error::Other(_))), "{result:?}");
    assert_eq!(number(&db, "select count(*) from setting"), 0);
}

#[test]
fn values_come_back_as_they_were_and_texts_are_ordered_byte_by_byte() {
    on_both(|engine| {
        let db = new(engine, Kind::Tenant);
        for key in [
            "b", "B", "a", "Z", "é", "e", "_", "10", "9", "𝄞", "\u{fffd}",
        ] {
            db.execute(PUT, params![key, "x"]).expect("kept");
        }
        let rows = db
            .query("select key from setting order by key", &[])
            .expect("rows");
        let keys: Vec<_> = rows.into_iter().map(|mut r| r.text(0)).collect();
        let mut sorted = keys.clone();
        sorted.sort_by(|a, b| a.as_bytes().cmp(b.as_bytes()));
        assert_eq!(keys, sorted);
        let text = "select cast(?1 as bigint), cast(?2 as text), count(*), sum(1), 7 / 2, -7 % 3, 1 = 1 from setting";
        let row = &db
            .query(text, params![i64::MIN, Option::<&str>::None])
            .expect("a row")[0];
        assert_eq!((row.int(0), row.opt_int(1)), (i64::MIN, None));
        assert_eq!([2, 3, 4, 5, 6].map(|i| row.int(i)), [11, 11, 3, -1, 1]);
    });
}

#[test]
fn a_text_with_nul_is_kept_without_it() {
    let db = Scratch::new(Kind::Tenant);
    db.execute(PUT, params!["k", "a\0b"]).expect("kept");
    let row = &mut db.query("select value from setting", &[]).expect("a row")[0];
    assert_eq!(row.text(0), "a\u{fffd}b");
}

#[test]
fn what_is_claimed_is_claimed_once_however_many_claim() {
    let db = Scratch::new(Kind::Tenant);
    let requests = "insert into request (kind, status, dedupe_key, profile_id, run_at, created_at, updated_at) \
         select 'outreach', 'pending', 'k' || n, 1, n, 0, 0 from generate_series(1, 300) n";
    db.execute(requests, &[]).expect("kept");
    let connections: Vec<_> = (0..6).map(|_| db.again()).collect();
    let claimed: Vec<i64> = thread::scope(|scope| {
        let claim = |db: Postgres, token: usize| {
            let mut mine = Vec::new();
            for _ in 0..20 {
                let token = token.to_string();
                let taken = store::transaction(&db, || {
                    let (queues, _) = store::turn::queues(&db, 1, 0, Order::Newest, 999, 3)?;
                    let rows = queues.into_iter().flatten();
                    let ids: Vec<_> = rows.map(|r| (r.id, None)).collect();
                    store::turn::lease(&db, &ids, &token, 1000, 999)?;
                    Ok::<_, store::Error>(ids)
                });
                mine.extend(taken.expect("an answer").into_iter().map(|(id, _)| id));
            }
            mine
        };
        let started: Vec<_> = connections
            .into_iter()
            .enumerate()
            .map(|(token, db)| scope.spawn(move || claim(db, token)))
            .collect();
        started
            .into_iter()
            .flat_map(|t| t.join().expect("no panic"))
            .collect()
    });
    assert_eq!(claimed.len(), 300);
    assert_eq!(claimed.iter().collect::<BTreeSet<_>>().len(), 300);
}

#[test]
fn the_log_of_events_grows_in_its_order() {
    let db = Scratch::new(Kind::Tenant);
    let (writers, reader) = ((0..4).map(|_| db.again()).collect::<Vec<_>>(), db.again());
    let write = |db: Postgres| {
        for n in 0..60 {
            let e = Event {
                at: 1,
                kind: "seen".into(),
                ..Event::default()
            };
            match n % 2 {
                0 => event::insert(&db, &e).expect("kept"),
                _ => transaction(&db, || {
                    event::insert(&db, &e).and_then(|()| event::insert(&db, &e))
                })
                .expect("kept"),
            }
        }
    };
    let total = 4 * 90;
    let read = || {
        // As a stage does: what is at or before the last event is never looked at again.
        let (mut cursor, mut seen) = (0, 0);
        let begun = Instant::now();
        while seen < total && begun.elapsed() < Duration::from_secs(20) {
            let last = event::last_id(&reader).expect("an answer");
            let count = "select count(*) from event where id > ?1 and id <= ?2";
            seen += reader
                .query(count, params![cursor, last])
                .expect("an answer")[0]
                .int(0);
            cursor = last;
        }
        seen
    };
    thread::scope(|scope| {
        for db in writers {
            scope.spawn(move || write(db));
        }
        assert_eq!(read(), total, "events became visible behind the cursor");
    });
}

#[test]
fn who_dies_in_a_transaction_holds_nobody_up_for_long() {
    let db = Scratch::new(Kind::Tenant);
    let (dead, alive) = (db.again(), db.again());
    dead.execute("begin immediate", &[]).expect("begun");
    dead.execute(PUT, params!["a", "1"]).expect("written");
    let begun = Instant::now();
    let waited: Result<u64, Error> = transaction(&alive, || alive.execute(PUT, params!["b", "1"]));
    assert!(matches!(waited, Err(Error::Busy(_))), "{waited:?}");
    assert!(
        begun.elapsed() < Duration::from_secs(8),
        "{:?}",
        begun.elapsed()
    );
    drop(dead);
    let kept: Result<u64, Error> = transaction(&alive, || alive.execute(PUT, params!["b", "1"]));
    assert_eq!(kept, Ok(1));
    assert_eq!(
        number(&db, "select count(*) from setting"),
        1,
        "the dead one's row is gone"
    );
}

#[test]
fn a_server_that_cannot_serve_is_told_from_a_mistake() {
    let db = Scratch::new(Kind::Tenant);
    let away = |result: Result<u64, Error>| {
        assert!(matches!(result, Err(Error::Unavailable(_))), "{result:?}");
    };
    // The connection is ended by the server, in the middle of a transaction.
    let victim = db.again();
    victim.execute("begin immediate", &[]).expect("begun");
    victim.execute(PUT, params!["lost", "1"]).expect("written");
    let process = victim.wire().process().expect("a process");
    server().run(&format!("select pg_terminate_backend({process})"));
    let alive = format!("select count(*) from pg_stat_activity where pid = {process}");
    while number(&db, &alive) > 0 {
        thread::yield_now();
    }
    away(victim.execute(PUT, params!["lost too", "1"]));
    assert!(victim.execute("commit", &[]).is_err());
    drop(victim);
    assert_eq!(number(&db, "select count(*) from setting"), 0);
    // The server takes no writes.
    let reader = db.again();
    reader
        .query("set default_transaction_read_only = on", &[])
        .expect("set");
    away(reader.execute(PUT, params!["a", "1"]));
    // There is no server, no room, no such database.
    away(connect("host=/nowhere user=a dbname=b").map(|_| 0));
    server().run(&format!("alter database {} connection limit 0", db.name()));
    server().run("do $$ begin if not exists (select 1 from pg_roles where rolname = 'weak') then create role weak login password 'x'; end if; end $$");
    let host = server().dsn(db.name());
    let host = host.split(' ').next().unwrap_or_default();
    away(connect(&format!("{host} user=weak password=x dbname={}", db.name())).map(|_| 0));
    let wrong = connect(&format!("{host} user=weak password=x dbname=none")).map(|_| 0u64);
    assert!(matches!(wrong, Err(Error::Other(_))), "{wrong:?}");
}

#[test]
fn a_schema_is_applied_once_by_many_at_the_same_time() {
    let db = Scratch::new(Kind::Empty);
    let connections: Vec<_> = (0..5).map(|_| db.again()).collect();
    thread::scope(|scope| {
        for db in connections {
            scope.spawn(move || migrate(&db, TENANT).expect("migrated"));
        }
    });
    assert_eq!(
        number(&db, "select count(*) from schema_version"),
        TENANT.len() as i64
    );
    assert_eq!(db.engine(), Engine::Postgres);
}

#[test]
fn a_database_that_orders_texts_otherwise_is_refused() {
    server().run("drop database if exists otherwise");
    server().run("create database otherwise template template0 encoding 'SQL_ASCII' lc_collate 'C' lc_ctype 'C'");
    let db = connect(&server().dsn("otherwise")).expect("a database");
    let refused = migrate(&db, TENANT);
    let Err(Error::Other(reason)) = refused else {
        panic!("{refused:?}")
    };
    assert!(
        reason.contains("SQL_ASCII") && reason.contains("create database otherwise"),
        "{reason}"
    );
    drop(db);
    server().run("drop database otherwise");
}
