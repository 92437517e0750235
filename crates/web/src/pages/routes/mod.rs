//! From requests to pages: one handler file a noun. A handler loads, calls what the API calls, and
//! fills the view.

mod api_key;
mod dashboard;
mod import;
mod lead;
mod letter;
mod names;
mod profile;
mod request;
mod rule;
mod session;
mod subaccount;
mod timeline;

use http::{HeaderName, Method};
use store::Db;
use store::session::Identity;

use super::unsubscribe::{Unsubscribe, Unsubscribed};
use super::{Page, Pager};
use crate::context::Context;
use crate::http::{Answer, Problem, Request, Response};
use crate::slave::{Scope, access};

const HX_REQUEST: &str = "hx-request";
const HX_REFRESH: HeaderName = HeaderName::from_static("hx-refresh");

/// A page is asked for by GET or HEAD; the host leaves the body of the latter away.
fn method(request: &Request) -> Method {
    match request.method {
        Method::HEAD => Method::GET,
        ref method => method.clone(),
    }
}

/// Pages of the master.
///
/// # Errors
/// 404 for an unknown one, 405 for another method.
pub fn master(cx: &Context<'_>, db: &dyn Db, request: &Request) -> Answer {
    let who = crate::master::identity(cx, db, request)?;
    let path = request.segments();
    match (&method(request), &path[..]) {
        (&Method::GET, [""] | ["login" | "signup"]) if who.is_some() => {
            return Ok(Response::see_other("/subaccounts"));
        }
        (&Method::GET, [""]) => return Ok(Response::see_other("/login")),
        (&Method::GET, ["login"]) => return Ok(session::log_in_form(cx, request)),
        (&Method::POST, ["login"]) => return session::log_in(cx, db, request),
        (&Method::GET, ["signup"]) => return Ok(session::sign_up_form(cx)),
        (&Method::POST, ["signup"]) => return session::sign_up(cx, db, request),
        (&Method::POST, ["logout"]) => return session::log_out(db, request),
        (_, [""] | ["login" | "signup" | "logout"]) => return Err(Problem::method_not_allowed()),
        (_, ["subaccounts" | "api-keys", ..]) => {}
        _ => return Err(Problem::not_found()),
    }
    let Some(who) = who else {
        return Ok(sign_in(cx, request));
    };
    match (&method(request), &path[..]) {
        (&Method::GET, ["subaccounts"]) => subaccount::list(cx, db, &who),
        (&Method::POST, ["subaccounts"]) => subaccount::create(cx, db, &who, request),
        (&Method::GET, ["api-keys"]) => api_key::list(cx, db, &who),
        (&Method::POST, ["api-keys"]) => api_key::create(cx, db, &who, request),
        (&Method::POST, ["api-keys", id, "revocation"]) => api_key::revoke(cx, db, &who, id),
        (_, ["subaccounts"] | ["api-keys"] | ["api-keys", _, "revocation"]) => {
            Err(Problem::method_not_allowed())
        }
        _ => Err(Problem::not_found()),
    }
}

/// Pages of a sub-account.
///
/// # Errors
/// 404 for an unknown one, 405 for another method.
pub fn slave(scope: Scope<'_>, request: &Request, who: &Identity, path: &[&str]) -> Answer {
    let scope = &scope;
    let page = tenant_frame(scope, who);
    match (&method(request), path) {
        (&Method::GET, [] | [""]) => dashboard::show(scope, page),
        (&Method::GET, ["leads"]) => lead::list(scope, page, request),
        (&Method::GET, ["leads", id]) => lead::show(scope, page, id),
        (&Method::GET, ["imports"]) => import::list(scope, page),
        (&Method::GET, ["imports", id]) => import::show(scope, page, id),
        (&Method::GET, ["imports", id, "progress"]) => import::progress(scope, id),
        (&Method::GET, ["profiles"]) => profile::list(scope, page),
        (&Method::POST, ["profiles"]) => profile::create(scope, page, request),
        (&Method::GET, ["profiles", "new"]) => Ok(profile::form(page)),
        (&Method::POST, ["profiles", id, "activation"]) => profile::switch(scope, request, id),
        (&Method::GET, ["rules"]) => rule::list(scope, page),
        (&Method::POST, ["rules"]) => rule::create(scope, page, request),
        (&Method::GET, ["rules", "new"]) => rule::form(scope, page),
        (&Method::GET, ["rules", id]) => rule::show(scope, page, request, id),
        (&Method::POST, ["rules", id, "activation"]) => rule::switch(scope, request, id),
        (&Method::GET, ["requests"]) => request::list(scope, page, request),
        (&Method::GET, ["requests", id]) => request::show(scope, page, id),
        (&Method::POST, ["requests", id, "cancellation"]) => request::cancel(scope, id),
        (&Method::GET, ["timeline"]) => timeline::show(scope, page, request),
        (_, [] | [""])
        | (_, ["leads" | "imports" | "profiles" | "rules" | "requests" | "timeline"])
        | (_, ["leads" | "imports" | "rules" | "requests", _] | ["profiles", "new"])
        | (_, ["profiles" | "rules", _, "activation"])
        | (_, ["imports", _, "progress"] | ["requests", _, "cancellation"]) => {
            Err(Problem::method_not_allowed())
        }
        _ => Err(Problem::not_found()),
    }
}

