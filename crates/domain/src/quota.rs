//! How much a profile may do now, to whom, and until when it has to wait.

use serde::{Deserialize, Serialize};
use worker_api::Quotas;

use crate::window::{self, Window};

/// A day, in milliseconds: the daily maximum holds for any 24 hours, not for calendar days.
pub const DAY: i64 = 24 * 60 * 60 * 1000;
/// The longest pause between two requests, in milliseconds: a day.
pub const PAUSE_MAX: u32 = 24 * 60 * 60 * 1000;
/// The longest pause between two requests for one domain, in milliseconds: a week.
pub const GAP_MAX: u32 = 7 * PAUSE_MAX;
/// Windows that a profile may have.
pub const WINDOWS_MAX: usize = 50;
/// When to look again at what ends by itself, in milliseconds.
const SOON: i64 = 1_000;

/// The limits of a profile. What is left away limits nothing.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Most requests that may begin in any 24 hours.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub daily_max: Option<u32>,
    /// Most requests that may end badly (failed, aborted or uncertain) in any 24 hours.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub daily_aborted_max: Option<u32>,
    /// Shortest time between two requests, in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub interval_ms: Option<u32>,
    /// A pause is longer than the interval by up to this, in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub jitter_ms: Option<u32>,
    /// Shortest time between two requests for recipients of one domain, in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub domain_gap_ms: Option<u32>,
    /// How the daily maximum grows while the profile is new.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ramp: Option<Ramp>,
    /// When it may work; always when left away.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub windows: Option<Vec<Window>>,
    /// The profile's time zone; UTC when left away.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time_zone: Option<String>,
    /// On whose clock the windows are.
    #[serde(skip_serializing_if = "is_default")]
    pub windows_in: ZoneOf,
    /// Which of its requests come first.
    #[serde(skip_serializing_if = "is_default")]
    pub order: Order,
    /// Whether a person approves each of its requests first.
    #[serde(skip_serializing_if = "is_default")]
    pub approval: bool,
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// A maximum that grows: `start` on the first day, `step` more each day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ramp {
    /// The maximum of the first day.
    pub start: u32,
    /// How much more it is with each day.
    pub step: u32,
    /// When the first day began, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<i64>,
}

/// Whose time zone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ZoneOf {
    /// The profile's.
    #[default]
    Profile,
    /// The recipient's; the profile's when it is not known.
    Lead,
}

/// Which requests come first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Order {
    /// The newest.
    #[default]
    Newest,
    /// The oldest.
    Oldest,
}

impl Limits {
    /// Says which field is wrong and why.
    ///
    /// # Errors
    /// The field's name below `quotas`, and what it must be.
    pub fn check(&self) -> Result<(), (String, String)> {
        let wrong = |field: &str, why: &str| Err((field.to_owned(), why.to_owned()));
        if self.daily_max == Some(0) {
            return wrong(
                "daily_max",
                "must be at least 1; switch the profile off instead",
            );
        }
        if self.daily_aborted_max == Some(0) {
            return wrong("daily_aborted_max", "must be at least 1");
        }
        for (field, value, max) in [
            ("interval_ms", self.interval_ms, PAUSE_MAX),
            ("jitter_ms", self.jitter_ms, PAUSE_MAX),
            ("domain_gap_ms", self.domain_gap_ms, GAP_MAX),
        ] {
            if value.is_some_and(|value| value > max) {
                let days = max / PAUSE_MAX;
                let days = match days {
                    1 => "a day".to_owned(),
                    n => format!("{n} days"),
                };
                return wrong(field, &format!("must be at most {max} ({days})"));
            }
        }
        let zone = self.time_zone.as_deref();
        if zone.is_some_and(|name| window::zone(name).is_none()) {
            return wrong(
                "time_zone",
                "must be a name of the IANA time zone database, for instance Europe/Madrid",
            );
        }
        self.check_ramp()?;
        self.check_windows()
    }

    fn check_ramp(&self) -> Result<(), (String, String)> {
        let wrong = |field: &str, why: &str| Err((field.to_owned(), why.to_owned()));
        let Some(ramp) = self.ramp else {
            return Ok(());
        };
        let Some(max) = self.daily_max else {
            return wrong("daily_max", "must say where the ramp ends");
        };
        if ramp.start == 0 || ramp.start > max {
            return wrong(
                "ramp.start",
                "must be at least 1, and at most the daily maximum",
            );
        }
        if ramp.step == 0 {
            return wrong("ramp.step", "must be at least 1");
        }
        match ramp.since {
            Some(since) if !(0..=i64::from(u32::MAX) * 1_000_000).contains(&since) => {
                wrong("ramp.since", "must be a time in milliseconds since 1970")
            }
            _ => Ok(()),
        }
    }

