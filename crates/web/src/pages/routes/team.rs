//! The people of an account, and those who are invited.

use std::collections::BTreeMap;

use domain::identity::{Action, Role};
use store::{Db, user};

use super::retry_after;
use crate::context::Context;
use crate::http::{Answer, Problem, Request, Response};
use crate::master::person::{self as api, Grant};
use crate::master::{Caller, invite};
use crate::pages::form::{Form, Refusal};
use crate::pages::team::{Check, GrantRow, InviteRow, Person, PersonRow, Team};
use crate::pages::{Choice, Field, Page};

type Names = BTreeMap<String, String>;

fn notice(request: &Request) -> Option<&'static str> {
    Some(match request.param("done")?.as_str() {
        "invited" => "The invitation is on its way.",
        "revoked" => "The invitation is taken back.",
        "removed" => "They are gone; their sessions and keys have ended.",
        "role" => "The role is changed.",
        "grants" => "The change holds at once.",
        _ => return None,
    })
}

fn roles(caller: &Caller) -> Vec<Choice> {
    let may = |role: &Role| *role != Role::Owner || caller.who.may(Action::Own);
    let roles = Role::ALL.into_iter().filter(may);
    roles.map(|r| Choice::new(r.name(), r.name())).collect()
}

/// Names of the sub-accounts that grants are for.
fn places(names: &Names, grants: &[Grant]) -> String {
    let name = |g: &Grant| {
        let name = names.get(&g.subaccount_id)?;
        Some(format!("{name} ({})", g.role))
    };
    grants
        .iter()
        .filter_map(name)
        .collect::<Vec<_>>()
        .join(", ")
}

fn row(caller: &Caller, names: &Names, p: &api::View) -> PersonRow {
    PersonRow {
        you: p.id == caller.who.user_id,
        everywhere: p.role >= Role::Admin,
        places: places(names, &p.grants),
        id: p.id.clone(),
        email: p.email.clone(),
        role: p.role.name().to_owned(),
        confirmed: p.confirmed,
        second_factor: p.second_factor,
        last_seen_at: p.last_seen_at,
    }
}

fn view(db: &dyn Db, cx: &Context<'_>, caller: &Caller) -> Result<Team, Problem> {
    let people = api::views(db, caller)?;
    let names = user::subaccount_names(db, &caller.who.account_id)?;
    let invited = |i: invite::View| InviteRow {
        places: places(&names, &i.grants),
        id: i.id,
        email: i.email,
        role: i.role.name().to_owned(),
        invited_by: i.invited_by,
        expires_at: i.expires_at,
    };
    let invites = invite::views(db, caller)?;
    let check = |(id, name): (&String, &String)| Check {
        value: id.clone(),
        label: name.clone(),
        chosen: false,
    };
    Ok(Team {
        page: Page::master(&caller.who, cx.now),
        error: None,
        people: people.iter().map(|p| row(caller, &names, p)).collect(),
        invites: invites.into_iter().map(invited).collect(),
        email: Field::default(),
        role: Role::Member.name().to_owned(),
        roles: roles(caller),
        places: names.iter().map(check).collect(),
    })
}

pub fn list(cx: &Context<'_>, db: &dyn Db, caller: &Caller, request: &Request) -> Answer {
    let mut view = view(db, cx, caller)?;
    view.page.notice = notice(request).map(str::to_owned);
    Ok(Response::html(200, view.render()))
}

pub fn invite(cx: &Context<'_>, db: &dyn Db, caller: &Caller, request: &Request) -> Answer {
    let form = Form::of(request);
    let chosen: Vec<_> = form.all("place").map(str::to_owned).collect();
    let role = form.get("role").to_owned();
    // The boxes are for those who do not work everywhere.
    let limited = matches!(role.as_str(), "member" | "client");
    let grant = |id: &String| Grant {
        subaccount_id: id.clone(),
        role: role.clone(),
    };
    let input = invite::NewInvite {
        email: form.get("email").to_owned(),
        grants: chosen.iter().filter(|_| limited).map(grant).collect(),
        role: role.clone(),
    };
    let problem = match invite::create(cx, db, caller, &input) {
        Ok(_) => return Ok(Response::see_other("/team?done=invited")),
        Err(problem) if problem.status == 403 => return Err(problem),
        Err(problem) => problem,
    };
    let (status, wait) = (problem.status, problem.retry_after);
    let mut refusal = Refusal::of(problem);
    let mut view = view(db, cx, caller)?;
    view.email = refusal.field("email", &input.email);
    view.error = refusal.rest();
    view.role = role;
    for place in &mut view.places {
        place.chosen = chosen.contains(&place.value);
    }
    Ok(retry_after(Response::html(status, view.render()), wait))
}

