//! From the parts of a mail to the text that goes over the wire: headers, encodings, dot stuffing.

use std::borrow::Cow;

use mail_builder::{
    MessageBuilder,
    headers::{address::Address, date::Date, message_id::MessageId, raw::Raw, text::Text},
};
use worker_api::Message;

use crate::address::Mailbox;

/// The longest line that SMTP carries, without its CRLF (RFC 5321, 4.5.3.1.6).
const MAX_LINE: usize = 998;

/// Header fields that the worker writes itself; a second one would make the mail ambiguous.
const OWN_FIELDS: [&str; 11] = [
    "from",
    "to",
    "subject",
    "date",
    "message-id",
    "mime-version",
    "content-type",
    "content-transfer-encoding",
    "bcc",
    "return-path",
    "content-disposition",
];

/// A mail that is ready to be handed over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mail {
    /// Envelope sender.
    pub from: String,
    /// Envelope recipient.
    pub to: String,
    /// Whether an address is not ASCII, so that the server must offer SMTPUTF8.
    pub needs_utf8: bool,
    /// The text in CRLF lines, dot-stuffed, with the final `CRLF . CRLF`.
    pub wire: Vec<u8>,
}

impl Mail {
    /// The text as it lies in a file: without what only the wire needs.
    pub fn text(&self) -> Vec<u8> {
        let body = self.wire.strip_suffix(b".\r\n").unwrap_or(&self.wire);
        let lines = body.split_inclusive(|&b| b == b'\n');
        lines
            .flat_map(|line| line.strip_prefix(b".").unwrap_or(line))
            .copied()
            .collect()
    }
}

/// Makes the mail.
///
/// # Errors
/// A sentence for a person: what of the mail or of the sender cannot be used.
pub fn build(from: &str, message: &Message) -> Result<Mail, String> {
    let from = Mailbox::parse(from).map_err(|why| format!("the profile's sender: {why}"))?;
    let to = Mailbox::new(message.to_name.as_deref(), &message.to)
        .map_err(|why| format!("the recipient: {why}"))?;
    one_line("the subject", &message.subject)?;
    check_message_id(&message.message_id)?;
    let needs_utf8 = !from.address.is_ascii() || !to.address.is_ascii();

    let mut mail = MessageBuilder::new()
        .from(mailbox(&from))
        .to(mailbox(&to))
        .subject(message.subject.trim())
        .date(Date::new(message.date.div_euclid(1000)))
        .message_id(MessageId::new(message.message_id.as_str()));
    for (name, value) in &message.headers {
        check_field(name, value)?;
        mail = if value.is_ascii() {
            mail.header(name.as_str(), Raw::new(value.trim()))
        } else {
            mail.header(name.as_str(), Text::new(value.trim()))
        };
    }
    mail = mail.text_body(plain_lines(&message.text));
    if let Some(html) = &message.html {
        mail = mail.html_body(plain_lines(html));
    }
    let text = mail
        .write_to_vec()
        .map_err(|e| format!("the mail could not be written: {e}"))?;
    if let Some(line) = text.split(|&b| b == b'\n').find(|l| l.len() > MAX_LINE + 1) {
        let field = String::from_utf8_lossy(&line[..line.len().min(40)]).into_owned();
        return Err(format!(
            "a header line is longer than {MAX_LINE} bytes and cannot be folded: {field:?}"
        ));
    }
    Ok(Mail {
        from: from.address,
        to: to.address,
        needs_utf8,
        wire: to_wire(&text),
    })
}

fn mailbox(mailbox: &Mailbox) -> Address<'_> {
    Address::new_address(mailbox.name.as_deref(), mailbox.address.as_str())
}

fn one_line(what: &str, value: &str) -> Result<(), String> {
    match value.chars().find(|c| c.is_control() && *c != '\t') {
        Some(c) => Err(format!("{what} contains the control character {c:?}")),
        None => Ok(()),
    }
}

fn check_message_id(id: &str) -> Result<(), String> {
    let fine = id.is_ascii()
        && id.contains('@')
        && id.len() < 900
        && id
            .bytes()
            .all(|b| b.is_ascii_graphic() && b != b'<' && b != b'>');
    if fine {
        Ok(())
    } else {
        Err(format!("{id:?} is not a Message-ID"))
    }
}

fn check_field(name: &str, value: &str) -> Result<(), String> {
    if name.is_empty()
        || name.len() > 76
        || !name.bytes().all(|b| b.is_ascii_graphic() && b != b':')
    {
        return Err(format!("{name:?} is not the name of a header field"));
    }
    if OWN_FIELDS.iter().any(|own| own.eq_ignore_ascii_case(name)) {
        return Err(format!(
            "the header field {name} is not for a template to set"
        ));
    }
    one_line(&format!("the header field {name}"), value)
}

