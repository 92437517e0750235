//! Who may work in which tenant. This is the one place that decides it.

use domain::identity::{Action, Identity};
use http::Method;
use http::header::AUTHORIZATION;
use store::Db;
use store::credential;
use store::tenant::{self, Tenant};
use store::tenant_state::{self, State};

use crate::assertion::{Claims, Said, Verifier, WorkerIdentity};
use crate::auth::{self, Credential, NODE_PREFIX};
use crate::context::Context;
use crate::http::{Problem, Request};
use crate::master::node::{Introspect, Introspected};
use crate::slave::Scope;

/// What is known of a caller before the master is asked.
#[derive(Debug)]
pub enum Caller {
    /// No credential at all.
    Nobody,
    /// The master vouched for them a moment ago.
    Known(Said),
    /// Ask the master this: `POST {master}/node/v1/introspect`.
    Ask(Introspect),
}

/// Looks at a request's credential.
///
/// # Errors
/// When the store fails.
pub fn caller(cx: &Context<'_>, request: &Request) -> Result<Caller, Problem> {
    let (kind, token_hash) = match request.segments()[..] {
        ["worker", "v1", ..] => {
            let Some(token) = request.header(AUTHORIZATION).and_then(auth::bearer) else {
                return Ok(Caller::Nobody);
            };
            if auth::same_secret(token, &cx.config.worker_token) {
                let worker = WorkerIdentity::local();
                return Ok(Caller::Known(Said::Worker { worker }));
            }
            if !token.starts_with(NODE_PREFIX) {
                return Ok(Caller::Nobody);
            }
            ("worker", auth::token_hash("node", token))
        }
        ["s", _, "static" | "u", ..] => return Ok(Caller::Nobody),
        ["s", _, ..] => match Credential::of(cx, request) {
            Some(credential @ Credential::Key(_)) => ("key", credential.hash()),
            Some(credential @ Credential::Session(_)) => ("session", credential.hash()),
            None => return Ok(Caller::Nobody),
        },
        _ => return Ok(Caller::Nobody),
    };
    // A session may be bound to the host that it was begun on; a worker comes by any.
    let host = match kind {
        "worker" => String::new(),
        _ => cx.session_host().to_owned(),
    };
    let question = Introspect {
        kind: kind.to_owned(),
        token_hash,
        host,
    };
    let known = credential::get(&*cx.control()?, &question.name(), cx.now)?;
    Ok(
        match known.filter(|k| k.fresh).and_then(|k| said(&k.claims)) {
            Some(said) => Caller::Known(said),
            None => Caller::Ask(question),
        },
    )
}

fn said(claims: &str) -> Option<Said> {
    let claims = serde_json::from_str::<Claims>(claims).ok()?;
    about_somebody(claims)
}

/// Only these are answers to a question about a credential.
fn about_somebody(claims: Claims) -> Option<Said> {
    match claims.said {
        said @ (Said::Identity { .. } | Said::Worker { .. }) => Some(said),
        _ => None,
    }
}

/// Takes note of what the master answered.
///
/// # Errors
/// 503 when the answer is not the master's, or when the store fails.
pub fn remember(
    cx: &Context<'_>,
    asked: &Introspect,
    answer: &Introspected,
) -> Result<Option<Said>, Problem> {
    let control = cx.control()?;
    let Some(token) = answer.assertion.as_ref().filter(|_| answer.active) else {
        credential::forget(&*control, &asked.name())?;
        return Ok(None);
    };
    let claims = Verifier::of_master(cx.config)
        .check(token, cx.config.node(), cx.now)
        .filter(|claims| claims.sub == asked.token_hash)
        .ok_or_else(not_signed)?;
    // From our own clock, which may differ from the master's.
    let ends_at = cx.now + claims.lifetime();
    let kept = serde_json::to_string(&claims).unwrap_or_default();
    credential::put(&*control, &asked.name(), &kept, cx.now, ends_at)?;
    Ok(about_somebody(claims))
}

fn not_signed() -> Problem {
    eprintln!(
        "introspect: the answer is not signed by the master for this node: check master_public_key, node_id and the clocks"
    );
    Problem {
        retry_after: Some(10),
        ..Problem::new(503, "The master's answer cannot be trusted").detail(
            "Who you are could not be established. Nothing was changed. The operator finds the reason in the node's log.",
        )
    }
}

/// Why the master could not be asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unanswered {
    /// No answer, or none that makes sense; the reason is for the log.
    Unreachable(String),
    /// It does not know this node, or no longer.
    Refused,
}

