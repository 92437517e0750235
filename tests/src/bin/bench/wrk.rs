//! One run of `wrk` against one address.

use std::process::Command;

/// What a run came to.
#[derive(Clone, Copy)]
pub struct Load {
    /// Requests a second.
    pub rate: f64,
    /// 99 of 100 requests took at most this long.
    pub p99_ms: f64,
}

/// Loads `url` with 64 connections for `seconds`; panics if an answer was not 2xx.
pub fn run(url: &str, key: Option<&str>, seconds: u32) -> Load {
    let mut command = Command::new("wrk");
    command.args(["-t2", "-c64", &format!("-d{seconds}s"), "--latency", url]);
    if let Some(key) = key {
        command.args(["-H", &format!("Authorization: Bearer {key}")]);
    }
    let output = command.output().expect("wrk (scripts/bench installs it)");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        output.status.success() && !text.contains("Non-2xx"),
        "{url}: {text}"
    );
    let rate = word_after(&text, "Requests/sec:")
        .parse()
        .expect("a number");
    Load {
        rate,
        p99_ms: milliseconds(word_after(&text, "99%")),
    }
}

fn word_after<'a>(text: &'a str, mark: &str) -> &'a str {
    let rest = text
        .split_once(mark)
        .unwrap_or_else(|| panic!("no {mark} in {text}"))
        .1;
    rest.split_whitespace().next().unwrap_or_default()
}

fn milliseconds(text: &str) -> f64 {
    let unit = text.trim_start_matches(|c: char| c.is_ascii_digit() || c == '.');
    let number: f64 = text[..text.len() - unit.len()].parse().expect("a number");
    number
        * match unit {
            "us" => 0.001,
            "ms" => 1.0,
            "s" => 1000.0,
            "m" => 60_000.0,
            other => panic!("the unit {other} of wrk"),
        }
}
