//! Takes an upload from the socket to the store, as a plain body or as a form.

use bytes::Bytes;
use futures::{Stream, StreamExt};
use glue::http::header::CONTENT_TYPE;
use http_body_util::BodyDataStream;
use spin_sdk::wasip3::http_compat::IncomingRequestBody;
use web::slave::mapping;
use web::slave::upload::{Upload, accepted, admit, labels, refused};
use web::{Context, Identity, Problem, Request, Response};

/// The longest text field of a form, in bytes.
const TEXT_MAX: usize = 4096;

/// Answers an upload.
pub async fn receive(
    cx: &Context<'_>,
    request: &Request,
    who: Option<&Identity>,
    body: IncomingRequestBody,
) -> Response {
    match keep(cx, request, who, body).await {
        Ok(response) => response,
        Err(problem) => refused(cx, request, who, problem),
    }
}

async fn keep(
    cx: &Context<'_>,
    request: &Request,
    who: Option<&Identity>,
    body: IncomingRequestBody,
) -> Result<Response, Problem> {
    let scope = admit(cx, request, who)?;
    let (name, tag) = labels(request)?;
    let media = request.header(CONTENT_TYPE).unwrap_or_default();
    if media.starts_with("application/json")
        || media.starts_with("application/x-www-form-urlencoded")
    {
        return Err(Problem::new(415, "Send the file")
            .detail("This call takes a CSV file as its body, or a form with a field “file”."));
    }
    let bytes = BodyDataStream::new(body);
    let mut upload = Upload::begin(scope, name.as_deref().unwrap_or("Import"), tag.as_deref())?;
    let kept = match (upload.options(request), multer::parse_boundary(media)) {
        (Err(problem), _) => Err(problem),
        (Ok(()), Ok(boundary)) => {
            let form = multer::Multipart::new(bytes, boundary);
            fill(&mut upload, form, name.is_some()).await
        }
        (Ok(()), Err(_)) => pour(&mut upload, bytes).await.map(|_| ()),
    };
    match kept {
        Ok(()) => {
            let held = upload.held;
            let (scope, id) = upload.finish()?;
            Ok(accepted(request, &scope, id, held))
        }
        Err(problem) => {
            upload.abandon(&problem.detail);
            Err(problem)
        }
    }
}

fn broken(reason: impl std::fmt::Display) -> Problem {
    Problem::new(400, "The upload broke off").detail(format!(
        "Nothing of it was imported. Upload the file again. ({reason})"
    ))
}

async fn pour<E: std::fmt::Display>(
    upload: &mut Upload<'_>,
    mut bytes: impl Stream<Item = Result<Bytes, E>> + Unpin,
) -> Result<bool, Problem> {
    let mut any = false;
    while let Some(part) = bytes.next().await {
        let part = part.map_err(broken)?;
        any |= !part.is_empty();
        if !upload.push(&part)? {
            break;
        }
    }
    Ok(any)
}

/// Reads a form: fields `name` and `tag` anywhere, options before the table, and one table as a file or as text.
async fn fill(
    upload: &mut Upload<'_>,
    mut form: multer::Multipart<'static>,
    mut named: bool,
) -> Result<(), Problem> {
    let mut file = false;
    while let Some(field) = form.next_field().await.map_err(broken)? {
        let name = field.name().unwrap_or_default().to_owned();
        match name.as_str() {
            which @ ("file" | "text") => {
                let name = field
                    .file_name()
                    .map(str::to_owned)
                    .filter(|n| !n.is_empty());
                // A form in which nobody chose a file sends an empty one without a name.
                let chosen = which == "file" && name.is_some();
                if (chosen || which == "text") && file {
                    drain(field, which).await?;
                    continue;
                }
                upload.label(name.as_deref().filter(|_| !named), None)?;
                file |= pour(upload, field).await? || chosen;
            }
            which @ ("name" | "tag") => {
                let is_name = which == "name";
                let text = short_text(field).await?;
                let text = Some(text.trim()).filter(|t| !t.is_empty());
                match is_name {
                    true => {
                        named |= text.is_some();
                        upload.label(text, None)?;
                    }
                    false => upload.label(None, text)?,
                }
            }
            option if mapping::is_option(option) => {
                upload.option(option, &short_text(field).await?)?;
            }
            _ => {}
        }
    }
    match file {
        true => Ok(()),
        false => Err(Problem::invalid("file", "choose a file or paste a table")),
    }
}

/// Lets a second table pass only if there is nothing in it: a form has both fields.
async fn drain(mut field: multer::Field<'static>, name: &str) -> Result<(), Problem> {
    while let Some(part) = field.next().await {
        if !part.map_err(broken)?.is_empty() {
            return Err(Problem::invalid(name, "send one file or text at a time"));
        }
    }
    Ok(())
}

async fn short_text(mut field: multer::Field<'static>) -> Result<String, Problem> {
    let mut bytes = Vec::new();
    while let Some(part) = field.next().await {
        bytes.extend_from_slice(&part.map_err(broken)?);
        if bytes.len() > TEXT_MAX {
            return Err(Problem::new(413, "The form is too large")
                .detail("A name or a tag is far too long. Nothing was kept."));
        }
    }
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}
