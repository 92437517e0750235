//! Passwords: changed by who knows the old one, or chosen anew by who forgot it.

use domain::identity::Role;
use serde::Deserialize;
use serde_json::json;
use store::audit::{self, Change};
use store::token::{self, Purpose, Token};
use store::user::{self, User};
use store::{Db, api_key, session, transaction};

use crate::auth::{self, token_hash};
use crate::client::Client;
use crate::context::Context;
use crate::http::{Answer, Problem, Request, Response};
use crate::input;
use crate::master::account::{self, actor, check_password};
use crate::master::brake::{self, Kind};
use crate::master::caller::Caller;
use crate::master::confirmation::{link, spent, tell};
use crate::master::mail;
use crate::master::outbox::{self, Letter};
use crate::master::second_factor;

/// How long a link to a new password works, in milliseconds.
const RESET: i64 = 30 * 60 * 1000;

/// What changing a password takes.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewPassword {
    /// The one until now.
    pub old_password: String,
    /// 8 to 256 characters.
    pub new_password: String,
    /// A code of the second factor, when there is one.
    #[serde(default)]
    pub code: Option<String>,
}

/// Changes a password. All other sessions of the person end.
///
/// # Errors
/// 422 for a wrong or an unfit password or a wrong code, 429 after many failures.
pub fn change(cx: &Context<'_>, db: &dyn Db, caller: &Caller, input: &NewPassword) -> Answer {
    let user = account::person(db, caller)?;
    check_password("new_password", &input.new_password)?;
    account::prove(cx, db, &user, "old_password", &input.old_password)?;
    second_factor::confirm(cx, db, &user, input.code.as_deref())?;
    let hash = auth::hash_password(&input.new_password)?;
    let session = caller.session()?;
    transaction(db, || {
        user::set_password(db, &user.id, &hash)?;
        token::end_of_user(db, &user.id, Purpose::Reset)?;
        let ended = session::delete_others(db, &user.id, session)?;
        let change = Change {
            action: "person.password_changed",
            subject_id: &user.id,
            subject: &user.email,
            after: Some(json!({"sessions_ended": ended})),
            ..Change::default()
        };
        audit::record(db, cx.now, &caller.actor, &change)?;
        let (subject, text) = mail::password_changed(&forgot(cx), 0);
        tell(cx, db, &user, "password_changed", subject, text)
    })?;
    Ok(Response::no_content())
}

fn forgot(cx: &Context<'_>) -> String {
    format!("{}/forgot", cx.url())
}

/// What asking for a new password takes.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Forgotten {
    /// The person's address.
    pub email: String,
}

/// Sends a link to a new password, if somebody has the address. The answer, and what is written on the way to it, are
/// the same if nobody has: neither tells who has an account.
///
/// # Errors
/// 422 for what is no address, 429 after many calls of one client.
pub fn forget(cx: &Context<'_>, db: &dyn Db, request: &Request, input: &Forgotten) -> Answer {
    let email = input::email("email", &input.email)?;
    if let Some(client) = Client::of(request).counted() {
        brake::take(cx, db, &[(Kind::Forgot, &client)])?;
    }
    let answer = Response::json(202, &json!({"email": email}));
    // Nobody's mailbox is to be filled by strangers; that it was spared is nobody's business either.
    match brake::take(cx, db, &[(Kind::Reset, &email)]) {
        Err(problem) if problem.status == 429 => return Ok(answer),
        taken => taken?,
    };
    let user = user::by_email(db, &email)?;
    let cx = &linked(cx, db, user.as_ref())?;
    transaction(db, || {
        let user_id = user.as_ref().map(|u| u.id.clone());
        token::end_of_user(db, user_id.as_deref().unwrap_or("nobody"), Purpose::Reset)?;
        let to = Token {
            user_id,
            invite_id: None,
            email: email.clone(),
        };
        let link = link(cx, db, Purpose::Reset, &to, RESET)?;
        let (subject, text) = mail::reset(cx.product(), &link);
        let letter = Letter {
            account_id: user.as_ref().map(|u| u.account_id.as_str()),
            cause: "reset",
            recipient: &email,
            subject,
            text,
            send_before: Some(cx.now + RESET),
        };
        outbox::post(cx, db, &letter, user.is_none())
    })?;
    Ok(answer)
}

