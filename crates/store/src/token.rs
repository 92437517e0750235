//! Links that work once. Only their hashes are kept.

use crate::params;
use crate::port::{Db, Result, Row, one};
use crate::queries::token as sql;

/// What a link is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Purpose {
    /// An address is shown to be somebody's.
    Confirm,
    /// A new password in the place of a forgotten one.
    Reset,
    /// Joining an account.
    Invite,
    /// Another address for somebody.
    ChangeEmail,
}

impl Purpose {
    /// The word for it in the database.
    pub fn name(self) -> &'static str {
        match self {
            Purpose::Confirm => "confirm",
            Purpose::Reset => "reset",
            Purpose::Invite => "invite",
            Purpose::ChangeEmail => "change_email",
        }
    }
}

/// Whom a link is for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Token {
    /// The person, if there is one.
    pub user_id: Option<String>,
    /// The invitation, if it is for one.
    pub invite_id: Option<String>,
    /// Where it was sent.
    pub email: String,
}

fn from_row(mut r: Row) -> Token {
    Token {
        user_id: r.opt_text(0),
        invite_id: r.opt_text(1),
        email: r.text(2),
    }
}

/// Keeps a new link's hash.
pub fn insert(
    db: &dyn Db,
    token_hash: &str,
    purpose: Purpose,
    token: &Token,
    now: i64,
    expires_at: i64,
) -> Result<()> {
    db.execute(sql::DELETE_EXPIRED, params![now])?;
    let row = params![
        token_hash,
        purpose.name(),
        token.user_id.as_deref(),
        token.invite_id.as_deref(),
        &token.email,
        now,
        expires_at
    ];
    db.execute(sql::INSERT, row).map(|_| ())
}

/// Whom a live link is for, without using it up.
pub fn look(db: &dyn Db, token_hash: &str, purpose: Purpose, now: i64) -> Result<Option<Token>> {
    let params = params![token_hash, purpose.name(), now];
    Ok(one(db, sql::LOOK, params)?.map(from_row))
}

/// Uses a live link up. Of two who do it at once only one gets it.
pub fn take(db: &dyn Db, token_hash: &str, purpose: Purpose, now: i64) -> Result<Option<Token>> {
    let params = params![token_hash, purpose.name(), now];
    Ok(one(db, sql::USE, params)?.map(from_row))
}

/// Ends a person's links of a kind.
pub fn end_of_user(db: &dyn Db, user_id: &str, purpose: Purpose) -> Result<()> {
    db.execute(sql::END_OF_USER, params![user_id, purpose.name()])
        .map(|_| ())
}

/// Ends the links of an invitation.
pub fn end_of_invite(db: &dyn Db, invite_id: &str) -> Result<()> {
    db.execute(sql::END_OF_INVITE, params![invite_id])
        .map(|_| ())
}
