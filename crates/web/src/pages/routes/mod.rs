//! From requests to pages: one handler file a noun. A handler loads, calls what the API calls, and
//! fills the view.

mod api_key;
mod approval;
mod audit;
mod confirmation;
mod dashboard;
mod import;
mod invite;
mod lead;
pub use lead::label;
mod letter;
mod limits;
mod mapping;
mod names;
mod password;
mod profile;
mod request;
mod rule;
mod rule_form;
mod sequence;
mod session;
mod settings;
mod subaccount;
mod team;
mod timeline;
mod you;

use domain::identity::{Action, Identity};
use http::{HeaderName, Method};
use store::Db;

use super::unsubscribe::{Unsubscribe, Unsubscribed};
use super::{Look, Page, Pager};
use crate::context::Context;
use crate::http::{Answer, Problem, Request, Response};
use crate::master::Caller;
use crate::slave::approval::Decision;
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
    let caller = Caller::of(cx, db, request)?;
    let path = request.segments();
    match (&method(request), &path[..]) {
        (&Method::GET, [""] | ["login" | "signup"]) if caller.is_some() => {
            return Ok(Response::see_other(&home(cx)));
        }
        (&Method::GET, [""]) => return Ok(Response::see_other("/login")),
        (&Method::GET, ["login"]) => return Ok(session::log_in_form(cx, request)),
        (&Method::POST, ["login"]) => return session::log_in(cx, db, request),
        (&Method::POST, ["login", "code"]) => return session::code(cx, db, request),
        (&Method::GET, ["login", "code"]) => return Ok(Response::see_other("/login")),
        (&Method::GET, ["signup"]) => return Ok(session::sign_up_form(cx)),
        (&Method::POST, ["signup"]) => return session::sign_up(cx, db, request),
        (&Method::POST, ["logout"]) => return session::log_out(cx, db, request),
        (&Method::GET, ["forgot"]) => return Ok(password::forgot_form(cx)),
        (&Method::POST, ["forgot"]) => return password::forgot(cx, db, request),
        (&Method::GET, ["reset"]) => return password::reset_form(cx, db, request),
        (&Method::POST, ["reset"]) => return password::reset(cx, db, request),
        (&Method::GET, ["confirm"]) => {
            return Ok(confirmation::form(cx, caller.as_ref(), request));
        }
        (&Method::POST, ["confirm"]) => return confirmation::confirm(cx, db, request),
        (&Method::GET, ["invite"]) => return Ok(invite::form(cx, db, request)),
        (&Method::POST, ["invite"]) => return invite::accept(cx, db, request),
        (
            _,
            [""]
            | ["login" | "signup" | "logout" | "forgot" | "reset" | "confirm" | "invite"]
            | ["login", "code"],
        ) => return Err(Problem::method_not_allowed()),
        (
            _,
            ["confirm", "mail"]
            | [
                "subaccounts" | "team" | "api-keys" | "audit-log" | "profile",
                ..,
            ],
        ) => {}
        _ => return Err(Problem::not_found()),
    }
    let Some(caller) = caller else {
        return Ok(sign_in(cx, request));
    };
    let caller = &caller;
    match (&method(request), &path[..]) {
        (&Method::POST, ["confirm", "mail"]) => confirmation::resend(cx, db, caller),
        (_, ["confirm", ..]) => Err(Problem::method_not_allowed()),
        (&Method::GET, _) if caller.unconfirmed => Ok(Response::see_other("/confirm")),
        (_, _) if caller.unconfirmed => Err(crate::master::confirmation::first()),
        (_, ["profile", rest @ ..]) => profile(cx, db, caller, request, rest),
        (_, ["team", rest @ ..]) => team_pages(cx, db, caller, request, rest),
        (&Method::GET, ["audit-log"]) => audit::list(cx, db, caller, request),
        (&Method::GET, ["subaccounts"]) => subaccount::list(cx, db, caller),
        (&Method::POST, ["subaccounts"]) => subaccount::create(cx, db, caller, request),
        (&Method::GET, ["api-keys"]) => api_key::list(cx, db, caller),
        (&Method::POST, ["api-keys"]) => api_key::create(cx, db, caller, request),
        (&Method::POST, ["api-keys", id, "revocation"]) => api_key::revoke(cx, db, caller, id),
        (_, ["subaccounts" | "api-keys" | "audit-log"] | ["api-keys", _, "revocation"]) => {
            Err(Problem::method_not_allowed())
        }
        _ => Err(Problem::not_found()),
    }
}

