//! Signing up, logging in and out.

use http::header::SET_COOKIE;
use store::Db;

use super::{front, home, retry_after};
use crate::context::Context;
use crate::http::{Answer, Body, Request, Response};
use crate::master::account::{self, SignedIn};
use crate::pages::Field;
use crate::pages::form::{Form, Refusal};
use crate::pages::session::{CodeForm, Demo, LogIn, SignUp};

/// A path of ours that somebody may be sent to. Browsers take a backslash for a slash and drop tabs
/// and line breaks, so only what needs no interpretation passes.
fn own_path(next: &str) -> Option<&str> {
    let plain = next.bytes().all(|b| matches!(b, 0x21..=0x7e) && b != b'\\');
    let ours = next.starts_with('/') && !next.starts_with("//");
    (plain && ours && next.len() <= 2000).then_some(next)
}

fn welcome(cx: &Context<'_>, session: &SignedIn, next: Option<&str>) -> Response {
    let to = match (session.must_confirm(cx), next) {
        (true, _) => "/confirm".to_owned(),
        (false, Some(next)) => next.to_owned(),
        (false, None) => home(cx),
    };
    Response::see_other(&to).with(SET_COOKIE, &session.cookie(cx))
}

pub fn sign_up_form(cx: &Context<'_>) -> Response {
    let view = SignUp {
        page: front(cx),
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
    let problem = match account::sign_up(cx, db, request, &input) {
        Ok(session) => return Ok(welcome(cx, &session, None)),
        Err(problem) => problem,
    };
    let status = problem.status;
    let mut refusal = Refusal::of(problem);
    let view = SignUp {
        page: front(cx),
        account: refusal.field("account", &input.account),
        email: refusal.field("email", &input.email),
        password_error: refusal.take("password"),
        error: refusal.rest(),
    };
    Ok(Response::html(status, view.render()))
}

fn log_in_view(cx: &Context<'_>, next: &str) -> LogIn {
    let demo = cx.config.demo.clone().filter(|_| cx.own.is_none());
    LogIn {
        page: front(cx),
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
        code: None,
    };
    let problem = match account::first_step(cx, db, request, &input) {
        Ok(user) if user.totp.is_some() => {
            let view = CodeForm {
                page: front(cx),
                error: None,
                ticket: account::ticket(cx, &user),
                code_error: None,
                next: own_path(form.get("next")).unwrap_or_default().to_owned(),
            };
            return Ok(Response::html(200, view.render()));
        }
        Ok(user) => {
            let session = account::second_step(cx, db, request, user, None)?;
            return Ok(welcome(cx, &session, own_path(form.get("next"))));
        }
        Err(problem) => problem,
    };
    let (status, wait) = (problem.status, problem.retry_after);
    let mut refusal = Refusal::of(problem);
    let view = LogIn {
        email: refusal.field("email", &input.email),
        password_error: refusal.take("password"),
        error: refusal.rest(),
        ..log_in_view(cx, form.get("next"))
    };
    Ok(retry_after(Response::html(status, view.render()), wait))
}

/// The second step, for whoever has a second factor.
pub fn code(cx: &Context<'_>, db: &dyn Db, request: &Request) -> Answer {
    let form = Form::of(request);
    let next = own_path(form.get("next"));
    let ticket = form.get("ticket");
    let Some(user) = account::of_ticket(cx, db, ticket)? else {
        let view = LogIn {
            error: Some("That took too long. Begin again.".to_owned()),
            ..log_in_view(cx, form.get("next"))
        };
        return Ok(Response::html(401, view.render()));
    };
    match account::second_step(cx, db, request, user, Some(form.get("code"))) {
        Ok(session) => Ok(welcome(cx, &session, next)),
        Err(problem) => {
            let (status, wait) = (problem.status, problem.retry_after);
            let mut refusal = Refusal::of(problem);
            let view = CodeForm {
                page: front(cx),
                ticket: ticket.to_owned(),
                code_error: refusal.take("code"),
                next: next.unwrap_or_default().to_owned(),
                error: refusal.rest(),
            };
            Ok(retry_after(Response::html(status, view.render()), wait))
        }
    }
}

pub fn log_out(cx: &Context<'_>, db: &dyn Db, request: &Request) -> Answer {
    let ended = account::log_out(cx, db, request)?;
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
