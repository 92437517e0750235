//! What kind of text a file is: encoding, delimiter, header. Decided from its first bytes, once.

use encoding_rs::Encoding;

use crate::address;
use crate::lead::known_target;
use crate::record;

/// How bytes become text. Multi-byte encodings other than UTF-8 and UTF-16 are not guessed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Charset {
    /// Only ASCII was seen so far: still open.
    Ascii,
    /// RFC 3629; a byte that does not fit fails its row.
    Utf8,
    /// Two bytes a unit, low byte first.
    Utf16Le,
    /// Two bytes a unit, high byte first.
    Utf16Be,
    /// One byte a character (windows-1252 and its like).
    Single(&'static Encoding),
}

impl Charset {
    /// The name that is stored and shown, a label of the WHATWG Encoding Standard.
    pub fn name(self) -> &'static str {
        match self {
            Charset::Ascii => "us-ascii",
            Charset::Utf8 => "utf-8",
            Charset::Utf16Le => "utf-16le",
            Charset::Utf16Be => "utf-16be",
            Charset::Single(encoding) => encoding.name(),
        }
    }

    /// The charset of a stored name; UTF-8 for a name that is none of ours.
    pub fn from_name(name: &str) -> Charset {
        match name {
            "us-ascii" => Charset::Ascii,
            "utf-16le" => Charset::Utf16Le,
            "utf-16be" => Charset::Utf16Be,
            name => match Encoding::for_label(name.as_bytes()) {
                Some(encoding) if encoding.is_single_byte() => Charset::Single(encoding),
                _ => Charset::Utf8,
            },
        }
    }

    /// The charset of a label that somebody chose; none when it is no encoding that files are read in.
    pub fn known(label: &str) -> Option<Charset> {
        match Encoding::for_label(label.trim().as_bytes())? {
            e if e == encoding_rs::UTF_8 => Some(Charset::Utf8),
            e if e == encoding_rs::UTF_16LE => Some(Charset::Utf16Le),
            e if e == encoding_rs::UTF_16BE => Some(Charset::Utf16Be),
            e => e.is_single_byte().then_some(Charset::Single(e)),
        }
    }

    /// Decides on the charset of a part of a file, given what earlier parts said.
    pub fn sniff(self, sample: &[u8]) -> Charset {
        match self {
            Charset::Ascii if !sample.is_ascii() || sample.contains(&0) => guess(sample),
            decided => decided,
        }
    }
}

fn guess(sample: &[u8]) -> Charset {
    match sample {
        [0xff, 0xfe, ..] => return Charset::Utf16Le,
        [0xfe, 0xff, ..] => return Charset::Utf16Be,
        [0xef, 0xbb, 0xbf, ..] => return Charset::Utf8,
        _ => {}
    }
    if let Some(utf16) = utf16_without_bom(sample) {
        return utf16;
    }
    if sample.is_ascii() {
        return Charset::Ascii;
    }
    if valid_utf8_sequences(sample) {
        return Charset::Utf8;
    }
    let mut detector = chardetng::EncodingDetector::new();
    detector.feed(sample, true);
    let encoding = detector.guess(None, false);
    match encoding.is_single_byte() && reads_like_text(sample, encoding) {
        true => Charset::Single(encoding),
        false => Charset::Utf8,
    }
}

/// Text in Latin letters has a zero in every other byte of UTF-16.
fn utf16_without_bom(sample: &[u8]) -> Option<Charset> {
    let pairs = sample.len().min(1024) / 2;
    let zeros = |offset: usize| (0..pairs).filter(|i| sample[2 * i + offset] == 0).count();
    let (high, low) = (zeros(0), zeros(1));
    let most = pairs * 7 / 10;
    match () {
        () if pairs < 2 => None,
        () if low > most && high * 10 < pairs => Some(Charset::Utf16Le),
        () if high > most && low * 10 < pairs => Some(Charset::Utf16Be),
        () => None,
    }
}

