//! API keys.

use askama::Template;

use super::team::Check;
use super::{Choice, Field, Page, filters, view};

/// `GET /api-keys`, and the answer to `POST /api-keys` (fields `name`, `expires`, `scope`…, `place`…), refused or not: the new key
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
    /// Days until the new one ends; empty for never.
    pub expires: String,
    /// What the new one may do.
    pub scopes: Vec<Check>,
    /// What is wrong with that.
    pub scopes_error: Option<String>,
    /// Where the new one may do it.
    pub places: Vec<Check>,
    /// What is wrong beyond one field.
    pub error: Option<String>,
    /// The key just made.
    pub created: Option<NewKey>,
}
view!(ApiKeys, "api-keys");

impl ApiKeys {
    fn ends(&self) -> Vec<Choice> {
        vec![
            Choice::new("", "never"),
            Choice::new("30", "in 30 days"),
            Choice::new("90", "in 90 days"),
            Choice::new("365", "in a year"),
        ]
    }
}

/// One key of the list.
#[derive(Debug, Clone)]
pub struct ApiKeyRow {
    /// UUID.
    pub id: String,
    /// What it is for.
    pub name: String,
    /// The first characters, by which people tell keys apart.
    pub prefix: String,
    /// What it may do.
    pub scopes: String,
    /// Where.
    pub places: String,
    /// Whose it is, when it is not the reader's.
    pub owner: String,
    /// When it ends by itself.
    pub expires_at: Option<i64>,
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
