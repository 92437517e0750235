//! The first page of a sub-account.

use askama::Template;

use super::import::ImportRow;
use super::rule::RuleRow;
use super::{Chart, Page, filters, view};

/// `GET {base}/`.
#[derive(Debug, Template)]
#[template(path = "dashboard/show.html")]
pub struct Dashboard {
    /// The frame.
    pub page: Page,
    /// Which of the three first steps are done; the list of them goes away when all are.
    pub setup: Setup,
    /// The headline.
    pub numbers: Numbers,
    /// Mails performed by day, 14 days.
    pub chart: Chart,
    /// What is held, and why.
    pub waits: Vec<Wait>,
    /// Profiles with today's use.
    pub profiles: Vec<ProfileUse>,
    /// The last imports, newest first (some five).
    pub imports: Vec<ImportRow>,
    /// Active rules (some five).
    pub rules: Vec<RuleRow>,
}
view!(Dashboard, "dashboard");

/// The first steps of a new sub-account.
#[derive(Debug, Clone, Copy)]
pub struct Setup {
    /// There are leads.
    pub leads: bool,
    /// There is a profile.
    pub profile: bool,
    /// There is a rule.
    pub rule: bool,
}

impl Setup {
    fn complete(self) -> bool {
        self.leads && self.profile && self.rule
    }

    // What a new person should do now: the first step that is not done.
    fn next(self) -> u8 {
        match (self.leads, self.profile, self.rule) {
            (false, _, _) => 1,
            (_, false, _) => 2,
            (_, _, false) => 3,
            _ => 0,
        }
    }
}

/// The headline numbers.
#[derive(Debug, Clone, Copy, Default)]
pub struct Numbers {
    /// Leads in all.
    pub leads: i64,
    /// Mails performed since midnight (UTC).
    pub performed_today: i64,
    /// Mails performed in seven days.
    pub performed_7d: i64,
    /// Requests that wait or run.
    pub pending: i64,
    /// Requests that failed.
    pub failed: i64,
    /// Requests of which nobody knows whether they took effect.
    pub uncertain: i64,
}

/// A group of requests that is held.
#[derive(Debug, Clone)]
pub struct Wait {
    /// How many.
    pub n: i64,
    /// On whose account: the name of a profile, or the list of them.
    pub whose: String,
    /// Where to look: `/profiles`, `/rules/7`; a path below base.
    pub path: String,
    /// "daily maximum reached".
    pub reason: String,
    /// When it goes on by itself.
    pub until: Option<i64>,
}

/// What a profile did today.
#[derive(Debug, Clone)]
pub struct ProfileUse {
    /// Row id.
    pub id: i64,
    /// Its name.
    pub name: String,
    /// idle, online, outreach, …; or disabled.
    pub state: String,
    /// Begun in the last 24 hours.
    pub sent: i64,
    /// Its daily maximum.
    pub daily_max: Option<i64>,
}