    fn check_windows(&self) -> Result<(), (String, String)> {
        let Some(windows) = &self.windows else {
            return Ok(());
        };
        if windows.is_empty() || windows.len() > WINDOWS_MAX {
            return Err((
                "windows".to_owned(),
                format!("must be 1 to {WINDOWS_MAX}, or left away for always"),
            ));
        }
        for (n, window) in windows.iter().enumerate() {
            let mut days = window.days.clone();
            days.sort_unstable_by_key(|d| *d as u8);
            days.dedup();
            if days.is_empty() || days.len() != window.days.len() {
                let why = "must name days of the week, each once";
                return Err((format!("windows.{n}.days"), why.to_owned()));
            }
            if window.from >= window.to {
                let why = "must be later than `from`; what goes past midnight is two windows";
                return Err((format!("windows.{n}.to"), why.to_owned()));
            }
        }
        Ok(())
    }

    /// The most that may begin in 24 hours, as the ramp stands.
    pub fn daily_max(&self, now: i64) -> Option<u32> {
        let max = self.daily_max?;
        let Some(ramp) = self.ramp else {
            return Some(max);
        };
        let days = (now - ramp.since.unwrap_or(now)).max(0) / DAY;
        let grown = i64::from(ramp.start).saturating_add(i64::from(ramp.step).saturating_mul(days));
        Some(u32::try_from(grown).map_or(max, |grown| grown.min(max)))
    }

    /// When the ramp allows more than `used` in 24 hours; none when it never does.
    fn ramped_at(&self, used: i64) -> Option<i64> {
        let (max, ramp) = (self.daily_max?, self.ramp?);
        let short = (used + 1 - i64::from(ramp.start)).max(0);
        let days = (short + i64::from(ramp.step) - 1) / i64::from(ramp.step).max(1);
        (used < i64::from(max)).then(|| ramp.since.unwrap_or(0).saturating_add(days * DAY))
    }

    /// Whether it makes pauses, and so takes one request after the other.
    pub fn is_paced(&self) -> bool {
        self.interval_ms.unwrap_or(0) > 0 || self.jitter_ms.unwrap_or(0) > 0
    }

    /// Whether it depends on the recipient when a request may begin.
    pub fn are_about_recipients(&self) -> bool {
        let by_lead = self.windows.is_some() && self.windows_in == ZoneOf::Lead;
        by_lead || self.domain_gap_ms.unwrap_or(0) > 0
    }

    /// The pause after a request, in milliseconds: the interval, and a part of the jitter that the request's id tells.
    pub fn pause_after(&self, request_id: i64) -> i64 {
        let jitter = u64::from(self.jitter_ms.unwrap_or(0));
        let more = mixed(request_id.unsigned_abs()) % (jitter + 1);
        i64::from(self.interval_ms.unwrap_or(0)) + i64::try_from(more).unwrap_or(0)
    }

    /// About how many requests it can do in a day.
    pub fn daily_rate(&self, now: i64) -> u64 {
        const WEEK: u64 = 7 * 24 * 60;
        let open = self.windows.as_ref().map_or(WEEK, |windows| {
            windows.iter().map(Window::minutes).sum::<u64>().min(WEEK)
        });
        let pause =
            u64::from(self.interval_ms.unwrap_or(0)) + u64::from(self.jitter_ms.unwrap_or(0)) / 2;
        let by_pause = open * 60_000 / 7 / pause.max(1_000);
        let max = self.daily_max(now).map_or(u64::MAX, u64::from);
        by_pause.min(max).max(1)
    }

    /// What a worker is told.
    pub fn quotas(&self) -> Quotas {
        Quotas {
            daily_max: self.daily_max,
            interval_ms: self.interval_ms,
        }
    }
}

/// Spreads numbers that follow each other (splitmix64).
fn mixed(n: u64) -> u64 {
    let n = n.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let n = (n ^ (n >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let n = (n ^ (n >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    n ^ (n >> 31)
}

/// What a profile did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Usage {
    /// Requests it began in the last 24 hours.
    pub begun: i64,
    /// When that one of them began with whose end as one of 24 hours there is room again.
    pub frees_at: Option<i64>,
    /// Requests that are leased and have not begun: they count as if they had.
    pub running: i64,
    /// Requests that are leased, begun or not: they count as if they ended badly.
    pub in_hand: i64,
    /// Requests that ended badly in the last 24 hours.
    pub aborted: i64,
    /// When that one of them ended with which there is room again.
    pub aborted_frees_at: Option<i64>,
    /// Not before this time, by its pauses.
    pub next_at: i64,
}

/// Whom a request is for.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Recipient {
    /// The name of the time zone they live in, when it is known.
    pub zone: Option<String>,
    /// When the profile last wrote to their domain.
    pub domain_last_at: Option<i64>,
}

/// What a profile may do now, or why it has to wait and until when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// So many requests, which must begin before the time when the window closes.
    Now {
        /// At least 1.
        room: u32,
        /// Milliseconds since the epoch; none when no window closes.
        before: Option<i64>,
    },
    /// None before this time.
    Wait(Hold),
}

/// A wait.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hold {
    /// Milliseconds since the epoch.
    pub until: i64,
    /// For people.
    pub reason: String,
}

