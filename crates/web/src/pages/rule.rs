//! Rules: what happens by itself.

use askama::Template;

use super::{Choice, Field, Page, Pager, filters, view};

/// `GET {base}/rules`. `POST {base}/rules/{id}/activation` (field `active` = 1 or 0) switches.
#[derive(Debug, Template)]
#[template(path = "rule/list.html")]
pub struct Rules {
    /// The frame.
    pub page: Page,
    /// By name.
    pub items: Vec<RuleRow>,
}
view!(Rules, "rules");

/// One rule of a list.
#[derive(Debug, Clone)]
pub struct RuleRow {
    /// Row id.
    pub id: i64,
    /// Its name.
    pub name: String,
    /// In words: "tag hot is added".
    pub trigger: String,
    /// In words: "send a mail after 1 day".
    pub action: String,
    /// Whether it works.
    pub active: bool,
    /// How often it did its action.
    pub performed: i64,
    /// When it last did anything.
    pub last_run_at: Option<i64>,
}

/// `GET {base}/rules/new`, and the answer to a refused `POST {base}/rules` (fields `name`, `tag`,
/// `delay`, `delay_unit`, `existing` = 1 when checked, `subject`, `body`).
#[derive(Debug, Template)]
#[template(path = "rule/new.html")]
pub struct NewRule {
    /// The frame.
    pub page: Page,
    /// What is wrong beyond one field.
    pub error: Option<String>,
    /// Its name.
    pub name: Field,
    /// The tag that sets it off.
    pub tag: Field,
    /// Tags there are, as suggestions.
    pub tags: Vec<String>,
    /// How many units to wait.
    pub delay: Field,
    /// minutes, hours, days, weeks or months.
    pub delay_unit: String,
    /// Also for leads that have the tag already.
    pub existing: bool,
    /// A person approves each mail first.
    pub approval: bool,
    /// Template of the subject.
    pub subject: Field,
    /// Template of the body.
    pub body: Field,
    /// What the templates may use.
    pub variables: Vec<Variable>,
}
view!(NewRule, "rules");

impl NewRule {
    /// The empty form, with the usual choices made.
    #[must_use]
    pub fn blank(page: Page, tags: Vec<String>, variables: Vec<Variable>) -> Self {
        Self {
            page,
            error: None,
            name: Field::default(),
            tag: Field::default(),
            tags,
            delay: Field::of("1"),
            delay_unit: "days".to_owned(),
            existing: true,
            approval: false,
            subject: Field::default(),
            body: Field::default(),
            variables,
        }
    }

    fn units(&self) -> Vec<Choice> {
        ["minutes", "hours", "days", "weeks", "months"]
            .map(|u| Choice::new(u, u))
            .into()
    }
}

/// Something a template may use.
#[derive(Debug, Clone)]
pub struct Variable {
    /// `first_name`.
    pub name: String,
    /// What it says for some lead, or what it is.
    pub example: String,
}

impl Variable {
    /// As it is written in a template.
    fn token(&self) -> String {
        format!("{{{{{}}}}}", self.name)
    }
}

/// `GET {base}/rules/{id}`.
#[derive(Debug, Template)]
#[template(path = "rule/show.html")]
pub struct Rule {
    /// The frame.
    pub page: Page,
    /// Row id.
    pub id: i64,
    /// Its name.
    pub name: String,
    /// In words: "tag hot is added".
    pub trigger: String,
    /// In words: "send a mail".
    pub action: String,
    /// How long it waits in between.
    pub delay_s: i64,
    /// Whether it works.
    pub active: bool,
    /// Why it stopped itself ("it set itself off").
    pub stopped: Option<String>,
    /// Template of the subject.
    pub subject: String,
    /// Template of the body.
    pub body: String,
    /// What its instances came to.
    pub counts: Counts,
    /// The latest instances.
    pub instances: Vec<Instance>,
    /// Neighbouring pages of the instances.
    pub pager: Pager,
    /// The mail as one lead would get it.
    pub preview: Option<Preview>,
}
view!(Rule, "rules");

/// Instances of a rule by what they came to.
#[derive(Debug, Clone, Copy, Default)]
pub struct Counts {
    /// Waiting out the delay.
    pub waiting: i64,
    /// The action is under way (a request is pending or running).
    pub running: i64,
    /// Done.
    pub performed: i64,
    /// Failed.
    pub failed: i64,
    /// Filters no longer passed, or the lead was suppressed.
    pub aborted: i64,
    /// Nobody knows.
    pub uncertain: i64,
}

/// One lead that a rule took up.
#[derive(Debug, Clone)]
pub struct Instance {
    /// Row id of the lead.
    pub lead_id: i64,
    /// Its name or e-mail.
    pub lead: String,
    /// waiting, pending, running, performed, failed, aborted, uncertain.
    pub status: String,
    /// When it is due, or was done.
    pub at: i64,
    /// The request it made.
    pub request_id: Option<i64>,
    /// Why, when it is not simply done.
    pub note: Option<String>,
}

/// A mail as one lead would get it.
#[derive(Debug, Clone)]
pub struct Preview {
    /// Row id of the lead.
    pub lead_id: i64,
    /// Its name or e-mail.
    pub lead: String,
    /// Rendered subject.
    pub subject: String,
    /// Rendered body.
    pub body: String,
    /// Why it cannot be rendered ("first_name is empty and has no fallback").
    pub error: Option<String>,
}
