//! Splits text into records and cells (RFC 4180, and what spreadsheets really write), from any point between two
//! records on.

use std::borrow::Cow;

use crate::dialect::Charset;

/// One record in the text it came from.
#[derive(Debug)]
pub struct Record<'a> {
    /// The record as it came, without its line end.
    pub raw: &'a [u8],
    /// Line breaks before the record, counted from where the split began.
    pub lines_before: usize,
    /// Whether the file ends inside a quoted cell of it.
    pub unclosed: bool,
    buffer: &'a [u8],
    ends: &'a [usize],
}

impl<'a> Record<'a> {
    /// The cells, unquoted.
    pub fn cells(&self) -> impl ExactSizeIterator<Item = &'a [u8]> + use<'a> {
        let (buffer, ends) = (self.buffer, self.ends);
        (0..ends.len()).map(move |i| &buffer[if i == 0 { 0 } else { ends[i - 1] }..ends[i]])
    }
}

/// What a split used up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Consumed {
    /// Bytes up to the end of the last record given out.
    pub bytes: usize,
    /// Line breaks in them.
    pub lines: usize,
}

/// Gives out the records of `text` until `each` says stop. A record that may go on past the end of `text` is given
/// out only when this is the `last` part of the file. Blank lines are passed over.
pub fn split(
    text: &[u8],
    delimiter: u8,
    last: bool,
    mut each: impl FnMut(Record<'_>) -> bool,
) -> Consumed {
    use csv_core::ReadRecordResult as R;
    let mut reader = csv_core::ReaderBuilder::new().delimiter(delimiter).build();
    let (mut buffer, mut ends) = (vec![0; 1024], vec![0; 64]);
    let (mut filled, mut ended) = (0, 0);
    let (mut at, mut start) = (0, 0);
    let mut consumed = Consumed { bytes: 0, lines: 0 };
    loop {
        if at == text.len() && !last {
            return consumed;
        }
        let (result, read, wrote, ends_wrote) =
            reader.read_record(&text[at..], &mut buffer[filled..], &mut ends[ended..]);
        at += read;
        filled += wrote;
        ended += ends_wrote;
        match result {
            R::InputEmpty => {}
            R::OutputFull => buffer.resize(buffer.len() * 2, 0),
            R::OutputEndsFull => ends.resize(ends.len() * 2, 0),
            R::End => {
                return Consumed {
                    bytes: text.len(),
                    lines: consumed.lines + count_lines(&text[start..]),
                };
            }
            R::Record => {
                let raw = &text[start..at];
                let leading = raw.iter().take_while(|b| b"\r\n".contains(b)).count();
                let lines_before = consumed.lines + count_lines(&raw[..leading]);
                consumed = Consumed {
                    bytes: at,
                    lines: consumed.lines + count_lines(raw),
                };
                let record = Record {
                    unclosed: last && at == text.len() && ends_in_quotes(raw, delimiter),
                    raw: raw[leading..].trim_ascii_end_newline(),
                    lines_before,
                    buffer: &buffer[..filled],
                    ends: &ends[..ended],
                };
                if !each(record) {
                    return consumed;
                }
                (filled, ended, start) = (0, 0, at);
            }
        }
    }
}

/// Whether a record's text ends inside quotes: a quotation mark opens them only where a cell begins.
fn ends_in_quotes(raw: &[u8], delimiter: u8) -> bool {
    let (mut quoted, mut cell_begins) = (false, true);
    for byte in raw {
        match byte {
            b'"' if quoted => quoted = false,
            // The second of a doubled quotation mark opens again what the first closed.
            b'"' => quoted = cell_begins,
            _ if quoted => {}
            b'\r' | b'\n' => {}
            byte => cell_begins = *byte == delimiter,
        }
    }
    quoted
}

fn count_lines(text: &[u8]) -> usize {
    text.iter().filter(|b| **b == b'\n').count()
}

trait TrimNewline {
    fn trim_ascii_end_newline(&self) -> &[u8];
}

impl TrimNewline for [u8] {
    fn trim_ascii_end_newline(&self) -> &[u8] {
        let end = self
            .iter()
            .rposition(|b| !b"\r\n".contains(b))
            .map_or(0, |i| i + 1);
        &self[..end]
    }
}

/// Makes UTF-8 of a part of a file. What cannot be a whole character yet (an odd byte, half a surrogate pair) is left
/// for the next part.
pub fn decode(bytes: &[u8], charset: Charset) -> Cow<'_, [u8]> {
    match charset {
        Charset::Ascii | Charset::Utf8 => Cow::Borrowed(bytes),
        Charset::Utf16Le => Cow::Owned(utf16(bytes, u16::from_le_bytes)),
        Charset::Utf16Be => Cow::Owned(utf16(bytes, u16::from_be_bytes)),
        Charset::Single(encoding) => match encoding.decode_without_bom_handling(bytes).0 {
            Cow::Borrowed(text) => Cow::Borrowed(text.as_bytes()),
            Cow::Owned(text) => Cow::Owned(text.into_bytes()),
        },
    }
}

