//! Imports over the API. The upload itself is in [`super::upload`], the mapping of its columns in [`super::mapping`].

use serde_json::{Value, json};
use store::import::{self, Import};
use store::import_row;

use crate::http::{Answer, Problem, Response};
use crate::input;
use crate::slave::Scope;
use crate::slave::access::Reading;

/// An import as the API shows it. An import that has just begun has only promises to show, so `rows` is always there.
pub fn view(i: &Import) -> Value {
    json!({
        "id": i.id,
        "name": i.name,
        "tag": i.tag,
        "status": i.status,
        "reason": i.reason,
        "bytes": i.bytes_received,
        "encoding": i.encoding,
        "delimiter": i.delimiter,
        "header": i.has_header,
        "mode": i.options.mode,
        "phone_country": i.options.phone_country,
        "constants": i.options.constants,
        "columns": i.columns.iter().map(|c| json!({"header": c.header, "target": c.target})).collect::<Vec<_>>(),
        "rows": {
            "total": i.total,
            "created": i.created,
            "updated": i.updated,
            "unchanged": i.unchanged,
            "skipped": i.skipped,
            "failed": i.failed,
        },
        "created_at": i.created_at,
        "finished_at": i.finished_at,
        "undone_at": i.undone_at,
        "file_until": i.file_until,
    })
}

/// `GET /imports`
///
/// # Errors
/// When the store fails.
pub fn list(scope: &Scope<'_>) -> Answer {
    let items: Vec<_> = import::list(&*scope.db, 100)?.iter().map(view).collect();
    Ok(Response::json(200, &json!({"items": items})))
}

/// One import.
///
/// # Errors
/// 404 when there is none.
pub fn find(scope: &Scope<'_>, id: &str) -> Result<Import, Problem> {
    import::get(&*scope.db, input::id(id)?)?.ok_or_else(Problem::not_found)
}

/// `GET /imports/{id}`
///
/// # Errors
/// 404 when there is none.
pub fn get(scope: &Scope<'_>, id: &str) -> Answer {
    Ok(Response::json(200, &view(&find(scope, id)?)))
}

/// Failed rows that are read at once.
const PIECE: i64 = 500;

/// `GET /imports/{id}/errors.csv`: the failed rows as they came, with three columns more.
///
/// # Errors
/// 404 when there is none.
pub fn errors(scope: &Scope<'_>, id: &str) -> Answer {
    let import = find(scope, id)?;
    let reading = Reading::begin(scope)?;
    let delimiter = import.delimiter.clone().unwrap_or_else(|| ",".to_owned());
    let width = import.columns.len();
    let mut after = 0;
    let mut head = Some(header(&import, &delimiter));
    let pieces = std::iter::from_fn(move || {
        if let Some(head) = head.take() {
            return Some(head);
        }
        let rows = reading
            .next(|db| import_row::failed(db, import.id, after, PIECE))
            .filter(|r| !r.is_empty())?;
        after = rows.last().map_or(i64::MAX, |r| r.no);
        let mut piece = Vec::new();
        for row in rows {
            let missing = width.saturating_sub(cells(&row.raw, &delimiter));
            piece.extend(row.raw);
            piece.extend(delimiter.repeat(missing).bytes());
            for cell in [&row.code, &row.error, &row.no.to_string()] {
                piece.extend(delimiter.bytes());
                piece.extend(quoted(cell).bytes());
            }
            piece.extend(b"\r\n");
        }
        Some(piece)
    });
    Ok(Response::download(
        "text/csv; charset=utf-8",
        &format!("import-{}-errors.csv", import.id),
        Box::new(pieces),
    ))
}

/// `GET /imports/{id}/file`: the file as it came, unpacked.
///
/// # Errors
/// 404 when there is none, 410 when its file is kept no longer.
pub fn file(scope: &Scope<'_>, id: &str) -> Answer {
    let import = find(scope, id)?;
    if import::chunks(&*scope.db, import.id, 0, 1)?.is_empty() {
        return Err(Problem::new(410, "The file is gone").detail(
            "The file of an import is kept for 30 days after its end. What was imported is there.",
        ));
    }
    let reading = Reading::begin(scope)?;
    let chunks = (0..).map_while(move |no| {
        let chunk = reading.next(|db| import::chunks(db, import.id, no, 1))?;
        // Another one is the next after those that are gone.
        let chunk = chunk.into_iter().next().filter(|(found, _)| *found == no);
        chunk.map(|(_, bytes)| bytes)
    });
    Ok(Response::download(
        "text/csv",
        &format!("import-{}.csv", import.id),
        Box::new(chunks),
    ))
}

/// How many cells a row has as it came.
fn cells(raw: &[u8], delimiter: &str) -> usize {
    let mut count = 1;
    let delimiter = delimiter.bytes().next().unwrap_or(b',');
    domain::record::split(raw, delimiter, true, |record| {
        count = record.cells().len();
        false
    });
    count
}

fn header(import: &Import, delimiter: &str) -> Vec<u8> {
    let headers = import.columns.iter().map(|c| quoted(&c.header));
    let headers: Vec<_> = headers
        .chain(domain::table::REPORT.map(str::to_owned))
        .collect();
    format!("{}\r\n", headers.join(delimiter)).into_bytes()
}

/// A cell that may hold anything (RFC 4180).
fn quoted(cell: &str) -> String {
    match cell.contains(['"', ',', ';', '\t', '|', '\r', '\n']) {
        true => format!("\"{}\"", cell.replace('"', "\"\"")),
        false => cell.to_owned(),
    }
}
