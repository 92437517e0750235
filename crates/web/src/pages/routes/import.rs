//! Imports: live progress and result. Uploads are streamed, and so have an entrance of their own.

use domain::lead::{Field as LeadField, Fields, Target};
use stages::file::CHUNK;
use store::{import, import_row, lead, tag, undo};

use super::HX_REFRESH;
use super::names::full_name;
use crate::http::{Answer, Response};
use crate::pages::import::{
    Column, FailedRow, Import, ImportProgress, ImportRow, Imports, Kept, Progress, Rows, Sniffed,
};
use crate::pages::{Field, Page, Pager};
use crate::slave::{Scope, import as api, reversal};

/// Imports that the list shows.
const LIST: i64 = 100;
/// Failed rows that the result shows; all of them are in the file of errors.
const FAILED: i64 = 10;
/// What an undo had to leave that the result shows; the API has more.
const KEPT: i64 = 20;
/// Characters of a failed row that are shown.
const ROW: usize = 300;

fn rows(i: &import::Import) -> Rows {
    Rows {
        total: i.total,
        created: i.created,
        updated: i.updated,
        unchanged: i.unchanged,
        skipped: i.skipped,
        failed: i.failed,
    }
}

pub fn row(i: import::Import) -> ImportRow {
    ImportRow {
        id: i.id,
        rows: rows(&i),
        tag: i.tag.unwrap_or_default(),
        name: i.name,
        status: i.status.to_owned(),
        created_at: i.created_at,
    }
}

pub fn list(scope: &Scope<'_>, page: Page) -> Answer {
    let imports = import::list(&*scope.db, LIST)?;
    let view = Imports {
        page,
        items: imports.into_iter().map(row).collect(),
        pager: Pager::default(),
        name: Field::default(),
        tag: Field::default(),
        file_error: None,
        tags: tag::names(&*scope.db)?,
    };
    Ok(Response::html(200, view.render()))
}

fn progress_of(scope: &Scope<'_>, i: &import::Import) -> Progress {
    let read = i.at.chunk * CHUNK as i64 + i.at.offset;
    Progress {
        base: scope.base(),
        id: i.id,
        status: i.status.to_owned(),
        reason: i.reason.clone(),
        bytes_read: read.min(i.bytes_received),
        bytes: i.bytes_received,
        rows: rows(i),
        file_kept: i.file_until.is_some_and(|until| until > scope.cx.now),
    }
}

/// The part of the page that moves. At the end the whole page is asked for again.
pub fn progress(scope: &Scope<'_>, id: &str) -> Answer {
    let import = api::find(scope, id)?;
    let progress = progress_of(scope, &import);
    let response = Response::html(200, ImportProgress { progress }.render());
    Ok(match import.finished_at {
        Some(_) if !is_moving(import.status) => response.with(HX_REFRESH, "true"),
        _ => response,
    })
}

fn is_moving(status: &str) -> bool {
    matches!(
        status,
        "pending" | "ingesting" | "importing" | "canceling" | "undoing"
    )
}

pub fn show(scope: &Scope<'_>, page: Page, id: &str) -> Answer {
    let db = &*scope.db;
    let import = api::find(scope, id)?;
    let brought = import.created + import.updated + import.unchanged > 0;
    let example = match brought
        .then(|| import_row::first_lead(db, import.id))
        .transpose()?
    {
        Some(Some(lead_id)) => lead::get(db, lead_id)?.map(|lead| lead.fields),
        _ => None,
    };
    let columns = import.columns.iter();
    let columns = columns.map(|c| column(c, example.as_ref())).collect();
    let failed = import_row::failed(db, import.id, 0, FAILED)?;
    let view = Import {
        page,
        file_name: String::new(),
        bytes: import.bytes_received,
        created_at: import.created_at,
        finished_at: import.finished_at,
        progress: progress_of(scope, &import),
        sniffed: sniffed(&import),
        columns,
        kept: undo::kept(db, import.id, KEPT)?
            .into_iter()
            .map(kept)
            .collect(),
        kept_total: undo::count_kept(db, import.id)?,
        failed_rows: failed.into_iter().map(failed_row).collect(),
        tag: import.tag.unwrap_or_default(),
        name: import.name,
    };
    Ok(Response::html(200, view.render()))
}

/// `POST imports/{id}/reversal`
pub fn take_back(scope: &Scope<'_>, page: &Page, id: &str) -> Answer {
    match reversal::begin(scope, id) {
        // Somebody was faster: the page says how it is.
        Err(problem) if problem.status != 409 => Err(problem),
        _ => Ok(Response::see_other(&format!("{}/imports/{id}", page.base))),
    }
}

fn kept((lead_id, field): (i64, String)) -> Kept {
    Kept {
        lead_id,
        what: match field.as_str() {
            domain::undo::LEAD => "the lead itself".to_owned(),
            _ => field,
        },
    }
}

fn sniffed(i: &import::Import) -> Option<Sniffed> {
    let delimiter = match i.delimiter.as_deref()? {
        "," => "comma",
        ";" => "semicolon",
        "\t" => "tab",
        "|" => "vertical bar",
        ":" => "colon",
        " " => "space",
        other => other,
    };
    Some(Sniffed {
        delimiter: delimiter.to_owned(),
        encoding: i.encoding.clone().unwrap_or_default().to_uppercase(),
        header: i.has_header?,
    })
}

fn column(c: &domain::table::Column, example: Option<&Fields>) -> Column {
    let known = |field: LeadField| example.and_then(|lead| lead.get(field)).map(str::to_owned);
    let (field, note, sample) = match &c.target {
        Some(Target::Field(field)) => (Some(field.name().to_owned()), String::new(), known(*field)),
        Some(Target::FullName) => (
            Some("first and last name".to_owned()),
            String::new(),
            example.map(full_name),
        ),
        Some(Target::Data(name)) => (
            None,
            format!("custom data “{name}”"),
            example.and_then(|lead| lead.data.get(name)).cloned(),
        ),
        None => (None, "not kept".to_owned(), None),
    };
    Column {
        header: c.header.clone(),
        field,
        note,
        sample: sample.unwrap_or_default(),
    }
}

fn failed_row(row: import_row::FailedRow) -> FailedRow {
    let text = String::from_utf8_lossy(&row.raw);
    FailedRow {
        line: row.line,
        code: row.code,
        reason: row.error,
        text: text.chars().take(ROW).collect(),
    }
}
