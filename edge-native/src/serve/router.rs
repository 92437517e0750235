//! From a request to a component's answer, on one thread.

use super::Shared;
use super::body::{Bounded, drain};
use super::headers::RouteHeaders;
use super::problem::Problem;
use super::proxy::{self, Clock, Handler, RequestData};
use super::visitor::{Peer, settle};
use crate::config::route::Routes;
use crate::host::outbound_http::{Chain, Network};
use futures::future::BoxFuture;
use http::{HeaderValue, Request, Response};
use http_body::Body as _;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, PoisonError, Weak};
use std::time::{Duration, Instant};
use wasmtime::PoolConcurrencyLimitError;
use wasmtime_wasi_http::handler::{ExpirationError, InstantiationError};
use wasmtime_wasi_http::{Error, WasiBody};

/// How long a request waits for an instance when all are taken, and how often it looks.
const PATIENCE: Duration = Duration::from_secs(1);
const PAUSE: Duration = Duration::from_millis(20);

/// The handlers of one thread, found by route and by name.
pub struct Router {
    shared: Arc<Shared>,
    routes: Routes<Target>,
    by_name: BTreeMap<String, Handler>,
}

struct Target {
    handler: Handler,
    headers: RouteHeaders,
}

impl Router {
    /// What the threads share.
    pub fn shared(&self) -> &Shared {
        &self.shared
    }

    /// The handlers of a thread; nothing is instantiated before the first request.
    pub fn new(shared: &Arc<Shared>) -> wasmtime::Result<Arc<Self>> {
        let mut failed = None;
        let router = Arc::new_cyclic(|this: &Weak<Self>| {
            let chain: Weak<dyn Chain> = this.clone();
            let network = Network::new(chain);
            let mut by_name = BTreeMap::new();
            for name in &shared.app.http_components {
                match proxy::handler(shared, &shared.components[name], network.clone()) {
                    Ok(handler) => drop(by_name.insert(name.clone(), handler)),
                    Err(error) => failed = Some(error.context(format!("component `{name}`"))),
                }
            }
            let target = |(pattern, name): &(_, String)| {
                let handler = by_name.get(name)?.clone();
                let headers = RouteHeaders::new(pattern);
                Some((pattern.clone(), Target { handler, headers }))
            };
            let routes = Routes::new(shared.app.routes.iter().filter_map(target).collect());
            Self {
                shared: shared.clone(),
                routes,
                by_name,
            }
        });
        match failed {
            None => Ok(router),
            Some(error) => Err(error),
        }
    }

    /// Answers a request from outside.
    pub async fn answer(&self, mut request: Request<Incoming>, peer: &Peer) -> Response<WasiBody> {
        let visit = match settle(&mut request, peer, &self.shared.limits.trusted) {
            Ok(visit) => visit,
            Err(problem) => return problem.response(),
        };
        let edge = &self.shared.edge;
        let mut response = match edge.answer(&request, &visit) {
            Some(response) => response,
            None => self.route(request, &visit.client).await,
        };
        edge.sign(&visit, &mut response);
        response
    }

    /// Gives a request to the component that its path names.
    async fn route(
        &self,
        mut request: Request<Incoming>,
        client: &HeaderValue,
    ) -> Response<WasiBody> {
        let limits = &self.shared.limits;
        if head_size(&request) > limits.head {
            return Problem::HeadTooLarge(limits.head).response();
        }
        if request.body().size_hint().lower() > limits.body {
            drain(request.into_body());
            return Problem::BodyTooLarge(limits.body).response();
        }
        let path = request.uri().path().to_owned();
        let Some((_, target, found)) = self.routes.find(&path) else {
            return Problem::NoRoute.response();
        };
        let Some(_permit) = Permit::take(&self.shared) else {
            self.shared.metrics.refused.inc();
            return Problem::Busy.response();
        };
        let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        let params: Vec<_> = found.params.iter().map(owned).collect();
        target
            .headers
            .apply(&mut request, found.rest, &params, client);
        let exceeded = Arc::new(AtomicBool::new(false));
        let clock = (!request.body().is_end_stream()).then(Clock::start);
        let request = match &clock {
            None => request.map(|_| empty()),
            Some(clock) => request.map(|body| {
                Bounded::new(body, limits.body, clock.clone(), exceeded.clone()).boxed_unsync()
            }),
        };
        let result = self
            .call_instance(&target.handler, clock.clone(), request)
            .await;
        let coming = clock.is_some_and(|clock| clock.is_waiting());
        match result {
            _ if exceeded.load(Relaxed) => Problem::BodyTooLarge(limits.body).response(),
            Ok(response) => response,
            Err(Problem::Timeout) if coming => Problem::BodyTooSlow.response(),
            Err(problem) => problem.response(),
        }
    }

