//! Sub-accounts: asked for here, placed by `allocate`.

use domain::identity::{Action, Identity};
use serde::{Deserialize, Serialize};
use serde_json::json;
use store::audit::{self, Actor, Change as Noted};
use store::subaccount::{self, Subaccount};
use store::{Db, placement, transaction};

use crate::context::{Context, new_id};
use crate::http::{Answer, Problem, Request, Response};
use crate::input;
use crate::master::caller::Caller;
use crate::master::nodes;

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
    /// `requested`, `allocating`, `active`, `suspended` or `deleted`.
    pub status: String,
    /// Why it is not active yet.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Where it is served, once active.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub base_url: Option<String>,
    /// Milliseconds.
    pub created_at: i64,
    /// Until when it can be brought back, when it is deleted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub purge_at: Option<i64>,
    /// The slave that it lives on; for the operator only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub node_id: Option<String>,
}

impl View {
    fn new(cx: &Context<'_>, s: Subaccount) -> Self {
        let whole = |url: String| match url.starts_with('/') {
            true => format!("{}{url}", cx.config.public_url),
            false => url,
        };
        View {
            status: s.state().to_owned(),
            purge_at: s.purge_at,
            id: s.id,
            name: s.name,
            reason: s.reason,
            base_url: s.base_url.map(whole),
            created_at: s.created_at,
            node_id: None,
        }
    }
}

/// Sub-accounts that one account may ask for.
const MAX: i64 = 1000;

/// Asks for a sub-account.
///
/// # Errors
/// 403 for whoever may not manage sub-accounts, 422 for a bad name, 409 when there are too many.
pub fn create(
    cx: &Context<'_>,
    db: &dyn Db,
    caller: &Caller,
    input: &NewSubaccount,
) -> Result<View, Problem> {
    caller.require(Action::Manage)?;
    let who = &caller.who;
    let name = input::name("name", &input.name)?;
    let id = new_id(cx.now);
    transaction(db, || {
        if subaccount::count(db, &who.account_id)? >= MAX {
            return Err(Problem::new(409, "Too many sub-accounts")
                .detail(format!("An account has at most {MAX} sub-accounts.")));
        }
        subaccount::insert(db, &id, &who.account_id, &name, cx.now)?;
        let change = Noted {
            action: "subaccount.requested",
            subject_id: &id,
            subject: &name,
            ..Noted::default()
        };
        Ok(audit::record(db, cx.now, &caller.actor, &change)?)
    })?;
    Ok(View {
        id,
        name,
        status: "requested".to_owned(),
        reason: None,
        base_url: None,
        created_at: cx.now,
        purge_at: None,
        node_id: None,
    })
}

/// The account's sub-accounts that somebody may see, newest first.
///
/// # Errors
/// When the store fails.
pub fn seen(db: &dyn Db, who: &Identity) -> store::Result<Vec<Subaccount>> {
    let mut all = subaccount::list(db, &who.account_id)?;
    all.retain(|s| who.may_in(&s.id, Action::Read));
    Ok(all)
}

/// The same as JSON.
///
/// # Errors
/// When the store fails.
pub fn list(cx: &Context<'_>, db: &dyn Db, who: &Identity) -> Answer {
    let items: Vec<View> = seen(db, who)?
        .into_iter()
        .map(|s| View::new(cx, s))
        .collect();
    Ok(Response::json(200, &json!({"items": items})))
}

/// A sub-account and whoever asks for it: somebody of its account, or the operator.
pub struct Owner {
    found: Subaccount,
    actor: Actor,
    /// Whether they may change it; others may only look.
    manages: bool,
    operator: bool,
}

impl Owner {
    /// Finds the sub-account of a path.
    ///
    /// # Errors
    /// 401 for nobody, 404 when there is no such sub-account for the caller, 403 for a key that may not read.
    pub fn of(cx: &Context<'_>, db: &dyn Db, request: &Request, id: &str) -> Result<Self, Problem> {
        if nodes::is_operator(cx, request) {
            let found = subaccount::any(db, id)?.ok_or_else(Problem::not_found)?;
            return Ok(Owner {
                actor: Actor {
                    account_id: Some(found.account_id.clone()),
                    ..nodes::operator(request)
                },
                found,
                manages: true,
                operator: true,
            });
        }
        let caller = super::require(cx, db, request)?;
        let who = &caller.who;
        let found = subaccount::get(db, id, &who.account_id)?;
        let found = found.filter(|_| who.role_in(id).is_some());
        let found = found.ok_or_else(Problem::not_found)?;
        if !who.may_in(id, Action::Read) {
            return Err(Problem::lacks(Action::Read));
        }
        Ok(Owner {
            found,
            manages: who.may_in(id, Action::Manage),
            operator: false,
            actor: caller.actor,
        })
    }

