//! The settings of a sub-account: brand, logo, host names.

use askama::Template;

use super::{Field, Page, filters, view};
use crate::slave::custom_domain::View as Domain;

/// `GET {base}/settings`, and the answer to a refused form on it: `POST {base}/settings/brand`, `…/logo` (a form with
/// `file`), `…/domains` (field `domain`).
#[derive(Debug, Template)]
#[template(path = "settings/show.html")]
pub struct Settings {
    /// The frame.
    pub page: Page,
    /// What is wrong beyond one field.
    pub error: Option<String>,
    /// What stands for the product's name.
    pub name: Field,
    /// A colour.
    pub accent: Field,
    /// A colour.
    pub rail: Field,
    /// The name of senders that have none.
    pub sender_name: Field,
    /// Where answers go.
    pub reply_to: Field,
    /// For the foot of mails.
    pub postal_address: Field,
    /// Where the logo is.
    pub logo: Option<String>,
    /// What is wrong with the picture.
    pub file_error: Option<String>,
    /// The oldest first.
    pub domains: Vec<Domain>,
    /// The name that is asked for.
    pub domain: Field,
}
view!(Settings, "settings");
