//! How the world reaches the host: TLS, and what the host answers by itself
//! before a route is looked for.

use super::problem::Problem;
use super::visitor::Visit;
use crate::tls::Certificates;
use crate::tls::door::Door;
use bytes::Bytes;
use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Full};
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use wasmtime_wasi_http::WasiBody;

/// Where an authority looks for the answer to its challenge (RFC 8555).
const CHALLENGE: &str = "/.well-known/acme-challenge/";

/// The settings and the state of the host's outside.
#[derive(Default)]
pub struct Edge {
    /// TLS, where it is served.
    pub tls: Option<Tls>,
    /// Answers to challenges.
    pub challenges: Challenges,
}

/// TLS as it is served.
pub struct Tls {
    /// Makes connections secure.
    pub door: Door,
    /// The certificates.
    pub certificates: Arc<Certificates>,
    /// The port that people reach it at.
    pub port: u16,
    /// `Strict-Transport-Security`, if it is sent.
    pub hsts: Option<HeaderValue>,
}

/// What authorities find when they look whether a name leads here.
#[derive(Default)]
pub struct Challenges(Mutex<HashMap<String, String>>);

impl Challenges {
    /// Answers a token until it is taken away.
    pub fn put(&self, token: &str, answer: &str) {
        self.lock().insert(token.to_owned(), answer.to_owned());
    }

    /// Takes a token away.
    pub fn remove(&self, token: &str) {
        self.lock().remove(token);
    }

    /// How many tokens are answered.
    #[cfg(test)]
    pub fn count(&self) -> usize {
        self.lock().len()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Edge {
    /// What the host answers by itself: challenges, and plain requests for a name with a certificate.
    pub fn answer<B>(&self, request: &Request<B>, visit: &Visit) -> Option<Response<WasiBody>> {
        if let Some(token) = request.uri().path().strip_prefix(CHALLENGE)
            && let Some(answer) = self.challenges.lock().get(token)
        {
            return Some(text(answer.clone()));
        }
        let tls = self.tls.as_ref()?;
        let by_address = visit.host.parse::<IpAddr>().is_ok();
        if visit.secure || by_address || tls.certificates.find(&visit.host).is_none() {
            return None;
        }
        Some(match *request.method() {
            Method::GET | Method::HEAD => moved(request, visit, tls.port),
            _ => Problem::Insecure.response(),
        })
    }

    /// Adds what every answer over TLS says.
    pub fn sign(&self, visit: &Visit, response: &mut Response<WasiBody>) {
        let hsts = self.tls.as_ref().and_then(|tls| tls.hsts.as_ref());
        if let Some(hsts) = hsts.filter(|_| visit.secure) {
            response
                .headers_mut()
                .insert(header::STRICT_TRANSPORT_SECURITY, hsts.clone());
        }
    }
}

fn moved<B>(request: &Request<B>, visit: &Visit, port: u16) -> Response<WasiBody> {
    let path = request
        .uri()
        .path_and_query()
        .map_or("/", |path| path.as_str());
    let port = match port {
        443 => String::new(),
        port => format!(":{port}"),
    };
    let mut response = text(String::new());
    *response.status_mut() = StatusCode::PERMANENT_REDIRECT;
    match HeaderValue::try_from(format!("https://{}{port}{path}", visit.host)) {
        Ok(location) => drop(response.headers_mut().insert(header::LOCATION, location)),
        Err(_) => return Problem::BadHost.response(),
    }
    response
}

fn text(text: String) -> Response<WasiBody> {
    let body = Full::new(Bytes::from(text)).map_err(|never| match never {});
    let mut response = Response::new(body.boxed_unsync());
    let plain = HeaderValue::from_static("text/plain");
    response.headers_mut().insert(header::CONTENT_TYPE, plain);
    response
}
