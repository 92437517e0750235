//! Sequences: what a lead gets step by step.

use domain::filter::Happened;
use domain::rule::{Action, OutreachType, Trigger};
use domain::sequence::{Condition, STEPS_MAX, Step, Test, Variant};
use store::{sequence, tag};

use super::active;
use super::names::Names;
use crate::http::{Answer, Problem, Request, Response};
use crate::input;
use crate::pages::Page;
use crate::pages::form::{Field, Form, Refusal};
use crate::pages::sequence::{
    NewSequence, Sequence, SequenceRow, Sequences, StepForm, StepRow, TextRow,
};
use crate::slave::Scope;
use crate::slave::rule_words::{does, when};
use crate::slave::sequence::{self as api, Change, Watched};

pub fn list(scope: &Scope<'_>, page: Page) -> Answer {
    let db = &*scope.db;
    let names = Names::of_rules(scope)?;
    let name = |id| names.get(Some(id));
    let mut items = Vec::new();
    for s in sequence::list(db)? {
        let definition = &s.definition;
        items.push(SequenceRow {
            id: s.id,
            active: s.active,
            trigger: when(&definition.trigger, definition.filter.is_some(), &name),
            steps: definition.steps.len(),
            entered: sequence::entered(db, &s)?.0,
            name: s.name,
        });
    }
    items.sort_by_key(|s| s.name.to_lowercase());
    Ok(Response::html(200, Sequences { page, items }.render()))
}

pub fn show(scope: &Scope<'_>, page: Page, id: &str) -> Answer {
    let s = api::find(scope, input::id(id)?)?;
    let names = Names::of_rules(scope)?;
    let name = |id| names.get(Some(id));
    let (entered, older) = sequence::entered(&*scope.db, &s)?;
    let steps = api::watched(scope, &s)?.into_iter().map(step_row).collect();
    let filtered = s.definition.filter.is_some();
    let view = Sequence {
        page,
        id: s.id,
        active: s.active,
        version: s.version,
        trigger: when(&s.definition.trigger, filtered, &name),
        exit_on_reply: s.definition.exit_on_reply,
        entered,
        older,
        steps,
        name: s.name,
    };
    Ok(Response::html(200, view.render()))
}

fn step_row(w: Watched) -> StepRow {
    let others = w.step.others();
    let actions: Vec<_> = std::iter::once(&w.step.action).chain(&others).collect();
    let mut texts = Vec::new();
    for (at, action) in actions.iter().enumerate() {
        if let Action::NewOutreach {
            subject,
            body,
            html,
            mjml,
            ..
        } = action
        {
            texts.push(TextRow {
                letter: if actions.len() > 1 {
                    letter(at)
                } else {
                    String::new()
                },
                subject: subject.clone(),
                body: match body.is_empty() {
                    true => mjml.clone().or_else(|| html.clone()).unwrap_or_default(),
                    false => body.clone(),
                },
                tried: w.tried.get(at).map(|t| (t.sent, t.hits)),
            });
        }
    }
    StepRow {
        wait_s: w.step.wait_s,
        only_if: w.step.only_if.as_ref().map(only_words).unwrap_or_default(),
        action: does(&w.step.action),
        waiting: w.standing.waiting,
        done: w.standing.done,
        skipped: w.standing.skipped,
        left: w.standing.left,
        texts,
        test: test_words(&w),
        stopped: w.standing.stop_reason,
    }
}

/// `A` for the first.
fn letter(at: usize) -> String {
    let letters = "ABCDE".chars();
    letters.skip(at).take(1).collect()
}

fn only_words(c: &Condition) -> String {
    let not = if c.not { "not " } else { "" };
    match (&c.happened, &c.tag) {
        (Some(what), _) => format!("those to whom this happened {not}in it: {}", what.name()),
        (None, tag) => format!(
            "those that do {not}have the tag {}",
            tag.as_deref().unwrap_or_default()
        ),
    }
}

fn test_words(w: &Watched) -> String {
    let Some(test) = &w.step.test else {
        return String::new();
    };
    match w.standing.winner {
        Some(-1) => {
            "The texts do not differ by more than chance explains; all of them go on.".to_owned()
        }
        Some(best) => format!(
            "Text {} is the best (two-proportion z-test at 5 %, Bonferroni); only it goes on.",
            letter(usize::try_from(best).unwrap_or(0))
        ),
        None => format!(
            "The best by “{}” is found when each text left {} times at least a day ago.",
            test.by.name(),
            test.sample
        ),
    }
}

fn blank(scope: &Scope<'_>, page: Page) -> Result<NewSequence, Problem> {
    let steps = (0..2).map(|at| step_form(&Form::empty(), at, &mut Refusal::default()));
    Ok(NewSequence {
        page,
        error: None,
        name: Field::default(),
        tag: Field::default(),
        tags: tag::names(&*scope.db)?,
        existing: false,
        exit_on_reply: true,
        approval: false,
        steps: steps.collect(),
    })
}

pub fn form(scope: &Scope<'_>, page: Page) -> Answer {
    Ok(Response::html(200, blank(scope, page)?.render()))
}

pub fn create(scope: &Scope<'_>, page: Page, request: &Request) -> Answer {
    let form = Form::of(request);
    let n = steps_of(&form);
    if form.get("more") == "1" {
        let n = (n + 1).min(STEPS_MAX);
        let view = typed(blank(scope, page)?, &form, n, &mut Refusal::default());
        return Ok(Response::html(200, view.render()));
    }
    match read(&form, n).and_then(|input| api::create(scope, input)) {
        Ok(made) => {
            let path = format!("{}/sequences/{}", page.base, made["id"]);
            Ok(Response::see_other(&path))
        }
        Err(problem) => {
            let status = problem.status;
            let mut refusal = Refusal::of(problem);
            let mut view = typed(blank(scope, page)?, &form, n, &mut refusal);
            view.error = refusal.rest();
            Ok(Response::html(status, view.render()))
        }
    }
}

