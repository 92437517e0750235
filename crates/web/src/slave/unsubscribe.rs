//! The link in every mail (RFC 2369, RFC 8058). A `GET` changes nothing, since scanners follow links; a `POST`,
//! by a mail program's button or by the page's, suppresses the address at once.

use domain::lead::Field;
use http::Method;
use store::event::{self, Event};
use store::{lead, link_key, request, suppression, transaction};

use crate::http::{Answer, Problem, Request};
use crate::pages;
use crate::seal::{LinkKey, Sealer};
use crate::slave::Scope;

/// Answers `/s/{id}/u/{token}`.
///
/// # Errors
/// 404 for a link that we did not make.
pub fn handle(scope: &Scope<'_>, request: &Request, token: &str) -> Answer {
    let lead_id = signed_lead(scope, token)?.ok_or_else(Problem::not_found)?;
    let lead = lead::get(&*scope.db, lead_id)?.ok_or_else(Problem::not_found)?;
    let email = lead
        .fields
        .get(Field::Email)
        .ok_or_else(Problem::not_found)?;
    match request.method {
        Method::GET | Method::HEAD => {
            let done = suppression::reason(&*scope.db, email)?.is_some();
            Ok(pages::routes::unsubscribe(scope, token, email, done))
        }
        Method::POST => {
            unsubscribe(scope, lead_id, email)?;
            Ok(pages::routes::unsubscribe(scope, token, email, true))
        }
        _ => Err(Problem::method_not_allowed()),
    }
}

/// The lead of a link that was made here, or where the sub-account lived before.
fn signed_lead(scope: &Scope<'_>, token: &str) -> store::Result<Option<i64>> {
    let id = &scope.tenant.id;
    let sealer = Sealer::new(&scope.cx.config.secret_key);
    let of = |key: LinkKey| key.signed_lead(id, token);
    if let Some(lead) = of(sealer.link_key(id)).or_else(|| of(sealer.old_link_key())) {
        return Ok(Some(lead));
    }
    let brought = link_key::all(&*scope.control, id)?;
    let opened = |sealed: &String| LinkKey::of_text(&sealer.open(&LinkKey::place(id), sealed)?);
    Ok(brought.iter().filter_map(opened).find_map(of))
}

fn unsubscribe(scope: &Scope<'_>, lead_id: i64, email: &str) -> Result<(), Problem> {
    let (db, now) = (&*scope.db, scope.cx.now);
    scope.promising(&["rule", "timeline"], || {
        transaction(db, || {
            if suppression::insert(db, email, "unsubscribed", Some(lead_id), now)? {
                let kind = "unsubscribed".to_owned();
                event::insert(
                    db,
                    &Event {
                        at: now,
                        kind,
                        lead_id: Some(lead_id),
                        ..Event::default()
                    },
                )?;
            }
            request::abort_of_lead(db, lead_id, "The lead unsubscribed.", now)?;
            Ok(())
        })
    })
}
