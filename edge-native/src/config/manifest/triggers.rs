//! `[[trigger.http]]` and `[[trigger.cron]]`.

use super::{CronTrigger, HttpTrigger, Manifest};
use crate::config::fault::Faults;
use crate::config::route::Pattern;
use crate::config::tree::Table;
use toml::de::DeValue;

/// Reads `[trigger]`; the manifest returned has nothing else.
pub fn read(root: &mut Table, faults: &mut Faults) -> Manifest {
    let mut manifest = Manifest::default();
    let Some(mut table) = root.table("trigger", faults) else {
        return manifest;
    };
    for trigger in table.table_list("http", faults) {
        manifest.http.extend(http_trigger(trigger, faults));
    }
    for trigger in table.table_list("cron", faults) {
        manifest.cron.extend(cron_trigger(trigger, faults));
    }
    for kind in ["redis", "mqtt", "sqs", "command", "kinesis"] {
        table.unsupported(kind, "use an HTTP or a cron trigger", faults);
    }
    table.finish(faults);
    manifest
}

fn http_trigger(mut table: Table, faults: &mut Faults) -> Option<HttpTrigger> {
    table.ignore(&["id"]);
    table.unsupported(
        "executor",
        "remove it: components are WASI HTTP handlers",
        faults,
    );
    table.unsupported("static_response", "answer from a component", faults);
    let component = table.required_string("component", faults);
    let route = http_route(&mut table, faults);
    table.finish(faults);
    Some(HttpTrigger {
        component: component?,
        route: route?,
    })
}

/// The outer `Option` is whether the route could be read, the inner one whether it is public.
fn http_route(table: &mut Table, faults: &mut Faults) -> Option<Option<Pattern>> {
    let fix = "write `route = \"/path/...\"` or `route = { private = true }`";
    let Some((value, place)) = table.value("route") else {
        faults.add(
            table.place(),
            format!("{} has no `route`", table.title()),
            fix,
        );
        return None;
    };
    match value {
        DeValue::String(raw) => match Pattern::parse(raw) {
            Ok(pattern) => return Some(Some(pattern)),
            Err(what) => faults.add(place, what, fix),
        },
        DeValue::Table(inner) => match inner.get("private").map(|value| value.get_ref()) {
            Some(DeValue::Boolean(true)) if inner.len() == 1 => return Some(None),
            _ => faults.add(
                place,
                "the route is neither a path nor `{ private = true }`",
                fix,
            ),
        },
        _ => faults.add(
            place,
            "the route is neither a path nor `{ private = true }`",
            fix,
        ),
    }
    None
}

fn cron_trigger(mut table: Table, faults: &mut Faults) -> Option<CronTrigger> {
    table.ignore(&["id"]);
    let component = table.required_string("component", faults);
    let expression = table.required_string("cron_expression", faults);
    table.finish(faults);
    let expression = expression?;
    match parse_schedule(&expression.value) {
        Ok(schedule) => Some(CronTrigger {
            component: component?,
            schedule,
        }),
        Err(what) => {
            let fix = "write six fields, seconds first: `1/2 * * * * *` is every two seconds";
            faults.add(expression.place, what, fix);
            None
        }
    }
}

/// Reads a cron expression as Spin does: six or seven fields, seconds first, no `*/n`.
fn parse_schedule(expression: &str) -> Result<cron::Schedule, String> {
    if expression.contains("*/") {
        return Err(format!(
            "Spin does not read `*/` in the cron expression {expression:?}"
        ));
    }
    let fields = expression.split_whitespace().count();
    if !(6..=7).contains(&fields) {
        return Err(format!(
            "the cron expression {expression:?} has {fields} fields"
        ));
    }
    let error = |error| format!("the cron expression {expression:?} does not parse: {error}");
    expression.parse().map_err(error)
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::{TimeZone, Utc};

    #[test]
    fn seconds_come_first() {
        let schedule = parse_schedule("1/2 * * * * *").unwrap();
        let from = Utc.with_ymd_and_hms(2026, 1, 1, 0, 0, 58).unwrap();
        let next: Vec<_> = schedule
            .after(&from)
            .take(3)
            .map(|t| t.to_rfc3339())
            .collect();
        let expected = [
            "2026-01-01T00:00:59",
            "2026-01-01T00:01:01",
            "2026-01-01T00:01:03",
        ];
        assert_eq!(next, expected.map(|t| format!("{t}+00:00")));
        let hourly = parse_schedule("0 0 * * * *").unwrap();
        let next = hourly.after(&from).next().unwrap();
        assert_eq!(next.to_rfc3339(), "2026-01-01T01:00:00+00:00");
    }

    #[test]
    fn what_spin_does_not_read_is_refused() {
        for bad in [
            "*/2 * * * * *",
            "* * * * *",
            "",
            "61 * * * * *",
            "a b c d e f",
        ] {
            assert!(parse_schedule(bad).is_err(), "{bad}");
        }
    }
}
