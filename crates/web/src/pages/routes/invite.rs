//! The page behind an invitation's link.

use http::header::SET_COOKIE;
use store::Db;

use super::{front, home};
use crate::context::Context;
use crate::http::{Answer, Request, Response};
use crate::master::invite as api;
use crate::pages::form::{Form, Refusal};
use crate::pages::invite::Accept;
use crate::pages::password::Done;

fn view(cx: &Context<'_>, db: &dyn Db, token: &str) -> Option<Accept> {
    let (invite, account) = api::look(cx, db, token).ok()?;
    Some(Accept {
        page: front(cx),
        error: None,
        token: token.to_owned(),
        account,
        invited_by: invite.invited_by,
        role: invite.role.name().to_owned(),
        email: invite.email,
        password_error: None,
    })
}

fn spent(cx: &Context<'_>) -> Response {
    let view = Done {
        page: front(cx),
        title: "This invitation does not work any more".to_owned(),
        text: "It was accepted or taken back, it is too old, or a newer one was sent. Ask whoever invited you for another one.".to_owned(),
        href: "/login".to_owned(),
        label: "Log in".to_owned(),
    };
    Response::html(404, view.render())
}

pub fn form(cx: &Context<'_>, db: &dyn Db, request: &Request) -> Response {
    let token = request.param("token").unwrap_or_default();
    match view(cx, db, &token) {
        Some(view) => Response::html(200, view.render()),
        None => spent(cx),
    }
}

pub fn accept(cx: &Context<'_>, db: &dyn Db, request: &Request) -> Answer {
    let form = Form::of(request);
    let input = api::Acceptance {
        token: form.get("token").to_owned(),
        password: form.get("password").to_owned(),
    };
    let problem = match api::accept(cx, db, request, &input) {
        Ok(session) => {
            return Ok(Response::see_other(&home(cx)).with(SET_COOKIE, &session.cookie(cx)));
        }
        Err(problem) => problem,
    };
    let status = problem.status;
    let Some(view) = view(cx, db, &input.token) else {
        return Ok(spent(cx));
    };
    let mut refusal = Refusal::of(problem);
    let view = Accept {
        password_error: refusal.take("password"),
        error: refusal.rest(),
        ..view
    };
    Ok(Response::html(status, view.render()))
}
