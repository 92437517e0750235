//! A slave that keeps its requests in memory and fences them as the contract says.

use std::{
    collections::{BTreeMap, BTreeSet},
    convert::Infallible,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard},
    time::{Duration, Instant},
};

use bytes::Bytes;
use http::{Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Full};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use worker_api::*;

pub const TOKEN: &str = "worker-token";
pub const SUBACCOUNT: &str = "0198a7c0-0000-7000-8000-000000000001";

#[derive(Debug, Clone, PartialEq)]
pub enum Status {
    Pending,
    Leased(Instant),
    Begun(Instant),
    Ended(Outcome),
}

#[derive(Debug, Clone)]
pub struct Kept {
    pub status: Status,
    pub attempt: u32,
    pub token: String,
    pub message: Message,
    pub profile: i64,
    pub renewals: u32,
}

pub struct State {
    pub requests: BTreeMap<i64, Kept>,
    pub profiles: Vec<Profile>,
    pub tag: u32,
    pub lease_ms: u64,
    pub poll_ms: i64,
    /// Every call gets this status.
    pub broken: Option<StatusCode>,
    /// Requests of a sub-account that cannot be looked into: no step of theirs gets a verdict.
    pub unavailable: BTreeSet<i64>,
    /// The sub-account of the profiles cannot be looked into.
    pub partial: bool,
    /// Begins are refused.
    pub refuse_begins: bool,
    /// An older slave that does not know of busy profiles.
    pub ignores_busy: bool,
    /// A retry goes back to pending instead of ending.
    pub repeat_retries: bool,
    /// Kinds of calls with how often they came.
    pub calls: BTreeMap<String, u32>,
    pub not_modified: u32,
}

#[derive(Clone)]
pub struct Slave {
    pub address: SocketAddr,
    state: Arc<Mutex<State>>,
}

