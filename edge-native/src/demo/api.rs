//! The calls that the demo makes, like any program.

use anyhow::{Context, Result, bail};
use bytes::Bytes;
use http::{Method, Request, header};
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::{Client, connect::HttpConnector};
use hyper_util::rt::TokioExecutor;
use serde_json::Value;

/// A client of the running application.
pub struct Api {
    client: Client<HttpConnector, Full<Bytes>>,
    key: Option<String>,
    cookie: Option<String>,
}

impl Api {
    /// A client that is not signed in.
    pub fn new() -> Self {
        Self {
            client: Client::builder(TokioExecutor::new()).build_http(),
            key: None,
            cookie: None,
        }
    }

    /// Shows this key from now on.
    pub fn with_key(&mut self, key: String) {
        self.key = Some(key);
    }

    /// Sends JSON and returns the status with the answer.
    pub async fn post(&mut self, url: &str, body: &Value) -> Result<(u16, Value)> {
        self.call(Method::POST, url, "application/json", body.to_string())
            .await
    }

    /// Sends JSON and returns the answer of a call that must succeed.
    pub async fn create(&mut self, url: &str, body: &Value) -> Result<Value> {
        match self.post(url, body).await? {
            (200..300, answer) => Ok(answer),
            (status, answer) => bail!("{url} answered {status}: {answer}"),
        }
    }

    /// Uploads a CSV file.
    pub async fn upload(&mut self, url: &str, csv: String) -> Result<Value> {
        match self.call(Method::POST, url, "text/csv", csv).await? {
            (202, answer) => Ok(answer),
            (status, answer) => bail!("{url} answered {status}: {answer}"),
        }
    }

    /// Reads JSON.
    pub async fn get(&mut self, url: &str) -> Result<Value> {
        Ok(self
            .call(Method::GET, url, "application/json", String::new())
            .await?
            .1)
    }

    async fn call(
        &mut self,
        method: Method,
        url: &str,
        media: &str,
        body: String,
    ) -> Result<(u16, Value)> {
        let mut request = Request::builder()
            .method(method)
            .uri(url)
            .header(header::CONTENT_TYPE, media);
        if let Some(key) = &self.key {
            request = request.header(header::AUTHORIZATION, format!("Bearer {key}"));
        } else if let Some(cookie) = &self.cookie {
            request = request.header(header::COOKIE, cookie);
        }
        let request = request.body(Full::new(Bytes::from(body)))?;
        let response = self
            .client
            .request(request)
            .await
            .with_context(|| format!("calling {url}"))?;
        let status = response.status().as_u16();
        if let Some(cookie) = response.headers().get(header::SET_COOKIE) {
            self.cookie = cookie.to_str()?.split(';').next().map(str::to_owned);
        }
        let body = response.into_body().collect().await?.to_bytes();
        Ok((status, serde_json::from_slice(&body).unwrap_or_default()))
    }
}
