//! The slave: sub-accounts, and the workers that work for them.

pub mod access;
pub mod approval;
pub mod archive;
pub mod custom_domain;
pub mod domain_proof;
pub mod dry_run;
pub mod export;
pub mod import;
pub mod lead;
pub mod lead_links;
pub mod mapping;
mod mjml;
pub mod node;
pub mod personal_data;
pub mod profile;
pub mod request;
pub mod reversal;
pub mod rule;
pub mod rule_words;
pub mod saved_view;
pub mod search;
pub mod sequence;
pub mod settings;
pub mod site;
pub mod texts;
pub mod timeline;
pub mod transfer;
mod unpack;
pub mod unsubscribe;
pub mod upload;
pub mod worker;

use domain::identity::Identity;
use http::Method;
use store::custom_domain as domains;
use store::tenant::Tenant;
use store::tenant_state::State;
use store::{Db, work};

use crate::assertion::WorkerIdentity;
use crate::auth;
use crate::context::Context;
use crate::front;
use crate::http::{Answer, Problem, Request, Response};
use crate::pages;

/// A tenant that the caller may work in, with its store.
pub struct Scope<'a> {
    /// What handlers get from outside.
    pub cx: &'a Context<'a>,
    /// The slave's control database.
    pub control: Box<dyn Db>,
    /// The tenant.
    pub tenant: Tenant,
    /// Who calls (a person's UUID); empty for whoever shows something else than a credential.
    pub user_id: String,
    /// What the master wants of it, and whether it is on its way.
    pub state: State,
    /// The tenant's own database: no query in it can reach another tenant.
    pub db: Box<dyn Db>,
}

impl Scope<'_> {
    /// The tenant's path on the host name that the caller came by: `/s/{id}`, or nothing on one of its own.
    pub fn base(&self) -> String {
        self.cx.base(&self.tenant.id)
    }

    /// The tenant's address for the world, without a slash at the end: by a host name of its own when it has one.
    ///
    /// # Errors
    /// When the store fails.
    pub fn base_url(&self) -> Result<String, Problem> {
        let public = &self.cx.config.public_url;
        Ok(match domains::primary(&*self.control, &self.tenant.id)? {
            Some(name) => site::address(public, &name),
            None => format!("{public}/s/{}", self.tenant.id),
        })
    }

    /// Promises work to stages, then changes something, then says once more that the work is there.
    ///
    /// # Errors
    /// What `change` says, or that the store failed.
    pub fn promising<T>(
        &self,
        stages: &[&str],
        change: impl FnOnce() -> Result<T, Problem>,
    ) -> Result<T, Problem> {
        let mark = |at| {
            stages
                .iter()
                .try_for_each(|stage| work::mark(&*self.control, &self.tenant.id, stage, at, at))
        };
        mark(self.cx.now)?;
        let done = change()?;
        mark(self.cx.now + 1)?;
        Ok(done)
    }
}

/// The largest body that is collected for a request, in bytes: a piece of a sub-account that moves may be large.
pub fn body_max(request: &Request) -> usize {
    match request.segments()[..] {
        ["node", "v1", "subaccounts", _, "arrival", "pieces"] => 8 * 1024 * 1024,
        _ => 1024 * 1024,
    }
}

/// Answers a request whose body has arrived; `who` is whom its credential belongs to. It never fails: a problem is an
/// answer too.
pub fn handle(cx: &Context<'_>, request: &Request, who: Option<&Identity>) -> Response {
    let segments = request.segments();
    match route(cx, request, &segments, who) {
        Ok(response) => response,
        Err(problem) => {
            let elsewhere = match problem.status {
                404 => moved(cx, request, &segments, who),
                _ => None,
            };
            elsewhere.unwrap_or_else(|| refuse(cx, request, who, problem))
        }
    }
}

/// A problem, as a page to those who ask for pages.
pub fn refuse(
    cx: &Context<'_>,
    request: &Request,
    who: Option<&Identity>,
    problem: Problem,
) -> Response {
    let segments = request.segments();
    let is_page = matches!(segments[..], ["s", _, ref rest @ ..] if rest.first() != Some(&"api"));
    match is_page || front::path(cx, request).is_some() {
        true => pages::problem(pages::routes::slave_frame(cx, &segments, who), problem),
        false => problem.into_response(),
    }
}

