//! Passes front pages on to the master, and its answers back.

use http_body_util::{BodyExt, Full, Limited};
use spin_sdk::http;
use web::{Body, Context, Problem, Request, Response, front};

/// The largest page, in bytes.
const PAGE_MAX: usize = 1024 * 1024;

/// The master's answer to a front page.
///
/// # Errors
/// 503 when the master does not answer, or when the store fails.
pub async fn answer(cx: &Context<'_>, request: &Request) -> Result<Response, Problem> {
    let onwards = front::pass_on(cx, request)?;
    ask(cx, onwards).await.map_err(|reason| {
        eprintln!("front: {reason}");
        Problem {
            retry_after: Some(5),
            ..Problem::new(503, "Nobody can log in just now")
                .detail("Nothing was changed. Try again in a moment.")
        }
    })
}

async fn ask(cx: &Context<'_>, request: Request) -> Result<Response, String> {
    let target = match request.query.as_str() {
        "" => request.path,
        query => format!("{}?{query}", request.path),
    };
    let mut onwards = glue::http::Request::builder()
        .method(request.method)
        .uri(format!("{}{target}", cx.config.master_api_url));
    if let Some(headers) = onwards.headers_mut() {
        *headers = request.headers;
    }
    let onwards = onwards
        .body(Full::new(bytes::Bytes::from(request.body)))
        .map_err(|e| e.to_string())?;
    let (head, body) = http::send(onwards)
        .await
        .map_err(|e| e.to_string())?
        .into_parts();
    let body = Limited::new(body, PAGE_MAX)
        .collect()
        .await
        .map_err(|e| e.to_string())?;
    let headers = head.headers.iter().filter(|(name, _)| front::is_kept(name));
    Ok(Response {
        status: head.status,
        headers: headers
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect(),
        body: Body::Full(body.to_bytes().into()),
    })
}
