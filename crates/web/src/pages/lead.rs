//! Leads: search, and one lead with its history.

use askama::Template;

use super::conditions::{Conditions, OPS};
use super::request::RequestRow;
use super::{Choice, Page, Pager, Pair, filters, view};

/// `GET {base}/leads?q&tag&sort&cursor`, and the rows of a filter: `on_1`, `op_1`, `value_1` and so on, `any`, `filter`.
#[derive(Debug, Template)]
#[template(path = "lead/list.html")]
pub struct Leads {
    /// The frame.
    pub page: Page,
    /// The search text.
    pub q: String,
    /// The chosen tag; empty for any.
    pub tag: String,
    /// Tags to choose from.
    pub tags: Vec<String>,
    /// The filter as it was typed.
    pub conditions: Conditions,
    /// What rows can be about, in groups.
    pub subjects: Vec<(&'static str, Vec<Choice>)>,
    /// The chosen order.
    pub sort: String,
    /// Searches that were kept.
    pub views: Vec<ViewRow>,
    /// The search as hidden fields of the form that keeps it.
    pub search: Vec<Pair>,
    /// The parameters that say the search, for a download.
    pub params: String,
    /// What is wrong with the search as a whole.
    pub error: Option<String>,
    /// Leads that fit, as far as they were counted.
    pub total: Option<i64>,
    /// Whether there may be more.
    pub or_more: bool,
    /// One page of them.
    pub items: Vec<LeadRow>,
    /// Neighbouring pages.
    pub pager: Pager,
}
view!(Leads, "leads");

impl Leads {
    /// Orders that people can choose.
    const SORTS: [(&'static str, &'static str); 6] = [
        ("-created", "newest first"),
        ("created", "oldest first"),
        ("-updated", "changed last"),
        ("name", "by name, A to Z"),
        ("-name", "by name, Z to A"),
        ("email", "by e-mail"),
    ];

    /// Whether not all leads are meant.
    pub fn filtered(&self) -> bool {
        !self.q.is_empty() || !self.tag.is_empty() || self.conditions.are_there()
    }
}

/// A search that was kept.
#[derive(Debug, Clone)]
pub struct ViewRow {
    /// Row id.
    pub id: i64,
    /// What people call it.
    pub name: String,
    /// The parameters that say it.
    pub params: String,
    /// Whether it is everybody's.
    pub shared: bool,
}

/// One lead of the list. Absent values are empty.
#[derive(Debug, Clone)]
pub struct LeadRow {
    /// Row id.
    pub id: i64,
    /// First and last name; empty when unknown.
    pub name: String,
    /// E-mail.
    pub email: String,
    /// Job title.
    pub job_title: String,
    /// Company.
    pub company: String,
    /// Country.
    pub country: String,
    /// Tags.
    pub tags: Vec<String>,
}

/// `GET {base}/leads/{id}`.
#[derive(Debug, Template)]
#[template(path = "lead/show.html")]
pub struct Lead {
    /// The frame.
    pub page: Page,
    /// Row id.
    pub id: i64,
    /// First and last name, or the e-mail.
    pub name: String,
    /// Job title and company in a line; may be empty.
    pub headline: String,
    /// Why nothing is sent to this lead any more ("unsubscribed on 3 Nov").
    pub suppressed: Option<String>,
    /// Its known fields; leave out the empty ones.
    pub fields: Vec<Pair>,
    /// Its custom data.
    pub data: Vec<Pair>,
    /// Its tags, with where each came from.
    pub tags: Vec<TagOrigin>,
    /// Its requests, newest first.
    pub requests: Vec<RequestRow>,
    /// Its events, newest first.
    pub history: Vec<Happening>,
}
view!(Lead, "leads");

/// A tag and where it came from.
#[derive(Debug, Clone)]
pub struct TagOrigin {
    /// The tag.
    pub tag: String,
    /// "import Fair 2026", "rule Warm up", "Ana Ruiz".
    pub origin: String,
    /// Path below base of that import or rule.
    pub path: Option<String>,
    /// When it was put on.
    pub at: i64,
}

/// One event in a lead's history.
#[derive(Debug, Clone)]
pub struct Happening {
    /// When.
    pub at: i64,
    /// "Mail performed", "Tag hot added".
    pub what: String,
    /// By what, or with what result; may be empty.
    pub detail: String,
    /// Path below base of the thing itself.
    pub path: Option<String>,
}
