//! What was done, by hour or day.

use chrono::NaiveDate;

use crate::http::{Answer, Request, Response};
use crate::pages::form::Refusal;
use crate::pages::timeline::Timeline;
use crate::pages::{Chart, Choice, Field, Page, format};
use crate::slave::timeline::{self as api, DAY, METRICS};
use crate::slave::{Scope, timeline};

/// What a metric counts, in the plural.
pub fn label(metric: &str) -> &'static str {
    match metric {
        "outreach_performed" => "Mails performed",
        "outreach_failed" => "Mails failed",
        "outreach_aborted" => "Mails aborted",
        "outreach_canceled" => "Mails canceled",
        "outreach_uncertain" => "Mails of uncertain fate",
        "lead_created" => "Leads created",
        "tag_added" => "Tags added",
        "unsubscribed" => "Unsubscribed",
        _ => "Events",
    }
}

/// The days of a chart that is not asked for in detail, today included.
const DAYS: i64 = 14;

/// Mails performed by day.
pub fn of_mails(scope: &Scope<'_>) -> Result<Chart, crate::Problem> {
    let to = (scope.cx.now.div_euclid(DAY) + 1) * DAY;
    let query = timeline::Query {
        metric: METRICS[0].to_owned(),
        from: to - DAYS * DAY,
        to,
        step: DAY,
    };
    Ok(Chart {
        label: label(METRICS[0]).to_owned(),
        step: "day".to_owned(),
        points: timeline::read(scope, &query)?,
    })
}

/// The API's parameters for the form's dates, both of which are included.
fn translated(request: &Request, from: &str, to: &str) -> Request {
    let day = |text: &str, plus: i64| match NaiveDate::parse_from_str(text, "%Y-%m-%d") {
        Ok(date) => {
            let midnight = date.and_time(chrono::NaiveTime::MIN).and_utc();
            (midnight.timestamp_millis() + plus).to_string()
        }
        Err(_) => text.to_owned(),
    };
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    query.append_pair("from", &day(from, 0));
    query.append_pair("to", &day(to, DAY));
    for name in ["metric", "step"] {
        query.extend_pairs(request.param(name).map(|value| (name, value)));
    }
    Request {
        query: query.finish(),
        ..request.clone()
    }
}

pub fn show(scope: &Scope<'_>, page: Page, request: &Request) -> Answer {
    let now = scope.cx.now;
    let date = |name: &str, default: i64| {
        let given = request.param(name);
        given.unwrap_or_else(|| format::date(default))
    };
    let (from, to) = (date("from", now - (DAYS - 1) * DAY), date("to", now));
    let step = request.param("step").unwrap_or_else(|| "day".to_owned());
    let metric = request.param("metric");
    let metric = metric.unwrap_or_else(|| METRICS[0].to_owned());
    let mut view = Timeline {
        page,
        chart: Chart {
            label: label(&metric).to_owned(),
            step: step.clone(),
            points: Vec::new(),
        },
        metrics: METRICS.map(|m| Choice::new(m, label(m))).into(),
        metric,
        from: Field::of(from),
        to: Field::of(to),
        step,
    };
    let asked = translated(request, &view.from.value, &view.to.value);
    let status = match api::query(&asked, now) {
        Ok(query) => {
            let points = api::read(scope, &query)?;
            if points.iter().any(|(_, n)| *n > 0) {
                view.chart.points = points;
            }
            200
        }
        Err(problem)
            if problem
                .errors
                .iter()
                .all(|e| e.field != "from" && e.field != "to") =>
        {
            return Err(problem);
        }
        Err(problem) => {
            let mut refusal = Refusal::of(problem);
            view.from.error = refusal.take("from");
            view.to.error = refusal.take("to");
            422
        }
    };
    Ok(Response::html(status, view.render()))
}