/// A problem from before it is known what a request is for: no brand is known either.
pub fn refuse_unknown(cx: &Context<'_>, request: &Request, problem: Problem) -> Response {
    match site::is_foreign(cx.config, request) && request.segments().first() != Some(&"api") {
        true => pages::problem(pages::Page::neutral("", "", cx.now), problem),
        false => refuse(cx, request, None, problem),
    }
}

/// The way to where a sub-account lives now.
fn moved(
    cx: &Context<'_>,
    request: &Request,
    segments: &[&str],
    who: Option<&Identity>,
) -> Option<Response> {
    let ["s", id, rest @ ..] = segments else {
        return None;
    };
    let to = access::moved(cx, id, rest, who).ok().flatten()?;
    let below = request.path.get(3 + id.len()..)?;
    let query = match request.query.as_str() {
        "" => String::new(),
        query => format!("?{query}"),
    };
    Some(Response::moved(&format!("{to}{below}{query}")))
}

/// Answers a request of a worker that the master vouched for.
pub fn handle_worker(cx: &Context<'_>, request: &Request, worker: &WorkerIdentity) -> Response {
    match request.segments()[..] {
        ["worker", "v1", ref path @ ..] => {
            worker::route(cx, request, path, worker).unwrap_or_else(Problem::into_response)
        }
        _ => Problem::not_found().into_response(),
    }
}

fn route(cx: &Context<'_>, request: &Request, segments: &[&str], who: Option<&Identity>) -> Answer {
    match segments {
        ["s", _, "static", name] => pages::asset(request, name),
        // The master beside us asks whether a host name leads to anybody.
        ["s", _, "known"] if cx.tenant_name().is_some() => Ok(Response::no_content()),
        // On a host name of its own a sub-account's look is no secret: the log-in page wears it.
        ["s", id, look @ ("logo" | "brand.css")] if cx.tenant_name().is_some() => {
            let scope = access::public(cx, id)?;
            match *look {
                "logo" => settings::logo(&scope, request),
                _ => settings::stylesheet(&scope, request),
            }
        }
        ["s", id, "u", token] => unsubscribe::handle(&access::public(cx, id)?, request, token),
        ["s", id, rest @ ..] => {
            auth::require_same_origin(request, cx.url())?;
            let api = rest.first() == Some(&"api");
            let who = match who {
                Some(who) => who,
                None if api => return Err(Problem::unauthorized()),
                None => return Ok(pages::routes::sign_in(cx, request)),
            };
            let scope = access::scope(cx, id, who, access::action(&request.method, rest))?;
            match rest {
                ["logo"] => settings::logo(&scope, request),
                ["brand.css"] => settings::stylesheet(&scope, request),
                ["api", "v1", path @ ..] => api_route(&scope, request, path),
                ["api", ..] => Err(Problem::not_found()),
                path => pages::routes::slave(scope, request, who, path),
            }
        }
        ["worker", "v1", path @ ..] => {
            auth::require_secret(request, &cx.config.worker_token)?;
            worker::route(cx, request, path, &WorkerIdentity::local())
        }
        ["node", "v1", path @ ..] => {
            access::require_master(cx, request)?;
            node::route(cx, request, path)
        }
        _ => Err(Problem::not_found()),
    }
}

