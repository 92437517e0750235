//! For tests: databases of both engines with the real schema, and users of them that die.

pub mod cluster;
pub mod postgres;
mod stores;

use std::path::Path;

use postgres::{Kind, Scratch};
use store::migrate::{MASTER, Migration, SLAVE, TENANT, migrate};
use store::{Db, Engine};
use store_native::Sqlite;

pub use stores::{Stores, open_in};

/// Both engines: what the store promises, it promises of each.
pub const ENGINES: [Engine; 2] = [Engine::Sqlite, Engine::Postgres];

/// The engine of tests that run on one: SQLite, unless `SLUICE_TEST_ENGINE` is `postgres`.
pub fn engine() -> Engine {
    match std::env::var("SLUICE_TEST_ENGINE").as_deref() {
        Ok("postgres") => Engine::Postgres,
        _ => Engine::Sqlite,
    }
}

/// Runs a test on both engines; what it says when it fails begins with the engine's name.
pub fn on_both(test: impl Fn(Engine)) {
    for engine in ENGINES {
        eprintln!("on {engine:?}:");
        test(engine);
    }
}

fn database(migrations: &[Migration]) -> Sqlite {
    let db = Sqlite::in_memory().expect("SQLite opens in memory");
    migrate(&db, migrations).expect("the schema is valid");
    db
}

/// An empty master database.
pub fn master() -> Sqlite {
    database(MASTER)
}

/// An empty control database of a slave.
pub fn slave() -> Sqlite {
    database(SLAVE)
}

/// An empty sub-account.
pub fn tenant() -> Sqlite {
    database(TENANT)
}

/// A new database of an engine.
pub fn new(engine: Engine, kind: Kind) -> Box<dyn Db> {
    match (engine, kind) {
        (Engine::Postgres, kind) => Box::new(Scratch::new(kind)),
        (Engine::Sqlite, Kind::Empty) => {
            Box::new(Sqlite::in_memory().expect("SQLite opens in memory"))
        }
        (Engine::Sqlite, Kind::Master) => Box::new(master()),
        (Engine::Sqlite, Kind::Slave) => Box::new(slave()),
        (Engine::Sqlite, Kind::Tenant) => Box::new(tenant()),
    }
}

/// An SQLite database in a file, as others can open it too.
pub fn file(path: &Path) -> Sqlite {
    Sqlite::open(path).expect("SQLite opens a file")
}

/// The names of all tables in order, but of those that can be made again from others.
pub fn tables(db: &dyn Db) -> Vec<String> {
    let tables = match db.engine() {
        Engine::Sqlite => {
            "select name from sqlite_schema where type = 'table' and name not like 'sqlite_%' order by name"
        }
        Engine::Postgres => {
            "select cast(tablename as text) from pg_tables where schemaname = 'public' order by 1"
        }
    };
    let tables = db.query(tables, &[]).expect("a schema");
    let tables = tables.into_iter().map(|mut r| r.text(0));
    tables.filter(|name| !name.starts_with("search_")).collect()
}

/// Every row of every table but `skip`, as text: two databases with the same content give the same, whatever engine.
pub fn dump(db: &dyn Db, skip: &[&str]) -> Vec<String> {
    let mut rows = Vec::new();
    for name in tables(db) {
        if skip.contains(&name.as_str()) {
            continue;
        }
        let all = db.query(&format!("select * from \"{name}\""), &[]);
        let mut all: Vec<_> = all
            .expect("a table")
            .iter()
            .map(|r| format!("{name}: {:?}", r.0))
            .collect();
        all.sort();
        rows.append(&mut all);
    }
    rows
}