    fn may_change(&self) -> Result<(&str, &str), Problem> {
        match self.manages {
            true => Ok((&self.found.id, &self.found.account_id)),
            false => Err(Problem::lacks(Action::Manage)),
        }
    }

    /// Notes a change, and lets the node know of it at the next tick.
    fn changed(
        &self,
        cx: &Context<'_>,
        db: &dyn Db,
        action: &str,
        after: Option<serde_json::Value>,
    ) -> store::Result<()> {
        placement::nudge(db, &self.found.id, cx.now)?;
        let change = Noted {
            action,
            subject_id: &self.found.id,
            subject: &self.found.name,
            before: None,
            after,
        };
        audit::record(db, cx.now, &self.actor, &change)
    }
}

/// One of them.
///
/// # Errors
/// When the store fails.
pub fn get(cx: &Context<'_>, db: &dyn Db, owner: &Owner) -> Answer {
    let found = subaccount::any(db, &owner.found.id)?.ok_or_else(Problem::not_found)?;
    let node_id = match owner.operator {
        true => placement::home(db, &found.id)?,
        false => None,
    };
    let view = View {
        node_id,
        ..View::new(cx, found)
    };
    Ok(Response::json(200, &view))
}

/// What `PATCH` takes.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Change {
    /// What people call it.
    pub name: Option<String>,
    /// Whether it rests: nothing in it is seen, changed or sent.
    pub suspended: Option<bool>,
}

/// Renames, suspends or resumes a sub-account. Its node is told within a second or two.
///
/// # Errors
/// 403 for those who may only look, 409 when it is deleted, 422 for a field that cannot be taken.
pub fn change(cx: &Context<'_>, db: &dyn Db, owner: &Owner, input: &Change) -> Answer {
    let (id, account) = owner.may_change()?;
    let name = input.name.as_deref().map(|n| input::name("name", n));
    let name = name.transpose()?;
    if name.is_none() && input.suspended.is_none() {
        return Err(Problem::invalid("name", "say what is to change"));
    }
    transaction(db, || {
        if let Some(name) = &name {
            subaccount::rename(db, id, account, name, cx.now)?;
            owner.changed(cx, db, "subaccount.renamed", Some(json!({"name": name})))?;
        }
        if let Some(suspended) = input.suspended {
            let since = suspended.then_some(cx.now);
            if !subaccount::suspend(db, id, account, since, cx.now)? {
                return Err(Problem::new(409, "The sub-account is deleted")
                    .detail("Bring it back first. Nothing was changed."));
            }
            let action = match suspended {
                true => "subaccount.suspended",
                false => "subaccount.resumed",
            };
            owner.changed(cx, db, action, None)?;
        }
        Ok(())
    })?;
    get(cx, db, owner)
}

const DAY: i64 = 24 * 60 * 60 * 1000;

/// Deletes a sub-account. It can be brought back for some days; the operator may say for how many (`?grace=`).
///
/// # Errors
/// 403 for those who may not, 422 for another grace than a number of days.
pub fn delete(cx: &Context<'_>, db: &dyn Db, owner: &Owner, request: &Request) -> Answer {
    let (id, account) = owner.may_change()?;
    let grace = match request.param("grace") {
        None => cx.config.delete_grace_days,
        Some(_) if !owner.operator => {
            return Err(Problem::forbidden()
                .detail("Only the operator may say how long it can be brought back."));
        }
        Some(days) => days
            .parse()
            .ok()
            .filter(|days| (0..=3650).contains(days))
            .ok_or_else(|| Problem::invalid("grace", "must be a number of days, at most 3650"))?,
    };
    transaction(db, || {
        let purge_at = cx.now + grace * DAY;
        if subaccount::delete(db, id, account, cx.now, purge_at)? {
            let after = json!({"purge_at": purge_at});
            owner.changed(cx, db, "subaccount.deleted", Some(after))?;
        }
        Ok::<(), Problem>(())
    })?;
    let found = subaccount::any(db, id)?.ok_or_else(Problem::not_found)?;
    Ok(Response::json(200, &View::new(cx, found)))
}

/// Brings a deleted sub-account back.
///
/// # Errors
/// 403 for those who may not, 409 when it is not deleted, or too late.
pub fn restore(cx: &Context<'_>, db: &dyn Db, owner: &Owner) -> Answer {
    let (id, account) = owner.may_change()?;
    transaction(db, || {
        if !subaccount::restore(db, id, account, cx.now)? {
            return Err(Problem::new(409, "There is nothing to bring back").detail(
                "The sub-account is not deleted, or it is too late: its data is being erased.",
            ));
        }
        Ok(owner.changed(cx, db, "subaccount.restored", None)?)
    })?;
    get(cx, db, owner)
}
