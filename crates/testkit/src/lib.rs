//! For tests: databases in memory with the real schema.

use store::migrate::{MASTER, Migration, SLAVE, TENANT, migrate};
use store_native::Sqlite;

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
