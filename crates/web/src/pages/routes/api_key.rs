//! Keys for programs.

use std::collections::BTreeMap;

use domain::identity::Action;
use store::{Db, user};

use crate::context::Context;
use crate::http::{Answer, Problem, Request, Response};
use crate::master::{Caller, api_key as api, subaccount};
use crate::pages::api_key::{ApiKeyRow, ApiKeys, NewKey};
use crate::pages::form::{Form, Refusal};
use crate::pages::team::Check;
use crate::pages::{Field, Page};

const DAY: i64 = 24 * 60 * 60 * 1000;

fn row(caller: &Caller, names: &BTreeMap<String, String>, k: api::View) -> ApiKeyRow {
    let scopes: Vec<_> = k.scopes.iter().map(|a| a.name()).collect();
    let name = |id: &String| {
        names
            .get(id)
            .cloned()
            .unwrap_or_else(|| "one that is gone".to_owned())
    };
    let places: Vec<_> = k.subaccounts.iter().map(name).collect();
    ApiKeyRow {
        id: k.id,
        name: k.name,
        prefix: k.prefix,
        scopes: scopes.join(", "),
        places: match places.is_empty() {
            true => "everywhere".to_owned(),
            false => format!("in {}", places.join(", ")),
        },
        owner: match k.owner == caller.who.email {
            true => String::new(),
            false => k.owner,
        },
        expires_at: k.expires_at,
        last_used_at: k.last_used_at,
    }
}

fn view(cx: &Context<'_>, db: &dyn Db, caller: &Caller) -> Result<ApiKeys, Problem> {
    let names = user::subaccount_names(db, &caller.who.account_id)?;
    let keys = api::views(db, caller)?;
    let scope = |action: Action| Check {
        value: action.name().to_owned(),
        label: explained(action).to_owned(),
        chosen: matches!(action, Action::Read | Action::Reply | Action::Write),
    };
    let place = |s: store::subaccount::Subaccount| Check {
        value: s.id,
        label: s.name,
        chosen: false,
    };
    let places = subaccount::seen(db, &caller.who)?;
    Ok(ApiKeys {
        page: Page::master(&caller.who, cx.now),
        items: keys.into_iter().map(|k| row(caller, &names, k)).collect(),
        name: Field::default(),
        expires: String::new(),
        scopes: api::scopes_of(&caller.who).into_iter().map(scope).collect(),
        scopes_error: None,
        places: places.into_iter().map(place).collect(),
        error: None,
        created: None,
    })
}

fn explained(action: Action) -> &'static str {
    match action {
        Action::Read => "read: look at everything in a sub-account",
        Action::Reply => "reply: answer people who wrote",
        Action::Write => "write: change leads, rules, senders and requests",
        Action::Manage => "manage: ask for sub-accounts and change their settings",
        Action::Administer => "administer: change people, keys and invitations",
        Action::Own => "own: make owners",
    }
}

pub fn list(cx: &Context<'_>, db: &dyn Db, caller: &Caller) -> Answer {
    Ok(Response::html(200, view(cx, db, caller)?.render()))
}

/// The answer is the page itself: nowhere else is the key shown.
pub fn create(cx: &Context<'_>, db: &dyn Db, caller: &Caller, request: &Request) -> Answer {
    let form = Form::of(request);
    let days = form.number::<i64>("expires")?;
    let input = api::NewKey {
        name: form.get("name").to_owned(),
        scopes: Some(form.all("scope").map(str::to_owned).collect()),
        subaccounts: form.all("place").map(str::to_owned).collect(),
        expires_at: days.map(|days| cx.now + days.clamp(1, 3660) * DAY),
    };
    let problem = match api::create(cx, db, caller, &input) {
        Ok(made) => {
            let created = NewKey {
                name: made.view.name,
                key: made.key,
            };
            let view = ApiKeys {
                created: Some(created),
                ..view(cx, db, caller)?
            };
            return Ok(Response::html(200, view.render()));
        }
        Err(problem) => problem,
    };
    let status = problem.status;
    let mut refusal = Refusal::of(problem);
    let mut view = view(cx, db, caller)?;
    view.name = refusal.field("name", &input.name);
    view.scopes_error = refusal.take("scopes");
    view.error = refusal.rest();
    view.expires = form.get("expires").to_owned();
    for scope in &mut view.scopes {
        scope.chosen = form.all("scope").any(|s| s == scope.value);
    }
    for place in &mut view.places {
        place.chosen = input.subaccounts.contains(&place.value);
    }
    Ok(Response::html(status, view.render()))
}

pub fn revoke(cx: &Context<'_>, db: &dyn Db, caller: &Caller, id: &str) -> Answer {
    api::revoke(cx, db, caller, id)?;
    Ok(Response::see_other("/api-keys"))
}
