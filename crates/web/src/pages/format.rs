//! How numbers, times and sizes are written. Times are UTC; the browser rewrites them in its own zone.

use chrono::{DateTime, Datelike, Utc};

fn utc(ms: i64) -> DateTime<Utc> {
    DateTime::from_timestamp_millis(ms).unwrap_or_default()
}

/// `12480` as `12,480`.
#[must_use]
pub fn count(n: i128) -> String {
    let digits = n.unsigned_abs().to_string();
    let mut out = String::from(if n < 0 { "−" } else { "" });
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// A time as near as the reader needs it: `14:05` today, `21 Nov 14:05` this year, else with the year.
#[must_use]
pub fn when(ms: i64, now: i64) -> String {
    let (t, now) = (utc(ms), utc(now));
    let pattern = if t.date_naive() == now.date_naive() {
        "%H:%M"
    } else if t.year() == now.year() {
        "%-d %b %H:%M"
    } else {
        "%-d %b %Y %H:%M"
    };
    t.format(pattern).to_string()
}

/// A time for machines: `2026-11-21T14:05:09Z`.
#[must_use]
pub fn iso(ms: i64) -> String {
    utc(ms).format("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// The start of an hour or a day, as a row of a chart's table: `Sat 21 Nov`, `Sat 21 Nov 14:00`.
#[must_use]
pub fn bucket(ms: i64, step: &str) -> String {
    let pattern = if step == "hour" {
        "%a %-d %b %H:%M"
    } else {
        "%a %-d %b"
    };
    utc(ms).format(pattern).to_string()
}

/// The value of a date input: `2026-11-21`.
#[must_use]
pub fn date(ms: i64) -> String {
    utc(ms).format("%Y-%m-%d").to_string()
}

/// A length of time in its largest whole unit: `90 s`, `5 min`, `1 day`, `2 weeks`.
#[must_use]
pub fn span(seconds: i64) -> String {
    const UNITS: [(i64, &str, &str); 5] = [
        (604_800, "week", "weeks"),
        (86_400, "day", "days"),
        (3_600, "hour", "hours"),
        (60, "min", "min"),
        (1, "s", "s"),
    ];
    if seconds <= 0 {
        return "at once".to_owned();
    }
    for (size, one, many) in UNITS {
        if seconds % size == 0 {
            let n = seconds / size;
            return format!("{n}\u{a0}{}", if n == 1 { one } else { many });
        }
    }
    format!("{seconds}\u{a0}s")
}

/// A size in decimal units: `812 B`, `9.8 MB`.
#[must_use]
pub fn bytes(n: i128) -> String {
    let mut size = n as f64;
    for unit in ["B", "kB", "MB", "GB"] {
        if size < 1000.0 {
            return if unit == "B" {
                format!("{n}\u{a0}B")
            } else {
                format!("{size:.1}\u{a0}{unit}")
            };
        }
        size /= 1000.0;
    }
    format!("{size:.1}\u{a0}TB")
}

/// A stored word as people read it: `scraping_inbox` as `scraping inbox`.
#[must_use]
pub fn words(stored: &str) -> String {
    stored.replace(['_', '-'], " ")
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOON: i64 = 1_795_262_400_000; // 2026-11-21T12:00:00Z

    #[test]
    fn numbers_are_grouped_by_thousands() {
        assert_eq!(count(0), "0");
        assert_eq!(count(999), "999");
        assert_eq!(count(1000), "1,000");
        assert_eq!(count(-1_234_567), "−1,234,567");
    }

    #[test]
    fn a_time_says_no_more_than_needed() {
        assert_eq!(when(NOON + 125 * 60_000, NOON), "14:05");
        assert_eq!(when(NOON - 86_400_000, NOON), "20 Nov 12:00");
        assert_eq!(when(NOON - 366 * 86_400_000, NOON), "20 Nov 2025 12:00");
        assert_eq!(iso(NOON), "2026-11-21T12:00:00Z");
        assert_eq!(date(NOON), "2026-11-21");
    }

    #[test]
    fn a_span_is_written_in_its_largest_whole_unit() {
        assert_eq!(span(0), "at once");
        assert_eq!(span(90), "90\u{a0}s");
        assert_eq!(span(300), "5\u{a0}min");
        assert_eq!(span(86_400), "1\u{a0}day");
        assert_eq!(span(1_209_600), "2\u{a0}weeks");
    }

    #[test]
    fn sizes_are_decimal() {
        assert_eq!(bytes(812), "812\u{a0}B");
        assert_eq!(bytes(9_812_000), "9.8\u{a0}MB");
    }
}
