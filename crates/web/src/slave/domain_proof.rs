//! Whether a host name is whose who asked for it: they show a token in its zone of the DNS. The name is looked at when
//! its owner asks for it, and again by itself: one that left their hands leads nowhere after a week.

use simple_dns::rdata::RData;
use simple_dns::{CLASS, Name, Packet, PacketFlag, QCLASS, QTYPE, Question, RCODE, TYPE};
use store::Db;
use store::custom_domain::{self, CustomDomain};

/// The media type of a message.
pub const MESSAGE: &str = "application/dns-message";

/// Said of a resolver that cannot be asked; why is in the log, for whoever runs it.
pub const SILENT: &str =
    "The resolver does not answer just now, so the name could not be looked up. It is tried again.";

/// What the DNS is asked (RFC 8484: the body of a POST to a resolver).
pub struct Lookup {
    tenant: String,
    /// The host name.
    pub name: String,
    token: String,
    /// One message for TXT and one for CNAME.
    pub messages: [Vec<u8>; 2],
}

/// The resolver's answers to the two messages: each a message, or why there is none.
pub type Answers = [Result<Vec<u8>, String>; 2];

/// Where in the DNS the proof stands. It does not name us: it is the client's zone.
pub fn proof_name(name: &str) -> String {
    format!("_verify.{name}")
}

impl Lookup {
    /// What to ask about a name of a tenant. None when no question can be made of it.
    pub fn of(tenant: &str, domain: &CustomDomain) -> Option<Lookup> {
        let message = |kind| question(&proof_name(&domain.name), kind);
        Some(Lookup {
            messages: [message(TYPE::TXT)?, message(TYPE::CNAME)?],
            tenant: tenant.to_owned(),
            name: domain.name.clone(),
            token: domain.token.clone(),
        })
    }
}

fn question(name: &str, kind: TYPE) -> Option<Vec<u8>> {
    // The id is 0, so that answers can be cached (RFC 8484, 4.1).
    let mut packet = Packet::new_query(0);
    packet.set_flags(PacketFlag::RECURSION_DESIRED);
    let name = Name::new(name).ok()?.into_owned();
    let kind = QTYPE::TYPE(kind);
    packet
        .questions
        .push(Question::new(name, kind, QCLASS::CLASS(CLASS::IN), false));
    packet.build_bytes_vec().ok()
}

/// Names whose time to be looked at again has come.
///
/// # Errors
/// When the store fails.
pub fn due(control: &dyn Db, now: i64, limit: i64) -> store::Result<Vec<Lookup>> {
    let due = custom_domain::due(control, now, limit)?;
    let lookups = due
        .iter()
        .map(|(tenant, domain)| Lookup::of(tenant, domain));
    Ok(lookups.flatten().collect())
}

/// Takes the resolver's answers.
///
/// # Errors
/// When the store fails.
pub fn settle(control: &dyn Db, lookup: &Lookup, answers: Answers, now: i64) -> store::Result<()> {
    let (tenant, name) = (lookup.tenant.as_str(), lookup.name.as_str());
    match missing(lookup, answers) {
        None => custom_domain::verify(control, tenant, name, &lookup.token, now),
        Some((reason, is_sure)) => {
            custom_domain::refuse(control, tenant, name, &reason, is_sure, now)
        }
    }
}

/// Why the proof is not there, and whether that is sure; none when it is.
fn missing(lookup: &Lookup, answers: Answers) -> Option<(String, bool)> {
    let mut reasons = Vec::new();
    let mut proven = false;
    for answer in answers {
        match answer.and_then(|message| values(&message)) {
            Ok(values) => proven |= values.iter().any(|v| shows(v, &lookup.token)),
            Err(reason) if reasons.contains(&reason) => {}
            Err(reason) => reasons.push(reason),
        }
    }
    if proven {
        return None;
    }
    // Whoever could not be asked has not said that the proof is gone.
    let is_sure = reasons.is_empty();
    let missing = format!(
        "There is no record at {} with the token yet.",
        proof_name(&lookup.name)
    );
    reasons.insert(0, missing);
    Some((reasons.join(" "), is_sure))
}

