use jiff::Timestamp;
use proptest::prelude::*;

use super::*;
use crate::window::{Clock, DAYS, Day, zone};

const LEASE: i64 = 60_000;
/// 2026-03-01, some weeks before clocks change.
const START: i64 = 1_772_323_200_000;

fn now(room: u32) -> Verdict {
    Verdict::Now { room, before: None }
}

fn until(verdict: Verdict) -> i64 {
    match verdict {
        Verdict::Wait(hold) => hold.until,
        Verdict::Now { .. } => panic!("must wait"),
    }
}

#[test]
fn the_daily_maximum_slides() {
    let limits = Limits {
        daily_max: Some(10),
        ..Limits::default()
    };
    let usage = Usage {
        begun: 7,
        running: 1,
        frees_at: Some(1000),
        ..Usage::default()
    };
    assert_eq!(decide(&limits, &usage, None, 5000), now(2));
    let full = Usage { begun: 10, ..usage };
    assert_eq!(until(decide(&limits, &full, None, 5000)), 1000 + DAY);
}

#[test]
fn an_interval_lets_one_through_at_a_time() {
    let limits = Limits {
        interval_ms: Some(500),
        ..Limits::default()
    };
    let usage = Usage {
        next_at: 2000,
        ..Usage::default()
    };
    assert_eq!(until(decide(&limits, &usage, None, 1000)), 2000);
    assert_eq!(decide(&limits, &usage, None, 2000), now(1));
    let taken = Usage {
        running: 1,
        ..usage
    };
    assert_eq!(until(decide(&limits, &taken, None, 3000)), 3500);
    let none = decide(&Limits::default(), &Usage::default(), None, 0);
    assert_eq!(none, now(u32::MAX));
}

