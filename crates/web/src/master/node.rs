//! What nodes ask the master: to be let in, whom a credential belongs to; and what they report.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use store::audit::{self, Actor, Change};
use store::node::{self, Joined, Known, Report};
use store::{Db, transaction};

use crate::assertion::{Claims, Issuer, Said, Signer, WorkerIdentity};
use crate::auth::{self, JOIN_PREFIX, NODE_PREFIX};
use crate::client::Client;
use crate::context::{Context, LOCAL, random_text};
use crate::http::{Answer, Problem, Request, Response};
use crate::input;
use crate::master::caller;

/// How long a slave may go on believing an answer while the master cannot be asked, in seconds.
const HOLDS: i64 = 15 * 60;
/// The longest report that is kept, in bytes.
const REPORT_MAX: usize = 8 * 1024;

/// A slave asks whom a credential belongs to (after RFC 7662). It sends the hash, never the credential.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Introspect {
    /// `key`, `session` or `worker`.
    pub kind: String,
    /// As in [`crate::auth::Credential::hash`]; of a worker's credential, [`auth::token_hash`] of the kind `node`.
    pub token_hash: String,
    /// The host that the caller's session must be bound to; empty for the master's own.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub host: String,
}

impl Introspect {
    /// What its answer is remembered by. On another host the same token is another question.
    pub fn name(&self) -> String {
        match self.host.as_str() {
            "" => self.token_hash.clone(),
            host => auth::token_hash(host, &self.token_hash),
        }
    }
}

/// The answer.
#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Introspected {
    /// Whether it is somebody's.
    pub active: bool,
    /// Whose: a signed statement for the node that asked (after RFC 9701), see [`crate::assertion`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub assertion: Option<String>,
}

/// The node that is calling.
///
/// # Errors
/// 401 when it is none of ours, or no longer.
pub fn caller(cx: &Context<'_>, db: &dyn Db, request: &Request) -> Result<Known, Problem> {
    let token = request
        .header(http::header::AUTHORIZATION)
        .and_then(auth::bearer);
    if let Some(token) = token.filter(|token| token.starts_with(NODE_PREFIX)) {
        let hash = auth::token_hash("node", token);
        return node::by_credential(db, &hash, cx.now)?.ok_or_else(|| {
            Problem::unauthorized()
                .detail("This node was revoked, or its credential was rotated: join again with a new token.")
        });
    }
    auth::require_secret(request, &cx.config.node_secret)?;
    Ok(Known {
        id: LOCAL.to_owned(),
        kind: "slave".to_owned(),
        slave_id: None,
        unassigned: true,
        draining: false,
    })
}

/// Says whom a credential belongs to.
///
/// # Errors
/// 401 for a node that is none of ours, 403 for a worker, 422 for another body, or when the store fails.
pub fn introspect(cx: &Context<'_>, db: &dyn Db, request: &Request) -> Answer {
    let asking = caller(cx, db, request)?;
    if asking.kind != "slave" {
        return Err(Problem::forbidden());
    }
    let input: Introspect = request.json()?;
    let said = match input.kind.as_str() {
        "worker" => {
            worker(cx, db, &asking, &input.token_hash)?.map(|worker| Said::Worker { worker })
        }
        _ => caller::vouch(cx, db, &input)?.map(|identity| Said::Identity { identity }),
    };
    let assertion = said.map(|said| {
        let claims = Claims::of_master(&asking.id, &input.token_hash, cx.now, HOLDS, said);
        Signer::new(Issuer::Master, &cx.config.secret_key).sign(&claims)
    });
    let answer = Introspected {
        active: assertion.is_some(),
        assertion,
    };
    Ok(Response::json(200, &answer))
}

/// A worker, if it is one of the slave that asks.
fn worker(
    cx: &Context<'_>,
    db: &dyn Db,
    asking: &Known,
    hash: &str,
) -> store::Result<Option<WorkerIdentity>> {
    let found = node::by_credential(db, hash, cx.now)?;
    let own = |w: &Known| w.kind == "worker" && w.slave_id.as_ref() == Some(&asking.id);
    Ok(found.filter(own).map(|w| WorkerIdentity {
        id: w.id,
        unassigned: w.unassigned,
        draining: w.draining,
    }))
}

/// What a node sends to be let in.
#[derive(Debug, Serialize, Deserialize)]
pub struct Join {
    /// The token that the operator was given.
    pub token: String,
    /// The node's version.
    #[serde(default)]
    pub version: Option<String>,
    /// `slave` or `worker`: a token for the other one stays good.
    #[serde(default)]
    pub kind: Option<String>,
}

/// Lets a node in: its token is taken, and it gets a credential of its own, shown this once.
///
/// # Errors
/// 401 for a token that is not good, or no longer.
pub fn join(cx: &Context<'_>, db: &dyn Db, request: &Request) -> Answer {
    let input: Join = request.json()?;
    let credential = format!("{NODE_PREFIX}{}", random_text(32));
    let joined = match input.token.starts_with(JOIN_PREFIX) {
        true => transaction(db, || take(cx, db, request, &input, &credential))?,
        false => None,
    };
    let Some(joined) = joined else {
        return Err(Problem::unauthorized().detail(
            "This token was used already, has ended, was never given, or is for the other kind of node: slaves join with `sluice join`, workers with `sluice-worker join`. Ask for a new one: `sluice node add`, or `sluice node rotate`.",
        ));
    };
    let mut answer = json!({
        "node_id": joined.id,
        "kind": joined.kind,
        "name": joined.name,
        "credential": credential,
        "master_public_key": Signer::new(Issuer::Master, &cx.config.secret_key).public_key(),
    });
    if let Some(slave) = joined.slave_id {
        answer["slave_url"] = slave_url(cx, db, &slave)?.into();
    }
    Ok(Response::json(200, &answer))
}

