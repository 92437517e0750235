//! Profiles: the senders.

use askama::Template;

use super::{Field, Page, filters, view};

/// `GET {base}/profiles`. `POST {base}/profiles/{id}/activation` (field `active` = 1 or 0) switches,
/// `…/password` (field `password`) gives it another one.
#[derive(Debug, Template)]
#[template(path = "profile/list.html")]
pub struct Profiles {
    /// The frame.
    pub page: Page,
    /// By name.
    pub items: Vec<ProfileRow>,
}
view!(Profiles, "profiles");

/// One profile of the list.
#[derive(Debug, Clone)]
pub struct ProfileRow {
    /// Row id.
    pub id: i64,
    /// Its name.
    pub name: String,
    /// `smtp`.
    pub kind: String,
    /// `host:port`.
    pub address: String,
    /// Sender address.
    pub from: String,
    /// none, starttls or tls.
    pub tls: String,
    /// idle, online, outreach, …
    pub state: String,
    /// Whether it may work at all.
    pub active: bool,
    /// The last thing that went wrong ("connection refused, 4 times since 13:20").
    pub trouble: Option<String>,
    /// Whether its password must be entered again.
    pub locked: bool,
    /// Most mails in 24 hours.
    pub daily_max: Option<i64>,
    /// Least time between two mails.
    pub interval_ms: Option<i64>,
    /// Performed in the last 24 hours.
    pub sent: i64,
    /// Why it waits, and until when.
    pub wait: Option<(String, Option<i64>)>,
}

/// `GET {base}/profiles/new`, and the answer to a refused `POST {base}/profiles` (fields `name`,
/// `host`, `port`, `tls`, `username`, `password`, `from`, `daily_max`, `interval_s`; type is smtp).
#[derive(Debug, Template)]
#[template(path = "profile/new.html")]
pub struct NewProfile {
    /// The frame.
    pub page: Page,
    /// What is wrong beyond one field.
    pub error: Option<String>,
    /// Its name.
    pub name: Field,
    /// Server.
    pub host: Field,
    /// Port.
    pub port: Field,
    /// none, starttls or tls.
    pub tls: Field,
    /// User name, may be empty.
    pub username: Field,
    /// What is wrong with the password.
    pub password_error: Option<String>,
    /// Sender: `ana@example.com` or `Ana Ruiz <ana@example.com>`.
    pub from: Field,
    /// Most mails in 24 hours; empty for no limit.
    pub daily_max: Field,
    /// Least seconds between two mails; empty for none.
    pub interval_s: Field,
}
view!(NewProfile, "profiles");

impl NewProfile {
    /// The empty form, with the usual choices made.
    #[must_use]
    pub fn blank(page: Page) -> Self {
        Self {
            page,
            error: None,
            name: Field::default(),
            host: Field::default(),
            port: Field::of("587"),
            tls: Field::of("starttls"),
            username: Field::default(),
            password_error: None,
            from: Field::default(),
            daily_max: Field::of("200"),
            interval_s: Field::of("30"),
        }
    }
}
