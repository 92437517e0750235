//! The admin port: `/healthz` for whoever watches the process, `/metrics` for Prometheus, `/status`
//! for whoever looks after the machine.

use crate::acme::Acme;
use crate::metrics::Metrics;
use crate::status::Machine;
use crate::text_server;
use http::{Request, Response, StatusCode};
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

/// Whether the host takes work.
#[derive(Default)]
pub struct Health(AtomicBool);

impl Health {
    /// Says whether the host takes work.
    pub fn set(&self, serving: bool) {
        self.0.store(serving, Relaxed);
    }
}

/// Binds the asked-for address; without one, the loopback port after the listener's, or any free
/// one when that is taken.
pub fn bind(asked: Option<SocketAddr>, listen: SocketAddr) -> std::io::Result<TcpListener> {
    if let Some(asked) = asked {
        return TcpListener::bind(asked);
    }
    let loopback = |port| SocketAddr::from((std::net::Ipv4Addr::LOCALHOST, port));
    let beside = listen.port().checked_add(1).unwrap_or(0);
    TcpListener::bind(loopback(beside)).or_else(|_| TcpListener::bind(loopback(0)))
}

/// What the admin port tells about.
pub struct Told {
    /// Whether the host takes work.
    pub health: Arc<Health>,
    /// The counters.
    pub metrics: Arc<Metrics>,
    /// The machine.
    pub machine: Machine,
    /// The certificates that are asked for.
    pub acme: Option<Arc<Acme>>,
}

/// Serves the admin port.
pub async fn serve(listener: TcpListener, told: Told) {
    let answer = move |request: Request<_>| answer(request.uri().path(), &told);
    text_server::serve(listener, answer).await;
}

fn answer(path: &str, told: &Told) -> Response<String> {
    let (status, kind, body) = match path {
        "/healthz" if told.health.0.load(Relaxed) => {
            (StatusCode::OK, "text/plain", "ok\n".to_owned())
        }
        "/healthz" => (
            StatusCode::SERVICE_UNAVAILABLE,
            "text/plain",
            "draining\n".to_owned(),
        ),
        "/metrics" => (
            StatusCode::OK,
            "application/openmetrics-text; version=1.0.0; charset=utf-8",
            told.metrics.text(),
        ),
        "/status" => (StatusCode::OK, "application/json", status(told)),
        _ => (
            StatusCode::NOT_FOUND,
            "text/plain",
            "/healthz, /metrics and /status\n".to_owned(),
        ),
    };
    text_server::response(status, kind, body)
}

fn status(told: &Told) -> String {
    let mut status = serde_json::json!(told.machine.status());
    if let Some(acme) = &told.acme {
        status["certificates"] = serde_json::json!(acme.status());
        status["certificates_trouble"] = serde_json::json!(acme.trouble());
    }
    status.to_string()
}
