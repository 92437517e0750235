//! Rules: what happens by itself.

use domain::lead::Field as LeadField;
use domain::letter::Letter;
use domain::rule::Action;
use domain::template::EXTRA;
use http::header::REFERER;
use store::lead::{self, Lead, Query};
use store::{content, instance, profile, request, rule, timeline};

use super::names::{Leads, Names, lead_name};
use super::{active, letter, pager};
use crate::http::{Answer, Problem, Request, Response};
use crate::input;
use crate::pages::rule::{
    Counts, DryRun, Instance, Preview, Rule, RuleRow, Rules, Template, Tried, Variable,
};
use crate::pages::{Page, format};
use crate::slave::Scope;
use crate::slave::dry_run;
use crate::slave::rule::{self as api, Change};
use crate::slave::rule_words::{does, when};

/// Instances on one page of a rule.
const INSTANCES: i64 = 25;

fn then(rule: &rule::Rule) -> String {
    let action = does(&rule.action);
    match rule.delay_s {
        0 => format!("{action} at once"),
        delay => format!("{action} after {}", format::span(delay)),
    }
}

/// A dry run as pages show it.
pub fn tried(scope: &Scope<'_>, ran: store::dry_run::DryRun) -> Result<DryRun, Problem> {
    let leads = Leads::load(scope, ran.samples.iter().map(|s| s.lead_id))?;
    let part = |p: store::dry_run::Part| (p.depth, p.what, p.holds);
    let samples = ran.samples.into_iter().map(|s| Tried {
        lead_id: s.lead_id,
        lead: leads.get(s.lead_id),
        fits: s.fits,
        parts: s.parts.into_iter().map(part).collect(),
    });
    Ok(DryRun {
        leads: ran.leads,
        triggered: ran.triggered,
        fitting: ran.fitting,
        samples: samples.collect(),
        missing: ran.missing,
    })
}

/// Rules as rows of a list, by name.
pub fn rows(scope: &Scope<'_>) -> Result<Vec<RuleRow>, Problem> {
    let db = &*scope.db;
    let [mails, others] =
        ["outreach_performed", "rule_performed"].map(|m| timeline::by_rule(db, m));
    let (mails, others) = (mails?, others?);
    let names = Names::of_rules(scope)?;
    let names = |id| names.get(Some(id));
    let mut rows = Vec::new();
    for rule in rule::list(db)? {
        let performed = if rule.action.is_outreach() {
            &mails
        } else {
            &others
        };
        let performed = performed.iter().find(|(id, _)| *id == rule.id);
        rows.push(RuleRow {
            id: rule.id,
            trigger: when(&rule.trigger, rule.filter.is_some(), &names),
            action: then(&rule),
            active: rule.active,
            performed: performed.map_or(0, |(_, n)| *n),
            last_run_at: rule::last_run(db, rule.id)?,
            name: rule.name,
        });
    }
    rows.sort_by_key(|r| r.name.to_lowercase());
    Ok(rows)
}

pub fn list(scope: &Scope<'_>, page: Page) -> Answer {
    let items = rows(scope)?;
    Ok(Response::html(200, Rules { page, items }.render()))
}

/// The newest lead, with a tag where that is asked for.
fn some_lead(scope: &Scope<'_>, tag: Option<&str>) -> Result<Option<Lead>, Problem> {
    let query = Query {
        limit: 1,
        tag: tag.map(str::to_owned),
        ..Query::default()
    };
    Ok(lead::list(&*scope.db, &query)?.pop())
}

/// What templates may use, with what it says for some lead.
pub fn variables(scope: &Scope<'_>) -> Result<Vec<Variable>, Problem> {
    let lead = some_lead(scope, None)?;
    let fields = lead.as_ref().map(|lead| &lead.fields);
    let variable = |name: &str, example: Option<&str>| Variable {
        name: name.to_owned(),
        example: example.unwrap_or_default().to_owned(),
    };
    let built_in = [
        LeadField::FirstName,
        LeadField::LastName,
        LeadField::Email,
        LeadField::JobTitle,
        LeadField::Company,
        LeadField::Phone,
        LeadField::Linkedin,
        LeadField::Country,
    ];
    let mut variables: Vec<_> = built_in
        .into_iter()
        .map(|f| variable(f.name(), fields.and_then(|lead| lead.get(f))))
        .collect();
    // A column of the same name is never what a template says: ours comes first.
    let custom = lead::custom_fields(&*scope.db)?.into_iter();
    for name in custom.filter(|name| !EXTRA.contains(&name.as_str())) {
        let example = fields.and_then(|lead| lead.data.get(&name));
        variables.push(variable(&name, example.map(String::as_str)));
    }
    for name in EXTRA {
        let what = match name {
            "unsubscribe_url" => "the link that unsubscribes",
            "sender_name" => "the name in the profile's From, or the brand's",
            "postal_address" => "the brand's postal address",
            "today" => "the day on which it is written",
            _ => "",
        };
        variables.push(variable(name, Some(what)));
    }
    Ok(variables)
}

