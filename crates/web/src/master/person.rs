//! The people of an account: what they are, where they may work, and that they leave.

use std::collections::BTreeMap;

use domain::identity::{Action, Role};
use serde::{Deserialize, Serialize};
use serde_json::json;
use store::audit::{self, Change};
use store::user::{self, User};
use store::{Db, session, subaccount, transaction};

use crate::context::Context;
use crate::http::{Answer, Problem, Response};
use crate::master::caller::Caller;
use crate::master::invite;

/// What somebody is in one sub-account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Grant {
    /// The sub-account (UUID).
    pub subaccount_id: String,
    /// `member` or `client`.
    pub role: String,
}

/// Grants as the API shows them.
pub fn grants(grants: &BTreeMap<String, Role>) -> Vec<Grant> {
    let grant = |(id, role): (&String, &Role)| Grant {
        subaccount_id: id.clone(),
        role: role.name().to_owned(),
    };
    grants.iter().map(grant).collect()
}

/// A person as the API shows them.
#[derive(Debug, Serialize)]
pub struct View {
    /// UUIDv7.
    pub id: String,
    /// Their address.
    pub email: String,
    /// What they are in the account.
    pub role: Role,
    /// Whether they showed that the address is theirs.
    pub confirmed: bool,
    /// Whether logging in takes a code.
    pub second_factor: bool,
    /// What they are in single sub-accounts; owners and admins need none.
    pub grants: Vec<Grant>,
    /// Milliseconds.
    pub created_at: i64,
    /// Milliseconds; exact to a minute.
    pub last_seen_at: Option<i64>,
}

/// The people of the caller's account.
///
/// # Errors
/// 403 for whoever does not administer it.
pub fn views(db: &dyn Db, caller: &Caller) -> Result<Vec<View>, Problem> {
    caller.require(Action::Administer)?;
    let account_id = &caller.who.account_id;
    let mut all = user::account_grants(db, account_id)?;
    let view = |u: User| View {
        grants: grants(&all.remove(&u.id).unwrap_or_default()),
        id: u.id,
        email: u.email,
        role: u.role,
        confirmed: u.confirmed_at.is_some(),
        second_factor: u.totp.is_some(),
        created_at: u.created_at,
        last_seen_at: u.last_seen_at,
    };
    Ok(user::list(db, account_id)?.into_iter().map(view).collect())
}

/// The same as JSON.
///
/// # Errors
/// 403 for whoever does not administer the account.
pub fn list(db: &dyn Db, caller: &Caller) -> Answer {
    Ok(Response::json(200, &json!({"items": views(db, caller)?})))
}

fn find(db: &dyn Db, caller: &Caller, id: &str) -> Result<User, Problem> {
    let user = user::get(db, id)?.filter(|u| u.account_id == caller.who.account_id);
    user.ok_or_else(Problem::not_found)
}

/// A role by its name.
///
/// # Errors
/// 422 with the field.
pub fn role(field: &str, name: &str) -> Result<Role, Problem> {
    Role::of(name).ok_or_else(|| Problem::invalid(field, "must be owner, admin, member or client"))
}

/// Nobody gives what they have not, or takes it: all that the role may do, whoever decides of it must be able to do.
///
/// # Errors
/// 403.
pub fn may_give(caller: &Caller, role: Role) -> Result<(), Problem> {
    let mut actions = Action::ALL.into_iter().filter(|action| role.may(*action));
    actions.try_for_each(|action| caller.require(action))
}

/// Whoever owns the account alone stays: an account without an owner could never have one again.
fn not_the_last_owner(db: &dyn Db, user: &User) -> Result<(), Problem> {
    if user.role == Role::Owner && user::owners(db, &user.account_id)? <= 1 {
        return Err(Problem::new(409, "This is the last owner")
            .detail("Make somebody else an owner first. Nothing was changed."));
    }
    Ok(())
}

/// What changing a person takes.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewRole {
    /// What they are to be.
    pub role: String,
}

/// Makes a person something else.
///
/// # Errors
/// 403 for whoever may not, 404, 409 for the last owner.
pub fn change(cx: &Context<'_>, db: &dyn Db, caller: &Caller, id: &str, input: &NewRole) -> Answer {
    caller.require(Action::Administer)?;
    let new = role("role", &input.role)?;
    transaction(db, || {
        let mut user = find(db, caller, id)?;
        may_give(caller, user.role)?;
        may_give(caller, new)?;
        if new != Role::Owner {
            not_the_last_owner(db, &user)?;
        }
        user::set_role(db, id, &user.account_id, new)?;
        let before = std::mem::replace(&mut user.role, new);
        invite::end_of(cx, db, caller, &user)?;
        let change = Change {
            action: "person.role_changed",
            subject_id: id,
            subject: &user.email,
            before: Some(json!({"role": before})),
            after: Some(json!({"role": new})),
        };
        Ok::<_, Problem>(audit::record(db, cx.now, &caller.actor, &change)?)
    })?;
    let view = views(db, caller)?.into_iter().find(|v| v.id == id);
    view.map(|v| Response::json(200, &v))
        .ok_or_else(Problem::not_found)
}

