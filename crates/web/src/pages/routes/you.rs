//! Somebody's own account.

use store::{Db, user};

use super::retry_after;
use crate::context::Context;
use crate::http::{Answer, Problem, Request, Response};
use crate::master::{Caller, account, confirmation, password, second_factor, session};
use crate::pages::form::{Form, Refusal};
use crate::pages::second_factor::{Codes, Setup};
use crate::pages::you::{SessionRow, You, browser};
use crate::pages::{Field, Page};

/// What the last form did, by the word in the address.
fn notice(request: &Request) -> Option<&'static str> {
    Some(match request.param("done")?.as_str() {
        "password" => "The password is changed, and you are logged out everywhere else.",
        "email" => "A link is on its way to the new address.",
        "mail" => "The mail is on its way once more.",
        "factor-off" => "The second factor is removed.",
        "session" => "The session has ended.",
        _ => return None,
    })
}

fn view(cx: &Context<'_>, db: &dyn Db, caller: &Caller) -> Result<You, Problem> {
    let user = account::person(db, caller)?;
    let row = |s: session::View| SessionRow {
        browser: browser(&s.user_agent),
        id: s.id,
        current: s.current,
        host: s.host,
        address: s.address,
        created_at: s.created_at,
        last_seen_at: s.last_seen_at,
    };
    let sessions = session::views(cx, db, caller)?;
    Ok(You {
        page: Page::master(&caller.who, cx.now),
        error: None,
        role: user.role.name().to_owned(),
        confirmed: user.confirmed_at.is_some(),
        old_password_error: None,
        new_password_error: None,
        password_code_error: None,
        new_email: Field::default(),
        email_password_error: None,
        email_code_error: None,
        second_factor: user.totp.is_some(),
        codes_left: user::recovery_codes_left(db, &user.id)?,
        factor_password_error: None,
        code_error: None,
        sessions: sessions.into_iter().map(row).collect(),
        id: user.id,
        email: user.email,
    })
}

pub fn show(cx: &Context<'_>, db: &dyn Db, caller: &Caller, request: &Request) -> Answer {
    let mut view = view(cx, db, caller)?;
    view.page.notice = notice(request).map(str::to_owned);
    Ok(Response::html(200, view.render()))
}

/// The page again, with what is wrong.
fn refused(
    cx: &Context<'_>,
    db: &dyn Db,
    caller: &Caller,
    problem: Problem,
    tell: impl FnOnce(&mut You, &mut Refusal),
) -> Answer {
    let (status, wait) = (problem.status, problem.retry_after);
    if status == 401 || status == 403 {
        return Err(problem);
    }
    let mut refusal = Refusal::of(problem);
    let mut view = view(cx, db, caller)?;
    tell(&mut view, &mut refusal);
    view.error = refusal.rest();
    Ok(retry_after(Response::html(status, view.render()), wait))
}

fn done(word: &str) -> Answer {
    Ok(Response::see_other(&format!("/profile?done={word}")))
}

pub fn password(cx: &Context<'_>, db: &dyn Db, caller: &Caller, request: &Request) -> Answer {
    let form = Form::of(request);
    let input = password::NewPassword {
        old_password: form.get("old_password").to_owned(),
        new_password: form.get("new_password").to_owned(),
        code: Some(form.get("password_code").to_owned()),
    };
    match password::change(cx, db, caller, &input) {
        Ok(_) => done("password"),
        Err(problem) => refused(cx, db, caller, problem, |view, refusal| {
            view.old_password_error = refusal.take("old_password");
            view.new_password_error = refusal.take("new_password");
            view.password_code_error = refusal.take("code");
        }),
    }
}

pub fn email(cx: &Context<'_>, db: &dyn Db, caller: &Caller, request: &Request) -> Answer {
    let form = Form::of(request);
    let input = confirmation::NewEmail {
        email: form.get("email").to_owned(),
        password: form.get("password").to_owned(),
        code: Some(form.get("email_code").to_owned()),
    };
    match confirmation::ask(cx, db, caller, &input) {
        Ok(_) => done("email"),
        Err(problem) => refused(cx, db, caller, problem, |view, refusal| {
            view.new_email = refusal.field("email", &input.email);
            view.email_password_error = refusal.take("password");
            view.email_code_error = refusal.take("code");
        }),
    }
}