fn utf16(bytes: &[u8], unit: fn([u8; 2]) -> u16) -> Vec<u8> {
    let mut units: Vec<u16> = bytes
        .chunks_exact(2)
        .map(|pair| unit([pair[0], pair[1]]))
        .collect();
    if units.last().is_some_and(|u| (0xd800..0xdc00).contains(u)) {
        units.pop();
    }
    String::from_utf16_lossy(&units).into_bytes()
}

/// How many bytes of the file a piece of decoded text stands for: the way back from [`decode`].
pub fn encoded_len(text: &[u8], charset: Charset) -> usize {
    let chars = || String::from_utf8_lossy(text);
    match charset {
        Charset::Ascii | Charset::Utf8 => text.len(),
        Charset::Utf16Le | Charset::Utf16Be => chars().chars().map(|c| c.len_utf16() * 2).sum(),
        Charset::Single(_) => chars().chars().count(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    type Flat = Vec<(Vec<u8>, usize, Vec<Vec<u8>>)>;

    fn all(text: &[u8], last: bool) -> (Flat, Consumed) {
        let mut records = Vec::new();
        let consumed = split(text, b',', last, |r| {
            records.push((
                r.raw.to_vec(),
                r.lines_before,
                r.cells().map(<[u8]>::to_vec).collect(),
            ));
            true
        });
        (records, consumed)
    }

    #[test]
    fn records_come_with_their_raw_text_and_line() {
        let (records, consumed) = all(b"a,b\r\n\r\n\"x\ny\",\"say \"\"hi\"\"\"\r\nlast,row", true);
        assert_eq!(
            records[0],
            (b"a,b".to_vec(), 0, vec![b"a".to_vec(), b"b".to_vec()])
        );
        assert_eq!(records[1].1, 2);
        assert_eq!(records[1].2, vec![b"x\ny".to_vec(), b"say \"hi\"".to_vec()]);
        assert_eq!(records[1].0, b"\"x\ny\",\"say \"\"hi\"\"\"".to_vec());
        assert_eq!(records[2].1, 4);
        assert_eq!(consumed.lines, 4);
    }

    #[test]
    fn an_unfinished_record_waits_for_the_rest() {
        let (records, consumed) = all(b"a,b\nc,\"d", false);
        assert_eq!(records.len(), 1);
        assert_eq!(consumed.bytes, 4);
    }

    #[test]
    fn a_quote_that_is_never_closed_is_noticed_at_the_end() {
        for (text, unclosed) in [
            ("a,\"b\nc", true),
            ("a,\"b \"\"x\"\"", true),
            ("a,\"b \"\"x\"\"\"", false),
            ("\"a\",\"b\"\n", false),
            ("a,5\" pipe\n", false),
            ("a,\"\"", false),
        ] {
            let mut last = None;
            split(text.as_bytes(), b',', true, |r| {
                last = Some(r.unclosed);
                true
            });
            assert_eq!(last, Some(unclosed), "{text}");
        }
    }

    #[test]
    fn decoding_goes_both_ways() {
        let bytes: Vec<u8> = "zo\u{eb} \u{1f600}\n"
            .encode_utf16()
            .flat_map(u16::to_le_bytes)
            .collect();
        assert_eq!(
            encoded_len(&decode(&bytes, Charset::Utf16Le), Charset::Utf16Le),
            bytes.len()
        );
        let cut = &bytes[..bytes.len() - 3];
        assert!(encoded_len(&decode(cut, Charset::Utf16Le), Charset::Utf16Le) <= cut.len());
    }

    proptest! {
        /// Wherever a file is cut between two reads, the records are the same.
        #[test]
        fn a_cut_changes_nothing(text in "[ab,\"\r\n]{0,60}", cut in 0usize..60) {
            let text = text.as_bytes();
            let whole: Vec<_> = all(text, true).0.into_iter().map(|r| r.2).collect();
            let cut = cut.min(text.len());
            let (first, consumed) = all(&text[..cut], false);
            let (rest, _) = all(&text[consumed.bytes..], true);
            let parts: Vec<_> = first.into_iter().chain(rest).map(|r| r.2).collect();
            prop_assert_eq!(parts, whole);
        }
    }
}
