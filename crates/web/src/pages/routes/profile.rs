//! Profiles: the senders.

use domain::quota::{Limits, Usage};
use store::profile::{self, Profile};
use store::request;
use worker_api::Tls;

use super::active;
use crate::Problem;
use crate::http::{Answer, Request, Response};
use crate::pages::form::{Form, Refusal};
use crate::pages::profile::{NewProfile, ProfileRow, Profiles};
use crate::pages::{Page, format};
use crate::slave::Scope;
use crate::slave::profile::{self as api, Change, Settings, Type};

/// What a profile is doing.
pub fn state(profile: &Profile, running: &[(i64, i64)]) -> &'static str {
    match running.iter().any(|(id, n)| *id == profile.id && *n > 0) {
        _ if !profile.active => "disabled",
        true => "outreach",
        false => "idle",
    }
}

pub fn list(scope: &Scope<'_>, page: Page) -> Answer {
    let (db, now) = (&*scope.db, scope.cx.now);
    let running = request::running(db)?;
    let retrying = request::retrying(db, now)?;
    let mut items = Vec::new();
    for profile in profile::list(db)? {
        let usage = profile::usage(db, &profile, now)?;
        let trouble = retrying.iter().find(|r| r.profile_id == profile.id);
        let trouble = trouble.map(|r| {
            let n = format::count(r.n.into());
            let mails = if r.n == 1 { "mail" } else { "mails" };
            format!("{n} {mails} to be tried again. {}", r.error)
        });
        let locked = api::is_locked(scope, &profile);
        let trouble = trouble.or(locked.then(|| api::LOCKED.to_owned()));
        let unreadable = (!profile.readable).then(|| profile.off_reason().to_owned());
        let trouble = unreadable.or(trouble);
        let row = row(&profile, now, usage, state(&profile, &running), trouble);
        items.extend(row.map(|row| ProfileRow { locked, ..row }));
    }
    items.sort_by_key(|p| p.name.to_lowercase());
    Ok(Response::html(200, Profiles { page, items }.render()))
}

fn row(
    p: &Profile,
    now: i64,
    usage: Usage,
    state: &str,
    trouble: Option<String>,
) -> Option<ProfileRow> {
    let waits = p.active && p.wait_until.is_none_or(|until| until > now);
    let view = api::view(p)?;
    let settings = &view["settings"];
    let text = |name: &str| settings[name].as_str().unwrap_or_default().to_owned();
    Some(ProfileRow {
        id: p.id,
        name: p.name.clone(),
        kind: p.kind.clone(),
        address: format!("{}:{}", text("host"), settings["port"]),
        from: text("from"),
        tls: text("tls"),
        state: state.to_owned(),
        active: p.active,
        trouble,
        locked: false,
        daily_max: p.quotas.daily_max(now).map(i64::from),
        interval_ms: p.quotas.interval_ms.map(i64::from),
        sent: usage.begun,
        wait: waits
            .then(|| p.wait_reason.clone())
            .flatten()
            .map(|reason| (reason, p.wait_until)),
    })
}

pub fn form(page: Page) -> Response {
    Response::html(200, NewProfile::blank(page).render())
}

pub fn create(scope: &Scope<'_>, page: Page, request: &Request) -> Answer {
    let form = Form::of(request);
    let Err(problem) = read(&form).and_then(|input| api::create(scope, input)) else {
        return Ok(Response::see_other(&format!("{}/profiles", page.base)));
    };
    let status = problem.status;
    let mut refusal = Refusal::of(problem);
    let mut field = |of: &str, name: &str| refusal.field(of, form.get(name));
    let mut view = NewProfile {
        name: field("name", "name"),
        host: field("settings.host", "host"),
        port: field("settings.port", "port"),
        tls: field("settings.tls", "tls"),
        username: field("settings.username", "username"),
        password_error: None,
        from: field("settings.from", "from"),
        daily_max: field("quotas.daily_max", "daily_max"),
        interval_s: field("quotas.interval_ms", "interval_s"),
        page,
        error: None,
    };
    view.password_error = refusal.take("settings.password");
    view.error = refusal.rest();
    Ok(Response::html(status, view.render()))
}

/// The form as the API takes it.
fn read(form: &Form) -> Result<api::NewProfile, Problem> {
    let number = |of: &str, name: &str| {
        let number = form.number::<u32>(name);
        number.map_err(|_| Problem::invalid(of, "must be a whole number"))
    };
    let port = number("settings.port", "port")?.and_then(|port| u16::try_from(port).ok());
    let interval = number("quotas.interval_ms", "interval_s")?;
    let interval = interval.map(|s| s.checked_mul(1000).ok_or(()));
    let too_long = |()| Problem::invalid("quotas.interval_ms", "must be at most 86400, a day");
    Ok(api::NewProfile {
        name: form.get("name").to_owned(),
        r#type: Type::Smtp,
        settings: Settings {
            host: form.get("host").trim().to_owned(),
            // The API refuses 0 and says what a port is.
            port: port.unwrap_or(0),
            tls: match form.get("tls") {
                "none" => Tls::None,
                "starttls" => Tls::Starttls,
                "tls" => Tls::Tls,
                _ => return Err(Problem::invalid("settings.tls", "choose one of these")),
            },
            username: form.filled("username").map(str::to_owned),
            // A password may begin or end with a space.
            password: Some(form.get("password"))
                .filter(|p| !p.is_empty())
                .map(str::to_owned),
            from: form.get("from").trim().to_owned(),
        },
        quotas: Limits {
            daily_max: number("quotas.daily_max", "daily_max")?,
            interval_ms: interval.transpose().map_err(too_long)?,
            ..Limits::default()
        },
        worker: None,
    })
}

pub fn switch(scope: &Scope<'_>, request: &Request, id: &str) -> Answer {
    let active = active(request)?;
    let change = Change {
        active: Some(active),
        ..Change::default()
    };
    api::change(scope, id, &change)?;
    Ok(Response::see_other(&format!("{}/profiles", scope.base())))
}

pub fn unlock(scope: &Scope<'_>, request: &Request, id: &str) -> Answer {
    let change = Change {
        password: Some(Form::of(request).get("password").to_owned()),
        ..Change::default()
    };
    api::change(scope, id, &change)?;
    Ok(Response::see_other(&format!("{}/profiles", scope.base())))
}
