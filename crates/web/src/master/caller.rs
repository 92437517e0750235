//! Who is calling the master, and how the audit log names them.

use domain::identity::{Action, Identity};
use store::audit::Actor;
use store::{Db, api_key, session, user};

use crate::auth::{Credential, KEY_PREFIX};
use crate::client::Client;
use crate::context::Context;
use crate::http::{Problem, Request};
use crate::master::node::Introspect;

/// Somebody who is signed in, by session or by key.
#[derive(Debug, Clone)]
pub struct Caller {
    /// Who they are and what they may do.
    pub who: Identity,
    /// As whom the audit log knows them.
    pub actor: Actor,
    /// Whether they still have to show that their address is theirs before they may do anything else.
    pub unconfirmed: bool,
}

/// How many characters of a session's name, or of a key behind its mark, are shown.
const SHOWN: usize = 6;

/// The first characters of a key, by which people tell keys apart.
pub fn key_prefix(key: &str) -> String {
    key.chars().take(KEY_PREFIX.len() + SHOWN).collect()
}

impl Caller {
    /// Who sent a request, if anybody who is known.
    ///
    /// # Errors
    /// When the store fails.
    pub fn of(cx: &Context<'_>, db: &dyn Db, request: &Request) -> Result<Option<Caller>, Problem> {
        let Some(credential) = Credential::of(cx, request) else {
            return Ok(None);
        };
        let Some(who) = find(
            cx,
            db,
            credential.kind(),
            &credential.hash(),
            cx.session_host(),
        )?
        else {
            return Ok(None);
        };
        let via = match &credential {
            Credential::Key(key) => format!("key {}", key_prefix(key)),
            Credential::Session(_) => session_name(who.session_id.as_deref().unwrap_or_default()),
        };
        let actor = Actor {
            account_id: Some(who.account_id.clone()),
            user_id: Some(who.user_id.clone()),
            who: who.email.clone(),
            via,
            address: Client::of(request).text(),
        };
        let unconfirmed = !is_confirmed(cx, db, &who)?;
        Ok(Some(Caller {
            who,
            actor,
            unconfirmed,
        }))
    }

    /// Passes whoever may do something to the account.
    ///
    /// # Errors
    /// 403.
    pub fn require(&self, action: Action) -> Result<(), Problem> {
        match self.who.may(action) {
            true => Ok(()),
            false => Err(Problem::lacks(action)),
        }
    }

    /// Passes people who are signed in, and gives their session's name: a key must not change what proves who its owner is.
    ///
    /// # Errors
    /// 403 for a key.
    pub fn session(&self) -> Result<&str, Problem> {
        self.who.session_id.as_deref().ok_or_else(|| {
            Problem::new(403, "This is for people, not for keys")
                .detail("Sign in with your password to do this. Nothing was changed.")
        })
    }
}

/// How the log names a session.
pub fn session_name(id: &str) -> String {
    let shown: String = id.chars().take(SHOWN).collect();
    format!("session {shown}")
}

fn find(
    cx: &Context<'_>,
    db: &dyn Db,
    kind: &str,
    token_hash: &str,
    host: &str,
) -> store::Result<Option<Identity>> {
    match kind {
        "key" => api_key::find(db, token_hash, cx.now),
        "session" => session::find(db, token_hash, host, cx.now),
        _ => Ok(None),
    }
}

fn is_confirmed(cx: &Context<'_>, db: &dyn Db, who: &Identity) -> store::Result<bool> {
    if !cx.config.confirm_required {
        return Ok(true);
    }
    Ok(user::get(db, &who.user_id)?.is_some_and(|u| u.confirmed_at.is_some()))
}

/// Whom the master vouches for: the owner of a live credential, given by its kind and hash, who may work.
///
/// # Errors
/// When the store fails.
pub fn vouch(
    cx: &Context<'_>,
    db: &dyn Db,
    asked: &Introspect,
) -> Result<Option<Identity>, Problem> {
    let Some(who) = find(cx, db, &asked.kind, &asked.token_hash, &asked.host)? else {
        return Ok(None);
    };
    Ok(is_confirmed(cx, db, &who)?.then_some(who))
}
