//! The admin port: `/healthz` for whoever watches the process, `/metrics` for Prometheus.

use crate::metrics::Metrics;
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

/// Serves the admin port.
pub async fn serve(listener: TcpListener, health: Arc<Health>, metrics: Arc<Metrics>) {
    let answer = move |request: Request<_>| answer(request.uri().path(), &health, &metrics);
    text_server::serve(listener, answer).await;
}

fn answer(path: &str, health: &Health, metrics: &Metrics) -> Response<String> {
    let (status, kind, body) = match path {
        "/healthz" if health.0.load(Relaxed) => (StatusCode::OK, "text/plain", "ok\n".to_owned()),
        "/healthz" => (
            StatusCode::SERVICE_UNAVAILABLE,
            "text/plain",
            "draining\n".to_owned(),
        ),
        "/metrics" => (
            StatusCode::OK,
            "application/openmetrics-text; version=1.0.0; charset=utf-8",
            metrics.text(),
        ),
        _ => (
            StatusCode::NOT_FOUND,
            "text/plain",
            "/healthz and /metrics\n".to_owned(),
        ),
    };
    text_server::response(status, kind, body)
}
