//! The brake on guessing: after some tries each further one doubles the pause until the next. A try is counted before
//! anybody looks whether it is right, so that many at once are no way around it, and given back when it was.

use store::attempt::{self, Attempts};
use store::{Db, transaction};

use crate::context::Context;
use crate::http::Problem;

/// What is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Passwords that one client tries for one person: a stranger elsewhere holds nobody up.
    Account,
    /// Passwords for one person, from wherever.
    Person,
    /// Passwords of one client, whomever it tried.
    Address,
    /// Passwords of somebody who is signed in.
    Proof,
    /// Codes of one second factor.
    Code,
    /// Mails that others can ask for, for one address.
    Mail,
    /// Links to a new password, for one address.
    Reset,
    /// Links to a new password that one client asked for.
    Forgot,
    /// Invitations of one account.
    Invite,
    /// Accounts that one client made.
    SignUp,
}

const HOUR: i64 = 60 * 60 * 1000;

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Kind::Account => "account",
            Kind::Person => "person",
            Kind::Address => "address",
            Kind::Proof => "proof",
            Kind::Code => "code",
            Kind::Mail => "mail",
            Kind::Reset => "reset",
            Kind::Forgot => "forgot",
            Kind::Invite => "invite",
            Kind::SignUp => "sign_up",
        }
    }

    /// Tries that cost nothing, how long after the first one all are forgotten, and what is doubled for each further
    /// one, both in milliseconds.
    fn limits(self) -> (i64, i64, i64) {
        match self {
            Kind::Account | Kind::Proof | Kind::Code => (5, 24 * HOUR, 1000),
            // Many clients together must not hold a person up for long: the pause ends at a minute.
            Kind::Person => (500, 24 * HOUR, 60),
            Kind::Address | Kind::Forgot => (30, HOUR, 1000),
            Kind::Mail | Kind::Reset => (3, HOUR, 60_000),
            Kind::Invite => (50, 24 * HOUR, 60_000),
            Kind::SignUp => (20, HOUR, 1000),
        }
    }
}

/// The longest pause, in milliseconds: 17 minutes.
const LONGEST: i64 = 1024 * 1000;

/// The pause after so many tries, in milliseconds.
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
    let attempts = attempt::get(db, kind.name(), name)?;
    match attempts.blocked_until - cx.now {
        left if left > 0 => Err(too_many(u32::try_from(left / 1000 + 1).unwrap_or(u32::MAX))),
        _ => Ok(()),
    }
}

/// A try that is counted.
#[derive(Debug)]
pub struct Try {
    kind: Kind,
    name: String,
    until: i64,
}

/// Counts a try under each of these, or under none when one of them has to wait. Not inside a transaction.
///
/// # Errors
/// 429 with the pause that is left.
pub fn take(cx: &Context<'_>, db: &dyn Db, as_what: &[(Kind, &str)]) -> Result<Vec<Try>, Problem> {
    transaction(db, || {
        for (kind, name) in as_what {
            check(cx, db, *kind, name)?;
        }
        let tries = as_what
            .iter()
            .map(|(kind, name)| count(cx, db, *kind, name));
        Ok(tries.collect::<store::Result<_>>()?)
    })
}

fn count(cx: &Context<'_>, db: &dyn Db, kind: Kind, name: &str) -> store::Result<Try> {
    let (free, memory, unit) = kind.limits();
    let mut attempts = attempt::get(db, kind.name(), name)?;
    if attempts.failures == 0 || attempts.first_at < cx.now - memory {
        attempt::delete_old(db, cx.now - 24 * HOUR)?;
        attempts = Attempts {
            first_at: cx.now,
            ..Attempts::default()
        };
    }
    attempts.failures += 1;
    attempts.blocked_until = cx.now + pause(attempts.failures, free, unit);
    attempt::put(db, kind.name(), name, &attempts)?;
    Ok(Try {
        kind,
        name: name.to_owned(),
        until: attempts.blocked_until,
    })
}

/// These were no failures.
///
/// # Errors
/// When the store fails.
pub fn give_back(db: &dyn Db, tries: &[Try]) -> store::Result<()> {
    transaction(db, || {
        let mut tries = tries.iter();
        tries.try_for_each(|t| attempt::give_back(db, t.kind.name(), &t.name, t.until))
    })
}

/// A try succeeded: all that were counted with it are forgotten.
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
    use std::sync::atomic::AtomicBool;

    use super::*;
    use crate::context::Config;

    #[test]
    fn tries_count_before_they_are_judged_and_the_count_has_an_end() {
        let (stores, config, migrated) = (
            testkit::Stores::default(),
            Config::default(),
            AtomicBool::new(false),
        );
        let at = |now| Context {
            stores: &stores,
            config: &config,
            now,
            own: None,
            migrated: &migrated,
        };
        let now = 100 * HOUR;
        let db = at(now).master().expect("a database");
        let take = |now| take(&at(now), &*db, &[(Kind::Code, "x")]).map_err(|p| p.status);
        // Ten that came at once: the sixth waits for nobody's judgement, the seventh is not looked at.
        let tries: Vec<_> = (0..10).map(|_| take(now)).collect();
        assert!(tries[..6].iter().all(Result::is_ok) && tries[6..].iter().all(Result::is_err));
        let sixth = tries[5].as_ref().expect("taken");
        give_back(&*db, sixth).expect("given back");
        assert!(take(now).is_ok(), "it was right");
        // A try a minute: the pauses grow, but not beyond the day that began with the first one.
        assert!(take(now + 23 * HOUR).is_ok() && take(now + 23 * HOUR).is_err());
        assert!((0..6).all(|_| take(now + 25 * HOUR).is_ok()));
    }

    #[test]
    fn the_pause_grows_and_has_an_end() {
        let pauses: Vec<_> = [1, 5, 6, 7, 15, 40]
            .map(|n| pause(n, 5, 1000) / 1000)
            .into();
        assert_eq!(pauses, [0, 0, 2, 4, 1024, 1024]);
    }
}
