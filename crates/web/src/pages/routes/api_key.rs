//! Keys for programs.

use store::session::Identity;
use store::{Db, api_key};

use crate::context::Context;
use crate::http::{Answer, Problem, Request, Response};
use crate::master::api_key as api;
use crate::pages::api_key::{ApiKeyRow, ApiKeys, NewKey};
use crate::pages::form::{Form, Refusal};
use crate::pages::{Field, Page};

fn view(cx: &Context<'_>, db: &dyn Db, who: &Identity) -> Result<ApiKeys, Problem> {
    let row = |k: api_key::ApiKey| ApiKeyRow {
        id: k.id,
        name: k.name,
        prefix: k.prefix,
        created_at: k.created_at,
        last_used_at: k.last_used_at,
    };
    Ok(ApiKeys {
        page: Page::master(&who.email, cx.now),
        items: api_key::list(db, &who.account_id)?
            .into_iter()
            .map(row)
            .collect(),
        name: Field::default(),
        created: None,
    })
}

pub fn list(cx: &Context<'_>, db: &dyn Db, who: &Identity) -> Answer {
    Ok(Response::html(200, view(cx, db, who)?.render()))
}

/// The answer is the page itself: nowhere else is the key shown.
pub fn create(cx: &Context<'_>, db: &dyn Db, who: &Identity, request: &Request) -> Answer {
    let name = Form::of(request).get("name").to_owned();
    match api::create(cx, db, who, &api::NewKey { name: name.clone() }) {
        Ok(api::Created { name, key, .. }) => {
            let view = ApiKeys {
                created: Some(NewKey { name, key }),
                ..view(cx, db, who)?
            };
            Ok(Response::html(200, view.render()))
        }
        Err(problem) => {
            let status = problem.status;
            let mut refusal = Refusal::of(problem);
            let mut field = refusal.field("name", &name);
            field.error = field.error.or(refusal.rest());
            let view = ApiKeys {
                name: field,
                ..view(cx, db, who)?
            };
            Ok(Response::html(status, view.render()))
        }
    }
}

pub fn revoke(cx: &Context<'_>, db: &dyn Db, who: &Identity, id: &str) -> Answer {
    api::revoke(cx, db, who, id)?;
    Ok(Response::see_other("/api-keys"))
}
