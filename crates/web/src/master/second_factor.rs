//! The second factor: codes of an authenticator app, and recovery codes for when it is lost.

use data_encoding::BASE32_NOPAD;
use serde::{Deserialize, Serialize};
use serde_json::json;
use store::audit::{self, Actor, Change};
use store::user::{self, User};
use store::{Db, transaction};

use crate::auth::token_hash;
use crate::context::Context;
use crate::http::{Answer, Problem, Request, Response};
use crate::input;
use crate::master::account;
use crate::master::brake::{self, Kind};
use crate::master::caller::Caller;
use crate::master::confirmation::tell;
use crate::master::{mail, nodes};
use crate::seal::Sealer;
use crate::totp;

/// How many recovery codes somebody gets.
const CODES: usize = 10;

fn place(user_id: &str) -> String {
    format!("totp/{user_id}")
}

fn needed(title: &str, message: &str) -> Problem {
    Problem {
        status: 401,
        title: title.to_owned(),
        ..Problem::invalid("code", message)
    }
}

/// The title of the problem that asks for a code.
pub const NEEDED: &str = "A code is needed";

/// Passes whoever has no second factor, or shows a code of it. A code is used up by that.
///
/// # Errors
/// 401 with the field `code`, 429 after many wrong codes.
pub fn require(
    cx: &Context<'_>,
    db: &dyn Db,
    user: &User,
    code: Option<&str>,
) -> Result<(), Problem> {
    if user.totp.is_none() {
        return Ok(());
    }
    let Some(code) = code.filter(|code| !code.trim().is_empty()) else {
        return Err(needed(
            NEEDED,
            "enter the code of your authenticator app, or a recovery code",
        ));
    };
    check(cx, db, user, code)
}

fn check(cx: &Context<'_>, db: &dyn Db, user: &User, code: &str) -> Result<(), Problem> {
    brake::take(cx, db, &[(Kind::Code, &user.id)])?;
    if !is_right(cx, db, user, code)? {
        return Err(needed(
            "The code is not right",
            "must be a current code that was not used yet",
        ));
    }
    brake::release(db, Kind::Code, &user.id)?;
    Ok(())
}

fn is_right(cx: &Context<'_>, db: &dyn Db, user: &User, code: &str) -> Result<bool, Problem> {
    let plain: String = code
        .chars()
        .filter(char::is_ascii_alphanumeric)
        .take(100)
        .collect();
    if plain.len() == 6 {
        let secret = opened(cx, user, user.totp.as_deref())?;
        let step = totp::verify(&secret, &plain, cx.now, user.totp_step);
        return Ok(match step {
            Some(step) => user::use_totp_step(db, &user.id, step)?,
            None => false,
        });
    }
    let hash = recovery_hash(&user.id, &plain.to_lowercase());
    let actor = Actor {
        account_id: Some(user.account_id.clone()),
        user_id: Some(user.id.clone()),
        who: user.email.clone(),
        via: "recovery code".to_owned(),
        address: String::new(),
    };
    Ok(transaction(db, || {
        let used = user::use_recovery_code(db, &user.id, &hash, cx.now)?;
        if used {
            let left = user::recovery_codes_left(db, &user.id)?;
            let change = Change {
                action: "person.recovery_code_used",
                subject_id: &user.id,
                subject: &user.email,
                after: Some(json!({"codes_left": left})),
                ..Change::default()
            };
            audit::record(db, cx.now, &actor, &change)?;
        }
        Ok::<_, store::Error>(used)
    })?)
}

fn opened(cx: &Context<'_>, user: &User, sealed: Option<&str>) -> Result<Vec<u8>, Problem> {
    let sealer = Sealer::new(&cx.config.secret_key);
    let text = sealed.and_then(|sealed| sealer.open(&place(&user.id), sealed));
    text.and_then(|text| totp::of_base32(&text)).ok_or_else(|| {
        Problem::new(500, "The second factor cannot be read")
            .detail("The installation's `secret_key` is another one than when it was set up. Use a recovery code, and tell the operator.")
    })
}

fn recovery_hash(user_id: &str, plain: &str) -> String {
    token_hash("recovery", &format!("{user_id}/{plain}"))
}

/// What proves that somebody is who they are.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Proof {
    /// The person's password.
    pub password: String,
    /// A code of the second factor, when there is one.
    #[serde(default)]
    pub code: Option<String>,
}

