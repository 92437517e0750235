//! Turns for hashing passwords. A hash takes a core for some hundredths of a second and 19 MiB, so only a few are made at
//! once on a node, however many people log in; the others wait for a moment, and pages go on in between.

use http::Method;
use store::password_work;

use crate::client::Client;
use crate::context::Context;
use crate::http::{Problem, Request};
use crate::master::brake::{self, Kind};

/// A turn ends by itself after this long, should its taker have died, in milliseconds.
const HOLDS: i64 = 10_000;
/// How long somebody waits for a turn, in milliseconds.
pub const PATIENCE: i64 = 3_000;
/// How long they wait before they ask again, in milliseconds.
pub const PAUSE: u64 = 20;

/// Whether a call hashes a password.
fn hashes(request: &Request) -> bool {
    let path = request.segments();
    request.method == Method::POST
        && matches!(
            path[..],
            ["login" | "signup" | "reset" | "invite"]
                | ["profile", "password" | "email" | "second-factor"]
                | ["profile", "second-factor", "removal" | "recovery-codes"]
                | ["api", "v1", "login" | "signup" | "second-factor"]
                | ["api", "v1", "password-resets", "completion"]
                | ["api", "v1", "invites", "acceptance"]
                | ["api", "v1", "me", "password" | "email"]
                | ["api", "v1", "second-factor", "removal" | "recovery-codes"]
        )
}

/// Whether a request has to take a turn before it is answered. Whoever is to be refused anyway waits for none.
///
/// # Errors
/// 429 for a client that has failed too often.
pub fn is_needed(cx: &Context<'_>, request: &Request) -> Result<bool, Problem> {
    if !hashes(request) {
        return Ok(false);
    }
    if let Some(client) = Client::of(request).counted() {
        brake::check(cx, &*cx.master()?, Kind::Address, &client)?;
    }
    Ok(true)
}

/// Takes a turn if one is free. `token` names the taker.
///
/// # Errors
/// When the store fails.
pub fn take(cx: &Context<'_>, token: &str) -> Result<bool, Problem> {
    let turns = cx.config.password_turns;
    let db = cx.master()?;
    Ok(password_work::take(
        &*db,
        token,
        turns,
        cx.now,
        cx.now + HOLDS,
    )?)
}

/// Gives a turn back. One that cannot be given back ends by itself.
pub fn give_back(cx: &Context<'_>, token: &str) {
    let done = cx
        .master()
        .and_then(|db| password_work::give_back(&*db, token));
    if let Err(error) = done {
        eprintln!("a turn is not given back: {error}");
    }
}

/// The answer to whoever waited in vain.
pub fn none() -> Problem {
    Problem {
        retry_after: Some(2),
        ..Problem::new(503, "Too many people log in just now")
            .detail("Nothing was changed. Try again in a moment.")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_with_passwords_take_turns_and_others_do_not() {
        let hashes = |method: Method, path: &str| {
            hashes(&Request {
                method,
                path: path.to_owned(),
                query: String::new(),
                headers: http::HeaderMap::new(),
                body: Vec::new(),
            })
        };
        assert!(hashes(Method::POST, "/api/v1/login") && hashes(Method::POST, "/login"));
        assert!(!hashes(Method::GET, "/login") && !hashes(Method::POST, "/login/code"));
        assert!(!hashes(Method::POST, "/api/v1/password-resets"));
    }
}
