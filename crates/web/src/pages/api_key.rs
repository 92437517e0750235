//! API keys.

use askama::Template;

use super::{Field, Page, filters, view};

/// `GET /api-keys`, and the answer to `POST /api-keys` (field `name`), refused or not: the new key
/// is shown in that answer and never again. `POST /api-keys/{id}/revocation` revokes.
#[derive(Debug, Template)]
#[template(path = "api_key/list.html")]
pub struct ApiKeys {
    /// The frame.
    pub page: Page,
    /// Newest first.
    pub items: Vec<ApiKeyRow>,
    /// Name of the new one.
    pub name: Field,
    /// The key just made.
    pub created: Option<NewKey>,
}
view!(ApiKeys, "api-keys");

/// One key of the list.
#[derive(Debug, Clone)]
pub struct ApiKeyRow {
    /// UUID.
    pub id: String,
    /// What it is for.
    pub name: String,
    /// The first characters, by which people tell keys apart.
    pub prefix: String,
    /// When it was made.
    pub created_at: i64,
    /// When a call last used it.
    pub last_used_at: Option<i64>,
}

/// A key in clear, for the one answer that shows it.
#[derive(Debug, Clone)]
pub struct NewKey {
    /// What it is for.
    pub name: String,
    /// The key itself.
    pub key: String,
}
