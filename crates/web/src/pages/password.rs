//! Forgotten passwords and new ones.

use askama::Template;

use super::{Field, Page, view};

/// `GET /forgot`, and the answer to `POST /forgot` (field `email`).
#[derive(Debug, Template)]
#[template(path = "password/forgot.html")]
pub struct Forgot {
    /// The frame.
    pub page: Page,
    /// What is wrong beyond one field.
    pub error: Option<String>,
    /// E-mail.
    pub email: Field,
    /// Where the link went, if somebody is there.
    pub sent: Option<String>,
}
view!(Forgot, "login");

/// `GET /reset?token=…`, and the answer to a refused `POST /reset` (fields `token`, `password`).
#[derive(Debug, Template)]
#[template(path = "password/reset.html")]
pub struct Reset {
    /// The frame.
    pub page: Page,
    /// What is wrong beyond one field.
    pub error: Option<String>,
    /// Whether API keys end with it: the address was never confirmed.
    pub ends_keys: bool,
    /// The secret part of the link.
    pub token: String,
    /// What is wrong with the password.
    pub password_error: Option<String>,
}
view!(Reset, "login");

impl Reset {
    fn password_min(&self) -> usize {
        password_min()
    }

    fn hint(&self) -> String {
        hint()
    }
}

/// The shortest password.
pub fn password_min() -> usize {
    *crate::auth::PASSWORD.start()
}

/// What people are told of a new password.
pub fn hint() -> String {
    format!(
        "At least {} characters. A sentence is easier to remember than a riddle.",
        password_min()
    )
}

/// Something is done, and one way leads on.
#[derive(Debug, Template)]
#[template(path = "password/done.html")]
pub struct Done {
    /// The frame.
    pub page: Page,
    /// The headline.
    pub title: String,
    /// What was done.
    pub text: String,
    /// Where the way leads.
    pub href: String,
    /// What it is called.
    pub label: String,
}
view!(Done, "login");
