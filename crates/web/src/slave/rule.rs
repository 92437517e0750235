//! Rules over the API.

use domain::filter::Filter;
use domain::letter::Texts;
use domain::rule::{Action, DELAY_MAX, Trigger, is_event};
use serde::Deserialize;
use serde_json::json;
use store::rule::{self, Rule};
use store::{content, event, instance, transaction};

use crate::http::{Answer, Problem, Response};
use crate::input;
use crate::slave::search::check_filter;
use crate::slave::{Scope, texts};

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
    /// Whether it leaves alone who ever wrote.
    #[serde(default)]
    pub skip_repliers: bool,
}

fn yes() -> bool {
    true
}

/// Rules that a sub-account may have.
const MAX: usize = 500;

fn check_trigger(scope: &Scope<'_>, trigger: &Trigger) -> Result<(), Problem> {
    match trigger {
        Trigger::TagAdded { tag } => input::name("trigger.tag", tag).map(|_| ())?,
        Trigger::EventCreated { event } if !is_event(event) => {
            let must = "must be the name of a kind of events, like lead_created";
            return Err(Problem::invalid("trigger.event", must));
        }
        Trigger::StepDone { .. } => {
            let must = "must be one that rules may wait for; this one is for sequences";
            return Err(Problem::invalid("trigger.type", must));
        }
        _ => {}
    }
    match trigger.rule_id() {
        Some(id) if rule::get(&*scope.db, id)?.is_none() => Err(Problem::invalid(
            "trigger.rule_id",
            "must be the id of a rule",
        )),
        _ => Ok(()),
    }
}

fn check_delay(delay_s: i64) -> Result<(), Problem> {
    match (0..=DELAY_MAX).contains(&delay_s) {
        true => Ok(()),
        false => Err(Problem::invalid(
            "delay_s",
            format!("must be from 0 to {DELAY_MAX} seconds"),
        )),
    }
}

/// Checks whom a rule is for.
///
/// # Errors
/// 422 for a wrong field.
pub fn check_audience(
    scope: &Scope<'_>,
    trigger: &Trigger,
    filter: Option<&Filter>,
) -> Result<(), Problem> {
    check_trigger(scope, trigger)?;
    match filter {
        Some(filter) => check_filter("filter", filter),
        None => Ok(()),
    }
}

pub(super) fn check_action(action: &Action) -> Result<(), Problem> {
    match action {
        Action::NewOutreach { .. } => Ok(()),
        Action::AddTag { tag } | Action::RemoveTag { tag } => {
            input::name("action.tag", tag).map(|_| ())
        }
        Action::NewEnrichment { enrichment_type } => {
            input::name("action.enrichment_type", enrichment_type).map(|_| ())
        }
        Action::StopOutreach {} => Ok(()),
    }
}

/// Makes a rule.
///
/// # Errors
/// 422 for a wrong field; an unknown variable of a template is one.
pub fn create(scope: &Scope<'_>, input: NewRule) -> Result<serde_json::Value, Problem> {
    let name = input::name("name", &input.name)?;
    check_audience(scope, &input.trigger, input.filter.as_ref())?;
    check_delay(input.delay_s)?;
    check_action(&input.action)?;
    let texts = texts::of_action(scope, "action.", &input.action)?;
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
            let content_id = keep(scope, texts.as_ref())?;
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
                version: 1,
                skip_repliers: input.skip_repliers,
                stop_reason: None,
                step: None,
            };
            Ok::<_, Problem>(rule::insert(db, &rule)?)
        })
    })?;
    view(scope, &find(scope, id)?)
}

/// Keeps the templates that a rule writes with.
fn keep(scope: &Scope<'_>, texts: Option<&Texts>) -> Result<Option<i64>, Problem> {
    let keep = |texts| content::insert(&*scope.db, texts, scope.cx.now);
    Ok(texts.map(keep).transpose()?)
}

/// A rule that was not deleted and is no step of a sequence.
///
/// # Errors
/// 404 when there is none.
pub fn find(scope: &Scope<'_>, id: i64) -> Result<Rule, Problem> {
    let rule = rule::get(&*scope.db, id)?.filter(|r| r.step.is_none());
    rule.ok_or_else(Problem::not_found)
}

