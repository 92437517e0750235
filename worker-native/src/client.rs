//! The worker's side of the wire contract with its slave.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Method, Request, StatusCode, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::{TokioExecutor, TokioTimer},
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;
use tokio::time::timeout;
use worker_api::{
    Claim, Lease, Leases, Profile, Register, Registered, Report, Results, Task, UNAVAILABLE,
    Verdict, Verdicts,
};

use crate::outcome::tidy;

/// The largest answer that is read, in bytes.
const MAX_ANSWER: usize = 64 << 20;

/// How long an ordinary call may take.
pub const CALL: Duration = Duration::from_secs(15);

/// How long a claim may take: the slave may hold it until something is due.
const LONG_POLL: Duration = Duration::from_secs(75);

/// Why a call brought nothing.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// The token is not known there.
    #[error(
        "the slave does not accept the worker token ({0}): set SLUICE_WORKER_TOKEN to the token that the slave gave"
    )]
    Unauthorized(StatusCode),
    /// Any other status that is not a success.
    #[error("the slave answered {0}: {1}")]
    Status(StatusCode, String),
    /// No answer.
    #[error("the slave cannot be reached: {0}")]
    Unreachable(String),
    /// An answer that is not of the contract.
    #[error("the slave's answer was not understood: {0}")]
    Strange(String),
}

impl CallError {
    /// Whether the slave understood the call and will refuse it again in the same form.
    pub fn is_refusal(&self) -> bool {
        matches!(self, Self::Status(status, _) if status.is_client_error()
            && !matches!(status.as_u16(), 404 | 408 | 425 | 429))
    }

    /// Whether the slave does not know this worker (any more).
    pub fn is_unknown_worker(&self) -> bool {
        matches!(self, Self::Status(status, _) if matches!(status.as_u16(), 404 | 409 | 410))
    }
}

/// What a claim brought.
#[derive(Debug, Default)]
pub struct Claimed {
    /// What this worker can do.
    pub tasks: Vec<Task>,
    /// Leases of work that this version does not know, with the reason.
    pub unknown: Vec<(Lease, String)>,
}

/// The profiles of this worker.
#[derive(Debug, Default)]
pub struct Listing {
    /// Those that this version knows.
    pub profiles: Vec<Profile>,
    /// Some sub-accounts are missing that could not be looked into.
    pub partial: bool,
    /// Names this state of things; none for a partial one.
    pub tag: Option<String>,
}

/// A slave at an address.
pub struct Slave {
    http: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    base: String,
    /// The calls' path below it.
    calls: &'static str,
    authorization: HeaderValue,
}

impl Slave {
    /// A client for the slave at `base`, an absolute URL.
    ///
    /// # Errors
    /// When the token cannot be a header's value.
    pub fn new(base: &str, token: &str) -> anyhow::Result<Self> {
        let mut tcp = HttpConnector::new();
        tcp.set_nodelay(true);
        tcp.enforce_http(false);
        tcp.set_connect_timeout(Some(Duration::from_secs(5)));
        let https = HttpsConnectorBuilder::new()
            .with_provider_and_webpki_roots(tokio_rustls::rustls::crypto::ring::default_provider())?
            .https_or_http()
            .enable_http1()
            .wrap_connector(tcp);
        let http = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(Duration::from_secs(20))
            .build(https);
        let mut authorization = HeaderValue::from_str(&format!("Bearer {token}"))?;
        authorization.set_sensitive(true);
        Ok(Self {
            http,
            base: base.trim_end_matches('/').to_owned(),
            calls: "worker/v1",
            authorization,
        })
    }

    /// A client for the calls that the master has for nodes.
    ///
    /// # Errors
    /// When the token cannot be a header's value.
    pub fn master(base: &str, token: &str) -> anyhow::Result<Self> {
        Ok(Self {
            calls: "node/v1",
            ..Self::new(base, token)?
        })
    }

    /// Says who this is.
    ///
    /// # Errors
    /// See [`CallError`]; so with all calls.
    pub async fn register(&self, worker: &Register) -> Result<Registered, CallError> {
        self.post("register", worker, CALL).await
    }

