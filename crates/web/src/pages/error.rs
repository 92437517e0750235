//! One page for everything that goes wrong: what happened, what was kept, what to do.

use askama::Template;

use super::{Page, view};

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
                "Reload the page. If it happens again, tell the operator the reference below.",
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

    fn home(&self) -> String {
        let path = if self.page.is_tenant() {
            "/"
        } else {
            "/subaccounts"
        };
        format!("{}{path}", self.page.base)
    }
}
