//! Profiles over the API.

use domain::quota::Limits;
use serde::{Deserialize, Serialize};
use serde_json::json;
use store::profile::{self, Profile};
use store::transaction;
use worker_api::{SmtpSettings, Tls};

use crate::context::LOCAL;
use crate::http::{Answer, Problem, Response};
use crate::input;
use crate::seal::Sealer;
use crate::slave::Scope;

/// What a new profile takes.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewProfile {
    /// What people call it.
    pub name: String,
    /// Its type.
    pub r#type: Type,
    /// By type.
    pub settings: Settings,
    /// Its limits.
    #[serde(default)]
    pub quotas: Limits,
    /// The worker that it is for, by its node's id; left away, any that takes such.
    #[serde(default)]
    pub worker: Option<String>,
}

/// The types of profiles.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Type {
    /// Mail by SMTP submission.
    Smtp,
}

/// SMTP settings as they come in.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Host name or address.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// Protection of the connection.
    #[serde(default)]
    pub tls: Tls,
    /// For AUTH.
    #[serde(default)]
    pub username: Option<String>,
    /// For AUTH. Kept sealed, never shown.
    #[serde(default)]
    pub password: Option<String>,
    /// The `From` mailbox.
    pub from: String,
}

/// SMTP settings as they are kept.
#[derive(Debug, Serialize, Deserialize)]
struct Kept {
    host: String,
    port: u16,
    tls: Tls,
    username: Option<String>,
    password: Option<String>,
    from: String,
}

/// Profiles that a sub-account may have.
const MAX: usize = 500;

fn check(input: &NewProfile) -> Result<(), Problem> {
    let s = &input.settings;
    let host_ok = |c: char| c.is_alphanumeric() || ".-:[]_".contains(c);
    if s.host.is_empty() || s.host.len() > 253 || !s.host.chars().all(host_ok) {
        return Err(Problem::invalid(
            "settings.host",
            "must be a host name or an address, without a scheme",
        ));
    }
    if s.port == 0 {
        return Err(Problem::invalid(
            "settings.port",
            "must be a number from 1 to 65535",
        ));
    }
    domain::address::of_mailbox(&s.from)
        .map_err(|e| Problem::invalid("settings.from", e.to_string()))?;
    if s.from.len() > 500 {
        return Err(Problem::invalid(
            "settings.from",
            "must have at most 500 bytes",
        ));
    }
    if s.username.is_some() != s.password.is_some() {
        return Err(Problem::invalid(
            "settings.password",
            "username and password go together",
        ));
    }
    check_secret("settings.username", s.username.as_deref())?;
    check_secret("settings.password", s.password.as_deref())?;
    check_quotas(&input.quotas)
}

fn check_quotas(quotas: &Limits) -> Result<(), Problem> {
    let wrong = |(field, why): (String, String)| Problem::invalid(format!("quotas.{field}"), why);
    quotas.check().map_err(wrong)
}

/// Limits whose ramp begins now, unless it says when, or began before.
fn ramped(quotas: Limits, before: Option<&Limits>, now: i64) -> Limits {
    let since = before.and_then(|b| b.ramp?.since).unwrap_or(now);
    let ramp = quotas.ramp.map(|ramp| domain::quota::Ramp {
        since: ramp.since.or(Some(since)),
        ..ramp
    });
    Limits { ramp, ..quotas }
}

/// What AUTH can take.
fn check_secret(field: &str, value: Option<&str>) -> Result<(), Problem> {
    let bad = |v: &str| v.is_empty() || v.len() > 1000 || v.contains(['\0', '\r', '\n']);
    match value.is_some_and(bad) {
        true => Err(Problem::invalid(
            field,
            "must have 1 to 1000 bytes and no line breaks",
        )),
        false => Ok(()),
    }
}

/// Where a tenant's sealed passwords belong.
fn place(subaccount: &str) -> String {
    format!("profile/{subaccount}")
}

