//! Who may work in which tenant. This is the one place that decides it.

use store::credential;
use store::session::Identity;
use store::tenant::{self, Tenant};

use crate::auth::Credential;
use crate::context::Context;
use crate::http::{Problem, Request};
use crate::master::node::{Introspect, Introspected};
use crate::slave::Scope;

/// What is known of a caller before the master is asked.
#[derive(Debug)]
pub enum Caller {
    /// No credential at all.
    Nobody,
    /// The master vouched for them a moment ago.
    Known(Identity),
    /// Ask the master this: `POST {master}/node/v1/introspect`.
    Ask(Introspect),
}

/// Looks at a request's credential.
///
/// # Errors
/// When the store fails.
pub fn caller(cx: &Context<'_>, request: &Request) -> Result<Caller, Problem> {
    let tenant_path = match request.segments()[..] {
        ["s", _] => true,
        ["s", _, second, ..] => second != "static" && second != "u",
        _ => false,
    };
    let Some(credential) = Credential::of(request).filter(|_| tenant_path) else {
        return Ok(Caller::Nobody);
    };
    let token_hash = credential.hash();
    let control = cx.control()?;
    if let Some(who) = credential::get(&*control, &token_hash, cx.now)? {
        return Ok(Caller::Known(who));
    }
    let kind = match credential {
        Credential::Key(_) => "key",
        Credential::Session(_) => "session",
    };
    Ok(Caller::Ask(Introspect {
        kind: kind.to_owned(),
        token_hash,
    }))
}

/// Takes note of what the master answered.
///
/// # Errors
/// When the store fails.
pub fn remember(
    cx: &Context<'_>,
    asked: &Introspect,
    answer: Introspected,
) -> Result<Option<Identity>, Problem> {
    if !answer.active {
        return Ok(None);
    }
    let who = Identity {
        account_id: answer.account_id,
        user_id: answer.user_id,
        email: answer.email,
    };
    credential::put(&*cx.control()?, &asked.token_hash, &who, cx.now)?;
    Ok(Some(who))
}

/// A tenant of the caller's account.
///
/// # Errors
/// 404 when there is no such tenant or it belongs to somebody else: the two look the same.
pub fn scope<'a>(cx: &'a Context<'a>, id: &str, who: &Identity) -> Result<Scope<'a>, Problem> {
    open(cx, id, |tenant| tenant.account_id == who.account_id)
}

/// A tenant, for callers who show something else than a credential (a signed link, a worker's lease).
///
/// # Errors
/// 404 when there is no such tenant.
pub fn public<'a>(cx: &'a Context<'a>, id: &str) -> Result<Scope<'a>, Problem> {
    open(cx, id, |_| true)
}

/// Opens a tenant's database, unless the caller may not know that it is there.
fn open<'a>(
    cx: &'a Context<'a>,
    id: &str,
    may: impl FnOnce(&Tenant) -> bool,
) -> Result<Scope<'a>, Problem> {
    let control = cx.control()?;
    let tenant = tenant::get(&*control, id)?
        .filter(may)
        .ok_or_else(Problem::not_found)?;
    let db = tenant::open(cx.stores, &*control, &tenant)?;
    Ok(Scope {
        cx,
        control,
        tenant,
        db,
    })
}