/// How many steps a form has: those with a field `step_0_do` and so on, without a gap.
fn steps_of(form: &Form) -> usize {
    let there = |at: &usize| form.filled(&format!("step_{at}_do")).is_some();
    (0..STEPS_MAX).take_while(there).count()
}

fn typed(blank: NewSequence, form: &Form, steps: usize, refusal: &mut Refusal) -> NewSequence {
    NewSequence {
        name: refusal.field("name", form.get("name")),
        tag: refusal.field("trigger.tag", form.get("tag")),
        existing: form.get("existing") == "1",
        exit_on_reply: form.get("exit_on_reply") == "1",
        approval: form.get("approval") == "1",
        steps: (0..steps).map(|at| step_form(form, at, refusal)).collect(),
        ..blank
    }
}

/// What was typed for a step; the usual choices where nothing was.
fn step_form(form: &Form, at: usize, refusal: &mut Refusal) -> StepForm {
    let is_new = form.filled(&format!("step_{at}_do")).is_none();
    let get = |name: &str| form.get(&format!("step_{at}_{name}")).to_owned();
    let or = |typed: String, usual: &str| match is_new {
        true => usual.to_owned(),
        false => typed,
    };
    let mut field = |of: &str, name: &str, usual: &str| {
        refusal.field(&format!("steps.{at}.{of}"), &or(get(name), usual))
    };
    let wait = if at == 0 { "0" } else { "3" };
    StepForm {
        at,
        wait: field("wait_s", "wait", wait),
        tag: field("action.tag", "tag", ""),
        only_tag: field("only_if.tag", "only_tag", ""),
        subject: field("action.subject", "subject", ""),
        body: field("action.body", "body", ""),
        b_subject: field("variants.0.subject", "b_subject", ""),
        b_body: field("variants.0.body", "b_body", ""),
        sample: field("test.sample", "sample", "100"),
        unit: or(get("unit"), "days"),
        action: or(get("do"), "new_outreach"),
        only: get("only"),
        by: get("by"),
    }
}

fn read(form: &Form, steps: usize) -> Result<api::NewSequence, Problem> {
    let steps: Result<_, _> = (0..steps).map(|at| read_step(form, at)).collect();
    Ok(api::NewSequence {
        name: form.get("name").to_owned(),
        trigger: Trigger::TagAdded {
            tag: form.get("tag").trim().to_owned(),
        },
        filter: None,
        exit_on_reply: form.get("exit_on_reply") == "1",
        approval: form.get("approval") == "1",
        apply_to_previous: form.get("existing") == "1",
        steps: steps?,
    })
}

fn read_step(form: &Form, at: usize) -> Result<Step, Problem> {
    let name = |name: &str| format!("step_{at}_{name}");
    let get = |field: &str| form.get(&name(field));
    let text = |field: &str| get(field).replace("\r\n", "\n");
    let number = |field: &str, of: &str| {
        let wrong = |_| Problem::invalid(format!("steps.{at}.{of}"), "must be a whole number");
        form.number::<u32>(&name(field)).map_err(wrong)
    };
    let unit = match get("unit") {
        "minutes" => 60,
        "hours" => 3_600,
        "weeks" => 604_800,
        _ => 86_400,
    };
    let tag = get("tag").trim().to_owned();
    let action = match get("do") {
        "add_tag" => Action::AddTag { tag },
        "remove_tag" => Action::RemoveTag { tag },
        "stop_outreach" => Action::StopOutreach {},
        _ => Action::NewOutreach {
            outreach_type: OutreachType::Email,
            subject: get("subject").to_owned(),
            body: text("body"),
            html: None,
            mjml: None,
        },
    };
    let other = !get("b_subject").trim().is_empty() || !get("b_body").trim().is_empty();
    let variants = match other && action.is_outreach() {
        true => vec![Variant {
            subject: get("b_subject").to_owned(),
            body: text("b_body"),
            html: None,
            mjml: None,
        }],
        false => Vec::new(),
    };
    let by = happened(get("by")).filter(|_| !variants.is_empty());
    Ok(Step {
        wait_s: i64::from(number("wait", "wait_s")?.unwrap_or(0)) * unit,
        only_if: only_if(get("only"), get("only_tag")),
        action,
        test: match by {
            Some(by) => Some(Test {
                by,
                sample: i64::from(number("sample", "test.sample")?.unwrap_or(0)),
            }),
            None => None,
        },
        variants,
    })
}

fn happened(name: &str) -> Option<Happened> {
    Happened::ALL.into_iter().find(|h| h.name() == name)
}

fn only_if(choice: &str, tag: &str) -> Option<Condition> {
    let (what, not) = match choice.strip_prefix("not_") {
        Some(what) => (what, true),
        None => (choice, false),
    };
    match what {
        "" => None,
        "tag" => Some(Condition {
            happened: None,
            tag: Some(tag.trim().to_owned()),
            not,
        }),
        what => Some(Condition {
            happened: happened(what),
            tag: None,
            not,
        }),
    }
}

pub fn switch(scope: &Scope<'_>, request: &Request, id: &str) -> Answer {
    let change = Change {
        active: Some(active(request)?),
        ..Change::default()
    };
    api::change(scope, id, change)?;
    Ok(Response::see_other(&format!(
        "{}/sequences/{id}",
        scope.base()
    )))
}

pub fn remove(scope: &Scope<'_>, id: &str) -> Answer {
    api::remove(scope, id)?;
    Ok(Response::see_other(&format!("{}/sequences", scope.base())))
}
