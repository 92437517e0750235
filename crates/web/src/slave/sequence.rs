//! Sequences over the API.

use domain::filter::Filter;
use domain::rule::Trigger;
use domain::sequence::{Definition, Step};
use serde::Deserialize;
use serde_json::{Value, json};
use store::sequence::{self, Sequence, Standing, StepTexts};
use store::{event, rule, transaction};

use crate::http::{Answer, FieldError, Problem, Response};
use crate::input;
use crate::slave::rule::{check_action, check_audience};
use crate::slave::{Scope, texts};

/// Sequences that a sub-account may have.
const MAX: usize = 50;

/// Versions of one that leads may be on the way in.
const ALIVE_MAX: i64 = 10;

/// What a new sequence takes.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewSequence {
    /// What people call it.
    pub name: String,
    /// What lets a lead in.
    pub trigger: Trigger,
    /// Whom it lets in; everybody when absent.
    #[serde(default)]
    pub filter: Option<Filter>,
    /// Whether a lead leaves it by an answer.
    #[serde(default = "yes")]
    pub exit_on_reply: bool,
    /// Whether a person approves its mails.
    #[serde(default)]
    pub approval: bool,
    /// Whether it is also for what happened before it was written.
    #[serde(default = "yes")]
    pub apply_to_previous: bool,
    /// What happens, in this order.
    pub steps: Vec<Step>,
}

fn yes() -> bool {
    true
}

/// Checks what a sequence does, and makes its texts ready.
fn checked(scope: &Scope<'_>, definition: &Definition) -> Result<StepTexts, Problem> {
    check_audience(scope, &definition.trigger, definition.filter.as_ref())?;
    definition
        .check()
        .map_err(|(field, why)| Problem::invalid(field, why))?;
    let steps = definition.steps.iter().enumerate();
    steps
        .map(|(at, step)| step_texts(scope, at, step))
        .collect()
}

fn step_texts(
    scope: &Scope<'_>,
    at: usize,
    step: &Step,
) -> Result<Vec<domain::letter::Texts>, Problem> {
    let below = |mut problem: Problem| {
        let place = |e: &mut FieldError| e.field.insert_str(0, &format!("steps.{at}."));
        problem.errors.iter_mut().for_each(place);
        problem
    };
    if let Some(tag) = step.only_if.as_ref().and_then(|c| c.tag.as_deref()) {
        input::name("only_if.tag", tag).map_err(below)?;
    }
    check_action(&step.action).map_err(below)?;
    let mut all = Vec::new();
    all.extend(texts::of_action(scope, "action.", &step.action).map_err(below)?);
    for (no, other) in step.others().iter().enumerate() {
        let place = format!("variants.{no}.");
        all.extend(texts::of_action(scope, &place, other).map_err(below)?);
    }
    Ok(all)
}

/// Makes a sequence.
///
/// # Errors
/// 422 for a wrong field.
pub fn create(scope: &Scope<'_>, input: NewSequence) -> Result<Value, Problem> {
    let name = input::name("name", &input.name)?;
    let definition = Definition {
        trigger: input.trigger,
        filter: input.filter,
        exit_on_reply: input.exit_on_reply,
        approval: input.approval,
        steps: input.steps,
    };
    let texts = checked(scope, &definition)?;
    let (db, now) = (&*scope.db, scope.cx.now);
    if sequence::list(db)?.len() >= MAX {
        return Err(Problem::new(409, "Too many sequences")
            .detail(format!("A sub-account has at most {MAX} sequences.")));
    }
    let id = scope.promising(&["rule"], || {
        transaction(db, || {
            let cursor = match input.apply_to_previous {
                true => 0,
                false => event::last_id(db)?,
            };
            let id = sequence::insert(db, &name, &definition, &texts, cursor, now)?;
            Ok::<_, Problem>(id)
        })
    })?;
    view(scope, &find(scope, id)?)
}

/// A sequence that was not deleted.
///
/// # Errors
/// 404 when there is none.
pub fn find(scope: &Scope<'_>, id: i64) -> Result<Sequence, Problem> {
    sequence::get(&*scope.db, id)?.ok_or_else(Problem::not_found)
}

/// A step of a sequence, how leads stand with it, and how its texts did.
pub struct Watched {
    /// What it is.
    pub step: Step,
    /// How leads stand with it.
    pub standing: Standing,
    /// Mails sent and effects of each text, where several are tried.
    pub tried: Vec<domain::ab::Tried>,
}

/// The steps of a sequence as leads stand with them.
///
/// # Errors
/// When the store fails.
pub fn watched(scope: &Scope<'_>, sequence: &Sequence) -> Result<Vec<Watched>, Problem> {
    let (db, now) = (&*scope.db, scope.cx.now);
    let steps = sequence.definition.steps.iter();
    let mut all = Vec::new();
    for (step, standing) in steps.zip(sequence::standings(db, sequence)?) {
        let tried = match (step.variants.len(), &step.test) {
            (0, _) => Vec::new(),
            (others, test) => {
                let effect = test.as_ref().map_or("replied", |t| t.by.event());
                sequence::tried(db, standing.rule_id, others + 1, effect, now)?
            }
        };
        all.push(Watched {
            step: step.clone(),
            standing,
            tried,
        });
    }
    Ok(all)
}

