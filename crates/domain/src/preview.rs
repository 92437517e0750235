//! The beginning of a file as it would be read: what it is found to be, its columns, its first rows.

use crate::dialect::{self, Charset, Dialect, SAMPLE_RECORDS};
use crate::mapping::Options;
use crate::record;
use crate::table::{self, COLUMNS_MAX, Column};

/// Rows that a preview shows.
pub const ROWS: usize = SAMPLE_RECORDS - 1;
/// Samples of a column.
pub const SAMPLES: usize = 3;

/// What a file's beginning shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Look {
    /// How bytes become text.
    pub charset: Charset,
    /// How the table is written.
    pub dialect: Dialect,
    /// Whether some cell of the sample is in quotes.
    pub quoted: bool,
    /// Its columns with the targets that their headers or their cells propose.
    pub columns: Vec<Column>,
    /// The first rows, without the header; at most [`ROWS`].
    pub rows: Vec<Vec<String>>,
}

impl Look {
    /// Different cells of a column among the first rows.
    pub fn samples(&self, column: usize) -> Vec<&str> {
        let mut samples: Vec<&str> = Vec::new();
        let cells = self.rows.iter().filter_map(|r| r.get(column));
        for cell in cells.map(|c| c.trim()).filter(|c| !c.is_empty()) {
            if samples.len() < SAMPLES && !samples.contains(&cell) {
                samples.push(cell);
            }
        }
        samples
    }
}

/// Looks at the beginning of a file, as the options say where they say something; `whole` says that it is all of it. None
/// when there is no record in it yet.
///
/// # Errors
/// Why the file cannot be read at all, for people.
pub fn look(bytes: &[u8], whole: bool, options: &Options) -> Result<Option<Look>, String> {
    if let Some(reason) = dialect::refusal(bytes) {
        return Err(reason.to_owned());
    }
    let chosen = options.encoding.as_deref().and_then(Charset::known);
    let charset = chosen.unwrap_or_else(|| Charset::Ascii.sniff(bytes));
    let text = record::decode(bytes, charset);
    let sniffed = dialect::sniff(&text, whole);
    let delimiter = options
        .delimiter
        .and_then(|d| u8::try_from(d).ok())
        .unwrap_or(sniffed.delimiter);
    let mut records = dialect::first_records(&text, delimiter, whole);
    let Some(first) = records.first() else {
        return Ok(None);
    };
    if first.len() > COLUMNS_MAX {
        return Err(format!(
            "The file has {} columns; at most {COLUMNS_MAX} are taken.",
            first.len()
        ));
    }
    let has_header = options.header.unwrap_or_else(|| dialect::is_header(first));
    let columns = match has_header {
        true => table::columns_of_header(first),
        false => table::columns_of_data(first),
    };
    records.drain(..usize::from(has_header));
    records.truncate(ROWS);
    Ok(Some(Look {
        charset,
        dialect: Dialect {
            delimiter,
            has_header,
        },
        quoted: text.starts_with(b"\"") || text.windows(2).any(|w| opens_quote(w, delimiter)),
        columns,
        rows: records,
    }))
}

fn opens_quote(two: &[u8], delimiter: u8) -> bool {
    two[1] == b'"' && (two[0] == delimiter || two[0] == b'\n')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::lead::{Field, Target};

    fn options(header: bool, delimiter: char) -> Options {
        Options {
            header: Some(header),
            delimiter: Some(delimiter),
            ..Options::default()
        }
    }

    #[test]
    fn a_look_shows_what_a_file_is() {
        let file = b"Email;Team\na@x.test;\"Red; blue\"\nb@x.test;Red\nc@x.test;Red\n";
        let look = look(file, true, &Options::default()).unwrap().unwrap();
        assert_eq!(
            (look.dialect.delimiter, look.dialect.has_header),
            (b';', true)
        );
        assert!(look.quoted);
        assert_eq!(look.rows.len(), 3);
        assert_eq!(look.samples(1), ["Red; blue", "Red"]);
        assert_eq!(look.columns[0].target, Some(Target::Field(Field::Email)));
    }

    #[test]
    fn what_somebody_says_goes_before_what_is_found() {
        let file = b"Email;Team\na@x.test;Red\n";
        let look = look(file, true, &options(false, ',')).unwrap().unwrap();
        assert_eq!(look.rows.len(), 2);
        assert_eq!(look.columns.len(), 1);
        assert!(!look.quoted);
        let latin = Options {
            encoding: Some("iso-8859-7".to_owned()),
            ..Options::default()
        };
        let greek = super::look(b"email\n\xe1@x.test\n", true, &latin)
            .unwrap()
            .unwrap();
        assert_eq!(greek.rows[0], ["α@x.test"]);
    }

    #[test]
    fn files_that_are_no_tables_say_why() {
        assert!(
            look(b"%PDF-1.7", true, &Options::default())
                .unwrap_err()
                .contains("PDF")
        );
        let wide = ",".repeat(COLUMNS_MAX);
        assert!(
            look(wide.as_bytes(), true, &Options::default())
                .unwrap_err()
                .contains("columns")
        );
        assert_eq!(look(b"", true, &Options::default()), Ok(None));
    }

    proptest! {
        /// Nothing that is uploaded, and nothing that is said about it, makes it fall.
        #[test]
        fn any_bytes_are_looked_at(bytes in prop::collection::vec(any::<u8>(), 0..200), header in any::<bool>(), comma in any::<bool>()) {
            let said = options(header, if comma { ',' } else { '\t' });
            for options in [said, Options::default()] {
                if let Ok(Some(look)) = look(&bytes, true, &options) {
                    prop_assert!(look.rows.len() <= ROWS);
                    (0..look.columns.len()).for_each(|i| prop_assert_samples(&look, i));
                }
            }
        }
    }

    fn prop_assert_samples(look: &Look, column: usize) {
        assert!(look.samples(column).len() <= SAMPLES);
    }
}
