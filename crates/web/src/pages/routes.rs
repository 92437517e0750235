//! From requests to pages: which handler fills which view.

use store::Db;
use store::session::Identity;

use super::Page;
use super::error::ErrorPage;
use super::unsubscribe::{Unsubscribe, Unsubscribed};
use crate::context::Context;
use crate::http::{Answer, Problem, Request, Response};
use crate::slave::Scope;

/// Pages of the master.
///
/// # Errors
/// 404 for an unknown one.
pub fn master(_cx: &Context<'_>, _db: &dyn Db, _request: &Request) -> Answer {
    Err(Problem::not_found())
}

/// Pages of a sub-account.
///
/// # Errors
/// 404 for an unknown one.
pub fn slave(_scope: Scope<'_>, _request: &Request, _who: &Identity, _path: &[&str]) -> Answer {
    Err(Problem::not_found())
}

/// The page of an unsubscribe link.
pub fn unsubscribe(scope: &Scope<'_>, token: &str, address: &str, done: bool) -> Response {
    let page = Page::neutral(scope.base(), &scope.tenant.name, scope.cx.now);
    let (sender, address) = (scope.tenant.name.clone(), address.to_owned());
    Response::html(200, match done {
        true => Unsubscribed { page, sender, address }.render(),
        false => Unsubscribe { page, sender, address, action: format!("{}/u/{token}", scope.base()) }.render(),
    })
}

/// The page of a problem.
pub fn problem(cx: &Context<'_>, problem: &Problem) -> Response {
    let mut view = ErrorPage::new(Page::front(cx.now), problem.status);
    if !problem.detail.is_empty() {
        view.happened.clone_from(&problem.detail);
    }
    Response::html(problem.status, view.render())
}
