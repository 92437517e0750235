//! Rules over the API.

use std::collections::BTreeSet;

use domain::filter::Filter;
use domain::rule::{Action, DELAY_MAX, Trigger};
use domain::template;
use serde::Deserialize;
use serde_json::json;
use store::rule::{self, Rule};
use store::{content, event, lead, transaction};

use crate::http::{Answer, Problem, Response};
use crate::input;
use crate::slave::Scope;
use crate::slave::search::check_filter;

/// What a new rule takes.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewRule {
    /// What people call it.
    pub name: String,
    /// What it waits for.
    pub trigger: Trigger,
    /// Whom it is for; everybody when absent.
    #[serde(default)]
    pub filter: Option<Filter>,
    /// How long it waits, in seconds.
    #[serde(default)]
    pub delay_s: i64,
    /// What it does.
    pub action: Action,
    /// Whether it is also for what happened before it was written.
    #[serde(default = "yes")]
    pub apply_to_previous: bool,
    /// Whether a person approves each of its mails first.
    #[serde(default)]
    pub approval: bool,
}

fn yes() -> bool {
    true
}

/// Rules that a sub-account may have.
const MAX: usize = 500;

fn check(scope: &Scope<'_>, input: &NewRule) -> Result<(), Problem> {
    let Trigger::TagAdded { tag } = &input.trigger;
    input::name("trigger.tag", tag)?;
    if !(0..=DELAY_MAX).contains(&input.delay_s) {
        return Err(Problem::invalid(
            "delay_s",
            format!("must be from 0 to {DELAY_MAX} seconds"),
        ));
    }
    if let Some(filter) = &input.filter {
        check_filter("filter", filter)?;
    }
    let Action::NewOutreach { subject, body, .. } = &input.action;
    if subject.trim().is_empty() {
        return Err(Problem::invalid("action.subject", "must not be empty"));
    }
    input::one_line("action.subject", subject)?;
    if body.trim().is_empty() {
        return Err(Problem::invalid("action.body", "must not be empty"));
    }
    let custom: BTreeSet<String> = lead::custom_fields(&*scope.db)?.into_iter().collect();
    template::check(subject, &custom).map_err(|e| Problem::invalid("action.subject", e.0))?;
    template::check(body, &custom).map_err(|e| Problem::invalid("action.body", e.0))
}

/// Makes a rule.
///
/// # Errors
/// 422 for a wrong field; an unknown variable of a template is one.
pub fn create(scope: &Scope<'_>, input: NewRule) -> Result<serde_json::Value, Problem> {
    let name = input::name("name", &input.name)?;
    check(scope, &input)?;
    let (db, now) = (&*scope.db, scope.cx.now);
    if rule::list(db)?.len() >= MAX {
        return Err(Problem::new(409, "Too many rules")
            .detail(format!("A sub-account has at most {MAX} rules.")));
    }
    let id = scope.promising(&["rule"], || {
        transaction(db, || {
            let cursor = if input.apply_to_previous {
                0
            } else {
                event::last_id(db)?
            };
            let content_id = content::insert(db, &input.action, now)?;
            let rule = Rule {
                id: 0,
                name,
                active: true,
                trigger: input.trigger,
                filter: input.filter,
                delay_s: input.delay_s,
                action: input.action,
                content_id,
                cursor,
                created_at: now,
                approval: input.approval,
            };
            Ok::<_, Problem>(rule::insert(db, &rule)?)
        })
    })?;
    view(scope, &find(scope, id)?)
}

fn find(scope: &Scope<'_>, id: i64) -> Result<Rule, Problem> {
    rule::get(&*scope.db, id)?.ok_or_else(Problem::not_found)
}

/// A rule with how many leads it is for, waits for and was done for.
fn view(scope: &Scope<'_>, r: &Rule) -> Result<serde_json::Value, Problem> {
    let counts = rule::counts(&*scope.db, r.id)?;
    let count = |status: &str| {
        counts
            .iter()
            .find(|(s, _)| s == status)
            .map_or(0, |(_, n)| *n)
    };
    Ok(json!({
        "id": r.id,
        "name": r.name,
        "active": r.active,
        "trigger": r.trigger,
        "filter": r.filter,
        "delay_s": r.delay_s,
        "action": r.action,
        "approval": r.approval,
        "counts": {"pending": count("pending"), "performed": count("performed"), "aborted": count("aborted")},
        "created_at": r.created_at,
    }))
}

/// `GET /rules`
///
/// # Errors
/// When the store fails.
pub fn list(scope: &Scope<'_>) -> Answer {
    let items: Result<Vec<_>, _> = rule::list(&*scope.db)?
        .iter()
        .map(|r| view(scope, r))
        .collect();
    Ok(Response::json(200, &json!({"items": items?})))
}

/// `GET /rules/{id}`
///
/// # Errors
/// 404 when there is none.
pub fn get(scope: &Scope<'_>, id: &str) -> Answer {
    Ok(Response::json(
        200,
        &view(scope, &find(scope, input::id(id)?)?)?,
    ))
}

/// What `PATCH` takes.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Change {
    /// Whether it acts. What happens while it does not is made up for when it is switched on again.
    pub active: bool,
}

/// Switches a rule on or off.
///
/// # Errors
/// 404 when there is none.
pub fn change(scope: &Scope<'_>, id: &str, input: &Change) -> Answer {
    let id = input::id(id)?;
    find(scope, id)?;
    scope.promising(&["rule"], || {
        Ok(rule::set_active(
            &*scope.db,
            id,
            input.active,
            scope.cx.now,
        )?)
    })?;
    Ok(Response::json(200, &view(scope, &find(scope, id)?)?))
}
