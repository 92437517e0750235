//! The brake on guessing: after some failures each further one doubles the pause until the next try.

use store::{Db, attempt};

use crate::context::Context;
use crate::http::Problem;

/// What is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Passwords for one account.
    Account,
    /// Failures of one client, whatever it tried.
    Address,
    /// Codes of one second factor.
    Code,
    /// Mails that were asked for, for one address.
    Mail,
    /// Accounts that one client made.
    SignUp,
}

const HOUR: i64 = 60 * 60 * 1000;

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Kind::Account => "account",
            Kind::Address => "address",
            Kind::Code => "code",
            Kind::Mail => "mail",
            Kind::SignUp => "sign_up",
        }
    }

    /// Failures that cost nothing, how long they are remembered, and what is doubled for each further one, both in
    /// milliseconds.
    fn limits(self) -> (i64, i64, i64) {
        match self {
            Kind::Account | Kind::Code => (5, 24 * HOUR, 1000),
            Kind::Address => (30, HOUR, 1000),
            Kind::Mail => (3, HOUR, 60_000),
            Kind::SignUp => (20, HOUR, 1000),
        }
    }
}

/// The longest pause, in milliseconds: 17 minutes.
const LONGEST: i64 = 1024 * 1000;

/// The pause after so many failures, in milliseconds.
fn pause(failures: i64, free: i64, unit: i64) -> i64 {
    match failures - free {
        over if over > 0 => (unit << over.min(10)).min(LONGEST),
        _ => 0,
    }
}

/// Whether one may try now.
///
/// # Errors
/// 429 with the pause that is left.
pub fn check(cx: &Context<'_>, db: &dyn Db, kind: Kind, name: &str) -> Result<(), Problem> {
    match left(cx, db, kind, name)? {
        0 => Ok(()),
        seconds => Err(too_many(seconds)),
    }
}

/// Seconds until the next try.
///
/// # Errors
/// When the store fails.
pub fn left(cx: &Context<'_>, db: &dyn Db, kind: Kind, name: &str) -> store::Result<u32> {
    let attempts = attempt::get(db, kind.name(), name, 0)?;
    Ok(match attempts.blocked_until - cx.now {
        left if left > 0 => u32::try_from(left / 1000 + 1).unwrap_or(u32::MAX),
        _ => 0,
    })
}

/// Notes a failure.
///
/// # Errors
/// When the store fails.
pub fn fail(cx: &Context<'_>, db: &dyn Db, kind: Kind, name: &str) -> store::Result<()> {
    let (free, memory, unit) = kind.limits();
    let since = cx.now - memory;
    let so_far = attempt::get(db, kind.name(), name, since)?;
    if so_far.failures == 0 {
        attempt::delete_old(db, cx.now - 24 * HOUR)?;
    }
    let until = cx.now + pause(so_far.failures + 1, free, unit);
    attempt::fail(db, kind.name(), name, cx.now, until, since)
}

/// A try succeeded.
///
/// # Errors
/// When the store fails.
pub fn release(db: &dyn Db, kind: Kind, name: &str) -> store::Result<()> {
    attempt::forget(db, kind.name(), name)
}

/// The answer to one try too many.
pub fn too_many(seconds: u32) -> Problem {
    let problem =
        Problem::new(429, "Too many attempts").detail(format!("Try again in {seconds} seconds."));
    Problem {
        retry_after: Some(seconds),
        ..problem
    }
}

#[cfg(test)]
mod tests {
    use super::pause;

    #[test]
    fn the_pause_grows_and_has_an_end() {
        let pauses: Vec<_> = [1, 5, 6, 7, 15, 40]
            .map(|n| pause(n, 5, 1000) / 1000)
            .into();
        assert_eq!(pauses, [0, 0, 2, 4, 1024, 1024]);
    }
}
