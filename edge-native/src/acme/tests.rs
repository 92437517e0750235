use super::authority::Authority;
use super::*;
use crate::serve::edge::Edge;
use crate::serve::visitor::{Peer, settle};
use crate::tls::x509;
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use std::convert::Infallible;
use std::os::unix::fs::PermissionsExt;
use tokio::net::TcpListener;

/// A host's plain port, and the slave behind it with two pages of names.
async fn web(edge: Arc<Edge>) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((stream, address)) = listener.accept().await {
            let edge = edge.clone();
            tokio::spawn(async move {
                let peer = Peer {
                    address,
                    secure: false,
                };
                let service = service_fn(|mut request: Request<Incoming>| {
                    let visit = settle(&mut request, &peer, &[]).unwrap();
                    let answer = edge.answer(&request, &visit);
                    async move {
                        Ok::<_, Infallible>(match answer {
                            Some(answer) => {
                                let (parts, body) = answer.into_parts();
                                let body = body.collect().await.unwrap().to_bytes();
                                Response::from_parts(parts, Full::new(body))
                            }
                            None => slave(&request),
                        })
                    }
                });
                let _ = hyper::server::conn::http1::Builder::new()
                    .serve_connection(TokioIo::new(stream), service)
                    .await;
            });
        }
    });
    port
}

