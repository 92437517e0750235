//! Fills the demo agency through the API, as its people would.

use super::api::Api;
use super::people::{Dice, csv, person};
use super::{Demo, history};
use anyhow::{Context, Result, bail};
use serde_json::{Value, json};
use std::path::Path;
use std::time::Duration;

/// Leads that arrive when the demo opens, so that mails leave while somebody looks.
const FRESH: usize = 240;

/// Who signs in to the demo.
pub const EMAIL: &str = "demo@sluice.test";

/// Makes the agency unless it is there. `url` is the application, `databases` the folder of its databases.
pub async fn fill(demo: &Demo, url: &str, password: &str, databases: &Path) -> Result<()> {
    let mut api = Api::new();
    let account = json!({"email": EMAIL, "password": password, "account": "Harbor & Finch"});
    match api.post(&format!("{url}/api/v1/signup"), &account).await? {
        (201, _) => {}
        (409, _) => return Ok(()),
        (status, answer) => bail!("signing up answered {status}: {answer}"),
    }
    let key = api
        .create(&format!("{url}/api/v1/api-keys"), &json!({"name": "demo"}))
        .await?;
    api.with_key(key["key"].as_str().context("a key")?.to_owned());
    // The list shows the newest first: the one worth looking at.
    subaccount(&mut api, url, "Tidewater Foods").await?;
    let id = subaccount(&mut api, url, "Northwind Robotics").await?;
    let base = format!("{url}/s/{id}/api/v1");
    for (name, from, daily_max) in [
        ("Mara", "Mara Lindt <mara@northwind.example>", 300),
        ("Jonas", "Jonas Beck <jonas@northwind.example>", 200),
    ] {
        api.create(
            &format!("{base}/profiles"),
            &profile(name, from, daily_max, demo),
        )
        .await?;
    }
    let db = history::open(databases, &id)?;
    let mut dice = Dice::new(7);
    let now = history::now(&db)?;
    let hot = history::leads(&db, now, &mut dice)?;
    for rule in [first_rule(), second_rule()] {
        api.create(&format!("{base}/rules"), &rule).await?;
    }
    history::outreach(&db, &hot, now, &mut dice)?;
    let fresh: Vec<_> = (0..FRESH).map(|i| person(90_000 + i, &mut dice)).collect();
    let import = api
        .upload(
            &format!("{base}/imports?name=trade-fair.csv&tag=hot"),
            csv(&fresh),
        )
        .await?;
    tracing::info!(import = %import["id"], "the demo is filled");
    Ok(())
}

async fn subaccount(api: &mut Api, url: &str, name: &str) -> Result<String> {
    let created = api
        .create(&format!("{url}/api/v1/subaccounts"), &json!({"name": name}))
        .await?;
    let id = created["id"].as_str().context("an id")?.to_owned();
    let active = async {
        loop {
            let state: Value = api.get(&format!("{url}/api/v1/subaccounts/{id}")).await?;
            if state["status"] == "active" {
                return Ok(id.clone());
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), active)
        .await
        .context("the sub-account has no slot")?
}

fn profile(name: &str, from: &str, daily_max: u32, demo: &Demo) -> Value {
    let settings = json!({"host": demo.smtp.ip().to_string(), "port": demo.smtp.port(), "tls": "none", "from": from});
    json!({"name": name, "type": "smtp", "settings": settings, "quotas": {"daily_max": daily_max, "interval_ms": 700}})
}

fn first_rule() -> Value {
    let body = "Hi {{ first_name | fallback(\"there\") }},\n\nI saw that {{ company }} is growing in {{ country }}. \
                Teams like yours cut changeovers by a third with our cells.\n\nShall we talk next week?\n\n{{ sender_name }}\n\n\
                If you would rather not hear from me: {{ unsubscribe_url }}";
    rule(
        "Say hello to hot leads",
        "hot",
        0,
        "A thought for {{ company | fallback(\"your team\") }}",
        body,
    )
}

fn second_rule() -> Value {
    let body = "Hi {{ first_name | fallback(\"there\") }},\n\nour next letter on automation in {{ industry | fallback(\"your field\") }} \
                goes out on Friday.\n\n{{ sender_name }}\n\nNo more letters: {{ unsubscribe_url }}";
    rule(
        "Welcome to the newsletter",
        "newsletter",
        3600,
        "Your first letter, {{ first_name }}",
        body,
    )
}

fn rule(name: &str, tag: &str, delay_s: i64, subject: &str, body: &str) -> Value {
    json!({
        "name": name,
        "trigger": {"type": "tag_added", "tag": tag},
        "delay_s": delay_s,
        "action": {"type": "new_outreach", "outreach_type": "email", "subject": subject, "body": body},
        "apply_to_previous": false,
    })
}