/// Somebody's own account.
fn profile(
    cx: &Context<'_>,
    db: &dyn Db,
    caller: &Caller,
    request: &Request,
    path: &[&str],
) -> Answer {
    match (&method(request), path) {
        (&Method::GET, []) => you::show(cx, db, caller, request),
        (&Method::POST, ["password"]) => you::password(cx, db, caller, request),
        (&Method::POST, ["email"]) => you::email(cx, db, caller, request),
        (&Method::GET, ["second-factor"]) => you::setup(cx, db, caller),
        (&Method::POST, ["second-factor"]) => you::begin(cx, db, caller, request),
        (&Method::POST, ["second-factor", "confirmation"]) => you::enable(cx, db, caller, request),
        (&Method::POST, ["second-factor", "removal"]) => you::disable(cx, db, caller, request),
        (&Method::POST, ["second-factor", "recovery-codes"]) => {
            you::renew_codes(cx, db, caller, request)
        }
        (&Method::POST, ["sessions", "end"]) => you::end_sessions(cx, db, caller),
        (&Method::POST, ["sessions", id, "end"]) => you::end_session(cx, db, caller, id),
        // A form that was refused leaves its address in the browser: asking for that again leads back.
        (
            &Method::GET,
            ["password" | "email"]
            | [
                "second-factor",
                "confirmation" | "removal" | "recovery-codes",
            ],
        ) => Ok(Response::see_other("/profile")),
        (_, [] | ["password" | "email" | "second-factor"] | ["second-factor", _])
        | (_, ["sessions", "end"] | ["sessions", _, "end"]) => Err(Problem::method_not_allowed()),
        _ => Err(Problem::not_found()),
    }
}

/// The people of an account.
fn team_pages(
    cx: &Context<'_>,
    db: &dyn Db,
    caller: &Caller,
    request: &Request,
    path: &[&str],
) -> Answer {
    match (&method(request), path) {
        (&Method::GET, []) => team::list(cx, db, caller, request),
        (&Method::POST, ["invites"]) => team::invite(cx, db, caller, request),
        (&Method::GET, ["invites"]) => Ok(Response::see_other("/team")),
        (&Method::POST, ["invites", id, "mail"]) => team::resend(cx, db, caller, id),
        (&Method::POST, ["invites", id, "revocation"]) => team::revoke(cx, db, caller, id),
        (&Method::GET, [id]) => team::show(cx, db, caller, request, id),
        (&Method::POST, [id, "role"]) => team::role(cx, db, caller, request, id),
        (&Method::POST, [id, "grants"]) => team::grant(cx, db, caller, request, id),
        (&Method::POST, [id, "grants", place, "removal"]) => {
            team::end_grant(cx, db, caller, id, place)
        }
        (&Method::POST, [id, "removal"]) => team::remove(cx, db, caller, id),
        (&Method::GET, [id, "role" | "grants" | "removal"]) => {
            Ok(Response::see_other(&format!("/team/{id}")))
        }
        (_, [] | [_] | ["invites", _, "mail" | "revocation"])
        | (_, [_, "role" | "grants" | "removal"] | [_, "grants", _, "removal"]) => {
            Err(Problem::method_not_allowed())
        }
        _ => Err(Problem::not_found()),
    }
}

