//! When a certificate is asked for.

use crate::tls::x509::Facts;
use chrono::{DateTime, TimeDelta, Utc};
use sha2::{Digest, Sha256};

/// What a name needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need {
    /// Its certificate holds for long.
    None,
    /// Two thirds of its certificate's life are over.
    Renewal,
    /// It has no certificate that holds.
    Certificate,
}

/// What the holder of a certificate needs.
pub fn need(facts: &Facts, now: DateTime<Utc>) -> Need {
    let life = facts.not_after - facts.not_before;
    if now >= facts.not_after {
        Need::Certificate
    } else if now >= facts.not_before + life * 2 / 3 {
        Need::Renewal
    } else {
        Need::None
    }
}

/// How long to wait after so many failures: a minute, doubled each time, half a day at most; some
/// names a tenth longer than others, so that they do not all come back at once.
pub fn backoff(name: &str, failures: u32) -> TimeDelta {
    let seconds = 60_i64.saturating_mul(1 << failures.saturating_sub(1).min(20));
    let seconds = seconds.min(12 * 3600);
    let share = i64::from(Sha256::digest(name.as_bytes())[0]);
    TimeDelta::seconds(seconds + seconds * share / 2560)
}

/// Whether an authority would give a certificate for a name that a challenge by HTTP can prove.
pub fn is_provable(name: &str) -> bool {
    let label = |label: &str| {
        let usual = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
        !label.is_empty()
            && label.len() <= 63
            && label.bytes().all(usual)
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    let is_address = name.parse::<std::net::IpAddr>().is_ok();
    name.len() <= 253 && name.contains('.') && !is_address && name.split('.').all(label)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_thirds_of_a_life_are_enough() {
        let day = |day: i64| DateTime::<Utc>::UNIX_EPOCH + TimeDelta::days(day);
        let facts = Facts {
            names: Vec::new(),
            not_before: day(0),
            not_after: day(90),
        };
        assert_eq!(need(&facts, day(59)), Need::None);
        assert_eq!(need(&facts, day(60)), Need::Renewal);
        assert_eq!(need(&facts, day(89)), Need::Renewal);
        assert_eq!(need(&facts, day(90)), Need::Certificate);
    }

    #[test]
    fn waiting_doubles_up_to_half_a_day() {
        let minutes = |failures| backoff("a.example", failures).num_minutes();
        assert_eq!(minutes(1), 1);
        assert!((2..=3).contains(&minutes(2)));
        assert!((720..=792).contains(&minutes(11)));
        assert_eq!(minutes(11), minutes(1000));
    }

    #[test]
    fn only_names_of_the_public_dns_are_asked_for() {
        for good in ["a.example", "xn--bcher-kva.example", "a-b.c.d"] {
            assert!(is_provable(good), "{good}");
        }
        let long = format!("{}.example", "a".repeat(64));
        for bad in [
            "",
            "localhost",
            "127.0.0.1",
            "*.a.example",
            "a..b",
            "-a.b",
            "../a.b",
            &long,
        ] {
            assert!(!is_provable(bad), "{bad}");
        }
    }
}
