//! Signing up and logging in.

use askama::Template;

use super::{Field, Page, view};

/// `GET /signup`, and the answer to a refused `POST /signup` (fields `account`, `email`, `password`).
#[derive(Debug, Template)]
#[template(path = "session/signup.html")]
pub struct SignUp {
    /// The frame.
    pub page: Page,
    /// What is wrong beyond one field ("Too many attempts; try again in 5 min.").
    pub error: Option<String>,
    /// Name of the agency.
    pub account: Field,
    /// E-mail.
    pub email: Field,
    /// What is wrong with the password.
    pub password_error: Option<String>,
}
view!(SignUp, "signup");

impl SignUp {
    fn password_min(&self) -> usize {
        *crate::auth::PASSWORD.start()
    }
}

/// `GET /login`, and the answer to a refused `POST /login` (fields `email`, `password`, `next`).
#[derive(Debug, Template)]
#[template(path = "session/login.html")]
pub struct LogIn {
    /// The frame.
    pub page: Page,
    /// What is wrong beyond one field ("This e-mail and password do not belong together.").
    pub error: Option<String>,
    /// E-mail.
    pub email: Field,
    /// What is wrong with the password.
    pub password_error: Option<String>,
    /// The path to go to afterwards; empty for the default. Check it on the way back: a path of ours only.
    pub next: String,
    /// Shown as "Enter the demo", when this is a demo installation.
    pub demo: Option<Demo>,
}
view!(LogIn, "login");

/// The answer to `POST /login` for whoever has a second factor, and to a refused `POST /login/code` (fields `ticket`, `code`,
/// `next`).
#[derive(Debug, Template)]
#[template(path = "session/code.html")]
pub struct CodeForm {
    /// The frame.
    pub page: Page,
    /// What is wrong beyond the field.
    pub error: Option<String>,
    /// Says that the password was right, for some minutes.
    pub ticket: String,
    /// What is wrong with the code.
    pub code_error: Option<String>,
    /// The path to go to afterwards; empty for the default.
    pub next: String,
}
view!(CodeForm, "login");

/// The demo's credentials, which are no secret.
#[derive(Debug, Clone)]
pub struct Demo {
    /// E-mail.
    pub email: String,
    /// Password.
    pub password: String,
}
