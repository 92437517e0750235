//! The names that the application answers for: `GET /node/v1/domains` on the slave.

use super::plan::is_provable;
use anyhow::{Context, Result, bail};
use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt, Empty, Limited};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde::Deserialize;
use std::time::Duration;

/// The longest answer that is read, in bytes, and the longest wait for it.
const LONGEST: usize = 4 << 20;
const PATIENCE: Duration = Duration::from_secs(10);
/// Most names that are taken from the application.
const MOST: usize = 10_000;

/// Asks the application.
pub struct Domains {
    client: Client<HttpConnector, Empty<Bytes>>,
    url: String,
    bearer: String,
}

#[derive(Deserialize)]
struct Page {
    items: Vec<Item>,
    #[serde(default)]
    next: Option<String>,
}

#[derive(Deserialize)]
struct Item {
    name: String,
}

impl Domains {
    /// Asks the slave at `url`, showing it `bearer`.
    pub fn new(url: &str, bearer: String) -> Self {
        Self {
            client: Client::builder(TokioExecutor::new()).build_http(),
            url: format!("{}/node/v1/domains", url.trim_end_matches('/')),
            bearer,
        }
    }

    /// All names that an authority would give a certificate for.
    pub async fn names(&self) -> Result<Vec<String>> {
        let (mut names, mut after) = (Vec::new(), None);
        loop {
            let page = tokio::time::timeout(PATIENCE, self.page(after.as_deref()));
            let page: Page = page.await.context("the slave does not answer")??;
            let found = page.items.into_iter();
            let found = found.map(|item| item.name.trim_end_matches('.').to_ascii_lowercase());
            names.extend(found.filter(|name| is_provable(name)));
            match page.next {
                Some(next) if names.len() < MOST && after.as_ref() != Some(&next) => {
                    after = Some(next);
                }
                _ => break,
            }
        }
        Ok(names)
    }

    async fn page(&self, after: Option<&str>) -> Result<Page> {
        let url = match after {
            None => self.url.clone(),
            Some(after) => {
                let query = url::form_urlencoded::Serializer::new(String::new())
                    .append_pair("after", after)
                    .finish();
                format!("{}?{query}", self.url)
            }
        };
        let request = Request::get(url)
            .header("accept", "application/json")
            .header("authorization", format!("Bearer {}", self.bearer))
            .body(Empty::new())?;
        let answer = self.client.request(request).await?;
        let status = answer.status();
        if !status.is_success() {
            bail!("the slave answered {status}");
        }
        let body = Limited::new(answer.into_body(), LONGEST).collect().await;
        let body = body.map_err(|error| anyhow::anyhow!("{error}"))?.to_bytes();
        serde_json::from_slice(&body).context("the slave's answer is not a list of names")
    }
}
