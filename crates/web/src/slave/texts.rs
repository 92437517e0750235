//! Templates of mails as people and programs write them: checked, and made ready to be sent.

use std::collections::{BTreeMap, BTreeSet};

use domain::lead::{Field, Fields};
use domain::letter::{self, Letter, Texts};
use domain::plain::plain;
use domain::rule::Action;
use domain::template::{self, Facts, Form};
use serde::Deserialize;
use serde_json::json;
use stages::claim::{extra, seed};
use store::lead::{self, Lead};
use store::{profile, setting};

use crate::http::{Answer, Problem, Response};
use crate::input;
use crate::slave::Scope;
use crate::slave::lead_links::unsubscribe_url;
use crate::slave::mjml::html_of;

/// The templates that an action writes with; none when it writes nothing. Names of fields begin with `at`.
///
/// # Errors
/// 422 for a template that cannot be used: an unknown variable, a mistake in the MJML.
pub fn of_action(scope: &Scope<'_>, at: &str, action: &Action) -> Result<Option<Texts>, Problem> {
    let Action::NewOutreach {
        subject,
        body,
        html,
        mjml,
        ..
    } = action
    else {
        return Ok(None);
    };
    let markup = (html.as_deref(), mjml.as_deref());
    checked(scope, at, (subject, body), markup).map(Some)
}

/// Checks templates; names of fields begin with `at`.
fn checked(
    scope: &Scope<'_>,
    at: &str,
    (subject, body): (&str, &str),
    markup: (Option<&str>, Option<&str>),
) -> Result<Texts, Problem> {
    let wrong = |field: &str, why: &str| Problem::invalid(format!("{at}{field}"), why);
    if subject.trim().is_empty() {
        return Err(wrong("subject", "must not be empty"));
    }
    input::one_line(&format!("{at}subject"), subject)?;
    let filled = |text: Option<&str>| text.is_some_and(|t| !t.trim().is_empty());
    let html = match markup {
        (html, mjml) if filled(html) && filled(mjml) => {
            return Err(wrong("mjml", "must not be given beside html"));
        }
        (html, _) if filled(html) => html.map(str::to_owned),
        (_, mjml) if filled(mjml) => {
            Some(html_of(mjml.unwrap_or_default()).map_err(|why| wrong("mjml", &why))?)
        }
        _ => None,
    };
    if body.trim().is_empty() && html.is_none() {
        return Err(wrong("body", "must not be empty where there is no HTML"));
    }
    let custom: BTreeSet<String> = lead::custom_fields(&*scope.db)?.into_iter().collect();
    let check = |field: &str, source: &str, form: Form| {
        template::check(source, form, &custom).map_err(|e| wrong(field, &e.0))
    };
    check("subject", subject, Form::Plain)?;
    check("body", body, Form::Plain)?;
    if let Some(html) = &html {
        let field = if filled(markup.1) { "mjml" } else { "html" };
        check(field, html, Form::Html)?;
        if body.trim().is_empty() && plain(html).trim().is_empty() {
            return Err(wrong(
                "body",
                "must not be empty where the HTML has no text",
            ));
        }
    }
    Ok(Texts {
        subject: subject.to_owned(),
        body: body.to_owned(),
        html,
    })
}

/// Variables that templates show as they are.
pub fn bare(texts: &Texts) -> BTreeSet<String> {
    let mut names = template::bare(&texts.subject);
    names.extend(template::bare(&texts.body));
    names.extend(texts.html.iter().flat_map(|html| template::bare(html)));
    names
}

/// What `POST /templates/preview` takes.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Preview {
    /// Template of the subject.
    pub subject: String,
    /// Template of the plain text; made from the HTML when it is empty.
    #[serde(default)]
    pub body: String,
    /// Template of the HTML.
    #[serde(default)]
    pub html: Option<String>,
    /// The same in MJML.
    #[serde(default)]
    pub mjml: Option<String>,
    /// For whom; the newest lead when absent.
    #[serde(default)]
    pub lead_id: Option<i64>,
    /// Chooses in groups like `{Hi|Hello}`; a mail uses its request's id.
    #[serde(default)]
    pub seed: i64,
}

/// A mail as a lead would get it.
pub struct Previewed {
    /// For whom; none when there are no leads.
    pub lead: Option<Lead>,
    /// The mail.
    pub letter: Letter,
    /// Variables that are shown as they are and that the lead lacks.
    pub missing: Vec<String>,
}

/// Writes a mail that is not sent, by the engine that sends.
///
/// # Errors
/// 422 for a template that cannot be used, at all or for this lead.
pub fn preview(scope: &Scope<'_>, input: &Preview) -> Result<Previewed, Problem> {
    let markup = (input.html.as_deref(), input.mjml.as_deref());
    let texts = checked(scope, "", (&input.subject, &input.body), markup)?;
    let db = &*scope.db;
    let lead = match input.lead_id {
        Some(id) => match lead::get(db, id)? {
            Some(lead) => Some(lead),
            None => return Err(Problem::invalid("lead_id", "must be the id of a lead")),
        },
        None => {
            let newest = lead::Query {
                limit: 1,
                ..lead::Query::default()
            };
            lead::list(db, &newest)?.pop()
        }
    };
    let nobody = Fields::default();
    let fields = lead.as_ref().map_or(&nobody, |lead| &lead.fields);
    let url = unsubscribe_url(scope, lead.as_ref().map_or(0, |lead| lead.id));
    let sender = profile::list(db)?.into_iter().find(|p| p.active);
    let brand = setting::brand(db).unwrap_or_default();
    let extra: BTreeMap<_, _> = extra(&url, sender.as_ref(), &brand, scope.cx.now);
    let facts = Facts {
        lead: fields,
        extra: &extra,
        seed: seed(input.seed),
    };
    let letter = letter::write(&texts, facts).map_err(|e| Problem::invalid("lead_id", e.0))?;
    let mut missing = bare(&texts);
    missing.retain(|name| !is_known(fields, name));
    Ok(Previewed {
        letter,
        missing: missing.into_iter().collect(),
        lead,
    })
}

fn is_known(fields: &Fields, name: &str) -> bool {
    let value = match Field::from_name(name) {
        Some(field) => fields.get(field),
        None => fields.data.get(name).map(String::as_str),
    };
    value.is_some_and(|v| !v.trim().is_empty())
}

/// `POST /templates/preview`
///
/// # Errors
/// As [`preview`].
pub fn answer(scope: &Scope<'_>, input: &Preview) -> Answer {
    let p = preview(scope, input)?;
    Ok(Response::json(
        200,
        &json!({
            "lead_id": p.lead.map(|lead| lead.id),
            "subject": p.letter.subject,
            "text": p.letter.text,
            "html": p.letter.html,
            "missing": p.missing,
        }),
    ))
}
