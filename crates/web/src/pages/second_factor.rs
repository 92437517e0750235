//! Setting up a second factor.

use askama::Template;

use super::{Page, view};

/// The answer to `POST /profile/second-factor`, `GET /profile/second-factor` while it is being set up, and the answer to a
/// refused `POST /profile/second-factor/confirmation` (field `code`).
#[derive(Debug, Template)]
#[template(path = "second_factor/setup.html")]
pub struct Setup {
    /// The frame.
    pub page: Page,
    /// What is wrong beyond the field.
    pub error: Option<String>,
    /// For those who type it.
    pub secret: String,
    /// For apps on the same device.
    pub uri: String,
    /// For those who scan it: SVG of our own making, of numbers alone.
    pub qr: String,
    /// What is wrong with the code.
    pub code_error: Option<String>,
}
view!(Setup, "profile");

/// Recovery codes, shown once.
#[derive(Debug, Template)]
#[template(path = "second_factor/codes.html")]
pub struct Codes {
    /// The frame.
    pub page: Page,
    /// The codes.
    pub codes: Vec<String>,
}
view!(Codes, "profile");
