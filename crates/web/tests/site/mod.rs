//! A master and a slave on databases in a folder, without any host.

use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

use http::{HeaderMap, HeaderValue, Method};
use stages::allocate::Placement;
use stages::run::{Stage, Tick, run};
use store::{Db, Open, subaccount};
use store_native::Sqlite;
use tempfile::TempDir;
use web::slave::upload::Upload;
use web::slave::{self, access};
use web::{Body, Config, Context, Request, Response, master};

/// Each label is a file.
struct Files<'a>(&'a Path);

impl Open for Files<'_> {
    fn open(&self, label: &str) -> store::Result<Box<dyn Db>> {
        Ok(Box::new(Sqlite::open(&self.0.join(format!("{label}.db")))?))
    }
}

/// One installation that nobody has signed up to yet.
pub struct Site {
    folder: TempDir,
    config: Config,
    clock: AtomicI64,
    master_migrated: AtomicBool,
    slave_migrated: AtomicBool,
}

/// Somebody with a session.
pub struct Person<'a> {
    site: &'a Site,
    cookie: String,
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
            demo: None,
        };
        Site {
            folder: TempDir::new().expect("a folder"),
            config,
            clock: AtomicI64::new(NOON),
            master_migrated: AtomicBool::new(false),
            slave_migrated: AtomicBool::new(false),
        }
    }

    /// A second passes whenever somebody looks.
    fn now(&self) -> i64 {
        self.clock.fetch_add(1000, Ordering::Relaxed)
    }

    fn send(
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
        let stores = Files(self.folder.path());
        let context = |migrated| Context {
            stores: &stores,
            config: &self.config,
            now: self.now(),
            migrated,
        };
        let (cx, slave) = (
            context(&self.master_migrated),
            context(&self.slave_migrated),
        );
        if path.starts_with("/s/") || path.starts_with("/node/v1/subaccounts") {
            let db = cx.master().expect("the master");
            let who = master::identity(&cx, &*db, &request).expect("an answer");
            slave::handle(&slave, &request, who.as_ref())
        } else {
            master::handle(&cx, &request)
        }
    }

    pub fn get(&self, target: &str) -> Response {
        self.send(Method::GET, target, &[], Vec::new())
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
        let db = Files(self.site.folder.path())
            .open("master")
            .expect("a file");
        let now = self.site.now();
        let due = subaccount::claim_due(&*db, "token", now + 1000, now, 1).expect("one");
        let due = due.into_iter().next().expect("one that is due");
        let placement = Placement {
            account_id: due.account_id,
            name: due.name,
        };
        let path = format!("/node/v1/subaccounts/{}", due.id);
        let secret = format!("Bearer {}", self.site.config.node_secret);
        let body = serde_json::to_vec(&placement).expect("JSON");
        let placed = self
            .site
            .send(Method::PUT, &path, &[("authorization", &secret)], body);
        assert_eq!(placed.status, 200, "{}", text(&placed));
        let base = format!("/s/{}", due.id);
        let url = format!("{}{base}", self.site.config.public_url);
        subaccount::activate(&*db, &due.id, "token", &url, now).expect("active");
        base
    }

    /// Uploads a file and waits until it is merged.
    pub fn import(&self, base: &str, file: &str, tag: &str) {
        let stores = Files(self.site.folder.path());
        let cx = Context {
            stores: &stores,
            config: &self.site.config,
            now: self.site.now(),
            migrated: &self.site.slave_migrated,
        };
        let scope = access::public(&cx, &base[3..]).expect("a tenant");
        let mut upload = Upload::begin(scope, "Import", Some(tag)).expect("an upload");
        assert!(upload.push(file.as_bytes()).expect("kept"));
        upload.finish().expect("kept");
        self.work();
    }

    /// Lets every stage do what is due.
    pub fn work(&self) {
        let stores = Files(self.site.folder.path());
        let clock = || self.site.now();
        let stages: [&dyn Stage; 5] = [
            &stages::ingest::Ingest,
            &stages::import::Merge,
            &stages::rule::Rule,
            &stages::plan::Plan,
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