/// Uses a token up, and notes it.
fn take(
    cx: &Context<'_>,
    db: &dyn Db,
    request: &Request,
    input: &Join,
    credential: &str,
) -> store::Result<Option<Joined>> {
    let hashes = (
        auth::token_hash("join", &input.token),
        auth::token_hash("node", credential),
    );
    let (version, kind) = (input.version.as_deref(), input.kind.as_deref());
    let joined = node::join(db, &hashes.0, &hashes.1, version, kind, cx.now)?;
    if let Some(joined) = &joined {
        let by = Actor {
            who: joined.name.clone(),
            via: "join token".to_owned(),
            address: Client::of(request).text(),
            ..Actor::default()
        };
        let change = Change {
            action: "node.joined",
            subject_id: &joined.id,
            subject: &joined.name,
            ..Change::default()
        };
        audit::record(db, cx.now, &by, &change)?;
    }
    Ok(joined)
}

/// Where a worker reaches its slave; none before the slave has reported for the first time.
fn slave_url(cx: &Context<'_>, db: &dyn Db, id: &str) -> Result<Option<String>, Problem> {
    if id == LOCAL {
        return Ok(Some(cx.config.public_url.clone()));
    }
    let slave = node::get(db, id)?;
    Ok(slave.and_then(|s| s.node_url.or(s.base_url)))
}

/// What a node says of itself. A newer node may say more than this master knows.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Heartbeat {
    /// Its program's version.
    pub version: String,
    /// Sub-accounts that a slave has room for.
    pub slots: i64,
    /// Sub-accounts that it has.
    pub used: i64,
    /// Where people reach a slave.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub base_url: Option<String>,
    /// Where the master reaches it, when that is another address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub node_url: Option<String>,
    /// The versions of its schemas, by kind of database.
    #[serde(skip_serializing_if = "Value::is_null")]
    pub schema: Value,
    /// Its machine: `cpu`, `memory`, `disk`.
    #[serde(skip_serializing_if = "Value::is_null")]
    pub host: Value,
    /// What a worker is doing.
    #[serde(skip_serializing_if = "Value::is_null")]
    pub work: Value,
}

/// Takes a node's report.
///
/// # Errors
/// 401 for a node that is none of ours, 422 for another body, or when the store fails.
pub fn heartbeat(cx: &Context<'_>, db: &dyn Db, request: &Request) -> Answer {
    let from = caller(cx, db, request)?;
    let said: Heartbeat = request.json()?;
    let (base_url, node_url) = (
        address("base_url", said.base_url)?,
        address("node_url", said.node_url)?,
    );
    let report = json!({"schema": said.schema, "host": said.host, "work": said.work}).to_string();
    let report = match report.len() > REPORT_MAX {
        true => "{}".to_owned(),
        false => report,
    };
    let before = node::get(db, &from.id)?.ok_or_else(Problem::not_found)?;
    let node_url = node_url.or_else(|| base_url.clone());
    let kept = Report {
        version: &said.version.chars().take(40).collect::<String>(),
        slots: said.slots.clamp(0, 1_000_000),
        used: said.used.max(0),
        report: &report,
        base_url: base_url.as_deref(),
        node_url: node_url.as_deref(),
    };
    let moved = base_url
        .as_ref()
        .filter(|_| from.id != LOCAL && from.kind == "slave")
        .filter(|url| before.base_url.as_ref() != Some(url));
    transaction(db, || {
        node::report(db, &from.id, &kept, cx.now)?;
        moved.map_or(Ok(()), |url| node::rebase(db, &from.id, url))
    })?;
    Ok(Response::json(
        200,
        &json!({"node_id": from.id, "name": before.name, "draining": from.draining}),
    ))
}

fn address(field: &str, url: Option<String>) -> Result<Option<String>, Problem> {
    let Some(url) = url.filter(|url| !url.is_empty()) else {
        return Ok(None);
    };
    let parsed = url::Url::parse(&url).ok();
    let good = parsed.is_some_and(|u| {
        matches!(u.scheme(), "http" | "https") && u.has_host() && u.query().is_none()
    });
    match good && url.len() <= 300 {
        true => Ok(Some(url.trim_end_matches('/').to_owned())),
        false => Err(Problem::invalid(
            field,
            "must be an http:// or https:// address",
        )),
    }
}

/// A new token to join with, and its hash.
pub fn join_token() -> (String, String) {
    let token = format!("{JOIN_PREFIX}{}", random_text(32));
    let hash = auth::token_hash("join", &token);
    (token, hash)
}

/// A node's name: what is given, or its kind.
///
/// # Errors
/// 422 when it cannot be taken.
pub fn name(given: Option<&str>, kind: &str) -> Result<String, Problem> {
    match given {
        Some(name) => input::name("name", name),
        None => Ok(kind.to_owned()),
    }
}
