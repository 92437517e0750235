//! The timeline over the API.

use chrono::{DateTime, NaiveDate};
use serde_json::json;
use store::timeline;

use crate::http::{Answer, Problem, Request, Response};
use crate::slave::Scope;

/// What is counted.
pub const METRICS: [&str; 8] = [
    "outreach_performed",
    "outreach_failed",
    "outreach_aborted",
    "outreach_canceled",
    "outreach_uncertain",
    "lead_created",
    "tag_added",
    "unsubscribed",
];

/// An hour, in milliseconds.
pub const HOUR: i64 = 60 * 60 * 1000;
/// A day, in milliseconds.
pub const DAY: i64 = 24 * HOUR;
/// The most points of one answer.
const POINTS: i64 = 5000;

/// A part of the timeline.
#[derive(Debug, Clone)]
pub struct Query {
    /// One of [`METRICS`].
    pub metric: String,
    /// Begins here, at a whole step.
    pub from: i64,
    /// Ends before this, at a whole step.
    pub to: i64,
    /// [`HOUR`] or [`DAY`].
    pub step: i64,
}

/// Reads `metric`, `from`, `to` and `step`: the last seven days of mails sent by the day unless something else is said.
///
/// # Errors
/// 422 for a wrong parameter.
pub fn query(request: &Request, now: i64) -> Result<Query, Problem> {
    let metric = request
        .param("metric")
        .unwrap_or_else(|| METRICS[0].to_owned());
    if !METRICS.contains(&metric.as_str()) {
        return Err(Problem::invalid(
            "metric",
            format!("must be one of: {}", METRICS.join(", ")),
        ));
    }
    let step = match request.param("step").as_deref() {
        Some("hour") => HOUR,
        None | Some("day") => DAY,
        Some(_) => return Err(Problem::invalid("step", "must be hour or day")),
    };
    let time = |name: &str, default: i64| {
        request
            .param(name)
            .map_or(Ok(default), |v| parse_time(name, &v))
    };
    let to = time("to", now + 1)?;
    let from = time("from", to - 7 * DAY)?;
    if from >= to {
        return Err(Problem::invalid("from", "must be before “to”"));
    }
    let (from, to) = (
        from.div_euclid(step) * step,
        (to + step - 1).div_euclid(step) * step,
    );
    if (to - from) / step > POINTS {
        return Err(Problem::invalid(
            "from",
            format!("at most {POINTS} points are given at once"),
        ));
    }
    Ok(Query {
        metric,
        from,
        to,
        step,
    })
}

/// Milliseconds since the epoch, RFC 3339, or a date (its midnight in UTC).
fn parse_time(name: &str, text: &str) -> Result<i64, Problem> {
    // A year far outside of any calendar would overflow the arithmetic that follows.
    const LATEST: i64 = 253_402_300_800_000;
    let date = || {
        NaiveDate::parse_from_str(text, "%Y-%m-%d")
            .ok()?
            .and_hms_opt(0, 0, 0)
            .map(|t| t.and_utc().timestamp_millis())
    };
    let millis = text.parse::<i64>().ok();
    let stamp = || {
        DateTime::parse_from_rfc3339(&text.replace(' ', "+"))
            .ok()
            .map(|t| t.timestamp_millis())
    };
    let time = millis
        .or_else(stamp)
        .or_else(date)
        .filter(|t| (0..LATEST).contains(t));
    time.ok_or_else(|| {
        Problem::invalid(
            name,
            "must be milliseconds since 1970, an RFC 3339 time or a date",
        )
    })
}

/// The points of a part of the timeline, steps without any included.
///
/// # Errors
/// When the store fails.
pub fn read(scope: &Scope<'_>, q: &Query) -> Result<Vec<(i64, i64)>, Problem> {
    let counted = timeline::points(&*scope.db, &q.metric, q.from, q.to, q.step)?;
    let mut counted = counted.into_iter().peekable();
    let steps = (0..(q.to - q.from) / q.step).map(|i| q.from + i * q.step);
    Ok(steps
        .map(|t| (t, counted.next_if(|(at, _)| *at == t).map_or(0, |(_, n)| n)))
        .collect())
}

/// `GET /timeline`
///
/// # Errors
/// 422 for a wrong parameter.
pub fn points(scope: &Scope<'_>, request: &Request) -> Answer {
    let query = query(request, scope.cx.now)?;
    let points: Vec<_> = read(scope, &query)?
        .into_iter()
        .map(|(t, n)| json!({"t": t, "n": n}))
        .collect();
    Ok(Response::json(
        200,
        &json!({"metric": query.metric, "points": points}),
    ))
}
