//! A master and a slave on databases in a folder, without any host.
#![allow(dead_code)] // Every test uses a part of it.

use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

use http::{HeaderMap, HeaderName, HeaderValue, Method};
use stages::allocate::{self, Answer, Call};
use stages::run::{Stage, Tick, run};
use store::{Db, Open, Place};
use tempfile::TempDir;
use web::assertion::Said;
use web::client::Client;
use web::master::node::{Introspect, Introspected};
use web::slave::access::Caller;
use web::slave::archive::{self, Pending, Restoration};
use web::slave::upload::{Upload, is_upload};
use web::slave::{self, access, custom_domain, site};
use web::{Body, Config, Context, Identity, Problem, Request, Response, master};
use worker_api::{OutboxClaimed, OutboxMail, OutboxReport, OutboxResults, Outcome};

/// Each place is a file, or a database of a server.
struct Files<'a>(&'a Path);

impl Open for Files<'_> {
    fn open(&self, place: &Place) -> store::Result<Box<dyn Db>> {
        testkit::open_in(self.0, place)
    }
}

/// One installation that nobody has signed up to yet.
pub struct Site {
    folder: TempDir,
    pub config: Config,
    clock: AtomicI64,
    master_migrated: AtomicBool,
    slave_migrated: AtomicBool,
}

/// Somebody with a session.
pub struct Person<'a> {
    site: &'a Site,
    /// `name=value`.
    pub cookie: String,
}

/// The page as text.
pub fn text(response: &Response) -> String {
    match &response.body {
        Body::Full(bytes) => String::from_utf8(bytes.clone()).expect("UTF-8"),
        Body::Stream(_) => panic!("a page comes whole"),
    }
}

/// Where a redirect leads.
pub fn location(response: &Response) -> String {
    assert_eq!(response.status, 303, "{}", text(response));
    response.headers["location"].to_str().expect("text").into()
}

/// When every test begins: 2026-11-21T12:00:00Z.
const NOON: i64 = 1_795_262_400_000;

fn encoded(fields: &[(&str, &str)]) -> Vec<u8> {
    let mut form = url::form_urlencoded::Serializer::new(String::new());
    form.extend_pairs(fields).finish().into_bytes()
}

impl Site {
    pub fn new() -> Site {
        let url = "http://sluice.test".to_owned();
        let config = Config {
            public_url: url.clone(),
            master_url: url.clone(),
            master_api_url: url.clone(),
            slave_url: url,
            node_secret: "between the nodes".into(),
            worker_token: "of the workers".into(),
            secret_key: "seals".into(),
            slots: 4,
            ..Config::default()
        };
        Site {
            folder: TempDir::new().expect("a folder"),
            config,
            clock: AtomicI64::new(NOON),
            master_migrated: AtomicBool::new(false),
            slave_migrated: AtomicBool::new(false),
        }
    }

    /// One that the operator set up in another way.
    pub fn with(change: impl FnOnce(&mut Config)) -> Site {
        let mut site = Site::new();
        change(&mut site.config);
        site
    }

    /// Time passes.
    pub fn later(&self, ms: i64) {
        self.clock.fetch_add(ms, Ordering::Relaxed);
    }

    /// The master's database.
    pub fn master(&self) -> Box<dyn Db> {
        testkit::open_in(self.folder.path(), &Place::Master).expect("the master")
    }

