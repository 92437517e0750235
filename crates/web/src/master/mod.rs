//! The master: people, keys, sub-accounts.

pub mod account;
pub mod api_key;
pub mod audit;
pub mod brake;
pub mod caller;
pub mod confirmation;
pub mod invite;
pub mod mail;
pub mod node;
pub mod nodes;
pub mod outbox;
pub mod password;
pub mod person;
pub mod relocation;
pub mod second_factor;
pub mod session;
pub mod subaccount;
pub mod turn;

use domain::identity::Identity;
use http::Method;
use serde_json::json;
use store::Db;
use store::audit::Actor;

use crate::auth;
use crate::context::{Context, LOCAL};
use crate::front;
use crate::http::{Answer, Problem, Request, Response};
use crate::pages;

pub use caller::Caller;

/// Answers a request. It never fails: a problem is an answer too.
pub fn handle(cx: &Context<'_>, request: &Request) -> Response {
    match front::received(cx, request) {
        Ok(None) => handle_here(cx, request),
        Ok(Some((request, own))) => {
            let cx = Context {
                own: Some(own),
                ..cx.clone()
            };
            handle_here(&cx, &request)
        }
        Err(problem) => problem.into_response(),
    }
}

fn handle_here(cx: &Context<'_>, request: &Request) -> Response {
    route(cx, request).unwrap_or_else(|p| refuse(cx, request, p))
}

