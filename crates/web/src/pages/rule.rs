//! Rules: what happens by itself.

use super::{Choice, Field, Page, Pager, filters, view};

/// `GET {base}/rules`. `POST {base}/rules/{id}/activation` (field `active` = 1 or 0) switches.
#[derive(Debug, askama::Template)]
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

/// `GET {base}/rules/new` and `{base}/rules/{id}/edit`, and the answer to a refused `POST {base}/rules` or
/// `{base}/rules/{id}` (fields `name`, `trigger`, `tag`, `event`, `of_rule`, `delay`, `delay_unit`, `existing` = 1 when
/// checked, `action`, `action_tag`, `enrichment_type`, `subject`, `body`, `approval` and `skip_repliers` = 1 when checked).
#[derive(Debug, askama::Template)]
#[template(path = "rule/new.html")]
pub struct NewRule {
    /// The frame.
    pub page: Page,
    /// What is wrong beyond one field.
    pub error: Option<String>,
    /// The rule that is changed; none for a new one.
    pub id: Option<i64>,
    /// What a rule that is changed waits for, in words.
    pub waits_for: String,
    /// Its name.
    pub name: Field,
    /// What sets it off: `tag_added` …
    pub trigger: String,
    /// The tag that sets it off.
    pub tag: Field,
    /// The kind of events that sets it off.
    pub event: Field,
    /// The rule whose doings set it off.
    pub of_rule: Field,
    /// Rules there are.
    pub rules: Vec<Choice>,
    /// Tags there are, as suggestions.
    pub tags: Vec<String>,
    /// How many units to wait.
    pub delay: Field,
    /// seconds, minutes, hours, days, weeks or months.
    pub delay_unit: String,
    /// Also for what happened already.
    pub existing: bool,
    /// What it does: `new_outreach` …
    pub action: String,
    /// The tag that it puts on or takes off.
    pub action_tag: Field,
    /// What is to be found out.
    pub enrichment_type: Field,
    /// A person approves each mail first.
    pub approval: bool,
    /// It leaves alone who ever wrote.
    pub skip_repliers: bool,
    /// Template of the subject.
    pub subject: Field,
    /// Template of the body.
    pub body: Field,
    /// Template of the HTML, or MJML.
    pub markup: Field,
    /// What the templates may use.
    pub variables: Vec<Variable>,
    /// The mail as one lead would get it.
    pub preview: Option<Preview>,
    /// Whom it would be for.
    pub dry_run: Option<DryRun>,
}
view!(NewRule, "rules");

impl NewRule {
    /// The empty form, with the usual choices made.
    #[must_use]
    pub fn blank(page: Page, tags: Vec<String>, variables: Vec<Variable>) -> Self {
        Self {
            page,
            error: None,
            id: None,
            waits_for: String::new(),
            name: Field::default(),
            trigger: "tag_added".to_owned(),
            tag: Field::default(),
            event: Field::default(),
            of_rule: Field::default(),
            rules: vec![],
            tags,
            delay: Field::of("1"),
            delay_unit: "days".to_owned(),
            existing: true,
            action: "new_outreach".to_owned(),
            action_tag: Field::default(),
            enrichment_type: Field::default(),
            approval: false,
            skip_repliers: false,
            subject: Field::default(),
            body: Field::default(),
            markup: Field::default(),
            variables,
            preview: None,
            dry_run: None,
        }
    }

    fn title(&self) -> &str {
        match self.id {
            Some(_) => "Change a rule",
            None => "New rule",
        }
    }

    fn units(&self) -> Vec<Choice> {
        let mut units: Vec<_> = ["minutes", "hours", "days", "weeks", "months"]
            .map(|u| Choice::new(u, u))
            .into();
        if self.delay_unit == "seconds" {
            units.insert(0, Choice::new("seconds", "seconds"));
        }
        units
    }

    fn triggers(&self) -> [Choice; 9] {
        [
            ("tag_added", "a lead gets a tag"),
            ("outreach_done", "a mail was sent"),
            ("incoming_message", "a lead writes"),
            ("open", "a lead opens a mail"),
            ("click", "a lead follows a link of a mail"),
            ("accepted_request", "a lead accepts to be connected"),
            ("enrichment_done", "a lead was enriched"),
            ("rule_performed", "another rule did what it does"),
            ("event_created", "anything else happens"),
        ]
        .map(|(value, label)| Choice::new(value, label))
    }

    fn actions(&self) -> [Choice; 5] {
        [
            ("new_outreach", "send a mail"),
            ("add_tag", "add a tag"),
            ("remove_tag", "remove a tag"),
            ("new_enrichment", "ask for an enrichment"),
            ("stop_outreach", "stop what the lead has coming"),
        ]
        .map(|(value, label)| Choice::new(value, label))
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
#[derive(Debug, askama::Template)]
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
    /// The templates that it writes with.
    pub letter: Option<Template>,
    /// Whom it would be for if it were written now.
    pub dry_run: Option<DryRun>,
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
    /// Rendered HTML.
    pub html: Option<String>,
    /// Variables that the lead lacks and that have no fallback.
    pub missing: Vec<String>,
    /// Why it cannot be rendered ("first_name is empty and has no fallback").
    pub error: Option<String>,
}

/// Whom a rule would be for if it were written now.
#[derive(Debug, Clone)]
pub struct DryRun {
    /// Leads that there are.
    pub leads: i64,
    /// Those for whom what it waits for happened already.
    pub triggered: i64,
    /// Those of them whom it would be for.
    pub fitting: i64,
    /// Some of each.
    pub samples: Vec<Tried>,
    /// Variables of the mail without a fallback, and how many of them lack them.
    pub missing: Vec<(String, i64)>,
}

/// Templates of a mail.
#[derive(Debug, Clone)]
pub struct Template {
    /// Of the subject.
    pub subject: String,
    /// Of the plain text.
    pub body: String,
    /// HTML or MJML.
    pub markup: Option<String>,
}

/// A lead that a rule was tried out on.
#[derive(Debug, Clone)]
pub struct Tried {
    /// Row id.
    pub lead_id: i64,
    /// Its name or e-mail.
    pub lead: String,
    /// Whether the rule would be for it.
    pub fits: bool,
    /// What must hold: how deep it is nested, in words, whether it does.
    pub parts: Vec<(usize, String, bool)>,
}
