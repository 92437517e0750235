//! A schema is applied once, whole, and never downwards.

use store::migrate::{MASTER, Migration, SLAVE, TENANT, latest, migrate};
use store::{Db, Error};
use store_native::Sqlite;
use testkit::dump;

const ONE: Migration = Migration {
    version: 1,
    name: "0001_start",
    statements: &["create table a (x integer)", "insert into a values (1)"],
};
const TWO: Migration = Migration {
    version: 2,
    name: "0002_more",
    statements: &[
        "alter table a add column y integer",
        "update a set y = x + 1",
    ],
};
const BROKEN: Migration = Migration {
    version: 2,
    name: "0002_broken",
    statements: &[
        "alter table a add column y integer",
        "insert into nowhere values (1)",
    ],
};

fn schema(db: &dyn Db) -> Vec<store::Row> {
    db.query("select name, sql from sqlite_schema order by name", &[])
        .expect("a schema")
}

#[test]
fn a_schema_applied_twice_is_the_same_as_once() {
    for migrations in [MASTER, SLAVE, TENANT] {
        let db = Sqlite::in_memory().expect("SQLite opens in memory");
        assert_eq!(migrate(&db, migrations), Ok(latest(migrations)));
        let (before, rows) = (schema(&db), dump(&db, &[]));
        assert_eq!(migrate(&db, migrations), Ok(latest(migrations)));
        assert_eq!((schema(&db), dump(&db, &[])), (before, rows));
    }
}

#[test]
fn a_database_of_a_newer_version_is_left_alone() {
    let db = Sqlite::in_memory().expect("SQLite opens in memory");
    assert_eq!(migrate(&db, &[ONE, TWO]), Ok(2));
    let before = dump(&db, &[]);
    let Err(Error::NewerSchema(reason)) = migrate(&db, &[ONE]) else {
        panic!("refused")
    };
    assert!(
        reason.contains("version 2") && reason.contains("up to 1"),
        "{reason}"
    );
    assert_eq!(dump(&db, &[]), before);
}

#[test]
fn a_migration_that_fails_leaves_the_version_before_it() {
    let db = Sqlite::in_memory().expect("SQLite opens in memory");
    assert_eq!(migrate(&db, &[ONE]), Ok(1));
    let (before, rows) = (schema(&db), dump(&db, &[]));
    let Err(Error::Other(reason)) = migrate(&db, &[ONE, BROKEN]) else {
        panic!("failed")
    };
    assert!(
        reason.contains("0002_broken") && reason.contains("nowhere"),
        "{reason}"
    );
    assert_eq!((schema(&db), dump(&db, &[])), (before, rows));
    assert_eq!(migrate(&db, &[ONE, TWO]), Ok(2));
    assert_eq!(
        dump(&db, &["schema_version"]),
        ["a: [Integer(1), Integer(2)]"]
    );
}
