//! What the host wants to know from a certificate: its names, and how long it holds.

use chrono::{DateTime, NaiveDateTime, Utc};

/// The host's view of a certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    /// DNS names, in lower case; a wildcard begins with `*.`.
    pub names: Vec<String>,
    /// Its first moment.
    pub not_before: DateTime<Utc>,
    /// Its last moment.
    pub not_after: DateTime<Utc>,
}

const SEQUENCE: u8 = 0x30;
const VERSION: u8 = 0xA0;
const EXTENSIONS: u8 = 0xA3;
const OCTETS: u8 = 0x04;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;
const DNS_NAME: u8 = 0x82;
/// 2.5.29.17
const SUBJECT_ALT_NAME: &[u8] = &[0x55, 0x1D, 0x11];

/// Reads a certificate in DER; `None` when it is none.
pub fn facts(der: &[u8]) -> Option<Facts> {
    let mut certificate = Der(Der(der).take(SEQUENCE)?);
    let mut body = Der(certificate.take(SEQUENCE)?);
    if body.next_is(VERSION) {
        body.any()?;
    }
    // Serial number, algorithm, issuer.
    for _ in 0..3 {
        body.any()?;
    }
    let mut validity = Der(body.take(SEQUENCE)?);
    let (not_before, not_after) = (time(validity.any()?)?, time(validity.any()?)?);
    let mut names = Vec::new();
    while let Some((tag, value)) = body.any() {
        if tag == EXTENSIONS {
            names = dns_names(value).unwrap_or_default();
        }
    }
    Some(Facts {
        names,
        not_before,
        not_after,
    })
}

fn dns_names(extensions: &[u8]) -> Option<Vec<String>> {
    let mut extensions = Der(Der(extensions).take(SEQUENCE)?);
    while let Some((_, extension)) = extensions.any() {
        let mut parts = Der(extension);
        if parts.any()?.1 != SUBJECT_ALT_NAME {
            continue;
        }
        let mut value = parts.any()?;
        // Whether it is critical may come first.
        if value.0 != OCTETS {
            value = parts.any()?;
        }
        let mut all = Der(Der(value.1).take(SEQUENCE)?);
        let mut names = Vec::new();
        while let Some((tag, name)) = all.any() {
            if tag == DNS_NAME {
                names.push(std::str::from_utf8(name).ok()?.to_ascii_lowercase());
            }
        }
        return Some(names);
    }
    None
}

fn time((tag, text): (u8, &[u8])) -> Option<DateTime<Utc>> {
    let text = std::str::from_utf8(text).ok()?;
    let text = match tag {
        GENERALIZED_TIME => text.to_owned(),
        // Two digits of the year: below 50 they are of this century.
        UTC_TIME if text.get(..2)?.parse::<u8>().ok()? < 50 => format!("20{text}"),
        UTC_TIME => format!("19{text}"),
        _ => return None,
    };
    let time = NaiveDateTime::parse_from_str(&text, "%Y%m%d%H%M%SZ").ok()?;
    Some(time.and_utc())
}

/// DER that is read from its front.
struct Der<'d>(&'d [u8]);

impl<'d> Der<'d> {
    fn next_is(&self, tag: u8) -> bool {
        self.0.first() == Some(&tag)
    }

    /// The next element, with its tag.
    fn any(&mut self) -> Option<(u8, &'d [u8])> {
        let (&tag, rest) = self.0.split_first()?;
        let (&first, mut rest) = rest.split_first()?;
        let mut length = usize::from(first);
        if first >= 0x80 {
            let (digits, after) = rest.split_at_checked(usize::from(first & 0x7F))?;
            if digits.len() > 4 {
                return None;
            }
            length = digits
                .iter()
                .fold(0, |sum, digit| sum << 8 | usize::from(*digit));
            rest = after;
        }
        let (value, rest) = rest.split_at_checked(length)?;
        self.0 = rest;
        Some((tag, value))
    }

    fn take(&mut self, tag: u8) -> Option<&'d [u8]> {
        self.any()
            .filter(|(found, _)| *found == tag)
            .map(|(_, value)| value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rcgen::{CertificateParams, KeyPair};

    fn made(names: &[&str], from: i32, until: i32) -> Vec<u8> {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut parameters = CertificateParams::new(names).unwrap();
        parameters.not_before = rcgen::date_time_ymd(from, 2, 3);
        parameters.not_after = rcgen::date_time_ymd(until, 12, 31);
        let key = KeyPair::generate().unwrap();
        parameters.self_signed(&key).unwrap().der().to_vec()
    }

    #[test]
    fn names_and_dates_are_read() {
        let facts = facts(&made(
            &["A.example", "*.b.example", "127.0.0.1"],
            2024,
            2055,
        ))
        .unwrap();
        assert_eq!(facts.names, ["a.example", "*.b.example"]);
        assert_eq!(facts.not_before.to_rfc3339(), "2024-02-03T00:00:00+00:00");
        assert_eq!(facts.not_after.to_rfc3339(), "2055-12-31T00:00:00+00:00");
    }

    #[test]
    fn what_is_cut_off_or_changed_is_not_trusted() {
        let whole = made(&["a.example"], 2024, 2030);
        for length in 0..whole.len() {
            assert_eq!(facts(&whole[..length]), None);
        }
        for at in 0..whole.len() {
            let mut changed = whole.clone();
            changed[at] ^= 0xFF;
            // Whatever it says, it ends.
            let _ = facts(&changed);
        }
    }
}