/// An answer that says when to try again.
fn retry_after(response: Response, seconds: Option<u32>) -> Response {
    match seconds {
        Some(seconds) => response.with(http::header::RETRY_AFTER, &seconds.to_string()),
        None => response,
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
        (&Method::POST, ["leads", "views"]) => lead::keep(scope, &page, request),
        (&Method::POST, ["leads", "views", id, "removal"]) => lead::forget(scope, &page, id),
        (&Method::POST, ["leads", id, "erasure"]) => lead::erase(scope, page, request, id),
        (&Method::GET, ["leads", id]) => lead::show(scope, page, id),
        (&Method::GET, ["imports"]) => import::list(scope, page),
        (&Method::GET, ["imports", id]) => import::show(scope, page, id),
        (&Method::GET, ["imports", id, "progress"]) => import::progress(scope, id),
        (&Method::GET, ["imports", id, "mapping"]) => mapping::form(scope, page, request, id),
        (&Method::POST, ["imports", id, "mapping"]) => mapping::map(scope, page, request, id),
        (&Method::POST, ["imports", id, "cancellation"]) => mapping::cancel(scope, &page, id),
        (&Method::POST, ["imports", id, "reversal"]) => import::take_back(scope, &page, id),
        (&Method::GET, ["profiles"]) => profile::list(scope, page),
        (&Method::POST, ["profiles"]) => profile::create(scope, page, request),
        (&Method::GET, ["profiles", "new"]) => Ok(profile::form(page)),
        (&Method::POST, ["profiles", id, "activation"]) => profile::switch(scope, request, id),
        (&Method::POST, ["profiles", id, "password"]) => profile::unlock(scope, request, id),
        (&Method::GET, ["profiles", id, "limits"]) => limits::form(scope, page, id),
        (&Method::POST, ["profiles", id, "limits"]) => limits::save(scope, page, request, id),
        (&Method::GET, ["rules"]) => rule::list(scope, page),
        (&Method::POST, ["rules"]) => rule_form::create(scope, page, request),
        (&Method::GET, ["rules", "new"]) => rule_form::form(scope, page),
        (&Method::POST, ["rules", id]) => rule_form::save(scope, page, request, id),
        (&Method::GET, ["rules", id, "edit"]) => rule_form::edit(scope, page, id),
        (&Method::POST, ["rules", id, "removal"]) => rule::remove(scope, id),
        (&Method::GET, ["rules", id]) => rule::show(scope, page, request, id),
        (&Method::POST, ["rules", id, "activation"]) => rule::switch(scope, request, id),
        (&Method::GET, ["sequences"]) => sequence::list(scope, page),
        (&Method::POST, ["sequences"]) => sequence::create(scope, page, request),
        (&Method::GET, ["sequences", "new"]) => sequence::form(scope, page),
        (&Method::GET, ["sequences", id]) => sequence::show(scope, page, id),
        (&Method::POST, ["sequences", id, "activation"]) => sequence::switch(scope, request, id),
        (&Method::POST, ["sequences", id, "removal"]) => sequence::remove(scope, id),
        (&Method::GET, ["requests"]) => request::list(scope, page, request),
        (&Method::GET, ["requests", id]) => request::show(scope, page, id),
        (&Method::POST, ["requests", id, "cancellation"]) => request::cancel(scope, id),
        (&Method::POST, ["requests", id, "approval"]) => {
            approval::decide(scope, id, Decision::Approve)
        }
        (&Method::POST, ["requests", id, "rejection"]) => {
            approval::decide(scope, id, Decision::Reject)
        }
        (&Method::GET, ["approvals"]) => approval::list(scope, page, request),
        (&Method::POST, ["approvals"]) => approval::decide_all(scope, request),
        (&Method::GET, ["timeline"]) => timeline::show(scope, page, request),
        (&Method::GET, ["settings"]) => settings::show(scope, page),
        (&Method::POST, ["settings", "brand"]) => settings::save_brand(scope, page, request),
        (&Method::POST, ["settings", "logo"]) => settings::save_logo(scope, page, request),
        (&Method::POST, ["settings", "logo", "removal"]) => settings::remove_logo(scope, page),
        (&Method::POST, ["settings", "domains"]) => settings::add_domain(scope, page, request),
        (&Method::POST, ["settings", "domains", name, "removal"]) => {
            settings::remove_domain(scope, page, name)
        }
        (_, ["settings"] | ["settings", "brand" | "logo" | "domains"])
        | (
            _,
            ["settings", "logo", "removal"]
            | ["settings", "domains", _, "removal" | "verification"],
        ) => Err(Problem::method_not_allowed()),
        (_, [] | [""])
        | (
            _,
            ["leads" | "imports" | "profiles" | "rules" | "requests" | "approvals" | "timeline"],
        )
        | (_, ["leads" | "imports" | "rules" | "requests", _] | ["profiles", "new"])
        | (_, ["sequences"] | ["sequences", _] | ["sequences", _, "activation" | "removal"])
        | (
            _,
            ["rules", _, "edit" | "removal"]
            | ["profiles" | "rules", _, "activation"]
            | ["profiles", _, "password" | "limits"],
        )
        | (
            _,
            [
                "imports",
                _,
                "progress" | "mapping" | "cancellation" | "reversal",
            ],
        )
        | (_, ["requests", _, "cancellation" | "approval" | "rejection"]) => {
            Err(Problem::method_not_allowed())
        }
        _ => Err(Problem::not_found()),
    }
}

