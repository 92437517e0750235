//! What the master asks of a slave.

use http::Method;
use serde_json::json;
use stages::allocate::{Placed, Placement};
use store::tenant;

use crate::context::Context;
use crate::http::{Answer, Problem, Request, Response};
use crate::input;

/// Answers `/node/v1/…`.
///
/// # Errors
/// 404, 405, or what the call says.
pub fn route(cx: &Context<'_>, request: &Request, path: &[&str]) -> Answer {
    match (&request.method, path) {
        (&Method::PUT, ["subaccounts", id]) => place(cx, id, &request.json()?),
        (&Method::GET, ["status"]) => {
            let used = tenant::count(&*cx.control()?)?;
            Ok(Response::json(
                200,
                &json!({"slots": cx.config.slots, "used": used}),
            ))
        }
        (_, ["subaccounts", _] | ["status"]) => Err(Problem::method_not_allowed()),
        _ => Err(Problem::not_found()),
    }
}

/// Gives a sub-account a slot and a database. Asking twice is the same as once.
fn place(cx: &Context<'_>, id: &str, placement: &Placement) -> Answer {
    let id = uuid::Uuid::parse_str(id)
        .map_err(|_| Problem::not_found())?
        .to_string();
    let name = input::name("name", &placement.name)?;
    let control = cx.control()?;
    let found = tenant::allocate(
        &*control,
        &id,
        &placement.account_id,
        &name,
        cx.config.slots,
        cx.now,
    )?;
    let Some(tenant) = found else {
        let detail = format!("All {} slots of this node are taken.", cx.config.slots);
        return Err(Problem::new(409, "No free slot").detail(detail));
    };
    tenant::open(cx.stores, &*control, &tenant)?;
    Ok(Response::json(
        200,
        &Placed {
            base_url: format!("{}/s/{id}", cx.config.public_url),
        },
    ))
}