/// What an authenticator app needs, shown once.
#[derive(Debug, Serialize)]
pub struct Setup {
    /// For those who type it.
    pub secret: String,
    /// For apps on the same device.
    pub uri: String,
    /// For those who scan it: SVG.
    pub qr: String,
}

/// Begins to set up a second factor. It is not asked for before a code of it was shown.
///
/// # Errors
/// 422 for a wrong password, 409 when there is one.
pub fn begin(
    cx: &Context<'_>,
    db: &dyn Db,
    caller: &Caller,
    proof: &Proof,
) -> Result<Setup, Problem> {
    let user = account::person(db, caller)?;
    if user.totp.is_some() {
        return Err(Problem::new(409, "There is a second factor")
            .detail("Remove it before you set up another one."));
    }
    account::prove(cx, db, &user, "password", &proof.password)?;
    let mut secret = [0; totp::SECRET];
    getrandom::fill(&mut secret).expect("the host gives random bytes");
    let text = totp::base32(&secret);
    let sealed = Sealer::new(&cx.config.secret_key).seal(&place(&user.id), &text);
    user::set_totp_pending(db, &user.id, &sealed)?;
    Ok(shown(&secret, &user.email))
}

fn shown(secret: &[u8], email: &str) -> Setup {
    let uri = totp::uri(secret, email);
    Setup {
        secret: totp::base32(secret),
        qr: totp::svg(&uri).unwrap_or_default(),
        uri,
    }
}

/// What is being set up, once more; none when nothing is.
///
/// # Errors
/// When the store fails, or it cannot be opened.
pub fn pending(cx: &Context<'_>, user: &User) -> Result<Option<Setup>, Problem> {
    match &user.totp_pending {
        None => Ok(None),
        sealed => Ok(Some(shown(
            &opened(cx, user, sealed.as_deref())?,
            &user.email,
        ))),
    }
}

/// What ends the setting up.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Code {
    /// What the app shows.
    pub code: String,
}

/// Recovery codes, shown once.
#[derive(Debug, Serialize)]
pub struct RecoveryCodes {
    /// Each works once in the place of a code.
    pub recovery_codes: Vec<String>,
}

/// Ends the setting up: from now on log-in asks for a code.
///
/// # Errors
/// 422 for a wrong code, 409 when nothing is being set up, 429 after many wrong codes.
pub fn enable(
    cx: &Context<'_>,
    db: &dyn Db,
    caller: &Caller,
    input: &Code,
) -> Result<RecoveryCodes, Problem> {
    let user = account::person(db, caller)?;
    let sealed = user.totp_pending.as_deref().ok_or_else(none_pending)?;
    brake::take(cx, db, &[(Kind::Code, &user.id)])?;
    let secret = opened(cx, &user, Some(sealed))?;
    let plain: String = input.code.chars().filter(char::is_ascii_digit).collect();
    let Some(step) = totp::verify(&secret, &plain, cx.now, 0) else {
        return Err(Problem::invalid(
            "code",
            "must be what the app shows now; is the clock of this device right?",
        ));
    };
    brake::release(db, Kind::Code, &user.id)?;
    let codes = new_codes();
    transaction(db, || {
        // Somebody began anew meanwhile: the app that showed this code knows another secret.
        if !user::enable_totp(db, &user.id, step, sealed)? {
            return Err(none_pending());
        }
        keep_codes(db, &user.id, &codes)?;
        note(cx, db, &caller.actor, &user, "person.second_factor_on")?;
        let (subject, text) = mail::second_factor(true);
        Ok(tell(cx, db, &user, "second_factor", subject, text)?)
    })?;
    Ok(RecoveryCodes {
        recovery_codes: codes,
    })
}

fn none_pending() -> Problem {
    Problem::new(409, "No second factor is being set up")
        .detail("Begin with your password. Nothing was changed.")
}

fn new_codes() -> Vec<String> {
    let code = |_| {
        let mut random = [0; 10];
        getrandom::fill(&mut random).expect("the host gives random bytes");
        let text = BASE32_NOPAD.encode(&random).to_lowercase();
        let (a, b) = text.split_at(8);
        let ((a, b), (c, d)) = (a.split_at(4), b.split_at(4));
        format!("{a}-{b}-{c}-{d}")
    };
    (0..CODES).map(code).collect()
}

