//! The limits of a profile.

use askama::Template;

use super::{Choice, Field, Page, filters, view};

/// `GET {base}/profiles/{id}/limits`, and the answer to a refused `POST` there (fields `daily_max`, `daily_aborted_max`,
/// `interval_s`, `jitter_s`, `domain_gap_s`, `ramp_start`, `ramp_step`, `time_zone`, `windows_in`, `order`, `approval` = 1
/// when checked, and `mon` to `sun` with hours such as `09:00-12:00, 13:00-17:00`).
#[derive(Debug, Template)]
#[template(path = "profile/limits.html")]
pub struct ProfileLimits {
    /// The frame.
    pub page: Page,
    /// Row id of the profile.
    pub id: i64,
    /// Its name.
    pub name: String,
    /// Why it waits now, and until when.
    pub wait: Option<(String, Option<i64>)>,
    /// What is wrong beyond one field.
    pub error: Option<String>,
    /// Most mails in 24 hours.
    pub daily_max: Field,
    /// Most bad ends in 24 hours.
    pub daily_aborted_max: Field,
    /// Least seconds between two mails.
    pub interval_s: Field,
    /// Seconds that a pause may be longer.
    pub jitter_s: Field,
    /// Least seconds between two mails to one domain.
    pub domain_gap_s: Field,
    /// Mails of the first day.
    pub ramp_start: Field,
    /// More with each day.
    pub ramp_step: Field,
    /// When the ramp began.
    pub ramp_since: Option<i64>,
    /// A name of the IANA database; empty for UTC.
    pub time_zone: Field,
    /// All such names.
    pub zones: Vec<String>,
    /// `profile` or `lead`.
    pub windows_in: String,
    /// `newest` or `oldest`.
    pub order: String,
    /// Whether a person approves each mail.
    pub approval: bool,
    /// The hours of each day: its short name, its name, what was typed.
    pub days: Vec<(&'static str, &'static str, Field)>,
}
view!(ProfileLimits, "profiles");

impl ProfileLimits {
    fn orders(&self) -> Vec<Choice> {
        vec![
            Choice::new("newest", "the newest"),
            Choice::new("oldest", "the oldest"),
        ]
    }

    fn clocks(&self) -> Vec<Choice> {
        vec![
            Choice::new("profile", "in the profile's time zone"),
            Choice::new("lead", "where the lead lives"),
        ]
    }
}
