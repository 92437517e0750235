//! Keys for programs.

use std::collections::BTreeSet;

use domain::identity::{Action, Identity, Limits};
use serde::{Deserialize, Serialize};
use serde_json::json;
use store::api_key::{self, ApiKey};
use store::audit::{self, Change};
use store::{Db, subaccount, transaction};

use crate::auth::{Credential, KEY_PREFIX};
use crate::context::{Context, new_id, random_text};
use crate::http::{Answer, Problem, Response};
use crate::input;
use crate::master::caller::{Caller, key_prefix};

/// What making a key takes.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewKey {
    /// What the key is for.
    pub name: String,
    /// What it may do; all that its owner may when nothing is said.
    #[serde(default)]
    pub scopes: Option<Vec<String>>,
    /// Where it may do it; everywhere that its owner may when nothing is said.
    #[serde(default)]
    pub subaccounts: Vec<String>,
    /// When it ends by itself, in milliseconds.
    #[serde(default)]
    pub expires_at: Option<i64>,
}

/// A key as the API shows it.
#[derive(Debug, Clone, Serialize)]
pub struct View {
    /// UUIDv7.
    pub id: String,
    /// What the key is for.
    pub name: String,
    /// Its first characters.
    pub prefix: String,
    /// What it may do at most.
    pub scopes: BTreeSet<Action>,
    /// Where it may do it at most; everywhere when none is named.
    pub subaccounts: BTreeSet<String>,
    /// The person whose rights it has.
    pub owner: String,
    /// When it ends by itself.
    pub expires_at: Option<i64>,
    /// Milliseconds.
    pub created_at: i64,
    /// Milliseconds; exact to a minute.
    pub last_used_at: Option<i64>,
}

impl From<ApiKey> for View {
    fn from(k: ApiKey) -> Self {
        View {
            id: k.id,
            name: k.name,
            prefix: k.prefix,
            scopes: k.limits.scopes,
            subaccounts: k.limits.subaccounts,
            owner: k.owner,
            expires_at: k.expires_at,
            created_at: k.created_at,
            last_used_at: k.last_used_at,
        }
    }
}

/// A new key: the only time that it is shown.
#[derive(Debug, Serialize)]
pub struct Created {
    /// The key as it is listed.
    #[serde(flatten)]
    pub view: View,
    /// The key itself.
    pub key: String,
}

/// Live keys that an account may have.
const MAX: i64 = 200;

/// What a person may do anywhere: the scopes that a key of theirs can have.
pub fn scopes_of(who: &Identity) -> BTreeSet<Action> {
    let granted = |action: &Action| who.grants.keys().any(|id| who.may_in(id, *action));
    let may = |action: &Action| who.may(*action) || granted(action);
    Action::ALL.into_iter().filter(may).collect()
}

/// Makes a key. It can have no right that its owner has not. Keys make no keys: one that leaked would never end.
///
/// # Errors
/// 422 for a bad field, 403 for a key, 409 when there are too many.
pub fn create(
    cx: &Context<'_>,
    db: &dyn Db,
    caller: &Caller,
    input: &NewKey,
) -> Result<Created, Problem> {
    caller.session()?;
    let who = &caller.who;
    let name = input::name("name", &input.name)?;
    let limits = Limits {
        scopes: scopes(who, input.scopes.as_deref())?,
        subaccounts: places(db, who, &input.subaccounts)?,
    };
    if input.expires_at.is_some_and(|at| at <= cx.now) {
        return Err(Problem::invalid("expires_at", "must be in the future"));
    }
    if api_key::count(db, &who.account_id)? >= MAX {
        return Err(Problem::new(409, "Too many keys").detail(format!(
            "An account has at most {MAX} keys. Revoke one first."
        )));
    }
    let key = format!("{KEY_PREFIX}{}", random_text(32));
    let row = ApiKey {
        id: new_id(cx.now),
        name,
        prefix: key_prefix(&key),
        limits,
        expires_at: input.expires_at,
        created_at: cx.now,
        last_used_at: None,
        user_id: who.user_id.clone(),
        owner: who.email.clone(),
    };
    let hash = Credential::Key(key.clone()).hash();
    transaction(db, || {
        api_key::insert(db, &who.account_id, &row, &hash)?;
        let change = Change {
            action: "api_key.created",
            subject_id: &row.id,
            subject: &row.name,
            before: None,
            after: Some(state(&row)),
        };
        audit::record(db, cx.now, &caller.actor, &change)
    })?;
    Ok(Created {
        view: row.into(),
        key,
    })
}

