//! A small HTTP client for commands: one call after the other, JSON both ways.

use anyhow::{Context, Result, bail};
use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper_rustls::HttpsConnector;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::Value;
use std::time::Duration;

type Http = hyper_util::client::legacy::Client<HttpsConnector<HttpConnector>, Full<Bytes>>;

/// The longest answer that is read, in bytes.
const ANSWER_MAX: usize = 64 << 20;
const PATIENCE: Duration = Duration::from_secs(60);

/// A node at an address.
pub struct Client {
    http: Http,
    base: String,
    bearer: Option<String>,
    runtime: tokio::runtime::Runtime,
}

impl Client {
    /// The node at `base`, shown `bearer`.
    pub fn new(base: &str, bearer: Option<&str>) -> Result<Self> {
        let url = url::Url::parse(base).with_context(|| format!("{base:?} is no address"))?;
        if !matches!(url.scheme(), "http" | "https") {
            bail!("{base:?} is no http:// or https:// address");
        }
        let connector = hyper_rustls::HttpsConnectorBuilder::new()
            .with_webpki_roots()
            .https_or_http()
            .enable_http1()
            .build();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        Ok(Self {
            http: hyper_util::client::legacy::Client::builder(TokioExecutor::new())
                .build(connector),
            base: base.trim_end_matches('/').to_owned(),
            bearer: bearer.map(str::to_owned),
            runtime,
        })
    }

    /// Makes a call; status and body, `null` where it is not JSON.
    pub fn call(&self, method: &str, path: &str, body: Option<&Value>) -> Result<(u16, Value)> {
        let mut request = http::Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.base))
            .header("accept", "application/json");
        if let Some(bearer) = &self.bearer {
            request = request.header("authorization", format!("Bearer {bearer}"));
        }
        let body = match body {
            Some(body) => {
                request = request.header("content-type", "application/json");
                Bytes::from(body.to_string())
            }
            None => Bytes::new(),
        };
        let request = request.body(Full::new(body))?;
        let exchange = async {
            let answer = self.http.request(request).await?;
            let status = answer.status().as_u16();
            let body = Limited::new(answer.into_body(), ANSWER_MAX).collect().await;
            let body = body.map_err(|e| anyhow::anyhow!("{e}"))?.to_bytes();
            anyhow::Ok((status, serde_json::from_slice(&body).unwrap_or_default()))
        };
        let answer = self
            .runtime
            .block_on(async { tokio::time::timeout(PATIENCE, exchange).await });
        answer
            .with_context(|| format!("{} does not answer", self.base))?
            .with_context(|| format!("{} cannot be reached", self.base))
    }
}