/// The page of an unsubscribe link.
pub fn unsubscribe(scope: &Scope<'_>, token: &str, address: &str, done: bool) -> Response {
    let brand = store::setting::brand(&*scope.db).unwrap_or_default();
    let sender = brand.name.unwrap_or_else(|| scope.tenant.name.clone());
    let page = Page::neutral(scope.base(), &sender, scope.cx.now);
    let address = address.to_owned();
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
    // On a host of its own the log-in is there too.
    let (master, path) = match (&cx.own, cx.tenant_name()) {
        (None, _) => (master_url(cx), request.path.as_str()),
        (Some(_), Some(_)) => ("", request.path.splitn(4, '/').nth(3).unwrap_or_default()),
        (Some(_), None) => ("", request.path.as_str()),
    };
    if method(request) != Method::GET || !master.is_empty() {
        return Response::see_other(&format!("{master}/login"));
    }
    let path = format!("/{}", path.trim_start_matches('/'));
    let next = match request.query.as_str() {
        "" => path,
        query => format!("{path}?{query}"),
    };
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    Response::see_other(&format!(
        "/login?{}",
        query.append_pair("next", &next).finish()
    ))
}

/// Where people go who are signed in.
pub fn home(cx: &Context<'_>) -> String {
    match &cx.own {
        None => "/subaccounts".to_owned(),
        Some(own) if own.subaccount.is_some() => "/".to_owned(),
        Some(_) => format!("{}/subaccounts", cx.config.public_url),
    }
}

/// The frame of the pages before one is signed in: in the brand of the host that the person came by.
pub fn front(cx: &Context<'_>) -> Page {
    Page {
        look: cx.own.as_ref().and_then(|own| own.look.clone()),
        master_url: match &cx.own {
            Some(_) => cx.config.public_url.clone(),
            None => String::new(),
        },
        ..Page::front(cx.now)
    }
}

/// The frame for a problem on the master; in the brand of the host that the person came by, whoever they are.
pub fn master_frame(cx: &Context<'_>, request: &Request) -> Page {
    if cx.own.is_some() {
        return front(cx);
    }
    let who = cx.master().ok();
    let who = who.and_then(|db| crate::master::identity(cx, &*db, request).ok().flatten());
    who.map_or_else(|| front(cx), |who| Page::master(&who, cx.now))
}

fn tenant_frame(scope: &Scope<'_>, who: &Identity) -> Page {
    let cx = scope.cx;
    Page {
        look: look(scope),
        writes: who.may_in(&scope.tenant.id, Action::Write),
        manages: who.may_in(&scope.tenant.id, Action::Manage),
        ..Page::tenant(
            scope.base(),
            master_url(cx),
            &scope.tenant.name,
            &who.email,
            cx.now,
        )
    }
}

/// The sub-account's brand; ours where it cannot be read, for a page that only tells of a problem must not fail.
fn look(scope: &Scope<'_>) -> Option<Look> {
    let look = store::setting::look(&*scope.db).unwrap_or_default();
    let own_name = scope.cx.tenant_name().is_some();
    Look::of(&look, &scope.base(), &scope.tenant.name, own_name)
}

/// On a host name of its own nothing tells whose product this is, even when the sub-account is there no more.
fn look_of_host(cx: &Context<'_>, id: &str, host: &str) -> Look {
    let scope = access::public(cx, id).ok();
    scope.and_then(|scope| look(&scope)).unwrap_or(Look {
        name: host.to_owned(),
        stylesheet: None,
        logo: None,
    })
}

/// The frame for a problem under a sub-account's path: its own for those who may work in it.
pub fn slave_frame(cx: &Context<'_>, path: &[&str], who: Option<&Identity>) -> Page {
    let id = path.get(1).copied().unwrap_or_default();
    if path.get(2) == Some(&"u") {
        return Page::neutral(cx.base(id), "", cx.now);
    }
    let page = match who.map(|who| (who, access::scope(cx, id, who, Action::Read))) {
        Some((who, Ok(scope))) => return tenant_frame(&scope, who),
        Some((who, Err(_))) if cx.own.is_none() && master_url(cx).is_empty() => {
            Page::master(who, cx.now)
        }
        _ => Page::front(cx.now),
    };
    Page {
        asset_base: cx.base(id),
        master_url: master_url(cx).to_owned(),
        look: cx.tenant_name().map(|host| look_of_host(cx, id, host)),
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
        previous: None,
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