impl Slave {
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let state = State {
            requests: BTreeMap::new(),
            profiles: vec![],
            tag: 1,
            lease_ms: 60_000,
            poll_ms: 20,
            broken: None,
            unavailable: BTreeSet::new(),
            partial: false,
            refuse_begins: false,
            ignores_busy: false,
            repeat_retries: false,
            calls: BTreeMap::new(),
            not_modified: 0,
        };
        let slave = Self {
            address,
            state: Arc::new(Mutex::new(state)),
        };
        let server = slave.clone();
        tokio::spawn(async move {
            while let Ok((tcp, _)) = listener.accept().await {
                let _ = tcp.set_nodelay(true);
                let server = server.clone();
                tokio::spawn(async move {
                    let service = service_fn(|request| server.serve(request));
                    let _ = http1::Builder::new()
                        .serve_connection(TokioIo::new(tcp), service)
                        .await;
                });
            }
        });
        slave
    }

    pub fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    pub fn profile(&self, id: i64, settings: SmtpSettings) {
        let mut state = self.state();
        let kind = ProfileKind::Smtp(settings);
        let quotas = Quotas::default();
        state.profiles.push(Profile {
            subaccount: SUBACCOUNT.into(),
            id,
            name: "Ann".into(),
            kind,
            quotas,
        });
        state.tag += 1;
    }

    /// A profile that sends to a server on this machine.
    pub fn profile_at(&self, id: i64, server: SocketAddr) {
        let host = server.ip().to_string();
        let from = "Ann <ann@agency.test>".into();
        self.profile(
            id,
            SmtpSettings {
                host,
                port: server.port(),
                tls: Tls::None,
                username: None,
                password: None,
                from,
            },
        );
    }

    pub fn request(&self, id: i64, profile: i64) {
        self.request_with(id, profile, |_| {});
    }

    pub fn request_with(&self, id: i64, profile: i64, change: impl FnOnce(&mut Message)) {
        let mut message = Message {
            message_id: format!("{id}@sluice.test"),
            date: 1_700_000_000_000,
            to: format!("lead{id}@example.test"),
            to_name: None,
            subject: format!("Mail {id}"),
            text: "Hello\n.\nHello\n".into(),
            html: None,
            headers: vec![(
                "List-Unsubscribe".into(),
                "<https://sluice.test/u/1>".into(),
            )],
        };
        change(&mut message);
        let kept = Kept {
            status: Status::Pending,
            attempt: 0,
            token: String::new(),
            message,
            profile,
            renewals: 0,
        };
        self.state().requests.insert(id, kept);
    }

    pub fn ended(&self, id: i64) -> Option<Outcome> {
        match &self.state().requests[&id].status {
            Status::Ended(outcome) => Some(outcome.clone()),
            _ => None,
        }
    }

    pub fn all_ended(&self) -> bool {
        self.state()
            .requests
            .values()
            .all(|r| matches!(r.status, Status::Ended(_)))
    }

    pub async fn outcome(&self, id: i64) -> Outcome {
        crate::until(&format!("request {id} has ended"), || {
            self.ended(id).is_some()
        })
        .await;
        self.ended(id).unwrap()
    }

    async fn serve(&self, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
        let (head, body) = request.into_parts();
        let body = body
            .collect()
            .await
            .map(|b| b.to_bytes())
            .unwrap_or_default();
        let (status, tag, answer) = self.answer(&head, &body);
        let mut response = Response::builder()
            .status(status)
            .header(header::CONTENT_TYPE, "application/json");
        if let Some(tag) = tag {
            response = response.header(header::ETAG, tag);
        }
        Ok(response.body(Full::new(answer.to_string().into())).unwrap())
    }

    fn answer(
        &self,
        head: &http::request::Parts,
        body: &Bytes,
    ) -> (StatusCode, Option<String>, Value) {
        let mut state = self.state();
        let call = head
            .uri
            .path()
            .strip_prefix("/worker/v1/")
            .unwrap_or("?")
            .to_owned();
        *state.calls.entry(call.clone()).or_default() += 1;
        if let Some(status) = state.broken {
            return (status, None, json!({ "title": "out of order" }));
        }
        let authorization = head
            .headers
            .get(header::AUTHORIZATION)
            .and_then(|v| v.to_str().ok());
        if authorization != Some(&format!("Bearer {TOKEN}")) {
            return (
                StatusCode::UNAUTHORIZED,
                None,
                json!({ "title": "no such token" }),
            );
        }
        let leases = || serde_json::from_slice::<Leases>(body).unwrap().requests;
        let answer = match call.as_str() {
            "register" => {
                let _: Register = serde_json::from_slice(body).unwrap();
                json!(Registered {
                    lease_ms: state.lease_ms as i64,
                    poll_ms: state.poll_ms,
                    now: 0
                })
            }
            "profiles" => {
                if state.partial {
                    let none = Profiles {
                        profiles: vec![],
                        partial: true,
                    };
                    return (StatusCode::OK, None, json!(none));
                }
                let tag = format!("\"{}\"", state.tag);
                if head
                    .headers
                    .get(header::IF_NONE_MATCH)
                    .is_some_and(|t| t == tag.as_str())
                {
                    state.not_modified += 1;
                    return (StatusCode::NOT_MODIFIED, Some(tag), Value::Null);
                }
                return (
                    StatusCode::OK,
                    Some(tag),
                    json!(Profiles {
                        profiles: state.profiles.clone(),
                        partial: false,
                    }),
                );
            }
            "claim" => json!(state.claim(&serde_json::from_slice::<Claim>(body).unwrap())),
            "begin" => json!(Verdicts {
                verdicts: leases().iter().map(|l| state.begin(l)).collect()
            }),
            "renew" => json!(Verdicts {
                verdicts: leases().iter().map(|l| state.renew(l)).collect()
            }),
            "results" => {
                let results = serde_json::from_slice::<Results>(body).unwrap().results;
                json!(Verdicts {
                    verdicts: results.into_iter().map(|r| state.result(r)).collect()
                })
            }
            _ => return (StatusCode::NOT_FOUND, None, Value::Null),
        };
        (StatusCode::OK, None, answer)
    }
}

