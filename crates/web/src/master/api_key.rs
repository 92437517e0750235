//! Keys for programs.

use serde::{Deserialize, Serialize};
use serde_json::json;
use store::Db;
use store::api_key::{self, ApiKey};
use store::session::Identity;

use crate::auth::{Credential, KEY_PREFIX};
use crate::context::{Context, new_id, random_text};
use crate::http::{Answer, Problem, Response};
use crate::input;

/// What making a key takes.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewKey {
    /// What the key is for.
    pub name: String,
}

/// A new key: the only time that it is shown.
#[derive(Debug, Serialize)]
pub struct Created {
    /// UUIDv7.
    pub id: String,
    /// What the key is for.
    pub name: String,
    /// The key itself.
    pub key: String,
}

/// Live keys that an account may have.
const MAX: i64 = 200;

/// Makes a key.
///
/// # Errors
/// 422 for a bad name, 409 when there are too many.
pub fn create(
    cx: &Context<'_>,
    db: &dyn Db,
    who: &Identity,
    input: &NewKey,
) -> Result<Created, Problem> {
    let name = input::name("name", &input.name)?;
    if api_key::count(db, &who.account_id)? >= MAX {
        return Err(Problem::new(409, "Too many keys").detail(format!(
            "An account has at most {MAX} keys. Revoke one first."
        )));
    }
    let key = format!("{KEY_PREFIX}{}", random_text(32));
    let prefix = key.chars().take(KEY_PREFIX.len() + 6).collect();
    let row = ApiKey {
        id: new_id(cx.now),
        name,
        prefix,
        created_at: cx.now,
        last_used_at: None,
    };
    api_key::insert(db, who, &row, &Credential::Key(key.clone()).hash())?;
    Ok(Created {
        id: row.id,
        name: row.name,
        key,
    })
}

/// The account's keys, without the keys themselves.
///
/// # Errors
/// When the store fails.
pub fn list(db: &dyn Db, who: &Identity) -> Answer {
    let items: Vec<_> = api_key::list(db, &who.account_id)?
        .into_iter()
        .map(|k| json!({"id": k.id, "name": k.name, "prefix": k.prefix, "created_at": k.created_at, "last_used_at": k.last_used_at}))
        .collect();
    Ok(Response::json(200, &json!({"items": items})))
}

/// Ends a key.
///
/// # Errors
/// 404 when the account has no such key.
pub fn revoke(cx: &Context<'_>, db: &dyn Db, who: &Identity, id: &str) -> Answer {
    match api_key::revoke(db, id, &who.account_id, cx.now)? {
        true => Ok(Response::no_content()),
        false => Err(Problem::not_found()),
    }
}
