//! Sign-up, log-in, log-out.

use domain::identity::Role;
use http::header;
use serde::{Deserialize, Serialize};
use serde_json::json;
use store::audit::{self, Actor, Change};
use store::session::{self, Session};
use store::user::{self, User};
use store::{Db, transaction};

use crate::auth::{self, Credential, PASSWORD};
use crate::client::Client;
use crate::context::{Context, new_id, random_text};
use crate::http::{Answer, Problem, Request, Response};
use crate::input;
use crate::master::brake::{self, Kind};
use crate::master::caller::{Caller, session_name};
use crate::master::{confirmation, second_factor};
use crate::seal::Sealer;

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
    /// A code of their second factor, or a recovery code, when they have one.
    #[serde(default)]
    pub code: Option<String>,
}

/// A session that has just begun.
pub struct SignedIn {
    user: User,
    account_name: String,
    token: String,
}

impl SignedIn {
    /// Somebody with the token of their session.
    pub fn new(user: User, account_name: String, token: String) -> Self {
        SignedIn {
            user,
            account_name,
            token,
        }
    }

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
        auth::set_cookie(&self.token, cx)
    }

    /// Whether they may do nothing before they confirm their address.
    pub fn must_confirm(&self, cx: &Context<'_>) -> bool {
        cx.config.confirm_required && self.user.confirmed_at.is_none()
    }
}

/// Refuses a password that is too short or too long.
///
/// # Errors
/// 422 with the field.
pub fn check_password(field: &str, password: &str) -> Result<(), Problem> {
    if PASSWORD.contains(&password.chars().count()) {
        return Ok(());
    }
    let (min, max) = (PASSWORD.start(), PASSWORD.end());
    Err(Problem::invalid(
        field,
        format!("must have {min} to {max} characters"),
    ))
}

/// Makes an account with its first person and signs them in.
///
/// # Errors
/// 422 for a field that cannot be taken, 409 when the address is taken, 429 after many accounts of one client.
pub fn sign_up(
    cx: &Context<'_>,
    db: &dyn Db,
    request: &Request,
    input: &SignUp,
) -> Result<SignedIn, Problem> {
    let email = input::email("email", &input.email)?;
    let account_name = input::name("account", &input.account)?;
    check_password("password", &input.password)?;
    let client = Client::of(request).counted();
    if let Some(client) = &client {
        brake::take(cx, db, &[(Kind::SignUp, client)])?;
    }
    if user::by_email(db, &email)?.is_some() {
        return Err(taken());
    }
    let hash = auth::hash_password(&input.password)?;
    let (id, account_id) = (new_id(cx.now), new_id(cx.now));
    let user = User::new(id, account_id, email, hash, Role::Owner, cx.now);
    let token = transaction(db, || {
        if !user::sign_up(db, &user, &account_name, cx.now)? {
            return Err(taken());
        }
        let token = begin_session(cx, db, request, &user)?;
        let actor = actor(&user, "sign-up", request);
        let change = Change {
            action: "account.created",
            subject_id: &user.account_id,
            subject: &account_name,
            ..Change::default()
        };
        audit::record(db, cx.now, &actor, &change)?;
        confirmation::post(cx, db, &user)?;
        Ok(token)
    })?;
    Ok(SignedIn::new(user, account_name, token))
}

/// Somebody else has the address.
pub fn taken() -> Problem {
    Problem {
        status: 409,
        title: "The address is taken".into(),
        ..Problem::invalid("email", "somebody has signed up with it; log in instead")
    }
}

/// A person who is not signed in, as the audit log names them.
pub fn actor(user: &User, via: &str, request: &Request) -> Actor {
    Actor {
        account_id: Some(user.account_id.clone()),
        user_id: Some(user.id.clone()),
        who: user.email.clone(),
        via: via.to_owned(),
        address: Client::of(request).text(),
    }
}