fn api_route(scope: &Scope<'_>, request: &Request, path: &[&str]) -> Answer {
    let (get, post, patch) = (Method::GET, Method::POST, Method::PATCH);
    let (put, delete) = (Method::PUT, Method::DELETE);
    match (&request.method, path) {
        (m, ["imports"]) if *m == get => import::list(scope),
        (m, ["imports", id]) if *m == get => import::get(scope, id),
        (m, ["imports", id, "preview"]) if *m == get => mapping::preview(scope, request, id),
        (m, ["imports", id, "mapping"]) if *m == post => mapping::map(scope, request, id),
        (m, ["imports", id, "cancellation"]) if *m == post => mapping::cancel(scope, id),
        (m, ["imports", id, "reversal"]) if *m == post => reversal::begin(scope, id),
        (m, ["imports", id, "kept"]) if *m == get => reversal::kept(scope, id),
        (m, ["leads"]) if *m == get => search::list(scope, request),
        (m, ["leads.csv"]) if *m == get => export::leads(scope, request),
        (m, ["views"]) if *m == get => saved_view::list(scope),
        (m, ["views"]) if *m == post => {
            saved_view::create(scope, request.json()?).map(|v| Response::json(201, &v))
        }
        (m, ["views", id]) if *m == delete => saved_view::delete(scope, id),
        (m, ["leads", "count"]) if *m == post => search::count(scope, request),
        (m, ["leads", "search"]) if *m == post => search::search(scope, request),
        (m, ["leads"]) if *m == post => lead::upsert(scope, &request.json()?),
        (m, ["leads", id]) if *m == get => lead::get(scope, id),
        (m, ["leads", id, "personal-data"]) if *m == get => personal_data::get(scope, id),
        (m, ["leads", id, "erasure"]) if *m == post => personal_data::erase(scope, id),
        (m, ["tags"]) if *m == get => lead::tags(scope),
        (m, ["profiles"]) if *m == get => profile::list(scope),
        (m, ["profiles"]) if *m == post => {
            profile::create(scope, request.json()?).map(|p| Response::json(201, &p))
        }
        (m, ["profiles", id]) if *m == get => profile::get(scope, id),
        (m, ["profiles", id]) if *m == patch => profile::change(scope, id, &request.json()?),
        (m, ["rules"]) if *m == get => rule::list(scope),
        (m, ["rules"]) if *m == post => {
            rule::create(scope, request.json()?).map(|r| Response::json(201, &r))
        }
        (m, ["rules", "dry-run"]) if *m == post => dry_run::answer(scope, &request.json()?),
        (m, ["rules", id]) if *m == get => rule::get(scope, id),
        (m, ["rules", id]) if *m == patch => rule::change(scope, id, request.json()?),
        (m, ["rules", id]) if *m == delete => rule::delete(scope, id),
        (m, ["sequences"]) if *m == get => sequence::list(scope),
        (m, ["sequences"]) if *m == post => {
            sequence::create(scope, request.json()?).map(|s| Response::json(201, &s))
        }
        (m, ["sequences", id]) if *m == get => sequence::get(scope, id),
        (m, ["sequences", id]) if *m == patch => sequence::change(scope, id, request.json()?),
        (m, ["sequences", id]) if *m == delete => {
            sequence::remove(scope, id).map(|()| Response::no_content())
        }
        (m, ["templates", "preview"]) if *m == post => texts::answer(scope, &request.json()?),
        (m, ["requests"]) if *m == get => request::list(scope, request),
        (m, ["requests", id]) if *m == get => request::get(scope, id),
        (m, ["requests", id, "cancellation"]) if *m == post => request::cancel(scope, id),
        (m, ["requests", id, "approval"]) if *m == post => {
            approval::decide(scope, id, approval::Decision::Approve)
        }
        (m, ["requests", id, "rejection"]) if *m == post => {
            approval::decide(scope, id, approval::Decision::Reject)
        }
        (m, ["approvals"]) if *m == post => approval::answer_all(scope, &request.json()?),
        (m, ["timeline"]) if *m == get => timeline::points(scope, request),
        (m, ["archive"]) if *m == get => archive::download(scope),
        (m, ["imports", id, "errors.csv"]) if *m == get => import::errors(scope, id),
        (m, ["imports", id, "file"]) if *m == get => import::file(scope, id),
        (m, ["settings"]) if *m == get => settings::get(scope),
        (m, ["settings"]) if *m == put => {
            settings::put_brand(scope, &request.json()?).map(|b| Response::json(200, &b))
        }
        (m, ["logo"]) if *m == put => {
            settings::put_logo(scope, &request.body).map(|()| Response::no_content())
        }
        (m, ["logo"]) if *m == delete => settings::delete_logo(scope),
        (m, ["domains"]) if *m == get => custom_domain::list(scope),
        (m, ["domains"]) if *m == post => {
            custom_domain::create(scope, &request.json()?).map(|d| Response::json(201, &d))
        }
        (m, ["domains", name]) if *m == delete => custom_domain::delete(scope, name),
        (
            _,
            ["settings" | "logo" | "domains" | "archive"]
            | ["domains", _]
            | ["domains", _, "verification"],
        ) => Err(Problem::method_not_allowed()),
        (_, ["imports" | "leads" | "tags" | "profiles" | "rules" | "requests" | "timeline"])
        | (_, ["imports" | "leads" | "profiles" | "rules" | "requests", _])
        | (
            _,
            [
                "imports",
                _,
                "errors.csv" | "file" | "preview" | "mapping" | "cancellation" | "reversal"
                | "kept",
            ]
            | ["requests", _, "cancellation" | "approval" | "rejection"]
            | ["approvals"]
            | ["templates", "preview"]
            | ["sequences"]
            | ["sequences", _],
        ) => Err(Problem::method_not_allowed()),
        _ => Err(Problem::not_found()),
    }
}