fn state(key: &ApiKey) -> serde_json::Value {
    json!({
        "prefix": key.prefix, "owner": key.owner, "scopes": key.limits.scopes,
        "subaccounts": key.limits.subaccounts, "expires_at": key.expires_at,
    })
}

fn scopes(who: &Identity, asked: Option<&[String]>) -> Result<BTreeSet<Action>, Problem> {
    let own = scopes_of(who);
    let Some(asked) = asked else {
        return Ok(own);
    };
    if asked.is_empty() {
        return Err(Problem::invalid("scopes", "must name at least one"));
    }
    let mut scopes = BTreeSet::new();
    for name in asked {
        let names: Vec<_> = Action::ALL.iter().map(|a| a.name()).collect();
        let action = Action::of(name).ok_or_else(|| {
            Problem::invalid("scopes", format!("must be some of {}", names.join(", ")))
        })?;
        if !own.contains(&action) {
            return Err(Problem::invalid(
                "scopes",
                format!("may not have {name}, as you may not do it yourself"),
            ));
        }
        scopes.insert(action);
    }
    Ok(scopes)
}

fn places(db: &dyn Db, who: &Identity, asked: &[String]) -> Result<BTreeSet<String>, Problem> {
    for id in asked {
        let known =
            who.role_in(id).is_some() && subaccount::get(db, id, &who.account_id)?.is_some();
        if !known {
            return Err(Problem::invalid(
                "subaccounts",
                "must be sub-accounts that you may see",
            ));
        }
    }
    Ok(asked.iter().cloned().collect())
}

/// The keys that the caller may see, newest first: their own, or all of the account for whoever administers it.
///
/// # Errors
/// When the store fails.
pub fn views(db: &dyn Db, caller: &Caller) -> Result<Vec<View>, Problem> {
    let keys = api_key::list(db, &caller.who.account_id)?;
    let mine = keys.into_iter().filter(|k| may_end(caller, k));
    Ok(mine.map(View::from).collect())
}

fn may_end(caller: &Caller, key: &ApiKey) -> bool {
    let who = &caller.who;
    who.may(Action::Administer) || (who.limits.is_none() && key.user_id == who.user_id)
}

/// The same as JSON.
///
/// # Errors
/// When the store fails.
pub fn list(db: &dyn Db, caller: &Caller) -> Answer {
    Ok(Response::json(200, &json!({"items": views(db, caller)?})))
}

/// Ends a key.
///
/// # Errors
/// 404 when there is no such key, or it is not the caller's to see.
pub fn revoke(cx: &Context<'_>, db: &dyn Db, caller: &Caller, id: &str) -> Answer {
    let account_id = &caller.who.account_id;
    let key = api_key::get(db, id, account_id)?.filter(|k| may_end(caller, k));
    let key = key.ok_or_else(Problem::not_found)?;
    transaction(db, || {
        if !api_key::revoke(db, id, account_id, cx.now)? {
            return Err(Problem::not_found());
        }
        let change = Change {
            action: "api_key.revoked",
            subject_id: id,
            subject: &key.name,
            before: Some(state(&key)),
            after: None,
        };
        Ok(audit::record(db, cx.now, &caller.actor, &change)?)
    })?;
    Ok(Response::no_content())
}
