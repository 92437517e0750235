//! Requests over the API.

use serde_json::{Value, json};
use store::request::{self, Query, Request as Row};
use store::{credential, message, transaction};

use crate::http::{Answer, Problem, Request, Response};
use crate::input;
use crate::pages::format::iso;
use crate::slave::Scope;

/// How long workers may be silent before that is told, in milliseconds.
const WORKER_SILENT: i64 = 60_000;
/// The statuses of a request's lifecycle.
pub const STATUSES: [&str; 7] = [
    "pending",
    "running",
    "performed",
    "failed",
    "aborted",
    "canceled",
    "uncertain",
];
/// The kinds of requests.
pub const KINDS: [&str; 5] = [
    "inboxcheck",
    "connectioncheck",
    "job",
    "enrichment",
    "outreach",
];

/// A request without its mail.
pub fn view(r: &Row, now: i64) -> Value {
    let (wait_reason, wait_until) = r.wait(now);
    json!({
        "id": r.id,
        "kind": r.kind,
        "status": r.status,
        "lead_id": r.lead_id,
        "rule_id": r.rule_id,
        "profile_id": r.profile_id,
        "attempts": r.attempts,
        "error": r.error,
        "wait_reason": wait_reason,
        "wait_until": wait_until,
        "awaits_approval": r.awaits_approval,
        "run_at": r.run_at,
        "begun_at": r.begun_at,
        "finished_at": r.finished_at,
        "created_at": r.created_at,
    })
}

/// What a list takes.
///
/// # Errors
/// 422 for a wrong parameter.
pub fn query(request: &Request) -> Result<Query, Problem> {
    let one_of = |name: &str, known: &[&str]| match request.param(name) {
        Some(value) if !known.contains(&value.as_str()) => Err(Problem::invalid(
            name,
            format!("must be one of: {}", known.join(", ")),
        )),
        value => Ok(value),
    };
    let number = |name: &str| {
        let parse = |id: String| {
            id.parse()
                .map_err(|_| Problem::invalid(name, "must be a number"))
        };
        request.param(name).map(parse).transpose()
    };
    Ok(Query {
        before: input::cursor(request.param("cursor"))?,
        limit: input::limit(request.param("limit"))?,
        kind: one_of("kind", &KINDS)?,
        status: one_of("status", &STATUSES)?,
        lead_id: number("lead_id")?,
        rule_id: number("rule_id")?,
        profile_id: number("profile_id")?,
        awaiting: one_of("approval", &["waiting"])?.is_some(),
    })
}

/// A page of requests and the cursor behind it.
///
/// # Errors
/// When the store fails.
pub fn page(scope: &Scope<'_>, query: &Query) -> Result<(Vec<Row>, Option<String>), Problem> {
    let one_more = Query {
        limit: query.limit + 1,
        ..query.clone()
    };
    let mut rows = request::list(&*scope.db, &one_more)?;
    let more = rows.len() as i64 > query.limit;
    rows.truncate(usize::try_from(query.limit).unwrap_or(usize::MAX));
    let next = rows
        .last()
        .filter(|_| more)
        .map(|r| input::cursor_text(r.id));
    explain(scope, &mut rows)?;
    Ok((rows, next))
}

/// One request, with the reason why it waits.
///
/// # Errors
/// 404 when there is none.
pub fn find(scope: &Scope<'_>, id: i64) -> Result<Row, Problem> {
    let mut row = request::get(&*scope.db, id)?.ok_or_else(Problem::not_found)?;
    explain(scope, std::slice::from_mut(&mut row))?;
    Ok(row)
}

/// Says of requests that wait for nothing but a worker that there is none.
fn explain(scope: &Scope<'_>, rows: &mut [Row]) -> store::Result<()> {
    let now = scope.cx.now;
    if rows.iter().any(|r| r.is_ready(now))
        && let Some(reason) = no_worker(scope)?
    {
        let ready = rows.iter_mut().filter(|r| r.is_ready(now));
        ready.for_each(|r| {
            (r.profile_wait_reason, r.profile_wait_until) = (Some(reason.clone()), None);
        });
    }
    Ok(())
}

/// Why nothing is sent at all, when no worker calls this slave.
///
/// # Errors
/// When the store fails.
pub fn no_worker(scope: &Scope<'_>) -> store::Result<Option<String>> {
    Ok(match credential::last_worker(&*scope.control)? {
        None => Some("No worker has called yet: whoever runs the server starts one.".to_owned()),
        Some(at) if scope.cx.now - at > WORKER_SILENT => {
            let since = iso(at);
            Some(format!(
                "No worker has called since {since}: whoever runs the server looks after it."
            ))
        }
        Some(_) => None,
    })
}

/// `GET /requests`
///
/// # Errors
/// 422 for a wrong parameter.
pub fn list(scope: &Scope<'_>, request: &Request) -> Answer {
    let (rows, next) = page(scope, &query(request)?)?;
    Ok(Response::json(
        200,
        &json!({"items": rows.iter().map(|r| view(r, scope.cx.now)).collect::<Vec<_>>(), "next_cursor": next}),
    ))
}

/// `GET /requests/{id}`, with the mail as it was written.
///
/// # Errors
/// 404 when there is none.
pub fn get(scope: &Scope<'_>, id: &str) -> Answer {
    let row = find(scope, input::id(id)?)?;
    let mut value = view(&row, scope.cx.now);
    value["message"] = message::of_request(&*scope.db, row.id)?.map_or(Value::Null, |m| {
        json!({
            "message_id": m.message_id,
            "to": m.recipient,
            "subject": m.subject,
            "body": m.body,
            "sent_at": m.sent_at,
            "reply": m.detail,
        })
    });
    Ok(Response::json(200, &value))
}

/// `POST /requests/{id}/cancellation`: takes back a request that waits.
///
/// # Errors
/// 404 when there is none, 409 when it does not wait any more.
pub fn cancel(scope: &Scope<'_>, id: &str) -> Answer {
    let id = input::id(id)?;
    let row = request::get(&*scope.db, id)?.ok_or_else(Problem::not_found)?;
    let canceled = scope.promising(&["rule", "timeline"], || {
        transaction(&*scope.db, || {
            Ok(request::cancel(&*scope.db, id, scope.cx.now)?)
        })
    })?;
    if !canceled {
        let detail = format!(
            "It is {}; only a request that waits can be canceled. Nothing was changed.",
            row.status
        );
        return Err(Problem::new(409, "The request does not wait").detail(detail));
    }
    Ok(Response::json(
        200,
        &view(
            &request::get(&*scope.db, id)?.ok_or_else(Problem::not_found)?,
            scope.cx.now,
        ),
    ))
}