/// The master did not answer: what it said last goes on until that ends. A node that was revoked has nothing to go on
/// with.
///
/// # Errors
/// 503 when nothing is known of the caller, or when the store fails.
pub fn without_master(
    cx: &Context<'_>,
    asked: &Introspect,
    why: Unanswered,
) -> Result<Option<Said>, Problem> {
    let control = cx.control()?;
    let reason = match why {
        Unanswered::Refused => {
            credential::forget_all(&*control)?;
            "it does not accept this node's credential".to_owned()
        }
        Unanswered::Unreachable(reason) => reason,
    };
    eprintln!("introspect: {reason}");
    let known = credential::get(&*control, &asked.name(), cx.now)?;
    if let Some(who) = known.and_then(|k| said(&k.claims)) {
        credential::keep(&*control, &asked.name(), cx.now)?;
        return Ok(Some(who));
    }
    let detail =
        "The master, which knows who you are, does not answer. Nothing was changed. Try again.";
    Err(Problem {
        retry_after: Some(2),
        ..Problem::new(503, "The master does not answer").detail(detail)
    })
}

/// What a call below a sub-account does; `path` is what follows `/s/{id}`.
pub fn action(method: &Method, path: &[&str]) -> Action {
    match (method, path) {
        (_, ["api", "v1", "archive", ..]) => Action::Manage,
        // Forms that only somebody who may send them is shown.
        (
            _,
            ["profiles" | "rules" | "sequences", "new"]
            | ["imports", _, "mapping"]
            | ["profiles", _, "limits"]
            | ["rules", _, "edit"],
        ) => Action::Write,
        (_, ["settings", ..]) => Action::Manage,
        (_, ["leads", _, "erasure"] | ["api", "v1", "leads", _, "erasure"]) => Action::Manage,
        (&Method::GET | &Method::HEAD, _) => Action::Read,
        // A filter may be too long for an address.
        (&Method::POST, ["api", "v1", "leads", "search" | "count"]) => Action::Read,
        (_, ["api", "v1", "settings" | "logo" | "domains", ..]) => Action::Manage,
        _ => Action::Write,
    }
}

/// Checks that it is the master that calls: by a statement for this node, or, beside the master, by the secret that the
/// two share.
///
/// # Errors
/// 401.
pub fn require_master(cx: &Context<'_>, request: &Request) -> Result<(), Problem> {
    let token = request.header(AUTHORIZATION).and_then(auth::bearer);
    let claims = token
        .and_then(|token| Verifier::of_master(cx.config).check(token, cx.config.node(), cx.now));
    match claims.map(|claims| claims.said) {
        Some(Said::Master) => Ok(()),
        _ => auth::require_secret(request, &cx.config.node_secret),
    }
}

/// A tenant in which the caller may do something.
///
/// # Errors
/// 404 when there is no such tenant or it belongs to somebody else: the two look the same. 403 when the caller may see
/// the tenant, but not do this, or nobody may because it is suspended. 410 when it is deleted. 503 for a change while it
/// moves.
pub fn scope<'a>(
    cx: &'a Context<'a>,
    id: &str,
    who: &Identity,
    action: Action,
) -> Result<Scope<'a>, Problem> {
    let known = |tenant: &Tenant| tenant.account_id == who.account_id && who.role_in(id).is_some();
    let mut scope = open(cx, id, known)?;
    scope.user_id.clone_from(&who.user_id);
    if !who.may_in(id, action) {
        return Err(Problem::lacks(action));
    }
    admits(scope.state, action)?;
    Ok(scope)
}

/// Checks once more that a tenant takes changes, and that its database is still its own: for what goes on for long.
///
/// # Errors
/// As [`scope`]; 410 when another tenant may be in its place.
pub(super) fn still(scope: &Scope<'_>) -> Result<(), Problem> {
    let (control, id) = (&*scope.control, scope.tenant.id.as_str());
    let at_home = tenant::get(control, id)?.is_some_and(|t| t.place == scope.tenant.place);
    if !at_home {
        return Err(deleted());
    }
    admits(tenant_state::get(control, id)?.state, Action::Write)
}

/// A tenant's database that is read while an answer is on its way, for as long as that takes.
pub(super) struct Reading {
    control: Box<dyn Db>,
    tenant: Tenant,
    db: Box<dyn Db>,
}

impl Reading {
    /// Opens it.
    ///
    /// # Errors
    /// When the store fails.
    pub fn begin(scope: &Scope<'_>) -> Result<Self, Problem> {
        Ok(Reading {
            control: tenant::open_control(scope.cx.stores)?,
            tenant: scope.tenant.clone(),
            db: scope.cx.stores.open(&scope.tenant.place)?,
        })
    }

