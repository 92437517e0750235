//! Requests and answers between Spin's types and ours.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, HOST};
use http::{HeaderValue, Method};
use http_body::Frame;
use http_body_util::{BodyExt, Either, Full, Limited};
use spin_sdk::http::Request as SpinRequest;
use spin_sdk::wasip3::http_compat::IncomingRequestBody;
use web::{Body, Problem, Request, Response};

/// The largest body that is collected, in bytes. Uploads are streamed and have their own limit.
const BODY_MAX: usize = 1024 * 1024;

/// An answer as Spin takes it.
pub type SpinResponse = http::Response<Either<Full<Bytes>, Pieces>>;

/// A body that is made piece by piece.
pub struct Pieces(Box<dyn Iterator<Item = Vec<u8>>>);

impl http_body::Body for Pieces {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(
            self.0
                .next()
                .map(|piece| Ok(Frame::data(Bytes::from(piece)))),
        )
    }
}

/// Gives a request its Host field back: WASI takes it out of the fields and keeps it as the authority.
pub fn with_host(mut request: SpinRequest) -> SpinRequest {
    let authority = request.uri().authority().map(|a| a.as_str());
    if let Some(host) = authority.and_then(|a| HeaderValue::from_str(a).ok()) {
        request.headers_mut().insert(HOST, host);
    }
    request
}

/// Splits off the body, which has not arrived yet.
pub fn head(request: SpinRequest) -> (Request, IncomingRequestBody) {
    let (parts, body) = request.into_parts();
    let head = Request {
        method: parts.method,
        path: parts.uri.path().to_owned(),
        query: parts.uri.query().unwrap_or_default().to_owned(),
        headers: parts.headers,
        body: Vec::new(),
    };
    (head, body)
}

/// Waits for a request's body.
///
/// # Errors
/// 413 when it is too large, 400 when it breaks off.
pub async fn collect(request: &Request, body: IncomingRequestBody) -> Result<Vec<u8>, Problem> {
    collect_up_to(request, body, BODY_MAX).await
}

/// Waits for a request's body of at most so many bytes.
///
/// # Errors
/// 413 when it is too large, 400 when it breaks off.
pub async fn collect_up_to(
    request: &Request,
    body: IncomingRequestBody,
    max: usize,
) -> Result<Vec<u8>, Problem> {
    // A body means nothing here (RFC 9110, 9.3.1), and a stream that nobody asks for is never made.
    if matches!(request.method, Method::GET | Method::HEAD) {
        return Ok(Vec::new());
    }
    match Limited::new(body, max).collect().await {
        Ok(collected) => Ok(collected.to_bytes().into()),
        Err(e) if e.is::<http_body_util::LengthLimitError>() => {
            Err(Problem::new(413, "The body is too large").detail(format!(
                "This call takes at most {max} bytes. Nothing was kept."
            )))
        }
        Err(_) => {
            Err(Problem::new(400, "The body broke off").detail("Nothing was kept. Send it again."))
        }
    }
}

/// Hands over an answer. A body that is all here goes with its length: it need not be cut into chunks.
pub fn answer(mut response: Response) -> SpinResponse {
    let body = match response.body {
        Body::Full(bytes) => {
            // An answer without a body (to HEAD, or a 304) may be about one: its length is not known here.
            if !bytes.is_empty() {
                response.headers.insert(CONTENT_LENGTH, bytes.len().into());
            }
            Either::Left(Full::new(Bytes::from(bytes)))
        }
        Body::Stream(pieces) => Either::Right(Pieces(pieces)),
    };
    let mut answer = http::Response::new(body);
    *answer.status_mut() = response.status;
    *answer.headers_mut() = response.headers;
    answer
}