    /// Has an instance answer. While every instance that may be is taken, waits a little for one.
    async fn call_instance(
        &self,
        handler: &Handler,
        clock: Option<Arc<Clock>>,
        mut request: Request<WasiBody>,
    ) -> Result<Response<WasiBody>, Problem> {
        let started = Instant::now();
        let mut data = RequestData { clock };
        let result = loop {
            let error = match handler.handle(data, request).await {
                Ok(response) => break Ok(response),
                Err(error) => error,
            };
            let back = match error.downcast::<InstantiationError<RequestData>>() {
                Ok(back) => back,
                Err(error) => break Err(self.problem(handler, &error, started)),
            };
            if !back.error.is::<PoolConcurrencyLimitError>() {
                break Err(self.problem(handler, &back.error, started));
            }
            if started.elapsed() > PATIENCE {
                self.shared.metrics.refused.inc();
                break Err(Problem::Busy);
            }
            tokio::time::sleep(PAUSE).await;
            data = back.request_data;
            request = back
                .request
                .into_inner()
                .unwrap_or_else(PoisonError::into_inner);
        };
        let status = match &result {
            Ok(response) => response.status(),
            Err(problem) => problem.status(),
        };
        handler
            .state()
            .loaded()
            .metrics
            .answered(status, started.elapsed());
        result
    }

    fn problem(&self, handler: &Handler, error: &wasmtime::Error, started: Instant) -> Problem {
        let component = &handler.state().loaded().name;
        if error.is::<ExpirationError>() || started.elapsed() >= self.shared.limits.deadline {
            tracing::error!(component, "a request passed its deadline");
            return Problem::Timeout;
        }
        tracing::error!(component, "a request failed: {error:#}");
        Problem::ComponentFailed
    }
}

impl Chain for Router {
    fn call(
        self: Arc<Self>,
        component: &str,
        request: Request<WasiBody>,
    ) -> Option<BoxFuture<'static, Result<Response<WasiBody>, Error>>> {
        let handler = self.by_name.get(component)?.clone();
        Some(Box::pin(async move {
            let mut request = request;
            let path = request.uri().path().to_owned();
            let client = HeaderValue::from_static("127.0.0.1:0");
            RouteHeaders::internal().apply(&mut request, &path, &[], &client);
            let clock = (!request.body().is_end_stream()).then(Clock::start);
            let result = self.call_instance(&handler, clock, request).await;
            result.map_err(|problem| match problem {
                Problem::Timeout => Error::HttpResponseTimeout,
                Problem::Busy => Error::ConnectionLimitReached,
                _ => Error::InternalError(Some("the called component failed".to_owned())),
            })
        }))
    }
}

fn empty() -> WasiBody {
    http_body_util::Empty::new()
        .map_err(|never| match never {})
        .boxed_unsync()
}

fn head_size<B>(request: &Request<B>) -> usize {
    let fields = request.headers().iter();
    let fields: usize = fields
        .map(|(name, value)| name.as_str().len() + value.len() + 4)
        .sum();
    fields
        + request
            .uri()
            .path_and_query()
            .map_or(0, |path| path.as_str().len())
}

/// One of the requests being served; given back when dropped.
struct Permit<'s>(&'s Shared);

impl<'s> Permit<'s> {
    fn take(shared: &'s Shared) -> Option<Self> {
        let permit = Self(shared);
        let before = shared.in_flight.fetch_add(1, Relaxed);
        (before < shared.limits.requests).then_some(permit)
    }
}

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Relaxed);
    }
}
