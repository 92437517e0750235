//! A small but real authority for tests (RFC 8555): every request's signature and nonce are
//! checked, every challenge is really fetched, every certificate is really signed.

use crate::tls::provider;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Empty, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::client::legacy::Client;
use hyper_util::rt::{TokioExecutor, TokioIo};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, PublicKeyData};
use ring::signature::{ECDSA_P256_SHA256_FIXED, UnparsedPublicKey};
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::collections::{HashMap, HashSet};
use std::convert::Infallible;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio_rustls::{TlsAcceptor, rustls};

/// The authority.
pub struct Authority {
    base: String,
    /// What clients must trust to talk to it, and to what it signs; in PEM.
    pub root: String,
    issuer: Issuer<'static, KeyPair>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    nonces: HashSet<String>,
    serial: u64,
    accounts: Vec<Value>,
    orders: Vec<Order>,
    /// Where hosts answer, by name.
    web: HashMap<String, u16>,
    life: (i64, i64),
    /// Every first use of a nonce fails once.
    forgetful: bool,
}

struct Order {
    name: String,
    account: usize,
    token: String,
    proof: &'static str,
    error: Option<Value>,
    certificate: Option<String>,
}

impl Authority {
    /// Starts one.
    pub async fn start() -> Arc<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!(
            "https://127.0.0.1:{}",
            listener.local_addr().unwrap().port()
        );
        let mut parameters = CertificateParams::new(Vec::<String>::new()).unwrap();
        parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let root = parameters.self_signed(&key).unwrap().pem();
        let issuer = Issuer::new(parameters, key);
        let own_key = KeyPair::generate().unwrap();
        let own = CertificateParams::new(["127.0.0.1".to_owned()]).unwrap();
        let own = own.signed_by(&own_key, &issuer).unwrap();
        let chain = vec![CertificateDer::from(own.der().to_vec())];
        let config = rustls::ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(
                chain,
                PrivatePkcs8KeyDer::from(own_key.serialize_der()).into(),
            )
            .unwrap();
        let authority = Arc::new(Self {
            base,
            root,
            issuer,
            state: Mutex::new(State {
                life: (0, 90 * 86_400),
                forgetful: true,
                ..State::default()
            }),
        });
        let (acceptor, serving) = (TlsAcceptor::from(Arc::new(config)), authority.clone());
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (acceptor, authority) = (acceptor.clone(), serving.clone());
                tokio::spawn(async move {
                    let stream = acceptor.accept(stream).await.unwrap();
                    let service = service_fn(|request| {
                        let authority = authority.clone();
                        async move { Ok::<_, Infallible>(authority.answer(request).await) }
                    });
                    let _ = hyper::server::conn::http1::Builder::new()
                        .serve_connection(TokioIo::new(stream), service)
                        .await;
                });
            }
        });
        authority
    }

    /// Its directory.
    pub fn directory(&self) -> String {
        format!("{}/directory", self.base)
    }

    /// Says where a name's host answers.
    pub fn host(&self, name: &str, port: u16) {
        self.state.lock().unwrap().web.insert(name.to_owned(), port);
    }

    /// From when and until when certificates hold, in seconds from now.
    pub fn life(&self, from: i64, until: i64) {
        self.state.lock().unwrap().life = (from, until);
    }

    /// How many accounts and how many orders there are.
    pub fn counts(&self) -> (usize, usize) {
        let state = self.state.lock().unwrap();
        (state.accounts.len(), state.orders.len())
    }

    fn nonce(&self) -> String {
        let mut state = self.state.lock().unwrap();
        state.serial += 1;
        let nonce = format!("nonce-{}", state.serial);
        state.nonces.insert(nonce.clone());
        nonce
    }

    async fn answer(self: &Arc<Self>, request: Request<Incoming>) -> Response<Full<Bytes>> {
        let (method, path) = (request.method().clone(), request.uri().path().to_owned());
        let body = request.into_body().collect().await.unwrap().to_bytes();
        let mut response = match (&method, path.as_str()) {
            (&Method::GET, "/directory") => reply(200, &self.urls()),
            (&Method::HEAD, "/nonce") => reply(200, &Value::Null),
            (&Method::POST, _) => match self.signed(&path, &body) {
                Ok((account, jwk, payload)) => self.act(&path, account, jwk, payload),
                Err(kind) => problem(400, kind, "refused"),
            },
            _ => problem(404, "malformed", "there is no such thing"),
        };
        let nonce = self.nonce().parse().unwrap();
        response.headers_mut().insert("replay-nonce", nonce);
        response
    }

    fn urls(&self) -> Value {
        let url = |path: &str| format!("{}/{path}", self.base);
        json!({"newNonce": url("nonce"), "newAccount": url("account"), "newOrder": url("order"),
               "revokeCert": url("revoke"), "keyChange": url("key")})
    }

    /// Checks a JWS: algorithm, URL, nonce, key and signature. Its account, its key, its payload.
    fn signed(
        &self,
        path: &str,
        body: &[u8],
    ) -> Result<(Option<usize>, Value, Value), &'static str> {
        let jws: Value = serde_json::from_slice(body).map_err(|_| "malformed")?;
        let part = |name: &str| jws[name].as_str().ok_or("malformed");
        let decode = |text: &str| URL_SAFE_NO_PAD.decode(text).map_err(|_| "malformed");
        let header: Value =
            serde_json::from_slice(&decode(part("protected")?)?).map_err(|_| "malformed")?;
        if header["alg"] != "ES256" || header["url"] != format!("{}{path}", self.base) {
            return Err("unauthorized");
        }
        let mut state = self.state.lock().unwrap();
        let nonce = header["nonce"].as_str().ok_or("badNonce")?;
        if !state.nonces.remove(nonce) || std::mem::take(&mut state.forgetful) {
            return Err("badNonce");
        }
        let (account, jwk) = match header["kid"].as_str() {
            Some(kid) => {
                let prefix = format!("{}/account/", self.base);
                let id = kid.strip_prefix(&prefix).and_then(|id| id.parse().ok());
                let id: usize = id.ok_or("accountDoesNotExist")?;
                let jwk = state.accounts.get(id).ok_or("accountDoesNotExist")?;
                (Some(id), jwk.clone())
            }
            None if path == "/account" => (None, header["jwk"].clone()),
            None => return Err("unauthorized"),
        };
        let point = |name: &str| jwk[name].as_str().ok_or("badPublicKey").and_then(decode);
        let key = [vec![4], point("x")?, point("y")?].concat();
        let text = format!("{}.{}", part("protected")?, part("payload")?);
        UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, key)
            .verify(text.as_bytes(), &decode(part("signature")?)?)
            .map_err(|_| "unauthorized")?;
        let payload = decode(part("payload")?)?;
        let payload = match payload.is_empty() {
            true => Value::Null,
            false => serde_json::from_slice(&payload).map_err(|_| "malformed")?,
        };
        Ok((account, jwk, payload))
    }

    fn act(
        self: &Arc<Self>,
        path: &str,
        account: Option<usize>,
        jwk: Value,
        payload: Value,
    ) -> Response<Full<Bytes>> {
        let mut state = self.state.lock().unwrap();
        if path == "/account" {
            if payload["termsOfServiceAgreed"] != true {
                return problem(403, "userActionRequired", "agree first");
            }
            state.accounts.push(jwk);
            let id = state.accounts.len() - 1;
            let contact = &payload["contact"];
            return created(
                &format!("{}/account/{id}", self.base),
                &json!({"status": "valid", "contact": contact}),
            );
        }
        if path == "/order" {
            let name = payload["identifiers"][0]["value"]
                .as_str()
                .unwrap_or_default();
            let token = format!("token-{}", state.orders.len());
            state.orders.push(Order {
                name: name.to_owned(),
                account: account.unwrap(),
                token,
                proof: "pending",
                error: None,
                certificate: None,
            });
            let id = state.orders.len() - 1;
            let view = self.view(id, &state.orders[id]);
            return created(&format!("{}/order/{id}", self.base), &view);
        }
        let Some((what, id)) = path[1..].split_once('/') else {
            return problem(404, "malformed", "there is no such thing");
        };
        let id: usize = id.parse().unwrap();
        if state
            .orders
            .get(id)
            .is_none_or(|order| Some(order.account) != account)
        {
            return problem(403, "unauthorized", "somebody else's");
        }
        let life = state.life;
        let order = &mut state.orders[id];
        match what {
            "order" => reply(200, &self.view(id, order)),
            "authorization" => reply(200, &self.authorization(id, order)),
            "challenge" => {
                if order.proof == "pending" {
                    order.proof = "processing";
                    tokio::spawn(self.clone().look(id));
                }
                reply(200, &self.authorization(id, order)["challenges"][1])
            }
            "finalize" if order.proof == "valid" => {
                let csr = payload["csr"].as_str().unwrap_or_default();
                let csr = URL_SAFE_NO_PAD.decode(csr).unwrap();
                order.certificate = Some(self.issue(&csr, &order.name, life));
                reply(200, &self.view(id, order))
            }
            "certificate" => text(order.certificate.clone().unwrap_or_default()),
            _ => problem(403, "orderNotReady", "not yet"),
        }
    }

    fn view(&self, id: usize, order: &Order) -> Value {
        let status = match (order.proof, &order.certificate) {
            (_, Some(_)) => "valid",
            ("valid", None) => "ready",
            ("invalid", None) => "invalid",
            _ => "pending",
        };
        let url = |what: &str| format!("{}/{what}/{id}", self.base);
        let mut view = json!({"status": status, "authorizations": [url("authorization")],
            "identifiers": [{"type": "dns", "value": order.name}], "finalize": url("finalize")});
        if order.certificate.is_some() {
            view["certificate"] = json!(url("certificate"));
        }
        view
    }

    fn authorization(&self, id: usize, order: &Order) -> Value {
        let status = match order.proof {
            "processing" => "pending",
            other => other,
        };
        let url = format!("{}/challenge/{id}", self.base);
        let mut http =
            json!({"type": "http-01", "status": order.proof, "url": url, "token": order.token});
        if let Some(error) = &order.error {
            http["error"] = error.clone();
        }
        let dns = json!({"type": "dns-01", "status": "pending", "url": url, "token": order.token});
        json!({"status": status, "identifier": {"type": "dns", "value": order.name},
               "challenges": [dns, http]})
    }

    /// Fetches a challenge's answer from the name's host, as RFC 8555, 8.3 has it.
    async fn look(self: Arc<Self>, id: usize) {
        let (name, token, port, thumbprint) = {
            let state = self.state.lock().unwrap();
            let order = &state.orders[id];
            let jwk = &state.accounts[order.account];
            let text = format!(
                r#"{{"crv":"P-256","kty":"EC","x":{},"y":{}}}"#,
                jwk["x"], jwk["y"]
            );
            let thumbprint = URL_SAFE_NO_PAD.encode(Sha256::digest(text));
            let port = state.web.get(&order.name).copied();
            (order.name.clone(), order.token.clone(), port, thumbprint)
        };
        let said = match port {
            None => Err("the name does not resolve".to_owned()),
            Some(port) => fetch(port, &name, &token).await,
        };
        let mut state = self.state.lock().unwrap();
        let order = &mut state.orders[id];
        let wanted = format!("{token}.{thumbprint}");
        let error = match said {
            Ok(said) if said == wanted => None,
            Ok(said) => Some(format!("{name} answered {said:?}")),
            Err(error) => Some(error),
        };
        order.proof = if error.is_none() { "valid" } else { "invalid" };
        let kind = "urn:ietf:params:acme:error:unauthorized";
        order.error = error.map(|detail| json!({"type": kind, "detail": detail}));
    }

    fn issue(&self, csr: &[u8], name: &str, (from, until): (i64, i64)) -> String {
        assert!(
            csr.windows(name.len())
                .any(|window| window == name.as_bytes())
        );
        // A P-256 point as a bit string: 66 bytes, none unused, not compressed.
        let start = csr.windows(4).position(|window| window == [3, 66, 0, 4]);
        let start = start.expect("a key on P-256") + 3;
        let key = Point(csr[start..start + 65].to_vec());
        let mut parameters = CertificateParams::new([name.to_owned()]).unwrap();
        let now = std::time::SystemTime::now();
        let at = |seconds: i64| match u64::try_from(seconds) {
            Ok(seconds) => now + Duration::from_secs(seconds),
            Err(_) => now - Duration::from_secs(seconds.unsigned_abs()),
        };
        parameters.not_before = at(from).into();
        parameters.not_after = at(until).into();
        parameters.signed_by(&key, &self.issuer).unwrap().pem()
    }
}

