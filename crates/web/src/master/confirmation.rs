//! Showing that an address is one's own.

use serde::Deserialize;
use serde_json::json;
use store::audit::{self, Change};
use store::token::{self, Purpose, Token};
use store::user::{self, User};
use store::{Db, transaction};

use crate::auth::token_hash;
use crate::context::{Context, random_text};
use crate::http::{Answer, Problem, Request, Response};
use crate::input;
use crate::master::account::{self, actor};
use crate::master::brake::{self, Kind};
use crate::master::caller::Caller;
use crate::master::mail;
use crate::master::outbox::{self, Letter};
use crate::master::second_factor;

const DAY: i64 = 24 * 60 * 60 * 1000;
/// How long a link to confirm an address works, in milliseconds.
const CONFIRM: i64 = 7 * DAY;
/// How long a link to a changed address works, in milliseconds.
const CHANGE: i64 = DAY;

/// A new single-use link: its secret part, whose hash is kept for the purpose. Call it inside a transaction.
///
/// # Errors
/// When the store fails.
pub fn link(
    cx: &Context<'_>,
    db: &dyn Db,
    purpose: Purpose,
    token: &Token,
    lasting: i64,
) -> store::Result<String> {
    let secret = random_text(32);
    let hash = token_hash(purpose.name(), &secret);
    token::insert(db, &hash, purpose, token, cx.now, cx.now + lasting)?;
    let page = match purpose {
        Purpose::Confirm | Purpose::ChangeEmail => "confirm",
        Purpose::Reset => "reset",
        Purpose::Invite => "invite",
    };
    Ok(format!("{}/{page}?token={secret}", cx.url()))
}

/// The problem of a link that leads nowhere.
pub fn spent() -> Problem {
    Problem {
        status: 404,
        title: "This link does not work any more".into(),
        ..Problem::invalid(
            "token",
            "it was used, it is too old, or a newer one was sent; ask for another one",
        )
    }
}

/// The problem of somebody who still has to confirm their address.
pub fn first() -> Problem {
    Problem::new(403, "Confirm your e-mail address first").detail(
        "A mail with a link was sent to it. Until you have followed the link nothing else can be done.",
    )
}

/// Sends the link that confirms an address. Call it inside a transaction.
///
/// # Errors
/// When the store fails.
pub fn post(cx: &Context<'_>, db: &dyn Db, user: &User) -> store::Result<()> {
    token::end_of_user(db, &user.id, Purpose::Confirm)?;
    let to = Token {
        user_id: Some(user.id.clone()),
        invite_id: None,
        email: user.email.clone(),
    };
    let link = link(cx, db, Purpose::Confirm, &to, CONFIRM)?;
    let (subject, text) = mail::confirm(cx.product(), &link);
    let letter = Letter {
        account_id: Some(&user.account_id),
        cause: "confirm",
        recipient: &user.email,
        subject,
        text,
        send_before: Some(cx.now + CONFIRM),
    };
    outbox::post(cx, db, &letter, false)
}

/// Sends the link once more.
///
/// # Errors
/// 409 when the address is confirmed, 429 after some mails.
pub fn resend(cx: &Context<'_>, db: &dyn Db, caller: &Caller) -> Answer {
    let user = account::person(db, caller)?;
    if user.confirmed_at.is_some() {
        return Err(Problem::new(409, "The address is confirmed").detail("There is nothing to do."));
    }
    brake::take(cx, db, &[(Kind::Mail, &user.email)])?;
    transaction(db, || post(cx, db, &user))?;
    Ok(Response::json(202, &json!({"email": user.email})))
}

/// What confirming takes.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Confirmation {
    /// The secret part of the link.
    pub token: String,
}

/// Confirms the address that a link was sent to, and gives it.
///
/// # Errors
/// 404 when the link does not work any more, 409 when somebody else has the address by now.
pub fn confirm(
    cx: &Context<'_>,
    db: &dyn Db,
    request: &Request,
    input: &Confirmation,
) -> Result<String, Problem> {
    let take = |purpose: Purpose| {
        let hash = token_hash(purpose.name(), &input.token);
        token::take(db, &hash, purpose, cx.now)
    };
    transaction(db, || {
        if let Some(token) = take(Purpose::Confirm)? {
            return confirmed(cx, db, request, token);
        }
        let token = take(Purpose::ChangeEmail)?.ok_or_else(spent)?;
        changed(cx, db, request, token)
    })
}

