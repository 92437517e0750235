//! The timeline: what was done, by hour or day.

use askama::Template;

use super::{Chart, Choice, Field, Page, filters, view};

/// `GET {base}/timeline?metric&from&to&step` (`from` and `to` are dates, both included).
#[derive(Debug, Template)]
#[template(path = "timeline/show.html")]
pub struct Timeline {
    /// The frame.
    pub page: Page,
    /// The chosen metric: `outreach_performed`.
    pub metric: String,
    /// The metrics there are.
    pub metrics: Vec<Choice>,
    /// First day, `2026-11-08`.
    pub from: Field,
    /// Last day.
    pub to: Field,
    /// `hour` or `day`.
    pub step: String,
    /// What to draw; without points there is nothing yet.
    pub chart: Chart,
}
view!(Timeline, "timeline");
