//! Looks for the proof of a host name in the DNS, by HTTPS (RFC 8484): a component has no other way to ask for TXT.

use glue::http::Request as HttpRequest;
use glue::http::header::{ACCEPT, CONTENT_TYPE};
use http_body_util::{BodyExt, Full, Limited};
use spin_sdk::http;
use web::slave::custom_domain::{self, View};
use web::slave::domain_proof::{self, MESSAGE};
use web::{Config, Context, Identity, Problem, Request, Response};

/// The largest answer that is read, in bytes: what the DNS can carry.
const ANSWER_MAX: usize = 64 * 1024;

/// Answers `POST …/domains/{name}/verification`.
pub async fn verify(cx: &Context<'_>, request: &Request, who: Option<&Identity>) -> Response {
    let Some((name, api)) = custom_domain::asked(request) else {
        return Problem::not_found().into_response();
    };
    match look(cx, request, who, name).await {
        Ok((_, view)) if api => Response::json(200, &view),
        Ok((base, _)) => Response::see_other(&format!("{base}/settings")),
        Err(problem) => web::slave::upload::refused(cx, request, who, problem),
    }
}

async fn look(
    cx: &Context<'_>,
    request: &Request,
    who: Option<&Identity>,
    name: &str,
) -> Result<(String, View), Problem> {
    let scope = custom_domain::admit(cx, request, who)?;
    let lookup = custom_domain::look_up(&scope, name)?;
    let [text, alias] = &lookup.messages;
    let answers = [ask(cx.config, text).await, ask(cx.config, alias).await];
    let view = custom_domain::settle(&scope, &lookup, answers)?;
    Ok((scope.base(), view))
}

async fn ask(config: &Config, message: &[u8]) -> Result<Vec<u8>, String> {
    let silent = |reason: String| {
        eprintln!("resolver {}: {reason}", config.resolver_url);
        domain_proof::SILENT.to_owned()
    };
    let request = HttpRequest::post(format!("{}/dns-query", config.resolver_url))
        .header(CONTENT_TYPE, MESSAGE)
        .header(ACCEPT, MESSAGE)
        .body(Full::new(bytes::Bytes::copy_from_slice(message)))
        .map_err(|e| silent(e.to_string()))?;
    let response = http::send(request)
        .await
        .map_err(|e| silent(e.to_string()))?;
    if !response.status().is_success() {
        return Err(silent(response.status().to_string()));
    }
    let body = Limited::new(response.into_body(), ANSWER_MAX)
        .collect()
        .await;
    Ok(body.map_err(|e| silent(e.to_string()))?.to_bytes().into())
}
