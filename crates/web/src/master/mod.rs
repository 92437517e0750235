//! The master: people, keys, sub-accounts.

pub mod account;
pub mod api_key;
pub mod node;
pub mod subaccount;

use http::Method;
use store::session::Identity;
use store::{Db, api_key as keys, session};

use crate::auth::{self, Credential};
use crate::context::Context;
use crate::http::{Answer, Problem, Request, Response};
use crate::pages;

/// Answers a request. It never fails: a problem is an answer too.
pub fn handle(cx: &Context<'_>, request: &Request) -> Response {
    let wants_page = !is_api(&request.path);
    match route(cx, request) {
        Ok(response) => response,
        Err(problem) if wants_page => {
            pages::problem(pages::routes::master_frame(cx, request), problem)
        }
        Err(problem) => problem.into_response(),
    }
}

fn is_api(path: &str) -> bool {
    path.starts_with("/api/") || path.starts_with("/node/") || path == "/openapi.json"
}

fn route(cx: &Context<'_>, request: &Request) -> Answer {
    let segments = request.segments();
    if let ["static", name] = segments[..] {
        return pages::asset(request, name);
    }
    if let ["openapi.json"] = segments[..] {
        only(request, &Method::GET)?;
        return Ok(crate::openapi::answer());
    }
    let db = cx.master()?;
    auth::require_same_origin(request, &cx.config.public_url)?;
    match segments[..] {
        ["api", "v1", ref rest @ ..] => api(cx, &*db, request, rest),
        ["node", "v1", "introspect"] => {
            auth::require_secret(request, &cx.config.node_secret)?;
            only(request, &Method::POST)?;
            node::introspect(cx, &*db, request)
        }
        _ => crate::pages::routes::master(cx, &*db, request),
    }
}

fn only(request: &Request, method: &Method) -> Result<(), Problem> {
    if request.method == *method {
        Ok(())
    } else {
        Err(Problem::method_not_allowed())
    }
}

fn api(cx: &Context<'_>, db: &dyn Db, request: &Request, path: &[&str]) -> Answer {
    let who = || require(cx, db, request);
    match (&request.method, path) {
        (&Method::POST, ["signup"]) => {
            account::sign_up(cx, db, &request.json()?).map(|s| s.answer(cx, 201))
        }
        (&Method::POST, ["login"]) => {
            account::log_in(cx, db, &request.json()?).map(|s| s.answer(cx, 200))
        }
        (&Method::POST, ["logout"]) => account::log_out(db, request),
        (&Method::GET, ["me"]) => account::me(db, &who()?),
        (&Method::GET, ["api-keys"]) => api_key::list(db, &who()?),
        (&Method::POST, ["api-keys"]) => {
            api_key::create(cx, db, &who()?, &request.json()?).map(|k| Response::json(201, &k))
        }
        (&Method::DELETE, ["api-keys", id]) => api_key::revoke(cx, db, &who()?, id),
        (&Method::GET, ["subaccounts"]) => subaccount::list(cx, db, &who()?),
        (&Method::POST, ["subaccounts"]) => {
            subaccount::create(cx, db, &who()?, &request.json()?).map(|s| Response::json(202, &s))
        }
        (&Method::GET, ["subaccounts", id]) => subaccount::get(cx, db, &who()?, id),
        (
            _,
            ["signup" | "login" | "logout" | "me" | "api-keys" | "subaccounts"]
            | ["api-keys" | "subaccounts", _],
        ) => Err(Problem::method_not_allowed()),
        _ => Err(Problem::not_found()),
    }
}

/// Who is signed in, if anybody is.
///
/// # Errors
/// When the store fails.
pub fn identity(
    cx: &Context<'_>,
    db: &dyn Db,
    request: &Request,
) -> Result<Option<Identity>, Problem> {
    let Some(credential) = Credential::of(request) else {
        return Ok(None);
    };
    Ok(match &credential {
        Credential::Key(_) => keys::find(db, &credential.hash(), cx.now)?,
        Credential::Session(_) => session::find(db, &credential.hash(), cx.now)?,
    })
}

fn require(cx: &Context<'_>, db: &dyn Db, request: &Request) -> Result<Identity, Problem> {
    identity(cx, db, request)?.ok_or_else(Problem::unauthorized)
}
