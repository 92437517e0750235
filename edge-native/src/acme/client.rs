//! HTTPS to the authority.

use crate::tls::provider;
use anyhow::{Context, Result};
use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt, Full, Limited};
use hyper_rustls::HttpsConnector;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use instant_acme::{BodyWrapper, BytesResponse, Error, HttpClient};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use std::pin::Pin;
use std::time::Duration;
use tokio_rustls::rustls;

/// An authority answers within this time, and in so few bytes.
const PATIENCE: Duration = Duration::from_secs(30);
const LONGEST: usize = 1 << 20;

/// A client that trusts the usual authorities and some more.
pub struct Http(Client<HttpsConnector<HttpConnector>, Full<Bytes>>);

impl Http {
    /// Trusts `roots` (PEM) as well.
    pub fn new(roots: &[u8]) -> Result<Self> {
        let mut store = rustls::RootCertStore::empty();
        store.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
        for root in CertificateDer::pem_slice_iter(roots) {
            store.add(root.context("the root certificate is not in PEM")?)?;
        }
        let config = rustls::ClientConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()?
            .with_root_certificates(store)
            .with_no_client_auth();
        let connector = hyper_rustls::HttpsConnectorBuilder::new()
            .with_tls_config(config)
            .https_only()
            .enable_http1()
            .build();
        Ok(Self(Client::builder(TokioExecutor::new()).build(connector)))
    }
}

impl HttpClient for Http {
    fn request(
        &self,
        request: Request<BodyWrapper<Bytes>>,
    ) -> Pin<Box<dyn Future<Output = Result<BytesResponse, Error>> + Send>> {
        let client = self.0.clone();
        let other = |error: Box<dyn std::error::Error + Send + Sync>| Error::Other(error);
        Box::pin(async move {
            let exchange = async {
                let (parts, body) = request.into_parts();
                let Ok(body) = body.collect().await;
                let request = Request::from_parts(parts, Full::new(body.to_bytes()));
                let answer = client.request(request).await;
                let answer = answer.map_err(|error| {
                    // With its causes.
                    Error::Other(format!("{:#}", anyhow::Error::from(error)).into())
                })?;
                let (parts, body) = answer.into_parts();
                let body = Limited::new(body, LONGEST).collect().await.map_err(other)?;
                let body = Full::new(body.to_bytes());
                Ok(BytesResponse::from(http::Response::from_parts(parts, body)))
            };
            match tokio::time::timeout(PATIENCE, exchange).await {
                Ok(answer) => answer,
                Err(_) => Err(Error::Other("the authority does not answer".into())),
            }
        })
    }
}
