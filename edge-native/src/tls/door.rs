//! The TLS listener's handshakes: bounded in number and in time.

use super::{Certificates, provider};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::server::TlsStream;

/// A client finishes its handshake within this time.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// Most handshakes at once; who comes then is sent away.
const HANDSHAKES: usize = 256;

/// How connections become secure.
pub struct Door {
    acceptor: TlsAcceptor,
    handshakes: Semaphore,
    most_time: Duration,
}

impl Door {
    /// A door with the host's certificates.
    pub fn new(certificates: Arc<Certificates>) -> anyhow::Result<Self> {
        Self::bounded(certificates, HANDSHAKES, HANDSHAKE)
    }

    /// A door for so many handshakes at once, each within a time.
    pub fn bounded(
        certificates: Arc<Certificates>,
        most: usize,
        most_time: Duration,
    ) -> anyhow::Result<Self> {
        let mut config = ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_cert_resolver(certificates);
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Self {
            acceptor: TlsAcceptor::from(Arc::new(config)),
            handshakes: Semaphore::new(most),
            most_time,
        })
    }

    /// Makes a connection secure; `None` when that fails, and the log says why at level debug.
    pub async fn admit(&self, stream: TcpStream) -> Option<TlsStream<TcpStream>> {
        let Ok(_turn) = self.handshakes.try_acquire() else {
            tracing::warn!("a connection was refused: too many TLS handshakes at once");
            return None;
        };
        match tokio::time::timeout(self.most_time, self.acceptor.accept(stream)).await {
            Ok(Ok(stream)) => Some(stream),
            Ok(Err(error)) => {
                tracing::debug!(%error, "a TLS handshake failed");
                None
            }
            Err(_) => {
                tracing::debug!("a TLS handshake took too long");
                None
            }
        }
    }
}
