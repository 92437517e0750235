//! Mails as they were written.

use crate::params;
use crate::port::{Db, Result, one};
use crate::queries::message as sql;

/// A mail that belongs to a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Without angle brackets.
    pub message_id: String,
    /// The address it goes to.
    pub recipient: String,
    /// Rendered.
    pub subject: String,
    /// Rendered.
    pub body: String,
    /// Rendered, if it has such a part.
    pub html: Option<String>,
    /// When the server took it.
    pub sent_at: Option<i64>,
    /// The server's reply.
    pub detail: Option<String>,
}

/// Keeps a request's mail. A request has one: a later attempt sends what the first would have sent.
pub fn insert(
    db: &dyn Db,
    request_id: i64,
    lead_id: Option<i64>,
    profile_id: i64,
    m: &Message,
    now: i64,
) -> Result<()> {
    let params = params![
        request_id,
        lead_id,
        profile_id,
        &m.message_id,
        &m.recipient,
        &m.subject,
        &m.body,
        now,
        m.html.as_ref()
    ];
    db.execute(sql::INSERT, params).map(|_| ())
}

/// The mail of a request.
pub fn of_request(db: &dyn Db, request_id: i64) -> Result<Option<Message>> {
    Ok(
        one(db, sql::OF_REQUEST, params![request_id])?.map(|mut r| Message {
            message_id: r.text(0),
            recipient: r.text(1),
            subject: r.text(2),
            body: r.text(3),
            sent_at: r.opt_int(4),
            detail: r.opt_text(5),
            html: r.opt_text(6),
        }),
    )
}

/// Its server took it.
pub fn sent(db: &dyn Db, request_id: i64, at: i64, detail: &str) -> Result<()> {
    db.execute(sql::SENT, params![request_id, at, detail])
        .map(|_| ())
}
