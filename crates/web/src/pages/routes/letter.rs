//! A mail as a lead gets it, written by the engine that sends.

use domain::lead::Fields;
use domain::letter::{self, Letter, Texts};
use domain::template::{Facts, TemplateError};
use stages::claim;
use store::profile::Profile;

pub use crate::slave::lead_links::unsubscribe_url;

use crate::slave::Scope;

/// A profile's `From`.
pub fn from(profile: &Profile) -> String {
    let view = crate::slave::profile::view(profile).unwrap_or_default();
    view["settings"]["from"]
        .as_str()
        .unwrap_or_default()
        .to_owned()
}

/// The mail to a lead, as `profile` would send it. `seed` is the request's id.
///
/// # Errors
/// What is wrong with a template, for this lead.
pub fn write(
    scope: &Scope<'_>,
    texts: &Texts,
    (lead_id, lead): (i64, &Fields),
    profile: Option<&Profile>,
    seed: i64,
) -> Result<Letter, TemplateError> {
    let brand = store::setting::brand(&*scope.db).unwrap_or_default();
    let extra = claim::extra(
        &unsubscribe_url(scope, lead_id),
        profile,
        &brand,
        scope.cx.now,
    );
    let facts = Facts {
        lead,
        extra: &extra,
        seed: claim::seed(seed),
    };
    letter::write(texts, facts)
}