/// The page of an unsubscribe link.
pub fn unsubscribe(scope: &Scope<'_>, token: &str, address: &str, done: bool) -> Response {
    let page = Page::neutral(scope.base(), &scope.tenant.name, scope.cx.now);
    let (sender, address) = (scope.tenant.name.clone(), address.to_owned());
    let html = if done {
        Unsubscribed {
            page,
            sender,
            address,
        }
        .render()
    } else {
        let action = format!("{}/u/{token}", scope.base());
        Unsubscribe {
            page,
            sender,
            address,
            action,
        }
        .render()
    };
    Response::html(200, html)
}

/// Where the master is as seen from a slave's page: nothing when it is the same host.
fn master_url<'a>(cx: &'a Context<'_>) -> &'a str {
    let (master, own) = (&cx.config.master_url, &cx.config.public_url);
    if master == own { "" } else { master }
}

/// Sends somebody who is not signed in to the log-in, and back afterwards where that is possible.
pub fn sign_in(cx: &Context<'_>, request: &Request) -> Response {
    if request.header(HX_REQUEST).is_some() {
        // A part of a page would be filled with the log-in; the whole page is asked for again instead.
        return Response::no_content().with(HX_REFRESH, "true");
    }
    let master = master_url(cx);
    if method(request) != Method::GET || !master.is_empty() {
        return Response::see_other(&format!("{master}/login"));
    }
    let next = match request.query.as_str() {
        "" => request.path.clone(),
        query => format!("{}?{query}", request.path),
    };
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    Response::see_other(&format!(
        "/login?{}",
        query.append_pair("next", &next).finish()
    ))
}

/// The frame for a problem on the master.
pub fn master_frame(cx: &Context<'_>, request: &Request) -> Page {
    let who = cx.master().ok();
    let who = who.and_then(|db| crate::master::identity(cx, &*db, request).ok().flatten());
    who.map_or_else(
        || Page::front(cx.now),
        |who| Page::master(who.email, cx.now),
    )
}

fn tenant_frame(scope: &Scope<'_>, who: &Identity) -> Page {
    let cx = scope.cx;
    Page::tenant(
        scope.base(),
        master_url(cx),
        &scope.tenant.name,
        &who.email,
        cx.now,
    )
}

/// The frame for a problem under a sub-account's path: its own for those who may work in it.
pub fn slave_frame(cx: &Context<'_>, path: &[&str], who: Option<&Identity>) -> Page {
    let id = path.get(1).copied().unwrap_or_default();
    if path.get(2) == Some(&"u") {
        return Page::neutral(format!("/s/{id}"), "", cx.now);
    }
    let page = match who.map(|who| (who, access::scope(cx, id, who))) {
        Some((who, Ok(scope))) => return tenant_frame(&scope, who),
        Some((who, Err(_))) if master_url(cx).is_empty() => Page::master(&who.email, cx.now),
        _ => Page::front(cx.now),
    };
    Page {
        asset_base: format!("/s/{id}"),
        master_url: master_url(cx).to_owned(),
        ..page
    }
}

/// Links from a page of a list: to the first one, which is all that a cursor leads back to, and to
/// the next. `kept` are the other parameters of the list.
fn pager(path: &str, kept: &[(&str, &str)], cursor: Option<&str>, next: Option<&str>) -> Pager {
    let link = |cursor: Option<&str>| {
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        query.extend_pairs(kept.iter().filter(|(_, value)| !value.is_empty()));
        query.extend_pairs(cursor.map(|cursor| ("cursor", cursor)));
        match query.finish() {
            query if query.is_empty() => path.to_owned(),
            query => format!("{path}?{query}"),
        }
    };
    Pager {
        first: cursor.map(|_| link(None)),
        next: next.map(|next| link(Some(next))),
    }
}

/// A switch's new position: field `active`, 1 or 0.
fn active(request: &Request) -> Result<bool, Problem> {
    match super::form::Form::of(request).get("active") {
        "1" => Ok(true),
        "0" => Ok(false),
        _ => Err(Problem::invalid("active", "must be 1 or 0")),
    }
}
