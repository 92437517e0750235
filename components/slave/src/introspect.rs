//! Asks the master whom a credential belongs to.

use http_body_util::{BodyExt, Full, Limited};
use spin_sdk::http;
use web::master::node::{Introspect, Introspected};
use web::{Config, Problem};

/// The largest answer that is read, in bytes.
const ANSWER_MAX: usize = 64 * 1024;

/// The master's answer to a question.
///
/// # Errors
/// 503 when the master does not answer.
pub async fn ask(config: &Config, question: &Introspect) -> Result<Introspected, Problem> {
    call(config, question).await.map_err(|reason| {
        eprintln!("introspect: {reason}");
        let detail =
            "The master, which knows who you are, does not answer. Nothing was changed. Try again.";
        Problem {
            retry_after: Some(2),
            ..Problem::new(503, "The master does not answer").detail(detail)
        }
    })
}

async fn call(config: &Config, question: &Introspect) -> Result<Introspected, String> {
    let body = serde_json::to_vec(question).map_err(|e| e.to_string())?;
    let request = web_request(config, body)?;
    let response = http::send(request).await.map_err(|e| e.to_string())?;
    let status = response.status();
    let body = Limited::new(response.into_body(), ANSWER_MAX)
        .collect()
        .await
        .map_err(|e| e.to_string())?
        .to_bytes();
    if !status.is_success() {
        return Err(format!("{status}: {}", String::from_utf8_lossy(&body)));
    }
    serde_json::from_slice(&body).map_err(|e| e.to_string())
}

fn web_request(
    config: &Config,
    body: Vec<u8>,
) -> Result<glue::http::Request<Full<bytes::Bytes>>, String> {
    glue::http::Request::post(format!("{}/node/v1/introspect", config.master_api_url))
        .header("authorization", format!("Bearer {}", config.node_secret))
        .header("content-type", "application/json")
        .body(Full::new(body.into()))
        .map_err(|e| e.to_string())
}
