//! Which of several texts does better.
//!
//! Each text is tried on the same number of leads, and then it is decided once, so that looking often finds nothing that
//! is not there. The best is held against each of the others by the two-proportion z-test with pooled variance (NIST/SEMATECH
//! e-Handbook of Statistical Methods, 7.3.3), two-sided at 5 %, divided by the number of comparisons (Bonferroni).

/// The most texts that are tried against each other.
pub const VARIANTS_MAX: usize = 5;

/// |z| beyond which a difference counts, for one to four comparisons: the normal distribution's quantiles of
/// 1 - 0.05 / (2 n).
const CRITICAL: [f64; VARIANTS_MAX - 1] = [1.959_964, 2.241_403, 2.393_980, 2.497_705];

/// How one text did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tried {
    /// Mails that were sent.
    pub sent: u64,
    /// Those of them that had the effect.
    pub hits: u64,
}

/// The z statistic of the difference between two rates; 0 where there is nothing to tell them apart by.
pub fn z(a: Tried, b: Tried) -> f64 {
    if a.sent == 0 || b.sent == 0 {
        return 0.0;
    }
    let (n, m) = (a.sent as f64, b.sent as f64);
    let (x, y) = (a.hits as f64, b.hits as f64);
    let pooled = (x + y) / (n + m);
    let deviation = (pooled * (1.0 - pooled) * (1.0 / n + 1.0 / m)).sqrt();
    match deviation > 0.0 {
        true => (x / n - y / m) / deviation,
        false => 0.0,
    }
}

/// The text that does better than every other one; none when chance may explain the difference.
pub fn winner(tried: &[Tried]) -> Option<usize> {
    let critical = CRITICAL.get(tried.len().checked_sub(2)?)?;
    let beats = |at: usize| {
        let others = tried.iter().enumerate().filter(|(other, _)| *other != at);
        others
            .into_iter()
            .all(|(_, other)| z(tried[at], *other) > *critical)
    };
    (0..tried.len()).find(|at| beats(*at))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn tried(rates: &[(u64, u64)]) -> Vec<Tried> {
        rates
            .iter()
            .map(|(hits, sent)| Tried {
                sent: *sent,
                hits: *hits,
            })
            .collect()
    }

    #[test]
    fn the_statistic_is_that_of_the_textbook() {
        // 30 of 100 against 20 of 100: pooled 0.25, deviation 0.0612372.
        let z = z(
            Tried {
                sent: 100,
                hits: 30,
            },
            Tried {
                sent: 100,
                hits: 20,
            },
        );
        assert!((z - 1.632_993).abs() < 1e-6, "{z}");
        assert_eq!(winner(&tried(&[(30, 100), (20, 100)])), None);
        assert_eq!(winner(&tried(&[(20, 100), (40, 100)])), Some(1));
        // What counts between two does not between three.
        assert_eq!(winner(&tried(&[(33, 100), (20, 100)])), Some(0));
        assert_eq!(winner(&tried(&[(33, 100), (20, 100), (20, 100)])), None);
        assert_eq!(winner(&tried(&[(0, 100), (0, 100)])), None);
        assert_eq!(winner(&tried(&[(5, 5)])), None);
    }

    proptest! {
        #[test]
        fn who_wins_has_the_best_rate(rates in prop::collection::vec((0u64..=200, 200u64..300), 2..=5)) {
            let tried = tried(&rates);
            if let Some(best) = winner(&tried) {
                let rate = |t: &Tried| t.hits as f64 / t.sent as f64;
                prop_assert!(tried.iter().all(|t| rate(t) <= rate(&tried[best])));
            }
        }
    }
}
