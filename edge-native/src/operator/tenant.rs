//! `sluice tenant …`: what the operator does with one sub-account, whosever it is.

use super::{Master, archive};
use crate::cli::{AtMaster, TenantCommand};
use anyhow::{Result, bail};
use serde_json::{Value, json};
use std::time::Duration;

/// Runs one of the commands.
pub fn run(at: &AtMaster, command: &TenantCommand) -> Result<()> {
    let master = Master::open(&at.master, &at.data)?;
    let path = |id: &str| format!("/api/v1/subaccounts/{id}");
    let now = match command {
        TenantCommand::Show { id } => master.call("GET", &path(id), None)?,
        TenantCommand::Suspend { id } => {
            master.call("PATCH", &path(id), Some(&json!({"suspended": true})))?
        }
        TenantCommand::Resume { id } => {
            master.call("PATCH", &path(id), Some(&json!({"suspended": false})))?
        }
        TenantCommand::Delete { id, grace } => {
            let query = grace.map_or_else(String::new, |days| format!("?grace={days}"));
            master.call("DELETE", &format!("{}{query}", path(id)), None)?
        }
        TenantCommand::Undelete { id } => {
            master.call("POST", &format!("{}/restoration", path(id)), None)?
        }
        TenantCommand::Move { id, to } => return relocate(&master, &path(id), to.as_deref()),
        TenantCommand::Archive { id, to } => return archive::write(&master, id, to),
        TenantCommand::Restore {
            from,
            to,
            keep_pending,
        } => return archive::restore(&master, from, to, *keep_pending),
    };
    show(&now);
    Ok(())
}

/// How often it is asked how far a move is.
const LOOK: Duration = Duration::from_secs(1);

/// Asks for a move, says how far it is, and waits for its end. It goes on if this program ends before.
fn relocate(master: &Master, path: &str, to: Option<&str>) -> Result<()> {
    let all = format!("{path}/relocations");
    let body = to.map_or_else(|| json!({}), |node| json!({"node_id": node}));
    let made = master.call("POST", &all, Some(&body))?;
    let mut said = Value::Null;
    loop {
        let now = master.call("GET", &all, None)?;
        let mut moves = now["items"].as_array().into_iter().flatten();
        let now = moves
            .find(|m| m["id"] == made["id"])
            .unwrap_or(&Value::Null);
        let state = json!([now["state"], now["reason"]]);
        if state != said {
            let reason = now["reason"].as_str().unwrap_or_default();
            println!("{} {reason}", now["state"].as_str().unwrap_or("unknown"));
            said = state;
        }
        match now["state"].as_str() {
            Some("done") => break,
            Some("failed") => bail!("it stayed where it was, and works there"),
            _ => std::thread::sleep(LOOK),
        }
    }
    show(&master.call("GET", path, None)?);
    Ok(())
}

fn show(subaccount: &Value) {
    let text = |name: &str| subaccount[name].as_str().unwrap_or("-").to_owned();
    println!("{}  {}  {}", text("id"), text("status"), text("name"));
    for (name, value) in [("address", text("base_url")), ("reason", text("reason"))] {
        if value != "-" {
            println!("{name}: {value}");
        }
    }
}
