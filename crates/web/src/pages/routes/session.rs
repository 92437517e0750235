//! Signing up, logging in and out.

use http::header::{RETRY_AFTER, SET_COOKIE};
use store::Db;

use crate::context::Context;
use crate::http::{Answer, Body, Request, Response};
use crate::master::account::{self, SignedIn};
use crate::pages::form::{Form, Refusal};
use crate::pages::session::{Demo, LogIn, SignUp};
use crate::pages::{Field, Page};

/// Where people go who are signed in.
const HOME: &str = "/subaccounts";

/// A path of ours that somebody may be sent to. Browsers take a backslash for a slash and drop tabs
/// and line breaks, so only what needs no interpretation passes.
fn own_path(next: &str) -> Option<&str> {
    let plain = next.bytes().all(|b| matches!(b, 0x21..=0x7e) && b != b'\\');
    let ours = next.starts_with('/') && !next.starts_with("//");
    (plain && ours && next.len() <= 2000).then_some(next)
}

fn welcome(cx: &Context<'_>, session: &SignedIn, next: Option<&str>) -> Response {
    Response::see_other(next.unwrap_or(HOME)).with(SET_COOKIE, &session.cookie(cx))
}

pub fn sign_up_form(cx: &Context<'_>) -> Response {
    let view = SignUp {
        page: Page::front(cx.now),
        error: None,
        account: Field::default(),
        email: Field::default(),
        password_error: None,
    };
    Response::html(200, view.render())
}

pub fn sign_up(cx: &Context<'_>, db: &dyn Db, request: &Request) -> Answer {
    let form = Form::of(request);
    let input = account::SignUp {
        email: form.get("email").to_owned(),
        password: form.get("password").to_owned(),
        account: form.get("account").to_owned(),
    };
    let problem = match account::sign_up(cx, db, &input) {
        Ok(session) => return Ok(welcome(cx, &session, None)),
        Err(problem) => problem,
    };
    let status = problem.status;
    let mut refusal = Refusal::of(problem);
    let view = SignUp {
        page: Page::front(cx.now),
        account: refusal.field("account", &input.account),
        email: refusal.field("email", &input.email),
        password_error: refusal.take("password"),
        error: refusal.rest(),
    };
    Ok(Response::html(status, view.render()))
}

fn log_in_view(cx: &Context<'_>, next: &str) -> LogIn {
    let demo = cx.config.demo.clone();
    LogIn {
        page: Page::front(cx.now),
        error: None,
        email: Field::default(),
        password_error: None,
        next: own_path(next).unwrap_or_default().to_owned(),
        demo: demo.map(|(email, password)| Demo { email, password }),
    }
}

pub fn log_in_form(cx: &Context<'_>, request: &Request) -> Response {
    let next = request.param("next").unwrap_or_default();
    Response::html(200, log_in_view(cx, &next).render())
}

pub fn log_in(cx: &Context<'_>, db: &dyn Db, request: &Request) -> Answer {
    let form = Form::of(request);
    let input = account::LogIn {
        email: form.get("email").to_owned(),
        password: form.get("password").to_owned(),
    };
    let problem = match account::log_in(cx, db, &input) {
        Ok(session) => return Ok(welcome(cx, &session, own_path(form.get("next")))),
        Err(problem) => problem,
    };
    let (status, retry_after) = (problem.status, problem.retry_after);
    let mut refusal = Refusal::of(problem);
    let view = LogIn {
        email: refusal.field("email", &input.email),
        password_error: refusal.take("password"),
        error: refusal.rest(),
        ..log_in_view(cx, form.get("next"))
    };
    let response = Response::html(status, view.render());
    Ok(match retry_after {
        Some(seconds) => response.with(RETRY_AFTER, &seconds.to_string()),
        None => response,
    })
}

pub fn log_out(db: &dyn Db, request: &Request) -> Answer {
    let ended = account::log_out(db, request)?;
    let mut response = Response::see_other("/login");
    response.headers.extend(ended.headers);
    response.body = Body::Full(Vec::new());
    Ok(response)
}

#[cfg(test)]
mod tests {
    use super::own_path;

    #[test]
    fn nobody_is_sent_to_another_site() {
        for next in ["/", "/subaccounts", "/s/7/leads?q=%20a&tag=x"] {
            assert_eq!(own_path(next), Some(next));
        }
        for next in [
            "",
            "subaccounts",
            "//evil.test",
            "/\\evil.test",
            "/\t/evil.test",
            "https://evil.test",
            "/ x",
            "/ü",
        ] {
            assert_eq!(own_path(next), None, "{next}");
        }
    }
}
