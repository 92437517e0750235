//! Every named query fits the schema it is for, on both engines.

use store::{Engine, Value};
use testkit::postgres::{Kind, Scratch};

/// Nouns that live in the master's and in the slave's control database; all others belong to tenants.
const MASTER: [&str; 14] = [
    "account",
    "user",
    "session",
    "attempt",
    "token",
    "api_key",
    "invite",
    "outbox",
    "audit",
    "password_work",
    "subaccount",
    "node",
    "placement",
    "relocation",
];
const SLAVE: [&str; 6] = [
    "tenant",
    "tenant_state",
    "work",
    "credential",
    "custom_domain",
    "link_key",
];

fn kind(name: &str) -> Kind {
    match name.split('/').next().unwrap_or_default() {
        noun if MASTER.contains(&noun) => Kind::Master,
        noun if SLAVE.contains(&noun) => Kind::Slave,
        _ => Kind::Tenant,
    }
}

#[test]
fn every_named_query_can_be_prepared_on_sqlite() {
    let (master, slave, tenant) = (testkit::master(), testkit::slave(), testkit::tenant());
    let mut wrong = Vec::new();
    for (name, sql) in store::queries::ALL {
        let db = match kind(name) {
            Kind::Master => &master,
            Kind::Slave => &slave,
            _ => &tenant,
        };
        if let Err(e) = db.check(sql) {
            wrong.push(format!("{name}: {e}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_named_query_can_be_prepared_on_postgres() {
    let [master, slave, tenant] = [Kind::Master, Kind::Slave, Kind::Tenant].map(Scratch::new);
    let mut wrong = Vec::new();
    for (name, sql) in store::queries::ALL {
        let db = match kind(name) {
            Kind::Master => &master,
            Kind::Slave => &slave,
            _ => &tenant,
        };
        if let Err(e) = some_values_fit(db, sql) {
            wrong.push(format!("{name}: {e}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// A parameter has the type of its value, so the query must fit some choice of values.
fn some_values_fit(db: &Scratch, sql: &str) -> store::Result<()> {
    let digits = |part: &str| -> usize {
        let end = part.find(|c: char| !c.is_ascii_digit());
        part[..end.unwrap_or(part.len())].parse().unwrap_or(0)
    };
    let count = sql.split('?').skip(1).map(digits).max().unwrap_or(0);
    let null = vec![Value::Null; count];
    let Err(first) = db.check(sql, &null) else {
        return Ok(());
    };
    for choice in 0..3usize.pow(count.min(9) as u32) {
        let value = |at: usize| match choice / 3usize.pow(at.min(9) as u32) % 3 {
            0 => Value::Integer(1),
            1 => Value::Text(String::new()),
            _ => Value::Null,
        };
        if db
            .check(sql, &(0..count).map(value).collect::<Vec<_>>())
            .is_ok()
        {
            return Ok(());
        }
    }
    Err(first)
}

#[test]
fn an_override_is_a_query_for_postgres_alone() {
    for (ours, theirs) in store::queries::POSTGRES {
        assert_ne!(ours, theirs, "no override is needed");
        let statement = store::dialect::statement(ours, &[]);
        assert!(!statement.sql.contains("json_each"), "{ours}");
    }
    assert_eq!(testkit::ENGINES, [Engine::Sqlite, Engine::Postgres]);
}
