//! What a slave does by itself from time to time: it tells the master how it is (version, room, schemas, what is known of
//! the machine), looks whether its host names are still their owners', and whether slots that were set aside are empty now.

mod names;

use glue::outbound::{Call, JSON, call};
use glue::{Labels, now};
use serde_json::{Value, json};
use store::migrate::{SLAVE, TENANT, latest};
use store::{Db, slot, tenant};
use web::Config;
use web::master::node::Heartbeat;

glue::scheduled!(run);

fn run(config: &Config) -> Result<String, String> {
    let control = tenant::open_control(&Labels).map_err(|e| e.to_string())?;
    let told = report(config, &*control);
    // A master that is away is no reason to leave names alone.
    let names = names::look(config, &*control).map_err(|e| e.to_string())?;
    slot::look_again(&Labels, &*control, now()).map_err(|e| e.to_string())?;
    Ok(format!("{}, {names} names looked at", told?))
}

fn report(config: &Config, control: &dyn Db) -> Result<String, String> {
    let used = tenant::count(control).map_err(|e| e.to_string())?;
    let report = Heartbeat {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        slots: config.slots,
        used,
        base_url: Some(config.public_url.clone()),
        node_url: Some(config.node_url.clone()).filter(|url| !url.is_empty()),
        schema: json!({"control": latest(SLAVE), "tenant": latest(TENANT)}),
        host: host(config),
        work: Value::Null,
    };
    let sent = call(&Call {
        method: "POST",
        url: format!("{}/node/v1/heartbeat", config.master_api_url),
        bearer: config.credential().to_owned(),
        media_type: JSON,
        body: serde_json::to_vec(&report).unwrap_or_default(),
    });
    match sent {
        Ok((200, _)) => Ok(format!("reported at {}", now())),
        Ok((status, body)) => Err(format!(
            "the master does not take this node's report ({status}): {}",
            String::from_utf8_lossy(&body)
        )),
        Err(failure) => Err(format!("the master cannot be told: {}", failure.reason())),
    }
}

/// How the machine is, when the host tells.
fn host(config: &Config) -> Value {
    if config.host_status_url.is_empty() {
        return Value::Null;
    }
    let asked = call(&Call {
        method: "GET",
        url: config.host_status_url.clone(),
        bearer: String::new(),
        media_type: JSON,
        body: Vec::new(),
    });
    match asked {
        Ok((200, body)) => serde_json::from_slice(&body).unwrap_or_default(),
        _ => Value::Null,
    }
}