    /// Takes the mails that wait, as a worker does: (to, subject, text).
    pub fn mails(&self) -> Vec<(String, String, String)> {
        let secret = format!("Bearer {}", self.config.node_secret);
        let headers = [("authorization", secret.as_str())];
        let ask = br#"{"max": 100}"#.to_vec();
        let claimed = self.send(Method::POST, "/node/v1/outbox/claim", &headers, ask);
        let claimed: OutboxClaimed = serde_json::from_str(&text(&claimed)).expect("JSON");
        let sent = |mail: &OutboxMail| OutboxReport {
            id: mail.id.clone(),
            lease_token: mail.lease_token.clone(),
            outcome: Outcome::Performed {
                detail: String::new(),
            },
        };
        let results = claimed.mails.iter().map(sent).collect();
        let report = serde_json::to_vec(&OutboxResults { results }).expect("JSON");
        let taken = self.send(Method::POST, "/node/v1/outbox/results", &headers, report);
        assert_eq!(taken.status, 200, "{}", text(&taken));
        let parts = |m: OutboxMail| (m.message.to, m.message.subject, m.message.text);
        claimed.mails.into_iter().map(parts).collect()
    }

    /// The secret part of the link in the one mail that waits for somebody.
    pub fn link_to(&self, email: &str) -> String {
        let mails = self.mails();
        let mut links = mails
            .iter()
            .filter(|(to, _, _)| to == email)
            .filter_map(|(_, _, text)| text.split("?token=").nth(1));
        let link = links
            .next()
            .unwrap_or_else(|| panic!("no link in {mails:?}"));
        assert_eq!(links.next(), None, "one link");
        link.split('\n').next().expect("a line").to_owned()
    }

    /// A second passes whenever somebody looks.
    pub fn now(&self) -> i64 {
        self.clock.fetch_add(1000, Ordering::Relaxed)
    }

