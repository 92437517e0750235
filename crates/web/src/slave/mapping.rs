//! Files that wait for somebody to say where their columns go: what they show, and the way on. And the end of imports
//! that should not go on.

use domain::dialect::Charset;
use domain::lead::Target;
use domain::mapping::{self, Constant, MappingError, Mode, Options};
use domain::normal;
use domain::preview::{self, Look};
use serde::Deserialize;
use serde_json::{Value, json};
use store::import::{self, Import, Mapped};

use crate::http::{Answer, Problem, Request, Response};
use crate::slave::import::{find, view};
use crate::slave::{Scope, access};
use crate::{input, slave};

/// The name of an option that must be said before the file, if `name` is one.
pub fn is_option(name: &str) -> bool {
    matches!(
        name,
        "preview" | "mode" | "header" | "delimiter" | "encoding" | "phone_country"
    )
}

/// Options as texts, from a query or a form. What is empty is not said.
///
/// # Errors
/// 422 naming the option.
pub fn set(options: &mut Options, name: &str, text: &str) -> Result<(), Problem> {
    let text = match name {
        "delimiter" => text,
        _ => text.trim(),
    };
    if text.is_empty() {
        return Ok(());
    }
    match name {
        "mode" => {
            options.mode = Mode::from_name(text)
                .ok_or_else(|| Problem::invalid(name, "must be both, create or update"))?;
        }
        "header" => options.header = Some(flag(name, text)?),
        "delimiter" => {
            options.delimiter = Some(mapping::delimiter(text).ok_or_else(|| {
                Problem::invalid(
                    name,
                    "must be a comma, a semicolon, “tab” or a vertical bar",
                )
            })?);
        }
        "encoding" => {
            let charset = Charset::known(text).ok_or_else(|| {
                Problem::invalid(
                    name,
                    "is no encoding that files are read in; utf-8 and windows-1252 are some",
                )
            })?;
            options.encoding = Some(charset.name().to_owned());
        }
        "phone_country" => {
            let country = text.to_ascii_uppercase();
            if !normal::is_phone_country(&country) {
                return Err(Problem::invalid(
                    name,
                    "must be two letters of a country whose numbers are known, as DE or US",
                ));
            }
            options.phone_country = Some(country);
        }
        _ => {}
    }
    Ok(())
}

/// A choice as text.
///
/// # Errors
/// 422 naming the field.
pub fn flag(name: &str, text: &str) -> Result<bool, Problem> {
    match text {
        "1" | "true" | "yes" => Ok(true),
        "0" | "false" | "no" => Ok(false),
        _ => Err(Problem::invalid(name, "must be 1 or 0")),
    }
}

/// What a query says of how a file is to be read, over what was said before.
///
/// # Errors
/// 422 naming the option.
pub fn asked(import: &Import, request: &Request) -> Result<Options, Problem> {
    let mut options = import.options.clone();
    for name in ["header", "delimiter", "encoding"] {
        set(&mut options, name, &request.param(name).unwrap_or_default())?;
    }
    Ok(options)
}

fn not_waiting(import: &Import) -> Problem {
    Problem::new(409, "The file does not wait").detail(format!(
        "The import is {}; only one that was uploaded with preview=1 and waits can be mapped. Nothing was changed.",
        import.status
    ))
}

/// The beginning of a file that waits.
///
/// # Errors
/// 409 when it does not wait, or nothing of it is here; 422 when it cannot be read so.
pub fn look(scope: &Scope<'_>, import: &Import, options: &Options) -> Result<Look, Problem> {
    if import.status != "waiting" {
        return Err(not_waiting(import));
    }
    let first = import::chunks(&*scope.db, import.id, 0, 1)?
        .into_iter()
        .next();
    let Some((_, bytes)) = first else {
        return Err(Problem::new(409, "Nothing has arrived yet").detail(
            "Wait until the upload is done. If it is, the file is empty: upload another one.",
        ));
    };
    let whole = import.upload_done && import.bytes_received == bytes.len() as i64;
    match preview::look(&bytes, whole, options) {
        Ok(Some(look)) => Ok(look),
        Ok(None) => Err(Problem::invalid("file", "has no row that can be read")),
        Err(reason) => Err(Problem::new(422, "The file cannot be read").detail(reason)),
    }
}

/// `GET /imports/{id}/preview`
///
/// # Errors
/// What [`look`] says.
pub fn preview(scope: &Scope<'_>, request: &Request, id: &str) -> Answer {
    let import = find(scope, id)?;
    let look = look(scope, &import, &asked(&import, request)?)?;
    let column = |(i, c): (usize, &domain::table::Column)| json!({"header": c.header, "target": c.target, "samples": look.samples(i)});
    let columns: Vec<Value> = look.columns.iter().enumerate().map(column).collect();
    Ok(Response::json(
        200,
        &json!({
            "encoding": look.charset.name(),
            "delimiter": char::from(look.dialect.delimiter).to_string(),
            "quote": look.quoted.then_some("\""),
            "header": look.dialect.has_header,
            "columns": columns,
            "rows": look.rows,
        }),
    ))
}

