//! People, their accounts, and what they may do where.

use std::collections::BTreeMap;

use domain::identity::{Identity, Role};

use crate::params;
use crate::port::{Db, Result, Row, one};
use crate::queries;
use crate::queries::user as sql;

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
    /// What they are in the account.
    pub role: Role,
    /// When they showed that the address is theirs, in milliseconds.
    pub confirmed_at: Option<i64>,
    /// The sealed secret of their second factor, when they have one.
    pub totp: Option<String>,
    /// The sealed secret of one that is being set up.
    pub totp_pending: Option<String>,
    /// The last time step whose code was taken.
    pub totp_step: i64,
    /// Milliseconds.
    pub created_at: i64,
    /// Milliseconds; exact to a minute.
    pub last_seen_at: Option<i64>,
}

impl User {
    /// Somebody new, without a second factor.
    pub fn new(
        id: String,
        account_id: String,
        email: String,
        password_hash: String,
        role: Role,
        created_at: i64,
    ) -> Self {
        User {
            id,
            account_id,
            email,
            password_hash,
            role,
            confirmed_at: None,
            totp: None,
            totp_pending: None,
            totp_step: 0,
            created_at,
            last_seen_at: None,
        }
    }

    fn from_row(mut r: Row) -> Self {
        User {
            id: r.text(0),
            account_id: r.text(1),
            email: r.text(2),
            password_hash: r.text(3),
            role: role(&r.text(4)),
            confirmed_at: r.opt_int(5),
            totp: r.opt_text(6),
            totp_pending: r.opt_text(7),
            totp_step: r.int(8),
            created_at: r.int(9),
            last_seen_at: r.opt_int(10),
        }
    }
}

/// A role as it is stored; what this version does not know is the least one.
pub(crate) fn role(name: &str) -> Role {
    Role::of(name).unwrap_or(Role::Client)
}

/// Adds an account. Call it inside the transaction that adds its first person.
pub fn insert_account(db: &dyn Db, id: &str, name: &str, now: i64) -> Result<()> {
    db.execute(queries::account::INSERT, params![id, name, now])
        .map(|_| ())
}

/// Adds a person; false when the address is taken.
pub fn insert(db: &dyn Db, user: &User) -> Result<bool> {
    let row = params![
        &user.id,
        &user.account_id,
        &user.email,
        &user.password_hash,
        user.role.name(),
        user.confirmed_at,
        user.created_at
    ];
    Ok(!db.query(sql::INSERT, row)?.is_empty())
}

/// Adds an account with its first person; false, and nothing is to be kept, when the address is taken. Call it inside a
/// transaction.
pub fn sign_up(db: &dyn Db, user: &User, account_name: &str, now: i64) -> Result<bool> {
    insert_account(db, &user.account_id, account_name, now)?;
    insert(db, user)
}

/// The person with an address.
pub fn by_email(db: &dyn Db, email: &str) -> Result<Option<User>> {
    Ok(one(db, sql::BY_EMAIL, params![email])?.map(User::from_row))
}

/// The person with an id.
pub fn get(db: &dyn Db, id: &str) -> Result<Option<User>> {
    Ok(one(db, sql::GET, params![id])?.map(User::from_row))
}

/// The people of an account, in the order in which they came.
pub fn list(db: &dyn Db, account_id: &str) -> Result<Vec<User>> {
    let rows = db.query(sql::LIST, params![account_id])?;
    Ok(rows.into_iter().map(User::from_row).collect())
}

/// How many owners an account has.
pub fn owners(db: &dyn Db, account_id: &str) -> Result<i64> {
    Ok(one(db, sql::OWNERS, params![account_id])?.map_or(0, |r| r.int(0)))
}

/// Makes a person something else; false when the account has no such person.
pub fn set_role(db: &dyn Db, id: &str, account_id: &str, role: Role) -> Result<bool> {
    Ok(db.execute(sql::SET_ROLE, params![id, account_id, role.name()])? > 0)
}

/// Removes a person with their sessions, keys, grants and links.
pub fn delete(db: &dyn Db, id: &str, account_id: &str) -> Result<bool> {
    Ok(db.execute(sql::DELETE, params![id, account_id])? > 0)
}

/// Keeps another password.
pub fn set_password(db: &dyn Db, id: &str, hash: &str) -> Result<()> {
    db.execute(sql::SET_PASSWORD, params![id, hash]).map(|_| ())
}

/// The address is theirs; false when that was known.
pub fn confirm(db: &dyn Db, id: &str, now: i64) -> Result<bool> {
    Ok(db.execute(sql::CONFIRM, params![id, now])? > 0)
}

/// Another address, which they showed to be theirs; false when somebody else has it.
pub fn set_email(db: &dyn Db, id: &str, email: &str, now: i64) -> Result<bool> {
    Ok(db.execute(sql::SET_EMAIL, params![id, email, now])? > 0)
}

/// Begins to set up a second factor with this sealed secret.
pub fn set_totp_pending(db: &dyn Db, id: &str, sealed: &str) -> Result<()> {
    db.execute(sql::SET_TOTP_PENDING, params![id, sealed])
        .map(|_| ())
}

