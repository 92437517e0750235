//! The host's own answers: RFC 9457 problems.

use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, header};
use http_body_util::{BodyExt, Full};
use wasmtime_wasi_http::WasiBody;

/// Why the host answers in a component's place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Problem {
    /// No route matches.
    NoRoute,
    /// The body is larger than allowed.
    BodyTooLarge(u64),
    /// The head is larger than allowed.
    HeadTooLarge(usize),
    /// The body came too slowly.
    BodyTooSlow,
    /// The request is for no host, for several, or for one that cannot be.
    BadHost,
    /// The request must not travel without TLS.
    Insecure,
    /// The component trapped or could not answer.
    ComponentFailed,
    /// The component took too long.
    Timeout,
    /// Too many requests are being served.
    Busy,
}

impl Problem {
    /// The status of the answer.
    pub fn status(self) -> StatusCode {
        match self {
            Self::NoRoute => StatusCode::NOT_FOUND,
            Self::BodyTooLarge(_) => StatusCode::PAYLOAD_TOO_LARGE,
            Self::HeadTooLarge(_) => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            Self::BodyTooSlow => StatusCode::REQUEST_TIMEOUT,
            Self::BadHost => StatusCode::BAD_REQUEST,
            Self::Insecure => StatusCode::FORBIDDEN,
            Self::ComponentFailed => StatusCode::INTERNAL_SERVER_ERROR,
            Self::Timeout => StatusCode::GATEWAY_TIMEOUT,
            Self::Busy => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    fn detail(self) -> String {
        match self {
            Self::NoRoute => "No route of this application matches the path.".to_owned(),
            Self::BodyTooLarge(most) => {
                format!("The request body is larger than the {most} bytes allowed.")
            }
            Self::HeadTooLarge(most) => {
                format!("The request's headers are larger than the {most} bytes allowed.")
            }
            Self::BodyTooSlow => "The request body came too slowly.".to_owned(),
            Self::BadHost => {
                "The request must name one host, as `Host: name` or `name:port`.".to_owned()
            }
            Self::Insecure => "This host takes such requests by https only.".to_owned(),
            Self::ComponentFailed => "The component failed. The host's log says why.".to_owned(),
            Self::Timeout => "The component did not answer in time.".to_owned(),
            Self::Busy => "Too many requests are being served. Try again in a moment.".to_owned(),
        }
    }

    /// The answer.
    pub fn response(self) -> Response<WasiBody> {
        let status = self.status();
        let body = serde_json::json!({
            "type": "about:blank",
            "title": status.canonical_reason(),
            "status": status.as_u16(),
            "detail": self.detail(),
        });
        let body = Full::new(Bytes::from(body.to_string()));
        let mut response = Response::new(body.map_err(|never| match never {}).boxed_unsync());
        *response.status_mut() = status;
        let json = HeaderValue::from_static("application/problem+json");
        response.headers_mut().insert(header::CONTENT_TYPE, json);
        if self == Self::BodyTooSlow {
            // What still comes of the body must not be taken for the next request.
            let close = HeaderValue::from_static("close");
            response.headers_mut().insert(header::CONNECTION, close);
        }
        if self == Self::Busy {
            response
                .headers_mut()
                .insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
        }
        response
    }
}
