//! Moves of sub-accounts between nodes, for whoever runs the installation. `stages::relocate` drives them.

use serde::Deserialize;
use serde_json::{Value, json};
use store::audit::{self, Actor, Change as Noted};
use store::node::{self, SILENT};
use store::placement::{self, Eligible};
use store::relocation::{self, Relocation};
use store::subaccount::{self, Subaccount};
use store::{Db, transaction};

use crate::context::{Context, new_id};
use crate::http::{Answer, Problem, Request, Response};

/// What asking for a move takes.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct NewRelocation {
    /// The slave to move to; left away, the one with the most free slots.
    pub node_id: Option<String>,
}

fn view(r: &Relocation) -> Value {
    json!({
        "id": r.id,
        "source_id": r.source_id,
        "target_id": r.target_id,
        "state": r.state.name(),
        "reason": r.reason,
        "created_at": r.created_at,
        "finished_at": r.finished_at,
    })
}

/// Answers `/api/v1/subaccounts/{id}/relocations`.
///
/// # Errors
/// 404 when there is no such sub-account, 405, or what the call says.
pub fn route(cx: &Context<'_>, db: &dyn Db, request: &Request, by: &Actor, id: &str) -> Answer {
    let found = subaccount::any(db, id)?.ok_or_else(Problem::not_found)?;
    match request.method.as_str() {
        "GET" => {
            let items: Vec<_> = relocation::list(db, id)?.iter().map(view).collect();
            Ok(Response::json(200, &json!({"items": items})))
        }
        "POST" => create(cx, db, by, &found, &request.json()?),
        _ => Err(Problem::method_not_allowed()),
    }
}

/// Asks for a move.
fn create(
    cx: &Context<'_>,
    db: &dyn Db,
    by: &Actor,
    found: &Subaccount,
    input: &NewRelocation,
) -> Answer {
    let who = Eligible {
        now: cx.now,
        alive_since: cx.now - SILENT,
        local: !cx.config.slave_url.is_empty(),
    };
    let (id, subaccount) = (new_id(cx.now), found.id.as_str());
    transaction(db, || {
        let target = target(db, input, subaccount, who)?;
        if !relocation::insert(db, &id, subaccount, &target, who)? {
            return Err(refused(db, found, &target)?);
        }
        let change = Noted {
            action: "subaccount.relocated",
            subject_id: subaccount,
            subject: &found.name,
            after: Some(json!({"node_id": target})),
            ..Noted::default()
        };
        let of_account = Actor {
            account_id: Some(found.account_id.clone()),
            ..by.clone()
        };
        Ok(audit::record(db, cx.now, &of_account, &change)?)
    })?;
    let all = relocation::list(db, subaccount)?;
    let made = all.iter().find(|r| r.id == id);
    Ok(Response::json(
        202,
        &view(made.ok_or_else(Problem::not_found)?),
    ))
}

fn target(
    db: &dyn Db,
    input: &NewRelocation,
    subaccount: &str,
    who: Eligible,
) -> Result<String, Problem> {
    let known =
        |id: &String| Ok::<_, Problem>(node::get(db, id)?.is_some_and(|n| n.kind == "slave"));
    match &input.node_id {
        Some(id) if known(id)? => Ok(id.clone()),
        Some(_) => Err(Problem::invalid(
            "node_id",
            "names no slave of this installation",
        )),
        None => {
            let home = placement::home(db, subaccount)?.unwrap_or_default();
            placement::roomiest(db, &home, who)?.ok_or_else(no_slot)
        }
    }
}

fn no_slot() -> Problem {
    Problem::new(409, "No free slot").detail(
        "No other slave that has reported within a minute has room for it. Nothing was changed.",
    )
}

/// Why it cannot move now.
fn refused(db: &dyn Db, found: &Subaccount, target: &str) -> Result<Problem, Problem> {
    let moving = relocation::list(db, &found.id)?;
    let going = moving
        .iter()
        .any(|r| r.finished_at.is_none() && r.target_id != target);
    let detail = if found.state() != "active" {
        format!(
            "It is {}. Only an active sub-account can move.",
            found.state()
        )
    } else if placement::home(db, &found.id)?.as_deref() == Some(target) {
        "It lives there already.".to_owned()
    } else if going {
        "It is moving already.".to_owned()
    } else {
        return Ok(no_slot().detail(
            "The slave has no free slot for it, takes nothing new, has not reported within a minute, or it is moving there already. Nothing was changed.",
        ));
    };
    Ok(Problem::new(409, "The sub-account cannot move now")
        .detail(format!("{detail} Nothing was changed.")))
}
