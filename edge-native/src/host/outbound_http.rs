//! `wasi:http` as a client, 0.2 and 0.3: limited to `allowed_outbound_hosts`, never to a private
//! address unless a pattern names it; `NAME.spin.internal` goes straight to that component.

use super::{Grants, InstanceState};
use crate::config::outbound::{Verdict, is_private, verdict};
use futures::future::BoxFuture;
use http_body_util::BodyExt;
use hyper_rustls::HttpsConnector;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::{Client, Error as ClientError};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use std::error::Error as _;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Weak};
use std::task::{Context, Poll};
use std::time::Duration;
use wasmtime::component::Linker;
use wasmtime_wasi_http::{
    Error, RequestOptions, WasiBody, WasiHttpCtxView, WasiHttpHooks, WasiHttpView, p2, p3,
};

/// The suffix of hosts that are components of this application.
const INTERNAL: &str = ".spin.internal";
/// The longest wait for a connection, and for the head of an answer.
const CONNECT: Duration = Duration::from_secs(10);
const FIRST_BYTE: Duration = Duration::from_secs(60);

/// Adds the capability.
pub fn link(linker: &mut Linker<InstanceState>) -> wasmtime::Result<()> {
    wasmtime_wasi_http::p2::add_only_http_to_linker_async(linker)?;
    wasmtime_wasi_http::p3::add_to_linker(linker)
}

/// Calls a component of the application by name.
pub trait Chain: Send + Sync {
    /// `None` when no component of that name answers HTTP.
    fn call(
        self: Arc<Self>,
        component: &str,
        request: http::Request<WasiBody>,
    ) -> Option<BoxFuture<'static, Result<http::Response<WasiBody>, Error>>>;
}

type PooledClient = Client<HttpsConnector<HttpConnector<Resolver>>, WasiBody>;

/// The ways out of one thread: clients with their connections, and the thread's own components.
#[derive(Clone)]
pub struct Network {
    public: PooledClient,
    any: PooledClient,
    chain: Weak<dyn Chain>,
}

impl Network {
    /// A network whose internal hosts are the components of `chain`.
    pub fn new(chain: Weak<dyn Chain>) -> Self {
        Self {
            public: client(true),
            any: client(false),
            chain,
        }
    }
}

/// What one instance needs to send requests.
pub struct Outbound {
    grants: Arc<Grants>,
    network: Network,
}

impl Outbound {
    /// The outbound state of an instance.
    pub fn new(grants: Arc<Grants>, network: Network) -> Self {
        Self { grants, network }
    }

    fn route(&self, request: http::Request<WasiBody>, options: RequestOptions) -> Sending {
        let uri = request.uri();
        let scheme = uri.scheme_str().unwrap_or("https");
        let host = uri
            .host()
            .unwrap_or_default()
            .trim_matches(['[', ']'])
            .to_ascii_lowercase();
        let port = uri
            .port_u16()
            .unwrap_or(if scheme == "https" { 443 } else { 80 });
        let said = verdict(&self.grants.config.outbound, scheme, &host, port);
        let literal = host.parse::<IpAddr>().ok();
        if said == Verdict::Denied {
            let component = &self.grants.config.name;
            tracing::warn!(component, %scheme, host, port, "a request to a host not allowed");
            return Box::pin(async { Err(Error::HttpRequestDenied) });
        }
        if let Some(name) = host.strip_suffix(INTERNAL) {
            let chain = self.network.chain.upgrade();
            return match chain.and_then(|chain| chain.call(name, request)) {
                Some(answer) => answer,
                None => Box::pin(async { Err(Error::DestinationNotFound) }),
            };
        }
        if said == Verdict::PublicOnly && literal.is_some_and(is_private) {
            return Box::pin(async { Err(Error::DestinationIpProhibited) });
        }
        let client = match said {
            Verdict::Named => self.network.any.clone(),
            _ => self.network.public.clone(),
        };
        Box::pin(send(client, request, options))
    }
}

type Sending = BoxFuture<'static, Result<http::Response<WasiBody>, Error>>;

async fn send(
    client: PooledClient,
    request: http::Request<WasiBody>,
    options: RequestOptions,
) -> Result<http::Response<WasiBody>, Error> {
    let wait = options.first_byte_timeout.unwrap_or(FIRST_BYTE)
        + options.connect_timeout.unwrap_or(CONNECT);
    let response = tokio::time::timeout(wait, client.request(request))
        .await
        .map_err(|_| Error::ConnectionReadTimeout)?
        .map_err(|error| describe(&error))?;
    Ok(response.map(|body| body.map_err(Error::from).boxed_unsync()))
}

