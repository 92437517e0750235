//! `sluice tenant …`: what the operator does with one sub-account, whosever it is.

use super::{Master, archive};
use crate::cli::{AtMaster, TenantCommand};
use anyhow::Result;
use serde_json::{Value, json};

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
        TenantCommand::Archive { id, to } => return archive::write(&master, id, to),
        TenantCommand::Restore { from, to } => return archive::restore(&master, from, to),
    };
    show(&now);
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
