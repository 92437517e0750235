//! The PostgreSQL databases that the application's variables name: whether its components may reach them, and whether they
//! answer.

use crate::config::ComponentConfig;
use crate::config::fault::Faults;
use crate::host::postgres_target::{Key, Target, describe};
use std::collections::BTreeMap;

/// What the names of their variables end with.
const SUFFIX: &str = "_database";

/// Adds a fault for every database that cannot be read, or that a component may not reach.
pub fn check(components: &BTreeMap<String, ComponentConfig>, faults: &mut Faults) {
    let mut told = BTreeMap::new();
    for component in components.values() {
        for (name, address) in addresses(&component.variables) {
            let fault = match Target::parse(&key(address), &[]) {
                Err(what) => (
                    what,
                    "write host=… user=… password=… dbname=…, or postgres://…",
                ),
                Ok(target) => match target.forbidden(&component.outbound) {
                    Some(host) => (
                        format!("the components may not connect to {host}"),
                        "set the variable postgres_server to postgres://HOST:PORT of the same server",
                    ),
                    None => continue,
                },
            };
            told.insert(name, fault);
        }
    }
    for (name, (what, fix)) in told {
        faults.add(format!("the variable {name}"), what, fix);
    }
}

/// Connects to each, and says whether it answers; `roots` are certificates in PEM to trust beside the usual ones.
pub async fn look(
    components: &BTreeMap<String, ComponentConfig>,
    roots: &[u8],
) -> Vec<(String, Result<(), String>)> {
    let mut all = BTreeMap::new();
    for component in components.values() {
        all.extend(addresses(&component.variables));
    }
    let mut answers = Vec::new();
    for (name, address) in all {
        answers.push((name.to_owned(), connect(address, roots).await));
    }
    answers
}

async fn connect(address: &str, roots: &[u8]) -> Result<(), String> {
    let target = Target::parse(&key(address), roots)?;
    let (client, carrier) = target.connect().await.map_err(|e| describe(&e))?;
    let carrier = tokio::spawn(carrier);
    let asked = client.batch_execute("select 1").await;
    carrier.abort();
    asked.map_err(|e| describe(&e))
}

fn addresses(variables: &BTreeMap<String, String>) -> impl Iterator<Item = (&str, &str)> {
    let all = variables.iter().map(|(name, value)| (&**name, &**value));
    all.filter(|(name, value)| name.ends_with(SUFFIX) && !value.trim().is_empty())
}

fn key(address: &str) -> Key {
    Key {
        address: address.to_owned(),
        roots: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::outbound::AllowedHost;

    fn faults(address: &str) -> Vec<String> {
        let component = ComponentConfig {
            name: "slave".to_owned(),
            source: "slave.wasm".into(),
            environment: Vec::new(),
            sqlite: Default::default(),
            key_value: Default::default(),
            variables: BTreeMap::from([("tenant_database".to_owned(), address.to_owned())]),
            outbound: vec![AllowedHost::parse("postgres://db.test:5432").unwrap()],
        };
        let components = BTreeMap::from([("slave".to_owned(), component)]);
        let mut faults = Faults::default();
        check(&components, &mut faults);
        faults.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_database_that_components_may_not_reach_is_a_fault_at_start() {
        assert_eq!(faults(""), Vec::<String>::new());
        assert_eq!(faults("host=db.test user=a dbname=b"), Vec::<String>::new());
        let far = faults("host=other.test user=a password=hidden dbname=b");
        assert!(far[0].contains("other.test:5432") && far[0].contains("postgres_server"));
        assert!(!far[0].contains("hidden"));
        assert!(faults("host=")[0].contains("tenant_database"));
    }
}