/// Begins a session and gives its token, which is new: what the browser held before ends. Call it inside a transaction.
///
/// # Errors
/// When the store fails.
pub fn begin_session(
    cx: &Context<'_>,
    db: &dyn Db,
    request: &Request,
    user: &User,
) -> store::Result<String> {
    if let Some(credential @ Credential::Session(_)) = Credential::of(cx, request) {
        session::delete(db, &credential.hash())?;
    }
    let client = Client::of(request);
    let token = random_text(32);
    let session = Session {
        id: random_text(16),
        user_agent: client.agent.clone(),
        address: client.text(),
        host: cx.session_host().to_owned(),
        created_at: cx.now,
        last_seen_at: cx.now,
        expires_at: cx.now + auth::SESSION,
    };
    let hash = Credential::Session(token.clone()).hash();
    session::insert(db, &hash, &user.id, &session)?;
    let name = session_name(&session.id);
    let change = Change {
        action: "session.begun",
        subject_id: &session.id,
        subject: &user.email,
        after: Some(json!({"user_agent": session.user_agent})),
        ..Change::default()
    };
    audit::record(db, cx.now, &actor(user, &name, request), &change)?;
    Ok(token)
}

fn wrong() -> Problem {
    Problem::new(401, "Log-in failed")
        .detail("The address and the password do not belong together.")
}

/// Signs a person in.
///
/// # Errors
/// 401 when address and password do not belong together, or when a code is needed or wrong (field `code`), 429 after many
/// failures.
pub fn log_in(
    cx: &Context<'_>,
    db: &dyn Db,
    request: &Request,
    input: &LogIn,
) -> Result<SignedIn, Problem> {
    let user = first_step(cx, db, request, input)?;
    second_step(cx, db, request, user, input.code.as_deref())
}

/// The person that address and password belong to. They are not signed in by that.
///
/// # Errors
/// 401 when the two do not belong together, 429 after many failures.
pub fn first_step(
    cx: &Context<'_>,
    db: &dyn Db,
    request: &Request,
    input: &LogIn,
) -> Result<User, Problem> {
    let email = domain::address::normalize(&input.email).map_err(|_| wrong())?;
    let (client, here) = (Client::of(request).counted(), here(&email, request));
    let mut counted = vec![
        (Kind::Account, here.as_str()),
        (Kind::Person, email.as_str()),
    ];
    counted.extend(client.as_deref().map(|client| (Kind::Address, client)));
    let tries = brake::take(cx, db, &counted)?;
    let user = user::by_email(db, &email)?;
    let too_long = input.password.len() > 4 * PASSWORD.end();
    let hash = user.as_ref().map(|u| u.password_hash.as_str());
    let right = !too_long && auth::verify_password(&input.password, hash);
    if let Some(user) = user.filter(|_| right)
        && belongs(cx, db, &user)?
    {
        brake::give_back(db, &tries)?;
        return Ok(user);
    }
    Err(wrong())
}

/// The name under which a client's passwords for an address are counted.
fn here(email: &str, request: &Request) -> String {
    let client = Client::of(request).counted().unwrap_or_default();
    format!("{email} {client}")
}

/// Somebody has shown who they are: what was guessed before counts no more.
///
/// # Errors
/// When the store fails.
pub fn forget_guesses(db: &dyn Db, email: &str, request: &Request) -> store::Result<()> {
    brake::release(db, Kind::Account, &here(email, request))
}

/// Whether somebody may log in on the host they came by: on that of a sub-account only who may see it. To others it
/// does not even say that they have an account elsewhere.
///
/// # Errors
/// When the store fails.
pub fn belongs(cx: &Context<'_>, db: &dyn Db, user: &User) -> Result<bool, Problem> {
    let Some(subaccount) = cx.own.as_ref().and_then(|own| own.subaccount.as_deref()) else {
        return Ok(true);
    };
    let who = user::identity_of(db, user)?;
    let known = store::subaccount::get(db, subaccount, &user.account_id)?.is_some();
    Ok(known && who.role_in(subaccount).is_some())
}

/// Signs in who has shown their password, when they show a code too or need none.
///
/// # Errors
/// 401 when a code is needed or wrong (field `code`), 429 after many wrong codes.
pub fn second_step(
    cx: &Context<'_>,
    db: &dyn Db,
    request: &Request,
    user: User,
    code: Option<&str>,
) -> Result<SignedIn, Problem> {
    second_factor::require(cx, db, &user, code)?;
    forget_guesses(db, &user.email, request)?;
    let token = transaction(db, || begin_session(cx, db, request, &user))?;
    let account_name = user::account_name(db, &user.account_id)?.unwrap_or_default();
    Ok(SignedIn::new(user, account_name, token))
}

/// How long somebody may take for the second step, in milliseconds.
const STEP: i64 = 10 * 60 * 1000;
/// Where tickets are sealed.
const TICKET: &str = "log-in/second-step";