/// A rule with how many leads it is for, waits for and was done for.
fn view(scope: &Scope<'_>, r: &Rule) -> Result<serde_json::Value, Problem> {
    let counts = instance::counts(&*scope.db, r.id)?;
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
        "stop_reason": r.stop_reason,
        "trigger": r.trigger,
        "filter": r.filter,
        "delay_s": r.delay_s,
        "action": r.action,
        "version": r.version,
        "approval": r.approval,
        "skip_repliers": r.skip_repliers,
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

/// What `PATCH` takes; what is absent stays.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Change {
    /// Whether it acts. What happens while it does not is made up for when it is switched on again.
    pub active: Option<bool>,
    /// What people call it.
    pub name: Option<String>,
    /// Whom it is for; everybody when null.
    #[serde(default, deserialize_with = "input::present")]
    pub filter: Option<Option<Filter>>,
    /// How long it waits, in seconds, for those whom it takes up from now on.
    pub delay_s: Option<i64>,
    /// What it does.
    pub action: Option<Action>,
    /// Whether a person approves each of its mails first.
    pub approval: Option<bool>,
    /// Whether it leaves alone who ever wrote.
    pub skip_repliers: Option<bool>,
}

/// Changes a rule. Whoever it took up before is served by what it said then.
///
/// # Errors
/// 404 when there is none, 422 for a wrong field, 409 when somebody else changes it at the same time.
pub fn change(scope: &Scope<'_>, id: &str, input: Change) -> Answer {
    let id = input::id(id)?;
    find(scope, id)?;
    let (db, now) = (&*scope.db, scope.cx.now);
    let switch_only = input.name.is_none() && input.delay_s.is_none() && !input.is_version();
    let texts = match &input.action {
        Some(action) => Some(texts::of_action(scope, "action.", action)?),
        None => None,
    };
    scope.promising(&["rule"], || {
        transaction(db, || {
            let mut rule = find(scope, id)?;
            apply(&mut rule, input)?;
            if switch_only {
                rule::set_active(db, id, rule.active, now)?;
                return Ok(());
            }
            if let Some(texts) = &texts {
                rule.content_id = keep(scope, texts.as_ref())?;
            }
            rule::change(db, &rule, now).map_err(Problem::changed)
        })
    })?;
    Ok(Response::json(200, &view(scope, &find(scope, id)?)?))
}

impl Change {
    /// Whether it changes what is done for those whom the rule takes up from now on.
    fn is_version(&self) -> bool {
        let flags = self.approval.is_some() || self.skip_repliers.is_some();
        flags || self.filter.is_some() || self.action.is_some()
    }
}

fn apply(rule: &mut Rule, input: Change) -> Result<(), Problem> {
    if let Some(name) = input.name {
        rule.name = input::name("name", &name)?;
    }
    if let Some(delay_s) = input.delay_s {
        check_delay(delay_s)?;
        rule.delay_s = delay_s;
    }
    if let Some(filter) = input.filter {
        if let Some(filter) = &filter {
            check_filter("filter", filter)?;
        }
        rule.filter = filter;
    }
    if let Some(action) = input.action {
        check_action(&action)?;
        rule.action = action;
    }
    rule.active = input.active.unwrap_or(rule.active);
    rule.approval = input.approval.unwrap_or(rule.approval);
    rule.skip_repliers = input.skip_repliers.unwrap_or(rule.skip_repliers);
    Ok(())
}

/// Takes a rule away: whom it took up and has not written to yet it leaves alone.
///
/// # Errors
/// 404 when there is none, 409 while another rule waits for it.
pub fn remove(scope: &Scope<'_>, id: &str) -> Result<(), Problem> {
    let rule = find(scope, input::id(id)?)?;
    let (db, now) = (&*scope.db, scope.cx.now);
    let others = rule::list(db)?;
    let waits = others.iter().find(|r| r.trigger.rule_id() == Some(rule.id));
    if let Some(other) = waits {
        return Err(Problem::new(409, "Another rule waits for it").detail(format!(
            "The rule “{}” waits for what this one does. Nothing was changed; delete that one first.",
            other.name
        )));
    }
    scope.promising(&["rule", "timeline"], || {
        transaction(db, || Ok::<_, Problem>(rule::delete(db, rule.id, now)?))?;
        while rule::abort_instances(db, rule.id, "The rule was deleted.")? > 0 {}
        Ok(())
    })
}

/// `DELETE /rules/{id}`
///
/// # Errors
/// As [`remove`].
pub fn delete(scope: &Scope<'_>, id: &str) -> Answer {
    remove(scope, id).map(|()| Response::no_content())
}