fn setup_view(cx: &Context<'_>, caller: &Caller, setup: second_factor::Setup) -> Setup {
    Setup {
        page: Page::master(&caller.who, cx.now),
        error: None,
        secret: setup.secret,
        uri: setup.uri,
        qr: setup.qr,
        code_error: None,
    }
}

/// The secret once more while it is being set up.
pub fn setup(cx: &Context<'_>, db: &dyn Db, caller: &Caller) -> Answer {
    let user = account::person(db, caller)?;
    match second_factor::pending(cx, &user)? {
        Some(setup) => Ok(Response::html(200, setup_view(cx, caller, setup).render())),
        None => Ok(Response::see_other("/profile")),
    }
}

fn proof(request: &Request) -> second_factor::Proof {
    let form = Form::of(request);
    second_factor::Proof {
        password: form.get("factor_password").to_owned(),
        code: Some(form.get("code").to_owned()),
    }
}

fn proof_refused(cx: &Context<'_>, db: &dyn Db, caller: &Caller, problem: Problem) -> Answer {
    refused(cx, db, caller, problem, |view, refusal| {
        view.factor_password_error = refusal.take("password");
        view.code_error = refusal.take("code");
    })
}

pub fn begin(cx: &Context<'_>, db: &dyn Db, caller: &Caller, request: &Request) -> Answer {
    match second_factor::begin(cx, db, caller, &proof(request)) {
        Ok(_) => Ok(Response::see_other("/profile/second-factor")),
        Err(problem) => proof_refused(cx, db, caller, problem),
    }
}

fn codes(cx: &Context<'_>, caller: &Caller, codes: second_factor::RecoveryCodes) -> Response {
    let view = Codes {
        page: Page::master(&caller.who, cx.now),
        codes: codes.recovery_codes,
    };
    Response::html(200, view.render())
}

pub fn enable(cx: &Context<'_>, db: &dyn Db, caller: &Caller, request: &Request) -> Answer {
    let code = Form::of(request).get("code").to_owned();
    let problem = match second_factor::enable(cx, db, caller, &second_factor::Code { code }) {
        Ok(made) => return Ok(codes(cx, caller, made)),
        Err(problem) => problem,
    };
    let user = account::person(db, caller)?;
    let Some(setup) = second_factor::pending(cx, &user)? else {
        return Ok(Response::see_other("/profile"));
    };
    let (status, wait) = (problem.status, problem.retry_after);
    let mut refusal = Refusal::of(problem);
    let view = Setup {
        code_error: refusal.take("code"),
        error: refusal.rest(),
        ..setup_view(cx, caller, setup)
    };
    Ok(retry_after(Response::html(status, view.render()), wait))
}

pub fn disable(cx: &Context<'_>, db: &dyn Db, caller: &Caller, request: &Request) -> Answer {
    match second_factor::disable(cx, db, caller, &proof(request)) {
        Ok(_) => done("factor-off"),
        Err(problem) => proof_refused(cx, db, caller, problem),
    }
}

pub fn renew_codes(cx: &Context<'_>, db: &dyn Db, caller: &Caller, request: &Request) -> Answer {
    match second_factor::renew_codes(cx, db, caller, &proof(request)) {
        Ok(made) => Ok(codes(cx, caller, made)),
        Err(problem) => proof_refused(cx, db, caller, problem),
    }
}

pub fn end_session(cx: &Context<'_>, db: &dyn Db, caller: &Caller, id: &str) -> Answer {
    session::end(cx, db, caller, id)?;
    done("session")
}

pub fn end_sessions(cx: &Context<'_>, db: &dyn Db, caller: &Caller) -> Answer {
    let ended = session::end_all(cx, db, caller)?;
    let mut response = Response::see_other("/login");
    response.headers.extend(
        ended
            .headers
            .into_iter()
            .filter(|(name, _)| name.as_ref() == Some(&http::header::SET_COOKIE)),
    );
    Ok(response)
}
