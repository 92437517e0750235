//! Asks a slave to take a sub-account. A scheduled call must not wait the asynchronous way, so this goes by the
//! blocking HTTP of WASI 0.2.

use stages::allocate::{Answer, Placed, Placement};
use wasip2::http::outgoing_handler;
use wasip2::http::types::{
    Fields, IncomingBody, Method, OutgoingBody, OutgoingRequest, RequestOptions, Scheme,
};
use web::Config;

/// How long a slave may take, in nanoseconds.
const TIMEOUT: u64 = 10_000_000_000;
/// The largest answer that is read, in bytes.
const ANSWER_MAX: usize = 64 * 1024;

/// `PUT {slave}/node/v1/subaccounts/{id}`
pub fn subaccount(config: &Config, id: &str, placement: &Placement) -> Answer {
    match call(config, id, placement) {
        Ok((200, body)) => match serde_json::from_slice::<Placed>(&body) {
            Ok(placed) => Answer::Placed(own_path(config, placed.base_url)),
            Err(e) => Answer::Refused(format!("The slave's answer cannot be read: {e}.")),
        },
        Ok((status, body)) => {
            let problem: serde_json::Value = serde_json::from_slice(&body).unwrap_or_default();
            let detail = problem["detail"]
                .as_str()
                .or(problem["title"].as_str())
                .unwrap_or("no reason given");
            Answer::Refused(format!("The slave refused ({status}): {detail}"))
        }
        Err(reason) => Answer::Refused(format!(
            "The slave at {} does not answer: {reason}.",
            config.slave_url
        )),
    }
}

/// An address on this very installation is kept as a path, so that it stays right when the installation moves.
fn own_path(config: &Config, base_url: String) -> String {
    match base_url.strip_prefix(&config.public_url) {
        Some(path) if path.starts_with('/') => path.to_owned(),
        _ => base_url,
    }
}

fn call(config: &Config, id: &str, placement: &Placement) -> Result<(u16, Vec<u8>), String> {
    let (scheme, rest) = config
        .slave_url
        .split_once("://")
        .ok_or("its address has no scheme")?;
    let (authority, prefix) = rest
        .split_once('/')
        .map_or((rest, String::new()), |(a, p)| (a, format!("/{p}")));
    let headers = Fields::new();
    let header = |name: &str, value: String| {
        headers
            .append(name, &value.into_bytes())
            .map_err(|e| format!("{e:?}"))
    };
    header("authorization", format!("Bearer {}", config.node_secret))?;
    header("content-type", "application/json".to_owned())?;
    let body = serde_json::to_vec(placement).map_err(|e| e.to_string())?;
    header("content-length", body.len().to_string())?;

    let request = OutgoingRequest::new(headers);
    let scheme = if scheme == "https" {
        Scheme::Https
    } else {
        Scheme::Http
    };
    let path = format!("{prefix}/node/v1/subaccounts/{id}");
    let set = request.set_method(&Method::Put);
    let set = set.and_then(|()| request.set_scheme(Some(&scheme)));
    let set = set.and_then(|()| request.set_authority(Some(authority)));
    set.and_then(|()| request.set_path_with_query(Some(&path)))
        .map_err(|()| "its address cannot be used")?;
    send(request, &body)
}

fn send(request: OutgoingRequest, body: &[u8]) -> Result<(u16, Vec<u8>), String> {
    let options = RequestOptions::new();
    // A host may not support one of these; its own limits hold then.
    let _ = options.set_connect_timeout(Some(TIMEOUT));
    let _ = options.set_first_byte_timeout(Some(TIMEOUT));
    let out = request.body().map_err(|()| "no body can be sent")?;
    let pending = outgoing_handler::handle(request, Some(options)).map_err(|e| e.to_string())?;
    {
        let stream = out.write().map_err(|()| "no body can be sent")?;
        stream
            .blocking_write_and_flush(body)
            .map_err(|e| e.to_string())?;
    }
    OutgoingBody::finish(out, None).map_err(|e| e.to_string())?;
    pending.subscribe().block();
    let response = pending
        .get()
        .ok_or("no answer")?
        .map_err(|()| "the answer was taken")?
        .map_err(|e| e.to_string())?;
    let status = response.status();
    let body = response.consume().map_err(|()| "the answer has no body")?;
    Ok((status, read(&body)?))
}

fn read(body: &IncomingBody) -> Result<Vec<u8>, String> {
    let stream = body.stream().map_err(|()| "the answer has no body")?;
    let mut bytes = Vec::new();
    while bytes.len() < ANSWER_MAX {
        match stream.blocking_read(16 * 1024) {
            Ok(part) => bytes.extend(part),
            Err(wasip2::io::streams::StreamError::Closed) => break,
            Err(e) => return Err(e.to_string()),
        }
    }
    Ok(bytes)
}
