//! `sluice join`: makes this machine's data folder a slave of a master.

use super::client::Client;
use crate::cli::Join;
use crate::data::DataFolder;
use anyhow::{Context, Result, bail};
use serde_json::json;

/// Shows the token, and keeps what the master answers.
pub fn run(options: &Join) -> Result<()> {
    // Held meanwhile: a host that runs on this folder would not notice.
    let data = DataFolder::open(&options.data)?;
    let mut secrets = data.secrets()?;
    let master = options.master.trim_end_matches('/');
    let version = env!("CARGO_PKG_VERSION");
    let body = json!({"token": options.token, "version": version, "kind": "slave"});
    let answer = Client::new(master, None)?.demand("POST", "/node/v1/join", Some(&body))?;
    let text = |name: &str| {
        let value = answer[name].as_str().map(str::to_owned);
        value.with_context(|| format!("the master's answer has no {name}"))
    };
    if text("kind")? != "slave" {
        bail!(
            "this token is for a worker: use it with `sluice-worker join`. This master is older and took it: ask for a new one"
        );
    }
    secrets.set(&[
        ("master_url", master.to_owned()),
        ("master_public_key", text("master_public_key")?),
        ("node_id", text("node_id")?),
        ("node_credential", text("credential")?),
    ])?;
    println!(
        "joined {master} as {} ({}). Start it with:\n  sluice up --manifest deploy/slave.toml --data {} --public-url URL",
        text("name")?,
        text("node_id")?,
        options.data.display()
    );
    Ok(())
}
