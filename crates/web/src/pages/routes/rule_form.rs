//! The form that a rule is written and changed with.

use domain::rule::{Action, OutreachType, Trigger};
use store::{rule, tag};

use super::names::{Names, lead_name};
use super::rule::{tried, variables};
use crate::http::{Answer, Problem, Request, Response};
use crate::input;
use crate::pages::form::{Field, Form, Refusal};
use crate::pages::rule::{NewRule, Preview};
use crate::pages::{Choice, Page};
use crate::slave::rule::{self as api, Change};
use crate::slave::rule_words::when;
use crate::slave::{Scope, dry_run, texts};

fn blank(scope: &Scope<'_>, page: Page) -> Result<NewRule, Problem> {
    let db = &*scope.db;
    let mut rules: Vec<_> = rule::list(db)?
        .into_iter()
        .map(|r| Choice::new(r.id.to_string(), r.name))
        .collect();
    rules.sort_by_key(|c| c.label.to_lowercase());
    Ok(NewRule {
        rules,
        ..NewRule::blank(page, tag::names(db)?, variables(scope)?)
    })
}

pub fn form(scope: &Scope<'_>, page: Page) -> Answer {
    Ok(Response::html(200, blank(scope, page)?.render()))
}

pub fn edit(scope: &Scope<'_>, page: Page, id: &str) -> Answer {
    let rule = api::find(scope, input::id(id)?)?;
    let mut view = of_rule(scope, page, &rule)?;
    let (delay, unit) = unit_of(rule.delay_s);
    view.delay = Field::of(delay.to_string());
    view.delay_unit = unit.to_owned();
    (view.approval, view.skip_repliers) = (rule.approval, rule.skip_repliers);
    view.name = Field::of(rule.name);
    fill(&mut view, rule.action);
    Ok(Response::html(200, view.render()))
}

/// A form that changes a rule, without what it says now.
fn of_rule(scope: &Scope<'_>, page: Page, rule: &rule::Rule) -> Result<NewRule, Problem> {
    let names = Names::of_rules(scope)?;
    let names = |id| names.get(Some(id));
    Ok(NewRule {
        id: Some(rule.id),
        waits_for: when(&rule.trigger, rule.filter.is_some(), &names),
        ..blank(scope, page)?
    })
}

fn fill(view: &mut NewRule, action: Action) {
    let name = match action {
        Action::NewOutreach {
            subject,
            body,
            html,
            mjml,
            ..
        } => {
            (view.subject, view.body) = (Field::of(subject), Field::of(body));
            view.markup = Field::of(mjml.or(html).unwrap_or_default());
            "new_outreach"
        }
        Action::AddTag { tag } => {
            view.action_tag = Field::of(tag);
            "add_tag"
        }
        Action::RemoveTag { tag } => {
            view.action_tag = Field::of(tag);
            "remove_tag"
        }
        Action::NewEnrichment { enrichment_type } => {
            view.enrichment_type = Field::of(enrichment_type);
            "new_enrichment"
        }
        Action::StopOutreach {} => "stop_outreach",
    };
    view.action = name.to_owned();
}

/// Units of a delay, in seconds.
const UNITS: [(&str, i64); 6] = [
    ("months", 30 * 24 * 60 * 60),
    ("weeks", 7 * 24 * 60 * 60),
    ("days", 24 * 60 * 60),
    ("hours", 60 * 60),
    ("minutes", 60),
    ("seconds", 1),
];

/// A delay in the largest unit of which it is a whole number.
fn unit_of(delay_s: i64) -> (i64, &'static str) {
    match delay_s {
        0 => (0, "days"),
        delay => UNITS
            .iter()
            .find(|(_, s)| delay % s == 0)
            .map_or((delay, "seconds"), |(unit, s)| (delay / s, unit)),
    }
}

