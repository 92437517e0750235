//! The limits of a profile.

use domain::quota::{Limits, Order, Ramp, ZoneOf};
use domain::window::{self, Clock, DAYS, Day, Window};
use store::profile::{self, Profile};

use crate::http::{Answer, Problem, Request, Response};
use crate::input;
use crate::pages::Page;
use crate::pages::form::{Field, Form, Refusal};
use crate::pages::limits::ProfileLimits;
use crate::slave::Scope;
use crate::slave::profile::{self as api, Change};

/// The days as people read them.
const LABELS: [&str; 7] = [
    "Monday",
    "Tuesday",
    "Wednesday",
    "Thursday",
    "Friday",
    "Saturday",
    "Sunday",
];

pub fn form(scope: &Scope<'_>, page: Page, id: &str) -> Answer {
    let profile = find(scope, id)?;
    Ok(Response::html(200, view(page, &profile).render()))
}

fn find(scope: &Scope<'_>, id: &str) -> Result<Profile, Problem> {
    profile::get(&*scope.db, input::id(id)?)?.ok_or_else(Problem::not_found)
}

/// Milliseconds as seconds, with decimals only where they are needed.
fn seconds(ms: Option<u32>) -> Field {
    let text = |ms: u32| match ms % 1000 {
        0 => (ms / 1000).to_string(),
        _ => format!("{:.3}", f64::from(ms) / 1000.0),
    };
    Field::of(ms.map(text).unwrap_or_default())
}

fn number(n: Option<u32>) -> Field {
    Field::of(n.map(|n| n.to_string()).unwrap_or_default())
}

fn hours(windows: &[Window], day: Day) -> String {
    let open = windows.iter().filter(|w| w.days.contains(&day));
    let open: Vec<_> = open.map(|w| format!("{}-{}", w.from, w.to)).collect();
    open.join(", ")
}

/// The form as the limits stand.
fn view(page: Page, profile: &Profile) -> ProfileLimits {
    let limits = &profile.quotas;
    let windows = limits.windows.as_deref().unwrap_or_default();
    let day = |n: usize| (DAYS[n], LABELS[n], Field::of(hours(windows, Day::ALL[n])));
    let waits = profile.wait_until.is_none_or(|until| until > page.now);
    let reason = profile.wait_reason.clone().filter(|_| waits);
    ProfileLimits {
        id: profile.id,
        name: profile.name.clone(),
        wait: reason.map(|reason| (reason, profile.wait_until)),
        error: None,
        daily_max: number(limits.daily_max),
        daily_aborted_max: number(limits.daily_aborted_max),
        interval_s: seconds(limits.interval_ms),
        jitter_s: seconds(limits.jitter_ms),
        domain_gap_s: seconds(limits.domain_gap_ms),
        ramp_start: number(limits.ramp.map(|r| r.start)),
        ramp_step: number(limits.ramp.map(|r| r.step)),
        ramp_since: limits.ramp.and_then(|r| r.since),
        time_zone: Field::of(limits.time_zone.clone().unwrap_or_default()),
        zones: window::zones(),
        windows_in: match limits.windows_in {
            ZoneOf::Profile => "profile".to_owned(),
            ZoneOf::Lead => "lead".to_owned(),
        },
        order: match limits.order {
            Order::Newest => "newest".to_owned(),
            Order::Oldest => "oldest".to_owned(),
        },
        approval: limits.approval,
        days: (0..DAYS.len()).map(day).collect(),
        page,
    }
}

