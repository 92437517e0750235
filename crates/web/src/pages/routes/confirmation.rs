//! Showing that an address is one's own.

use store::Db;

use super::{front, home, retry_after};
use crate::context::Context;
use crate::http::{Answer, Problem, Request, Response};
use crate::master::{Caller, confirmation as api};
use crate::pages::confirmation::{Confirm, ConfirmFirst};
use crate::pages::form::{Form, Refusal};
use crate::pages::password::Done;

/// The page behind a link; without a link, what somebody has to do first.
pub fn form(cx: &Context<'_>, caller: Option<&Caller>, request: &Request) -> Response {
    match (request.param("token"), caller) {
        (Some(token), _) => {
            let view = Confirm {
                page: front(cx),
                error: None,
                token,
            };
            Response::html(200, view.render())
        }
        (None, Some(caller)) if caller.unconfirmed => {
            first(cx, caller, request.param("sent").is_some())
        }
        (None, Some(_)) => Response::see_other(&home(cx)),
        (None, None) => Response::see_other("/login"),
    }
}

/// What somebody sees who may do nothing yet.
pub fn first(cx: &Context<'_>, caller: &Caller, sent: bool) -> Response {
    let view = ConfirmFirst {
        page: front(cx),
        error: None,
        email: caller.who.email.clone(),
        sent,
    };
    Response::html(200, view.render())
}

pub fn confirm(cx: &Context<'_>, db: &dyn Db, request: &Request) -> Answer {
    let token = Form::of(request).get("token").to_owned();
    let input = api::Confirmation { token };
    match api::confirm(cx, db, request, &input) {
        Ok(email) => {
            let view = Done {
                page: front(cx),
                title: "Your address is confirmed".to_owned(),
                text: format!("Mail to {email} arrives."),
                href: home(cx),
                label: "Go on".to_owned(),
            };
            Ok(Response::html(200, view.render()))
        }
        Err(problem) if problem.status == 404 => Ok(spent(cx)),
        Err(problem) => {
            let status = problem.status;
            let mut refusal = Refusal::of(problem);
            let error = refusal.take("token").or_else(|| refusal.take("email"));
            let view = Confirm {
                page: front(cx),
                error: error.or(refusal.rest()),
                token: input.token,
            };
            Ok(Response::html(status, view.render()))
        }
    }
}

/// The page of a link that does not work any more. The profile, or the page before it, sends another one.
fn spent(cx: &Context<'_>) -> Response {
    let view = Done {
        page: front(cx),
        title: "This link does not work any more".to_owned(),
        text: "It was used, it is too old, or a newer one was sent.".to_owned(),
        href: match cx.own {
            None => "/profile".to_owned(),
            Some(_) => "/confirm".to_owned(),
        },
        label: "Send another one".to_owned(),
    };
    Response::html(404, view.render())
}

pub fn resend(cx: &Context<'_>, db: &dyn Db, caller: &Caller) -> Answer {
    let problem = match api::resend(cx, db, caller) {
        Ok(_) if caller.unconfirmed => return Ok(Response::see_other("/confirm?sent=1")),
        Ok(_) => return Ok(Response::see_other("/profile?done=mail")),
        Err(problem) => problem,
    };
    if !caller.unconfirmed {
        return Err(problem);
    }
    page_of(cx, caller, problem)
}

fn page_of(cx: &Context<'_>, caller: &Caller, problem: Problem) -> Answer {
    let (status, wait) = (problem.status, problem.retry_after);
    let view = ConfirmFirst {
        page: front(cx),
        error: Refusal::of(problem).rest(),
        email: caller.who.email.clone(),
        sent: false,
    };
    Ok(retry_after(Response::html(status, view.render()), wait))
}