/// Makes a profile.
///
/// # Errors
/// 422 for a wrong field.
pub fn create(scope: &Scope<'_>, input: NewProfile) -> Result<serde_json::Value, Problem> {
    let name = input::name("name", &input.name)?;
    check(&input)?;
    let worker = worker(input.worker.as_deref())?;
    if profile::list(&*scope.db)?.len() >= MAX {
        return Err(Problem::new(409, "Too many profiles")
            .detail(format!("A sub-account has at most {MAX} profiles.")));
    }
    let sealer = Sealer::new(&scope.cx.config.secret_key);
    let s = input.settings;
    let kept = Kept {
        host: s.host,
        port: s.port,
        tls: s.tls,
        username: s.username,
        password: s
            .password
            .map(|p| sealer.seal(&place(&scope.tenant.id), &p)),
        from: s.from.trim().to_owned(),
    };
    let quotas = ramped(input.quotas, None, scope.cx.now);
    let settings = serde_json::to_string(&kept).unwrap_or_default();
    let id = scope.promising(&["profiles", "plan", "claim"], || {
        Ok(profile::insert(
            &*scope.db,
            &name,
            "smtp",
            &settings,
            &quotas,
            worker.as_deref(),
            scope.cx.now,
        )?)
    })?;
    shown(scope, &find(scope, id)?).ok_or_else(Problem::not_found)
}

/// A worker's id: that of a node, or `local` for the one that the slave's own host runs.
fn worker(id: Option<&str>) -> Result<Option<String>, Problem> {
    let known = |id: &str| match id {
        LOCAL => Some(LOCAL.to_owned()),
        id => uuid::Uuid::parse_str(id).ok().map(|id| id.to_string()),
    };
    let wrong = || Problem::invalid("worker", "must be the id of a worker's node, or `local`");
    id.map(|id| known(id).ok_or_else(wrong)).transpose()
}

fn find(scope: &Scope<'_>, id: i64) -> Result<Profile, Problem> {
    profile::get(&*scope.db, id)?.ok_or_else(Problem::not_found)
}

/// A profile without its secrets.
pub fn view(p: &Profile) -> Option<serde_json::Value> {
    let kept: Kept = serde_json::from_str(&p.settings).ok()?;
    Some(json!({
        "id": p.id,
        "name": p.name,
        "type": p.kind,
        "active": p.active,
        "settings": {
            "host": kept.host,
            "port": kept.port,
            "tls": kept.tls,
            "username": kept.username,
            "password_set": kept.password.is_some(),
            "from": kept.from,
        },
        "quotas": p.quotas,
        "worker": p.worker,
        "created_at": p.created_at,
    }))
}

/// Why a profile cannot work that came with an archive: its password was sealed for another sub-account, or elsewhere.
pub const LOCKED: &str =
    "Enter the password again: it was sealed where this sub-account's archive was made.";

/// Whether a profile has a password that cannot be opened here.
pub fn is_locked(scope: &Scope<'_>, p: &Profile) -> bool {
    opened(&scope.cx.config.secret_key, &scope.tenant.id, p).is_none()
}

/// A profile without its secrets, with the reason why it cannot work and why it waits.
fn shown(scope: &Scope<'_>, p: &Profile) -> Option<serde_json::Value> {
    let mut shown = view(p)?;
    let waits = p.wait_until.is_none_or(|until| until > scope.cx.now);
    shown["wait_reason"] = p.wait_reason.clone().filter(|_| waits).into();
    shown["wait_until"] = p.wait_until.filter(|_| waits).into();
    if is_locked(scope, p) {
        shown["reason"] = LOCKED.into();
    }
    Some(shown)
}

/// A profile's settings with its secrets, for the worker that runs it.
pub fn opened(config_key: &str, subaccount: &str, p: &Profile) -> Option<SmtpSettings> {
    let kept: Kept = serde_json::from_str(&p.settings).ok()?;
    let password = match kept.password {
        Some(sealed) => Some(Sealer::new(config_key).open(&place(subaccount), &sealed)?),
        None => None,
    };
    Some(SmtpSettings {
        host: kept.host,
        port: kept.port,
        tls: kept.tls,
        username: kept.username,
        password,
        from: kept.from,
    })
}

