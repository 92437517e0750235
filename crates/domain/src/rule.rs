//! What a rule waits for and what it does.

use serde::{Deserialize, Serialize};

/// What makes a rule act: an event of the log about a lead.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub enum Trigger {
    /// A lead got a tag.
    TagAdded {
        /// The tag's name.
        tag: String,
    },
    /// Another rule did what it does.
    RulePerformed {
        /// Which one.
        rule_id: i64,
    },
    /// Anything that the log knows by a name.
    EventCreated {
        /// Its kind: `lead_created`, `unsubscribed`, `outreach_failed` …
        event: String,
    },
    /// What is known of a lead was completed.
    EnrichmentDone {},
    /// A mail was sent.
    OutreachDone {
        /// The rule that wrote it; any when absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        rule_id: Option<i64>,
    },
    /// A lead accepted to be connected.
    AcceptedRequest {
        /// The rule that asked; any when absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        rule_id: Option<i64>,
    },
    /// A lead wrote.
    IncomingMessage {
        /// The rule that it answers; any when absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        rule_id: Option<i64>,
    },
    /// A lead opened a mail.
    Open {
        /// The rule that wrote it; any when absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        rule_id: Option<i64>,
    },
    /// A lead followed a link of a mail.
    Click {
        /// The rule that wrote it; any when absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        rule_id: Option<i64>,
    },
    /// A step of a sequence is behind a lead: done, and sent if it was a mail, or not for it.
    StepDone {
        /// The rule that the step is.
        rule_id: i64,
        /// Whether it sends a mail.
        mail: bool,
    },
}

impl Trigger {
    /// The kind of the events that it waits for.
    pub fn event(&self) -> &str {
        match self {
            Trigger::TagAdded { .. } => "tag_added",
            Trigger::RulePerformed { .. } => "rule_performed",
            Trigger::EventCreated { event } => event,
            Trigger::EnrichmentDone {} => "enrichment_performed",
            Trigger::OutreachDone { .. } => "outreach_performed",
            Trigger::AcceptedRequest { .. } => "accepted",
            Trigger::IncomingMessage { .. } => "replied",
            Trigger::Open { .. } => "opened",
            Trigger::Click { .. } => "clicked",
            Trigger::StepDone { mail: true, .. } => "outreach_performed",
            Trigger::StepDone { .. } => "rule_performed",
        }
    }

    /// Another kind of events that it waits for as well.
    pub fn other_event(&self) -> Option<&'static str> {
        matches!(self, Trigger::StepDone { .. }).then_some(STEP_SKIPPED)
    }

    /// The rule that an event must come from.
    pub fn rule_id(&self) -> Option<i64> {
        match self {
            Trigger::RulePerformed { rule_id } | Trigger::StepDone { rule_id, .. } => {
                Some(*rule_id)
            }
            Trigger::OutreachDone { rule_id }
            | Trigger::AcceptedRequest { rule_id }
            | Trigger::IncomingMessage { rule_id }
            | Trigger::Open { rule_id }
            | Trigger::Click { rule_id } => *rule_id,
            _ => None,
        }
    }

    /// The tag that an event must be about.
    pub fn tag(&self) -> Option<&str> {
        match self {
            Trigger::TagAdded { tag } => Some(tag),
            _ => None,
        }
    }
}

/// The kind of event that says that a step of a sequence is not for a lead.
pub const STEP_SKIPPED: &str = "step_skipped";

/// Whether a text may be the name of a kind of events: 1 to 60 small letters, digits and underscores.
pub fn is_event(name: &str) -> bool {
    let fits = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_';
    (1..=60).contains(&name.len()) && name.bytes().all(fits)
}

/// What a rule does for a lead.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub enum Action {
    /// Writes to the lead.
    NewOutreach {
        /// The channel.
        outreach_type: OutreachType,
        /// Template of the subject.
        subject: String,
        /// Template of the plain-text body; made from the HTML when it is empty.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        body: String,
        /// Template of an HTML part.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        html: Option<String>,
        /// The same in MJML, which HTML is made from.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        mjml: Option<String>,
    },
    /// Puts a tag on the lead.
    AddTag {
        /// Its name; made when there is none.
        tag: String,
    },
    /// Takes a tag off the lead.
    RemoveTag {
        /// Its name.
        tag: String,
    },
    /// Asks for more to be found out about the lead, unless somebody is at it.
    NewEnrichment {
        /// What is wanted: `email`, `phone` …
        enrichment_type: String,
    },
    /// Ends what the lead still had coming: mails that did not begin, and rules that wait to write one.
    StopOutreach {},
}

impl Action {
    /// Whether it writes to the lead.
    pub fn is_outreach(&self) -> bool {
        matches!(self, Action::NewOutreach { .. })
    }
}

/// A channel to write through.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OutreachType {
    /// E-mail.
    Email,
}

/// The longest delay, in seconds: a year.
pub const DELAY_MAX: i64 = 366 * 24 * 60 * 60;

/// How often one chain of events may lead to the same rule for the same lead, beside the time that began it. What happens
/// several times at the same place of the chain, like opens of one mail, is one time.
pub const VISITS_MAX: i64 = 5;

/// How often it may with all that happens several times.
pub const TIMES_MAX: i64 = 50;

/// How many rules may set off each other in one chain.
pub const CHAIN_MAX: i64 = 100;

/// Why a chain ended, for the lead that it was about.
pub const LOOP_REASON: &str = "What this rule does set it off again and again.";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn triggers_and_actions_are_read_as_they_are_written() {
        for text in [
            r#"{"type":"tag_added","tag":"hot"}"#,
            r#"{"type":"rule_performed","rule_id":3}"#,
            r#"{"type":"event_created","event":"lead_created"}"#,
            r#"{"type":"enrichment_done"}"#,
            r#"{"type":"outreach_done"}"#,
            r#"{"type":"click","rule_id":1}"#,
        ] {
            let trigger: Trigger = serde_json::from_str(text).expect(text);
            assert_eq!(serde_json::to_string(&trigger).expect("JSON"), text);
        }
        let stop: Action = serde_json::from_str(r#"{"type":"stop_outreach"}"#).expect("JSON");
        assert!(!stop.is_outreach());
        assert!(serde_json::from_str::<Trigger>(r#"{"type":"open","x":1}"#).is_err());
        assert!(serde_json::from_str::<Trigger>(r#"{"type":"sun"}"#).is_err());
        assert!(is_event("lead_created") && !is_event("Lead created") && !is_event(""));
    }
}
