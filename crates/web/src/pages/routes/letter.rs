//! A mail as a lead gets it, written by the engine that sends.

use std::collections::BTreeMap;

use domain::lead::Fields;
use domain::template::{self, SUBJECT_MAX, TEMPLATE_MAX, TemplateError};
use store::content::Content;
use store::profile::Profile;

use crate::seal::Sealer;
use crate::slave::Scope;

/// Where the mails to a lead are unsubscribed from.
pub fn unsubscribe_url(scope: &Scope<'_>, lead_id: i64) -> String {
    let links = Sealer::new(&scope.cx.config.secret_key).link_key(&scope.tenant.id);
    let secret = links.sign_lead(&scope.tenant.id, lead_id);
    // For a look at a mail only: a path is as good where the address cannot be found out.
    let base = scope.base_url().unwrap_or_else(|_| scope.base());
    format!("{base}/u/{secret}")
}

/// A profile's `From`.
pub fn from(profile: &Profile) -> String {
    let view = crate::slave::profile::view(profile).unwrap_or_default();
    view["settings"]["from"]
        .as_str()
        .unwrap_or_default()
        .to_owned()
}

/// Subject and body for a lead, as `profile` would send them.
///
/// # Errors
/// What is wrong with a template, for this lead.
pub fn write(
    scope: &Scope<'_>,
    content: &Content,
    (lead_id, lead): (i64, &Fields),
    profile: Option<&Profile>,
) -> Result<(String, String), TemplateError> {
    let brand = store::setting::brand(&*scope.db).unwrap_or_default();
    let sender = profile.map(|p| stages::claim::sender_name(p, &brand));
    let extra = BTreeMap::from([
        ("unsubscribe_url", unsubscribe_url(scope, lead_id)),
        ("sender_name", sender.unwrap_or_default()),
        ("postal_address", brand.postal_address.unwrap_or_default()),
    ]);
    let subject = template::render(&content.subject, lead, &extra, SUBJECT_MAX)?;
    let body = template::render(&content.body, lead, &extra, TEMPLATE_MAX)?;
    let subject = subject.split_whitespace().collect::<Vec<_>>().join(" ");
    Ok((subject, body))
}