/// `GET /profiles`
///
/// # Errors
/// When the store fails.
pub fn list(scope: &Scope<'_>) -> Answer {
    let all = profile::list(&*scope.db)?;
    let items: Vec<_> = all.iter().filter_map(|p| shown(scope, p)).collect();
    Ok(Response::json(200, &json!({"items": items})))
}

/// `GET /profiles/{id}`
///
/// # Errors
/// 404 when there is none.
pub fn get(scope: &Scope<'_>, id: &str) -> Answer {
    let profile = find(scope, input::id(id)?)?;
    Ok(Response::json(
        200,
        &shown(scope, &profile).ok_or_else(Problem::not_found)?,
    ))
}

/// What `PATCH` takes.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Change {
    /// Whether it works.
    pub active: Option<bool>,
    /// The worker that it is for; null for any that takes such.
    #[serde(deserialize_with = "input::present")]
    pub worker: Option<Option<String>>,
    /// For AUTH. Kept sealed, never shown.
    pub password: Option<String>,
    /// All its limits, in the place of those before.
    pub quotas: Option<Limits>,
}

/// Switches a profile on or off, gives it to another worker, other limits, or another password.
///
/// # Errors
/// 404 when there is none, 409 when it is to work without its password, 422 for a field that cannot be taken.
pub fn change(scope: &Scope<'_>, id: &str, input: &Change) -> Answer {
    let id = input::id(id)?;
    let before = find(scope, id)?;
    let settings = match &input.password {
        Some(password) => Some(with_password(scope, &before, password)?),
        None if input.active == Some(true) && is_locked(scope, &before) => {
            return Err(Problem::new(409, "The profile has no password").detail(LOCKED));
        }
        None => None,
    };
    let worker = match &input.worker {
        Some(id) => Some(worker(id.as_deref())?),
        None => None,
    };
    if let Some(quotas) = &input.quotas {
        check_quotas(quotas)?;
    }
    if input.active.is_none() && worker.is_none() && settings.is_none() && input.quotas.is_none() {
        return Err(Problem::invalid("active", "say what is to change"));
    }
    let (db, now) = (&*scope.db, scope.cx.now);
    scope.promising(&["profiles", "plan", "claim"], || {
        transaction(db, || {
            if let Some(settings) = &settings {
                profile::set_settings(db, id, settings, now)?;
            }
            if let Some(active) = input.active {
                profile::set_active(db, id, active, now)?;
                profile::set_wait(db, id, None)?;
            }
            if let Some(worker) = &worker {
                profile::set_worker(db, id, worker.as_deref(), now)?;
            }
            if let Some(quotas) = input.quotas.clone() {
                let quotas = ramped(quotas, Some(&before.quotas), now);
                profile::set_quotas(db, id, &quotas, now)?;
            }
            Ok::<_, Problem>(())
        })
    })?;
    Ok(Response::json(
        200,
        &shown(scope, &find(scope, id)?).ok_or_else(Problem::not_found)?,
    ))
}

/// The settings of a profile with another password.
fn with_password(scope: &Scope<'_>, p: &Profile, password: &str) -> Result<String, Problem> {
    check_secret("password", Some(password))?;
    let sealer = Sealer::new(&scope.cx.config.secret_key);
    reseal(&sealer, &scope.tenant.id, p, password)
        .ok_or_else(|| Problem::invalid("password", "is not needed: the profile has no user name"))
}

/// The settings of a profile with a password that is sealed for its sub-account; none when it has no user name.
pub fn reseal(sealer: &Sealer, subaccount: &str, p: &Profile, password: &str) -> Option<String> {
    let mut kept: Kept = serde_json::from_str(&p.settings).ok()?;
    kept.username.as_ref()?;
    kept.password = Some(sealer.seal(&place(subaccount), password));
    serde_json::to_string(&kept).ok()
}