/// Decides what a profile may do at a time: for a recipient, or, without one, at all.
pub fn decide(limits: &Limits, usage: &Usage, recipient: Option<&Recipient>, now: i64) -> Verdict {
    let holds = [
        daily(limits, usage, now),
        aborted(limits, usage, now),
        pause(limits, usage, now),
        recipient.and_then(|r| gap(limits, r, now)),
    ];
    let hold = holds.into_iter().flatten().max_by_key(|hold| hold.until);
    let from = hold.as_ref().map_or(now, |hold| hold.until.max(now + 1));
    let (open, close) = hours(limits, recipient, from);
    if let Some(hold) = hold {
        return Verdict::Wait(Hold {
            until: open,
            ..hold
        });
    }
    if open > now {
        let whose = match limits.windows_in {
            ZoneOf::Profile => "It is outside the profile's sending hours.",
            ZoneOf::Lead => "It is outside the sending hours where the lead lives.",
        };
        return Verdict::Wait(Hold {
            until: open,
            reason: whose.to_owned(),
        });
    }
    Verdict::Now {
        room: room(limits, usage, now),
        before: close,
    }
}

/// When a window is open from a time on, and when it closes after.
fn hours(limits: &Limits, recipient: Option<&Recipient>, from: i64) -> (i64, Option<i64>) {
    let Some(windows) = &limits.windows else {
        return (from, None);
    };
    let own = || limits.time_zone.as_deref().and_then(window::zone);
    let zone = match (limits.windows_in, recipient) {
        (ZoneOf::Lead, None) => return (from, None),
        (ZoneOf::Lead, Some(r)) => r.zone.as_deref().and_then(window::zone).or_else(own),
        (ZoneOf::Profile, _) => own(),
    };
    let zone = zone.unwrap_or(jiff::tz::TimeZone::UTC);
    // Windows are open once a week at least; a look in a week harms nobody.
    let open = window::opens(windows, &zone, from).unwrap_or(from + 7 * DAY);
    (open, window::closes(windows, &zone, open))
}

fn room(limits: &Limits, usage: &Usage, now: i64) -> u32 {
    let daily = limits.daily_max(now);
    let daily = daily.map_or(i64::MAX, |max| i64::from(max) - usage.begun - usage.running);
    let aborted = limits.daily_aborted_max;
    let aborted = aborted.map_or(i64::MAX, |max| {
        i64::from(max) - usage.aborted - usage.in_hand
    });
    let room = match limits.is_paced() {
        true => 1,
        false => daily.min(aborted),
    };
    u32::try_from(room).unwrap_or(u32::MAX)
}

fn daily(limits: &Limits, usage: &Usage, now: i64) -> Option<Hold> {
    let max = limits.daily_max(now)?;
    let used = usage.begun + usage.running;
    if used < i64::from(max) {
        return None;
    }
    let freed = usage.frees_at.map_or(now + SOON, |at| at + DAY);
    let ramped = limits.ramped_at(used).unwrap_or(i64::MAX);
    Some(Hold {
        until: freed.min(ramped).max(now + SOON),
        reason: match limits.daily_max {
            Some(whole) if whole > max => {
                format!("The profile is warming up: its maximum of {max} in 24 hours is reached.")
            }
            _ => format!("The profile's daily maximum of {max} is reached."),
        },
    })
}

fn aborted(limits: &Limits, usage: &Usage, now: i64) -> Option<Hold> {
    let max = limits.daily_aborted_max?;
    if usage.aborted + usage.in_hand < i64::from(max) {
        return None;
    }
    let full = usage.aborted >= i64::from(max);
    let freed = usage.aborted_frees_at.filter(|_| full);
    Some(Hold {
        until: freed.map_or(now + SOON, |at| at + DAY).max(now + SOON),
        reason: match full {
            true => format!("{max} requests of the profile ended badly in 24 hours, its maximum."),
            false => {
                "The profile first sees how what it has in hand ends, by its maximum of bad ends."
                    .to_owned()
            }
        },
    })
}

fn pause(limits: &Limits, usage: &Usage, now: i64) -> Option<Hold> {
    let held = limits.is_paced() && (usage.next_at > now || usage.running > 0);
    // The pause is counted from the begin of what was taken last.
    held.then(|| Hold {
        until: usage
            .next_at
            .max(now + SOON.min(limits.pause_after(0)).max(1)),
        reason: "The profile pauses between two mails.".to_owned(),
    })
}

fn gap(limits: &Limits, recipient: &Recipient, now: i64) -> Option<Hold> {
    let gap = limits.domain_gap_ms.filter(|gap| *gap > 0)?;
    let until = recipient.domain_last_at? + i64::from(gap);
    (until > now).then(|| Hold {
        until,
        reason: "The profile pauses between two mails to this domain.".to_owned(),
    })
}

/// Deals what waits in several queues in turn, so that none of them holds up the others: at most `room`.
pub fn in_turn<T>(queues: Vec<Vec<T>>, room: usize) -> Vec<T> {
    let mut queues: Vec<_> = queues.into_iter().map(Vec::into_iter).collect();
    let mut dealt = Vec::new();
    while dealt.len() < room {
        let before = dealt.len();
        let round = queues.iter_mut().filter_map(Iterator::next);
        dealt.extend(round.take(room - before));
        if dealt.len() == before {
            break;
        }
    }
    dealt
}

#[cfg(test)]
#[path = "quota_tests.rs"]
mod tests;