#[test]
fn wrong_limits_are_told_by_their_field() {
    let read = |json: &str| serde_json::from_str::<Limits>(json).map_err(|e| e.to_string());
    for (json, field) in [
        (r#"{"daily_max": 0}"#, "daily_max"),
        (r#"{"daily_aborted_max": 0}"#, "daily_aborted_max"),
        (r#"{"jitter_ms": 86400001}"#, "jitter_ms"),
        (r#"{"domain_gap_ms": 604800001}"#, "domain_gap_ms"),
        (r#"{"time_zone": "Mars/Olympus"}"#, "time_zone"),
        (r#"{"ramp": {"start": 1, "step": 1}}"#, "daily_max"),
        (
            r#"{"daily_max": 5, "ramp": {"start": 9, "step": 1}}"#,
            "ramp.start",
        ),
        (
            r#"{"daily_max": 5, "ramp": {"start": 1, "step": 0}}"#,
            "ramp.step",
        ),
        (r#"{"windows": []}"#, "windows"),
        (
            r#"{"windows": [{"days": [], "from": "09:00", "to": "10:00"}]}"#,
            "windows.0.days",
        ),
        (
            r#"{"windows": [{"days": ["mon", "mon"], "from": "09:00", "to": "10:00"}]}"#,
            "windows.0.days",
        ),
        (
            r#"{"windows": [{"days": ["mon"], "from": "09:00", "to": "09:00"}]}"#,
            "windows.0.to",
        ),
    ] {
        let limits = read(json).expect("limits");
        assert_eq!(limits.check().expect_err(json).0, field);
    }
    assert!(read(r#"{"windows": [{"days": ["mon"], "from": "25:00", "to": "26:00"}]}"#).is_err());
    assert!(read(r#"{"daily_max": 5, "hourly": 1}"#).is_err());
    let all = r#"{"daily_max":5,"ramp":{"start":1,"step":2,"since":7},"windows":[{"days":["mon","sun"],"from":"09:00","to":"24:00"}],"time_zone":"Europe/Madrid","windows_in":"lead","order":"oldest"}"#;
    let limits = read(all).expect("limits");
    assert_eq!(limits.check(), Ok(()));
    assert_eq!(serde_json::to_string(&limits).expect("JSON"), all);
}

#[test]
fn jitter_comes_from_the_id_and_nothing_else() {
    let limits = Limits {
        interval_ms: Some(1000),
        jitter_ms: Some(500),
        ..Limits::default()
    };
    let pauses: Vec<_> = (0..200).map(|id| limits.pause_after(id)).collect();
    assert!(pauses.iter().all(|p| (1000..=1500).contains(p)));
    let (low, high) = (pauses.iter().min(), pauses.iter().max());
    assert!(low < Some(&1050) && high > Some(&1450), "{low:?} {high:?}");
    assert_eq!(limits.pause_after(7), limits.pause_after(7));
}

#[test]
fn every_queue_has_its_turn() {
    let queues = vec![vec![1, 2, 3, 4], vec![10], vec![20, 21]];
    assert_eq!(in_turn(queues.clone(), 5), [1, 10, 20, 2, 21]);
    assert_eq!(in_turn(queues.clone(), 2), [1, 10]);
    assert_eq!(in_turn(queues, 100).len(), 7);
    assert!(in_turn(Vec::<Vec<i64>>::new(), 3).is_empty());
}

fn windows() -> impl Strategy<Value = Vec<Window>> {
    let window = (
        prop::collection::btree_set(0usize..7, 1..4),
        0u16..47,
        1u16..48,
    );
    let window = window.prop_map(|(days, from, length)| {
        let clock = |half: u16| {
            let text = format!("{}:{:02}", half / 2, half % 2 * 30);
            Clock::parse(&text).expect("a time")
        };
        Window {
            days: days.into_iter().map(|n| Day::ALL[n]).collect(),
            from: clock(from),
            to: clock((from + length).min(48)),
        }
    });
    prop::collection::vec(window, 1..4)
}

fn zone_name() -> impl Strategy<Value = String> {
    prop::sample::select(vec![
        "UTC",
        "Europe/Madrid",
        "America/New_York",
        "Australia/Lord_Howe",
        "Asia/Kathmandu",
        "America/Sao_Paulo",
        "Africa/Casablanca",
    ])
    .prop_map(str::to_owned)
}

fn limits() -> impl Strategy<Value = Limits> {
    let counts = (
        prop::option::of(1u32..12),
        prop::option::of(1u32..4),
        prop::option::of(prop_oneof![Just(0), 1u32..PAUSE_MAX / 4]),
        prop::option::of(0u32..3_600_000),
        prop::option::of(0u32..PAUSE_MAX),
        prop::option::of((1u32..4, 1u32..3, -20i64..20)),
    );
    let hours = (
        prop::option::of(windows()),
        prop::option::of(zone_name()),
        any::<bool>(),
    );
    (counts, hours).prop_map(|(counts, (windows, time_zone, by_lead))| {
        let (daily_max, daily_aborted_max, interval_ms, jitter_ms, domain_gap_ms, ramp) = counts;
        let ramp = ramp.zip(daily_max).map(|((start, step, days), max)| Ramp {
            start: start.min(max),
            step,
            since: Some(START + days * DAY),
        });
        Limits {
            daily_max,
            daily_aborted_max,
            interval_ms,
            jitter_ms,
            domain_gap_ms,
            ramp,
            windows,
            time_zone,
            windows_in: match by_lead {
                true => ZoneOf::Lead,
                false => ZoneOf::Profile,
            },
            ..Limits::default()
        }
    })
}

/// A request of the simulation: its recipient, how long its worker hesitates, and how it ends.
#[derive(Debug, Clone)]
struct Work {
    domain: u8,
    zone: Option<String>,
    hesitates: i64,
    takes: i64,
    ends_badly: bool,
    not_before: i64,
}

fn work() -> impl Strategy<Value = Work> {
    (
        0u8..3,
        prop::option::of(zone_name()),
        0i64..LEASE,
        0i64..120_000,
        any::<bool>(),
    )
        .prop_map(|(domain, zone, hesitates, takes, ends_badly)| Work {
            domain,
            zone,
            hesitates,
            takes,
            ends_badly,
            not_before: 0,
        })
}

/// A profile with a worker, on a virtual clock.
struct Profile {
    limits: Limits,
    waiting: Vec<(i64, Work)>,
    /// (begins at, must before, id, work)
    leased: Vec<(i64, Option<i64>, i64, Work)>,
    /// (ends at, ends badly)
    in_hand: Vec<(i64, bool)>,
    begun: Vec<(i64, i64, u8)>,
    ended_badly: Vec<i64>,
    domains: [Option<i64>; 3],
    next_at: i64,
}

impl Profile {
    fn usage(&self, now: i64) -> Usage {
        let recent = |times: Vec<i64>| -> Vec<i64> {
            let mut recent: Vec<_> = times.into_iter().filter(|at| *at > now - DAY).collect();
            recent.sort_unstable();
            recent
        };
        let begun = recent(self.begun.iter().map(|b| b.0).collect());
        let bad = recent(self.ended_badly.clone());
        let running = self.leased.len() as i64;
        let nth = |times: &[i64], max: Option<u32>, used: i64| {
            let n = usize::try_from(used - i64::from(max?)).ok()?;
            times.get(n).copied()
        };
        Usage {
            begun: begun.len() as i64,
            frees_at: nth(
                &begun,
                self.limits.daily_max(now),
                begun.len() as i64 + running,
            ),
            running,
            in_hand: running + self.in_hand.len() as i64,
            aborted: bad.len() as i64,
            aborted_frees_at: nth(&bad, self.limits.daily_aborted_max, bad.len() as i64),
            next_at: self.next_at,
        }
    }

    /// What begins and ends until now.
    fn pass(&mut self, now: i64) {
        let due = |begins: &(i64, Option<i64>, i64, Work)| begins.0 <= now;
        let (begin, leased) = self.leased.drain(..).partition(due);
        self.leased = leased;
        let mut begin: Vec<_> = begin;
        begin.sort_by_key(|b| b.0);
        for (at, before, id, work) in begin {
            if before.is_some_and(|before| before <= at) {
                self.waiting.push((id, work));
                continue;
            }
            self.begin(at, id, &work);
            self.in_hand.push((at + work.takes, work.ends_badly));
        }
        let (ended, in_hand) = self.in_hand.drain(..).partition(|(at, _)| *at <= now);
        self.in_hand = in_hand;
        let ended: Vec<(i64, bool)> = ended;
        for (at, _) in ended.into_iter().filter(|(_, bad)| *bad) {
            self.ended_badly.push(at);
            let in_a_day = self
                .ended_badly
                .iter()
                .filter(|e| **e > at - DAY && **e <= at);
            let max = self.limits.daily_aborted_max.unwrap_or(u32::MAX);
            assert!(in_a_day.count() <= max as usize, "{:?}", self.ended_badly);
        }
    }

    /// Begins, and sees that it may.
    fn begin(&mut self, at: i64, id: i64, work: &Work) {
        let limits = &self.limits;
        let in_a_day = self
            .begun
            .iter()
            .filter(|b| b.0 > at - DAY && b.0 <= at)
            .count();
        let max = limits.daily_max(at).unwrap_or(u32::MAX);
        assert!(in_a_day < max as usize, "{max} a day: {:?}", self.begun);
        if let Some((last, id, _)) = self.begun.last()
            && limits.is_paced()
        {
            let pause = limits.pause_after(*id);
            assert!(at - last >= pause, "{pause} ms: {last} and {at}");
        }
        let same = self.begun.iter().rfind(|b| b.2 == work.domain);
        if let Some((last, ..)) = same {
            let gap = i64::from(limits.domain_gap_ms.unwrap_or(0));
            assert!(at - last >= gap, "{gap} ms: {last} and {at}");
        }
        if let Some(windows) = &limits.windows {
            let own = limits.time_zone.as_deref();
            let name = match limits.windows_in {
                ZoneOf::Lead => work.zone.as_deref().or(own),
                ZoneOf::Profile => own,
            };
            assert!(
                is_inside(windows, name.unwrap_or("UTC"), at),
                "{at} {name:?}"
            );
        }
        self.begun.push((at, id, work.domain));
        self.next_at = self.next_at.max(at + limits.pause_after(id));
        self.domains[usize::from(work.domain)] = Some(at);
    }

    /// Takes what it may; says when to come again.
    fn claim(&mut self, now: i64) -> i64 {
        let usage = self.usage(now);
        let room = match decide(&self.limits, &usage, None, now) {
            Verdict::Now { room, .. } => room.min(5) as usize,
            Verdict::Wait(hold) => {
                assert!(hold.until > now && !hold.reason.is_empty());
                if self.leased.is_empty() && self.in_hand.is_empty() {
                    let then = decide(&self.limits, &self.usage(hold.until), None, hold.until);
                    assert!(
                        matches!(then, Verdict::Now { .. }),
                        "{hold:?}, then {then:?}"
                    );
                }
                return hold.until;
            }
        };
        let mut taken = 0;
        let mut left = Vec::new();
        for (id, mut work) in std::mem::take(&mut self.waiting) {
            if taken == room || work.not_before > now {
                left.push((id, work));
                continue;
            }
            let recipient = Recipient {
                zone: work.zone.clone(),
                domain_last_at: self.domains[usize::from(work.domain)],
            };
            match decide(&self.limits, &usage, Some(&recipient), now) {
                Verdict::Wait(hold) => {
                    assert!(hold.until > now);
                    work.not_before = hold.until;
                    left.push((id, work));
                }
                Verdict::Now { before, .. } => {
                    taken += 1;
                    self.domains[usize::from(work.domain)] = Some(now + LEASE);
                    self.next_at = now + self.limits.pause_after(id);
                    // Somebody less slow tries again.
                    let begins = now + work.hesitates;
                    work.hesitates /= 2;
                    self.leased.push((begins, before, id, work));
                }
            }
        }
        self.waiting = left;
        let due = self.waiting.iter().map(|(_, w)| w.not_before.max(now + 1));
        due.min().unwrap_or(now + DAY)
    }
}

/// The wall clock as people read it.
fn is_inside(windows: &[Window], zone_name: &str, at: i64) -> bool {
    let zone = zone(zone_name).expect("a zone");
    let local = Timestamp::from_millisecond(at)
        .expect("a time")
        .to_zoned(zone);
    let day = local.strftime("%a").to_string().to_lowercase();
    let time = local.strftime("%H:%M").to_string();
    let on = |w: &Window| {
        let day = DAYS.iter().position(|d| **d == day).expect("a day");
        w.days.contains(&Day::ALL[day])
    };
    let mut open = windows.iter().filter(|w| on(w));
    open.any(|w| w.from.to_string() <= time && time < w.to.to_string())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 384, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_limit_is_ever_exceeded_and_everything_runs_at_last(
        limits in limits(),
        work in prop::collection::vec(work(), 1..40),
        start in 0i64..300,
    ) {
        prop_assert_eq!(limits.check(), Ok(()));
        let mut now = START + start * DAY + start * 1_234_567;
        let all = work.len();
        let mut profile = Profile {
            limits,
            waiting: work.into_iter().enumerate().map(|(id, w)| (id as i64, w)).collect(),
            leased: Vec::new(),
            in_hand: Vec::new(),
            begun: Vec::new(),
            ended_badly: Vec::new(),
            domains: [None; 3],
            next_at: 0,
        };
        let end = now + 366 * DAY;
        while profile.begun.len() < all || !profile.in_hand.is_empty() {
            prop_assert!(now < end, "forgotten after a year: {:?}", profile.waiting);
            let again = profile.claim(now);
            let events = profile.leased.iter().map(|l| l.0).chain(profile.in_hand.iter().map(|h| h.0));
            now = events.fold(again, i64::min).max(now + 1);
            profile.pass(now);
        }
    }

    #[test]
    fn a_ramp_only_grows_and_ends_at_the_maximum(
        (start, step, max) in (1u32..50, 1u32..20, 50u32..500),
        times in prop::collection::vec(0i64..400 * DAY, 2..20),
    ) {
        let limits = Limits {
            daily_max: Some(max),
            ramp: Some(Ramp { start, step, since: Some(START) }),
            ..Limits::default()
        };
        let mut times = times;
        times.sort_unstable();
        let maxima: Vec<_> = times.iter().filter_map(|at| limits.daily_max(START + at)).collect();
        prop_assert!(maxima.is_sorted());
        prop_assert!(maxima.iter().all(|n| (start..=max).contains(n)));
        prop_assert_eq!(limits.daily_max(START - DAY), Some(start));
        prop_assert_eq!(limits.daily_max(START + DAY), Some((start + step).min(max)));
        prop_assert_eq!(limits.daily_max(START + 500 * DAY), Some(max));
    }

    #[test]
    fn windows_open_and_close_when_the_wall_clock_says_so(
        windows in windows(),
        name in zone_name(),
        minutes in 0i64..366 * 24 * 60,
    ) {
        let (zone, at) = (zone(&name).expect("a zone"), START + minutes * 60_000);
        let open = window::opens(&windows, &zone, at).expect("a window");
        prop_assert!(open >= at && is_inside(&windows, &name, open));
        prop_assert!(open == at || !is_inside(&windows, &name, open - 1));
        for quarter in 0..(open - at) / 900_000 {
            prop_assert!(!is_inside(&windows, &name, at + quarter * 900_000));
        }
        if let Some(close) = window::closes(&windows, &zone, open) {
            prop_assert!(close > open && !is_inside(&windows, &name, close));
            prop_assert!(is_inside(&windows, &name, close - 1));
        }
    }
}