/// From now on the second factor is asked for; `step` is that of the code that proved the sealed secret. False when that
/// is not the one being set up any more.
pub fn enable_totp(db: &dyn Db, id: &str, step: i64, sealed: &str) -> Result<bool> {
    Ok(db.execute(sql::ENABLE_TOTP, params![id, step, sealed])? > 0)
}

/// No second factor any more.
pub fn disable_totp(db: &dyn Db, id: &str) -> Result<()> {
    db.execute(sql::DISABLE_TOTP, params![id])?;
    db.execute(sql::DELETE_RECOVERY_CODES, params![id])
        .map(|_| ())
}

/// Uses a step's code up; false when it, or a later one, was used before.
pub fn use_totp_step(db: &dyn Db, id: &str, step: i64) -> Result<bool> {
    Ok(db.execute(sql::USE_TOTP_STEP, params![id, step])? > 0)
}

/// Keeps new recovery codes in the place of all others. Call it inside a transaction.
pub fn set_recovery_codes(db: &dyn Db, id: &str, hashes: &[String]) -> Result<()> {
    db.execute(sql::DELETE_RECOVERY_CODES, params![id])?;
    for hash in hashes {
        db.execute(sql::INSERT_RECOVERY_CODE, params![id, hash])?;
    }
    Ok(())
}

/// Uses a recovery code up; false when there is none of that hash, or it was used before.
pub fn use_recovery_code(db: &dyn Db, id: &str, hash: &str, now: i64) -> Result<bool> {
    Ok(db.execute(sql::USE_RECOVERY_CODE, params![id, hash, now])? > 0)
}

/// How many recovery codes are left.
pub fn recovery_codes_left(db: &dyn Db, id: &str) -> Result<i64> {
    Ok(one(db, sql::RECOVERY_CODES_LEFT, params![id])?.map_or(0, |r| r.int(0)))
}

/// What a person is in single sub-accounts.
pub fn grants(db: &dyn Db, id: &str) -> Result<BTreeMap<String, Role>> {
    let rows = db.query(sql::GRANTS, params![id])?;
    Ok(rows
        .into_iter()
        .map(|mut r| (r.text(0), role(&r.text(1))))
        .collect())
}

/// The grants of all people of an account, by person.
pub fn account_grants(
    db: &dyn Db,
    account_id: &str,
) -> Result<BTreeMap<String, BTreeMap<String, Role>>> {
    let mut all: BTreeMap<String, BTreeMap<String, Role>> = BTreeMap::new();
    for mut row in db.query(sql::ACCOUNT_GRANTS, params![account_id])? {
        let of_person = all.entry(row.text(0)).or_default();
        of_person.insert(row.text(1), role(&row.text(2)));
    }
    Ok(all)
}

/// Lets a person into a sub-account as this.
pub fn put_grant(db: &dyn Db, id: &str, subaccount_id: &str, role: Role, now: i64) -> Result<()> {
    db.execute(sql::PUT_GRANT, params![id, subaccount_id, role.name(), now])
        .map(|_| ())
}

/// Lets a person into a sub-account no more; false when they were not in.
pub fn delete_grant(db: &dyn Db, id: &str, subaccount_id: &str) -> Result<bool> {
    Ok(db.execute(sql::DELETE_GRANT, params![id, subaccount_id])? > 0)
}

/// Somebody was here.
pub(crate) fn seen(db: &dyn Db, id: &str, now: i64) -> Result<()> {
    db.execute(sql::SEEN, params![id, now]).map(|_| ())
}

/// How old a note of the last use may get before it is written anew, in milliseconds: whoever is busy does not write at
/// every call.
pub(crate) const SEEN_EVERY: i64 = 60_000;

/// An identity without limits from (account, user, email, role), with its grants.
pub(crate) fn identity(db: &dyn Db, row: &mut Row) -> Result<Identity> {
    let (account_id, user_id, email) = (row.text(0), row.text(1), row.text(2));
    unlimited(db, account_id, user_id, email, role(&row.text(3)))
}

/// What a person may do, as a session of theirs would let them.
pub fn identity_of(db: &dyn Db, user: &User) -> Result<Identity> {
    let (account_id, user_id) = (user.account_id.clone(), user.id.clone());
    unlimited(db, account_id, user_id, user.email.clone(), user.role)
}

fn unlimited(
    db: &dyn Db,
    account_id: String,
    user_id: String,
    email: String,
    role: Role,
) -> Result<Identity> {
    let grants = match role {
        Role::Owner | Role::Admin => BTreeMap::new(),
        Role::Member | Role::Client => grants(db, &user_id)?,
    };
    Ok(Identity {
        account_id,
        user_id,
        email,
        role,
        grants,
        limits: None,
        session_id: None,
    })
}

/// An account's name.
pub fn account_name(db: &dyn Db, account_id: &str) -> Result<Option<String>> {
    Ok(one(db, queries::account::GET, params![account_id])?.map(|mut r| r.text(1)))
}

/// The names of an account's sub-accounts by id.
pub fn subaccount_names(db: &dyn Db, account_id: &str) -> Result<BTreeMap<String, String>> {
    let rows = db.query(queries::account::GET_SUBACCOUNT_NAMES, params![account_id])?;
    Ok(rows
        .into_iter()
        .map(|mut r| (r.text(0), r.text(1)))
        .collect())
}