pub fn resend(cx: &Context<'_>, db: &dyn Db, caller: &Caller, id: &str) -> Answer {
    invite::resend(cx, db, caller, id)?;
    Ok(Response::see_other("/team?done=invited"))
}

pub fn revoke(cx: &Context<'_>, db: &dyn Db, caller: &Caller, id: &str) -> Answer {
    invite::revoke(cx, db, caller, id)?;
    Ok(Response::see_other("/team?done=revoked"))
}

fn person(cx: &Context<'_>, db: &dyn Db, caller: &Caller, id: &str) -> Result<Person, Problem> {
    let people = api::views(db, caller)?;
    let found = people.iter().find(|p| p.id == id);
    let found = found.ok_or_else(Problem::not_found)?;
    let names = user::subaccount_names(db, &caller.who.account_id)?;
    let grant = |g: &Grant| GrantRow {
        label: names.get(&g.subaccount_id).cloned().unwrap_or_default(),
        id: g.subaccount_id.clone(),
        role: g.role.clone(),
    };
    let open = names
        .iter()
        .filter(|(id, _)| found.grants.iter().all(|g| g.subaccount_id != **id));
    Ok(Person {
        page: Page::master(&caller.who, cx.now),
        error: None,
        person: row(caller, &names, found),
        created_at: found.created_at,
        roles: roles(caller),
        grants: found.grants.iter().map(grant).collect(),
        places: open.map(|(id, name)| Choice::new(id, name)).collect(),
    })
}

pub fn show(cx: &Context<'_>, db: &dyn Db, caller: &Caller, request: &Request, id: &str) -> Answer {
    let mut view = person(cx, db, caller, id)?;
    view.page.notice = notice(request).map(str::to_owned);
    Ok(Response::html(200, view.render()))
}

/// Back to the person, or the page with what stands against it.
fn after(
    cx: &Context<'_>,
    db: &dyn Db,
    caller: &Caller,
    id: &str,
    word: &str,
    done: Answer,
) -> Answer {
    let problem = match done {
        Ok(_) => return Ok(Response::see_other(&format!("/team/{id}?done={word}"))),
        Err(problem) if !matches!(problem.status, 409 | 422) => return Err(problem),
        Err(problem) => problem,
    };
    let status = problem.status;
    let mut view = person(cx, db, caller, id)?;
    view.error = Refusal::of(problem).rest();
    Ok(Response::html(status, view.render()))
}

pub fn role(cx: &Context<'_>, db: &dyn Db, caller: &Caller, request: &Request, id: &str) -> Answer {
    let role = Form::of(request).get("role").to_owned();
    let done = api::change(cx, db, caller, id, &api::NewRole { role });
    // Whoever gave their own rights away has no page here any more.
    let own = id == caller.who.user_id;
    match done {
        Ok(_) if own => Ok(Response::see_other("/profile")),
        done => after(cx, db, caller, id, "role", done),
    }
}

pub fn grant(
    cx: &Context<'_>,
    db: &dyn Db,
    caller: &Caller,
    request: &Request,
    id: &str,
) -> Answer {
    let form = Form::of(request);
    let role = form.get("grant_role").to_owned();
    let place = form.get("place");
    let done = api::put_grant(cx, db, caller, id, place, &api::NewRole { role });
    after(cx, db, caller, id, "grants", done)
}

pub fn end_grant(cx: &Context<'_>, db: &dyn Db, caller: &Caller, id: &str, place: &str) -> Answer {
    let done = api::delete_grant(cx, db, caller, id, place);
    after(cx, db, caller, id, "grants", done)
}

pub fn remove(cx: &Context<'_>, db: &dyn Db, caller: &Caller, id: &str) -> Answer {
    match api::remove(cx, db, caller, id) {
        Ok(_) if id == caller.who.user_id => Ok(Response::see_other("/login")),
        Ok(_) => Ok(Response::see_other("/team?done=removed")),
        refused => after(cx, db, caller, id, "", refused),
    }
}
