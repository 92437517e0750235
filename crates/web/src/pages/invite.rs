//! The page behind an invitation's link.

use askama::Template;

use super::{Page, password, view};

/// `GET /invite?token=…`, and the answer to a refused `POST /invite` (fields `token`, `password`).
#[derive(Debug, Template)]
#[template(path = "invite/accept.html")]
pub struct Accept {
    /// The frame.
    pub page: Page,
    /// What is wrong beyond one field.
    pub error: Option<String>,
    /// The secret part of the link.
    pub token: String,
    /// The account's name.
    pub account: String,
    /// Who invites.
    pub invited_by: String,
    /// What they will be.
    pub role: String,
    /// Their address.
    pub email: String,
    /// What is wrong with the password.
    pub password_error: Option<String>,
}
view!(Accept, "login");

impl Accept {
    fn password_min(&self) -> usize {
        password::password_min()
    }

    fn hint(&self) -> String {
        password::hint()
    }
}