fn person(db: &dyn Db, token: &Token) -> Result<User, Problem> {
    let id = token.user_id.as_deref().ok_or_else(spent)?;
    user::get(db, id)?.ok_or_else(spent)
}

fn confirmed(
    cx: &Context<'_>,
    db: &dyn Db,
    request: &Request,
    token: Token,
) -> Result<String, Problem> {
    let user = person(db, &token)?;
    // The link says something of the address it was sent to, and of no other.
    if user.email != token.email {
        return Err(spent());
    }
    if user::confirm(db, &user.id, cx.now)? {
        let change = Change {
            action: "person.confirmed",
            subject_id: &user.id,
            subject: &user.email,
            ..Change::default()
        };
        audit::record(db, cx.now, &actor(&user, "link", request), &change)?;
    }
    Ok(user.email)
}

fn changed(
    cx: &Context<'_>,
    db: &dyn Db,
    request: &Request,
    token: Token,
) -> Result<String, Problem> {
    let user = person(db, &token)?;
    if !user::set_email(db, &user.id, &token.email, cx.now)? {
        return Err(account::taken());
    }
    // Links that were sent to the old address say nothing of the new one.
    token::end_of_user(db, &user.id, Purpose::Reset)?;
    token::end_of_user(db, &user.id, Purpose::Confirm)?;
    token::end_of_user(db, &user.id, Purpose::ChangeEmail)?;
    let change = Change {
        action: "person.email_changed",
        subject_id: &user.id,
        subject: &token.email,
        before: Some(json!({"email": user.email})),
        after: Some(json!({"email": token.email})),
    };
    audit::record(db, cx.now, &actor(&user, "link", request), &change)?;
    let (subject, text) = mail::email_changed(&token.email);
    tell(cx, db, &user, "email_changed", subject, text)?;
    Ok(token.email)
}

/// Tells a person something, at the address they have. Call it inside a transaction.
///
/// # Errors
/// When the store fails.
pub fn tell(
    cx: &Context<'_>,
    db: &dyn Db,
    user: &User,
    cause: &str,
    subject: String,
    text: String,
) -> store::Result<()> {
    let letter = Letter {
        account_id: Some(&user.account_id),
        cause,
        recipient: &user.email,
        subject,
        text,
        send_before: None,
    };
    outbox::post(cx, db, &letter, false)
}

/// What changing the address takes.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewEmail {
    /// The new address.
    pub email: String,
    /// The person's password.
    pub password: String,
    /// A code of the second factor, when there is one.
    #[serde(default)]
    pub code: Option<String>,
}

/// Asks the new address whether it is theirs, and tells the old one. Whether somebody has that address is not told.
///
/// # Errors
/// 422 for a wrong password, code or address, 429 after some mails.
pub fn ask(cx: &Context<'_>, db: &dyn Db, caller: &Caller, input: &NewEmail) -> Answer {
    let user = account::person(db, caller)?;
    let email = input::email("email", &input.email)?;
    if email == user.email {
        return Err(Problem::invalid("email", "is your address already"));
    }
    account::prove(cx, db, &user, "password", &input.password)?;
    second_factor::confirm(cx, db, &user, input.code.as_deref())?;
    brake::take(cx, db, &[(Kind::Mail, &email)])?;
    let is_taken = user::by_email(db, &email)?.is_some();
    transaction(db, || {
        token::end_of_user(db, &user.id, Purpose::ChangeEmail)?;
        let to = Token {
            user_id: (!is_taken).then(|| user.id.clone()),
            invite_id: None,
            email: email.clone(),
        };
        let link = link(cx, db, Purpose::ChangeEmail, &to, CHANGE)?;
        let (subject, text) = mail::change_email(&user.email, &link);
        let letter = Letter {
            account_id: Some(&user.account_id),
            cause: "change_email",
            recipient: &email,
            subject,
            text,
            send_before: Some(cx.now + CHANGE),
        };
        outbox::post(cx, db, &letter, is_taken)?;
        let (subject, text) = mail::email_asked(&email);
        tell(cx, db, &user, "email_asked", subject, text)?;
        let change = Change {
            action: "person.email_change_asked",
            subject_id: &user.id,
            subject: &user.email,
            after: Some(json!({"email": email})),
            ..Change::default()
        };
        audit::record(db, cx.now, &caller.actor, &change)
    })?;
    Ok(Response::json(202, &json!({"email": email})))
}
