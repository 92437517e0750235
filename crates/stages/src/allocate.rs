//! Finds a home for every requested sub-account.

use domain::retry::backoff;
use serde::{Deserialize, Serialize};
use store::{Open, Result, migrate, subaccount};

/// What the master asks of a slave: `PUT /node/v1/subaccounts/{id}`. Asking twice is the same as once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Placement {
    /// The account that owns it.
    pub account_id: String,
    /// What people call it.
    pub name: String,
}

/// What a slave answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// It lives there; people reach it at this address.
    Placed(String),
    /// It cannot live there now; for people.
    Refused(String),
}

/// The answer's body on success.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Placed {
    /// Where the sub-account is served.
    pub base_url: String,
}

/// How long one placement may take, in milliseconds.
const LEASE: i64 = 30_000;
/// Sub-accounts that are placed in one tick.
const BATCH: i64 = 50;

/// Places what is due. `put` asks the slave.
///
/// # Errors
/// When the master's database fails.
pub fn run(
    stores: &dyn Open,
    token: &str,
    clock: &dyn Fn() -> i64,
    put: &dyn Fn(&str, &Placement) -> Answer,
) -> Result<usize> {
    let db = stores.open("master")?;
    migrate::migrate(&*db, migrate::MASTER)?;
    let now = clock();
    let due = subaccount::claim_due(&*db, token, now + LEASE, now, BATCH)?;
    for due in &due {
        let answer = put(
            &due.id,
            &Placement {
                account_id: due.account_id.clone(),
                name: due.name.clone(),
            },
        );
        let now = clock();
        match answer {
            Answer::Placed(base_url) => subaccount::activate(&*db, &due.id, token, &base_url, now)?,
            Answer::Refused(reason) => subaccount::postpone(
                &*db,
                &due.id,
                token,
                &reason,
                now + backoff(due.attempt),
                now,
            )?,
        };
    }
    Ok(due.len())
}