    /// The profiles, or none when `tag` is still theirs.
    ///
    /// # Errors
    /// See [`CallError`].
    pub async fn profiles(&self, tag: Option<&str>) -> Result<Option<Listing>, CallError> {
        let mut request = self.request(Method::GET, "profiles");
        if let Some(tag) = tag {
            request = request.header(header::IF_NONE_MATCH, tag);
        }
        let (status, headers, body) = self.send(request, Bytes::new(), CALL).await?;
        if status == StatusCode::NOT_MODIFIED {
            return Ok(None);
        }
        let tag = headers
            .get(header::ETAG)
            .and_then(|t| t.to_str().ok())
            .map(str::to_owned);
        let answer = success(status, body)?;
        let mut profiles = Vec::new();
        for value in items(&answer, "profiles")? {
            // A type of a later version is not for this worker; the others are.
            match serde_json::from_value(value) {
                Ok(profile) => profiles.push(profile),
                Err(error) => {
                    tracing::warn!(%error, "left out a profile that this version does not know")
                }
            }
        }
        let partial = answer["partial"] == true;
        Ok(Some(Listing {
            profiles,
            partial,
            tag,
        }))
    }

    /// Asks for work.
    ///
    /// # Errors
    /// See [`CallError`].
    pub async fn claim(&self, claim: &Claim) -> Result<Claimed, CallError> {
        let answer: Value = self.post("claim", claim, LONG_POLL).await?;
        let mut claimed = Claimed::default();
        for value in items(&answer, "requests")? {
            match Task::deserialize_or_lease(value) {
                Ok(task) => claimed.tasks.push(task),
                Err(Some(unknown)) => claimed.unknown.push(unknown),
                Err(None) => tracing::warn!("left out a claimed request without a lease"),
            }
        }
        Ok(claimed)
    }

    /// Records that effects begin.
    ///
    /// # Errors
    /// See [`CallError`].
    pub async fn begin(
        &self,
        leases: &[Lease],
        limit: Duration,
    ) -> Result<Vec<Option<Verdict>>, CallError> {
        let verdicts: Verdicts = self
            .post(
                "begin",
                &Leases {
                    requests: leases.to_vec(),
                },
                limit,
            )
            .await?;
        Ok(in_order(leases.iter(), verdicts))
    }

    /// Keeps leases alive.
    ///
    /// # Errors
    /// See [`CallError`].
    pub async fn renew(&self, leases: &[Lease]) -> Result<Vec<Option<Verdict>>, CallError> {
        let verdicts: Verdicts = self
            .post(
                "renew",
                &Leases {
                    requests: leases.to_vec(),
                },
                CALL,
            )
            .await?;
        Ok(in_order(leases.iter(), verdicts))
    }

    /// Reports what became of requests.
    ///
    /// # Errors
    /// See [`CallError`].
    pub async fn results(&self, reports: &[Report]) -> Result<Vec<Option<Verdict>>, CallError> {
        let verdicts: Verdicts = self
            .post(
                "results",
                &Results {
                    results: reports.to_vec(),
                },
                CALL,
            )
            .await?;
        Ok(in_order(reports.iter().map(|r| &r.lease), verdicts))
    }

    fn request(&self, method: Method, call: &str) -> http::request::Builder {
        Request::builder()
            .method(method)
            .uri(format!("{}/{}/{call}", self.base, self.calls))
            .header(header::AUTHORIZATION, &self.authorization)
            .header(
                header::USER_AGENT,
                concat!("sluice-worker/", env!("CARGO_PKG_VERSION")),
            )
            .header(header::ACCEPT, "application/json")
    }

    /// Calls a master at this address: `POST /node/v1/{call}`.
    ///
    /// # Errors
    /// See [`CallError`].
    pub async fn node(&self, call: &str, body: &Value) -> Result<Value, CallError> {
        let body = serde_json::to_vec(body).map_err(|e| CallError::Strange(e.to_string()))?;
        let mut request = Request::post(format!("{}/node/v1/{call}", self.base))
            .header(header::CONTENT_TYPE, "application/json");
        if self.authorization != "Bearer " {
            request = request.header(header::AUTHORIZATION, self.authorization.clone());
        }
        let (status, _, body) = self.send(request, body.into(), CALL).await?;
        if status == StatusCode::UNAUTHORIZED {
            let said = problem(serde_json::from_slice(&body).ok(), &body);
            return Err(CallError::Status(status, said));
        }
        success(status, body)
    }