    /// Reads the next piece. An answer that has begun cannot become an error any more: it ends where the tenant has gone or
    /// nothing can be read, and the log says why.
    pub fn next<T>(&self, read: impl FnOnce(&dyn Db) -> store::Result<T>) -> Option<T> {
        let (control, id) = (&*self.control, self.tenant.id.as_str());
        let is_here = || {
            let tenant = tenant::get(control, id)?;
            let state = tenant_state::get(control, id)?.state;
            let place = tenant.is_some_and(|t| t.place == self.tenant.place);
            Ok(place && admits(state, Action::Read).is_ok())
        };
        let piece = match is_here() {
            Ok(true) => read(&*self.db),
            Ok(false) => Err(store::Error::Unavailable("the sub-account has gone".into())),
            Err(e) => Err(e),
        };
        piece
            .inspect_err(|e| eprintln!("a download of sub-account {id} broke off: {e}"))
            .ok()
    }
}

/// What a tenant in some state lets those do who have the right to.
fn admits(state: State, action: Action) -> Result<(), Problem> {
    match state {
        State::Active => Ok(()),
        State::Moving | State::Frozen if action == Action::Read => Ok(()),
        State::Moving | State::Frozen => Err(moving()),
        State::Suspended => Err(suspended()),
        State::Deleted => Err(deleted()),
        State::Restoring => Err(restoring()),
        State::Gone | State::Arriving => Err(Problem::not_found()),
    }
}

fn restoring() -> Problem {
    Problem {
        retry_after: Some(10),
        ..Problem::new(503, "The sub-account is being restored")
            .detail("An archive is read into it. Nothing was changed. Try again when that is done.")
    }
}

/// A change while the sub-account moves.
fn moving() -> Problem {
    Problem {
        retry_after: Some(5),
        ..Problem::new(503, "The sub-account is moving")
            .detail("It can be read meanwhile. Nothing was changed. Try again in a moment.")
    }
}

fn suspended() -> Problem {
    Problem::new(403, "The sub-account is suspended")
        .detail("Nothing in it can be seen or changed, and nothing is sent. Whoever runs the account can resume it.")
}

fn deleted() -> Problem {
    Problem::new(410, "The sub-account is deleted")
        .detail("Whoever runs the account can bring it back for some days.")
}

/// A tenant, for callers who show something else than a credential (a signed link, a worker's lease).
///
/// # Errors
/// 404 when there is no such tenant, 503 while it is being copied to another node.
pub fn public<'a>(cx: &'a Context<'a>, id: &str) -> Result<Scope<'a>, Problem> {
    let scope = open(cx, id, |_| true)?;
    match scope.state {
        State::Active | State::Suspended | State::Moving => Ok(scope),
        State::Frozen => Err(moving()),
        State::Restoring => Err(restoring()),
        State::Deleted | State::Gone | State::Arriving => Err(Problem::not_found()),
    }
}

/// A tenant, whatever is the matter with it; for the master.
///
/// # Errors
/// 404 when there is no such tenant.
pub fn any<'a>(cx: &'a Context<'a>, id: &str) -> Result<Scope<'a>, Problem> {
    open(cx, id, |_| true)
}

/// Where a tenant went that is not here any more: `path` is what follows `/s/{id}`. Its own people are told, and whoever
/// holds a link that carries its own proof.
///
/// # Errors
/// When the store fails.
pub fn moved(
    cx: &Context<'_>,
    id: &str,
    path: &[&str],
    who: Option<&Identity>,
) -> Result<Option<String>, Problem> {
    let Some(moved) = tenant_state::get(&*cx.control()?, id)?.moved else {
        return Ok(None);
    };
    let own =
        who.is_some_and(|who| who.account_id == moved.account_id && who.role_in(id).is_some());
    let proves_itself = path.first() == Some(&"u");
    Ok((own || proves_itself).then_some(moved.to))
}

/// Opens a tenant's database, unless the caller may not know that it is there, or what is in it is not complete.
fn open<'a>(
    cx: &'a Context<'a>,
    id: &str,
    may: impl FnOnce(&Tenant) -> bool,
) -> Result<Scope<'a>, Problem> {
    let control = cx.control()?;
    let tenant = tenant::get(&*control, id)?
        .filter(may)
        .ok_or_else(Problem::not_found)?;
    let state = match tenant_state::get(&*control, id)?.state {
        State::Restoring if !tenant_state::heal(&*control, id, cx.now)? => return Err(restoring()),
        State::Restoring => State::Active,
        State::Gone | State::Arriving => return Err(Problem::not_found()),
        state => state,
    };
    let db = tenant::open(cx.stores, &*control, &tenant)?;
    Ok(Scope {
        cx,
        user_id: String::new(),
        control,
        tenant,
        state,
        db,
    })
}
