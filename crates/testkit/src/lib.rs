//! For tests: databases in memory with the real schema, and users of them that die.

mod stores;

use store::Db;
use store::migrate::{MASTER, Migration, SLAVE, TENANT, migrate};
use store_native::Sqlite;

pub use stores::Stores;

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

/// Every row of every table but `skip`, as text: two databases with the same content give the same.
pub fn dump(db: &dyn Db, skip: &[&str]) -> Vec<String> {
    let tables = "select name from sqlite_schema where type = 'table' and name not like 'sqlite_%' order by name";
    let tables = db.query(tables, &[]).expect("a schema");
    let mut rows = Vec::new();
    for mut table in tables {
        let name = table.text(0);
        if skip.contains(&name.as_str()) {
            continue;
        }
        let all = db.query(&format!("select * from {name}"), &[]);
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
