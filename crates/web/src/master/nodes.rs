//! The nodes of the installation, for whoever runs it: the operator by the command line, and the people of the accounts
//! that run the installation, which the first one does.

use domain::identity::Action;
use http::header;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use store::audit::{self, Actor};
use store::node::{self, Node, SILENT};
use store::{Db, placement, transaction};

use crate::assertion::{Said, Verifier};
use crate::auth;
use crate::client::Client;
use crate::context::{Context, LOCAL, new_id};
use crate::http::{Answer, Problem, Request, Response};
use crate::input;
use crate::master::node::{join_token, name};

/// How long a token to join with is good, in milliseconds.
const JOIN: i64 = 24 * 60 * 60 * 1000;
/// Nodes that an installation may have.
const MAX: i64 = 1000;

/// Whether the request bears the operator's signature: whoever made it holds the master's data folder.
pub fn is_operator(cx: &Context<'_>, request: &Request) -> bool {
    let token = request.header(header::AUTHORIZATION).and_then(auth::bearer);
    let claims = token.and_then(|token| {
        Verifier::of_operator(&cx.config.secret_key).check(token, "master", cx.now)
    });
    claims.is_some_and(|claims| claims.said == Said::Operator)
}

/// How the audit log names the operator.
pub fn operator(request: &Request) -> Actor {
    Actor {
        who: "operator".to_owned(),
        via: "operator".to_owned(),
        address: Client::of(request).text(),
        ..Actor::default()
    }
}

/// Lets the operator through, and people who may manage an account that runs the installation.
///
/// # Errors
/// 401 for nobody, 403 for others.
pub fn require(cx: &Context<'_>, db: &dyn Db, request: &Request) -> Result<Actor, Problem> {
    if is_operator(cx, request) {
        return Ok(operator(request));
    }
    let caller = super::require(cx, db, request)?;
    match caller.who.may(Action::Manage) && node::is_operator(db, &caller.who.account_id)? {
        true => Ok(caller.actor),
        false => Err(Problem::forbidden()
            .detail("Only those who run the installation see its nodes. Nothing was changed.")),
    }
}

fn note(
    db: &dyn Db,
    now: i64,
    by: &Actor,
    action: &str,
    id: &str,
    name: &str,
) -> store::Result<()> {
    let change = audit::Change {
        action,
        subject_id: id,
        subject: name,
        ..audit::Change::default()
    };
    audit::record(db, now, by, &change)
}

/// What a new node takes.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewNode {
    /// What it is.
    pub kind: Kind,
    /// What people call it.
    #[serde(default)]
    pub name: Option<String>,
    /// The slave that a worker works for; left away, the one beside the master.
    #[serde(default)]
    pub slave_id: Option<String>,
    /// Whether a worker also works for profiles that are assigned to nobody.
    #[serde(default = "yes")]
    pub unassigned: bool,
}

fn yes() -> bool {
    true
}

/// Kinds of nodes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Hosts sub-accounts.
    Slave,
    /// Does what reaches the outside world.
    Worker,
}

/// A token to join with: the only time that it is shown.
#[derive(Debug, Serialize)]
pub struct Invited {
    /// UUIDv7.
    pub id: String,
    /// `slave` or `worker`: which program joins with it.
    pub kind: String,
    /// What people call it.
    pub name: String,
    /// Good once.
    pub join_token: String,
    /// Until when.
    pub expires_at: i64,
}

/// Makes a node that is to join.
///
/// # Errors
/// 422 for a field that cannot be taken, 409 when there are too many.
pub fn create(
    cx: &Context<'_>,
    db: &dyn Db,
    by: &Actor,
    input: &NewNode,
) -> Result<Invited, Problem> {
    let kind = match input.kind {
        Kind::Slave => "slave",
        Kind::Worker => "worker",
    };
    let name = name(input.name.as_deref(), kind)?;
    if node::count(db)? >= MAX {
        return Err(Problem::new(409, "Too many nodes")
            .detail(format!("An installation has at most {MAX} nodes.")));
    }
    let slave_id = match (input.kind, input.slave_id.as_deref()) {
        (Kind::Slave, Some(_)) => {
            return Err(Problem::invalid("slave_id", "is for workers only"));
        }
        (Kind::Slave, None) => None,
        (Kind::Worker, id) => {
            let id = id.unwrap_or(LOCAL);
            let slave = node::get(db, id)?.filter(|n| n.kind == "slave" && n.status != "revoked");
            if slave.is_none() || (id == LOCAL && cx.config.slave_url.is_empty()) {
                return Err(Problem::invalid(
                    "slave_id",
                    "names no slave of this installation",
                ));
            }
            Some(id)
        }
    };
    let (token, join_hash) = join_token();
    let id = new_id(cx.now);
    let new = node::New {
        id: &id,
        kind,
        name: &name,
        slave_id,
        unassigned: input.unassigned,
        join_hash: &join_hash,
        join_until: cx.now + JOIN,
    };
    transaction(db, || {
        node::insert(db, &new, cx.now)?;
        note(db, cx.now, by, "node.invited", &id, &name)
    })?;
    Ok(Invited {
        id,
        kind: kind.to_owned(),
        name,
        join_token: token,
        expires_at: cx.now + JOIN,
    })
}