    pub fn send(
        &self,
        method: Method,
        target: &str,
        headers: &[(&'static str, &str)],
        body: Vec<u8>,
    ) -> Response {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(*name, HeaderValue::from_str(value).expect("a value"));
        }
        let request = Request {
            method,
            path: path.to_owned(),
            query: query.to_owned(),
            headers: map,
            body,
        };
        self.respond(request)
    }

    /// What the routes of `spin.toml` and the components do with a request.
    pub fn respond(&self, mut request: Request) -> Response {
        let stores = Files(self.folder.path());
        let context = |migrated| Context {
            stores: &stores,
            config: &self.config,
            now: self.now(),
            own: None,
            migrated,
        };
        let (master, mut slave) = (
            context(&self.master_migrated),
            context(&self.slave_migrated),
        );
        let own_path = ["/s/", "/worker/", "/node/v1/s", "/node/v1/d"];
        let to_slave = own_path.iter().any(|p| request.path.starts_with(p));
        let passed_on = site::forwarded(&self.config, &request.headers).filter(|_| !to_slave);
        if !to_slave && passed_on.is_none() {
            return master::handle(&master, &request);
        }
        let as_it_came = request.clone();
        if let Some(fields) = passed_on {
            let chained = [
                ("host", "slave.spin.internal"),
                (Client::ADDRESS, "127.0.0.1:0"),
            ];
            let chained = chained.map(|(name, value)| (name, HeaderValue::from_static(value)));
            request.headers.extend(
                fields
                    .into_iter()
                    .chain(chained)
                    .map(|(name, value)| (HeaderName::from_static(name), value)),
            );
        }
        slave.own = site::enter(&slave, &mut request).expect("the control database");
        if !to_slave && slave.own.is_none() {
            return master::handle(&master, &as_it_came);
        }
        if let Some(elsewhere) = site::to_https(&slave, &request) {
            return elsewhere;
        }
        if web::front::path(&slave, &request).is_some() {
            return match web::front::pass_on(&slave, &request) {
                Ok(onwards) => master::handle(&master, &onwards),
                Err(problem) => slave::refuse(&slave, &request, None, problem),
            };
        }
        let said = match access::caller(&slave, &request).expect("the control database") {
            Caller::Nobody => None,
            Caller::Known(said) => Some(said),
            Caller::Ask(question) => {
                let answer = self.introspect(&master, &question);
                access::remember(&slave, &question, &answer).expect("an answer of the master")
            }
        };
        let who = match said {
            Some(Said::Worker { worker }) => {
                return slave::handle_worker(&slave, &request, &worker);
            }
            Some(Said::Identity { identity }) => Some(identity),
            _ => None,
        };
        if is_upload(&request) {
            return match slave::upload::admit(&slave, &request, who.as_ref()) {
                Ok(_) => Response::no_content(),
                Err(problem) => slave::upload::refused(&slave, &request, who.as_ref(), problem),
            };
        }
        if archive::is_restoration(&request) {
            let body = std::mem::take(&mut request.body);
            return restore(&slave, &request, who.as_ref(), &body)
                .unwrap_or_else(Problem::into_response);
        }
        if custom_domain::asked(&request).is_some() {
            // Without a resolver: only who may ask it.
            return match custom_domain::admit(&slave, &request, who.as_ref()) {
                Ok(_) => Response::no_content(),
                Err(problem) => slave::upload::refused(&slave, &request, who.as_ref(), problem),
            };
        }
        slave::handle(&slave, &request, who.as_ref())
    }

    fn introspect(&self, master: &Context<'_>, question: &Introspect) -> Introspected {
        let bearer = format!("Bearer {}", self.config.node_secret);
        let mut headers = HeaderMap::new();
        headers.insert("authorization", bearer.parse().expect("a value"));
        let request = Request {
            method: Method::POST,
            path: "/node/v1/introspect".to_owned(),
            query: String::new(),
            headers,
            body: serde_json::to_vec(question).expect("JSON"),
        };
        let answer = master::handle(master, &request);
        serde_json::from_str(&text(&answer)).expect("an answer")
    }

    /// A database of this installation, for what no call does.
    pub fn database(&self, place: &Place) -> Box<dyn Db> {
        Files(self.folder.path()).open(place).expect("a file")
    }

    pub fn get(&self, target: &str) -> Response {
        self.send(Method::GET, target, &[], Vec::new())
    }

    /// One tick of the stage that finds homes for sub-accounts.
    pub fn allocate(&self) {
        let ask = |calls: &[Call]| calls.iter().map(|call| self.ask(call)).collect();
        let clock = || self.now();
        let tick = allocate::Tick {
            stores: &Files(self.folder.path()),
            clock: &clock,
            token: "tick".into(),
            local: true,
            ask: &ask,
        };
        allocate::run(&tick).expect("a tick");
    }

    fn ask(&self, call: &Call) -> Answer {
        let (method, target, body) = call.request();
        let method = method.parse().expect("a method");
        let secret = format!("Bearer {}", self.config.node_secret);
        let headers = [("authorization", secret.as_str())];
        let answer = self.send(method, &target, &headers, body);
        assert_eq!(answer.status, 200, "{}", text(&answer));
        call.good(text(&answer).into_bytes())
            .expect("a good answer")
    }

    /// The databases of this installation.
    pub fn stores(&self) -> impl Open + '_ {
        Files(self.folder.path())
    }

    /// Whoever has this cookie (`name=value`).
    pub fn person(&self, cookie: &str) -> Person<'_> {
        Person {
            site: self,
            cookie: cookie.to_owned(),
        }
    }

    pub fn post(&self, path: &str, fields: &[(&str, &str)]) -> Response {
        self.send(Method::POST, path, &[], encoded(fields))
    }

    pub fn sign_up(&self, email: &str) -> Person<'_> {
        let fields = [
            ("account", "Ann & Co"),
            ("email", email),
            ("password", "correct horse"),
        ];
        let answer = self.post("/signup", &fields);
        assert_eq!(location(&answer), "/subaccounts");
        let cookie = answer.headers["set-cookie"].to_str().expect("text");
        let cookie = cookie.split(';').next().expect("a pair").to_owned();
        Person { site: self, cookie }
    }
}

/// What the component does with an archive that comes.
fn restore(
    cx: &Context<'_>,
    request: &Request,
    who: Option<&Identity>,
    body: &[u8],
) -> Result<Response, Problem> {
    let mut restoration =
        Restoration::begin(archive::admit(cx, request, who)?, Pending::of(request)?)?;
    for part in body.chunks(1000) {
        restoration.push(part, cx.now)?;
    }
    restoration.finish()
}

