//! One page for everything that goes wrong: what happened, what was kept, what to do.

use askama::Template;

use super::{Page, view};
use crate::http::Problem;

/// An error page. The constructor for the status fills the texts; change what you know better.
#[derive(Debug, Template)]
#[template(path = "error/show.html")]
pub struct ErrorPage {
    /// The frame.
    pub page: Page,
    /// HTTP status.
    pub status: u16,
    /// The headline.
    pub title: String,
    /// What happened.
    pub happened: String,
    /// What was kept; empty when there was nothing to lose.
    pub kept: String,
    /// What to do.
    pub advice: String,
    /// Id of the request in the log, to quote when asking for help.
    pub reference: Option<String>,
}
view!(ErrorPage, "");

impl ErrorPage {
    /// The page of a problem. Its own words say what happened and what was kept; the status says what to do.
    #[must_use]
    pub fn of(page: Page, problem: Problem) -> Self {
        let mut view = Self::new(page, problem.status);
        if !problem.detail.is_empty() && problem.status != 404 {
            view.title = problem.title;
            view.happened = problem.detail;
            view.kept = String::new();
        }
        view
    }

    /// The texts that go with `status`; any other status reads like a 500.
    #[must_use]
    pub fn new(page: Page, status: u16) -> Self {
        let (title, happened, kept, advice) = match status {
            400 => (
                "This request could not be read",
                "The address or the form was not in the shape this page expects.",
                "Nothing was changed.",
                "Go back, reload the page and send it once more.",
            ),
            401 => (
                "Log in first",
                "This page is for people who are logged in.",
                "Nothing was changed.",
                "Log in and try again.",
            ),
            403 => (
                "This is not open to you",
                "You are signed in, but your account has no right to this page or action.",
                "Nothing was changed.",
                "Ask the owner of the account for access, or sign in as someone else.",
            ),
            404 => (
                "There is nothing here",
                "The address is misspelt, or what it named has been removed.",
                "",
                "Start again from the first page.",
            ),
            405 => (
                "That cannot be done here",
                "The address exists, but it does not take this kind of request.",
                "Nothing was changed.",
                "Start again from the first page.",
            ),
            409 => (
                "That does not fit what is there",
                "Something stands against it.",
                "Nothing was changed.",
                "Go back, reload the page and look at how things are now.",
            ),
            413 => (
                "That is too large",
                "What you sent is larger than this installation accepts in one request.",
                "Nothing of it was stored.",
                "Split the file, or have the operator raise the limit on the size of requests.",
            ),
            422 => (
                "Something does not fit",
                "The form was read, but one of its values cannot be used.",
                "Nothing was changed.",
                "Go back and look at the values you typed.",
            ),
            429 => (
                "Too many attempts",
                "There were too many tries in a short time.",
                "Nothing was changed.",
                "Wait a moment and try again.",
            ),
            _ if (400..500).contains(&status) => (
                "This request could not be used",
                "What was sent is not what this page expects.",
                "Nothing was changed.",
                "Go back, reload the page and send it once more.",
            ),
            503 => (
                "Not available just now",
                "The part of the system behind this page is starting, or is busy.",
                "Work that was accepted earlier goes on by itself.",
                "Wait a moment and reload the page.",
            ),
            _ => (
                "This is our mistake",
                "Something broke while the page was being made. It has been written to the log.",
                "What was saved before is untouched; a change is either complete or not made at all.",
                "Reload the page. If it happens again, tell the operator when and on which page.",
            ),
        };
        Self {
            page,
            status,
            title: title.to_owned(),
            happened: happened.to_owned(),
            kept: kept.to_owned(),
            advice: advice.to_owned(),
            reference: None,
        }
    }

    fn login(&self) -> String {
        format!("{}/login", self.page.master_url)
    }

    fn home(&self) -> String {
        let path = if self.page.is_tenant() {
            "/"
        } else {
            "/subaccounts"
        };
        format!("{}{path}", self.page.base)
    }
}
