//! Leaving: pages for the recipient of a mail, in nobody's colours but plain ones.

use askama::Template;

use super::{Page, view};

/// `GET` of an unsubscribe link. Nothing happens until the button posts: mail scanners open links.
#[derive(Debug, Template)]
#[template(path = "unsubscribe/confirm.html")]
pub struct Unsubscribe {
    /// The frame, [`Page::neutral`].
    pub page: Page,
    /// Whose mails these are: the brand's name, or the sub-account's.
    pub sender: String,
    /// The address they went to.
    pub address: String,
    /// Where the button posts.
    pub action: String,
}
view!(Unsubscribe, "");

/// The answer to the button, and to a second visit.
#[derive(Debug, Template)]
#[template(path = "unsubscribe/done.html")]
pub struct Unsubscribed {
    /// The frame, [`Page::neutral`].
    pub page: Page,
    /// Whose mails these were.
    pub sender: String,
    /// The address they went to.
    pub address: String,
}
view!(Unsubscribed, "");
