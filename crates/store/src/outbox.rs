//! Mails of the installation itself: kept with their cause, sent by a worker.

use crate::params;
use crate::port::{Db, Result, Row, one};
use crate::queries::outbox as sql;

/// A mail to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mail {
    /// UUIDv7.
    pub id: String,
    /// The account it is about, if any.
    pub account_id: Option<String>,
    /// What it is for: `confirm`, `reset` …
    pub cause: String,
    /// To whom.
    pub recipient: String,
    /// Whose mail it is; none for the installation's.
    pub sender_name: Option<String>,
    /// In one line.
    pub subject: String,
    /// The text, sealed.
    pub body: String,
    /// When there is no use in sending it any more, in milliseconds.
    pub send_before: Option<i64>,
}

/// A mail that a worker was given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leased {
    /// UUIDv7.
    pub id: String,
    /// To whom.
    pub recipient: String,
    /// Whose mail it is; none for the installation's.
    pub sender_name: Option<String>,
    /// In one line.
    pub subject: String,
    /// The text, sealed.
    pub body: String,
    /// 1 for the first try.
    pub attempt: i64,
}

/// What is known of a mail while a lease holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct State {
    /// The account it is about, if any.
    pub account_id: Option<String>,
    /// What it is for.
    pub cause: String,
    /// To whom.
    pub recipient: String,
    /// How often it was tried.
    pub attempts: i64,
    /// When there is no use in sending it any more, in milliseconds.
    pub send_before: Option<i64>,
}

/// How long what ended is kept, in milliseconds.
const KEPT: i64 = 30 * 24 * 60 * 60 * 1000;

/// Keeps a mail to be sent; call it in the transaction of its cause. One that is `void` is never sent.
pub fn insert(db: &dyn Db, mail: &Mail, void: bool, now: i64) -> Result<()> {
    db.execute(sql::DELETE_OLD, params![now - KEPT])?;
    db.execute(sql::DELETE_LATE, params![now])?;
    let row = params![
        &mail.id,
        mail.account_id.as_deref(),
        &mail.cause,
        &mail.recipient,
        &mail.subject,
        &mail.body,
        if void { "void" } else { "waiting" },
        mail.send_before,
        now,
        void.then_some(now),
        mail.sender_name.as_deref()
    ];
    db.execute(sql::INSERT, row).map(|_| ())
}

/// Leases the oldest mails that are due.
pub fn claim(
    db: &dyn Db,
    token: &str,
    lease_until: i64,
    now: i64,
    limit: i64,
) -> Result<Vec<Leased>> {
    if db.query(sql::ANY_DUE, params![now])?.is_empty() {
        return Ok(Vec::new());
    }
    let rows = db.query(sql::CLAIM, params![token, lease_until, now, limit])?;
    let leased = |mut r: Row| Leased {
        id: r.text(0),
        recipient: r.text(1),
        subject: r.text(2),
        body: r.text(3),
        attempt: r.int(4),
        sender_name: r.opt_text(5),
    };
    Ok(rows.into_iter().map(leased).collect())
}

/// A mail, if this lease still holds it.
pub fn leased(db: &dyn Db, id: &str, token: &str) -> Result<Option<State>> {
    let row = one(db, sql::GET_LEASED, params![id, token])?;
    Ok(row.map(|mut r| State {
        account_id: r.opt_text(0),
        cause: r.text(1),
        recipient: r.text(2),
        attempts: r.int(3),
        send_before: r.opt_int(4),
    }))
}

/// It has gone; its text is erased. False when the lease was lost.
pub fn sent(db: &dyn Db, id: &str, token: &str, now: i64) -> Result<bool> {
    Ok(db.execute(sql::SENT, params![id, token, now])? > 0)
}

/// It will never go; its text is erased and the reason kept. False when the lease was lost.
pub fn refused(db: &dyn Db, id: &str, token: &str, reason: &str, now: i64) -> Result<bool> {
    Ok(db.execute(sql::REFUSED, params![id, token, now, reason])? > 0)
}

/// It is tried again later. False when the lease was lost.
pub fn postpone(db: &dyn Db, id: &str, token: &str, reason: &str, next_at: i64) -> Result<bool> {
    Ok(db.execute(sql::POSTPONE, params![id, token, next_at, reason])? > 0)
}