/// A TXT record is the token; a CNAME leads to a name that begins with it.
fn shows(value: &str, token: &str) -> bool {
    let first = value.split('.').next().unwrap_or_default();
    first.trim().eq_ignore_ascii_case(token)
}

/// The texts and names of an answer.
fn values(message: &[u8]) -> Result<Vec<String>, String> {
    let packet = Packet::parse(message)
        .map_err(|e| format!("The resolver's answer cannot be read: {e}."))?;
    match packet.rcode() {
        RCODE::NoError | RCODE::NameError => {}
        other => return Err(format!("The resolver answered {other:?}.")),
    }
    let value = |rdata: &RData<'_>| match rdata {
        RData::TXT(txt) => String::try_from(txt.clone()).ok(),
        RData::CNAME(name) => Some(name.0.to_string()),
        _ => None,
    };
    Ok(packet
        .answers
        .iter()
        .filter_map(|a| value(&a.rdata))
        .collect())
}

#[cfg(test)]
mod tests {
    use simple_dns::ResourceRecord;
    use simple_dns::rdata::{CNAME, TXT};

    use super::*;

    fn answer(rdata: RData<'static>) -> Vec<u8> {
        let mut packet = Packet::new_reply(0);
        let name = Name::new("_verify.client.example").expect("a name");
        packet
            .answers
            .push(ResourceRecord::new(name, CLASS::IN, 60, rdata));
        packet.build_bytes_vec().expect("a message")
    }

    #[test]
    fn a_proof_is_a_text_or_a_name() {
        let token = "0123456789abcdef";
        let text = answer(RData::TXT(
            TXT::new().with_string("0123456789ABCDEF").expect("text"),
        ));
        assert!(
            values(&text)
                .expect("values")
                .iter()
                .any(|v| shows(v, token))
        );
        let target = Name::new("0123456789abcdef.client.example").expect("a name");
        let alias = answer(RData::CNAME(CNAME(target)));
        assert!(
            values(&alias)
                .expect("values")
                .iter()
                .any(|v| shows(v, token))
        );
        let other = answer(RData::TXT(
            TXT::new().with_string("x0123456789abcdef").expect("text"),
        ));
        assert!(
            !values(&other)
                .expect("values")
                .iter()
                .any(|v| shows(v, token))
        );
        assert!(values(b"nonsense").is_err());
    }

    #[test]
    fn a_resolver_that_is_away_is_told_of_once() {
        let lookup = Lookup {
            tenant: "7".into(),
            name: "client.example".into(),
            token: "0123456789abcdef".into(),
            messages: [vec![], vec![]],
        };
        let away = || Err(SILENT.to_owned());
        let (reason, is_sure) = missing(&lookup, [away(), away()]).expect("not there");
        assert_eq!(reason.matches(SILENT).count(), 1, "{reason}");
        assert!(!is_sure && reason.contains("_verify.client.example"));
        let other = || {
            let text = TXT::new().with_string("another token").expect("text");
            Ok(answer(RData::TXT(text)))
        };
        let (reason, is_sure) = missing(&lookup, [other(), other()]).expect("not there");
        assert!(is_sure && !reason.contains("resolver"), "{reason}");
        let text = TXT::new().with_string("0123456789abcdef").expect("text");
        assert_eq!(
            missing(&lookup, [away(), Ok(answer(RData::TXT(text)))]),
            None
        );
    }

    #[test]
    fn a_question_is_one_that_resolvers_read() {
        let message = question("_verify.client.example", TYPE::TXT).expect("a message");
        let packet = Packet::parse(&message).expect("a message");
        assert_eq!(
            packet.questions[0].qname.to_string(),
            "_verify.client.example"
        );
    }
}
