//! What slaves ask the master.

use serde::{Deserialize, Serialize};
use store::{Db, api_key, session};

use crate::context::Context;
use crate::http::{Answer, Request, Response};

/// A slave asks whom a credential belongs to (after RFC 7662). It sends the hash, never the credential.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Introspect {
    /// `key` or `session`.
    pub kind: String,
    /// As in [`crate::auth::Credential::hash`].
    pub token_hash: String,
}

/// The answer.
#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Introspected {
    /// Whether it is somebody's.
    pub active: bool,
    /// Their account.
    #[serde(default)]
    pub account_id: String,
    /// The person.
    #[serde(default)]
    pub user_id: String,
    /// Their address.
    #[serde(default)]
    pub email: String,
}

/// Says whom a credential belongs to.
///
/// # Errors
/// 422 for another body, or when the store fails.
pub fn introspect(cx: &Context<'_>, db: &dyn Db, request: &Request) -> Answer {
    let input: Introspect = request.json()?;
    let found = match input.kind.as_str() {
        "key" => api_key::find(db, &input.token_hash, cx.now)?,
        _ => session::find(db, &input.token_hash, cx.now)?,
    };
    let answer = found.map_or_else(Introspected::default, |who| Introspected {
        active: true,
        account_id: who.account_id,
        user_id: who.user_id,
        email: who.email,
    });
    Ok(Response::json(200, &answer))
}