/// Whether well-formed multi-byte sequences are there and outnumber the broken ones: UTF-8 with a few bad rows.
/// The sample may end in the middle of a character.
fn valid_utf8_sequences(sample: &[u8]) -> bool {
    let (mut good, mut bad) = (0, 0);
    for chunk in sample.utf8_chunks() {
        good += chunk.valid().chars().filter(|c| !c.is_ascii()).count();
        bad += usize::from(!chunk.invalid().is_empty());
    }
    good > 0 && bad <= good
}

/// Whether the bytes past ASCII are letters or usual signs beside letters, as they are in a text of this encoding. A
/// stray byte in a broken UTF-8 file is not.
fn reads_like_text(sample: &[u8], encoding: &'static Encoding) -> bool {
    let (text, _) = encoding.decode_without_bom_handling(sample);
    let sign = |c: char| "€£§©®°´·»«–—‘’“”…ºª½¡¿\u{a0}".contains(c);
    let (mut letters, mut odd, mut before) = (0usize, 0usize, ' ');
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        if !c.is_ascii() {
            let after = chars.peek().copied().unwrap_or(' ');
            let in_word = before.is_alphabetic() || after.is_alphabetic();
            match (c.is_alphabetic() && c != 'ÿ' && c != 'þ' && in_word) || sign(c) {
                true => letters += 1,
                false => odd += 1,
            }
        }
        before = c;
    }
    letters > 0 && odd * 20 <= letters
}

/// Says what a file is when it is plainly no table of text, from its first bytes.
pub fn refusal(sample: &[u8]) -> Option<&'static str> {
    const KINDS: &[(&[u8], &str)] = &[
        (
            b"%PDF-",
            "This is a PDF, not a CSV file. Export the table as CSV and upload that.",
        ),
        (
            b"PK\x03\x04",
            "This is a ZIP archive or an Excel workbook, not a CSV file. Save it as CSV (UTF-8) and upload that.",
        ),
        (
            b"\xd0\xcf\x11\xe0",
            "This is an old Excel workbook, not a CSV file. Save it as CSV (UTF-8) and upload that.",
        ),
        (
            b"\x1f\x8b",
            "This is a gzip archive, not a CSV file. Unpack it and upload what is inside.",
        ),
        (b"\x89PNG", "This is a picture, not a CSV file."),
        (b"\xff\xd8\xff", "This is a picture, not a CSV file."),
        (b"GIF8", "This is a picture, not a CSV file."),
        (b"{\\rtf", "This is a text document (RTF), not a CSV file."),
        (b"SQLite format 3", "This is a database, not a CSV file."),
    ];
    if let Some((_, message)) = KINDS.iter().find(|(magic, _)| sample.starts_with(magic)) {
        return Some(message);
    }
    let start = String::from_utf8_lossy(&sample[..sample.len().min(256)])
        .trim_start()
        .to_lowercase();
    if start.starts_with("<!doctype html") || start.starts_with("<html") {
        return Some("This is a web page, not a CSV file.");
    }
    let text = !matches!(guess(sample), Charset::Utf16Le | Charset::Utf16Be);
    let control = sample
        .iter()
        .filter(|b| **b < 32 && !b"\t\r\n\x0c".contains(b))
        .count();
    (text && sample.len() >= 64 && control * 10 > sample.len()).then_some(
        "This is not text: it looks like a binary file. Export the table as CSV and upload that.",
    )
}

/// How a table is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Dialect {
    /// Between two cells.
    pub delimiter: u8,
    /// Whether the first record names the columns.
    pub has_header: bool,
}

/// Decides on delimiter and header from the beginning of a decoded file; `whole` says that the sample is all of it.
pub fn sniff(sample: &[u8], whole: bool) -> Dialect {
    let delimiter = [b',', b';', b'\t', b'|']
        .into_iter()
        .max_by_key(|d| (consistency(&first_records(sample, *d, whole)), *d == b','))
        .unwrap_or(b',');
    let records = first_records(sample, delimiter, whole);
    Dialect {
        delimiter,
        has_header: records.first().is_none_or(|first| is_header(first)),
    }
}

