//! Imports: upload, live progress, result.

use askama::Template;

use super::{Field, Page, Pager, filters, view};

/// `GET {base}/imports`, and the answer to a refused `POST {base}/imports`
/// (multipart fields in this order: `name`, `tag`, `file`).
#[derive(Debug, Template)]
#[template(path = "import/list.html")]
pub struct Imports {
    /// The frame.
    pub page: Page,
    /// Newest first.
    pub items: Vec<ImportRow>,
    /// Neighbouring pages.
    pub pager: Pager,
    /// Name of the new import; empty means the file's name.
    pub name: Field,
    /// Tag for its leads.
    pub tag: Field,
    /// What is wrong with the file.
    pub file_error: Option<String>,
    /// Tags there are, as suggestions.
    pub tags: Vec<String>,
}
view!(Imports, "imports");

/// One import of a list.
#[derive(Debug, Clone)]
pub struct ImportRow {
    /// Row id.
    pub id: i64,
    /// Its name.
    pub name: String,
    /// Tag for its leads; empty for none.
    pub tag: String,
    /// As the API says it.
    pub status: String,
    /// Counts so far.
    pub rows: Rows,
    /// When it was uploaded.
    pub created_at: i64,
}

/// Rows by outcome.
#[derive(Debug, Clone, Copy, Default)]
pub struct Rows {
    /// Rows read so far.
    pub total: i64,
    /// New leads.
    pub created: i64,
    /// Leads that gained something.
    pub updated: i64,
    /// Leads that had it all already.
    pub unchanged: i64,
    /// Empty rows, and people who are left alone.
    pub skipped: i64,
    /// Rows that could not be used.
    pub failed: i64,
}

impl Rows {
    fn settled(&self) -> i64 {
        self.created + self.updated + self.unchanged + self.skipped + self.failed
    }
}

/// `GET {base}/imports/{id}`.
#[derive(Debug, Template)]
#[template(path = "import/show.html")]
pub struct Import {
    /// The frame.
    pub page: Page,
    /// Its name.
    pub name: String,
    /// Tag for its leads; empty for none.
    pub tag: String,
    /// Name of the uploaded file; empty when it came without.
    pub file_name: String,
    /// Size of the file.
    pub bytes: i64,
    /// When it was uploaded.
    pub created_at: i64,
    /// When it was done or failed.
    pub finished_at: Option<i64>,
    /// The part that moves.
    pub progress: Progress,
    /// What the file turned out to be, once its head was read.
    pub sniffed: Option<Sniffed>,
    /// Its columns, in the file's order.
    pub columns: Vec<Column>,
    /// The first rows that could not be used (some ten).
    pub failed_rows: Vec<FailedRow>,
    /// The first things that an undo had to leave.
    pub kept: Vec<Kept>,
    /// How many there are.
    pub kept_total: i64,
}
view!(Import, "imports");

/// `GET {base}/imports/{id}/progress`: the part of the page that moves, asked for every second while
/// not finished. When it is finished, answer with `HX-Refresh: true` so that the page shows the rest.
#[derive(Debug, Template)]
#[template(path = "import/_progress.html")]
pub struct ImportProgress {
    /// The part that moves.
    pub progress: Progress,
}

impl ImportProgress {
    /// The fragment as HTML.
    #[must_use]
    pub fn render(&self) -> String {
        askama::Template::render(self).expect("plain data always formats")
    }
}

/// How far an import has come.
#[derive(Debug, Clone)]
pub struct Progress {
    /// Prefix of links, as in [`Page::base`].
    pub base: String,
    /// Row id.
    pub id: i64,
    /// As the API says it.
    pub status: String,
    /// Why it failed: what is wrong with the file, and what to do.
    pub reason: Option<String>,
    /// Bytes of the file read so far.
    pub bytes_read: i64,
    /// Size of the file.
    pub bytes: i64,
    /// Counts so far.
    pub rows: Rows,
    /// Whether the file is still here, so that the import can be taken back.
    pub file_kept: bool,
}

impl Progress {
    fn finished(&self) -> bool {
        ["done", "failed", "canceled", "undone", "waiting"].contains(&self.status.as_str())
    }

    fn undoable(&self) -> bool {
        ["done", "canceled"].contains(&self.status.as_str())
            && self.file_kept
            && self.rows.created + self.rows.updated + self.rows.unchanged > 0
    }

    fn cancelable(&self) -> bool {
        ["waiting", "pending", "ingesting", "importing"].contains(&self.status.as_str())
    }

    // Reading is the first half of the work, merging the second.
    fn percent(&self) -> i64 {
        let part = |done: i64, all: i64| {
            if all > 0 {
                (done * 50 / all).clamp(0, 50)
            } else {
                0
            }
        };
        match self.status.as_str() {
            "done" | "canceled" | "undone" => 100,
            "ingesting" => part(self.bytes_read, self.bytes),
            "importing" | "canceling" => 50 + part(self.rows.settled(), self.rows.total).min(49),
            _ => 0,
        }
    }

    // Said aloud by a screen reader when it changes, so it changes in steps of ten.
    fn spoken(&self) -> String {
        match self.status.as_str() {
            "done" => format!("The import is done: {} rows.", self.rows.total),
            "failed" => "The import failed.".to_owned(),
            "canceled" => "The import was canceled.".to_owned(),
            "undoing" => "The import is being undone.".to_owned(),
            "undone" => "The import was undone.".to_owned(),
            "waiting" => "The file waits for its columns to be mapped.".to_owned(),
            "pending" => "The import is waiting to start.".to_owned(),
            _ => format!("{} percent done.", self.percent() / 10 * 10),
        }
    }
}

/// What was found out about a file.
#[derive(Debug, Clone)]
pub struct Sniffed {
    /// "semicolon", "tab", …
    pub delimiter: String,
    /// "UTF-8 with BOM", "Windows-1252", …
    pub encoding: String,
    /// Whether the first row names the columns.
    pub header: bool,
}

/// What a column became.
#[derive(Debug, Clone)]
pub struct Column {
    /// As the file names it, or "column 3".
    pub header: String,
    /// The lead's field; none when it went into custom data or was ignored.
    pub field: Option<String>,
    /// "custom data", "empty, ignored": said when there is no field.
    pub note: String,
    /// A value from the first rows.
    pub sample: String,
}

/// What an undo had to leave, because it was changed after the import.
#[derive(Debug, Clone)]
pub struct Kept {
    /// The lead.
    pub lead_id: i64,
    /// A field's name, or the lead itself.
    pub what: String,
}

/// A row that could not be used.
#[derive(Debug, Clone)]
pub struct FailedRow {
    /// Line of the file where it begins.
    pub line: i64,
    /// Short code, as in errors.csv.
    pub code: String,
    /// The reason, in a sentence.
    pub reason: String,
    /// The beginning of the row as it came.
    pub text: String,
}
