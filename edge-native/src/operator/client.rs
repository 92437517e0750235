//! A small HTTP client for commands: one call after the other, JSON both ways, and files as they are.

use anyhow::{Context, Result, bail};
use bytes::Bytes;
use http::{Request, Response};
use http_body::Frame;
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full, Limited, StreamBody};
use hyper::body::Incoming;
use hyper_rustls::HttpsConnector;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::Value;
use std::fs::File;
use std::io::{self, Read, Write};
use std::time::Duration;

type Body = BoxBody<Bytes, io::Error>;
type Http = hyper_util::client::legacy::Client<HttpsConnector<HttpConnector>, Body>;

/// The longest answer that is read, in bytes.
const ANSWER_MAX: usize = 64 << 20;
/// How long an answer may take, or the next bytes of a file.
const PATIENCE: Duration = Duration::from_secs(60);
/// Bytes of a file that are read at once.
const PIECE: usize = 256 << 10;

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
        let (media, body) = match body {
            Some(body) => (Some("application/json"), Bytes::from(body.to_string())),
            None => (None, Bytes::new()),
        };
        let body = Full::new(body).map_err(|never| match never {}).boxed();
        let request = self.request(method, path, media, body)?;
        self.runtime.block_on(async {
            let exchange = async { json(self.send(request).await?).await };
            tokio::time::timeout(PATIENCE, exchange)
                .await
                .with_context(|| format!("{} does not answer", self.base))?
        })
    }

    /// Makes a call that is to succeed; the answer's body.
    pub fn demand(&self, method: &str, path: &str, body: Option<&Value>) -> Result<Value> {
        let (status, answer) = self.call(method, path, body)?;
        if !(200..300).contains(&status) {
            bail!("{} answered {status}: {}", self.base, reason(&answer));
        }
        Ok(answer)
    }

    /// Writes what is at a path to `out`, or gives the problem in its place.
    pub fn download(&self, path: &str, out: &mut dyn Write) -> Result<(u16, Value)> {
        let body = Full::default().map_err(|never| match never {}).boxed();
        let request = self.request("GET", path, None, body)?;
        self.runtime.block_on(async {
            let silent = || format!("{} does not answer", self.base);
            let sent = tokio::time::timeout(PATIENCE, self.send(request));
            let answer = sent.await.with_context(silent)??;
            if answer.status() != 200 {
                return json(answer).await;
            }
            let mut body = answer.into_body();
            while let Some(frame) = tokio::time::timeout(PATIENCE, body.frame())
                .await
                .with_context(silent)?
            {
                if let Ok(data) = frame?.into_data() {
                    out.write_all(&data)?;
                }
            }
            Ok((200, Value::Null))
        })
    }

    /// Puts a file at a path, however large it is; status and body of the answer.
    pub fn upload(&self, path: &str, media: &str, file: File) -> Result<(u16, Value)> {
        let pieces = futures::stream::iter(Pieces(file));
        let body = BodyExt::boxed(StreamBody::new(pieces));
        let request = self.request("PUT", path, Some(media), body)?;
        self.runtime
            .block_on(async { json(self.send(request).await?).await })
    }

    fn request(
        &self,
        method: &str,
        path: &str,
        media: Option<&str>,
        body: Body,
    ) -> Result<Request<Body>> {
        let mut request = Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.base))
            .header("accept", "application/json");
        if let Some(bearer) = &self.bearer {
            request = request.header("authorization", format!("Bearer {bearer}"));
        }
        if let Some(media) = media {
            request = request.header("content-type", media);
        }
        Ok(request.body(body)?)
    }

    async fn send(&self, request: Request<Body>) -> Result<Response<Incoming>> {
        let sent = self.http.request(request).await;
        sent.with_context(|| format!("{} cannot be reached", self.base))
    }
}

/// What a problem says, for people.
pub fn reason(problem: &Value) -> &str {
    let text = problem["detail"].as_str().or(problem["title"].as_str());
    text.unwrap_or("no reason given")
}

async fn json(answer: Response<Incoming>) -> Result<(u16, Value)> {
    let status = answer.status().as_u16();
    let body = Limited::new(answer.into_body(), ANSWER_MAX).collect().await;
    let body = body.map_err(|e| anyhow::anyhow!("{e}"))?.to_bytes();
    Ok((status, serde_json::from_slice(&body).unwrap_or_default()))
}

/// A file, piece by piece.
struct Pieces(File);

impl Iterator for Pieces {
    type Item = io::Result<Frame<Bytes>>;

    fn next(&mut self) -> Option<Self::Item> {
        let mut piece = vec![0; PIECE];
        match self.0.read(&mut piece) {
            Ok(0) => None,
            Ok(n) => {
                piece.truncate(n);
                Some(Ok(Frame::data(piece.into())))
            }
            Err(e) => Some(Err(e)),
        }
    }
}