/// What a program says of a file that waits. What it does not say stays as it was proposed.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Mapping {
    header: Option<bool>,
    delimiter: Option<String>,
    encoding: Option<String>,
    columns: Option<Vec<ColumnTarget>>,
    constants: Option<Vec<Constant>>,
    mode: Option<Mode>,
    phone_country: Option<String>,
    #[serde(deserialize_with = "input::present")]
    tag: Option<Option<String>>,
}

/// Where one column goes; null leaves it out.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ColumnTarget {
    target: Option<Target>,
}

/// Everything that was decided about a file.
#[derive(Debug)]
pub struct Decided {
    /// How it is read and what becomes of its rows.
    pub options: Options,
    /// One for each column; none takes what is proposed.
    pub targets: Option<Vec<Option<Target>>>,
    /// The tag of its leads.
    pub tag: Option<String>,
}

fn decided(import: &Import, said: Mapping) -> Result<Decided, Problem> {
    let mut options = import.options.clone();
    options.header = said.header.or(options.header);
    options.mode = said.mode.unwrap_or(options.mode);
    options.constants = said.constants.unwrap_or(options.constants);
    for (name, text) in [
        ("delimiter", said.delimiter),
        ("encoding", said.encoding),
        ("phone_country", said.phone_country),
    ] {
        set(&mut options, name, &text.unwrap_or_default())?;
    }
    let tag = match said.tag {
        Some(tag) => tag.map(|t| input::name("tag", &t)).transpose()?,
        None => import.tag.clone(),
    };
    let targets = said
        .columns
        .map(|columns| columns.into_iter().map(|c| c.target).collect());
    Ok(Decided {
        options,
        targets,
        tag,
    })
}

/// `POST /imports/{id}/mapping`: says where the columns go and lets the import run.
///
/// # Errors
/// 409 when the file does not wait or has not arrived, 422 naming what cannot be done.
pub fn map(scope: &Scope<'_>, request: &Request, id: &str) -> Answer {
    let said: Mapping = match request.body.is_empty() {
        true => Mapping::default(),
        false => request.json()?,
    };
    let import = find(scope, id)?;
    start(scope, &import, decided(&import, said)?)?;
    Ok(Response::json(202, &view(&find(scope, id)?)))
}

/// Lets a file that waited be read as it was decided.
///
/// # Errors
/// What [`map`] says.
pub fn start(scope: &Scope<'_>, import: &Import, decided: Decided) -> Result<(), Problem> {
    let look = look(scope, import, &decided.options)?;
    if !import.upload_done {
        return Err(Problem::new(409, "The file is still on its way")
            .detail("Wait until the upload has ended. Nothing was changed."));
    }
    let columns = match decided.targets {
        Some(targets) => mapping::with_targets(&look.columns, targets).map_err(refused)?,
        None => look.columns,
    };
    mapping::check(&columns, &decided.options).map_err(refused)?;
    access::still(scope)?;
    let db = &*scope.db;
    let mapped = Mapped {
        encoding: look.charset.name(),
        delimiter: char::from(look.dialect.delimiter),
        has_header: look.dialect.has_header,
        columns: &columns,
        options: &decided.options,
        tag: decided.tag.as_deref(),
    };
    let started = scope.promising(&["ingest"], || {
        let (columns, options) = (&columns, &decided.options);
        stages::ingest::ensure_custom_fields(db, columns, options, scope.cx.now)?;
        Ok(import::start(db, import.id, &mapped)?)
    })?;
    match started {
        true => Ok(()),
        false => Err(not_waiting(import)),
    }
}

fn refused(error: MappingError) -> Problem {
    Problem::invalid(error.field, error.message)
}

/// `POST /imports/{id}/cancellation`: ends an import that is not finished. What was merged stays.
///
/// # Errors
/// 404 when there is none, 409 when it has ended.
pub fn cancel(scope: &Scope<'_>, id: &str) -> Answer {
    let import = find(scope, id)?;
    let canceled = scope.promising(&["import"], || Ok(import::cancel(&*scope.db, import.id)?))?;
    if !canceled {
        return Err(Problem::new(409, "The import has ended").detail(format!(
            "It is {}; only one that goes on or waits can be canceled. Nothing was changed.",
            import.status
        )));
    }
    Ok(Response::json(200, &slave::import::view(&find(scope, id)?)))
}
