//! Requests: every single piece of work.

use askama::Template;

use super::{Choice, Page, Pager, Pair, filters, view};

/// `GET {base}/requests?status&kind&cursor`.
#[derive(Debug, Template)]
#[template(path = "request/list.html")]
pub struct Requests {
    /// The frame.
    pub page: Page,
    /// The chosen status; empty for any.
    pub status: String,
    /// The chosen kind; empty for any.
    pub kind: String,
    /// How many a person is to approve.
    pub awaiting: i64,
    /// One page of them, newest first.
    pub items: Vec<RequestRow>,
    /// Neighbouring pages.
    pub pager: Pager,
}
view!(Requests, "requests");

impl Requests {
    fn statuses(&self) -> Vec<Choice> {
        [
            "pending",
            "running",
            "performed",
            "failed",
            "uncertain",
            "aborted",
            "canceled",
        ]
        .map(|s| Choice::new(s, s))
        .into()
    }

    fn kinds(&self) -> Vec<Choice> {
        vec![
            Choice::new("outreach", "outreach"),
            Choice::new("enrichment", "enrichment"),
            Choice::new("inboxcheck", "inbox check"),
            Choice::new("connectioncheck", "connection check"),
            Choice::new("job", "job"),
        ]
    }

    fn filtered(&self) -> bool {
        !self.status.is_empty() || !self.kind.is_empty()
    }
}

/// One request of a list.
#[derive(Debug, Clone)]
pub struct RequestRow {
    /// Row id.
    pub id: i64,
    /// outreach, enrichment, inboxcheck, connectioncheck or job.
    pub kind: String,
    /// pending, running, performed, failed, uncertain, aborted or canceled.
    pub status: String,
    /// Row id of the lead.
    pub lead_id: Option<i64>,
    /// Its name or e-mail.
    pub lead: String,
    /// Name of the profile, empty while none is chosen.
    pub profile: String,
    /// Attempts so far.
    pub attempts: i64,
    /// When it is or was due.
    pub due_at: Option<i64>,
    /// When it ended, however it did.
    pub ended_at: Option<i64>,
    /// The error, or why it waits.
    pub note: Option<String>,
    /// Until when it waits, as far as that is known.
    pub wait_until: Option<i64>,
}

/// `GET {base}/requests/{id}`. `POST {base}/requests/{id}/cancellation` cancels one that waits.
#[derive(Debug, Template)]
#[template(path = "request/show.html")]
pub struct Request {
    /// The frame.
    pub page: Page,
    /// The request itself.
    pub request: RequestRow,
    /// Name of the rule that made it, and its path below base.
    pub rule: Option<(String, String)>,
    /// Whether a person is to approve it.
    pub awaits_approval: bool,
    /// Whether it can be canceled now.
    pub cancelable: bool,
    /// The mail, as sent or as it would be sent.
    pub message: Option<Message>,
    /// The last attempt, once there is one.
    pub attempts: Vec<Attempt>,
}
view!(Request, "requests");

/// A mail.
#[derive(Debug, Clone)]
pub struct Message {
    /// Whether it left.
    pub sent: bool,
    /// Sender.
    pub from: String,
    /// Recipient.
    pub to: String,
    /// Subject.
    pub subject: String,
    /// Text of the body.
    pub body: String,
    /// The HTML part.
    pub html: Option<String>,
    /// Message-ID, List-Unsubscribe and the like.
    pub headers: Vec<Pair>,
}

/// One attempt.
#[derive(Debug, Clone)]
pub struct Attempt {
    /// First, second, …
    pub n: i64,
    /// When the effect began.
    pub began_at: Option<i64>,
    /// When it ended.
    pub ended_at: Option<i64>,
    /// performed, failed, retry, uncertain, running.
    pub outcome: String,
    /// What the server said.
    pub detail: Option<String>,
}