/// A node as the API shows it.
pub fn view(n: &Node, now: i64) -> Value {
    let report: Value = serde_json::from_str(&n.report).unwrap_or_default();
    let mut view = json!({
        "id": n.id,
        "kind": n.kind,
        "name": n.name,
        "status": n.status,
        "healthy": is_healthy(n, now),
        "version": n.version,
        "base_url": n.base_url,
        "seen_at": Some(n.seen_at).filter(|at| *at > 0),
        "created_at": n.created_at,
        "join_until": Some(n.join_until).filter(|_| n.status == "joining"),
        "schema": report["schema"],
        "host": report["host"],
    });
    if n.kind == "slave" {
        view["slots"] = n.slots.into();
        view["used"] = n.used.into();
        view["placed"] = n.placed.into();
    } else {
        view["slave_id"] = n.slave_id.clone().into();
        view["unassigned"] = n.unassigned.into();
        view["work"] = report["work"].clone();
    }
    view
}

/// Whether it has reported within the last minute.
pub fn is_healthy(n: &Node, now: i64) -> bool {
    n.seen_at > now - SILENT && n.status != "revoked"
}

/// All nodes.
///
/// # Errors
/// When the store fails.
pub fn list(cx: &Context<'_>, db: &dyn Db) -> Answer {
    let nodes = node::list(db, !cx.config.slave_url.is_empty())?;
    let items: Vec<_> = nodes.iter().map(|n| view(n, cx.now)).collect();
    Ok(Response::json(200, &json!({"items": items})))
}

fn find(db: &dyn Db, id: &str) -> Result<Node, Problem> {
    node::get(db, id)?.ok_or_else(Problem::not_found)
}

/// One node, with what is on it.
///
/// # Errors
/// 404 when there is none.
pub fn get(cx: &Context<'_>, db: &dyn Db, id: &str) -> Answer {
    let mut view = view(&find(db, id)?, cx.now);
    let here = placement::of_node(db, id)?;
    view["subaccounts"] = here
        .iter()
        .map(|(id, state)| json!({"id": id, "state": state.name()}))
        .collect();
    Ok(Response::json(200, &view))
}

/// What `PATCH` takes.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Change {
    /// What people call it.
    pub name: Option<String>,
    /// Whether it is to take nothing new.
    pub draining: Option<bool>,
}

/// Changes a node.
///
/// # Errors
/// 404 when there is none, 409 when it has not joined, 422 for a field that cannot be taken.
pub fn change(cx: &Context<'_>, db: &dyn Db, by: &Actor, id: &str, input: &Change) -> Answer {
    let before = find(db, id)?;
    let name = input.name.as_deref().map(|n| input::name("name", n));
    let name = name.transpose()?;
    if name.is_none() && input.draining.is_none() {
        return Err(Problem::invalid("draining", "say what is to change"));
    }
    transaction(db, || {
        if let Some(name) = &name {
            node::set_name(db, id, name)?;
            note(db, cx.now, by, "node.renamed", id, name)?;
        }
        if let Some(draining) = input.draining {
            let status = if draining { "draining" } else { "active" };
            if !node::set_status(db, id, status)? {
                return Err(Problem::new(409, "The node does not work")
                    .detail("It has not joined yet, or was revoked. Nothing was changed."));
            }
            let action = match draining {
                true => "node.drained",
                false => "node.undrained",
            };
            note(db, cx.now, by, action, id, &before.name)?;
        }
        Ok(())
    })?;
    Ok(Response::json(200, &view(&find(db, id)?, cx.now)))
}

/// A new token for a node to join with: its credential is exchanged when it does, and the old one is good for ten
/// minutes more.
///
/// # Errors
/// 404 when there is no such node.
pub fn rotate(cx: &Context<'_>, db: &dyn Db, by: &Actor, id: &str) -> Result<Invited, Problem> {
    let node = find(db, id)?;
    let (token, join_hash) = join_token();
    transaction(db, || {
        if !node::offer(db, id, &join_hash, cx.now + JOIN)? {
            return Err(Problem::new(409, "The node takes no token")
                .detail("It was revoked, or it is the one beside the master, which needs none."));
        }
        Ok(note(db, cx.now, by, "node.rotated", &node.id, &node.name)?)
    })?;
    Ok(Invited {
        id: node.id,
        kind: node.kind,
        name: node.name,
        join_token: token,
        expires_at: cx.now + JOIN,
    })
}

/// Ends a node for good: within two seconds nothing that it shows is good any more. What was asked of it and not answered
/// goes to another node; what lives on it stays there and is shown as lost.
///
/// # Errors
/// 404 when there is no such node, 409 for the one beside the master.
pub fn revoke(cx: &Context<'_>, db: &dyn Db, by: &Actor, id: &str) -> Answer {
    let node = find(db, id)?;
    transaction(db, || {
        if !node::revoke(db, id)? {
            return Err(Problem::new(409, "The node cannot be revoked")
                .detail("It was revoked before, or it is the one beside the master."));
        }
        note(db, cx.now, by, "node.revoked", id, &node.name)?;
        Ok(placement::node_lost(db, id, cx.now)?)
    })?;
    Ok(Response::no_content())
}
