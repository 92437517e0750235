//! Takes an upload from the socket to the store, as a plain body or as a form.

use bytes::Bytes;
use futures::{Stream, StreamExt};
use glue::http::header::CONTENT_TYPE;
use http_body_util::BodyDataStream;
use spin_sdk::wasip3::http_compat::IncomingRequestBody;
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
    let kept = match multer::parse_boundary(media) {
        Ok(boundary) => {
            form(
                &mut upload,
                multer::Multipart::new(bytes, boundary),
                name.is_some(),
            )
            .await
        }
        Err(_) => pour(&mut upload, bytes).await,
    };
    match kept {
        Ok(()) => {
            let (scope, id) = upload.finish()?;
            Ok(accepted(request, &scope, id))
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
) -> Result<(), Problem> {
    while let Some(part) = bytes.next().await {
        if !upload.push(&part.map_err(broken)?)? {
            break;
        }
    }
    Ok(())
}

/// Reads a form: fields `name` and `tag` anywhere, and one file.
async fn form(
    upload: &mut Upload<'_>,
    mut form: multer::Multipart<'static>,
    mut named: bool,
) -> Result<(), Problem> {
    let mut file = false;
    while let Some(field) = form.next_field().await.map_err(broken)? {
        match field.name().unwrap_or_default() {
            "file" if !file => {
                file = true;
                let name = field
                    .file_name()
                    .map(str::to_owned)
                    .filter(|n| !n.is_empty() && !named);
                upload.label(name.as_deref(), None)?;
                pour(upload, field).await?;
            }
            "file" => return Err(Problem::invalid("file", "send one file at a time")),
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
            _ => {}
        }
    }
    match file {
        true => Ok(()),
        false => Err(Problem::invalid("file", "choose a file")),
    }
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
