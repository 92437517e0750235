//! Sub-accounts: asked for here, placed by `allocate`.

use serde::{Deserialize, Serialize};
use serde_json::json;
use store::Db;
use store::session::Identity;
use store::subaccount::{self, Subaccount};

use crate::context::{Context, new_id};
use crate::http::{Answer, Problem, Response};
use crate::input;

/// What asking for a sub-account takes.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewSubaccount {
    /// What people call it.
    pub name: String,
}

/// A sub-account as the API shows it.
#[derive(Debug, Serialize)]
pub struct View {
    /// UUIDv7.
    pub id: String,
    /// What people call it.
    pub name: String,
    /// `requested`, `allocating`, `active` or `failed`.
    pub status: String,
    /// Why it is not active yet.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Where it is served, once active.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub base_url: Option<String>,
    /// Milliseconds.
    pub created_at: i64,
}

impl View {
    fn new(cx: &Context<'_>, s: Subaccount) -> Self {
        let whole = |url: String| match url.starts_with('/') {
            true => format!("{}{url}", cx.config.public_url),
            false => url,
        };
        View {
            id: s.id,
            name: s.name,
            status: s.status,
            reason: s.reason,
            base_url: s.base_url.map(whole),
            created_at: s.created_at,
        }
    }
}

/// Sub-accounts that one account may ask for.
const MAX: i64 = 1000;

/// Asks for a sub-account.
///
/// # Errors
/// 422 for a bad name, 409 when there are too many.
pub fn create(
    cx: &Context<'_>,
    db: &dyn Db,
    who: &Identity,
    input: &NewSubaccount,
) -> Result<View, Problem> {
    let name = input::name("name", &input.name)?;
    if subaccount::count(db, &who.account_id)? >= MAX {
        return Err(Problem::new(409, "Too many sub-accounts")
            .detail(format!("An account has at most {MAX} sub-accounts.")));
    }
    let id = new_id(cx.now);
    subaccount::insert(db, &id, &who.account_id, &name, cx.now)?;
    Ok(View {
        id,
        name,
        status: "requested".to_owned(),
        reason: None,
        base_url: None,
        created_at: cx.now,
    })
}

/// The account's sub-accounts, newest first.
///
/// # Errors
/// When the store fails.
pub fn list(cx: &Context<'_>, db: &dyn Db, who: &Identity) -> Answer {
    let items: Vec<View> = subaccount::list(db, &who.account_id)?
        .into_iter()
        .map(|s| View::new(cx, s))
        .collect();
    Ok(Response::json(200, &json!({"items": items})))
}

/// One of them.
///
/// # Errors
/// 404 when the account has no such sub-account.
pub fn get(cx: &Context<'_>, db: &dyn Db, who: &Identity, id: &str) -> Answer {
    let found = subaccount::get(db, id, &who.account_id)?.ok_or_else(Problem::not_found)?;
    Ok(Response::json(200, &View::new(cx, found)))
}
