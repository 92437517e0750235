//! Mails that a person is to approve.

use std::collections::HashMap;

use store::approval::{self as waiting, Which};
use store::request::{self, Query, Request as Row};
use store::{content, lead, profile, rule};

use super::names::{Names, lead_name};
use super::{letter, pager};
use crate::http::{Answer, Problem, Request, Response};
use crate::input;
use crate::pages::approval::{Approvals, Draft};
use crate::pages::form::Form;
use crate::pages::{Choice, Page};
use crate::slave::Scope;
use crate::slave::approval::{self as api, Decision, Decisions};

/// Mails on one page.
const MAILS: i64 = 20;

pub fn list(scope: &Scope<'_>, page: Page, request: &Request) -> Answer {
    let db = &*scope.db;
    let rule_id = request.param("rule_id").filter(|id| !id.is_empty());
    let of_rule = rule_id.as_deref().map(number).transpose()?;
    let which = Which {
        rule_id: of_rule.unwrap_or(0),
        profile_id: 0,
    };
    let (n, newest) = waiting::count(db, which)?;
    let query = Query {
        before: input::cursor(request.param("cursor"))?,
        limit: MAILS + 1,
        rule_id: of_rule,
        awaiting: true,
        ..Query::default()
    };
    let mut rows = request::list(db, &query)?;
    let more = rows.len() as i64 > MAILS;
    rows.truncate(MAILS as usize);
    let next = rows.last().filter(|_| more);
    let next = next.map(|r| input::cursor_text(r.id));
    let rule_id = rule_id.unwrap_or_default();
    let rules = rule::list(db)?.into_iter();
    let cursor = request.param("cursor");
    let path = format!("{}/approvals", page.base);
    let kept = [("rule_id", rule_id.as_str())];
    let view = Approvals {
        pager: pager(&path, &kept, cursor.as_deref(), next.as_deref()),
        n,
        up_to: newest.unwrap_or(0),
        rules: rules
            .map(|r| Choice::new(r.id.to_string(), r.name))
            .collect(),
        items: drafts(scope, rows)?,
        rule_id,
        page,
    };
    Ok(Response::html(200, view.render()))
}

fn number(text: &str) -> Result<i64, Problem> {
    let wrong = |_| Problem::invalid("rule_id", "must be a number");
    text.parse().map_err(wrong)
}

/// Mails as they would be sent now.
fn drafts(scope: &Scope<'_>, rows: Vec<Row>) -> Result<Vec<Draft>, Problem> {
    let db = &*scope.db;
    let ids: Vec<_> = rows.iter().filter_map(|r| r.lead_id).collect();
    let leads = lead::fields_of(db, &ids)?;
    let rules = Names::of_rules(scope)?;
    let profiles = profile::list(db)?;
    let mut contents = HashMap::new();
    let mut drafts = Vec::new();
    for row in rows {
        if let Some(id) = row.content_id
            && !contents.contains_key(&id)
        {
            contents.insert(id, content::get(db, id)?);
        }
        let content = row.content_id.and_then(|id| contents.get(&id)?.as_ref());
        let to = row.lead_id.and_then(|id| Some((id, leads.get(&id)?)));
        let profile = profiles.iter().find(|p| Some(p.id) == row.profile_id);
        let (subject, body, error) = match (content, to) {
            (Some(content), Some(to)) => match letter::write(scope, content, to, profile, row.id) {
                Ok(letter) => (letter.subject, letter.text, None),
                Err(e) => (String::new(), String::new(), Some(e.0)),
            },
            _ => {
                let gone = "The lead or the text is gone.".to_owned();
                (String::new(), String::new(), Some(gone))
            }
        };
        drafts.push(Draft {
            id: row.id,
            lead_id: row.lead_id,
            lead: to.map_or_else(String::new, |(id, fields)| lead_name(id, fields)),
            rule: rules.get(row.rule_id),
            subject,
            body,
            error,
        });
    }
    Ok(drafts)
}

fn back(scope: &Scope<'_>) -> Response {
    Response::see_other(&format!("{}/approvals", scope.base()))
}

pub fn decide(scope: &Scope<'_>, id: &str, decision: Decision) -> Answer {
    api::decide(scope, id, decision)?;
    Ok(back(scope))
}

pub fn decide_all(scope: &Scope<'_>, request: &Request) -> Answer {
    let form = Form::of(request);
    let input = Decisions {
        decision: match form.get("decision") {
            "approve" => Decision::Approve,
            "reject" => Decision::Reject,
            _ => return Err(Problem::invalid("decision", "must be approve or reject")),
        },
        rule_id: form.filled("rule_id").map(number).transpose()?,
        profile_id: None,
        up_to: form.number("up_to")?,
    };
    // A person means all of them, in as many steps as it takes.
    loop {
        let (done, _) = api::decide_all(scope, &input)?;
        if done < u64::try_from(waiting::BATCH).unwrap_or(u64::MAX) {
            return Ok(back(scope));
        }
    }
}