/// A problem as whoever asked can read it: a page for people, JSON for programs.
pub fn refuse(cx: &Context<'_>, request: &Request, problem: Problem) -> Response {
    match is_api(&request.path) {
        true => problem.into_response(),
        false => pages::problem(pages::routes::master_frame(cx, request), problem),
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
    auth::require_same_origin(request, cx.url())?;
    match segments[..] {
        ["api", "v1", ref rest @ ..] => api(cx, &*db, request, rest),
        ["node", "v1", "introspect"] => {
            only(request, &Method::POST)?;
            node::introspect(cx, &*db, request)
        }
        ["node", "v1", "outbox", call @ ("claim" | "results")] => {
            only(request, &Method::POST)?;
            // These mails hold links that sign people in: they are the master's own worker's alone.
            if node::caller(cx, &*db, request)?.id != LOCAL {
                return Err(Problem::forbidden());
            }
            match call {
                "claim" => outbox::claim(cx, &*db, request),
                _ => outbox::results(cx, &*db, request),
            }
        }
        ["node", "v1", "heartbeat"] => {
            only(request, &Method::POST)?;
            node::heartbeat(cx, &*db, request)
        }
        ["node", "v1", "join"] => {
            only(request, &Method::POST)?;
            node::join(cx, &*db, request)
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
    let (get, post, delete) = (Method::GET, Method::POST, Method::DELETE);
    let caller = || require(cx, db, request);
    match (&request.method, path) {
        (m, ["signup"]) if *m == post => {
            account::sign_up(cx, db, request, &request.json()?).map(|s| s.answer(cx, 201))
        }
        (m, ["login"]) if *m == post => {
            account::log_in(cx, db, request, &request.json()?).map(|s| s.answer(cx, 200))
        }
        (m, ["logout"]) if *m == post => account::log_out(cx, db, request),
        (m, ["confirmations"]) if *m == post => {
            confirmation::confirm(cx, db, request, &request.json()?)
                .map(|email| Response::json(200, &json!({"email": email})))
        }
        (m, ["password-resets"]) if *m == post => {
            password::forget(cx, db, request, &request.json()?)
        }
        (m, ["password-resets", "completion"]) if *m == post => {
            password::reset(cx, db, request, &request.json()?).map(|_| Response::no_content())
        }
        (m, ["invites", "acceptance"]) if *m == post => {
            invite::accept(cx, db, request, &request.json()?).map(|s| s.answer(cx, 201))
        }
        (m, ["me"]) if *m == get => account::me(db, &any(cx, db, request)?),
        (m, ["me", "confirmation-mail"]) if *m == post => {
            confirmation::resend(cx, db, &any(cx, db, request)?)
        }
        (m, ["second-factor", "reset"]) if *m == post => second_factor::reset(cx, db, request),
        (_, ["me", _] | ["second-factor", ..]) => me(cx, db, request, path),
        (m, ["sessions"]) if *m == get => session::list(cx, db, &caller()?),
        (m, ["sessions"]) if *m == delete => session::end_all(cx, db, &caller()?),
        (m, ["sessions", id]) if *m == delete => session::end(cx, db, &caller()?, id),
        (_, ["people" | "invites", ..]) => team(cx, db, request, &caller()?, path),
        (m, ["audit-log"]) if *m == get => audit::list(db, &caller()?, request),
        (m, ["api-keys"]) if *m == get => api_key::list(db, &caller()?),
        (m, ["api-keys"]) if *m == post => {
            api_key::create(cx, db, &caller()?, &request.json()?).map(|k| Response::json(201, &k))
        }
        (m, ["api-keys", id]) if *m == delete => api_key::revoke(cx, db, &caller()?, id),
        (m, ["subaccounts"]) if *m == get => subaccount::list(cx, db, &caller()?.who),
        (m, ["subaccounts"]) if *m == post => {
            subaccount::create(cx, db, &caller()?, &request.json()?)
                .map(|s| Response::json(202, &s))
        }
        (_, ["subaccounts", id, "relocations"]) => {
            let by = nodes::require(cx, db, request)?;
            relocation::route(cx, db, request, &by, id)
        }
        (_, ["subaccounts", id, rest @ ..]) => {
            let owner = subaccount::Owner::of(cx, db, request, id)?;
            of_subaccount(cx, db, request, &owner, rest)
        }
        (_, ["nodes", rest @ ..]) => {
            let by = nodes::require(cx, db, request)?;
            of_nodes(cx, db, request, &by, rest)
        }
        (
            _,
            ["signup" | "login" | "logout" | "confirmations" | "password-resets" | "me"]
            | ["sessions" | "audit-log" | "api-keys" | "subaccounts"]
            | ["sessions" | "api-keys", _]
            | ["password-resets", "completion"],
        ) => Err(Problem::method_not_allowed()),
        _ => Err(Problem::not_found()),
    }
}

/// What people do with their own account.
fn me(cx: &Context<'_>, db: &dyn Db, request: &Request, path: &[&str]) -> Answer {
    if !matches!(
        path,
        ["me", "password" | "email"]
            | ["second-factor"]
            | [
                "second-factor",
                "confirmation" | "removal" | "recovery-codes"
            ]
    ) {
        return Err(Problem::not_found());
    }
    only(request, &Method::POST)?;
    let caller = require(cx, db, request)?;
    match path {
        ["me", "password"] => password::change(cx, db, &caller, &request.json()?),
        ["me", "email"] => confirmation::ask(cx, db, &caller, &request.json()?),
        ["second-factor"] => second_factor::begin(cx, db, &caller, &request.json()?)
            .map(|setup| Response::json(200, &setup)),
        ["second-factor", "confirmation"] => {
            second_factor::enable(cx, db, &caller, &request.json()?)
                .map(|codes| Response::json(200, &codes))
        }
        ["second-factor", "removal"] => second_factor::disable(cx, db, &caller, &request.json()?),
        _ => second_factor::renew_codes(cx, db, &caller, &request.json()?)
            .map(|codes| Response::json(200, &codes)),
    }
}

/// The team of an account.
fn team(
    cx: &Context<'_>,
    db: &dyn Db,
    request: &Request,
    caller: &Caller,
    path: &[&str],
) -> Answer {
    let (get, post, delete) = (Method::GET, Method::POST, Method::DELETE);
    match (&request.method, path) {
        (m, ["people"]) if *m == get => person::list(db, caller),
        (m, ["people", id]) if *m == Method::PATCH => {
            person::change(cx, db, caller, id, &request.json()?)
        }
        (m, ["people", id]) if *m == delete => person::remove(cx, db, caller, id),
        (m, ["people", id, "grants", place]) if *m == Method::PUT => {
            person::put_grant(cx, db, caller, id, place, &request.json()?)
        }
        (m, ["people", id, "grants", place]) if *m == delete => {
            person::delete_grant(cx, db, caller, id, place)
        }
        (m, ["invites"]) if *m == get => invite::list(db, caller),
        (m, ["invites"]) if *m == post => invite::create(cx, db, caller, &request.json()?)
            .map(|invite| Response::json(201, &invite)),
        (m, ["invites", id]) if *m == delete => invite::revoke(cx, db, caller, id),
        (m, ["invites", id, "mail"]) if *m == post => {
            invite::resend(cx, db, caller, id).map(|invite| Response::json(202, &invite))
        }
        (
            _,
            ["people" | "invites"]
            | ["people" | "invites", _]
            | ["people", _, "grants", _]
            | ["invites", _, "mail"],
        ) => Err(Problem::method_not_allowed()),
        _ => Err(Problem::not_found()),
    }
}

fn of_subaccount(
    cx: &Context<'_>,
    db: &dyn Db,
    request: &Request,
    owner: &subaccount::Owner,
    path: &[&str],
) -> Answer {
    match (&request.method, path) {
        (&Method::GET, []) => subaccount::get(cx, db, owner),
        (&Method::PATCH, []) => subaccount::change(cx, db, owner, &request.json()?),
        (&Method::DELETE, []) => subaccount::delete(cx, db, owner, request),
        (&Method::POST, ["restoration"]) => subaccount::restore(cx, db, owner),
        (_, [] | ["restoration"]) => Err(Problem::method_not_allowed()),
        _ => Err(Problem::not_found()),
    }
}

fn of_nodes(cx: &Context<'_>, db: &dyn Db, request: &Request, by: &Actor, path: &[&str]) -> Answer {
    match (&request.method, path) {
        (&Method::GET, []) => nodes::list(cx, db),
        (&Method::POST, []) => {
            nodes::create(cx, db, by, &request.json()?).map(|n| Response::json(201, &n))
        }
        (&Method::GET, [id]) => nodes::get(cx, db, id),
        (&Method::PATCH, [id]) => nodes::change(cx, db, by, id, &request.json()?),
        (&Method::DELETE, [id]) => nodes::revoke(cx, db, by, id),
        (&Method::POST, [id, "rotations"]) => {
            nodes::rotate(cx, db, by, id).map(|n| Response::json(201, &n))
        }
        (_, [] | [_] | [_, "rotations"]) => Err(Problem::method_not_allowed()),
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
    Ok(Caller::of(cx, db, request)?
        .filter(|c| !c.unconfirmed)
        .map(|c| c.who))
}

/// Whoever is signed in, even if they may do nothing yet.
fn any(cx: &Context<'_>, db: &dyn Db, request: &Request) -> Result<Caller, Problem> {
    Caller::of(cx, db, request)?.ok_or_else(Problem::unauthorized)
}

fn require(cx: &Context<'_>, db: &dyn Db, request: &Request) -> Result<Caller, Problem> {
    let caller = any(cx, db, request)?;
    match caller.unconfirmed {
        true => Err(confirmation::first()),
        false => Ok(caller),
    }
}