/// Records that the decision is made by: a header and twenty rows.
pub const SAMPLE_RECORDS: usize = 21;

/// The first records of a decoded file.
pub fn first_records(sample: &[u8], delimiter: u8, whole: bool) -> Vec<Vec<String>> {
    let mut records = Vec::new();
    record::split(sample, delimiter, whole, |record| {
        records.push(
            record
                .cells()
                .map(|c| String::from_utf8_lossy(c).into_owned())
                .collect(),
        );
        records.len() < SAMPLE_RECORDS
    });
    records
}

/// How well a delimiter explains the records: share of records as wide as the first in percent, then the width.
fn consistency(records: &[Vec<String>]) -> (usize, usize) {
    let width = records.first().map_or(0, Vec::len);
    if width < 2 {
        return (0, 0);
    }
    let same = records.iter().filter(|r| r.len() == width).count();
    (same * 100 / records.len(), width)
}

/// A first record is data when it holds an address or a profile link and no name that we know.
pub fn is_header(cells: &[String]) -> bool {
    let known = cells.iter().any(|c| known_target(c).is_some());
    let data = cells
        .iter()
        .any(|c| address::normalize(c).is_ok() || address::linkedin(c).is_some());
    known || !data
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn charsets_are_told_apart() {
        let latin: Vec<u8> = "email,name\nann@x.test,Zo\u{eb} M\u{fc}ller\n"
            .chars()
            .map(|c| c as u8)
            .collect();
        let utf16: Vec<u8> = "email,name\nann@x.test,Ann\n"
            .encode_utf16()
            .flat_map(u16::to_le_bytes)
            .collect();
        let big: Vec<u8> = "email,name\nann@x.test,Ann\n"
            .encode_utf16()
            .flat_map(u16::to_be_bytes)
            .collect();
        assert_eq!(Charset::Ascii.sniff(b"email\n"), Charset::Ascii);
        assert_eq!(
            Charset::Ascii.sniff("email\nzo\u{eb}@x.test".as_bytes()),
            Charset::Utf8
        );
        assert_eq!(Charset::Ascii.sniff(&latin).name(), "windows-1252");
        assert_eq!(Charset::Ascii.sniff(&utf16), Charset::Utf16Le);
        assert_eq!(Charset::Ascii.sniff(&big), Charset::Utf16Be);
        assert_eq!(
            Charset::Ascii.sniff(&[&[0xff, 0xfe][..], &utf16].concat()),
            Charset::Utf16Le
        );
        assert_eq!(
            Charset::Ascii.sniff(b"email,name\na@x.test,A\xff\xfeB\xc3(\n"),
            Charset::Utf8,
            "broken UTF-8 stays UTF-8"
        );
    }

    #[test]
    fn delimiters_and_headers_are_found() {
        for (text, delimiter, has_header) in [
            ("email,name\na@x.test,A\n", b',', true),
            ("email;name\na@x.test;A, B\n", b';', true),
            ("email\tname\na@x.test\tA\n", b'\t', true),
            ("a@x.test,Ann\nb@x.test,Bob\n", b',', false),
            ("email\na@x.test\n", b',', true),
            ("", b',', true),
        ] {
            assert_eq!(
                sniff(text.as_bytes(), true),
                Dialect {
                    delimiter,
                    has_header
                },
                "{text}"
            );
        }
    }

    #[test]
    fn other_files_are_refused_by_name() {
        assert!(refusal(b"%PDF-1.7 ...").is_some_and(|m| m.contains("PDF")));
        assert!(refusal(&[1u8; 200]).is_some());
        assert_eq!(refusal(b"email\n"), None);
        assert_eq!(refusal(b""), None);
    }
}