/// Line ends as `\n` alone and no NUL, so that the encoder meets one form only.
fn plain_lines(text: &str) -> Cow<'_, str> {
    if text.contains(['\r', '\0']) {
        Cow::Owned(
            text.replace("\r\n", "\n")
                .replace('\r', "\n")
                .replace('\0', ""),
        )
    } else {
        Cow::Borrowed(text)
    }
}

/// Doubles dots at line starts and adds the line that ends the mail (RFC 5321, 4.5.2).
fn to_wire(text: &[u8]) -> Vec<u8> {
    let mut wire = Vec::with_capacity(text.len() + text.len() / 64 + 8);
    for line in text.split_inclusive(|&b| b == b'\n') {
        if line.first() == Some(&b'.') {
            wire.push(b'.');
        }
        wire.extend_from_slice(line);
    }
    if !wire.ends_with(b"\r\n") {
        wire.extend_from_slice(b"\r\n");
    }
    wire.extend_from_slice(b".\r\n");
    wire
}

#[cfg(test)]
mod tests {
    use mail_parser::{HeaderValue, MessageParser};

    use super::*;

    fn message() -> Message {
        Message {
            message_id: "one.two@sluice.test".into(),
            date: 1_700_000_000_123,
            to: "lee@example.test".into(),
            to_name: None,
            subject: "Hello".into(),
            text: "Hi\n".into(),
            html: None,
            headers: vec![],
        }
    }

    /// Takes the wire form apart again, as a server would.
    fn received(mail: &Mail) -> Vec<u8> {
        let body = mail.wire.strip_suffix(b".\r\n").unwrap();
        assert!(body.ends_with(b"\r\n"));
        let mut out = Vec::new();
        for line in body.split_inclusive(|&b| b == b'\n') {
            assert!(line.ends_with(b"\r\n"), "a bare line feed");
            assert!(line.len() <= 1000, "a line of {} bytes", line.len());
            assert!(
                !line[..line.len() - 2].contains(&b'\r'),
                "a bare carriage return"
            );
            assert_ne!(line, b".\r\n", "an early end");
            out.extend_from_slice(line.strip_prefix(b".").unwrap_or(line));
        }
        out
    }

    fn build_ok(message: &Message) -> Vec<u8> {
        received(&build("Ann <ann@agency.test>", message).unwrap())
    }

    #[test]
    fn a_plain_mail_carries_exactly_what_was_asked() {
        let mut m = message();
        m.headers = vec![
            (
                "List-Unsubscribe".into(),
                "<https://x.test/u/abc?x=1>, <mailto:u@x.test>".into(),
            ),
            (
                "List-Unsubscribe-Post".into(),
                "List-Unsubscribe=One-Click".into(),
            ),
        ];
        let raw = String::from_utf8(build_ok(&m)).unwrap();
        assert!(
            raw.contains("Message-ID: <one.two@sluice.test>\r\n"),
            "{raw}"
        );
        assert!(
            raw.contains("Date: Tue, 14 Nov 2023 22:13:20 +0000\r\n"),
            "{raw}"
        );
        assert!(
            raw.contains("List-Unsubscribe: <https://x.test/u/abc?x=1>, <mailto:u@x.test>\r\n"),
            "{raw}"
        );
        assert!(
            raw.contains("List-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n"),
            "{raw}"
        );
        assert_eq!(raw.matches("Message-ID:").count(), 1);
        assert_eq!(raw.matches("Date:").count(), 1);
        let parsed = MessageParser::default().parse(raw.as_bytes()).unwrap();
        assert_eq!(parsed.subject(), Some("Hello"));
        assert_eq!(parsed.from().unwrap().first().unwrap().name(), Some("Ann"));
        assert_eq!(
            parsed.to().unwrap().first().unwrap().address(),
            Some("lee@example.test")
        );
        assert_eq!(parsed.body_text(0).unwrap().trim_end(), "Hi");
        assert_eq!(
            parsed.html_body_count() + parsed.text_body_count(),
            2,
            "one part, which serves as both"
        );
    }

