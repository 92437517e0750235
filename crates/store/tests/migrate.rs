//! A schema is applied once, whole, and never downwards.

use store::migrate::{MASTER, Migration, SLAVE, TENANT, latest, migrate};
use store::{Db, Engine, Error};
use testkit::postgres::Kind;
use testkit::{dump, new, on_both};

const ONE: Migration = Migration {
    version: 1,
    name: "0001_start",
    postgres: None,
    statements: &["create table a (x integer)", "insert into a values (1)"],
};
const TWO: Migration = Migration {
    version: 2,
    name: "0002_more",
    postgres: None,
    statements: &[
        "alter table a add column y integer",
        "update a set y = x + 1",
    ],
};
const BROKEN: Migration = Migration {
    version: 2,
    name: "0002_broken",
    postgres: None,
    statements: &[
        "alter table a add column y integer",
        "insert into nowhere values (1)",
    ],
};

/// Tables, columns and indexes.
fn schema(db: &dyn Db) -> Vec<store::Row> {
    let text = match db.engine() {
        Engine::Sqlite => "select name, sql from sqlite_schema order by name",
        Engine::Postgres => {
            "select table_name || '.' || column_name, data_type || is_nullable || coalesce(column_default, '') \
             from information_schema.columns where table_schema = 'public' \
             union all select tablename, indexdef from pg_indexes where schemaname = 'public' \
             union all select cast(conrelid as text), pg_get_constraintdef(oid) from pg_constraint order by 1, 2"
        }
    };
    db.query(text, &[]).expect("a schema")
}

#[test]
fn a_schema_applied_twice_is_the_same_as_once() {
    on_both(|engine| {
        for migrations in [MASTER, SLAVE, TENANT] {
            let db = &*new(engine, Kind::Empty);
            assert_eq!(migrate(db, migrations), Ok(latest(migrations)));
            let (before, rows) = (schema(db), dump(db, &[]));
            assert_eq!(migrate(db, migrations), Ok(latest(migrations)));
            assert_eq!((schema(db), dump(db, &[])), (before, rows));
        }
    });
}

#[test]
fn a_database_of_a_newer_version_is_left_alone() {
    on_both(|engine| {
        let db = &*new(engine, Kind::Empty);
        assert_eq!(migrate(db, &[ONE, TWO]), Ok(2));
        let before = dump(db, &[]);
        let Err(Error::NewerSchema(reason)) = migrate(db, &[ONE]) else {
            panic!("refused")
        };
        assert!(
            reason.contains("version 2") && reason.contains("up to 1"),
            "{reason}"
        );
        assert_eq!(dump(db, &[]), before);
    });
}

#[test]
fn a_migration_that_fails_leaves_the_version_before_it() {
    on_both(|engine| {
        let db = &*new(engine, Kind::Empty);
        assert_eq!(migrate(db, &[ONE]), Ok(1));
        let (before, rows) = (schema(db), dump(db, &[]));
        let Err(Error::Other(reason)) = migrate(db, &[ONE, BROKEN]) else {
            panic!("failed")
        };
        assert!(
            reason.contains("0002_broken") && reason.contains("nowhere"),
            "{reason}"
        );
        assert_eq!((schema(db), dump(db, &[])), (before, rows));
        assert_eq!(migrate(db, &[ONE, TWO]), Ok(2));
        assert_eq!(
            dump(db, &["schema_version"]),
            ["a: [Integer(1), Integer(2)]"]
        );
    });
}
