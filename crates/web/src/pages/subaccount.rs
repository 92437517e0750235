//! The sub-accounts of an account.

use askama::Template;

use super::{Field, Page, filters, view};

/// `GET /subaccounts`, and the answer to a refused `POST /subaccounts` (field `name`).
///
/// While one of them is on its way the list asks for this same page again every two seconds and
/// takes only `#subaccounts` out of it.
#[derive(Debug, Template)]
#[template(path = "subaccount/list.html")]
pub struct Subaccounts {
    /// The frame.
    pub page: Page,
    /// Newest first.
    pub items: Vec<SubaccountRow>,
    /// Name of the new one.
    pub name: Field,
    /// Whether the reader may ask for one.
    pub may_create: bool,
}
view!(Subaccounts, "subaccounts");

impl Subaccounts {
    fn unsettled(&self) -> bool {
        self.items
            .iter()
            .any(|s| s.status == "requested" || s.status == "allocating")
    }
}

/// One sub-account of the list.
#[derive(Debug, Clone)]
pub struct SubaccountRow {
    /// UUID.
    pub id: String,
    /// Name of the client.
    pub name: String,
    /// requested, allocating, active or failed.
    pub status: String,
    /// Why it is not active yet.
    pub reason: Option<String>,
    /// Where it is served, without a trailing slash, once active.
    pub base_url: Option<String>,
    /// When it was asked for.
    pub created_at: i64,
}