    /// Any call with its JSON.
    ///
    /// # Errors
    /// See [`CallError`].
    pub async fn post<A: DeserializeOwned>(
        &self,
        call: &str,
        body: &impl Serialize,
        limit: Duration,
    ) -> Result<A, CallError> {
        let body = serde_json::to_vec(body).map_err(|e| CallError::Strange(e.to_string()))?;
        let request = self
            .request(Method::POST, call)
            .header(header::CONTENT_TYPE, "application/json");
        let (status, _, body) = self.send(request, body.into(), limit).await?;
        let body = success(status, body)?;
        serde_json::from_value(body).map_err(|e| CallError::Strange(e.to_string()))
    }

    async fn send(
        &self,
        request: http::request::Builder,
        body: Bytes,
        limit: Duration,
    ) -> Result<(StatusCode, http::HeaderMap, Bytes), CallError> {
        let request = request
            .body(Full::new(body))
            .map_err(|e| CallError::Strange(e.to_string()))?;
        let exchange = async {
            let response = self
                .http
                .request(request)
                .await
                .map_err(|e| CallError::Unreachable(chain(&e)))?;
            let (head, body) = response.into_parts();
            let body = Limited::new(body, MAX_ANSWER).collect().await;
            let body = body
                .map_err(|e| CallError::Unreachable(e.to_string()))?
                .to_bytes();
            Ok((head.status, head.headers, body))
        };
        match timeout(limit, exchange).await {
            Ok(result) => result,
            Err(_) => Err(CallError::Unreachable(format!(
                "no answer within {} s",
                limit.as_secs()
            ))),
        }
    }
}

/// A task, or at least its lease.
trait DeserializeOrLease: Sized {
    fn deserialize_or_lease(value: Value) -> Result<Self, Option<(Lease, String)>>;
}

impl DeserializeOrLease for Task {
    fn deserialize_or_lease(value: Value) -> Result<Self, Option<(Lease, String)>> {
        let error = match serde_json::from_value(value.clone()) {
            Ok(task) => return Ok(task),
            Err(error) => error.to_string(),
        };
        Err(serde_json::from_value(value)
            .ok()
            .map(|lease| (lease, error)))
    }
}

fn success(status: StatusCode, body: Bytes) -> Result<Value, CallError> {
    if matches!(status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) {
        return Err(CallError::Unauthorized(status));
    }
    let value = serde_json::from_slice(&body);
    if !status.is_success() {
        return Err(CallError::Status(status, problem(value.ok(), &body)));
    }
    value.map_err(|e| CallError::Strange(e.to_string()))
}

/// The words of an RFC 9457 problem, or of whatever came instead.
fn problem(value: Option<Value>, body: &Bytes) -> String {
    let field = |name: &str| value.as_ref()?.get(name)?.as_str().map(str::to_owned);
    let text = field("detail").or_else(|| field("title"));
    tidy(
        &text.unwrap_or_else(|| String::from_utf8_lossy(&body[..body.len().min(300)]).into_owned()),
    )
}

fn items(answer: &Value, name: &str) -> Result<Vec<Value>, CallError> {
    match answer.get(name) {
        Some(Value::Array(items)) => Ok(items.clone()),
        _ => Err(CallError::Strange(format!("it has no list {name:?}"))),
    }
}

/// Each lease's verdict: by place, and only if it names the same request and is one.
fn in_order<'a>(
    leases: impl Iterator<Item = &'a Lease>,
    verdicts: Verdicts,
) -> Vec<Option<Verdict>> {
    let mut verdicts = verdicts.verdicts.into_iter();
    leases
        .map(|lease| {
            verdicts
                .next()
                .filter(|v| v.id == lease.id && v.subaccount == lease.subaccount)
                .filter(|v| v.accepted || v.reason.as_deref() != Some(UNAVAILABLE))
        })
        .collect()
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(inner) = source {
        text = format!("{text}: {inner}");
        source = inner.source();
    }
    tidy(&text)
}