pub fn create(scope: &Scope<'_>, page: Page, request: &Request) -> Answer {
    let form = Form::of(request);
    if form.get("preview") == "1" {
        return show_mail(scope, blank(scope, page)?, &form);
    }
    if form.get("dry_run") == "1" {
        return try_out(scope, page, &form);
    }
    match read(&form).and_then(|input| api::create(scope, input)) {
        Ok(made) => {
            let path = format!("{}/rules/{}", page.base, made["id"]);
            Ok(Response::see_other(&path))
        }
        Err(problem) => refused(blank(scope, page)?, &form, problem),
    }
}

pub fn save(scope: &Scope<'_>, page: Page, request: &Request, id: &str) -> Answer {
    let rule = api::find(scope, input::id(id)?)?;
    let form = Form::of(request);
    if form.get("preview") == "1" {
        return show_mail(scope, of_rule(scope, page, &rule)?, &form);
    }
    let saved = read_change(&form, &rule).and_then(|change| api::change(scope, id, change));
    match saved {
        Ok(_) => Ok(Response::see_other(&format!("{}/rules/{id}", page.base))),
        Err(problem) => refused(of_rule(scope, page, &rule)?, &form, problem),
    }
}

/// The form as it was sent, with the mail as a lead would get it.
fn show_mail(scope: &Scope<'_>, blank: NewRule, form: &Form) -> Answer {
    let (html, mjml) = read_markup(form);
    let input = texts::Preview {
        subject: form.get("subject").to_owned(),
        body: form.get("body").replace("\r\n", "\n"),
        html,
        mjml,
        lead_id: None,
        seed: 0,
    };
    match texts::preview(scope, &input) {
        Ok(p) => {
            let lead = p.lead.as_ref();
            let preview = Preview {
                lead_id: lead.map_or(0, |l| l.id),
                lead: lead.map_or_else(String::new, |l| lead_name(l.id, &l.fields)),
                subject: p.letter.subject,
                body: p.letter.text,
                html: p.letter.html,
                missing: p.missing,
                error: None,
            };
            let view = NewRule {
                preview: Some(preview),
                ..blank
            };
            let view = typed(view, form, &mut Refusal::default());
            Ok(Response::html(200, view.render()))
        }
        Err(mut problem) => {
            problem
                .errors
                .iter_mut()
                .for_each(|e| e.field.insert_str(0, "action."));
            refused(blank, form, problem)
        }
    }
}

/// The form as it was sent, with whom the rule would be for.
fn try_out(scope: &Scope<'_>, page: Page, form: &Form) -> Answer {
    let blank = blank(scope, page)?;
    let ran = read(form).and_then(|input| dry_run::of_input(scope, &input));
    match ran {
        Ok(ran) => {
            let dry_run = Some(tried(scope, ran)?);
            let view = NewRule { dry_run, ..blank };
            Ok(Response::html(
                200,
                typed(view, form, &mut Refusal::default()).render(),
            ))
        }
        Err(problem) => refused(blank, form, problem),
    }
}

/// The form with what was typed, and what is wrong with it.
fn refused(blank: NewRule, form: &Form, problem: Problem) -> Answer {
    let status = problem.status;
    let mut refusal = Refusal::of(problem);
    let mut view = typed(blank, form, &mut refusal);
    view.error = refusal.rest();
    Ok(Response::html(status, view.render()))
}

/// The form with what was typed.
fn typed(blank: NewRule, form: &Form, refusal: &mut Refusal) -> NewRule {
    let mut field = |of: &str, name: &str| refusal.field(of, form.get(name));
    NewRule {
        name: field("name", "name"),
        trigger: form.get("trigger").to_owned(),
        tag: field("trigger.tag", "tag"),
        event: field("trigger.event", "event"),
        of_rule: field("trigger.rule_id", "of_rule"),
        delay: field("delay_s", "delay"),
        delay_unit: form.get("delay_unit").to_owned(),
        existing: form.get("existing") == "1",
        action: form.get("action").to_owned(),
        action_tag: field("action.tag", "action_tag"),
        enrichment_type: field("action.enrichment_type", "enrichment_type"),
        approval: form.get("approval") == "1",
        skip_repliers: form.get("skip_repliers") == "1",
        subject: field("action.subject", "subject"),
        body: field("action.body", "body"),
        markup: {
            let mut markup = field("action.html", "markup");
            let mjml = field("action.mjml", "markup");
            markup.error = markup.error.or(mjml.error);
            markup
        },
        ..blank
    }
}

