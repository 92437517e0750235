//! From a profile's settings to a connection that is ready for mails.

use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

use tokio::{
    net::{TcpStream, lookup_host},
    time::{Instant, timeout},
};
use tokio_rustls::{
    TlsConnector,
    rustls::{
        ClientConfig, RootCertStore,
        crypto::ring,
        pki_types::{CertificateDer, ServerName, pem::PemObject},
    },
};
use worker_api::{SmtpSettings, Tls};

use super::{Connection, Stream, Timeouts, within};
use crate::{
    address,
    outcome::{Fault, Step, Trouble},
};

/// Opens connections.
pub struct Connector {
    tls: TlsConnector,
    /// Whether a server may be on this machine or in a private network.
    pub allow_private: bool,
    /// The name for EHLO; none means the host's own name, or else its address.
    pub hello: Option<String>,
    /// How long to wait.
    pub timeouts: Timeouts,
}

impl Connector {
    /// A connector that trusts the public certificate authorities and those in `extra`, a PEM text.
    ///
    /// # Errors
    /// When `extra` holds no certificates, or the TLS library refuses its settings.
    pub fn new(
        extra: Option<&[u8]>,
        allow_private: bool,
        hello: Option<String>,
        timeouts: Timeouts,
    ) -> anyhow::Result<Self> {
        let mut roots = RootCertStore::empty();
        roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
        if let Some(pem) = extra {
            let mut count = 0;
            for certificate in CertificateDer::pem_slice_iter(pem) {
                roots.add(certificate?)?;
                count += 1;
            }
            anyhow::ensure!(count > 0, "the file holds no certificate in PEM form");
        }
        let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Self {
            tls: TlsConnector::from(Arc::new(config)),
            allow_private,
            hello,
            timeouts,
        })
    }

    /// Connects, protects, greets and authenticates.
    ///
    /// # Errors
    /// What went wrong, and where.
    pub async fn connect(&self, settings: &SmtpSettings) -> Result<Connection, Fault> {
        let host = address::host_to_ascii(settings.host.trim().trim_matches(['[', ']']))
            .filter(|h| !h.is_empty())
            .ok_or_else(|| {
                Fault::new(
                    Step::Resolve,
                    Trouble::Unusable(format!("{:?} is not a host name", settings.host)),
                )
            })?;
        let addresses = self.resolve(&host, settings.port).await?;
        let tcp = self.reach(&addresses).await?;
        let hello = self.hello_name(&tcp);
        let mut connection = match settings.tls {
            Tls::None => {
                let mut plain = Connection::new(Box::new(tcp), false, self.timeouts);
                plain.greeting().await?;
                plain.hello(&hello).await?;
                plain
            }
            Tls::Tls => {
                let mut secure =
                    Connection::new(self.handshake(&host, tcp).await?, true, self.timeouts);
                secure.greeting().await?;
                secure.hello(&hello).await?;
                secure
            }
            Tls::Starttls => {
                let mut plain = Connection::new(Box::new(tcp), false, self.timeouts);
                plain.greeting().await?;
                plain.hello(&hello).await?;
                if !plain.offers.starttls {
                    return Err(Fault::new(Step::StartTls, Trouble::NotOffered("STARTTLS")));
                }
                let (reply, _) = plain.command(Step::StartTls, "STARTTLS").await?;
                super::expect(Step::StartTls, reply, 220)?;
                // What came in plain text behind the answer could be anybody's (command injection).
                plain.expect_silence(Step::StartTls)?;
                let mut secure = Connection::new(
                    self.handshake(&host, plain.stream).await?,
                    true,
                    self.timeouts,
                );
                secure.hello(&hello).await?;
                secure
            }
        };
        connection.authenticate(settings).await?;
        connection.idle_since = Instant::now();
        Ok(connection)
    }

    /// The addresses of a host that may be connected to; exactly these are then connected to.
    async fn resolve(&self, host: &str, port: u16) -> Result<Vec<SocketAddr>, Fault> {
        let found: Vec<SocketAddr> = match host.parse::<IpAddr>() {
            Ok(ip) => vec![SocketAddr::new(ip, port)],
            Err(_) => within(self.timeouts.connect, lookup_host((host, port)))
                .await
                .map_err(|why| Fault::new(Step::Resolve, Trouble::Lost(format!("{host}: {why}"))))?
                .collect(),
        };
        let allowed: Vec<SocketAddr> = found
            .iter()
            .copied()
            .filter(|a| self.allow_private || address::is_public(a.ip()))
            .collect();
        match (allowed.is_empty(), found.first()) {
            (false, _) => Ok(allowed),
            (true, None) => Err(Fault::new(
                Step::Resolve,
                Trouble::Lost(format!("{host} has no address")),
            )),
            (true, Some(first)) => Err(Fault::new(
                Step::Resolve,
                Trouble::Forbidden(format!(
                    "the mail server {host} is at {}, which is not on the public internet; whoever runs this worker can allow that with SLUICE_ALLOW_PRIVATE=1",
                    first.ip()
                )),
            )),
        }
    }

    async fn reach(&self, addresses: &[SocketAddr]) -> Result<TcpStream, Fault> {
        let mut last = String::from("no address");
        for address in addresses.iter().take(4) {
            match timeout(self.timeouts.connect, TcpStream::connect(address)).await {
                Ok(Ok(tcp)) => {
                    // Each command is one write that waits for its answer: Nagle's delay would only cost.
                    let _ = tcp.set_nodelay(true);
                    return Ok(tcp);
                }
                Ok(Err(error)) => last = format!("{address}: {error}"),
                Err(_) => {
                    last = format!(
                        "{address}: no answer within {} s",
                        self.timeouts.connect.as_secs_f32()
                    )
                }
            }
        }
        Err(Fault::new(Step::Connect, Trouble::Lost(last)))
    }

    async fn handshake<S: Stream + 'static>(
        &self,
        host: &str,
        stream: S,
    ) -> Result<Box<dyn Stream>, Fault> {
        let lost = |why: String| Fault::new(Step::Tls, Trouble::Lost(why));
        let name = ServerName::try_from(host.to_owned()).map_err(|e| lost(e.to_string()))?;
        match within(self.timeouts.command, self.tls.connect(name, stream)).await {
            Ok(stream) => Ok(Box::new(stream)),
            Err(why) => Err(lost(match why.strip_prefix("invalid peer certificate: ") {
                Some(reason) => format!("its certificate is not good for {host}: {reason}"),
                None => why,
            })),
        }
    }

    fn hello_name(&self, tcp: &TcpStream) -> String {
        if let Some(name) = &self.hello {
            return name.clone();
        }
        match tcp.local_addr().map(|a| a.ip()) {
            Ok(IpAddr::V4(ip)) => format!("[{ip}]"),
            Ok(IpAddr::V6(ip)) => format!("[IPv6:{ip}]"),
            Err(_) => "[127.0.0.1]".into(),
        }
    }
}
