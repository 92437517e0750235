//! Every named query fits the schema it is for.

use store_native::Sqlite;

/// Nouns that live in the master's and in the slave's control database; all others belong to tenants.
const MASTER: [&str; 5] = ["account", "user", "session", "api_key", "subaccount"];
const SLAVE: [&str; 3] = ["tenant", "work", "credential"];

#[test]
fn every_named_query_can_be_prepared() {
    let (master, slave, tenant) = (testkit::master(), testkit::slave(), testkit::tenant());
    let mut wrong = Vec::new();
    for (name, sql) in store::queries::ALL {
        let noun = name.split('/').next().unwrap_or_default();
        let db: &Sqlite = match noun {
            noun if MASTER.contains(&noun) => &master,
            noun if SLAVE.contains(&noun) => &slave,
            _ => &tenant,
        };
        if let Err(e) = db.check(sql) {
            wrong.push(format!("{name}: {e}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
