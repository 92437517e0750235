//! Showing that an address is one's own.

use askama::Template;

use super::{Page, view};

/// `GET /confirm?token=…`, and the answer to a refused `POST /confirm` (field `token`). A click is asked for, since
/// programs that look through mails follow links too.
#[derive(Debug, Template)]
#[template(path = "confirmation/confirm.html")]
pub struct Confirm {
    /// The frame.
    pub page: Page,
    /// What is wrong.
    pub error: Option<String>,
    /// The secret part of the link.
    pub token: String,
}
view!(Confirm, "login");

/// What somebody sees who may do nothing before they confirm their address. `POST /confirm/mail` sends the link again.
#[derive(Debug, Template)]
#[template(path = "confirmation/first.html")]
pub struct ConfirmFirst {
    /// The frame.
    pub page: Page,
    /// What is wrong ("Too many attempts").
    pub error: Option<String>,
    /// Where the mail went.
    pub email: String,
    /// Whether it went once more just now.
    pub sent: bool,
}
view!(ConfirmFirst, "login");
