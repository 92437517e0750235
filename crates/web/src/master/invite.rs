//! Invitations: sent by who administers an account, accepted by who reads the mail.

use std::collections::BTreeMap;

use domain::identity::{Action, Role};
use serde::{Deserialize, Serialize};
use serde_json::json;
use store::audit::{self, Change};
use store::invite::{self, Invite};
use store::token::{self, Purpose, Token};
use store::user::{self, User};
use store::{Db, transaction};

use crate::auth::{self, token_hash};
use crate::context::{Context, new_id};
use crate::front;
use crate::http::{Answer, Problem, Request, Response};
use crate::input;
use crate::master::account::{self, SignedIn, actor, check_password};
use crate::master::brake::{self, Kind};
use crate::master::caller::Caller;
use crate::master::confirmation::{link, spent};
use crate::master::mail;
use crate::master::outbox::{self, Letter};
use crate::master::person::{self, Grant};

/// How long an invitation holds, in milliseconds.
const LASTS: i64 = 7 * 24 * 60 * 60 * 1000;
/// Open invitations that an account may have.
const MAX: i64 = 200;

/// What inviting somebody takes.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewInvite {
    /// Their address.
    pub email: String,
    /// What they will be in the account.
    pub role: String,
    /// Where members and clients will work.
    #[serde(default)]
    pub grants: Vec<Grant>,
}

/// An invitation as the API shows it.
#[derive(Debug, Serialize)]
pub struct View {
    /// UUIDv7.
    pub id: String,
    /// Their address.
    pub email: String,
    /// What they will be in the account.
    pub role: Role,
    /// Where members and clients will work.
    pub grants: Vec<Grant>,
    /// Who invited them.
    pub invited_by: String,
    /// Milliseconds.
    pub created_at: i64,
    /// Milliseconds; it can be sent again then.
    pub expires_at: i64,
}

impl From<Invite> for View {
    fn from(i: Invite) -> Self {
        View {
            id: i.id,
            email: i.email,
            role: i.role,
            grants: person::grants(&i.grants),
            invited_by: i.invited_by,
            created_at: i.created_at,
            expires_at: i.expires_at,
        }
    }
}

/// Invites somebody. A second invitation to an address takes the place of the first.
///
/// # Errors
/// 403 for whoever may not, 422 for a bad field, 409 when they are in the team or there are too many.
pub fn create(
    cx: &Context<'_>,
    db: &dyn Db,
    caller: &Caller,
    input: &NewInvite,
) -> Result<View, Problem> {
    caller.require(Action::Administer)?;
    let email = input::email("email", &input.email)?;
    let role = person::role("role", &input.role)?;
    person::may_give(caller, role)?;
    let grants = grants(db, caller, role, &input.grants)?;
    let account_id = caller.who.account_id.clone();
    if user::by_email(db, &email)?.is_some_and(|u| u.account_id == account_id) {
        return Err(Problem {
            status: 409,
            title: "They are here already".into(),
            ..Problem::invalid("email", "belongs to somebody of your team")
        });
    }
    if invite::count(db, &account_id)? >= MAX {
        return Err(Problem::new(409, "Too many invitations").detail(format!(
            "An account has at most {MAX} open invitations. Revoke one first."
        )));
    }
    may_mail(cx, db, &account_id, &email)?;
    let invite = Invite {
        id: new_id(cx.now),
        account_id,
        email,
        role,
        invited_by_id: caller.who.user_id.clone(),
        invited_by: caller.who.email.clone(),
        created_at: cx.now,
        expires_at: cx.now + LASTS,
        grants,
    };
    transaction(db, || {
        invite::insert(db, &invite)?;
        post(cx, db, &invite)?;
        note(cx, db, caller, "invite.sent", &invite)
    })?;
    Ok(invite.into())
}

/// Counts a mail to somebody who did not ask for it.
fn may_mail(cx: &Context<'_>, db: &dyn Db, account_id: &str, email: &str) -> Result<(), Problem> {
    let counted = [(Kind::Invite, account_id), (Kind::Mail, email)];
    brake::take(cx, db, &counted).map(|_| ())
}

