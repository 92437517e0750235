//! The columns of a file that waits, and where they go.

use askama::Template;

use super::{Choice, Field, Page, view};

/// `GET {base}/imports/{id}/mapping`, and the answer to a refused POST.
/// Fields: `header`, `delimiter`, `encoding`, `mode`, `tag`, `phone_country`; for each column `target_N` and `custom_N`;
/// for each constant `constant_N`, `constant_custom_N` and `value_N`.
#[derive(Debug, Template)]
#[template(path = "import/mapping.html")]
pub struct Mapping {
    /// The frame.
    pub page: Page,
    /// Why it was refused.
    pub error: Option<String>,
    /// The import.
    pub id: i64,
    /// Its name.
    pub name: String,
    /// Whether the first row names the columns.
    pub header: bool,
    /// `,`, `;`, `tab` or `|`.
    pub delimiter: String,
    /// The encoding that somebody chose, as WHATWG calls it; empty when the file is left to say.
    pub encoding: String,
    /// The encoding that its beginning was read in.
    pub found: String,
    /// In the file's order.
    pub columns: Vec<Column>,
    /// What a column may go to.
    pub targets: Vec<Choice>,
    /// The first rows.
    pub rows: Vec<Vec<String>>,
    /// Values for every lead.
    pub constants: Vec<Constant>,
    /// `both`, `create` or `update`.
    pub mode: String,
    /// The tag for its leads.
    pub tag: Field,
    /// Tags there are, as suggestions.
    pub tags: Vec<String>,
    /// Two letters; empty for none.
    pub phone_country: String,
    /// Countries whose numbers can be completed.
    pub countries: Vec<&'static str>,
}
view!(Mapping, "imports");

/// A column and where it goes.
#[derive(Debug, Clone)]
pub struct Column {
    /// As the file names it.
    pub header: String,
    /// A few of its cells.
    pub samples: Vec<String>,
    /// The value of a target's choice.
    pub target: String,
    /// The name of the custom field, for the target `data`.
    pub custom: String,
    /// What is wrong with it.
    pub error: Option<String>,
}

/// A value for every lead.
#[derive(Debug, Clone, Default)]
pub struct Constant {
    /// The value of a target's choice.
    pub target: String,
    /// The name of the custom field, for the target `data`.
    pub custom: String,
    /// What every lead gets.
    pub value: String,
    /// What is wrong with it.
    pub error: Option<String>,
}

impl Mapping {
    fn modes(&self) -> [Choice; 3] {
        [
            Choice::new("both", "Make new leads and complete those that exist"),
            Choice::new("create", "Only make new leads; skip those that exist"),
            Choice::new("update", "Only complete leads that exist; skip the others"),
        ]
    }

    fn delimiters(&self) -> [Choice; 4] {
        [
            Choice::new(",", "comma"),
            Choice::new(";", "semicolon"),
            Choice::new("tab", "tab"),
            Choice::new("|", "vertical bar"),
        ]
    }

    /// Usual encodings, and the one that was chosen.
    fn encodings(&self) -> Vec<&str> {
        let usual = [
            "utf-8",
            "windows-1252",
            "iso-8859-2",
            "windows-1251",
            "utf-16le",
        ];
        let own = Some(self.encoding.as_str())
            .filter(|own| !own.is_empty() && !usual.iter().any(|u| u.eq_ignore_ascii_case(own)));
        own.into_iter().chain(usual).collect()
    }
}
