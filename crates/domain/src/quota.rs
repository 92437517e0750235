//! How much a profile may do now.

use worker_api::Quotas;

/// A day, in milliseconds: the daily maximum holds for any 24 hours, not for calendar days.
pub const DAY: i64 = 24 * 60 * 60 * 1000;

/// What a profile did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Usage {
    /// Requests it began in the last 24 hours.
    pub begun: i64,
    /// When the oldest of them began.
    pub oldest: Option<i64>,
    /// Requests that are leased and have not begun: they count as if they had.
    pub running: i64,
    /// Not before this time, by its interval.
    pub next_at: i64,
}

/// What a profile may do now, or why it has to wait and until when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Allowance {
    /// So many requests.
    Now(u32),
    /// None before this time.
    Wait {
        /// Milliseconds since the epoch.
        until: i64,
        /// For people.
        reason: String,
    },
}

/// Decides what a profile may do at a time, at most `room` requests.
pub fn allowance(quotas: &Quotas, usage: &Usage, now: i64, room: u32) -> Allowance {
    let mut room = room;
    if let Some(max) = quotas.daily_max {
        let left = i64::from(max) - usage.begun - usage.running;
        if left <= 0 {
            let until = usage.oldest.map_or(now + 60_000, |oldest| oldest + DAY);
            return Allowance::Wait {
                until: until.max(now + 1000),
                reason: format!("The profile's daily maximum of {max} is reached."),
            };
        }
        room = room.min(u32::try_from(left).unwrap_or(u32::MAX));
    }
    if quotas.interval_ms.is_some_and(|i| i > 0) {
        if usage.next_at > now {
            return Allowance::Wait {
                until: usage.next_at,
                reason: "The profile pauses between two mails.".to_owned(),
            };
        }
        room = room.min(1);
    }
    Allowance::Now(room)
}

/// When a profile that just claimed may claim again.
pub fn next_at(quotas: &Quotas, now: i64) -> i64 {
    now + i64::from(quotas.interval_ms.unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_daily_maximum_slides() {
        let quotas = Quotas {
            daily_max: Some(10),
            interval_ms: None,
        };
        let usage = Usage {
            begun: 7,
            oldest: Some(1000),
            running: 1,
            next_at: 0,
        };
        assert_eq!(allowance(&quotas, &usage, 5000, 50), Allowance::Now(2));
        let full = Usage { begun: 10, ..usage };
        let Allowance::Wait { until, .. } = allowance(&quotas, &full, 5000, 50) else {
            panic!("must wait")
        };
        assert_eq!(until, 1000 + DAY);
    }

    #[test]
    fn an_interval_lets_one_through_at_a_time() {
        let quotas = Quotas {
            daily_max: None,
            interval_ms: Some(500),
        };
        let usage = Usage {
            next_at: 2000,
            ..Usage::default()
        };
        assert!(matches!(
            allowance(&quotas, &usage, 1999, 50),
            Allowance::Wait { until: 2000, .. }
        ));
        assert_eq!(allowance(&quotas, &usage, 2000, 50), Allowance::Now(1));
        assert_eq!(next_at(&quotas, 2000), 2500);
        assert_eq!(
            allowance(&Quotas::default(), &Usage::default(), 0, 50),
            Allowance::Now(50)
        );
    }
}