/// Says, sealed, that somebody has shown their password just now: so a page need not ask for it twice, nor keep it.
pub fn ticket(cx: &Context<'_>, user: &User) -> String {
    let password = auth::token_hash("password", &user.password_hash);
    let text = format!("{} {} {password}", user.id, cx.now + STEP);
    Sealer::new(&cx.config.secret_key).seal(TICKET, &text)
}

/// Whose ticket this is; none when it is too old, or the password is another one by now.
///
/// # Errors
/// When the store fails.
pub fn of_ticket(cx: &Context<'_>, db: &dyn Db, ticket: &str) -> Result<Option<User>, Problem> {
    let text = Sealer::new(&cx.config.secret_key).open(TICKET, ticket);
    let text = text.unwrap_or_default();
    let [id, until, password] = text.split(' ').collect::<Vec<_>>()[..] else {
        return Ok(None);
    };
    if until.parse::<i64>().unwrap_or_default() <= cx.now {
        return Ok(None);
    }
    let same = |user: &User| auth::token_hash("password", &user.password_hash) == password;
    Ok(user::get(db, id)?.filter(same))
}

/// Checks the password of somebody who is signed in, before something that a stolen session must not do.
///
/// # Errors
/// 422 with the field for another password, 429 after many failures.
pub fn prove(
    cx: &Context<'_>,
    db: &dyn Db,
    user: &User,
    field: &str,
    password: &str,
) -> Result<(), Problem> {
    brake::take(cx, db, &[(Kind::Proof, &user.id)])?;
    let too_long = password.len() > 4 * PASSWORD.end();
    if too_long || !auth::verify_password(password, Some(&user.password_hash)) {
        return Err(Problem::invalid(
            field,
            "must be your password: this is another one",
        ));
    }
    brake::release(db, Kind::Proof, &user.id)?;
    Ok(())
}

/// The person behind a session.
///
/// # Errors
/// 403 for a key, 401 when they were removed just now.
pub fn person(db: &dyn Db, caller: &Caller) -> Result<User, Problem> {
    caller.session()?;
    user::get(db, &caller.who.user_id)?.ok_or_else(Problem::unauthorized)
}

/// Ends the session of the cookie.
///
/// # Errors
/// When the store fails.
pub fn log_out(cx: &Context<'_>, db: &dyn Db, request: &Request) -> Answer {
    if let Some(credential @ Credential::Session(_)) = Credential::of(cx, request) {
        let caller = Caller::of(cx, db, request)?;
        transaction(db, || {
            if session::delete(db, &credential.hash())?
                && let Some(caller) = &caller
            {
                let change = Change {
                    action: "session.ended",
                    subject_id: caller.who.session_id.as_deref().unwrap_or_default(),
                    subject: &caller.who.email,
                    ..Change::default()
                };
                audit::record(db, cx.now, &caller.actor, &change)?;
            }
            Ok::<_, store::Error>(())
        })?;
    }
    Ok(Response::no_content().with(header::SET_COOKIE, &auth::clear_cookie(cx)))
}

/// Who is calling, as the API says it.
#[derive(Debug, Serialize)]
pub struct Me {
    user: MeUser,
    account: MeAccount,
    role: Role,
    grants: std::collections::BTreeMap<String, Role>,
    #[serde(skip_serializing_if = "Option::is_none")]
    limits: Option<domain::identity::Limits>,
}

#[derive(Debug, Serialize)]
struct MeUser {
    id: String,
    email: String,
    confirmed: bool,
    second_factor: bool,
}

#[derive(Debug, Serialize)]
struct MeAccount {
    id: String,
    name: String,
}

/// Who the caller is.
///
/// # Errors
/// When the store fails.
pub fn me(db: &dyn Db, caller: &Caller) -> Answer {
    let who = &caller.who;
    let user = user::get(db, &who.user_id)?.ok_or_else(Problem::unauthorized)?;
    let me = Me {
        account: MeAccount {
            name: user::account_name(db, &who.account_id)?.unwrap_or_default(),
            id: user.account_id,
        },
        user: MeUser {
            id: user.id,
            email: user.email,
            confirmed: user.confirmed_at.is_some(),
            second_factor: user.totp.is_some(),
        },
        role: who.role,
        grants: who.grants.clone(),
        limits: who.limits.clone(),
    };
    Ok(Response::json(200, &me))
}
