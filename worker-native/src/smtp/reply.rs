//! SMTP replies (RFC 5321, 4.2): a bounded parser that is strict in shape and tolerant in text.

use std::fmt;

/// The longest reply that is read, all its lines together.
pub const MAX_REPLY: usize = 64 * 1024;

/// A whole reply, its lines joined with spaces.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// 200 to 599.
    pub code: u16,
    /// The text without codes, lossily read as UTF-8.
    pub text: String,
}

impl Reply {
    /// 2yz
    pub fn is_positive(&self) -> bool {
        (200..300).contains(&self.code)
    }
}

impl fmt::Display for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.code)?;
        if !self.text.is_empty() {
            write!(f, " {}", self.text)?;
        }
        Ok(())
    }
}

/// One line of a reply: its code, whether it is the last, and its text.
struct Line<'a> {
    code: u16,
    last: bool,
    text: &'a [u8],
}

/// A whole reply at the start of `input`, its single lines, and its length; none if more must be read first.
///
/// # Errors
/// A sentence about what does not look like SMTP.
pub fn parse(input: &[u8]) -> Result<Option<(Reply, Vec<String>, usize)>, String> {
    let mut lines = Vec::new();
    let mut code = None;
    let mut start = 0;
    while let Some(length) = input[start..].iter().position(|&b| b == b'\n') {
        let raw = &input[start..start + length];
        let line = parse_line(raw.strip_suffix(b"\r").unwrap_or(raw))?;
        if code.is_some_and(|code| code != line.code) {
            return Err(format!(
                "a reply began with {} and went on with {}",
                code.unwrap_or(0),
                line.code
            ));
        }
        code = Some(line.code);
        start += length + 1;
        lines.push(String::from_utf8_lossy(line.text).trim().to_owned());
        if line.last {
            let text = lines
                .iter()
                .filter(|l| !l.is_empty())
                .cloned()
                .collect::<Vec<_>>()
                .join(" ");
            return Ok(Some((
                Reply {
                    code: line.code,
                    text,
                },
                lines,
                start,
            )));
        }
        if start > MAX_REPLY {
            break;
        }
    }
    if input.len() > MAX_REPLY {
        return Err(format!("a reply longer than {MAX_REPLY} bytes"));
    }
    Ok(None)
}

fn parse_line(line: &[u8]) -> Result<Line<'_>, String> {
    let strange = || {
        let shown: String = String::from_utf8_lossy(&line[..line.len().min(80)]).into_owned();
        format!("{shown:?} is not an SMTP reply")
    };
    let (digits, rest) = line.split_at_checked(3).ok_or_else(strange)?;
    if !digits.iter().all(u8::is_ascii_digit) || !(b'2'..=b'5').contains(&digits[0]) {
        return Err(strange());
    }
    let code = digits.iter().fold(0, |n, d| n * 10 + u16::from(d - b'0'));
    match rest.split_first() {
        None => Ok(Line {
            code,
            last: true,
            text: b"",
        }),
        Some((b' ', text)) => Ok(Line {
            code,
            last: true,
            text,
        }),
        Some((b'-', text)) => Ok(Line {
            code,
            last: false,
            text,
        }),
        Some(_) => Err(strange()),
    }
}

/// What a server offers in its answer to EHLO.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Offers {
    /// STARTTLS
    pub starttls: bool,
    /// SMTPUTF8
    pub smtputf8: bool,
    /// AUTH PLAIN
    pub auth_plain: bool,
    /// AUTH LOGIN
    pub auth_login: bool,
    /// SIZE: the largest mail in bytes, when there is a limit.
    pub size: Option<u64>,
}

impl Offers {
    /// Reads the lines of an EHLO reply; the first is the greeting.
    pub fn read(lines: &[String]) -> Self {
        let mut offers = Self::default();
        for line in lines.iter().skip(1) {
            let upper = line.to_ascii_uppercase();
            // Some old servers write `AUTH=PLAIN`.
            let mut words = upper.split([' ', '=']).filter(|w| !w.is_empty());
            match words.next() {
                Some("STARTTLS") => offers.starttls = true,
                Some("SMTPUTF8") => offers.smtputf8 = true,
                Some("SIZE") => {
                    offers.size = words.next().and_then(|n| n.parse().ok()).filter(|&n| n > 0);
                }
                Some("AUTH") => {
                    for mechanism in words {
                        offers.auth_plain |= mechanism == "PLAIN";
                        offers.auth_login |= mechanism == "LOGIN";
                    }
                }
                _ => {}
            }
        }
        offers
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn whole(input: &str) -> Option<(u16, String, usize)> {
        parse(input.as_bytes())
            .unwrap()
            .map(|(r, _, n)| (r.code, r.text, n))
    }

    #[test]
    fn replies_are_read_whole_or_not_yet() {
        assert_eq!(whole("250 Ok\r\n"), Some((250, "Ok".into(), 8)));
        assert_eq!(whole("250\r\nrest"), Some((250, String::new(), 5)));
        assert_eq!(whole("250 Ok\n"), Some((250, "Ok".into(), 7)));
        assert_eq!(
            whole("250-a\r\n250-\r\n250 b\r\n"),
            Some((250, "a b".into(), 20))
        );
        for part in ["", "2", "250 Ok", "250-a\r\n", "250-a\r\n250 b"] {
            assert_eq!(whole(part), None, "{part:?}");
        }
        let (reply, _, _) = parse(b"550 caf\xe9\r\n").unwrap().unwrap();
        assert_eq!(reply.to_string(), "550 caf\u{fffd}");
    }

    #[test]
    fn what_is_not_smtp_is_refused() {
        for bad in [
            "HTTP/1.1 200 OK\r\n",
            "25\r\n",
            "150 hm\r\n",
            "650 hm\r\n",
            "250_a\r\n",
            "250-a\r\n251 b\r\n",
            "\r\n",
        ] {
            assert!(parse(bad.as_bytes()).is_err(), "{bad:?}");
        }
        assert!(parse(&vec![b'2'; MAX_REPLY + 1]).is_err());
        assert!(parse("250-a\r\n".repeat(MAX_REPLY / 7 + 2).as_bytes()).is_err());
    }

    #[test]
    fn offers_are_read() {
        let lines: Vec<String> = [
            "mx.test",
            "STARTTLS",
            "size 1000",
            "AUTH=LOGIN",
            "AUTH PLAIN XOAUTH2",
            "SMTPUTF8",
        ]
        .map(String::from)
        .into();
        let offers = Offers::read(&lines);
        assert!(offers.starttls && offers.smtputf8 && offers.auth_plain && offers.auth_login);
        assert_eq!(offers.size, Some(1000));
        // The greeting is no offer.
        assert_eq!(Offers::read(&["STARTTLS".to_owned()]), Offers::default());
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_make_it_panic(input in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..200)) {
            let _ = parse(&input);
        }
    }
}
