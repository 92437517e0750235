//! What is known of one person: all of it in one file, and its erasure.

use domain::lead::Field;
use serde_json::{Value, json};
use store::lead::{self, Lead};
use store::request::{self, Query};
use store::{erasure, suppression, tag, transaction};

use crate::http::{Answer, Problem, Response};
use crate::input;
use crate::slave::lead::View;
use crate::slave::{Scope, request as requests};

/// Requests that are told of.
const REQUESTS: i64 = 10_000;

fn find(scope: &Scope<'_>, id: &str) -> Result<Lead, Problem> {
    lead::get(&*scope.db, input::id(id)?)?.ok_or_else(Problem::not_found)
}

/// `GET /leads/{id}/personal-data`
///
/// # Errors
/// 404 when there is no such lead.
pub fn get(scope: &Scope<'_>, id: &str) -> Answer {
    let (db, lead) = (&*scope.db, find(scope, id)?);
    let id = lead.id;
    let suppressed = match lead.fields.get(Field::Email) {
        Some(email) => suppression::reason(db, email)?,
        None => None,
    };
    let query = Query {
        limit: REQUESTS,
        lead_id: Some(id),
        ..Query::default()
    };
    let requests = request::list(db, &query)?;
    let requests: Vec<_> = requests
        .iter()
        .map(|r| requests::view(r, scope.cx.now))
        .collect();
    let data = json!({
        "lead": View::from(lead),
        "suppressed": suppressed,
        "tags": tag::of_lead(db, id)?.iter().map(|t| json!({"name": t.name, "at": t.at, "source": t.source})).collect::<Vec<_>>(),
        "requests": requests,
        "messages": messages(scope, id)?,
        "events": events(scope, id)?,
    });
    let name = format!("attachment; filename=\"lead-{id}.json\"");
    Ok(Response::json(200, &data).with(http::header::CONTENT_DISPOSITION, &name))
}

fn messages(scope: &Scope<'_>, id: i64) -> Result<Vec<Value>, Problem> {
    let messages = erasure::messages(&*scope.db, id)?;
    let shown = |m: &store::message::Message| {
        json!({
            "message_id": m.message_id,
            "recipient": m.recipient,
            "subject": m.subject,
            "body": m.body,
            "html": m.html,
            "sent_at": m.sent_at,
            "detail": m.detail,
        })
    };
    Ok(messages.iter().map(shown).collect())
}

fn events(scope: &Scope<'_>, id: i64) -> Result<Vec<Value>, Problem> {
    let events = erasure::events(&*scope.db, id)?;
    let shown = |e: &store::event::Event| {
        json!({
            "at": e.at,
            "kind": e.kind,
            "import_id": e.import_id,
            "rule_id": e.rule_id,
            "request_id": e.request_id,
            "data": e.data,
        })
    };
    Ok(events.iter().map(shown).collect())
}

/// `POST /leads/{id}/erasure`
///
/// # Errors
/// 404 when there is no such lead, 409 while a mail to it is on its way.
pub fn erase(scope: &Scope<'_>, id: &str) -> Answer {
    let (db, now) = (&*scope.db, scope.cx.now);
    let erased = scope.promising(&["import", "timeline", "search"], || {
        transaction(db, || {
            Ok::<_, Problem>(erasure::erase(db, &find(scope, id)?, now)?)
        })
    })?;
    match erased {
        true => Ok(Response::no_content()),
        false => Err(Problem::new(409, "A mail to this lead is on its way")
            .detail("Nothing was erased. Try again when its request has ended.")),
    }
}
