//! The audit log.

use askama::Template;

use super::{Page, Pager, Pair, filters, view};

/// `GET /audit-log`.
#[derive(Debug, Template)]
#[template(path = "audit/list.html")]
pub struct AuditLog {
    /// The frame.
    pub page: Page,
    /// Newest first.
    pub items: Vec<EntryRow>,
    /// To the next page.
    pub pager: Pager,
}
view!(AuditLog, "audit-log");

/// One line.
#[derive(Debug, Clone)]
pub struct EntryRow {
    /// When.
    pub at: i64,
    /// What was done, in words.
    pub action: String,
    /// To what.
    pub subject: String,
    /// By whom.
    pub who: String,
    /// With what.
    pub via: String,
    /// From where.
    pub address: String,
    /// What is different.
    pub changes: Vec<Pair>,
}
