//! Passes on what came by a host name of a sub-account to the slave beside this master: routes are chosen by path, and
//! below such a name every path is the sub-account's.

use glue::http;
use http_body_util::Empty;
use spin_sdk::http::{IntoResponse, Request, send};
use spin_sdk::wasip3::http::types;
use web::Config;
use web::slave::site;

/// The slave's answer to a request that is for a sub-account; the request itself when it is for us.
pub async fn forward(
    config: &Config,
    request: Request,
) -> Result<Result<types::Response, types::ErrorCode>, Request> {
    let fields = match config.forward_url.as_str() {
        "" => None,
        _ => site::forwarded(config, request.headers()),
    };
    let Some(fields) = fields else {
        return Err(request);
    };
    // Asked first, with no body that would be spent: a machine may have names that nobody told us.
    let mut probe = http::Request::get(format!("{}/known", config.forward_url));
    for (name, value) in &fields {
        probe = probe.header(*name, value);
    }
    let known = match probe.body(Empty::<bytes::Bytes>::new()) {
        Ok(probe) => send(probe).await.is_ok_and(|answer| answer.status() == 204),
        Err(_) => false,
    };
    if !known {
        return Err(request);
    }
    let (mut parts, body) = request.into_parts();
    let target = parts.uri.path_and_query().map_or("/", |p| p.as_str());
    let Ok(uri) = format!("{}{target}", config.forward_url).parse() else {
        return Ok(Err(types::ErrorCode::HttpRequestUriInvalid));
    };
    parts.uri = uri;
    parts.headers.remove(http::header::HOST);
    for (name, value) in fields {
        parts.headers.insert(name, value);
    }
    let answer = send(http::Request::from_parts(parts, body)).await;
    Ok(answer.and_then(IntoResponse::into_response))
}
