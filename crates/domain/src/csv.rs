//! Writes CSV (RFC 4180) that a spreadsheet can open without harm.

/// A line of cells.
pub fn line<'a>(cells: impl IntoIterator<Item = &'a str>) -> String {
    let mut line = String::new();
    for (i, cell) in cells.into_iter().enumerate() {
        if i > 0 {
            line.push(',');
        }
        push_cell(&mut line, cell);
    }
    line.push_str("\r\n");
    line
}

fn push_cell(line: &mut String, cell: &str) {
    let apostrophe = if is_formula(cell) { "'" } else { "" };
    match cell.contains(['"', ',', ';', '\t', '\r', '\n']) {
        true => {
            line.push('"');
            line.push_str(apostrophe);
            line.push_str(&cell.replace('"', "\"\""));
            line.push('"');
        }
        false => {
            line.push_str(apostrophe);
            line.push_str(cell);
        }
    }
}

/// Whether a spreadsheet would work out a cell instead of showing it. Signed numbers and phone numbers are shown either
/// way, and stay as they are.
fn is_formula(cell: &str) -> bool {
    let signed = |rest: &str| {
        let plain = |c: char| c.is_ascii_digit() || " .()/-".contains(c);
        rest.starts_with(|c: char| c.is_ascii_digit() || c == '(') && rest.chars().all(plain)
    };
    match cell.chars().next() {
        Some('+' | '-') => !signed(&cell[1..]),
        Some(first) => "=@\t\r\n＝＋－＠".contains(first),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn formulas_become_texts_and_phone_numbers_stay() {
        assert_eq!(
            line([
                "=1+1",
                "@sum",
                "+49 (30) 12-3",
                "-5.2",
                "-cmd|x",
                "+",
                "a\"b",
                "a,b",
                ""
            ]),
            "'=1+1,'@sum,+49 (30) 12-3,-5.2,'-cmd|x,'+,\"a\"\"b\",\"a,b\",\r\n"
        );
    }

    proptest! {
        #[test]
        fn a_reader_gets_back_every_cell(cells in prop::collection::vec("[a-z\",;\r\n\t =+@-]{0,8}", 2..5)) {
            let text = line(cells.iter().map(String::as_str));
            let mut read = Vec::new();
            crate::record::split(text.as_bytes(), b',', true, |record| {
                read.push(record.cells().map(|c| String::from_utf8_lossy(c).into_owned()).collect::<Vec<_>>());
                true
            });
            // A record of nothing at all is no record.
            prop_assume!(cells.iter().any(|c| !c.is_empty()));
            prop_assert_eq!(read.len(), 1);
            for (cell, read) in cells.iter().zip(&read[0]) {
                prop_assert_eq!(cell, read.strip_prefix('\'').unwrap_or(read));
                prop_assert!(!is_formula(read), "{read:?}");
            }
        }
    }
}