impl Person<'_> {
    pub fn get(&self, target: &str) -> Response {
        let cookie = [("cookie", self.cookie.as_str())];
        self.site.send(Method::GET, target, &cookie, Vec::new())
    }

    pub fn head(&self, target: &str) -> Response {
        let cookie = [("cookie", self.cookie.as_str())];
        self.site.send(Method::HEAD, target, &cookie, Vec::new())
    }

    pub fn post(&self, path: &str, fields: &[(&str, &str)]) -> Response {
        let own = [
            ("cookie", self.cookie.as_str()),
            ("sec-fetch-site", "same-origin"),
        ];
        self.site.send(Method::POST, path, &own, encoded(fields))
    }

    /// A call of the API.
    pub fn call(&self, method: Method, target: &str, body: &str) -> Response {
        let own = [
            ("cookie", self.cookie.as_str()),
            ("sec-fetch-site", "same-origin"),
            ("content-type", "application/json"),
        ];
        self.site.send(method, target, &own, body.into())
    }

    /// What a page of another site makes this person's browser send.
    pub fn foreign_post(&self, path: &str, fields: &[(&str, &str)]) -> Response {
        let foreign = [
            ("cookie", self.cookie.as_str()),
            ("sec-fetch-site", "cross-site"),
        ];
        self.site
            .send(Method::POST, path, &foreign, encoded(fields))
    }

    /// Asks for a sub-account by the form and places it; returns its path.
    pub fn sub_account(&self, name: &str) -> String {
        let asked = self.post("/subaccounts", &[("name", name)]);
        assert_eq!(location(&asked), "/subaccounts");
        self.site.allocate();
        let page = text(&self.get("/subaccounts"));
        let link = page.split("/s/").nth(1).expect("an active one");
        format!("/s/{}", &link[..36])
    }

    /// Uploads a file and waits until it is merged.
    pub fn import(&self, base: &str, file: &str, tag: &str) {
        self.upload(base, file.as_bytes(), tag, &[]);
        self.work();
    }

    /// Uploads a file with options; returns the import's id.
    pub fn upload(&self, base: &str, file: &[u8], tag: &str, options: &[(&str, &str)]) -> i64 {
        let kept = self.try_upload(base, file, tag, options);
        kept.unwrap_or_else(|problem| panic!("{problem:?}"))
    }

    /// The same, for a file that may be refused.
    pub fn try_upload(
        &self,
        base: &str,
        file: &[u8],
        tag: &str,
        options: &[(&str, &str)],
    ) -> Result<i64, Problem> {
        let stores = Files(self.site.folder.path());
        let cx = Context {
            stores: &stores,
            config: &self.site.config,
            now: self.site.now(),
            own: None,
            migrated: &self.site.slave_migrated,
        };
        let scope = access::public(&cx, &base[3..]).expect("a tenant");
        let mut upload = Upload::begin(scope, "Import", Some(tag))?;
        for (name, text) in options {
            upload.option(name, text)?;
        }
        assert!(upload.push(file)?);
        Ok(upload.finish()?.1)
    }

    /// Lets every stage do what is due.
    pub fn work(&self) {
        let stores = Files(self.site.folder.path());
        let clock = || self.site.now();
        let stages: [&dyn Stage; 6] = [
            &stages::ingest::Ingest,
            &stages::import::Merge,
            &stages::rule::Rule,
            &stages::plan::Plan,
            &stages::search::Search,
            &stages::timeline::Timeline,
        ];
        for stage in stages {
            let tick = Tick {
                stores: &stores,
                clock: &clock,
                token: format!("tick {}", stage.name()),
            };
            let summary = run(stage, &tick).expect("a tick");
            assert!(summary.failures.is_empty(), "{:?}", summary.failures);
        }
    }
}
