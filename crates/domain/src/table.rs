//! From a record's cells to a lead's fields, or to the reason why not.

use serde::{Deserialize, Serialize};

use crate::address;
use crate::lead::{Field, Fields, Target, data_name, known_targets};
use crate::mapping::{self, Options};

/// The longest cell that is taken, in bytes.
pub const CELL_MAX: usize = 32 * 1024;
/// The most columns a file may have.
pub const COLUMNS_MAX: usize = 300;
/// The longest record that is read, in bytes: past it a quote was never closed.
pub const RECORD_MAX: usize = 4 * 1024 * 1024;

/// One column of a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Column {
    /// Its header as given, or a made-up one.
    pub header: String,
    /// Where its cells go; none means that they are not kept.
    pub target: Option<Target>,
}

/// The columns that a header names. A name that is empty or taken gets a number, so that nothing is lost.
pub fn columns_of_header(cells: &[String]) -> Vec<Column> {
    let headers: Vec<_> = cells.iter().map(|c| clean(c)).collect();
    let known = known_targets(&headers);
    let mut columns: Vec<Column> = Vec::with_capacity(cells.len());
    for (i, (header, known)) in headers.iter().zip(known).enumerate() {
        let target = match is_report(&headers, i) {
            true => None,
            false => Some(known.unwrap_or_else(|| free_data(header, i, &columns))),
        };
        let header = match header.is_empty() {
            true => format!("column_{}", i + 1),
            false => (*header).to_owned(),
        };
        columns.push(Column { header, target });
    }
    columns
}

/// Whether a character shows nothing: spaces, and marks that some programs leave in cells.
fn is_blank(c: char) -> bool {
    c.is_whitespace() || c == '\u{200b}' || c == '\u{feff}'
}

fn clean(cell: &str) -> &str {
    cell.trim().trim_start_matches('\u{feff}')
}

/// What a file of failed rows has beside their cells, so that it can be mended and imported as it is.
pub const REPORT: [&str; 3] = ["error_code", "error", "row"];

fn is_report(headers: &[&str], i: usize) -> bool {
    headers.ends_with(&REPORT) && i + REPORT.len() >= headers.len()
}

/// A custom field for a column, with a number where its name is taken. It must not shadow a built-in one either.
fn free_data(header: &str, i: usize, columns: &[Column]) -> Target {
    let name = Some(data_name(header))
        .filter(|n| !n.is_empty())
        .unwrap_or_else(|| format!("column_{}", i + 1));
    let numbered = (1usize..).map(|n| match n {
        1 => name.clone(),
        n => format!("{name}_{n}"),
    });
    let taken = |t: &Target| columns.iter().any(|c| c.target.as_ref() == Some(t));
    let mut free = numbered
        .map(Target::Data)
        .filter(|t| !taken(t) && !is_built_in(t));
    free.next().unwrap_or(Target::Data(name.clone()))
}

fn is_built_in(target: &Target) -> bool {
    matches!(target, Target::Data(name) if Field::from_name(name).is_some())
}

/// The columns of a file without a header, told by what the first record holds.
pub fn columns_of_data(cells: &[String]) -> Vec<Column> {
    let (mut email, mut linkedin) = (false, false);
    let column = |(i, cell): (usize, &String)| {
        let target = if !email && address::normalize(cell).is_ok() {
            email = true;
            Target::Field(Field::Email)
        } else if !linkedin && address::linkedin(cell).is_some() {
            linkedin = true;
            Target::Field(Field::Linkedin)
        } else {
            Target::Data(format!("column_{}", i + 1))
        };
        Column {
            header: format!("column_{}", i + 1),
            target: Some(target),
        }
    };
    cells.iter().enumerate().map(column).collect()
}

/// Why a row is not taken. The code is for programs, the message for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RowError {
    /// `invalid_utf8`, `nul_byte`, `cell_too_long`, `too_many_cells`, `invalid_email`, `no_identity`,
    /// `unclosed_quote`.
    pub code: &'static str,
    /// What is wrong with which cell.
    pub message: String,
}

fn refuse<T>(code: &'static str, message: String) -> Result<T, RowError> {
    Err(RowError { code, message })
}

