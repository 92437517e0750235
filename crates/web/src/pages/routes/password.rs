//! Forgotten passwords and new ones.

use store::Db;

use super::{front, retry_after};
use crate::context::Context;
use crate::http::{Answer, Request, Response};
use crate::master::{mail, password as api};
use crate::pages::Field;
use crate::pages::form::{Form, Refusal};
use crate::pages::password::{Done, Forgot, Reset};

pub fn forgot_form(cx: &Context<'_>) -> Response {
    let view = Forgot {
        page: front(cx),
        error: None,
        email: Field::default(),
        sent: None,
    };
    Response::html(200, view.render())
}

pub fn forgot(cx: &Context<'_>, db: &dyn Db, request: &Request) -> Answer {
    let email = Form::of(request).get("email").to_owned();
    let input = api::Forgotten {
        email: email.clone(),
    };
    let mut view = Forgot {
        page: front(cx),
        error: None,
        email: Field::default(),
        sent: Some(email.trim().to_owned()),
    };
    match api::forget(cx, db, request, &input) {
        Ok(_) => Ok(Response::html(202, view.render())),
        Err(problem) => {
            let (status, wait) = (problem.status, problem.retry_after);
            let mut refusal = Refusal::of(problem);
            view.sent = None;
            view.email = refusal.field("email", &email);
            view.error = refusal.rest();
            Ok(retry_after(Response::html(status, view.render()), wait))
        }
    }
}

pub fn reset_form(cx: &Context<'_>, db: &dyn Db, request: &Request) -> Answer {
    let token = request.param("token").unwrap_or_default();
    let view = Reset {
        page: front(cx),
        error: None,
        ends_keys: api::ends_keys(cx, db, &token)?,
        token,
        password_error: None,
    };
    Ok(Response::html(200, view.render()))
}

pub fn reset(cx: &Context<'_>, db: &dyn Db, request: &Request) -> Answer {
    let form = Form::of(request);
    let input = api::Reset {
        token: form.get("token").to_owned(),
        password: form.get("password").to_owned(),
    };
    match api::reset(cx, db, request, &input) {
        Ok(keys_ended) => {
            let mut text = "All sessions have ended. Log in with the new password.".to_owned();
            if keys_ended > 0 {
                text = format!("{text} {}", mail::keys_ended_words(keys_ended));
            }
            let view = Done {
                page: front(cx),
                title: "Your password is changed".to_owned(),
                text,
                href: "/login".to_owned(),
                label: "Log in".to_owned(),
            };
            Ok(Response::html(200, view.render()))
        }
        Err(problem) if problem.status == 404 => Ok(spent(cx)),
        Err(problem) => {
            let status = problem.status;
            let mut refusal = Refusal::of(problem);
            let view = Reset {
                page: front(cx),
                ends_keys: api::ends_keys(cx, db, &input.token)?,
                token: input.token,
                password_error: refusal.take("password"),
                error: refusal.rest(),
            };
            Ok(Response::html(status, view.render()))
        }
    }
}

/// The page of a link to a new password that does not work any more.
fn spent(cx: &Context<'_>) -> Response {
    let view = Done {
        page: front(cx),
        title: "This link does not work any more".to_owned(),
        text: "It was used, it is older than 30 minutes, or a newer one was sent.".to_owned(),
        href: "/forgot".to_owned(),
        label: "Send another one".to_owned(),
    };
    Response::html(404, view.render())
}