struct Point(Vec<u8>);

impl PublicKeyData for Point {
    fn der_bytes(&self) -> &[u8] {
        &self.0
    }

    fn algorithm(&self) -> &'static rcgen::SignatureAlgorithm {
        &rcgen::PKCS_ECDSA_P256_SHA256
    }
}

async fn fetch(port: u16, name: &str, token: &str) -> Result<String, String> {
    let request = Request::get(format!(
        "http://127.0.0.1:{port}/.well-known/acme-challenge/{token}"
    ))
    .header("host", name)
    .body(Empty::<Bytes>::new())
    .unwrap();
    let client = Client::builder(TokioExecutor::new()).build_http();
    let answer = client
        .request(request)
        .await
        .map_err(|error| error.to_string())?;
    if answer.status() != StatusCode::OK {
        return Err(format!("{name} answered {}", answer.status()));
    }
    let body = answer
        .into_body()
        .collect()
        .await
        .map_err(|error| error.to_string())?;
    Ok(String::from_utf8_lossy(&body.to_bytes()).into_owned())
}

fn reply(status: u16, body: &Value) -> Response<Full<Bytes>> {
    let body = Full::new(Bytes::from(body.to_string()));
    Response::builder().status(status).body(body).unwrap()
}

fn created(location: &str, body: &Value) -> Response<Full<Bytes>> {
    let mut response = reply(201, body);
    response
        .headers_mut()
        .insert("location", location.parse().unwrap());
    response
}

fn text(body: String) -> Response<Full<Bytes>> {
    Response::new(Full::new(Bytes::from(body)))
}

fn problem(status: u16, kind: &str, detail: &str) -> Response<Full<Bytes>> {
    let kind = format!("urn:ietf:params:acme:error:{kind}");
    reply(
        status,
        &json!({"type": kind, "detail": detail, "status": status}),
    )
}
