//! Takes an archive from the socket to the store.

use futures::StreamExt;
use http_body_util::BodyDataStream;
use spin_sdk::wasip3::http_compat::IncomingRequestBody;
use web::slave::archive::{Pending, Restoration, admit};
use web::{Context, Identity, Problem, Request, Response};

/// Answers a restoration.
pub async fn receive(
    cx: &Context<'_>,
    request: &Request,
    who: Option<&Identity>,
    body: IncomingRequestBody,
) -> Response {
    keep(cx, request, who, body)
        .await
        .unwrap_or_else(Problem::into_response)
}

async fn keep(
    cx: &Context<'_>,
    request: &Request,
    who: Option<&Identity>,
    body: IncomingRequestBody,
) -> Result<Response, Problem> {
    let mut restoration = Restoration::begin(admit(cx, request, who)?, Pending::of(request)?)?;
    let mut bytes = BodyDataStream::new(body);
    while let Some(part) = bytes.next().await {
        let part = part.map_err(|reason| {
            Problem::new(400, "The archive broke off")
                .detail(format!("Nothing of it was kept. Send it again. ({reason})"))
        })?;
        restoration.push(&part, glue::now())?;
    }
    restoration.finish()
}