/// With the host that a link to a new password may lead to. A host name is in the hands of the sub-account that proved
/// it, and who follows the link writes a password there: that is for those whom it lets in anyway, and for nobody who
/// runs an account.
fn linked<'a>(cx: &Context<'a>, db: &dyn Db, user: Option<&User>) -> Result<Context<'a>, Problem> {
    let own = match user {
        Some(user) if user.role < Role::Admin && account::belongs(cx, db, user)? => cx.own.clone(),
        _ => None,
    };
    Ok(Context { own, ..cx.clone() })
}

/// What choosing a new password takes.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reset {
    /// The secret part of the link.
    pub token: String,
    /// 8 to 256 characters.
    pub password: String,
}

/// Whether the person of a live link never showed that the address is theirs: their keys end with a new password.
///
/// # Errors
/// When the store fails.
pub fn ends_keys(cx: &Context<'_>, db: &dyn Db, token: &str) -> Result<bool, Problem> {
    let hash = token_hash(Purpose::Reset.name(), token);
    let link = token::look(db, &hash, Purpose::Reset, cx.now)?;
    let user = match link.and_then(|link| link.user_id) {
        Some(id) => user::get(db, &id)?,
        None => None,
    };
    Ok(user.is_some_and(|user| user.confirmed_at.is_none()))
}

/// Chooses a new password by a link. All sessions of the person end; keys and the second factor stay, unless the address
/// was never confirmed. Says how many keys ended.
///
/// # Errors
/// 404 when the link does not work any more, 422 for an unfit password: the link is not used up then.
pub fn reset(
    cx: &Context<'_>,
    db: &dyn Db,
    request: &Request,
    input: &Reset,
) -> Result<u64, Problem> {
    check_password("password", &input.password)?;
    let hash = token_hash(Purpose::Reset.name(), &input.token);
    // Whoever has no link does not make us hash.
    token::look(db, &hash, Purpose::Reset, cx.now)?.ok_or_else(spent)?;
    let password = auth::hash_password(&input.password)?;
    transaction(db, || {
        let token = token::take(db, &hash, Purpose::Reset, cx.now)?.ok_or_else(spent)?;
        let id = token.user_id.as_deref().ok_or_else(spent)?;
        let user = user::get(db, id)?.ok_or_else(spent)?;
        if user.email != token.email {
            return Err(spent());
        }
        user::set_password(db, id, &password)?;
        // Who reads mails to an address has shown that it is theirs. Until now it may have been somebody else who signed
        // up with it: nothing that they left behind is to open the account.
        let mut keys_ended = 0;
        if user::confirm(db, id, cx.now)? {
            keys_ended = api_key::revoke_of_user(db, id, cx.now)?;
            user::disable_totp(db, id)?;
        }
        token::end_of_user(db, id, Purpose::Reset)?;
        token::end_of_user(db, id, Purpose::ChangeEmail)?;
        let ended = session::delete_all(db, id)?;
        account::forget_guesses(db, &user.email, request)?;
        brake::release(db, Kind::Person, &user.email)?;
        let change = Change {
            action: "person.password_reset",
            subject_id: id,
            subject: &user.email,
            after: Some(json!({"sessions_ended": ended, "keys_ended": keys_ended})),
            ..Change::default()
        };
        audit::record(db, cx.now, &actor(&user, "link", request), &change)?;
        let (subject, text) = mail::password_changed(&forgot(cx), keys_ended);
        tell(cx, db, &user, "password_changed", subject, text)?;
        Ok(keys_ended)
    })
}