/// Reads one record as the options say. None when all its cells are empty.
///
/// # Errors
/// [`RowError`] for the first thing that is wrong; nothing of such a row is kept.
pub fn read_row<'a>(
    columns: &[Column],
    options: &Options,
    cells: impl Iterator<Item = &'a [u8]>,
) -> Result<Option<Fields>, RowError> {
    let mut fields = Fields::default();
    let mut any = false;
    for (i, cell) in cells.enumerate() {
        let header = || {
            columns
                .get(i)
                .map_or_else(|| format!("{}", i + 1), |c| c.header.clone())
        };
        if cell.len() > CELL_MAX {
            return refuse(
                "cell_too_long",
                format!(
                    "The cell in column {} has {} bytes; at most {CELL_MAX} are taken.",
                    header(),
                    cell.len()
                ),
            );
        }
        let Ok(cell) = std::str::from_utf8(cell) else {
            return refuse(
                "invalid_utf8",
                format!("The cell in column {} is not valid UTF-8.", header()),
            );
        };
        if cell.contains('\0') {
            return refuse(
                "nul_byte",
                format!("The cell in column {} holds a NUL byte.", header()),
            );
        }
        let cell = cell.trim_matches(is_blank);
        if cell.is_empty() {
            continue;
        }
        any = true;
        let Some(column) = columns.get(i) else {
            return refuse(
                "too_many_cells",
                format!(
                    "The row has more cells than the header has columns ({}).",
                    columns.len()
                ),
            );
        };
        if let Some(target) = &column.target {
            put(&mut fields, target, cell, options)?;
        }
    }
    if any && !fields.has_key() {
        return refuse(
            "no_identity",
            "The row has neither an e-mail address nor a LinkedIn profile to know the lead by."
                .to_owned(),
        );
    }
    for constant in &options.constants {
        complete(&mut fields, &constant.target, &constant.value, options);
    }
    Ok(any.then_some(fields))
}

/// Gives a lead what its row does not say.
fn complete(fields: &mut Fields, target: &Target, value: &str, options: &Options) {
    let Ok(value) = mapping::stored(target, value.trim(), options) else {
        return;
    };
    match target {
        Target::Field(field) if fields.get(*field).is_none() => fields.set(*field, value),
        Target::Data(name) => {
            fields.data.entry(name.clone()).or_insert(value);
        }
        _ => {}
    }
}

fn put(
    fields: &mut Fields,
    target: &Target,
    cell: &str,
    options: &Options,
) -> Result<(), RowError> {
    let value = match mapping::stored(target, cell, options) {
        Ok(value) => value,
        Err(e) => {
            return refuse(
                "invalid_email",
                format!("“{}” is not an e-mail address: {e}.", shorten(cell)),
            );
        }
    };
    if value.is_empty() {
        return Ok(());
    }
    match target {
        Target::Field(field) => fields.set(*field, value),
        Target::FullName => {
            let (first, last) = value.split_once(' ').unwrap_or((&value, ""));
            if fields.get(Field::FirstName).is_none() {
                fields.set(Field::FirstName, first);
            }
            if fields.get(Field::LastName).is_none() && !last.is_empty() {
                fields.set(Field::LastName, last);
            }
        }
        Target::Data(name) => {
            fields.data.insert(name.clone(), value);
        }
    }
    Ok(())
}