impl State {
    fn claim(&mut self, claim: &Claim) -> Claimed {
        let heeds = !self.ignores_busy;
        let now = Instant::now();
        let until = now + Duration::from_millis(self.lease_ms);
        let mut claimed = Claimed::default();
        for (&id, kept) in &mut self.requests {
            match kept.status {
                Status::Leased(end) if end < now => kept.status = Status::Pending,
                // Whether it was sent is not known here; the worker's journal may still say.
                Status::Begun(end) if end < now => {
                    kept.status = Status::Ended(Outcome::Uncertain {
                        error: "the lease ran out".into(),
                    });
                }
                _ => {}
            }
            if kept.status == Status::Pending
                && claimed.requests.len() < claim.max as usize
                && !(heeds && claim.busy.iter().any(|b| b.profile_id == kept.profile))
            {
                kept.attempt += 1;
                kept.token = format!("{id}-{}", kept.attempt);
                kept.status = Status::Leased(until);
                claimed.requests.push(Task {
                    lease: Lease {
                        subaccount: SUBACCOUNT.into(),
                        id,
                        lease_token: kept.token.clone(),
                    },
                    profile_id: kept.profile,
                    attempt: kept.attempt,
                    lease_until: 0,
                    work: Work::Outreach {
                        message: kept.message.clone(),
                    },
                });
            }
        }
        claimed
    }

    fn current(&mut self, lease: &Lease) -> Option<&mut Kept> {
        self.requests
            .get_mut(&lease.id)
            .filter(|kept| kept.token == lease.lease_token)
    }

    fn begin(&mut self, lease: &Lease) -> Verdict {
        if self.unavailable.contains(&lease.id) {
            return unavailable(lease);
        }
        let until = Instant::now() + Duration::from_millis(self.lease_ms);
        let refuse = self.refuse_begins;
        let accepted = self.current(lease).is_some_and(|kept| {
            let fine = matches!(kept.status, Status::Leased(_) | Status::Begun(_)) && !refuse;
            if fine {
                kept.status = Status::Begun(until);
            }
            fine
        });
        verdict(lease, accepted)
    }

    fn renew(&mut self, lease: &Lease) -> Verdict {
        let until = Instant::now() + Duration::from_millis(self.lease_ms);
        let accepted = self
            .current(lease)
            .is_some_and(|kept| match &mut kept.status {
                Status::Leased(end) | Status::Begun(end) => {
                    *end = until;
                    kept.renewals += 1;
                    true
                }
                _ => false,
            });
        verdict(lease, accepted)
    }

    fn result(&mut self, report: Report) -> Verdict {
        if self.unavailable.contains(&report.lease.id) {
            return unavailable(&report.lease);
        }
        let repeat = self.repeat_retries;
        let accepted = self.current(&report.lease).is_some_and(|kept| {
            // An uncertain request is settled by the worker's journal when it speaks at last.
            let open = matches!(
                kept.status,
                Status::Leased(_) | Status::Begun(_) | Status::Ended(Outcome::Uncertain { .. })
            );
            if open {
                kept.status = match report.outcome {
                    Outcome::Released => Status::Pending,
                    Outcome::Retry { .. } if repeat => Status::Pending,
                    outcome => Status::Ended(outcome),
                };
            }
            true
        });
        verdict(&report.lease, accepted)
    }
}

fn unavailable(lease: &Lease) -> Verdict {
    Verdict {
        reason: Some(UNAVAILABLE.into()),
        ..verdict(lease, false)
    }
}

fn verdict(lease: &Lease, accepted: bool) -> Verdict {
    let reason = (!accepted).then(|| "stale_lease".into());
    Verdict {
        subaccount: lease.subaccount.clone(),
        id: lease.id,
        accepted,
        lease_until: None,
        reason,
    }
}
