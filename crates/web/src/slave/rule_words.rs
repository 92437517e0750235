//! Rules in words.

use domain::rule::{Action, Trigger};

use crate::pages::format;

/// What a rule waits for, in words; `names` gives those of rules.
pub fn when(trigger: &Trigger, filtered: bool, names: &dyn Fn(i64) -> String) -> String {
    let of = |what: &str, id: &Option<i64>| match id {
        Some(id) => format!("{what} of the rule {}", names(*id)),
        None => what.to_owned(),
    };
    let when = match trigger {
        Trigger::TagAdded { tag } if filtered => {
            return with_filter(format!("tag {tag} is added to a lead"));
        }
        Trigger::TagAdded { tag } => format!("tag {tag} is added"),
        Trigger::RulePerformed { rule_id } => {
            format!("the rule {} did what it does", names(*rule_id))
        }
        Trigger::EventCreated { event } => format!("{} happens", format::words(event)),
        Trigger::EnrichmentDone {} => "a lead was enriched".to_owned(),
        Trigger::OutreachDone { rule_id } => of("a mail was sent", rule_id),
        Trigger::AcceptedRequest { rule_id } => of("a lead accepts the request", rule_id),
        Trigger::IncomingMessage { rule_id } => of("a lead answers a mail", rule_id),
        Trigger::Open { rule_id } => of("a lead opens a mail", rule_id),
        Trigger::StepDone { rule_id, .. } => format!("{} is over", names(*rule_id)),
        Trigger::Click { rule_id } => of("a lead follows a link in a mail", rule_id),
    };
    match filtered {
        true => with_filter(format!("{when}, for a lead")),
        false => when,
    }
}

fn with_filter(when: String) -> String {
    format!("{when} that fits its filter")
}

/// What a rule does, in words.
pub fn does(action: &Action) -> String {
    match action {
        Action::NewOutreach { .. } => "send a mail".to_owned(),
        Action::AddTag { tag } => format!("add the tag {tag}"),
        Action::RemoveTag { tag } => format!("remove the tag {tag}"),
        Action::NewEnrichment { enrichment_type } => format!("find out: {enrichment_type}"),
        Action::StopOutreach {} => "stop what the lead has coming".to_owned(),
    }
}
