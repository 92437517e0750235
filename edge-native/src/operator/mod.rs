//! The operator's commands. They talk HTTP to the master that runs, and show it a short statement that only a holder of
//! its `secret_key` can make.

mod archive;
mod client;
pub mod join;
pub mod migrate;
pub mod node;
pub mod person;
pub mod tenant;

use anyhow::{Context, Result, bail};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use client::{Client, reason};
use ed25519_dalek::{Signer, SigningKey};
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

/// How long a statement holds, in seconds.
const HOLDS: u64 = 120;

/// The master, for its operator.
pub struct Master {
    client: Client,
    url: String,
    secret: String,
}

impl Master {
    /// The master at `url`, whose data folder is `data`.
    pub fn open(url: &str, data: &Path) -> Result<Self> {
        let secret = secret_key(data)?;
        let token = statement(&secret, "operator", "master", now()?);
        Ok(Self {
            client: Client::new(url, Some(&token))?,
            url: url.to_owned(),
            secret,
        })
    }

    /// A slave as the API shows it, called as the master calls it.
    pub fn slave(&self, node: &Value) -> Result<Client> {
        let id = node["id"].as_str().unwrap_or_default();
        let url = match id {
            "local" => self.url.as_str(),
            _ => node["base_url"].as_str().unwrap_or_default(),
        };
        let token = statement(&self.secret, "master", id, now()?);
        Client::new(url, Some(&token))
    }

    /// The slave that a sub-account lives on.
    pub fn home_of(&self, id: &str) -> Result<Client> {
        let subaccount = self.call("GET", &format!("/api/v1/subaccounts/{id}"), None)?;
        let node = subaccount["node_id"].as_str();
        let node = node.context("the sub-account has no slave yet: see `sluice tenant show`")?;
        self.slave(&self.call("GET", &format!("/api/v1/nodes/{node}"), None)?)
    }

    /// Calls it; the answer's body.
    pub fn call(&self, method: &str, path: &str, body: Option<&Value>) -> Result<Value> {
        let (status, answer) = self.client.call(method, path, body)?;
        if (200..300).contains(&status) {
            return Ok(answer);
        }
        if status == 401 {
            bail!(
                "the master does not accept the operator's signature: name its own data folder with --data, or set \
                 SPIN_VARIABLE_SECRET_KEY as for the master; and compare the clocks"
            );
        }
        bail!("the master answered {status}: {}", reason(&answer))
    }
}

/// The master's `secret_key`, from where the master has it.
fn secret_key(data: &Path) -> Result<String> {
    if let Ok(secret) = std::env::var("SPIN_VARIABLE_SECRET_KEY") {
        return Ok(secret);
    }
    let path = data.join("secrets.toml");
    let text = std::fs::read_to_string(&path).with_context(|| {
        format!(
            "{} cannot be read: name the master's data folder with --data",
            path.display()
        )
    })?;
    let known: toml::Table = toml::from_str(&text).with_context(|| path.display().to_string())?;
    let secret = known.get("secret_key").and_then(|value| value.as_str());
    secret.map(str::to_owned).with_context(|| {
        format!(
            "{} has no secret_key: start the master once",
            path.display()
        )
    })
}

fn now() -> Result<u64> {
    Ok(SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs())
}

/// A statement by the operator or the master: a JWS as the components check it. Each has a key of its own.
fn statement(secret: &str, issuer: &str, audience: &str, now: u64) -> String {
    let purpose = if issuer == "master" {
        "assertion"
    } else {
        issuer
    };
    let seed = Sha256::new()
        .chain_update(purpose)
        .chain_update([0])
        .chain_update(secret)
        .finalize();
    let key = SigningKey::from_bytes(&seed.into());
    let header = r#"{"alg":"EdDSA","typ":"JWT"}"#;
    let claims = serde_json::json!({
        "iss": issuer, "aud": audience, "iat": now, "exp": now + HOLDS, "kind": issuer,
    });
    let text = format!(
        "{}.{}",
        URL_SAFE_NO_PAD.encode(header),
        URL_SAFE_NO_PAD.encode(claims.to_string())
    );
    let signature = key.sign(text.as_bytes()).to_bytes();
    format!("{text}.{}", URL_SAFE_NO_PAD.encode(signature))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `web::assertion` checks the same text in its own test: the two must agree.
    #[test]
    fn the_operators_statement_is_the_one_that_the_master_checks() {
        let made = statement("secret", "operator", "master", 1_795_262_400);
        assert_eq!(made, OPERATOR);
    }

    const OPERATOR: &str = include_str!("../../tests/operator.jws");
}