/// The form as the API takes it.
fn read(form: &Form) -> Result<api::NewRule, Problem> {
    Ok(api::NewRule {
        name: form.get("name").to_owned(),
        trigger: read_trigger(form)?,
        filter: None,
        delay_s: read_delay(form)?,
        action: read_action(form)?,
        apply_to_previous: form.get("existing") == "1",
        approval: form.get("approval") == "1",
        skip_repliers: form.get("skip_repliers") == "1",
    })
}

/// What the form changes of a rule.
fn read_change(form: &Form, rule: &rule::Rule) -> Result<Change, Problem> {
    let action = read_action(form)?;
    Ok(Change {
        name: Some(form.get("name").to_owned()),
        delay_s: Some(read_delay(form)?),
        action: Some(action).filter(|action| *action != rule.action),
        approval: Some(form.get("approval") == "1"),
        skip_repliers: Some(form.get("skip_repliers") == "1"),
        ..Change::default()
    })
}

fn read_delay(form: &Form) -> Result<i64, Problem> {
    let unit = UNITS
        .iter()
        .find(|(unit, _)| *unit == form.get("delay_unit"));
    let Some((_, seconds)) = unit else {
        return Err(Problem::invalid("delay_s", "choose a unit"));
    };
    let wrong = |_| Problem::invalid("delay_s", "must be a whole number, 0 or more");
    let delay = form.number::<u32>("delay").map_err(wrong)?;
    Ok(i64::from(delay.unwrap_or(0)) * seconds)
}

fn read_trigger(form: &Form) -> Result<Trigger, Problem> {
    let wrong = |_| Problem::invalid("trigger.rule_id", "must be the id of a rule");
    let rule_id = form.number::<i64>("of_rule").map_err(wrong)?;
    Ok(match form.get("trigger") {
        "tag_added" | "" => Trigger::TagAdded {
            tag: form.get("tag").trim().to_owned(),
        },
        "event_created" => Trigger::EventCreated {
            event: form.get("event").trim().to_owned(),
        },
        "rule_performed" => Trigger::RulePerformed {
            rule_id: rule_id.ok_or_else(|| Problem::invalid("trigger.rule_id", "choose a rule"))?,
        },
        "enrichment_done" => Trigger::EnrichmentDone {},
        "outreach_done" => Trigger::OutreachDone { rule_id },
        "accepted_request" => Trigger::AcceptedRequest { rule_id },
        "incoming_message" => Trigger::IncomingMessage { rule_id },
        "open" => Trigger::Open { rule_id },
        "click" => Trigger::Click { rule_id },
        _ => return Err(Problem::invalid("trigger", "choose what sets it off")),
    })
}

/// What is in the field for HTML: HTML, or MJML.
fn read_markup(form: &Form) -> (Option<String>, Option<String>) {
    let markup = form.filled("markup").map(|text| text.replace("\r\n", "\n"));
    match markup {
        Some(text) if text.starts_with("<mjml") => (None, Some(text)),
        markup => (markup, None),
    }
}

fn read_action(form: &Form) -> Result<Action, Problem> {
    let (html, mjml) = read_markup(form);
    let tag = form.get("action_tag").trim().to_owned();
    Ok(match form.get("action") {
        "new_outreach" | "" => Action::NewOutreach {
            outreach_type: OutreachType::Email,
            subject: form.get("subject").to_owned(),
            // Browsers send the line breaks of a text area as CR LF.
            body: form.get("body").replace("\r\n", "\n"),
            html,
            mjml,
        },
        "add_tag" => Action::AddTag { tag },
        "remove_tag" => Action::RemoveTag { tag },
        "new_enrichment" => Action::NewEnrichment {
            enrichment_type: form.get("enrichment_type").trim().to_owned(),
        },
        "stop_outreach" => Action::StopOutreach {},
        _ => return Err(Problem::invalid("action", "choose what to do")),
    })
}
