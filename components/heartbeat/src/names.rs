//! Looks again for the proofs of host names in the DNS, by HTTPS (RFC 8484).

use glue::now;
use glue::outbound::{Call, Outcome, call_all};
use store::Db;
use web::Config;
use web::slave::domain_proof::{self, Answers, Lookup, MESSAGE};

/// Names that one round looks at.
const AT_ONCE: i64 = 4;

/// Asks about the names whose time has come; how many they were.
pub fn look(config: &Config, control: &dyn Db) -> store::Result<usize> {
    let due = domain_proof::due(control, now(), AT_ONCE)?;
    let calls: Vec<_> = due.iter().flat_map(|l| questions(config, l)).collect();
    let mut outcomes = call_all(&calls).into_iter().map(message);
    for lookup in &due {
        if let (Some(text), Some(alias)) = (outcomes.next(), outcomes.next()) {
            let answers: Answers = [text, alias];
            domain_proof::settle(control, lookup, answers, now())?;
        }
    }
    Ok(due.len())
}

fn questions(config: &Config, lookup: &Lookup) -> [Call; 2] {
    lookup.messages.clone().map(|body| Call {
        method: "POST",
        url: format!("{}/dns-query", config.resolver_url),
        bearer: String::new(),
        media_type: MESSAGE,
        body,
    })
}

fn message(outcome: Outcome) -> Result<Vec<u8>, String> {
    let silent = |reason: &str| {
        eprintln!("resolver: {reason}");
        domain_proof::SILENT.to_owned()
    };
    match outcome {
        Ok((200, body)) => Ok(body),
        Ok((status, _)) => Err(silent(&status.to_string())),
        Err(failure) => Err(silent(failure.reason())),
    }
}
