//! Sequences: what a lead gets step by step. Each step is kept as a rule, so that one engine runs both.

use serde::{Deserialize, Serialize};

use crate::ab::VARIANTS_MAX;
use crate::filter::{Filter, Happened};
use crate::rule::{Action, Trigger};

/// The most steps of a sequence.
pub const STEPS_MAX: usize = 20;

/// What a sequence does, and for whom.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Definition {
    /// What lets a lead in; once, whatever happens later.
    pub trigger: Trigger,
    /// Whom it lets in; everybody when absent.
    #[serde(default)]
    pub filter: Option<Filter>,
    /// Whether a lead leaves it by an answer.
    #[serde(default = "yes")]
    pub exit_on_reply: bool,
    /// Whether a person approves its mails.
    #[serde(default)]
    pub approval: bool,
    /// What happens, in this order.
    pub steps: Vec<Step>,
}

fn yes() -> bool {
    true
}

/// One step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// Seconds after the step before it, or after the lead came in.
    #[serde(default)]
    pub wait_s: i64,
    /// For whom; a lead for whom it does not hold goes on with the next step.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub only_if: Option<Condition>,
    /// What is done.
    pub action: Action,
    /// Other texts that are tried beside the action's.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub variants: Vec<Variant>,
    /// How the best of them is found; all go on when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub test: Option<Test>,
}

/// What must hold for a lead when a step is due.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Condition {
    /// This happened since the lead came in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub happened: Option<Happened>,
    /// The lead has this tag.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tag: Option<String>,
    /// The other way round.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub not: bool,
}

/// Another text of a mail.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Variant {
    /// Template of the subject.
    pub subject: String,
    /// Template of the plain text.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub body: String,
    /// Template of the HTML.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub html: Option<String>,
    /// The same in MJML.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mjml: Option<String>,
}

/// How the best text is found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Test {
    /// The effect that counts.
    pub by: Happened,
    /// Mails of each text that must have left a day ago before it is decided.
    pub sample: i64,
}

/// What a better text has more of.
pub const EFFECTS: [Happened; 4] = [
    Happened::Opened,
    Happened::Clicked,
    Happened::Replied,
    Happened::Accepted,
];

/// The fewest and the most mails of each text that a test takes.
pub const SAMPLE: std::ops::RangeInclusive<i64> = 20..=1_000_000;

/// What is wrong with a definition: a field's path, and why.
pub type Wrong = (String, String);

impl Definition {
    /// Checks what can be checked without a store.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn check(&self) -> Result<(), Wrong> {
        let wrong = |at: String, why: &str| Err((at, why.to_owned()));
        if self.steps.is_empty() || self.steps.len() > STEPS_MAX {
            let why = format!("must be 1 to {STEPS_MAX} steps");
            return Err(("steps".to_owned(), why));
        }
        for (at, step) in self.steps.iter().enumerate() {
            let field = |name: &str| format!("steps.{at}.{name}");
            if !(0..=crate::rule::DELAY_MAX).contains(&step.wait_s) {
                return wrong(field("wait_s"), "must be from 0 seconds to 366 days");
            }
            if let Some(only_if) = &step.only_if
                && only_if.happened.is_some() == only_if.tag.is_some()
            {
                return wrong(field("only_if"), "must say either happened or tag");
            }
            if step.variants.len() >= VARIANTS_MAX {
                let why = format!("must be at most {}", VARIANTS_MAX - 1);
                return Err((field("variants"), why));
            }
            if !step.variants.is_empty() && !step.action.is_outreach() {
                return wrong(field("variants"), "are only for mails");
            }
            match &step.test {
                Some(_) if step.variants.is_empty() => {
                    return wrong(field("test"), "needs variants");
                }
                Some(test) if !EFFECTS.contains(&test.by) => {
                    return wrong(
                        field("test.by"),
                        "must be opened, clicked, replied or accepted",
                    );
                }
                Some(test) if !SAMPLE.contains(&test.sample) => {
                    return wrong(field("test.sample"), "must be from 20 to 1,000,000 mails");
                }
                _ => {}
            }
        }
        Ok(())
    }
}

impl Step {
    /// Its other texts as actions of their own.
    pub fn others(&self) -> Vec<Action> {
        let Action::NewOutreach { outreach_type, .. } = &self.action else {
            return Vec::new();
        };
        let action = |v: &Variant| Action::NewOutreach {
            outreach_type: *outreach_type,
            subject: v.subject.clone(),
            body: v.body.clone(),
            html: v.html.clone(),
            mjml: v.mjml.clone(),
        };
        self.variants.iter().map(action).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(more: &str) -> Result<Definition, serde_json::Error> {
        serde_json::from_str(&format!(
            r#"{{"trigger": {{"type": "tag_added", "tag": "hot"}}, "steps": [{{"action": {{"type": "new_outreach",
            "outreach_type": "email", "subject": "s", "body": "b"}}{more}}}]}}"#
        ))
    }

    #[test]
    fn a_definition_is_checked_with_the_path_of_what_is_wrong() {
        let fine = step(
            r#", "wait_s": 60, "only_if": {"happened": "opened", "not": true},
            "variants": [{"subject": "t", "body": "c"}], "test": {"by": "replied", "sample": 100}"#,
        );
        let fine = fine.expect("JSON");
        assert_eq!(fine.check(), Ok(()));
        assert!(fine.exit_on_reply);
        assert_eq!(fine.steps[0].others().len(), 1);
        for (more, field) in [
            (r#", "wait_s": -1"#, "steps.0.wait_s"),
            (r#", "only_if": {}"#, "steps.0.only_if"),
            (
                r#", "only_if": {"happened": "opened", "tag": "x"}"#,
                "steps.0.only_if",
            ),
            (
                r#", "test": {"by": "opened", "sample": 100}"#,
                "steps.0.test",
            ),
            (
                r#", "variants": [{"subject": "t"}], "test": {"by": "opened", "sample": 1}"#,
                "steps.0.test.sample",
            ),
        ] {
            let checked = step(more).expect("JSON").check();
            assert_eq!(checked.expect_err(more).0, field);
        }
        assert!(step(r#", "only_if": {"happend": "opened"}"#).is_err());
    }
}
