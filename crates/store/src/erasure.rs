//! What is known of one person, all of it, and how it is erased.

use std::collections::HashSet;

use domain::address::forms;
use domain::lead::Field;
use sha2::{Digest, Sha256};

use crate::event::Event;
use crate::lead::Lead;
use crate::message::Message;
use crate::params;
use crate::port::{Db, Result, Row, one};
use crate::queries::erasure as sql;
use crate::{event, lead, request};

/// An address as it is remembered of somebody who was erased.
fn hash(address: &str) -> String {
    let digest = Sha256::digest(address.as_bytes());
    digest.iter().map(|b| format!("{b:02x}")).collect()
}

/// Which of some addresses (one form each) were those of people who were erased. Where nobody was, nothing is computed.
pub(crate) fn among<'a>(db: &dyn Db, addresses: &[&'a str]) -> Result<HashSet<&'a str>> {
    if addresses.is_empty() || one(db, sql::ANY, &[])?.is_none() {
        return Ok(HashSet::new());
    }
    let hashes: Vec<_> = addresses.iter().map(|a| (hash(a), *a)).collect();
    let all: Vec<_> = hashes.iter().map(|(hash, _)| hash).collect();
    let json = serde_json::to_string(&all).unwrap_or_default();
    let rows = db.query(sql::AMONG, params![json])?;
    let found: HashSet<_> = rows.into_iter().map(|mut r| r.text(0)).collect();
    let known = hashes.into_iter().filter(|(hash, _)| found.contains(hash));
    Ok(known.map(|(_, address)| address).collect())
}

/// Everything that happened to a lead, oldest first, up to 10,000 events.
pub fn events(db: &dyn Db, lead_id: i64) -> Result<Vec<Event>> {
    let rows = db.query(sql::EVENTS, params![lead_id])?;
    let read = |r| event::from_row(r, lead_id);
    Ok(rows.into_iter().map(read).collect())
}

/// The mails to a lead, oldest first, up to 10,000.
pub fn messages(db: &dyn Db, lead_id: i64) -> Result<Vec<Message>> {
    let read = |mut r: Row| Message {
        message_id: r.text(0),
        recipient: r.text(1),
        subject: r.text(2),
        body: r.text(3),
        sent_at: r.opt_int(4),
        detail: r.opt_text(5),
        html: r.opt_text(6),
    };
    let rows = db.query(sql::MESSAGES, params![lead_id])?;
    Ok(rows.into_iter().map(read).collect())
}

/// Erases a person; false, and nothing done, while a worker has a mail to them in hand. What is left are numbers: that
/// there was a lead, what happened to it and when; and hashes of its address. Call it inside a transaction.
pub fn erase(db: &dyn Db, lead: &Lead, now: i64) -> Result<bool> {
    let id = lead.id;
    if one(db, sql::IN_HAND, params![id])?.is_some() {
        return Ok(false);
    }
    request::abort_of_lead(db, id, "The lead was erased.", now)?;
    for form in lead
        .fields
        .get(Field::Email)
        .map(forms)
        .into_iter()
        .flatten()
    {
        db.execute(sql::REMEMBER, params![hash(&form), now])?;
        db.execute(sql::FORGET_FAILED_ROWS, params![&form])?;
        db.execute(sql::FORGET_SUPPRESSION, params![form])?;
    }
    db.execute(sql::FORGET_FILES, params![id, now])?;
    lead::keep_last_id(db)?;
    for forget in [
        sql::FORGET_MESSAGES,
        sql::FORGET_REASONS,
        sql::FORGET_EVENT_DATA,
        sql::FORGET_ROWS,
        sql::FORGET_KEPT,
        sql::END_INSTANCES,
        sql::FORGET_LEAD,
    ] {
        db.execute(forget, params![id])?;
    }
    let erased = Event {
        at: now,
        kind: "lead_erased".to_owned(),
        lead_id: Some(id),
        ..Event::default()
    };
    event::insert(db, &erased)?;
    Ok(true)
}