/// Removes a person; their sessions, keys and invitations end at once. Anybody may remove themselves.
///
/// # Errors
/// 403 for whoever may not, 404, 409 for the last owner.
pub fn remove(cx: &Context<'_>, db: &dyn Db, caller: &Caller, id: &str) -> Answer {
    let oneself = id == caller.who.user_id && caller.who.session_id.is_some();
    if !oneself {
        caller.require(Action::Administer)?;
    }
    transaction(db, || {
        let user = find(db, caller, id)?;
        if !oneself {
            may_give(caller, user.role)?;
        }
        not_the_last_owner(db, &user)?;
        let before = json!({"role": user.role, "grants": grants(&user::grants(db, id)?)});
        session::delete_all(db, id)?;
        user::delete(db, id, &user.account_id)?;
        let change = Change {
            action: "person.removed",
            subject_id: id,
            subject: &user.email,
            before: Some(before),
            after: None,
        };
        Ok::<_, Problem>(audit::record(db, cx.now, &caller.actor, &change)?)
    })?;
    Ok(Response::no_content())
}

/// A grant that may be given: what it names is there.
///
/// # Errors
/// 422 with the field, 403 for a role that the caller may not give.
pub fn granted(
    db: &dyn Db,
    caller: &Caller,
    field: &str,
    grant: &Grant,
) -> Result<(String, Role), Problem> {
    let role = Role::of(&grant.role).filter(|r| matches!(r, Role::Member | Role::Client));
    let role = role.ok_or_else(|| {
        Problem::invalid(
            format!("{field}role"),
            "must be member or client: owners and admins work everywhere",
        )
    })?;
    may_give(caller, role)?;
    let id = &grant.subaccount_id;
    subaccount::get(db, id, &caller.who.account_id)?.ok_or_else(|| {
        Problem::invalid(
            format!("{field}subaccount_id"),
            "is no sub-account of this account",
        )
    })?;
    Ok((id.clone(), role))
}

/// Lets a person into a sub-account.
///
/// # Errors
/// 403 for whoever may not, 404 for an unknown person or sub-account, 422 for another role.
pub fn put_grant(
    cx: &Context<'_>,
    db: &dyn Db,
    caller: &Caller,
    id: &str,
    subaccount_id: &str,
    input: &NewRole,
) -> Answer {
    caller.require(Action::Administer)?;
    let account_id = &caller.who.account_id;
    let place = subaccount::get(db, subaccount_id, account_id)?.ok_or_else(Problem::not_found)?;
    let grant = Grant {
        subaccount_id: subaccount_id.to_owned(),
        role: input.role.clone(),
    };
    let (_, role) = granted(db, caller, "", &grant)?;
    transaction(db, || {
        let user = find(db, caller, id)?;
        let before = user::grants(db, id)?.get(subaccount_id).copied();
        user::put_grant(db, id, subaccount_id, role, cx.now)?;
        let state =
            |role: Role| json!({"subaccount": place.name, "subaccount_id": place.id, "role": role});
        let change = Change {
            action: "grant.given",
            subject_id: id,
            subject: &user.email,
            before: before.map(state),
            after: Some(state(role)),
        };
        Ok::<_, Problem>(audit::record(db, cx.now, &caller.actor, &change)?)
    })?;
    Ok(Response::json(200, &grant))
}

/// Lets a person into a sub-account no more.
///
/// # Errors
/// 403 for whoever may not, 404 when there is no such grant.
pub fn delete_grant(
    cx: &Context<'_>,
    db: &dyn Db,
    caller: &Caller,
    id: &str,
    subaccount_id: &str,
) -> Answer {
    caller.require(Action::Administer)?;
    transaction(db, || {
        let user = find(db, caller, id)?;
        let before = user::grants(db, id)?.get(subaccount_id).copied();
        let before = before.ok_or_else(Problem::not_found)?;
        user::delete_grant(db, id, subaccount_id)?;
        let place = subaccount::get(db, subaccount_id, &user.account_id)?;
        let name = place.map(|p| p.name).unwrap_or_default();
        let change = Change {
            action: "grant.taken",
            subject_id: id,
            subject: &user.email,
            before: Some(
                json!({"subaccount": name, "subaccount_id": subaccount_id, "role": before}),
            ),
            after: None,
        };
        Ok::<_, Problem>(audit::record(db, cx.now, &caller.actor, &change)?)
    })?;
    Ok(Response::no_content())
}
