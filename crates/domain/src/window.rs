//! Sending windows: hours of the week on the wall clock of a time zone.

use jiff::civil::{Date, Weekday};
use jiff::tz::{AmbiguousOffset, TimeZone};
use jiff::{Timestamp, ToSpan};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The days of a week, as they are written.
pub const DAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
/// The minutes of a day.
const DAY: u16 = 24 * 60;
/// Days that are searched for an opening. A clock that is put forward can swallow a window once, not twice.
const SEARCH: i64 = 15;

/// A day of the week.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs, reason = "they say themselves what they are")]
pub enum Day {
    Mon,
    Tue,
    Wed,
    Thu,
    Fri,
    Sat,
    Sun,
}

impl Day {
    /// All of them in order.
    pub const ALL: [Day; 7] = [
        Day::Mon,
        Day::Tue,
        Day::Wed,
        Day::Thu,
        Day::Fri,
        Day::Sat,
        Day::Sun,
    ];

    fn of(day: Weekday) -> Day {
        Day::ALL[usize::from(day.to_monday_zero_offset().unsigned_abs()) % 7]
    }
}

/// A time on the wall clock, in minutes since midnight, written `HH:MM`; 24:00 is the end of a day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Clock(u16);

impl Clock {
    /// Reads `9:00` or `17:30`; none for what is no time of a day.
    pub fn parse(text: &str) -> Option<Clock> {
        let (hour, minute) = text.trim().split_once(':')?;
        let digits = |t: &str, most| t.len() <= most && t.bytes().all(|b| b.is_ascii_digit());
        if !digits(hour, 2) || !digits(minute, 2) || minute.len() != 2 {
            return None;
        }
        let (hour, minute): (u16, u16) = (hour.parse().ok()?, minute.parse().ok()?);
        let minutes = hour * 60 + minute;
        (minute < 60 && minutes <= DAY).then_some(Clock(minutes))
    }
}

impl std::fmt::Display for Clock {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:02}:{:02}", self.0 / 60, self.0 % 60)
    }
}

impl Serialize for Clock {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Clock {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let wrong = || serde::de::Error::custom("must be a time from 00:00 to 24:00, as HH:MM");
        Clock::parse(&text).ok_or_else(wrong)
    }
}

/// The same hours on some days of the week: `from` is part of them, `to` is not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Window {
    /// On which days.
    pub days: Vec<Day>,
    /// When it opens.
    pub from: Clock,
    /// When it closes; later than `from`.
    pub to: Clock,
}

impl Window {
    /// Minutes that it is open in a week.
    pub fn minutes(&self) -> u64 {
        u64::from(self.to.0.saturating_sub(self.from.0)) * self.days.len() as u64
    }

    fn holds(&self, day: Day, minute: u16) -> bool {
        self.days.contains(&day) && (self.from.0..self.to.0).contains(&minute)
    }
}

/// A time zone by its name, for instance `Europe/Madrid`.
pub fn zone(name: &str) -> Option<TimeZone> {
    TimeZone::get(name.trim()).ok()
}

/// The names of all time zones.
pub fn zones() -> Vec<String> {
    let all = jiff::tz::db().available();
    let mut names: Vec<_> = all.map(|name| name.as_str().to_owned()).collect();
    names.sort_unstable();
    names
}

/// Whether a window is open at a time (milliseconds).
pub fn is_open(windows: &[Window], zone: &TimeZone, at: i64) -> bool {
    let Ok(at) = Timestamp::from_millisecond(at) else {
        return false;
    };
    let local = zone.to_datetime(at);
    let day = Day::of(local.date().weekday());
    let minute = local.hour().unsigned_abs() as u16 * 60 + local.minute().unsigned_abs() as u16;
    windows.iter().any(|w| w.holds(day, minute))
}

/// The first time from `at` on when a window is open; none when there is none in two weeks.
pub fn opens(windows: &[Window], zone: &TimeZone, at: i64) -> Option<i64> {
    let mut edges = edges(windows, zone, at);
    edges.push(at);
    edges.sort_unstable();
    edges.into_iter().find(|edge| is_open(windows, zone, *edge))
}

/// The first time after `at` when no window is open; none when one always is.
pub fn closes(windows: &[Window], zone: &TimeZone, at: i64) -> Option<i64> {
    let mut edges = edges(windows, zone, at);
    edges.sort_unstable();
    let mut after = edges.into_iter().filter(|edge| *edge > at);
    after.find(|edge| !is_open(windows, zone, *edge))
}

/// The times from `at` on when windows may open or close: their hours, by every offset that the clock may have then, and
/// the moments when the clock is changed.
fn edges(windows: &[Window], zone: &TimeZone, at: i64) -> Vec<i64> {
    let Ok(start) = Timestamp::from_millisecond(at) else {
        return Vec::new();
    };
    let end = at + SEARCH * 24 * 60 * 60 * 1000;
    let changes = zone
        .following(start)
        .map(|t| t.timestamp().as_millisecond());
    let mut edges: Vec<i64> = changes.take_while(|change| *change <= end).collect();
    let today = zone.to_datetime(start).date();
    for n in -1..=SEARCH {
        let Ok(date) = today.checked_add(n.days()) else {
            continue;
        };
        let day = Day::of(date.weekday());
        for window in windows.iter().filter(|w| w.days.contains(&day)) {
            push_times(zone, date, window.from, &mut edges);
            push_times(zone, date, window.to, &mut edges);
        }
    }
    edges.retain(|edge| *edge >= at);
    edges
}

