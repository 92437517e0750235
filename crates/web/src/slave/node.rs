//! What the master asks of a slave.

use http::Method;
use serde::Deserialize;
use serde_json::json;
use stages::allocate::{Placed, Placement, Wish};
use store::tenant::{self, Tenant};
use store::tenant_state::{self, State};
use store::{Db, transaction};

use crate::context::Context;
use crate::http::{Answer, Problem, Request, Response};
use crate::input;
use crate::slave::{access, archive, custom_domain, transfer};

/// Answers `/node/v1/…`.
///
/// # Errors
/// 404, 405, or what the call says.
pub fn route(cx: &Context<'_>, request: &Request, path: &[&str]) -> Answer {
    match (&request.method, path) {
        (&Method::PUT, ["subaccounts", id]) => place(cx, &uuid(id)?, &request.json()?),
        (&Method::DELETE, ["subaccounts", id]) => release(cx, &uuid(id)?, request),
        (
            _,
            [
                "subaccounts",
                id,
                call @ ("arrival" | "departure" | "digests"),
                rest @ ..,
            ],
        ) => transfer::route(cx, request, &uuid(id)?, call, rest),
        (&Method::GET, ["subaccounts", id, "archive"]) => {
            archive::download(&access::any(cx, &uuid(id)?)?)
        }
        (&Method::GET, ["status"]) => Ok(Response::json(
            200,
            &room(cx, &*cx.control()?, String::new())?,
        )),
        (&Method::POST, ["migrations"]) => migrations(cx, &request.json()?),
        (&Method::GET, ["domains"]) => custom_domain::verified(cx, request),
        (
            _,
            ["subaccounts", _]
            | ["subaccounts", _, "archive"]
            | ["status" | "migrations" | "domains"],
        ) => Err(Problem::method_not_allowed()),
        _ => Err(Problem::not_found()),
    }
}

/// What `POST /node/v1/migrations` is asked.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Migrations {
    /// The `next` of the answer before; none to begin.
    after: Option<String>,
    /// How many tenants this call may bring up to date.
    limit: Option<i64>,
}

/// Brings some tenants up to date and says which of them failed, and where to go on: `next` is null after the last.
fn migrations(cx: &Context<'_>, asked: &Migrations) -> Answer {
    let limit = asked.limit.unwrap_or(50).clamp(1, 500);
    let control = cx.control()?;
    let round = tenant::migrate_some(cx.stores, &*control, asked.after.as_deref(), limit)?;
    let failed = round.failed.iter();
    let failed: Vec<_> = failed
        .map(|(id, reason)| json!({"id": id, "reason": reason}))
        .collect();
    Ok(Response::json(
        200,
        &json!({"done": round.done, "failed": failed, "next": round.next}),
    ))
}

fn uuid(id: &str) -> Result<String, Problem> {
    let id = uuid::Uuid::parse_str(id).map_err(|_| Problem::not_found())?;
    Ok(id.to_string())
}

/// How much room there is, and where a sub-account is served.
pub(super) fn room(cx: &Context<'_>, control: &dyn Db, base_url: String) -> store::Result<Placed> {
    Ok(Placed {
        base_url,
        slots: cx.config.slots,
        used: tenant::count(control)?,
    })
}

/// Gives a sub-account a slot and a database, and does what the master wants of it. Asking twice is the same as once, and
/// a call that comes late changes nothing.
fn place(cx: &Context<'_>, id: &str, placement: &Placement) -> Answer {
    let name = input::name("name", &placement.name)?;
    let account = &placement.account_id;
    let state = match placement.state {
        Wish::Active => State::Active,
        Wish::Suspended => State::Suspended,
        Wish::Deleted => State::Deleted,
    };
    let control = cx.control()?;
    tenant_state::heal(&*control, id, cx.now)?;
    let tenant = transaction(&*control, || {
        let known = tenant_state::get(&*control, id)?;
        if known.state == State::Gone && placement.revision <= known.revision {
            return Err(late());
        }
        if !placement.fresh && tenant::get(&*control, id)?.is_none() {
            return Err(lost());
        }
        let found = tenant::allocate(
            cx.stores,
            &*control,
            id,
            account,
            &name,
            cx.config.slots,
            cx.now,
        )?;
        let tenant = found.ok_or_else(|| full(cx))?;
        if placement.revision < known.revision {
            return Err(late());
        }
        if tenant.name != name || tenant.account_id != *account {
            tenant_state::rename(&*control, id, &name, account)?;
        }
        match tenant_state::put(&*control, id, placement.revision, state, cx.now)? {
            true => Ok(tenant),
            false => Err(busy()),
        }
    })?;
    settle(cx, &*control, tenant)?;
    let base_url = format!("{}/s/{id}", cx.config.public_url);
    Ok(Response::json(200, &room(cx, &*control, base_url)?))
}

/// Makes the database of a tenant that was allocated, and opens it.
pub(super) fn settle(
    cx: &Context<'_>,
    control: &dyn Db,
    tenant: Tenant,
) -> Result<Box<dyn Db>, Problem> {
    let id = tenant.id.clone();
    let db = tenant::settle(cx.stores, control, tenant, cx.config.slots, cx.now)?;
    let db = db.ok_or_else(|| full(cx))?;
    if tenant_state::get(control, &id)?.state == State::Gone {
        // It was let go of meanwhile: what was just made may have come after the end.
        drop(db);
        tenant::destroy(cx.stores, control, &id)?;
        return Err(late());
    }
    Ok(db)
}

pub(super) fn full(cx: &Context<'_>) -> Problem {
    let detail = format!("All {} slots of this node are taken.", cx.config.slots);
    Problem::new(409, "No free slot").detail(detail)
}

fn lost() -> Problem {
    Problem::new(410, "This node does not have it").detail(
        "The sub-account should live here and does not: the node has lost its data. Restore it from an archive.",
    )
}

pub(super) fn late() -> Problem {
    Problem::new(409, "This call came too late").detail(
        "The sub-account was asked for something newer, or let go of, since. Nothing was changed.",
    )
}

pub(super) fn busy() -> Problem {
    Problem {
        retry_after: Some(5),
        ..Problem::new(503, "The sub-account is moving").detail("Nothing was changed. Ask again.")
    }
}

/// Lets go of a sub-account: what it held is erased, and its slot is free. Asking twice is the same as once.
fn release(cx: &Context<'_>, id: &str, request: &Request) -> Answer {
    let revision = request.param("revision").map(|r| r.parse::<i64>());
    let Some(Ok(revision)) = revision else {
        return Err(Problem::invalid("revision", "must be a number"));
    };
    let control = cx.control()?;
    transaction(&*control, || {
        let known = tenant_state::get(&*control, id)?;
        if known.revision > revision && known.state != State::Gone {
            return Err(late());
        }
        let moved = known.moved.as_ref().filter(|_| known.state == State::Gone);
        Ok(tenant_state::set(
            &*control,
            id,
            revision,
            State::Gone,
            moved,
            cx.now,
        )?)
    })?;
    tenant::destroy(cx.stores, &*control, id)?;
    tenant_state::tidy(&*control, cx.now)?;
    Ok(Response::json(200, &room(cx, &*control, String::new())?))
}
