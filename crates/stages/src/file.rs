//! The file of an import, a part at a time, from any place between two of its records.

use domain::dialect::Charset;
use domain::record::{self, Consumed, Record};
use domain::table::RECORD_MAX;
use store::import::{self, Checkpoint, Import};
use store::{Db, Result};

/// The size that uploads are cut into.
pub const CHUNK: usize = 256 * 1024;
/// Chunks that are read at once; more of them only for a record that is longer.
pub const CHUNKS: [i64; 2] = [8, (RECORD_MAX / CHUNK) as i64 + 2];

/// A part of a file that begins between two records.
pub struct Part {
    /// What its bytes are.
    pub charset: Charset,
    /// Whether the file ends with it.
    pub last: bool,
    /// Whether it holds everything that has arrived.
    pub all: bool,
    /// In UTF-8.
    text: Vec<u8>,
    at: Checkpoint,
    /// The chunks that it comes from: their numbers and sizes.
    chunks: Vec<(i64, usize)>,
}

impl Part {
    /// The part of at most so many chunks that begins at a place.
    ///
    /// # Errors
    /// When the store fails.
    pub fn load(db: &dyn Db, import: &Import, at: Checkpoint, limit: i64) -> Result<Part> {
        let chunks = import::chunks(db, import.id, at.chunk, limit)?;
        let all = (chunks.len() as i64) < limit;
        let mut bytes = Vec::with_capacity(chunks.iter().map(|(_, b)| b.len()).sum());
        for (i, (_, chunk)) in chunks.iter().enumerate() {
            let from = if i == 0 { at.offset as usize } else { 0 };
            bytes.extend_from_slice(chunk.get(from..).unwrap_or_default());
        }
        let before = Charset::from_name(import.encoding.as_deref().unwrap_or("us-ascii"));
        let charset = match before.sniff(&bytes) {
            // A file does not become UTF-16 in the middle.
            Charset::Utf16Le | Charset::Utf16Be if before == Charset::Ascii => Charset::Utf8,
            charset => charset,
        };
        let text = match record::decode(&bytes, charset) {
            std::borrow::Cow::Borrowed(_) => bytes,
            std::borrow::Cow::Owned(text) => text,
        };
        Ok(Part {
            charset,
            last: all && import.upload_done,
            all,
            text,
            at,
            chunks: chunks.iter().map(|(no, b)| (*no, b.len())).collect(),
        })
    }

    /// Whether nothing is left of the file.
    pub fn is_end(&self) -> bool {
        self.text.is_empty() && self.last
    }

    /// Gives out the records with their lines, until `each` says stop; the header is passed over.
    pub fn records(
        &self,
        import: &Import,
        mut each: impl FnMut(i64, Record<'_>) -> bool,
    ) -> Consumed {
        let delimiter = import.delimiter.as_ref().and_then(|d| d.bytes().next());
        let at_start = self.at == Checkpoint::default();
        let mut header = at_start && import.has_header == Some(true);
        record::split(&self.text, delimiter.unwrap_or(b','), self.last, |record| {
            match std::mem::take(&mut header) {
                true => true,
                false => each(self.at.line + record.lines_before as i64, record),
            }
        })
    }

    /// Where in the file the consumed text ends.
    pub fn checkpoint(&self, consumed: Consumed) -> Checkpoint {
        let used = record::encoded_len(&self.text[..consumed.bytes], self.charset);
        let mut offset = self.at.offset as usize + used;
        let mut chunk = self.at.chunk;
        for (no, size) in &self.chunks {
            chunk = *no;
            if offset < *size {
                break;
            }
            // Right at the end of a chunk: the next one begins there.
            offset -= size;
            chunk = no + 1;
        }
        Checkpoint {
            chunk,
            offset: offset as i64,
            line: self.at.line + consumed.lines as i64,
        }
    }
}

/// What is said of a row whose quotes do not end.
pub fn unclosed(line: i64) -> String {
    format!(
        "A quoted cell in the row that begins on line {line} never ends: a quotation mark is missing."
    )
}
