//! `sluice node …`

use super::Master;
use crate::cli::{AtMaster, NodeCommand};
use anyhow::Result;
use chrono::{DateTime, Utc};
use serde_json::{Value, json};

/// Runs one of the commands.
pub fn run(at: &AtMaster, command: &NodeCommand) -> Result<()> {
    let master = Master::open(&at.master, &at.data)?;
    match command {
        NodeCommand::Add {
            kind,
            name,
            slave,
            assigned_only,
        } => {
            let mut body = json!({"kind": kind.name(), "unassigned": !assigned_only});
            if let Some(name) = name {
                body["name"] = name.as_str().into();
            }
            if let Some(slave) = slave {
                body["slave_id"] = slave.as_str().into();
            }
            let made = master.call("POST", "/api/v1/nodes", Some(&body))?;
            invited(at, &made);
        }
        NodeCommand::List => list(&master.call("GET", "/api/v1/nodes", None)?),
        NodeCommand::Rotate { id } => {
            let made = master.call("POST", &format!("/api/v1/nodes/{id}/rotations"), None)?;
            invited(at, &made);
            println!("its old credential is good for ten minutes after that");
        }
        NodeCommand::Revoke { id } => {
            master.call("DELETE", &format!("/api/v1/nodes/{id}"), None)?;
            println!("{id} is revoked");
        }
        NodeCommand::Drain { id } => drain(&master, id, true)?,
        NodeCommand::Undrain { id } => drain(&master, id, false)?,
    }
    Ok(())
}

fn drain(master: &Master, id: &str, draining: bool) -> Result<()> {
    let body = json!({"draining": draining});
    let node = master.call("PATCH", &format!("/api/v1/nodes/{id}"), Some(&body))?;
    println!("{} is {}", text(&node["name"]), text(&node["status"]));
    Ok(())
}

fn invited(at: &AtMaster, made: &Value) {
    println!("node   {} ({})", text(&made["id"]), text(&made["name"]));
    println!("token  {}", text(&made["join_token"]));
    println!(
        "join   {} join --master {} --token {}",
        program(made),
        at.master,
        text(&made["join_token"])
    );
    println!(
        "the token is good once, until {}",
        time(&made["expires_at"])
    );
}

fn list(answer: &Value) {
    println!(
        "{:36}  {:6}  {:20}  {:8}  {:9}  {:8}  LAST SEEN",
        "ID", "KIND", "NAME", "STATUS", "SLOTS", "VERSION"
    );
    for node in answer["items"].as_array().into_iter().flatten() {
        let slots = match node["slots"].as_i64() {
            Some(slots) => format!("{}/{slots}", node["placed"]),
            None => "-".to_owned(),
        };
        println!(
            "{:36}  {:6}  {:20}  {:8}  {:9}  {:8}  {}",
            text(&node["id"]),
            text(&node["kind"]),
            text(&node["name"]),
            text(&node["status"]),
            slots,
            node["version"].as_str().unwrap_or("-"),
            last_seen(node, Utc::now().timestamp_millis())
        );
    }
}

/// When a node was last heard of, or what it still waits for.
fn last_seen(node: &Value, now: i64) -> String {
    let seen = time(&node["seen_at"]);
    match (text(&node["status"]), node["join_until"].as_i64()) {
        ("joining", Some(until)) if until <= now => {
            "its token has expired; `sluice node rotate` gives another one".to_owned()
        }
        ("joining", _) => format!(
            "waits for `{} join` until {}",
            program(node),
            time(&node["join_until"])
        ),
        ("revoked", _) => seen,
        _ if node["healthy"] == false => format!("{seen} (silent)"),
        _ => seen,
    }
}

/// What a node of its kind is started with.
fn program(node: &Value) -> &'static str {
    match text(&node["kind"]) {
        "worker" => "sluice-worker",
        _ => "sluice",
    }
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// A time in UTC, as people read it.
fn time(value: &Value) -> String {
    let at = value
        .as_i64()
        .and_then(DateTime::<Utc>::from_timestamp_millis);
    at.map_or_else(
        || "never".to_owned(),
        |at| at.format("%Y-%m-%d %H:%M:%S").to_string(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_that_never_joined_says_what_it_waits_for() {
        let joining =
            |until: Value| json!({"kind": "slave", "status": "joining", "join_until": until});
        assert_eq!(
            last_seen(&joining(json!(1_795_262_400_000_i64)), 1_795_262_399_999),
            "waits for `sluice join` until 2026-11-21 12:00:00"
        );
        let late = last_seen(&joining(json!(1_795_262_400_000_i64)), 1_795_262_400_000);
        assert!(late.starts_with("its token has expired"), "{late}");
        let silent = json!({"kind": "slave", "status": "active", "healthy": false, "seen_at": 0});
        assert_eq!(last_seen(&silent, 1), "1970-01-01 00:00:00 (silent)");
    }
}
