//! Calls of other nodes by components that a schedule fires. Such a call must not wait the asynchronous way, so this goes
//! by the blocking HTTP of WASI 0.2. Several calls go out at once, so that a slow node holds up no other.

use wasip2::http::outgoing_handler;
use wasip2::http::types::{
    ErrorCode, Fields, FutureIncomingResponse, IncomingBody, Method, OutgoingBody, OutgoingRequest,
    RequestOptions, Scheme,
};
use wasip2::io::streams::StreamError;

/// How long a node may take, in nanoseconds.
const TIMEOUT: u64 = 10_000_000_000;
/// The largest answer that is read, in bytes.
const ANSWER_MAX: usize = 8 * 1024 * 1024;
/// WASI takes at most so much at once, in bytes.
const PIECE: usize = 4096;

/// One call.
#[derive(Debug, Clone)]
pub struct Call {
    /// `GET`, `POST`, `PUT`, `DELETE`.
    pub method: &'static str,
    /// Where to.
    pub url: String,
    /// The credential; empty for none.
    pub bearer: String,
    /// The media type of the body and of the answer.
    pub media_type: &'static str,
    /// Empty for none.
    pub body: Vec<u8>,
}

/// The media type of most calls.
pub const JSON: &str = "application/json";

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Failure {
    /// The other side has certainly not seen the call.
    NotSent(String),
    /// It may have, and may have done what was asked.
    Unknown(String),
}

impl Failure {
    /// The reason, for people.
    pub fn reason(&self) -> &str {
        match self {
            Failure::NotSent(reason) | Failure::Unknown(reason) => reason,
        }
    }
}

/// A status and a body, or why there is none.
pub type Outcome = Result<(u16, Vec<u8>), Failure>;

/// Sends all calls, then waits for all answers, in the order of the calls.
pub fn call_all(calls: &[Call]) -> Vec<Outcome> {
    let sent: Vec<_> = calls.iter().map(send).collect();
    sent.into_iter().map(|sent| sent.and_then(answer)).collect()
}

/// One call.
///
/// # Errors
/// When no answer came.
pub fn call(call: &Call) -> Outcome {
    send(call).and_then(answer)
}

fn request(call: &Call) -> Result<OutgoingRequest, String> {
    let (scheme, rest) = call
        .url
        .split_once("://")
        .ok_or("its address has no scheme")?;
    let (authority, path) = rest
        .split_once('/')
        .map_or((rest, "/".to_owned()), |(a, p)| (a, format!("/{p}")));
    let headers = Fields::new();
    let header = |name: &str, value: String| {
        headers
            .append(name, &value.into_bytes())
            .map_err(|e| format!("{e:?}"))
    };
    if !call.bearer.is_empty() {
        header("authorization", format!("Bearer {}", call.bearer))?;
    }
    header("accept", call.media_type.to_owned())?;
    if !call.body.is_empty() {
        header("content-type", call.media_type.to_owned())?;
    }
    header("content-length", call.body.len().to_string())?;
    let request = OutgoingRequest::new(headers);
    let scheme = if scheme == "https" {
        Scheme::Https
    } else {
        Scheme::Http
    };
    let method = match call.method {
        "GET" => Method::Get,
        "PUT" => Method::Put,
        "DELETE" => Method::Delete,
        _ => Method::Post,
    };
    let set = request.set_method(&method);
    let set = set.and_then(|()| request.set_scheme(Some(&scheme)));
    let set = set.and_then(|()| request.set_authority(Some(authority)));
    set.and_then(|()| request.set_path_with_query(Some(&path)))
        .map_err(|()| "its address cannot be used")?;
    Ok(request)
}

fn send(call: &Call) -> Result<FutureIncomingResponse, Failure> {
    let request = request(call).map_err(Failure::NotSent)?;
    let options = RequestOptions::new();
    // A host may not support one of these; its own limits hold then.
    let _ = options.set_connect_timeout(Some(TIMEOUT));
    let _ = options.set_first_byte_timeout(Some(TIMEOUT));
    let out = request
        .body()
        .map_err(|()| Failure::NotSent("no body can be sent".to_owned()))?;
    let pending = outgoing_handler::handle(request, Some(options)).map_err(|e| failure(&e))?;
    // A body that breaks off says less than the answer's error does.
    if let Ok(stream) = out.write() {
        for piece in call.body.chunks(PIECE) {
            if stream.blocking_write_and_flush(piece).is_err() {
                break;
            }
        }
    }
    let _ = OutgoingBody::finish(out, None);
    Ok(pending)
}

fn answer(pending: FutureIncomingResponse) -> Outcome {
    let unknown = |reason: &str| Failure::Unknown(reason.to_owned());
    pending.subscribe().block();
    let response = pending
        .get()
        .ok_or_else(|| unknown("no answer"))?
        .map_err(|()| unknown("the answer was taken"))?
        .map_err(|e| failure(&e))?;
    let status = response.status();
    let body = response
        .consume()
        .map_err(|()| unknown("the answer has no body"))?;
    Ok((status, read(&body).map_err(Failure::Unknown)?))
}

fn read(body: &IncomingBody) -> Result<Vec<u8>, String> {
    let stream = body.stream().map_err(|()| "the answer has no body")?;
    let mut bytes = Vec::new();
    while bytes.len() < ANSWER_MAX {
        match stream.blocking_read(16 * 1024) {
            Ok(part) => bytes.extend(part),
            Err(StreamError::Closed) => break,
            Err(e) => return Err(e.to_string()),
        }
    }
    Ok(bytes)
}

/// What an error says of the call. Only errors from before a connection stood are sure to mean that nothing was sent.
fn failure(code: &ErrorCode) -> Failure {
    let reason = match code {
        ErrorCode::ConnectionRefused => "it refuses the connection".to_owned(),
        ErrorCode::DnsError(_) | ErrorCode::DnsTimeout => "its name does not resolve".to_owned(),
        ErrorCode::HttpRequestDenied => {
            "this component may not talk to it (allowed_outbound_hosts)".to_owned()
        }
        ErrorCode::ConnectionTimeout | ErrorCode::ConnectionReadTimeout => {
            "it does not answer in time".to_owned()
        }
        ErrorCode::DestinationNotFound
        | ErrorCode::DestinationUnavailable
        | ErrorCode::DestinationIpProhibited
        | ErrorCode::DestinationIpUnroutable => "it cannot be reached".to_owned(),
        ErrorCode::TlsCertificateError
        | ErrorCode::TlsProtocolError
        | ErrorCode::TlsAlertReceived(_) => "no TLS connection with it can be made".to_owned(),
        code => {
            // The host's own words are for the log.
            eprintln!("call: {code}");
            "the connection with it broke".to_owned()
        }
    };
    match code {
        ErrorCode::ConnectionRefused
        | ErrorCode::DnsError(_)
        | ErrorCode::DnsTimeout
        | ErrorCode::DestinationNotFound
        | ErrorCode::DestinationUnavailable
        | ErrorCode::DestinationIpProhibited
        | ErrorCode::DestinationIpUnroutable
        | ErrorCode::HttpRequestDenied
        | ErrorCode::HttpRequestUriInvalid
        | ErrorCode::TlsCertificateError
        | ErrorCode::TlsProtocolError => Failure::NotSent(reason),
        _ => Failure::Unknown(reason),
    }
}
