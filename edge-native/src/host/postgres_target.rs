//! A connection string: what it leads to, who may follow it, and following it.

use crate::config::outbound::{AllowedHost, allows_database};
use std::sync::Arc;
use std::time::Duration;
use tokio_postgres::config::{Host, SslMode};
use tokio_postgres::{Client, Config, NoTls};

use super::postgres_tls::{self, Tls};

/// The longest wait for a server to let a connection in, unless its string says otherwise.
const CONNECT: Duration = Duration::from_secs(5);
/// A server that is gone without a word is noticed after about a minute.
const KEEPALIVE: Duration = Duration::from_secs(30);
/// What was sent to a server is acknowledged within this time, or the connection is over.
const UNACKNOWLEDGED: Duration = Duration::from_secs(10);

/// A server, a database on it, and how to get in.
pub struct Target {
    config: Config,
    tls: Option<Tls>,
}

/// Everything that keeps two connection strings' connections apart.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Key {
    /// The connection string.
    pub address: String,
    /// Certificates to trust instead of the usual ones, in PEM.
    pub roots: Option<String>,
}

impl Target {
    /// Reads a connection string; the error says what is wrong with it, and never its password.
    pub fn parse(key: &Key, extra_roots: &[u8]) -> Result<Self, String> {
        let mut config: Config = key.address.parse().map_err(|error| describe(&error))?;
        if config.get_hosts().is_empty() && config.get_hostaddrs().is_empty() {
            return Err("the connection string names no host".to_owned());
        }
        if config.get_connect_timeout().is_none() {
            config.connect_timeout(CONNECT);
        }
        if config.get_tcp_user_timeout().is_none() {
            config.tcp_user_timeout(UNACKNOWLEDGED);
        }
        if config.get_application_name().is_none() {
            config.application_name("sluice");
        }
        config.keepalives_idle(KEEPALIVE);
        config.keepalives_interval(KEEPALIVE / 3);
        config.keepalives_retries(3);
        let roots = key.roots.as_deref().map(str::as_bytes);
        let tls = match config.get_ssl_mode() {
            SslMode::Disable => None,
            // Whoever can take TLS away from it could as well hand it a certificate.
            SslMode::Prefer => Some(postgres_tls::unverified()?),
            _ => Some(postgres_tls::verified(roots, extra_roots)?),
        };
        Ok(Self { config, tls })
    }

    /// The first host that no pattern allows; every one in the string counts, by name and by address.
    pub fn forbidden(&self, allowed: &[AllowedHost]) -> Option<String> {
        let ports = self.config.get_ports();
        let port = |index: usize| ports.get(index).or(ports.first()).copied().unwrap_or(5432);
        let named = self.config.get_hosts().iter().enumerate();
        let named = named.map(|(index, host)| match host {
            Host::Tcp(name) => (name.clone(), port(index)),
            // Such a server is on this machine, whatever its folder.
            Host::Unix(_) => ("localhost".to_owned(), port(index)),
        });
        let addresses = self.config.get_hostaddrs().iter().enumerate();
        let addresses = addresses.map(|(index, address)| (address.to_string(), port(index)));
        named
            .chain(addresses)
            .find(|(host, port)| !allows_database(allowed, "postgres", host, *port))
            .map(|(host, port)| format!("{host}:{port}"))
    }

    /// Connects. The future beside the client carries its bytes and ends when the connection is over.
    pub async fn connect(&self) -> Result<(Client, Carrier), tokio_postgres::Error> {
        match &self.tls {
            None => {
                let (client, connection) = self.config.connect(NoTls).await?;
                Ok((client, carrier(connection)))
            }
            Some(tls) => {
                let (client, connection) = self.config.connect(tls.clone()).await?;
                Ok((client, carrier(connection)))
            }
        }
    }

    /// Asks the server to end the statement that a connection is executing.
    pub async fn cancel(self: Arc<Self>, token: tokio_postgres::CancelToken) {
        let asking = async {
            match &self.tls {
                None => token.cancel_query(NoTls).await,
                Some(tls) => token.cancel_query(tls.clone()).await,
            }
        };
        let _ = tokio::time::timeout(CONNECT, asking).await;
    }
}

/// Carries a connection's bytes.
pub type Carrier = std::pin::Pin<Box<dyn Future<Output = ()> + Send>>;

fn carrier<S, T>(connection: tokio_postgres::Connection<S, T>) -> Carrier
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
    T: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
{
    Box::pin(async move {
        if let Err(error) = connection.await {
            tracing::debug!("a PostgreSQL connection ended: {}", describe(&error));
        }
    })
}

/// An error with its causes, in one line; a server's word comes with its SQLSTATE.
pub fn describe(error: &tokio_postgres::Error) -> String {
    use std::error::Error as _;
    if let Some(said) = error.as_db_error() {
        let (severity, message, code) = (said.severity(), said.message(), said.code().code());
        return format!("{severity}: {message} (SQLSTATE {code})");
    }
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(inner) = source {
        text = format!("{text}: {inner}");
        source = inner.source();
    }
    text
}