    #[test]
    fn subjects_names_and_bodies_in_any_script_come_back_as_they_were() {
        let mut m = message();
        m.subject = "Grüße aus Köln, 안녕하세요 — and a line that is long enough to be folded more than once 🎉".into();
        m.to_name = Some("Søren, \"the\" Kiærkegård".into());
        m.text = "Zeile äöü\nمرحبا\n".into();
        m.html = Some("<p>Zeile äöü 🎉</p>".into());
        let raw = build_ok(&m);
        assert!(raw.is_ascii());
        let parsed = MessageParser::default().parse(&raw).unwrap();
        assert_eq!(parsed.subject(), Some(m.subject.as_str()));
        assert_eq!(
            parsed.to().unwrap().first().unwrap().name(),
            m.to_name.as_deref()
        );
        assert_eq!(parsed.body_text(0).unwrap().replace("\r\n", "\n"), m.text);
        assert_eq!(parsed.body_html(0).unwrap(), m.html.as_deref().unwrap());
        assert!(
            matches!(parsed.header("Content-Type"), Some(HeaderValue::ContentType(c)) if c.c_subtype.as_deref() == Some("alternative"))
        );
    }

    #[test]
    fn dots_long_lines_and_strange_line_ends_survive() {
        for text in [
            ".\n..\n.dot\nend".to_owned(),
            format!("{}\n{}", "x".repeat(5000), "é".repeat(5000)),
            "a\rb\r\nc\n\n\n.".to_owned(),
            "trailing space \nFrom here\n".to_owned(),
            String::new(),
            "nul\0byte".to_owned(),
        ] {
            let mut m = message();
            m.text = text.clone();
            let raw = build_ok(&m);
            let parsed = MessageParser::default().parse(&raw).unwrap();
            let got = parsed
                .body_text(0)
                .unwrap_or_default()
                .replace("\r\n", "\n");
            assert_eq!(
                got.trim_end_matches('\n'),
                plain_lines(&text).trim_end_matches('\n'),
                "{text:?}"
            );
        }
    }

    #[test]
    fn no_part_can_add_a_header_or_end_the_mail() {
        let inject = "x\r\nBcc: victim@example.test";
        let cases: Vec<fn(&mut Message, &str)> = vec![
            |m, v| m.subject = v.into(),
            |m, v| m.to = v.into(),
            |m, v| m.to_name = Some(v.into()),
            |m, v| m.message_id = format!("{v}@x"),
            |m, v| m.headers = vec![("X-A".into(), v.into())],
            |m, v| m.headers = vec![(v.into(), "a".into())],
            |m, _| m.headers = vec![("Bcc".into(), "victim@example.test".into())],
            |m, _| m.headers = vec![("content-TYPE".into(), "text/html".into())],
            |m, _| m.headers = vec![("A:B".into(), "c".into())],
        ];
        for (i, change) in cases.iter().enumerate() {
            for value in [inject, "x\ny", "x\ry", "x\0y"] {
                let mut m = message();
                change(&mut m, value);
                assert!(build("ann@agency.test", &m).is_err(), "case {i} {value:?}");
            }
        }
        assert!(build("Ann\r\nBcc: x@y.test <ann@agency.test>", &message()).is_err());
    }

    #[test]
    fn long_headers_are_folded_or_refused() {
        let mut m = message();
        m.headers = vec![
            ("X-Words".into(), "word ".repeat(600).trim().into()),
            ("X-Uml".into(), "größe ".repeat(300).trim().into()),
        ];
        let raw = build_ok(&m);
        let parsed = MessageParser::default().parse(&raw).unwrap();
        assert_eq!(
            parsed
                .header("X-Words")
                .unwrap()
                .as_text()
                .unwrap()
                .replace("\r\n ", " "),
            m.headers[0].1
        );
        m.headers = vec![(
            "X-Url".into(),
            format!("<https://x.test/{}>", "a".repeat(1200)),
        )];
        assert!(
            build("ann@agency.test", &m)
                .unwrap_err()
                .contains("longer than 998")
        );
    }

    #[test]
    fn utf8_is_needed_only_for_an_address_that_is_not_ascii() {
        let mut m = message();
        m.to = "lee@bücher.test".into();
        m.subject = "ä".into();
        let mail = build("Zoë <ann@agency.test>", &m).unwrap();
        assert!(!mail.needs_utf8);
        assert_eq!(mail.to, "lee@xn--bcher-kva.test");
        m.to = "zoë@example.test".into();
        assert!(build("ann@agency.test", &m).unwrap().needs_utf8);
    }

    proptest::proptest! {
        #[test]
        fn any_text_comes_back(text in "[ -~\\n\\r.äß中🎉\\t]{0,300}", subject in "[ -~ä中]{0,120}") {
            let mut m = message();
            m.text = text.clone();
            m.subject = subject;
            let raw = build_ok(&m);
            let parsed = MessageParser::default().parse(&raw).unwrap();
            let got = parsed.body_text(0).unwrap_or_default().replace("\r\n", "\n");
            proptest::prop_assert_eq!(got.trim_end_matches('\n'), plain_lines(&text).trim_end_matches('\n').to_owned());
        }
    }
}
