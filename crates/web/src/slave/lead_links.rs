//! The links that only one lead has.

use crate::seal::Sealer;
use crate::slave::Scope;

/// Where the mails to a lead are unsubscribed from, for a look at a mail.
pub fn unsubscribe_url(scope: &Scope<'_>, lead_id: i64) -> String {
    let links = Sealer::new(&scope.cx.config.secret_key).link_key(&scope.tenant.id);
    let secret = links.sign_lead(&scope.tenant.id, lead_id);
    // A path is as good where the address cannot be found out.
    let base = scope.base_url().unwrap_or_else(|_| scope.base());
    format!("{base}/u/{secret}")
}
