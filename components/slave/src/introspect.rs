//! Asks the master whom a credential belongs to.

use glue::spin_sdk::wasip3::http::types::RequestOptions;
use glue::spin_sdk::wasip3::http_compat::RequestOptionsExtension;
use http_body_util::{BodyExt, Full, Limited};
use spin_sdk::http;
use web::Config;
use web::master::node::{Introspect, Introspected};
use web::slave::access::Unanswered;

/// The largest answer that is read, in bytes.
const ANSWER_MAX: usize = 128 * 1024;
/// How long the master may take, in nanoseconds: people wait meanwhile, and what it said last may be at hand.
const PATIENCE: u64 = 3_000_000_000;

/// The master's answer to a question.
///
/// # Errors
/// Why there is none.
pub async fn ask(config: &Config, question: &Introspect) -> Result<Introspected, Unanswered> {
    let (status, body) = call(config, question)
        .await
        .map_err(Unanswered::Unreachable)?;
    match status {
        200 => serde_json::from_slice(&body).map_err(|e| Unanswered::Unreachable(e.to_string())),
        401 | 403 => Err(Unanswered::Refused),
        _ => Err(Unanswered::Unreachable(format!(
            "{status}: {}",
            String::from_utf8_lossy(&body)
        ))),
    }
}

async fn call(config: &Config, question: &Introspect) -> Result<(u16, Vec<u8>), String> {
    let body = serde_json::to_vec(question).map_err(|e| e.to_string())?;
    let response = http::send(request(config, body)?)
        .await
        .map_err(|e| e.to_string())?;
    let status = response.status().as_u16();
    let body = Limited::new(response.into_body(), ANSWER_MAX)
        .collect()
        .await
        .map_err(|e| e.to_string())?;
    Ok((status, body.to_bytes().into()))
}

fn request(
    config: &Config,
    body: Vec<u8>,
) -> Result<glue::http::Request<Full<bytes::Bytes>>, String> {
    let options = RequestOptions::new();
    // A host may not support one of these; its own limits hold then.
    let _ = options.set_connect_timeout(Some(PATIENCE));
    let _ = options.set_first_byte_timeout(Some(PATIENCE));
    glue::http::Request::post(format!("{}/node/v1/introspect", config.master_api_url))
        .header("authorization", format!("Bearer {}", config.credential()))
        .header("content-type", "application/json")
        .extension(RequestOptionsExtension(options))
        .body(Full::new(body.into()))
        .map_err(|e| e.to_string())
}
