//! Sign-up, log-in, log-out.

use http::header;
use serde::Deserialize;
use serde_json::json;
use store::session::Identity;
use store::user::{self, User};
use store::{Db, session, transaction};

use crate::auth::{self, Credential, PASSWORD};
use crate::context::{Context, new_id, random_text};
use crate::http::{Answer, Problem, Request, Response};
use crate::input;

/// What sign-up takes.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SignUp {
    /// The person's address.
    pub email: String,
    /// 8 to 256 characters.
    pub password: String,
    /// The account's name, often the agency's.
    pub account: String,
}

/// What log-in takes.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LogIn {
    /// The person's address.
    pub email: String,
    /// Their password.
    pub password: String,
}

/// A session that has just begun.
pub struct SignedIn {
    user: User,
    account_name: String,
    token: String,
}

impl SignedIn {
    /// The session as JSON, with its cookie.
    pub fn answer(&self, cx: &Context<'_>, status: u16) -> Response {
        let body = json!({
            "user": {"id": self.user.id, "email": self.user.email},
            "account": {"id": self.user.account_id, "name": self.account_name},
        });
        Response::json(status, &body).with(header::SET_COOKIE, &self.cookie(cx))
    }

    /// The session's cookie.
    pub fn cookie(&self, cx: &Context<'_>) -> String {
        auth::set_cookie(&self.token, cx.config.public_url.starts_with("https://"))
    }
}

/// Makes an account with its first person and signs them in.
///
/// # Errors
/// 422 for a field that cannot be taken, 409 when the address is taken.
pub fn sign_up(cx: &Context<'_>, db: &dyn Db, input: &SignUp) -> Result<SignedIn, Problem> {
    let email = input::email("email", &input.email)?;
    let account_name = input::name("account", &input.account)?;
    if !PASSWORD.contains(&input.password.chars().count()) {
        let (min, max) = (PASSWORD.start(), PASSWORD.end());
        return Err(Problem::invalid(
            "password",
            format!("must have {min} to {max} characters"),
        ));
    }
    if user::by_email(db, &email)?.is_some() {
        return Err(taken());
    }
    let user = User {
        id: new_id(cx.now),
        account_id: new_id(cx.now),
        email,
        password_hash: auth::hash_password(&input.password)?,
    };
    let token = random_text(32);
    transaction(db, || {
        if !user::sign_up(db, &user, &account_name, cx.now)? {
            return Err(taken());
        }
        Ok(begin_session(cx, db, &user.id, &token)?)
    })?;
    Ok(SignedIn {
        user,
        account_name,
        token,
    })
}

fn taken() -> Problem {
    Problem {
        status: 409,
        title: "The address is taken".into(),
        ..Problem::invalid("email", "somebody has signed up with it; log in instead")
    }
}

fn begin_session(cx: &Context<'_>, db: &dyn Db, user_id: &str, token: &str) -> store::Result<()> {
    let hash = Credential::Session(token.to_owned()).hash();
    session::insert(db, &hash, user_id, cx.now, cx.now + auth::SESSION)
}

/// Failures that cost nothing; from then on each doubles the pause.
const FREE_FAILURES: i64 = 5;

/// Signs a person in.
///
/// # Errors
/// 401 when address and password do not belong together, 429 after many failures.
pub fn log_in(cx: &Context<'_>, db: &dyn Db, input: &LogIn) -> Result<SignedIn, Problem> {
    let wrong = || {
        Problem::new(401, "Log-in failed")
            .detail("The address and the password do not belong together.")
    };
    let email = domain::address::normalize(&input.email).map_err(|_| wrong())?;
    let (failures, blocked_until) = session::attempts(db, &email)?;
    if blocked_until > cx.now {
        let seconds = u32::try_from((blocked_until - cx.now) / 1000 + 1).unwrap_or(u32::MAX);
        let problem = Problem::new(429, "Too many attempts")
            .detail(format!("Try again in {seconds} seconds."));
        return Err(Problem {
            retry_after: Some(seconds),
            ..problem
        });
    }
    let user = user::by_email(db, &email)?;
    let too_long = input.password.len() > 4 * PASSWORD.end();
    let hash = user.as_ref().map(|u| u.password_hash.as_str());
    if too_long || !auth::verify_password(&input.password, hash) {
        let pause = match failures + 1 - FREE_FAILURES {
            over if over > 0 => 1000i64 << over.min(10),
            _ => 0,
        };
        session::record_failure(db, &email, cx.now + pause)?;
        return Err(wrong());
    }
    let user = user.ok_or_else(wrong)?;
    if failures > 0 {
        session::forget_failures(db, &email)?;
    }
    let token = random_text(32);
    begin_session(cx, db, &user.id, &token)?;
    let account_name = user::account_name(db, &user.account_id)?.unwrap_or_default();
    Ok(SignedIn {
        user,
        account_name,
        token,
    })
}

/// Ends the session of the cookie.
///
/// # Errors
/// When the store fails.
pub fn log_out(db: &dyn Db, request: &Request) -> Answer {
    if let Some(credential @ Credential::Session(_)) = Credential::of(request) {
        session::delete(db, &credential.hash())?;
    }
    Ok(Response::no_content().with(header::SET_COOKIE, &auth::clear_cookie()))
}

/// Who the caller is.
///
/// # Errors
/// When the store fails.
pub fn me(db: &dyn Db, who: &Identity) -> Answer {
    let name = user::account_name(db, &who.account_id)?.unwrap_or_default();
    let body = json!({"user": {"id": who.user_id, "email": who.email}, "account": {"id": who.account_id, "name": name}});
    Ok(Response::json(200, &body))
}
