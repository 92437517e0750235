//! The front pages (log-in, forgotten password, invitations …) on hosts other than the master's. A slave passes such a
//! request on; the master answers it as its own, for that host: in its brand, with links to it, and with a session
//! that is bound to it.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::header::{AUTHORIZATION, COOKIE, HOST};
use http::{HeaderValue, Method};
use serde::{Deserialize, Serialize};
use store::{Db, placement, setting, subaccount};

use crate::client::Client;
use crate::context::{Context, Own};
use crate::http::{Problem, Request};
use crate::master::node;
use crate::pages::Look;
use crate::slave::access;

/// The field that carries a [`Passed`]: JSON in base64url.
pub const FIELD: &str = "x-sluice-front";
/// The longest of its values, in bytes.
const FIELD_MAX: usize = 8 * 1024;

/// When it is written down again that a host was seen, in milliseconds.
const SEEN_AGAIN: i64 = 60 * 60 * 1000;
/// How long a host that nobody comes by is believed to be the sub-account's, in milliseconds: a name may be given up, and
/// the master is not told.
const LATELY: i64 = 24 * 60 * 60 * 1000;

/// What the master cannot see of a request that was passed on.
#[derive(Debug, Serialize, Deserialize)]
struct Passed {
    /// The host that the person came by.
    own: Own,
    /// Their network address.
    #[serde(default)]
    address: String,
}

/// The first parts of the paths that are passed on. Signing up is for agencies, on the master's own host.
const PATHS: [&str; 6] = ["login", "logout", "forgot", "reset", "confirm", "invite"];

/// The path of the master that a request on another host is for, if it is one of those.
pub fn path(cx: &Context<'_>, request: &Request) -> Option<String> {
    let own = cx.own.as_ref()?;
    let rest = match (&own.subaccount, &request.segments()[..]) {
        (Some(_), ["s", _, rest @ ..]) | (None, rest) => rest.join("/"),
        _ => return None,
    };
    let first = rest.split('/').next().unwrap_or_default();
    PATHS.contains(&first).then(|| format!("/{rest}"))
}

/// Makes a request ready to be passed on to the master: `credential` is the slave's own.
///
/// # Errors
/// When the store fails.
pub fn pass_on(cx: &Context<'_>, request: &Request) -> Result<Request, Problem> {
    let mut own = cx.own.clone().ok_or_else(Problem::not_found)?;
    if let Some(id) = &own.subaccount {
        let scope = access::public(cx, id)?;
        own.look = Look::of(&setting::look(&*scope.db)?, "", &scope.tenant.name, true);
    }
    let passed = Passed {
        own,
        address: Client::of(request).text(),
    };
    let passed = serde_json::to_vec(&passed).unwrap_or_default();
    let mut onwards = request.clone();
    onwards.path = path(cx, request).ok_or_else(Problem::not_found)?;
    // Only what browsers say of a page goes on; a credential of a program has no business here.
    let kept = |name: &http::HeaderName| {
        let name = name.as_str();
        ["cookie", "user-agent", "origin", "content-type", "accept"].contains(&name)
            || name.starts_with("sec-fetch-")
    };
    let fields = std::mem::take(&mut onwards.headers);
    onwards.headers = fields
        .iter()
        .filter(|(name, _)| kept(name))
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect();
    let bearer = format!("Bearer {}", cx.config.credential());
    for (name, value) in [
        (FIELD, URL_SAFE_NO_PAD.encode(passed)),
        ("authorization", bearer),
    ] {
        let value = HeaderValue::from_str(&value).map_err(|_| Problem::not_found())?;
        onwards.headers.insert(name, value);
    }
    Ok(onwards)
}

/// On the master: the request as its sender made it, and the host they came by. None for one that nobody passed on.
///
/// # Errors
/// 401 when it is none of our nodes that passed it on, 403 when the sub-account it names lives on another one, 400 when
/// what it says cannot be read.
pub fn received(cx: &Context<'_>, request: &Request) -> Result<Option<(Request, Own)>, Problem> {
    let Some(field) = request.headers.get(FIELD) else {
        return Ok(None);
    };
    let db = cx.master()?;
    let from = node::caller(cx, &*db, request)?;
    if from.kind != "slave" {
        return Err(Problem::forbidden());
    }
    let unread = || Problem::new(400, "This request was not passed on as it should be");
    let passed = Some(field.as_bytes()).filter(|text| text.len() <= FIELD_MAX);
    let passed = passed.and_then(|text| URL_SAFE_NO_PAD.decode(text).ok());
    let passed: Passed = passed
        .and_then(|json| serde_json::from_slice(&json).ok())
        .ok_or_else(unread)?;
    // A node speaks for the hosts of what lives on it, and for no other.
    if let Some(id) = &passed.own.subaccount {
        if placement::home(&*db, id)?.as_ref() != Some(&from.id) {
            return Err(Problem::forbidden());
        }
        remember(&*db, id, &passed.own, cx.now)?;
    }
    let first = request
        .segments()
        .first()
        .copied()
        .unwrap_or_default()
        .to_owned();
    if !PATHS.contains(&first.as_str()) {
        return Err(Problem::not_found());
    }
    if !matches!(request.method, Method::GET | Method::HEAD | Method::POST) {
        return Err(Problem::method_not_allowed());
    }
    let mut request = request.clone();
    request.headers.remove(FIELD);
    request.headers.remove(AUTHORIZATION);
    let authority = passed
        .own
        .url
        .split_once("://")
        .map_or("", |(_, authority)| authority);
    let text = |value: &str| HeaderValue::from_str(value).map_err(|_| unread());
    request.headers.insert(HOST, text(authority)?);
    request
        .headers
        .insert(Client::ADDRESS, text(&passed.address)?);
    Ok(Some((request, passed.own)))
}

/// Keeps in mind by which host a sub-account's people come. Most requests say what is known.
fn remember(db: &dyn Db, id: &str, own: &Own, now: i64) -> Result<(), Problem> {
    let said = serde_json::to_string(own).unwrap_or_default();
    match subaccount::front(db, id)? {
        Some((known, seen_at)) if known == said && now - seen_at < SEEN_AGAIN => Ok(()),
        _ => Ok(subaccount::set_front(db, id, &said, now)?),
    }
}

/// The host of its own by which a sub-account's people came lately, if they did.
///
/// # Errors
/// When the store fails.
pub fn of_subaccount(db: &dyn Db, id: &str, now: i64) -> store::Result<Option<Own>> {
    let known = subaccount::front(db, id)?.filter(|(_, seen_at)| now - seen_at < LATELY);
    Ok(known.and_then(|(said, _)| serde_json::from_str(&said).ok()))
}

/// Whether an answer of the master may go to the browser as it is: its fields, without those of the connection.
pub fn is_kept(name: &http::HeaderName) -> bool {
    ![
        "connection",
        "transfer-encoding",
        "content-length",
        "keep-alive",
        "date",
    ]
    .contains(&name.as_str())
        && name != COOKIE
}