fn view(scope: &Scope<'_>, sequence: &Sequence) -> Result<Value, Problem> {
    let (entered, older) = sequence::entered(&*scope.db, sequence)?;
    let step = |w: Watched| {
        let mut step = json!(w.step);
        let counts = json!({"waiting": w.standing.waiting, "done": w.standing.done,
            "skipped": w.standing.skipped, "left": w.standing.left});
        let tried = w.tried.iter();
        let tried: Vec<_> = tried
            .map(|t| json!({"sent": t.sent, "hits": t.hits}))
            .collect();
        step["rule_id"] = json!(w.standing.rule_id);
        step["counts"] = counts;
        step["tried"] = json!(tried);
        step["winner"] = json!(w.standing.winner);
        step["stop_reason"] = json!(w.standing.stop_reason);
        step
    };
    let steps: Vec<_> = watched(scope, sequence)?.into_iter().map(step).collect();
    let definition = &sequence.definition;
    Ok(json!({
        "id": sequence.id,
        "name": sequence.name,
        "active": sequence.active,
        "version": sequence.version,
        "trigger": definition.trigger,
        "filter": definition.filter,
        "exit_on_reply": definition.exit_on_reply,
        "approval": definition.approval,
        "entered": entered,
        "waiting_in_older_versions": older,
        "steps": steps,
        "created_at": sequence.created_at,
    }))
}

/// `GET /sequences`
///
/// # Errors
/// When the store fails.
pub fn list(scope: &Scope<'_>) -> Answer {
    let all = sequence::list(&*scope.db)?;
    let items: Result<Vec<_>, _> = all.iter().map(|s| view(scope, s)).collect();
    Ok(Response::json(200, &json!({"items": items?})))
}

/// `GET /sequences/{id}`
///
/// # Errors
/// 404 when there is none.
pub fn get(scope: &Scope<'_>, id: &str) -> Answer {
    let sequence = find(scope, input::id(id)?)?;
    Ok(Response::json(200, &view(scope, &sequence)?))
}

/// What `PATCH` takes; what is absent stays.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Change {
    /// What people call it.
    pub name: Option<String>,
    /// Whether it goes on.
    pub active: Option<bool>,
    /// Whom it lets in from now on; everybody when null.
    #[serde(default, deserialize_with = "input::present")]
    pub filter: Option<Option<Filter>>,
    /// Whether leads that come in from now on leave it by an answer.
    pub exit_on_reply: Option<bool>,
    /// Whether a person approves the mails to them.
    pub approval: Option<bool>,
    /// What happens to them.
    pub steps: Option<Vec<Step>>,
}

/// Changes a sequence. Leads that came in before go on as it was.
///
/// # Errors
/// 404 when there is none, 422 for a wrong field, 409 while leads are on the way in too many versions, or when somebody else
/// changes it at the same time.
pub fn change(scope: &Scope<'_>, id: &str, input: Change) -> Answer {
    let id = input::id(id)?;
    find(scope, id)?;
    scope.promising(&["rule"], || {
        transaction(&*scope.db, || apply(scope, find(scope, id)?, input))
    })?;
    Ok(Response::json(200, &view(scope, &find(scope, id)?)?))
}

/// Applies a change to what a sequence is now. Call it inside a transaction.
fn apply(scope: &Scope<'_>, mut sequence: Sequence, input: Change) -> Result<(), Problem> {
    let before = sequence.definition.clone();
    if let Some(name) = input.name {
        sequence.name = input::name("name", &name)?;
    }
    let switched = input.active.is_some();
    sequence.active = input.active.unwrap_or(sequence.active);
    let definition = &mut sequence.definition;
    definition.filter = input.filter.unwrap_or(definition.filter.take());
    definition.exit_on_reply = input.exit_on_reply.unwrap_or(definition.exit_on_reply);
    definition.approval = input.approval.unwrap_or(definition.approval);
    if let Some(steps) = input.steps {
        definition.steps = steps;
    }
    let texts = match *definition == before {
        true => None,
        false => Some(checked(scope, definition)?),
    };
    let (db, now) = (&*scope.db, scope.cx.now);
    if texts.is_some() {
        sequence::retire(db, sequence.id, sequence.version, now)?;
        if sequence::alive(db, sequence.id)? >= ALIVE_MAX {
            return Err(Problem::new(409, "Too many versions").detail(format!(
                "Leads are on the way in {ALIVE_MAX} versions of this sequence. Nothing was changed; wait until the older ones are empty."
            )));
        }
    }
    let change = (texts.as_ref(), switched);
    sequence::change(db, &sequence, change, now).map_err(Problem::changed)
}

/// Takes a sequence away: leads that are on the way in it get no more of it.
///
/// # Errors
/// 404 when there is none.
pub fn remove(scope: &Scope<'_>, id: &str) -> Result<(), Problem> {
    let sequence = find(scope, input::id(id)?)?;
    let (db, now) = (&*scope.db, scope.cx.now);
    scope.promising(&["rule", "timeline"], || {
        transaction(db, || {
            Ok::<_, Problem>(sequence::delete(db, sequence.id, now)?)
        })?;
        for rule_id in sequence::rules(db, sequence.id)? {
            while rule::abort_instances(db, rule_id, "The sequence was deleted.")? > 0 {}
        }
        Ok(())
    })
}
