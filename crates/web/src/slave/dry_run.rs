//! Tries rules out over the API: whom they would be for, and why.

use domain::filter::Filter;
use domain::letter::Texts;
use domain::rule::{Action, Trigger};
use serde::Deserialize;
use serde_json::json;
use store::content;
use store::dry_run::{DryRun, Part, Plan, Sample, dry_run};
use store::rule::{self, Rule};

use crate::http::{Answer, Problem, Response};
use crate::slave::rule::{self as rules, NewRule};
use crate::slave::rule_words::when;
use crate::slave::{Scope, texts};

/// What `POST /rules/dry-run` takes: a rule that there is, or what one would be.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Input {
    /// A rule that there is.
    #[serde(default)]
    pub rule_id: Option<i64>,
    /// What it would wait for.
    #[serde(default)]
    pub trigger: Option<Trigger>,
    /// Whom it would be for.
    #[serde(default)]
    pub filter: Option<Filter>,
    /// What it would do; nothing that needs an address when absent.
    #[serde(default)]
    pub action: Option<Action>,
    /// Whether it would leave alone who ever wrote.
    #[serde(default)]
    pub skip_repliers: bool,
}

/// What mails show as it is.
fn variables(texts: Option<&Texts>) -> Vec<String> {
    texts.map(texts::bare).into_iter().flatten().collect()
}

fn run(scope: &Scope<'_>, plan: &Plan<'_>) -> Result<DryRun, Problem> {
    let names = rule::names(&*scope.db)?;
    let name = |id: i64| {
        let found = names.iter().find(|(of, _)| *of == id);
        found.map_or_else(|| id.to_string(), |(_, name)| name.clone())
    };
    let words = when(plan.trigger, false, &name);
    Ok(dry_run(&*scope.db, plan, &words, scope.cx.now)?)
}

/// Tries out a rule that there is.
///
/// # Errors
/// When the store fails.
pub fn of_rule(scope: &Scope<'_>, rule: &Rule) -> Result<DryRun, Problem> {
    let texts = match rule.content_id {
        Some(id) => content::get(&*scope.db, id)?,
        None => None,
    };
    let plan = Plan {
        trigger: &rule.trigger,
        filter: rule.filter.as_ref(),
        mails: rule.action.is_outreach(),
        skip_repliers: rule.skip_repliers,
        variables: &variables(texts.as_ref()),
    };
    run(scope, &plan)
}

/// Tries out a rule that was not written yet.
///
/// # Errors
/// 422 for a wrong field.
pub fn of_input(scope: &Scope<'_>, input: &NewRule) -> Result<DryRun, Problem> {
    rules::check_audience(scope, &input.trigger, input.filter.as_ref())?;
    let texts = texts::of_action(scope, "action.", &input.action)?;
    let plan = Plan {
        trigger: &input.trigger,
        filter: input.filter.as_ref(),
        mails: input.action.is_outreach(),
        skip_repliers: input.skip_repliers,
        variables: &variables(texts.as_ref()),
    };
    run(scope, &plan)
}

/// `POST /rules/dry-run`
///
/// # Errors
/// 422 for a wrong field.
pub fn answer(scope: &Scope<'_>, input: &Input) -> Answer {
    let ran = match (input.rule_id, &input.trigger) {
        (Some(id), None) => {
            let rule = rule::get(&*scope.db, id)?;
            let rule =
                rule.ok_or_else(|| Problem::invalid("rule_id", "must be the id of a rule"))?;
            of_rule(scope, &rule)?
        }
        (None, Some(trigger)) => {
            rules::check_audience(scope, trigger, input.filter.as_ref())?;
            let texts = match &input.action {
                Some(action) => texts::of_action(scope, "action.", action)?,
                None => None,
            };
            let plan = Plan {
                trigger,
                filter: input.filter.as_ref(),
                mails: input.action.as_ref().is_some_and(Action::is_outreach),
                skip_repliers: input.skip_repliers,
                variables: &variables(texts.as_ref()),
            };
            run(scope, &plan)?
        }
        _ => return Err(Problem::invalid("trigger", "say either this or rule_id")),
    };
    Ok(Response::json(200, &view(ran)))
}

fn view(ran: DryRun) -> serde_json::Value {
    let part = |p: Part| json!({"what": p.what, "depth": p.depth, "holds": p.holds});
    let sample = |s: Sample| {
        let parts: Vec<_> = s.parts.into_iter().map(part).collect();
        json!({"lead_id": s.lead_id, "fits": s.fits, "parts": parts})
    };
    let samples: Vec<_> = ran.samples.into_iter().map(sample).collect();
    let missing = ran.missing.into_iter();
    let missing: Vec<_> = missing
        .map(|(variable, leads)| json!({"variable": variable, "leads": leads}))
        .collect();
    json!({"leads": ran.leads, "triggered": ran.triggered, "fitting": ran.fitting, "samples": samples, "missing": missing})
}