pub fn save(scope: &Scope<'_>, page: Page, request: &Request, id: &str) -> Answer {
    let form = Form::of(request);
    let saved = read(&form).and_then(|quotas| {
        let change = Change {
            quotas: Some(quotas),
            ..Change::default()
        };
        api::change(scope, id, &change)
    });
    let Err(problem) = saved else {
        return Ok(Response::see_other(&format!("{}/profiles", page.base)));
    };
    let profile = find(scope, id)?;
    let status = problem.status;
    let mut refusal = Refusal::of(problem);
    let mut field = |of: &str, name: &str| refusal.field(&format!("quotas.{of}"), form.get(name));
    let days = DAYS.iter().zip(LABELS);
    let mut refused = ProfileLimits {
        daily_max: field("daily_max", "daily_max"),
        daily_aborted_max: field("daily_aborted_max", "daily_aborted_max"),
        interval_s: field("interval_ms", "interval_s"),
        jitter_s: field("jitter_ms", "jitter_s"),
        domain_gap_s: field("domain_gap_ms", "domain_gap_s"),
        ramp_start: field("ramp.start", "ramp_start"),
        ramp_step: field("ramp.step", "ramp_step"),
        time_zone: field("time_zone", "time_zone"),
        days: days
            .map(|(day, label)| (*day, label, field(&format!("windows.{day}"), day)))
            .collect(),
        windows_in: form.get("windows_in").to_owned(),
        order: form.get("order").to_owned(),
        approval: form.get("approval") == "1",
        ..view(page, &profile)
    };
    refused.error = refusal.rest();
    Ok(Response::html(status, refused.render()))
}

/// The form as the API takes it.
fn read(form: &Form) -> Result<Limits, Problem> {
    let number = |of: &str, name: &str| {
        let number = form.number::<u32>(name);
        number.map_err(|_| Problem::invalid(format!("quotas.{of}"), "must be a whole number"))
    };
    let ms = |of: &str, name: &str| {
        let wrong = || Problem::invalid(format!("quotas.{of}"), "must be a number of seconds");
        let parse = |text: &str| {
            let seconds: f64 = text.parse().map_err(|_| wrong())?;
            let ms = (seconds * 1000.0).round();
            // The API says what is too much.
            (0.0..=f64::from(u32::MAX))
                .contains(&ms)
                .then_some(ms as u32)
                .ok_or_else(wrong)
        };
        form.filled(name).map(parse).transpose()
    };
    let start = number("ramp.start", "ramp_start")?;
    let step = number("ramp.step", "ramp_step")?;
    let ramp = match (start, step) {
        (None, None) => None,
        (start, step) => Some(Ramp {
            // The API refuses 0 and says what is missing.
            start: start.unwrap_or(0),
            step: step.unwrap_or(0),
            since: None,
        }),
    };
    Ok(Limits {
        daily_max: number("daily_max", "daily_max")?,
        daily_aborted_max: number("daily_aborted_max", "daily_aborted_max")?,
        interval_ms: ms("interval_ms", "interval_s")?,
        jitter_ms: ms("jitter_ms", "jitter_s")?,
        domain_gap_ms: ms("domain_gap_ms", "domain_gap_s")?,
        ramp,
        windows: windows(form)?,
        time_zone: form.filled("time_zone").map(str::to_owned),
        windows_in: match form.get("windows_in") {
            "lead" => ZoneOf::Lead,
            _ => ZoneOf::Profile,
        },
        order: match form.get("order") {
            "oldest" => Order::Oldest,
            _ => Order::Newest,
        },
        approval: form.get("approval") == "1",
    })
}

/// The hours of all days; the same hours on several days are one window.
fn windows(form: &Form) -> Result<Option<Vec<Window>>, Problem> {
    let mut windows: Vec<Window> = Vec::new();
    for (name, day) in DAYS.iter().zip(Day::ALL) {
        let parts = form.get(name).split(',').map(str::trim);
        for part in parts.filter(|part| !part.is_empty()) {
            let (from, to) = span(part).ok_or_else(|| {
                let why = "must be hours such as 09:00-17:00, the later one last";
                Problem::invalid(format!("quotas.windows.{name}"), why)
            })?;
            match windows.iter_mut().find(|w| w.from == from && w.to == to) {
                Some(window) if window.days.contains(&day) => {}
                Some(window) => window.days.push(day),
                None => windows.push(Window {
                    days: vec![day],
                    from,
                    to,
                }),
            }
        }
    }
    Ok(Some(windows).filter(|windows| !windows.is_empty()))
}

fn span(text: &str) -> Option<(Clock, Clock)> {
    let (from, to) = text.split_once(['-', '–'])?;
    let (from, to) = (Clock::parse(from)?, Clock::parse(to)?);
    (from < to).then_some((from, to))
}