fn grants(
    db: &dyn Db,
    caller: &Caller,
    role: Role,
    asked: &[Grant],
) -> Result<BTreeMap<String, Role>, Problem> {
    if !asked.is_empty() && role >= Role::Admin {
        return Err(Problem::invalid(
            "grants",
            "owners and admins work everywhere: name none",
        ));
    }
    let one = |(i, grant)| person::granted(db, caller, &format!("grants[{i}]."), grant);
    asked.iter().enumerate().map(one).collect()
}

/// With the host that an invitation leads to. Who is to see one sub-account and nothing else begins where its people log in,
/// and reads its name; that host is in the hands of the sub-account (see `password::linked`).
fn led<'a>(cx: &Context<'a>, db: &dyn Db, invite: &Invite) -> store::Result<Context<'a>> {
    let mut places = invite.grants.keys();
    let own = match (invite.role, places.next(), places.next()) {
        (Role::Client, Some(only), None) => front::of_subaccount(db, only, cx.now)?,
        _ => None,
    };
    Ok(Context { own, ..cx.clone() })
}

fn post(cx: &Context<'_>, db: &dyn Db, invite: &Invite) -> store::Result<()> {
    let cx = &led(cx, db, invite)?;
    token::end_of_invite(db, &invite.id)?;
    let to = Token {
        user_id: None,
        invite_id: Some(invite.id.clone()),
        email: invite.email.clone(),
    };
    let link = link(cx, db, Purpose::Invite, &to, LASTS)?;
    let account = user::account_name(db, &invite.account_id)?.unwrap_or_default();
    let (subject, text) = mail::invite(&invite.invited_by, &account, &link);
    let letter = Letter {
        account_id: Some(&invite.account_id),
        cause: "invite",
        recipient: &invite.email,
        subject,
        text,
        send_before: Some(cx.now + LASTS),
    };
    outbox::post(cx, db, &letter, false)
}

fn state(invite: &Invite) -> serde_json::Value {
    json!({"role": invite.role, "grants": person::grants(&invite.grants), "expires_at": invite.expires_at})
}

fn note(
    cx: &Context<'_>,
    db: &dyn Db,
    caller: &Caller,
    action: &str,
    invite: &Invite,
) -> store::Result<()> {
    let change = Change {
        action,
        subject_id: &invite.id,
        subject: &invite.email,
        before: None,
        after: Some(state(invite)),
    };
    audit::record(db, cx.now, &caller.actor, &change)
}

/// The open invitations of the account, newest first.
///
/// # Errors
/// 403 for whoever does not administer it.
pub fn views(db: &dyn Db, caller: &Caller) -> Result<Vec<View>, Problem> {
    caller.require(Action::Administer)?;
    let invites = invite::list(db, &caller.who.account_id)?;
    Ok(invites.into_iter().map(View::from).collect())
}

/// The same as JSON.
///
/// # Errors
/// 403 for whoever does not administer the account.
pub fn list(db: &dyn Db, caller: &Caller) -> Answer {
    Ok(Response::json(200, &json!({"items": views(db, caller)?})))
}

fn find(db: &dyn Db, caller: &Caller, id: &str) -> Result<Invite, Problem> {
    caller.require(Action::Administer)?;
    invite::get(db, id, &caller.who.account_id)?.ok_or_else(Problem::not_found)
}

/// Sends an invitation once more; it holds anew, and the link of the last mail ends.
///
/// # Errors
/// 403 for whoever may not, 404, 429 after some mails.
pub fn resend(cx: &Context<'_>, db: &dyn Db, caller: &Caller, id: &str) -> Result<View, Problem> {
    let mut invite = find(db, caller, id)?;
    person::may_give(caller, invite.role)?;
    may_mail(cx, db, &invite.account_id, &invite.email)?;
    invite.expires_at = cx.now + LASTS;
    transaction(db, || {
        if !invite::extend(db, id, invite.expires_at)? {
            return Err(Problem::not_found());
        }
        post(cx, db, &invite)?;
        Ok(note(cx, db, caller, "invite.sent_again", &invite)?)
    })?;
    Ok(invite.into())
}

/// Takes an invitation back; its link ends at once.
///
/// # Errors
/// 403 for whoever may not, 404.
pub fn revoke(cx: &Context<'_>, db: &dyn Db, caller: &Caller, id: &str) -> Answer {
    let invite = find(db, caller, id)?;
    transaction(db, || match end(cx, db, caller, &invite)? {
        true => Ok(()),
        false => Err(Problem::not_found()),
    })?;
    Ok(Response::no_content())
}

