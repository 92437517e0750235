//! Requests: every single piece of work.

use store::approval::{self, Which};
use store::request::Request as Row;
use store::{content, lead, message, profile, rule};

use super::names::request_rows;
use super::{letter, pager};
use crate::http::{Answer, Problem, Request as HttpRequest, Response};
use crate::input;
use crate::pages::request::{Attempt, Message, Request, RequestRow, Requests};
use crate::pages::{Page, Pair};
use crate::slave::{Scope, request as api};

pub fn list(scope: &Scope<'_>, page: Page, request: &HttpRequest) -> Answer {
    let query = api::query(request)?;
    let (rows, next) = api::page(scope, &query)?;
    let status = query.status.unwrap_or_default();
    let kind = query.kind.unwrap_or_default();
    let kept = [("status", status.as_str()), ("kind", kind.as_str())];
    let path = format!("{}/requests", page.base);
    let cursor = request.param("cursor");
    let view = Requests {
        page,
        pager: pager(&path, &kept, cursor.as_deref(), next.as_deref()),
        awaiting: approval::count(&*scope.db, Which::default())?.0,
        items: request_rows(scope, rows)?,
        status,
        kind,
    };
    Ok(Response::html(200, view.render()))
}

pub fn show(scope: &Scope<'_>, page: Page, id: &str) -> Answer {
    let db = &*scope.db;
    let row = api::find(scope, input::id(id)?)?;
    let rule = match row.rule_id {
        Some(id) => rule::get(db, id)?.map(|r| (r.name, format!("/rules/{id}"))),
        None => None,
    };
    let sent = message::of_request(db, row.id)?;
    let attempt = attempt(&row, sent.as_ref());
    let message = message_of(scope, &row, sent)?;
    let awaits_approval = row.awaits_approval;
    let cancelable = row.status == "pending";
    let mut rows: Vec<RequestRow> = request_rows(scope, vec![row])?;
    let view = Request {
        page,
        request: rows.pop().ok_or_else(Problem::not_found)?,
        rule,
        awaits_approval,
        cancelable,
        message,
        attempts: attempt.into_iter().collect(),
    };
    Ok(Response::html(200, view.render()))
}

fn attempt(row: &Row, sent: Option<&message::Message>) -> Option<Attempt> {
    let outcome = match row.status.as_str() {
        _ if row.attempts == 0 => return None,
        "pending" => "retry",
        status => status,
    };
    let reply = sent.and_then(|m| m.detail.clone());
    Some(Attempt {
        n: row.attempts,
        began_at: row.begun_at,
        ended_at: row.finished_at,
        outcome: outcome.to_owned(),
        detail: row.error.clone().or(reply),
    })
}

/// The mail as it was written, or as it would be by now.
fn message_of(
    scope: &Scope<'_>,
    row: &Row,
    sent: Option<message::Message>,
) -> Result<Option<Message>, Problem> {
    let db = &*scope.db;
    let profile = match row.profile_id {
        Some(id) => profile::get(db, id)?,
        None => None,
    };
    let from = profile.as_ref().map(letter::from).unwrap_or_default();
    let unsubscribe = row.lead_id.map(|id| letter::unsubscribe_url(scope, id));
    let unsubscribe = unsubscribe.map(|url| Pair::new("List-Unsubscribe", format!("<{url}>")));
    if let Some(m) = sent {
        let id = Pair::new("Message-ID", format!("<{}>", m.message_id));
        return Ok(Some(Message {
            sent: m.sent_at.is_some(),
            from,
            to: m.recipient,
            subject: m.subject,
            body: m.body,
            html: m.html,
            headers: [Some(id), unsubscribe].into_iter().flatten().collect(),
        }));
    }
    let (Some(lead_id), Some(content_id), "pending" | "running") =
        (row.lead_id, row.content_id, row.status.as_str())
    else {
        return Ok(None);
    };
    let (Some(lead), Some(content)) = (lead::get(db, lead_id)?, content::get(db, content_id)?)
    else {
        return Ok(None);
    };
    let to = lead.fields.get(domain::lead::Field::Email);
    let to = to.unwrap_or_default().to_owned();
    let written = letter::write(
        scope,
        &content,
        (lead_id, &lead.fields),
        profile.as_ref(),
        row.id,
    );
    // A template that this lead makes fail fails the request, which then says so itself.
    Ok(written.ok().map(|letter| Message {
        sent: false,
        from: if from.is_empty() {
            "the profile that will be chosen".to_owned()
        } else {
            from
        },
        to,
        subject: letter.subject,
        body: letter.text,
        html: letter.html,
        headers: unsubscribe.into_iter().collect(),
    }))
}

pub fn cancel(scope: &Scope<'_>, id: &str) -> Answer {
    api::cancel(scope, id)?;
    Ok(Response::see_other(&format!(
        "{}/requests/{id}",
        scope.base()
    )))
}