fn push_times(zone: &TimeZone, date: Date, clock: Clock, out: &mut Vec<i64>) {
    let local = date
        .at(0, 0, 0, 0)
        .checked_add(i64::from(clock.0).minutes());
    let Ok(local) = local else { return };
    let offsets = match zone.to_ambiguous_timestamp(local).offset() {
        AmbiguousOffset::Unambiguous { offset } => [offset, offset],
        AmbiguousOffset::Gap { before, after } | AmbiguousOffset::Fold { before, after } => {
            [before, after]
        }
    };
    let times = offsets.iter().filter_map(|o| o.to_timestamp(local).ok());
    out.extend(times.map(Timestamp::as_millisecond));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> i64 {
        text.parse::<Timestamp>().expect("a time").as_millisecond()
    }

    fn window(days: &[Day], from: &str, to: &str) -> Window {
        Window {
            days: days.to_vec(),
            from: Clock::parse(from).expect("a time"),
            to: Clock::parse(to).expect("a time"),
        }
    }

    #[test]
    fn times_are_read_strictly() {
        for (text, read) in [
            ("09:00", Some("09:00")),
            ("9:05", Some("09:05")),
            ("24:00", Some("24:00")),
            ("24:01", None),
            ("12:60", None),
            ("12:5", None),
            ("-1:00", None),
            ("+9:00", None),
            ("noon", None),
            ("", None),
        ] {
            let clock = Clock::parse(text).map(|c| c.to_string());
            assert_eq!(clock.as_deref(), read, "{text}");
        }
    }

    #[test]
    fn a_window_follows_the_wall_clock_through_the_year() {
        let madrid = zone("Europe/Madrid").expect("a zone");
        let hours = [window(&Day::ALL, "09:00", "17:00")];
        // An hour earlier in UTC once summer time began (2026-03-29).
        for (now, opening) in [
            ("2026-03-28T03:00:00Z", "2026-03-28T08:00:00Z"),
            ("2026-03-29T03:00:00Z", "2026-03-29T07:00:00Z"),
        ] {
            assert_eq!(opens(&hours, &madrid, at(now)), Some(at(opening)));
        }
        assert_eq!(
            closes(&hours, &madrid, at("2026-03-29T08:00:00Z")),
            Some(at("2026-03-29T15:00:00Z"))
        );
        let friday = [window(&[Day::Fri], "09:00", "10:00")];
        assert_eq!(
            opens(&friday, &madrid, at("2026-03-28T03:00:00Z")),
            Some(at("2026-04-03T07:00:00Z"))
        );
    }

    #[test]
    fn an_hour_that_is_left_out_or_comes_twice_is_no_trouble() {
        let madrid = zone("Europe/Madrid").expect("a zone");
        // 02:00 to 03:00 is left out on 2026-03-29.
        let night = [window(&Day::ALL, "02:30", "03:30")];
        let opening = opens(&night, &madrid, at("2026-03-29T00:00:00Z"));
        assert_eq!(opening, Some(at("2026-03-29T01:00:00Z")));
        let swallowed = [window(&Day::ALL, "02:10", "02:50")];
        let opening = opens(&swallowed, &madrid, at("2026-03-29T00:00:00Z"));
        assert_eq!(opening, Some(at("2026-03-30T00:10:00Z")));
        // 02:00 to 03:00 comes twice on 2026-10-25.
        let twice = [window(&Day::ALL, "01:30", "02:30")];
        let closing = closes(&twice, &madrid, at("2026-10-25T00:00:00Z"));
        assert_eq!(closing, Some(at("2026-10-25T00:30:00Z")));
        let again = opens(&twice, &madrid, at("2026-10-25T00:30:00Z"));
        assert_eq!(again, Some(at("2026-10-25T01:00:00Z")));
    }

    #[test]
    fn windows_that_touch_are_one_and_all_the_week_never_closes() {
        let utc = TimeZone::UTC;
        let night = [
            window(&[Day::Mon], "22:00", "24:00"),
            window(&[Day::Tue], "00:00", "02:00"),
        ];
        assert_eq!(
            closes(&night, &utc, at("2026-11-23T23:00:00Z")),
            Some(at("2026-11-24T02:00:00Z"))
        );
        let always = [window(&Day::ALL, "00:00", "24:00")];
        assert_eq!(closes(&always, &utc, 0), None);
        assert_eq!(opens(&[], &utc, 0), None);
    }

    #[test]
    fn zones_have_names() {
        assert!(zone("Europe/Madrid").is_some() && zone("Mars/Olympus").is_none());
        assert!(zone("").is_none());
        assert!(zones().len() > 300 && zones().iter().all(|name| zone(name).is_some()));
    }
}