/// Ends an invitation with its link; false when there is nothing to end.
fn end(cx: &Context<'_>, db: &dyn Db, caller: &Caller, invite: &Invite) -> store::Result<bool> {
    let ended = invite::revoke(db, &invite.id, &invite.account_id, cx.now)?;
    if ended {
        token::end_of_invite(db, &invite.id)?;
        note(cx, db, caller, "invite.revoked", invite)?;
    }
    Ok(ended)
}

/// Ends what somebody sent and could not send as what they are now. Call it inside the transaction that makes less of
/// them; whoever is removed takes their invitations along.
///
/// # Errors
/// When the store fails.
pub fn end_of(cx: &Context<'_>, db: &dyn Db, caller: &Caller, sender: &User) -> store::Result<()> {
    for invite in invite::list(db, &sender.account_id)? {
        if invite.invited_by_id == sender.id && !may_send(sender.role, invite.role) {
            end(cx, db, caller, &invite)?;
        }
    }
    Ok(())
}

/// Whether somebody of one role may invite people to another.
fn may_send(sender: Role, role: Role) -> bool {
    sender.may(Action::Administer) && sender >= role
}

/// An invitation by the secret part of its link, with the account's name, without using it up.
///
/// # Errors
/// 404 when it cannot be accepted any more.
pub fn look(cx: &Context<'_>, db: &dyn Db, secret: &str) -> Result<(Invite, String), Problem> {
    let hash = token_hash(Purpose::Invite.name(), secret);
    let token = token::look(db, &hash, Purpose::Invite, cx.now)?;
    let id = token.and_then(|t| t.invite_id).ok_or_else(spent)?;
    let invite = invite::open(db, &id, cx.now)?.ok_or_else(spent)?;
    sent_rightly(db, &invite)?;
    let account = user::account_name(db, &invite.account_id)?.unwrap_or_default();
    Ok((invite, account))
}

/// Passes an invitation that its sender could send today as well.
fn sent_rightly(db: &dyn Db, invite: &Invite) -> Result<(), Problem> {
    let sender = user::get(db, &invite.invited_by_id)?;
    match sender.is_some_and(|sender| may_send(sender.role, invite.role)) {
        true => Ok(()),
        false => Err(spent()),
    }
}

/// What accepting takes.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Acceptance {
    /// The secret part of the link.
    pub token: String,
    /// 8 to 256 characters.
    pub password: String,
}

/// Makes who read the mail a person of the account, and signs them in.
///
/// # Errors
/// 404 when the link does not work any more, 422 for an unfit password, 409 when the address has an account.
pub fn accept(
    cx: &Context<'_>,
    db: &dyn Db,
    request: &Request,
    input: &Acceptance,
) -> Result<SignedIn, Problem> {
    check_password("password", &input.password)?;
    let (invite, account_name) = look(cx, db, &input.token)?;
    let password = auth::hash_password(&input.password)?;
    let mut user = User::new(
        new_id(cx.now),
        invite.account_id.clone(),
        invite.email.clone(),
        password,
        invite.role,
        cx.now,
    );
    // The link came by a mail to this address.
    user.confirmed_at = Some(cx.now);
    let session = transaction(db, || {
        let hash = token_hash(Purpose::Invite.name(), &input.token);
        token::take(db, &hash, Purpose::Invite, cx.now)?.ok_or_else(spent)?;
        sent_rightly(db, &invite)?;
        if !user::insert(db, &user)? {
            return Err(account_elsewhere());
        }
        if !invite::accept(db, &invite.id, &user.id, cx.now)? {
            return Err(spent());
        }
        let change = Change {
            action: "person.joined",
            subject_id: &user.id,
            subject: &user.email,
            before: None,
            after: Some(state(&invite)),
        };
        audit::record(db, cx.now, &actor(&user, "link", request), &change)?;
        Ok(account::begin_session(cx, db, request, &user)?)
    })?;
    Ok(SignedIn::new(user, account_name, session))
}

fn account_elsewhere() -> Problem {
    Problem::new(409, "This address has an account").detail(
        "One address works in one account. Have the invitation sent to another address of yours.",
    )
}