pub fn show(scope: &Scope<'_>, page: Page, request: &Request, id: &str) -> Answer {
    let db = &*scope.db;
    let rule = rule::get(db, input::id(id)?)?.ok_or_else(Problem::not_found)?;
    if let Some(step) = rule.step {
        let path = format!("{}/sequences/{}", page.base, step.sequence_id);
        return Ok(Response::see_other(&path));
    }
    let before = input::cursor(request.param("cursor"))?;
    let mut instances = instance::list(db, rule.id, before, INSTANCES + 1)?;
    let more = instances.len() as i64 > INSTANCES;
    instances.truncate(INSTANCES as usize);
    let next = instances.last().filter(|_| more);
    let next = next.map(|i| input::cursor_text(i.event_id));
    let cursor = request.param("cursor");
    let path = format!("{}/rules/{}", page.base, rule.id);
    let preview = preview(scope, &rule, instances.first().map(|i| i.lead_id))?;
    let leads = Leads::load(scope, instances.iter().map(|i| i.lead_id))?;
    let dry_run = match request.param("dry_run").as_deref() {
        Some("1") => Some(dry_run::of_rule(scope, &rule)?),
        _ => None,
    };
    let letter = match &rule.action {
        Action::NewOutreach {
            subject,
            body,
            html,
            mjml,
            ..
        } => Some(Template {
            subject: subject.clone(),
            body: body.clone(),
            markup: mjml.clone().or_else(|| html.clone()),
        }),
        _ => None,
    };
    let names = Names::of_rules(scope)?;
    let names = |id| names.get(Some(id));
    let view = Rule {
        page,
        id: rule.id,
        trigger: when(&rule.trigger, rule.filter.is_some(), &names),
        action: does(&rule.action),
        delay_s: rule.delay_s,
        active: rule.active,
        stopped: rule.stop_reason,
        letter,
        dry_run: dry_run.map(|ran| tried(scope, ran)).transpose()?,
        counts: counts(scope, rule.id)?,
        instances: instances.into_iter().map(|i| instance(i, &leads)).collect(),
        pager: pager(&path, &[], cursor.as_deref(), next.as_deref()),
        preview,
        name: rule.name,
    };
    Ok(Response::html(200, view.render()))
}

fn instance(i: instance::Instance, leads: &Leads) -> Instance {
    let lead = leads.get(i.lead_id);
    let (status, at, request_id, note) = match i.request {
        Some(r) => (r.status, r.at, Some(r.id), r.note),
        None if i.status == "pending" => ("waiting".to_owned(), i.due_at, None, None),
        None => (i.status, i.due_at, None, i.reason),
    };
    Instance {
        lead_id: i.lead_id,
        lead,
        status,
        at,
        request_id,
        note,
    }
}

fn counts(scope: &Scope<'_>, id: i64) -> Result<Counts, Problem> {
    let instances = instance::counts(&*scope.db, id)?;
    let requests = request::counts_of_rule(&*scope.db, id)?;
    let of = |counts: &[(String, i64)], statuses: &[&str]| {
        let counted = counts
            .iter()
            .filter(|(s, _)| statuses.contains(&s.as_str()));
        counted.map(|(_, n)| n).sum::<i64>()
    };
    Ok(Counts {
        waiting: of(&instances, &["pending"]),
        running: of(&requests, &["pending", "running"]),
        performed: of(&requests, &["performed"]),
        failed: of(&requests, &["failed"]),
        aborted: of(&instances, &["aborted"]) + of(&requests, &["aborted", "canceled"]),
        uncertain: of(&requests, &["uncertain"]),
    })
}

/// The mail for a lead that the rule took up, for one that it might, or for any.
fn preview(
    scope: &Scope<'_>,
    rule: &rule::Rule,
    taken: Option<i64>,
) -> Result<Option<Preview>, Problem> {
    let db = &*scope.db;
    let Some(content_id) = rule.content_id else {
        return Ok(None);
    };
    let mut lead = match taken {
        Some(id) => lead::get(db, id)?,
        None => None,
    };
    for tag in [rule.trigger.tag(), None] {
        if lead.is_none() {
            lead = some_lead(scope, tag)?;
        }
    }
    let (Some(lead), Some(content)) = (lead, content::get(db, content_id)?) else {
        return Ok(None);
    };
    let sender = profile::list(db)?.into_iter().find(|p| p.active);
    let written = letter::write(scope, &content, (lead.id, &lead.fields), sender.as_ref(), 0);
    let (letter, error) = match written {
        Ok(letter) => (letter, None),
        Err(e) => (Letter::default(), Some(e.0)),
    };
    Ok(Some(Preview {
        lead_id: lead.id,
        lead: lead_name(lead.id, &lead.fields),
        subject: letter.subject,
        body: letter.text,
        html: letter.html,
        missing: vec![],
        error,
    }))
}

pub fn switch(scope: &Scope<'_>, request: &Request, id: &str) -> Answer {
    let active = active(request)?;
    let change = Change {
        active: Some(active),
        ..Change::default()
    };
    api::change(scope, id, change)?;
    // The button is on two pages: back to the one it was pressed on.
    let own = format!("{}/rules/{id}", scope.base());
    let from = request
        .header(REFERER)
        .and_then(|from| url::Url::parse(from).ok());
    Ok(Response::see_other(&match from {
        Some(from) if from.path() == own => own,
        _ => format!("{}/rules", scope.base()),
    }))
}

pub fn remove(scope: &Scope<'_>, id: &str) -> Answer {
    api::remove(scope, id)?;
    Ok(Response::see_other(&format!("{}/rules", scope.base())))
}
