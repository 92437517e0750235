//! Host names of a sub-account: asked for, proven in the DNS, given up.

use domain::identity::{Action, Identity};
use serde::{Deserialize, Serialize};
use serde_json::json;
use store::custom_domain::{self, CustomDomain};

use crate::auth;
use crate::context::{Context, random_hex};
use crate::http::{Answer, Problem, Request, Response};
use crate::slave::domain_proof::{self, Answers, Lookup, proof_name};
use crate::slave::{Scope, access, site};

/// Host names that a sub-account may have.
const MAX: i64 = 20;
/// Names that one page of [`verified`] gives.
const PAGE: i64 = 1000;

/// What asking for a host name takes.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewDomain {
    /// `leads.client.example`
    pub name: String,
}

/// A host name as the API shows it.
#[derive(Debug, Serialize)]
pub struct View {
    /// In the DNS's own letters.
    pub name: String,
    /// `pending` or `verified`.
    pub status: &'static str,
    /// What proves that the name is the asker's: one of these records.
    pub records: [Record; 2],
    /// Why it is not verified yet.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// When the DNS was last asked; milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub checked_at: Option<i64>,
    /// Milliseconds.
    pub created_at: i64,
}

/// A record to make in the DNS.
#[derive(Debug, Serialize)]
pub struct Record {
    /// `TXT` or `CNAME`.
    pub r#type: &'static str,
    /// Its owner name.
    pub name: String,
    /// Its value; of a CNAME only the first label counts.
    pub value: String,
}

impl View {
    /// What a name's owner has to know.
    pub fn of(d: CustomDomain) -> Self {
        let record = |r#type, value| Record {
            r#type,
            name: proof_name(&d.name),
            value,
        };
        View {
            records: [
                record("TXT", d.token.clone()),
                record("CNAME", format!("{}.{}", d.token, d.name)),
            ],
            status: match d.verified_at {
                Some(_) => "verified",
                None => "pending",
            },
            name: d.name,
            reason: d.reason,
            checked_at: d.checked_at,
            created_at: d.created_at,
        }
    }
}

/// A host name that can lead to a sub-account: in the DNS's own letters (IDNA), of two labels or more, no address, not ours.
fn name(cx: &Context<'_>, text: &str) -> Result<String, Problem> {
    let refused = |message: &str| Problem::invalid("name", message);
    let text = text.trim().trim_end_matches('.');
    let host = url::Host::parse(text)
        .map_err(|_| refused("must be a host name like leads.example.com"))?;
    let url::Host::Domain(name) = host else {
        return Err(refused("must be a name, not an address"));
    };
    let label_ok = |label: &str| {
        let inner = label
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b == b'-');
        inner && (1..=63).contains(&label.len()) && !label.starts_with('-') && !label.ends_with('-')
    };
    if !name.contains('.') || name.len() > 240 || !name.split('.').all(label_ok) {
        return Err(refused("must be a host name like leads.example.com"));
    }
    match site::is_own(cx.config, &name) {
        true => Err(refused("is this installation's own name")),
        false => Ok(name),
    }
}

/// The sub-account's host names.
///
/// # Errors
/// When the store fails.
pub fn list(scope: &Scope<'_>) -> Answer {
    let items = custom_domain::of_tenant(&*scope.control, &scope.tenant.id)?;
    let items: Vec<_> = items.into_iter().map(View::of).collect();
    Ok(Response::json(200, &json!({"items": items})))
}

/// Asks for a host name. Asking twice is the same as once, however many there are.
///
/// # Errors
/// 422 for what is no host name, 409 when there are too many.
pub fn create(scope: &Scope<'_>, input: &NewDomain) -> Result<View, Problem> {
    let name = name(scope.cx, &input.name)?;
    let (control, tenant) = (&*scope.control, scope.tenant.id.as_str());
    if !custom_domain::ask(control, tenant, &name, &random_hex(16), MAX, scope.cx.now)? {
        let detail = format!("A sub-account has at most {MAX} host names. Give one up first.");
        return Err(Problem::new(409, "Too many host names").detail(detail));
    }
    get(scope, &name)
}

fn get(scope: &Scope<'_>, name: &str) -> Result<View, Problem> {
    let found = custom_domain::get(&*scope.control, &scope.tenant.id, name)?;
    found.map(View::of).ok_or_else(Problem::not_found)
}

/// Gives a host name up.
///
/// # Errors
/// 404 when there is none of that name.
pub fn delete(scope: &Scope<'_>, name: &str) -> Answer {
    match custom_domain::delete(&*scope.control, &scope.tenant.id, name)? {
        true => Ok(Response::no_content()),
        false => Err(Problem::not_found()),
    }
}

/// All host names that lead somewhere: `GET /node/v1/domains?after=`, which the slave's own host asks with its
/// `node_secret`, to get certificates for them.
///
/// # Errors
/// When the store fails.
pub fn verified(cx: &Context<'_>, request: &Request) -> Answer {
    let after = request.param("after").unwrap_or_default();
    let names = custom_domain::verified(&*cx.control()?, &after, PAGE)?;
    let next = names.last().filter(|_| names.len() as i64 == PAGE).cloned();
    let items: Vec<_> = names.iter().map(|name| json!({"name": name})).collect();
    Ok(Response::json(200, &json!({"items": items, "next": next})))
}

/// The host name whose proof a request asks to be looked for, if it does: `POST …/domains/{name}/verification`, by the
/// API (then true) or by the page.
pub fn asked(request: &Request) -> Option<(&str, bool)> {
    let path = match request.segments()[..] {
        ["s", _, "api", "v1", "domains", name, "verification"] => Some((name, true)),
        ["s", _, "settings", "domains", name, "verification"] => Some((name, false)),
        _ => None,
    };
    path.filter(|_| request.method == http::Method::POST)
}

/// Lets a caller look for the proof of a name.
///
/// # Errors
/// 401, 403 or 404 for whom it is not.
pub fn admit<'a>(
    cx: &'a Context<'a>,
    request: &Request,
    who: Option<&Identity>,
) -> Result<Scope<'a>, Problem> {
    auth::require_same_origin(request, cx.url())?;
    let id = request.segments().get(1).copied().unwrap_or_default();
    access::scope(
        cx,
        id,
        who.ok_or_else(Problem::unauthorized)?,
        Action::Manage,
    )
}

/// Begins to look for a name's proof.
///
/// # Errors
/// 404 when there is none of that name.
pub fn look_up(scope: &Scope<'_>, name: &str) -> Result<Lookup, Problem> {
    let tenant = scope.tenant.id.as_str();
    let found = custom_domain::get(&*scope.control, tenant, name)?;
    found
        .and_then(|d| Lookup::of(tenant, &d))
        .ok_or_else(Problem::not_found)
}

/// Takes the resolver's answers, and says what the name's state is now.
///
/// # Errors
/// When the store fails.
pub fn settle(scope: &Scope<'_>, lookup: &Lookup, answers: Answers) -> Result<View, Problem> {
    domain_proof::settle(&*scope.control, lookup, answers, scope.cx.now)?;
    get(scope, &lookup.name)
}
