//! People and their accounts.

use crate::params;
use crate::port::{Db, Result, one};
use crate::queries;

/// A person who can log in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// UUIDv7.
    pub id: String,
    /// UUIDv7.
    pub account_id: String,
    /// Normalised.
    pub email: String,
    /// A PHC string (argon2id).
    pub password_hash: String,
}

/// Adds an account with its first person; false, and nothing is kept, when the address is taken. Call it inside a
/// transaction.
pub fn sign_up(db: &dyn Db, user: &User, account_name: &str, now: i64) -> Result<bool> {
    db.execute(
        queries::account::INSERT,
        params![&user.account_id, account_name, now],
    )?;
    let row = params![
        &user.id,
        &user.account_id,
        &user.email,
        &user.password_hash,
        now
    ];
    Ok(!db.query(queries::user::INSERT, row)?.is_empty())
}

/// The person with an address.
pub fn by_email(db: &dyn Db, email: &str) -> Result<Option<User>> {
    Ok(
        one(db, queries::user::BY_EMAIL, params![email])?.map(|mut r| User {
            id: r.text(0),
            account_id: r.text(1),
            email: r.text(2),
            password_hash: r.text(3),
        }),
    )
}

/// An account's name.
pub fn account_name(db: &dyn Db, account_id: &str) -> Result<Option<String>> {
    Ok(one(db, queries::account::GET, params![account_id])?.map(|mut r| r.text(1)))
}
