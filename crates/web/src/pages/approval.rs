//! Mails that a person is to approve.

use askama::Template;

use super::{Choice, Page, Pager, filters, view};

/// `GET {base}/approvals?rule_id&cursor`. `POST {base}/approvals` (fields `decision` = approve or reject, `rule_id`,
/// `up_to`) decides about all of them, `POST {base}/requests/{id}/approval` and `…/rejection` about one.
#[derive(Debug, Template)]
#[template(path = "approval/list.html")]
pub struct Approvals {
    /// The frame.
    pub page: Page,
    /// How many there are, of the chosen rule.
    pub n: i64,
    /// The newest of them: what comes later is not decided about.
    pub up_to: i64,
    /// The chosen rule; empty for any.
    pub rule_id: String,
    /// All rules.
    pub rules: Vec<Choice>,
    /// One page of them, newest first.
    pub items: Vec<Draft>,
    /// Neighbouring pages.
    pub pager: Pager,
}
view!(Approvals, "requests");

/// A mail that waits.
#[derive(Debug, Clone)]
pub struct Draft {
    /// Row id of the request.
    pub id: i64,
    /// Row id of the lead.
    pub lead_id: Option<i64>,
    /// Its name or e-mail.
    pub lead: String,
    /// Name of the rule, or empty.
    pub rule: String,
    /// Subject as it would be sent now.
    pub subject: String,
    /// Body as it would be sent now.
    pub body: String,
    /// Why it cannot be written.
    pub error: Option<String>,
}