fn describe(error: &ClientError) -> Error {
    let mut source = error.source();
    while let Some(inner) = source {
        if inner.is::<Forbidden>() {
            return Error::DestinationIpProhibited;
        }
        if inner.is::<Unresolved>() {
            return Error::DnsError {
                rcode: None,
                info_code: None,
            };
        }
        if let Some(io) = inner.downcast_ref::<std::io::Error>() {
            return match io.kind() {
                std::io::ErrorKind::ConnectionRefused => Error::ConnectionRefused,
                std::io::ErrorKind::TimedOut => Error::ConnectionTimeout,
                _ if error.is_connect() => Error::DestinationUnavailable,
                _ => Error::ConnectionTerminated,
            };
        }
        source = inner.source();
    }
    Error::InternalError(Some(error.to_string()))
}

fn client(public_only: bool) -> PooledClient {
    let mut connector = HttpConnector::new_with_resolver(Resolver { public_only });
    connector.enforce_http(false);
    connector.set_nodelay(true);
    connector.set_connect_timeout(Some(CONNECT));
    let connector = hyper_rustls::HttpsConnectorBuilder::new()
        .with_webpki_roots()
        .https_or_http()
        .enable_http1()
        .wrap_connector(connector);
    Client::builder(TokioExecutor::new())
        .pool_timer(TokioTimer::new())
        .pool_idle_timeout(Duration::from_secs(30))
        .build(connector)
}

/// Resolves names and, for requests that only a wildcard allows, drops private addresses, so that
/// no name leads a guest into the machine's own networks.
#[derive(Clone)]
struct Resolver {
    public_only: bool,
}

#[derive(Debug, thiserror::Error)]
#[error("the name leads to private addresses only")]
struct Forbidden;

#[derive(Debug, thiserror::Error)]
#[error("the name does not resolve: {0}")]
struct Unresolved(String);

type BoxError = Box<dyn std::error::Error + Send + Sync>;

impl tower_service::Service<hyper_util::client::legacy::connect::dns::Name> for Resolver {
    type Response = std::vec::IntoIter<SocketAddr>;
    type Error = BoxError;
    type Future = BoxFuture<'static, Result<Self::Response, BoxError>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, name: hyper_util::client::legacy::connect::dns::Name) -> Self::Future {
        let public_only = self.public_only;
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await;
            let found = found.map_err(|error| Unresolved(error.to_string()))?;
            let usable = |address: &SocketAddr| !(public_only && is_private(address.ip()));
            let addresses: Vec<_> = found.filter(usable).collect();
            if addresses.is_empty() {
                Err(Forbidden.into())
            } else {
                Ok(addresses.into_iter())
            }
        })
    }
}

type IoResult = Box<dyn Future<Output = Result<(), Error>> + Send>;

impl WasiHttpHooks for Outbound {
    fn p2_error_from_hyper(
        &mut self,
        error: &hyper::Error,
    ) -> p2::bindings::http::types::ErrorCode {
        tracing::debug!(%error, "a body broke off");
        p2::bindings::http::types::ErrorCode::HttpProtocolError
    }

    fn p3_error_from_hyper(
        &mut self,
        error: &hyper::Error,
    ) -> p3::bindings::http::types::ErrorCode {
        tracing::debug!(%error, "a body broke off");
        p3::bindings::http::types::ErrorCode::HttpProtocolError
    }

    fn send_request(
        &mut self,
        request: http::Request<WasiBody>,
        options: Option<RequestOptions>,
        _processed: IoResult,
    ) -> Box<dyn Future<Output = Result<(http::Response<WasiBody>, IoResult), Error>> + Send> {
        let sending = self.route(request, options.unwrap_or_default());
        Box::new(async move {
            let done: IoResult = Box::new(async { Ok(()) });
            Ok((sending.await?, done))
        })
    }
}

impl WasiHttpView for InstanceState {
    fn http(&mut self) -> WasiHttpCtxView<'_> {
        WasiHttpCtxView {
            hooks: &mut self.outbound,
            table: &mut self.table,
            ctx: &mut self.http,
        }
    }
}
