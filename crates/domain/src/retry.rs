//! When to try again, and when to give up.

const SECOND: i64 = 1000;
const MINUTE: i64 = 60 * SECOND;
const HOUR: i64 = 60 * MINUTE;

/// Pauses after the first, second … failed attempt: quick at first for a server that restarts, then slow as RFC 5321
/// section 4.5.4.1 advises, about four days in all.
const PAUSES: [i64; 12] = [
    5 * SECOND,
    30 * SECOND,
    2 * MINUTE,
    10 * MINUTE,
    30 * MINUTE,
    HOUR,
    2 * HOUR,
    4 * HOUR,
    8 * HOUR,
    24 * HOUR,
    24 * HOUR,
    24 * HOUR,
];

/// How long to wait after a failed attempt (1 for the first), in milliseconds; none when it is time to give up.
/// `asked` is what the other side asked for.
pub fn pause_after(attempt: u32, asked: Option<i64>) -> Option<i64> {
    let pause = PAUSES.get(usize::try_from(attempt).ok()?.checked_sub(1)?)?;
    Some(asked.map_or(*pause, |asked| asked.clamp(SECOND, 24 * HOUR).max(*pause)))
}

/// How long to wait before a step of our own is tried again: doubles from a second to a minute.
pub fn backoff(attempt: u32) -> i64 {
    (SECOND << attempt.saturating_sub(1).min(6)).min(MINUTE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_and_end() {
        assert_eq!(pause_after(1, None), Some(5_000));
        assert_eq!(pause_after(1, Some(60_000)), Some(60_000));
        assert_eq!(pause_after(5, Some(1)), Some(30 * MINUTE));
        assert_eq!(pause_after(13, None), None);
        assert_eq!(backoff(1), 1_000);
        assert_eq!(backoff(40), MINUTE);
    }
}
