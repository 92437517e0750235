//! Sequences: what a lead gets step by step.

use askama::Template;

use super::{Choice, Field, Page, filters, view};

/// `GET {base}/sequences`. `POST {base}/sequences/{id}/activation` (field `active` = 1 or 0) switches.
#[derive(Debug, Template)]
#[template(path = "sequence/list.html")]
pub struct Sequences {
    /// The frame.
    pub page: Page,
    /// By name.
    pub items: Vec<SequenceRow>,
}
view!(Sequences, "rules");

/// One sequence of a list.
#[derive(Debug, Clone)]
pub struct SequenceRow {
    /// Row id.
    pub id: i64,
    /// Its name.
    pub name: String,
    /// Whether it goes on.
    pub active: bool,
    /// What lets leads in, in words.
    pub trigger: String,
    /// How many steps it has.
    pub steps: usize,
    /// Leads that came in.
    pub entered: i64,
}

/// `GET {base}/sequences/{id}`. `POST {base}/sequences/{id}/removal` deletes it.
#[derive(Debug, Template)]
#[template(path = "sequence/show.html")]
pub struct Sequence {
    /// The frame.
    pub page: Page,
    /// Row id.
    pub id: i64,
    /// Its name.
    pub name: String,
    /// Whether it goes on.
    pub active: bool,
    /// Counts its definitions.
    pub version: i64,
    /// What lets leads in, in words.
    pub trigger: String,
    /// Whether a lead leaves it by an answer.
    pub exit_on_reply: bool,
    /// Leads that came in.
    pub entered: i64,
    /// Leads that wait for steps of older versions.
    pub older: i64,
    /// Its steps.
    pub steps: Vec<StepRow>,
}
view!(Sequence, "rules");

/// One step of a sequence.
#[derive(Debug, Clone)]
pub struct StepRow {
    /// Seconds before it.
    pub wait_s: i64,
    /// For whom, in words; empty for everybody.
    pub only_if: String,
    /// What is done, in words.
    pub action: String,
    /// Leads that wait for it.
    pub waiting: i64,
    /// Leads that had it.
    pub done: i64,
    /// Leads that it was not for.
    pub skipped: i64,
    /// Leads that left at it.
    pub left: i64,
    /// Its mails: subject and text, and what came of each where several are tried.
    pub texts: Vec<TextRow>,
    /// How the best of them is found and whether it was, in words.
    pub test: String,
    /// Why it switched itself off.
    pub stopped: Option<String>,
}

/// A text of a step.
#[derive(Debug, Clone)]
pub struct TextRow {
    /// `A`, `B` …; empty when there is one.
    pub letter: String,
    /// Template of the subject.
    pub subject: String,
    /// Template of the text.
    pub body: String,
    /// Mails sent and those that had the effect, where several are tried.
    pub tried: Option<(u64, u64)>,
}

/// `GET {base}/sequences/new`, and the answer to `POST {base}/sequences` when it was refused or asks for another step
/// (field `more` = 1). Fields `name`, `tag`, `existing`, `exit_on_reply`, `approval`, and for each step from 0 `step_0_` with
/// `wait`, `unit`, `do`, `tag`, `only`, `only_tag`, `subject`, `body`, `b_subject`, `b_body`, `by` and `sample`.
#[derive(Debug, Template)]
#[template(path = "sequence/new.html")]
pub struct NewSequence {
    /// The frame.
    pub page: Page,
    /// What is wrong beyond one field.
    pub error: Option<String>,
    /// Its name.
    pub name: Field,
    /// The tag that lets leads in.
    pub tag: Field,
    /// Tags there are, as suggestions.
    pub tags: Vec<String>,
    /// Also for leads that have the tag already.
    pub existing: bool,
    /// A lead leaves it by an answer.
    pub exit_on_reply: bool,
    /// A person approves its mails.
    pub approval: bool,
    /// What was typed for each step.
    pub steps: Vec<StepForm>,
}
view!(NewSequence, "rules");

/// A step as it is written.
#[derive(Debug, Clone)]
pub struct StepForm {
    /// Its number, from 0.
    pub at: usize,
    /// How many units before it.
    pub wait: Field,
    /// minutes, hours, days or weeks.
    pub unit: String,
    /// `new_outreach` …
    pub action: String,
    /// The tag that it adds or removes.
    pub tag: Field,
    /// For whom: `opened`, `not_opened`, …; empty for everybody.
    pub only: String,
    /// The tag of whom it is for.
    pub only_tag: Field,
    /// Template of the subject.
    pub subject: Field,
    /// Template of the text.
    pub body: Field,
    /// Template of the other subject.
    pub b_subject: Field,
    /// Template of the other text.
    pub b_body: Field,
    /// The effect by which the better one is found; empty for none.
    pub by: String,
    /// After how many mails of each.
    pub sample: Field,
}

impl StepForm {
    /// The number of a step as people count.
    fn number(&self) -> usize {
        self.at + 1
    }

    /// The name of one of its fields.
    fn field(&self, name: &str) -> String {
        format!("step_{}_{name}", self.at)
    }

    fn units(&self) -> [Choice; 4] {
        ["minutes", "hours", "days", "weeks"].map(|u| Choice::new(u, u))
    }

    fn actions(&self) -> [Choice; 4] {
        [
            ("new_outreach", "send a mail"),
            ("add_tag", "add a tag"),
            ("remove_tag", "remove a tag"),
            ("stop_outreach", "stop what the lead has coming"),
        ]
        .map(|(value, label)| Choice::new(value, label))
    }

    fn conditions(&self) -> [Choice; 11] {
        [
            ("", "everybody"),
            ("opened", "who opened a mail of this sequence"),
            ("not_opened", "who opened none"),
            ("clicked", "who followed a link"),
            ("not_clicked", "who followed none"),
            ("replied", "who answered"),
            ("not_replied", "who did not answer"),
            ("accepted", "who accepted to be connected"),
            ("not_accepted", "who did not accept"),
            ("tag", "who has the tag"),
            ("not_tag", "who has not the tag"),
        ]
        .map(|(value, label)| Choice::new(value, label))
    }

    fn effects(&self) -> [Choice; 5] {
        [
            ("", "all go on"),
            ("replied", "most answers"),
            ("clicked", "most clicks"),
            ("opened", "most opens"),
            ("accepted", "most acceptances"),
        ]
        .map(|(value, label)| Choice::new(value, label))
    }
}