fn shorten(text: &str) -> String {
    match text.char_indices().nth(60) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn strings(cells: &[&str]) -> Vec<String> {
        cells.iter().map(|c| (*c).to_owned()).collect()
    }

    fn read(columns: &[Column], cells: &[&[u8]]) -> Result<Option<Fields>, RowError> {
        read_row(columns, &Options::default(), cells.iter().copied())
    }

    #[test]
    fn doubled_and_empty_headers_keep_their_cells() {
        let columns = columns_of_header(&strings(&["email", "Email", "", "note", "Note"]));
        let row = read(&columns, &[b"a@x.test", b"b@x.test", b"c", b"d", b"e"])
            .unwrap()
            .unwrap();
        assert_eq!(row.get(Field::Email), Some("a@x.test"));
        let names: Vec<_> = row
            .data
            .iter()
            .map(|(k, v)| (k.as_str(), v.as_str()))
            .collect();
        assert_eq!(
            names,
            [
                ("column_3", "c"),
                ("email_2", "b@x.test"),
                ("note", "d"),
                ("note_2", "e")
            ]
        );
    }

    #[test]
    fn a_mended_file_of_errors_brings_no_errors_along() {
        let columns =
            columns_of_header(&strings(&["email", "error", "error_code", "error", "row"]));
        let kept: Vec<_> = columns.iter().map(|c| c.target.is_some()).collect();
        assert_eq!(kept, [true, true, false, false, false]);
    }

    #[test]
    fn options_say_how_cells_are_stored() {
        let columns = columns_of_header(&strings(&["email", "phone", "country"]));
        let options = Options {
            phone_country: Some("DE".to_owned()),
            constants: vec![
                mapping::Constant {
                    target: Target::Field(Field::Country),
                    value: "Germany".to_owned(),
                },
                mapping::Constant {
                    target: Target::Data("fair".to_owned()),
                    value: " 2026 ".to_owned(),
                },
            ],
            ..Options::default()
        };
        let read =
            |cells: [&'static [u8]; 3]| read_row(&columns, &options, cells.into_iter()).unwrap();
        let row = read([b"mailto:A@x.test", b"030 123456", b""]).unwrap();
        assert_eq!(row.get(Field::Email), Some("a@x.test"));
        assert_eq!(row.get(Field::Phone), Some("+4930123456"));
        assert_eq!(row.get(Field::Country), Some("Germany"));
        assert_eq!(row.data["fair"], "2026");
        let said = read([b"b@x.test", b"", b"France"]).unwrap();
        assert_eq!(said.get(Field::Country), Some("France"));
        assert_eq!(read([b"", b"", b""]), None, "a constant is no row");
    }

    #[test]
    fn a_cell_that_shows_nothing_says_nothing() {
        let columns = columns_of_header(&strings(&["email", "first name", "name", "company"]));
        let blank = "\u{200b} \u{feff}".as_bytes();
        let row = read(&columns, &[b"a@x.test", blank, blank, blank])
            .unwrap()
            .unwrap();
        let said = row.built_in.iter().flatten().collect::<Vec<_>>();
        assert_eq!(said, ["a@x.test"]);
        assert_eq!(read(&columns, &[blank, blank]), Ok(None));
    }

    #[test]
    fn ragged_rows_are_taken_when_nothing_is_out_of_place() {
        let columns = columns_of_header(&strings(&["email", "company"]));
        assert!(read(&columns, &[b"a@x.test"]).is_ok());
        assert!(read(&columns, &[b"a@x.test", b"Acme", b"", b" "]).is_ok());
        assert_eq!(
            read(&columns, &[b"a@x.test", b"Acme", b"Inc"])
                .unwrap_err()
                .code,
            "too_many_cells"
        );
        assert_eq!(read(&columns, &[b"", b" "]), Ok(None));
    }

    #[test]
    fn each_fault_has_a_code() {
        let columns = columns_of_header(&strings(&["email", "company"]));
        let long = vec![b'x'; CELL_MAX + 1];
        for (cells, code) in [
            (vec![&b"a@x.test"[..], b"\xff"], "invalid_utf8"),
            (vec![b"a@x.test", b"A\0B"], "nul_byte"),
            (vec![b"a@x.test", &long], "cell_too_long"),
            (vec![b"nobody", b"Acme"], "invalid_email"),
            (vec![b"", b"Acme"], "no_identity"),
        ] {
            assert_eq!(read(&columns, &cells).unwrap_err().code, code);
        }
    }

    #[test]
    fn files_without_a_header_are_read_by_content() {
        let columns = columns_of_data(&strings(&["Ann", "a@x.test", "b@x.test"]));
        let targets: Vec<_> = columns.into_iter().filter_map(|c| c.target).collect();
        assert_eq!(
            targets,
            [
                Target::Data("column_1".into()),
                Target::Field(Field::Email),
                Target::Data("column_3".into())
            ]
        );
    }
}
