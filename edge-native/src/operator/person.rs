//! `sluice person …`

use super::Master;
use crate::cli::{AtMaster, PersonCommand};
use anyhow::Result;
use serde_json::json;

/// Runs one of the commands.
pub fn run(at: &AtMaster, command: &PersonCommand) -> Result<()> {
    let master = Master::open(&at.master, &at.data)?;
    let PersonCommand::ResetFactor { email } = command;
    let body = json!({"email": email});
    master.call("POST", "/api/v1/second-factor/reset", Some(&body))?;
    println!("{email} logs in with the password alone now, and is told so by mail");
    Ok(())
}
