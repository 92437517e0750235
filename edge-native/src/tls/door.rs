//! The TLS listener's handshakes: bounded in time, and in number as all connections are.

use super::{Certificates, provider};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::server::TlsStream;

/// A client finishes its handshake within this time.
const HANDSHAKE: Duration = Duration::from_secs(10);

/// How connections become secure.
pub struct Door {
    acceptor: TlsAcceptor,
    most_time: Duration,
}

impl Door {
    /// A door with the host's certificates.
    pub fn new(certificates: Arc<Certificates>) -> anyhow::Result<Self> {
        Self::patient(certificates, HANDSHAKE)
    }

    /// A door for handshakes that end within a time.
    pub fn patient(certificates: Arc<Certificates>, most_time: Duration) -> anyhow::Result<Self> {
        let mut config = ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_cert_resolver(certificates);
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Self {
            acceptor: TlsAcceptor::from(Arc::new(config)),
            most_time,
        })
    }

    /// Makes a connection secure; `None` when that fails, and the log says why at level debug.
    pub async fn admit(&self, stream: TcpStream) -> Option<TlsStream<TcpStream>> {
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
