//! The sub-accounts of an account.

use domain::identity::Action;
use store::{Db, subaccount};

use crate::context::Context;
use crate::http::{Answer, Problem, Request, Response};
use crate::master::{Caller, subaccount as api};
use crate::pages::form::{Form, Refusal};
use crate::pages::subaccount::{SubaccountRow, Subaccounts};
use crate::pages::{Field, Page};

fn view(
    cx: &Context<'_>,
    db: &dyn Db,
    caller: &Caller,
    name: Field,
) -> Result<Subaccounts, Problem> {
    let own = &cx.config.public_url;
    let row = |s: subaccount::Subaccount| SubaccountRow {
        id: s.id,
        name: s.name,
        status: s.status,
        reason: s.reason,
        // Whoever came by another name of this host stays there, where the session is.
        base_url: s.base_url.map(|url| match url.strip_prefix(own) {
            Some(path) if path.starts_with('/') => path.to_owned(),
            _ => url,
        }),
        created_at: s.created_at,
    };
    Ok(Subaccounts {
        page: Page::master(&caller.who, cx.now),
        items: api::seen(db, &caller.who)?.into_iter().map(row).collect(),
        name,
        may_create: caller.who.may(Action::Manage),
    })
}

pub fn list(cx: &Context<'_>, db: &dyn Db, caller: &Caller) -> Answer {
    Ok(Response::html(
        200,
        view(cx, db, caller, Field::default())?.render(),
    ))
}

pub fn create(cx: &Context<'_>, db: &dyn Db, caller: &Caller, request: &Request) -> Answer {
    let form = Form::of(request);
    let name = form.get("name").to_owned();
    let Err(problem) = api::create(cx, db, caller, &api::NewSubaccount { name: name.clone() })
    else {
        return Ok(Response::see_other("/subaccounts"));
    };
    let status = problem.status;
    let mut refusal = Refusal::of(problem);
    let mut field = refusal.field("name", &name);
    // The form has one field, so everything is said there.
    field.error = field.error.or(refusal.rest());
    Ok(Response::html(
        status,
        view(cx, db, caller, field)?.render(),
    ))
}
