//! `sluice migrate --all`: brings every sub-account's database up to date now, instead of when it is next touched.

use super::Master;
use super::client::Client;
use crate::cli::Migrate;
use anyhow::{Result, bail};
use serde_json::{Value, json};

/// Sub-accounts that one call brings up to date: it must be done within a request's time.
const AT_ONCE: u32 = 50;

/// Asks one slave after the other.
pub fn run(options: &Migrate) -> Result<()> {
    let at = &options.at;
    let master = Master::open(&at.master, &at.data)?;
    let nodes = master.call("GET", "/api/v1/nodes", None)?;
    let mut failures = 0;
    for node in nodes["items"].as_array().into_iter().flatten() {
        let live = matches!(node["status"].as_str(), Some("active" | "draining"));
        if node["kind"] != "slave" || !live {
            continue;
        }
        match slave(&master.slave(node)?) {
            Ok((done, failed)) => {
                println!("{}: {done} up to date, {} failed", name(node), failed.len());
                for (tenant, reason) in &failed {
                    println!("  {tenant}: {reason}");
                }
                failures += failed.len();
            }
            Err(error) => {
                println!("{}: {error:#}", name(node));
                failures += 1;
            }
        }
    }
    match failures {
        0 => Ok(()),
        n => bail!(
            "{n} failed; they stay at the version they had. Mend the reason and run this again"
        ),
    }
}

fn name(node: &Value) -> &str {
    node["name"].as_str().unwrap_or_default()
}

/// How many were done, and which failed and why.
fn slave(slave: &Client) -> Result<(u64, Vec<(String, String)>)> {
    let (mut done, mut failed, mut after) = (0, Vec::new(), Value::Null);
    loop {
        let body = json!({"after": after, "limit": AT_ONCE});
        let answer = slave.demand("POST", "/node/v1/migrations", Some(&body))?;
        done += answer["done"].as_u64().unwrap_or_default();
        for one in answer["failed"].as_array().into_iter().flatten() {
            let text = |name: &str| one[name].as_str().unwrap_or_default().to_owned();
            failed.push((text("id"), text("reason")));
        }
        after = answer["next"].clone();
        if after.is_null() {
            return Ok((done, failed));
        }
    }
}