fn slave(request: &Request<Incoming>) -> Response<Full<Bytes>> {
    let bearer = request.headers().get("authorization");
    let answer = |status: u16, text: &str| {
        let body = Full::new(Bytes::from(text.to_owned()));
        Response::builder().status(status).body(body).unwrap()
    };
    if bearer.is_none_or(|bearer| bearer != "Bearer me") {
        return answer(401, "{}");
    }
    match request.uri().path_and_query().unwrap().as_str() {
        "/node/v1/domains" => answer(
            200,
            r#"{"items":[{"name":"One.example"},{"name":"localhost"}],"next":"a b"}"#,
        ),
        "/node/v1/domains?after=a+b" => answer(200, r#"{"items":[{"name":"two.example"}]}"#),
        other => answer(404, other),
    }
}

struct Fixture {
    authority: Arc<Authority>,
    edge: Arc<Edge>,
    port: u16,
    folder: tempfile::TempDir,
}

async fn fixture() -> Fixture {
    let edge = Arc::new(Edge::default());
    Fixture {
        authority: Authority::start().await,
        port: web(edge.clone()).await,
        edge,
        folder: tempfile::tempdir().unwrap(),
    }
}

impl Fixture {
    fn acme(&self, names: &[&str]) -> Arc<Acme> {
        let certificates = Certificates::new(None, self.folder.path().to_owned());
        assert_eq!(certificates.refresh(), [] as [String; 0]);
        let settings = Settings {
            directory: self.authority.directory(),
            contacts: vec!["ops@a.example".to_owned()],
            roots: self.authority.root.clone().into_bytes(),
            names: names.iter().map(|name| (*name).to_owned()).collect(),
            folder: self.folder.path().to_owned(),
        };
        Acme::new(settings, Arc::new(certificates))
    }

    async fn work(&self, acme: &Acme) {
        let names = acme.settings.names.iter().cloned().collect();
        acme.work(&names, &mut None, &self.edge.challenges).await;
    }
}

#[tokio::test]
async fn a_certificate_is_proved_issued_kept_and_renewed() {
    let fixture = fixture().await;
    fixture.authority.host("a.example", fixture.port);
    // Ten of twelve days are over when it comes.
    fixture.authority.life(-10 * 86_400, 2 * 86_400);
    let acme = fixture.acme(&["a.example"]);
    fixture.work(&acme).await;
    let status = acme.status();
    assert_eq!(status[0].state, "active", "{status:?}");
    let first = acme.certificates.find("a.example").unwrap();
    assert_eq!(first.facts.names, ["a.example"]);
    assert!(first.managed);
    for entry in std::fs::read_dir(fixture.folder.path()).unwrap() {
        let mode = entry.unwrap().metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
    // Another start finds account and certificate, and renews it at once.
    fixture.authority.life(-60, 90 * 86_400);
    let again = fixture.acme(&["a.example"]);
    fixture.work(&again).await;
    let renewed = again.certificates.find("a.example").unwrap();
    assert!(renewed.facts.not_after > first.facts.not_after);
    assert_eq!(fixture.authority.counts(), (1, 2));
    fixture.work(&again).await;
    assert_eq!(fixture.authority.counts(), (1, 2), "nothing is due");
    let kept = std::fs::read(fixture.folder.path().join("a.example.pem")).unwrap();
    assert!(String::from_utf8(kept).unwrap().contains("PRIVATE KEY"));
}

#[tokio::test]
async fn a_name_that_leads_elsewhere_is_tried_again_later_and_says_why() {
    let fixture = fixture().await;
    fixture.authority.host("a.example", fixture.port);
    let other = web(Arc::new(Edge::default())).await;
    fixture.authority.host("b.example", other);
    let acme = fixture.acme(&["a.example", "b.example", "c.example"]);
    fixture.work(&acme).await;
    let status = acme.status();
    let states: Vec<_> = status.iter().map(|status| status.state).collect();
    assert_eq!(states, ["active", "missing", "missing"], "{status:?}");
    let reason = |index: usize| status[index].reason.clone().unwrap_or_default();
    assert!(
        reason(1).contains("b.example answered 401"),
        "{}",
        reason(1)
    );
    assert!(
        reason(2).contains("the name does not resolve"),
        "{}",
        reason(2)
    );
    let next: DateTime<Utc> = status[1].next_attempt.as_ref().unwrap().parse().unwrap();
    assert!(next > Utc::now() + chrono::TimeDelta::seconds(50));
    let orders = fixture.authority.counts();
    fixture.work(&acme).await;
    assert_eq!(fixture.authority.counts(), orders, "not before its time");
    // Nothing is shown any more.
    let shown = fixture.edge.challenges.count();
    assert_eq!(shown, 0);
}

#[tokio::test]
async fn an_authority_that_is_down_or_unknown_is_a_reason_too() {
    let fixture = fixture().await;
    let mut acme = fixture.acme(&["a.example"]);
    Arc::get_mut(&mut acme).unwrap().settings.roots.clear();
    fixture.work(&acme).await;
    let reason = acme.status()[0].reason.clone().unwrap();
    assert!(reason.contains("certificate"), "{reason}");
    let mut acme = fixture.acme(&["a.example"]);
    Arc::get_mut(&mut acme).unwrap().settings.directory = "https://127.0.0.1:1/d".to_owned();
    fixture.work(&acme).await;
    let reason = acme.status()[0].reason.clone().unwrap();
    assert!(reason.contains("refused"), "{reason}");
}

#[tokio::test]
async fn names_of_the_application_get_certificates_too() {
    let fixture = fixture().await;
    for name in ["one.example", "two.example"] {
        fixture.authority.host(name, fixture.port);
    }
    let acme = fixture.acme(&[]);
    let domains = Domains::new(
        &format!("http://127.0.0.1:{}/", fixture.port),
        "me".to_owned(),
    );
    let edge = fixture.edge.clone();
    let running = acme.clone();
    let run = tokio::spawn(async move { running.run(&edge.challenges, &domains).await });
    let until = Instant::now() + Duration::from_secs(20);
    let there = |name: &str| acme.certificates.find(name).is_some();
    while !(there("one.example") && there("two.example")) {
        assert!(
            Instant::now() < until,
            "{:?} {:?}",
            acme.status(),
            acme.trouble()
        );
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(acme.trouble(), None);
    assert!(!there("localhost"));
    run.abort();
    let stranger = Domains::new(
        &format!("http://127.0.0.1:{}", fixture.port),
        "you".to_owned(),
    );
    let error = stranger.names().await.unwrap_err();
    assert!(error.to_string().contains("401"), "{error}");
}

#[tokio::test]
async fn a_certificate_of_the_operator_is_left_alone() {
    let fixture = fixture().await;
    let own = tempfile::tempdir().unwrap();
    let made = rcgen::generate_simple_self_signed(["a.example".to_owned()]).unwrap();
    std::fs::write(own.path().join("a.crt"), made.cert.pem()).unwrap();
    std::fs::write(own.path().join("a.key"), made.signing_key.serialize_pem()).unwrap();
    let mut acme = fixture.acme(&["a.example"]);
    let certificates = Certificates::new(
        Some(own.path().to_owned()),
        fixture.folder.path().to_owned(),
    );
    certificates.refresh();
    Arc::get_mut(&mut acme).unwrap().certificates = Arc::new(certificates);
    fixture.work(&acme).await;
    assert_eq!(fixture.authority.counts(), (0, 0));
    assert!(x509::facts(made.cert.der()).is_some());
}

#[tokio::test]
async fn one_round_takes_the_operators_names_and_some_of_the_others() {
    let fixture = fixture().await;
    let acme = fixture.acme(&["z.example"]);
    let mut names: BTreeSet<String> = (10..60).map(|n| format!("a{n}.example")).collect();
    names.insert("z.example".to_owned());
    acme.failed("a10.example", "no".to_owned());
    let now = Utc::now();
    let later = now + chrono::TimeDelta::hours(1);
    let due = acme.due(&names, later);
    assert_eq!((due.len(), due[0].as_str()), (21, "z.example"));
    assert!(
        !due.iter().any(|name| *name == "a10.example"),
        "others first"
    );
    // A name that was taken away keeps its time to wait.
    acme.work(&BTreeSet::new(), &mut None, &fixture.edge.challenges)
        .await;
    assert!(!acme.is_due("a10.example", now) && acme.is_due("a10.example", later));
    let limit = instant_acme::Problem {
        r#type: Some("urn:ietf:params:acme:error:rateLimited".to_owned()),
        detail: None,
        status: Some(429),
        subproblems: Vec::new(),
    };
    let error = anyhow::Error::from(instant_acme::Error::Api(limit)).context("the order");
    assert!(order::is_too_often(&error) && !acme.is_paused(now));
    acme.pause();
    assert!(acme.is_paused(now) && !acme.is_paused(later));
}