fn keep_codes(db: &dyn Db, user_id: &str, codes: &[String]) -> store::Result<()> {
    let hash = |code: &String| recovery_hash(user_id, &code.replace('-', ""));
    let hashes: Vec<_> = codes.iter().map(hash).collect();
    user::set_recovery_codes(db, user_id, &hashes)
}

fn note(cx: &Context<'_>, db: &dyn Db, by: &Actor, user: &User, action: &str) -> store::Result<()> {
    let change = Change {
        action,
        subject_id: &user.id,
        subject: &user.email,
        ..Change::default()
    };
    audit::record(db, cx.now, by, &change)
}

/// Checks password and code of somebody who has a second factor.
fn prove(cx: &Context<'_>, db: &dyn Db, caller: &Caller, proof: &Proof) -> Result<User, Problem> {
    let user = account::person(db, caller)?;
    if user.totp.is_none() {
        return Err(Problem::new(409, "There is no second factor").detail("Nothing was changed."));
    }
    account::prove(cx, db, &user, "password", &proof.password)?;
    confirm(cx, db, &user, proof.code.as_deref())?;
    Ok(user)
}

/// As [`require`], for somebody who is signed in.
///
/// # Errors
/// 422 with the field `code`, 429 after many wrong codes.
pub fn confirm(
    cx: &Context<'_>,
    db: &dyn Db,
    user: &User,
    code: Option<&str>,
) -> Result<(), Problem> {
    match require(cx, db, user, code) {
        Err(problem) if problem.status == 401 => Err(Problem {
            status: 422,
            ..problem
        }),
        other => other,
    }
}

/// Removes the second factor.
///
/// # Errors
/// 422 for a wrong password or code, 409 when there is none.
pub fn disable(cx: &Context<'_>, db: &dyn Db, caller: &Caller, proof: &Proof) -> Answer {
    let user = prove(cx, db, caller, proof)?;
    transaction(db, || {
        user::disable_totp(db, &user.id)?;
        note(cx, db, &caller.actor, &user, "person.second_factor_off")?;
        let (subject, text) = mail::second_factor(false);
        tell(cx, db, &user, "second_factor", subject, text)
    })?;
    Ok(Response::no_content())
}

/// Makes new recovery codes; the old ones end.
///
/// # Errors
/// 422 for a wrong password or code, 409 when there is no second factor.
pub fn renew_codes(
    cx: &Context<'_>,
    db: &dyn Db,
    caller: &Caller,
    proof: &Proof,
) -> Result<RecoveryCodes, Problem> {
    let user = prove(cx, db, caller, proof)?;
    let codes = new_codes();
    transaction(db, || {
        keep_codes(db, &user.id, &codes)?;
        note(
            cx,
            db,
            &caller.actor,
            &user,
            "person.recovery_codes_renewed",
        )
    })?;
    Ok(RecoveryCodes {
        recovery_codes: codes,
    })
}

/// Whose second factor is lost.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lost {
    /// Their address.
    pub email: String,
}

/// Removes the second factor of somebody who lost it with all recovery codes: by the operator alone, who has to know
/// them in another way. The person is told, and their sessions stay.
///
/// # Errors
/// 401 for anybody else, 404 for an unknown address, 409 when there is no second factor.
pub fn reset(cx: &Context<'_>, db: &dyn Db, request: &Request) -> Answer {
    if !nodes::is_operator(cx, request) {
        return Err(Problem::unauthorized()
            .detail("Only the operator does this: `sluice person reset-factor EMAIL`."));
    }
    let input: Lost = request.json()?;
    let email = input::email("email", &input.email)?;
    let user = user::by_email(db, &email)?.ok_or_else(Problem::not_found)?;
    if user.totp.is_none() {
        return Err(Problem::new(409, "There is no second factor").detail("Nothing was changed."));
    }
    let operator = Actor {
        account_id: Some(user.account_id.clone()),
        ..nodes::operator(request)
    };
    transaction(db, || {
        user::disable_totp(db, &user.id)?;
        brake::release(db, Kind::Code, &user.id)?;
        note(cx, db, &operator, &user, "person.second_factor_reset")?;
        let (subject, text) = mail::second_factor(false);
        tell(cx, db, &user, "second_factor", subject, text)
    })?;
    Ok(Response::no_content())
}
