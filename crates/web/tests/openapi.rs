//! `openapi.json` says what the routers serve: no more, no less, and its samples work.

use std::cell::RefCell;
use std::collections::{BTreeSet, HashMap};
use std::rc::Rc;
use std::sync::atomic::AtomicBool;
use std::time::{SystemTime, UNIX_EPOCH};

use http::{HeaderMap, HeaderValue, Method};
use serde_json::{Value, json};
use stages::run::{Stage, Tick, run};
use store::{Db, Open, params};
use store_native::Sqlite;
use web::slave::upload::{Upload, is_upload};
use web::slave::{self, access};
use web::{Body, Config, Context, Request, Response, master, openapi};

const METHODS: [&str; 5] = ["get", "post", "put", "patch", "delete"];
const SUBACCOUNT: &str = "01a1fc61-0985-7080-808e-5a2323c4e3e6";

fn document() -> Value {
    serde_json::from_str(openapi::DOCUMENT).expect("JSON")
}

/// Every operation: method, path, description.
fn operations(api: &Value) -> Vec<(String, String, Value)> {
    let paths = api["paths"].as_object().expect("paths").iter();
    let of_path = |(path, item): (&String, &Value)| {
        let there = METHODS.iter().filter(|m| item.get(**m).is_some());
        let one = |m: &&str| (m.to_uppercase(), path.clone(), item[*m].clone());
        there.map(one).collect::<Vec<_>>()
    };
    paths.flat_map(of_path).collect()
}

fn each_object(value: &Value, visit: &mut dyn FnMut(&serde_json::Map<String, Value>)) {
    match value {
        Value::Object(map) => {
            visit(map);
            map.values().for_each(|inner| each_object(inner, visit));
        }
        Value::Array(items) => items.iter().for_each(|inner| each_object(inner, visit)),
        _ => {}
    }
}

fn resolve<'a>(api: &'a Value, node: &'a Value) -> &'a Value {
    match node["$ref"].as_str() {
        Some(at) => api.pointer(&at[1..]).expect("what a $ref names"),
        None => node,
    }
}

#[test]
fn every_reference_leads_somewhere_and_every_schema_is_used() {
    let api = document();
    let mut named = BTreeSet::new();
    each_object(&api, &mut |map| {
        if let Some(Value::String(at)) = map.get("$ref") {
            assert!(
                at.starts_with('#') && api.pointer(&at[1..]).is_some(),
                "{at} leads nowhere"
            );
            named.insert(at.clone());
        }
    });
    for kind in ["schemas", "parameters", "responses"] {
        for name in api["components"][kind]
            .as_object()
            .expect("components")
            .keys()
        {
            let at = format!("#/components/{kind}/{name}");
            assert!(named.contains(&at), "{at} is used nowhere");
        }
    }
}

#[test]
fn every_operation_says_what_it_takes_and_gives() {
    let api = document();
    let mut ids = BTreeSet::new();
    for (method, path, operation) in operations(&api) {
        let at = format!("{method} {path}");
        let id = operation["operationId"].as_str().expect("an id").to_owned();
        assert!(ids.insert(id), "{at} has the id of another one");
        assert!(
            operation["summary"].is_string() && operation["tags"].is_array(),
            "{at}"
        );
        let answers = operation["responses"].as_object().expect("answers");
        assert!(
            answers.keys().any(|s| s.starts_with('2')),
            "{at} has no good end"
        );
        assert!(answers.contains_key("default"), "{at} has no bad end");
        if let Some(body) = operation["requestBody"]["content"].get("application/json") {
            assert!(body["example"].is_object(), "{at} has no sample");
        }
        let given = [&operation["parameters"], &api["paths"][&path]["parameters"]];
        let given = given.iter().filter_map(|list| list.as_array()).flatten();
        let given: BTreeSet<_> = given
            .map(|p| resolve(&api, p))
            .filter(|p| p["in"] == "path")
            .filter_map(|p| p["name"].as_str())
            .collect();
        let needed = path
            .split('/')
            .filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
        assert_eq!(given, needed.collect(), "{at}");
    }
}

#[test]
fn samples_and_answers_agree_with_their_schemas() {
    let (api, site) = (document(), Site::new());
    for (method, path, operation) in operations(&api) {
        let at = format!("{method} {path}");
        let body = &operation["requestBody"]["content"]["application/json"];
        conforms(&api, &body["schema"], &body["example"], &at);
        for answer in operation["responses"]
            .as_object()
            .expect("answers")
            .values()
        {
            let body = &resolve(&api, answer)["content"]["application/json"];
            if body.get("example").is_some() {
                conforms(&api, &body["schema"], &body["example"], &at);
            }
        }
        if is_import(&method, &path) {
            continue;
        }
        let response = site.call(&method, &filled(&path, &site), Some(&body["example"]));
        let status = response.status.as_u16().to_string();
        let text = text(response);
        // Whom the sample signs up has done so already: the sample of the log-in needs them.
        let good = status.starts_with('2')
            || matches!((path.as_str(), &*status), ("/api/v1/signup", "409"));
        assert!(good, "{at} answered its sample with {status}: {text}");
        assert!(
            operation["responses"].get(&status).is_some(),
            "{at} does not speak of {status}"
        );
        let schema = &resolve(&api, &operation["responses"][&status])["content"]["application/json"]
            ["schema"];
        if !schema.is_null() {
            conforms(
                &api,
                schema,
                &serde_json::from_str(&text).expect("JSON"),
                &at,
            );
        }
    }
}

#[test]
fn what_is_served_is_described_and_the_other_way_round() {
    let (api, site) = (document(), Site::new());
    let served = site.served();
    let described: BTreeSet<_> = operations(&api)
        .into_iter()
        .map(|(method, path, _)| format!("{method} {}", shape(&path)))
        .collect();
    assert_eq!(served, described);
}

/// Types, members, enumerations and bounds, as deep as the schema goes.
fn conforms(api: &Value, schema: &Value, value: &Value, at: &str) {
    if let Err(why) = fits(api, schema, value) {
        panic!("{at}: {why}");
    }
}

fn fits(api: &Value, schema: &Value, value: &Value) -> Result<(), String> {
    let schema = resolve(api, schema);
    if let Some(choices) = schema["oneOf"].as_array() {
        let count = choices
            .iter()
            .filter(|c| fits(api, c, value).is_ok())
            .count();
        return if count == 1 {
            Ok(())
        } else {
            Err(format!("{value} fits {count} of the choices"))
        };
    }
    let is = |name: &str| match name {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        "boolean" => value.is_boolean(),
        _ => value.is_null(),
    };
    let right = match &schema["type"] {
        Value::String(name) => is(name),
        Value::Array(names) => names.iter().filter_map(Value::as_str).any(is),
        _ => true,
    };
    if !right
        || schema["enum"]
            .as_array()
            .is_some_and(|allowed| !allowed.contains(value))
    {
        return Err(format!("{value} is not {schema}"));
    }
    let properties = schema["properties"].as_object();
    for name in schema["required"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
    {
        value
            .get(name)
            .ok_or_else(|| format!("{name} is missing in {value}"))?;
    }
    for (name, member) in value.as_object().into_iter().flatten() {
        match properties.and_then(|p| p.get(name)) {
            Some(inner) => fits(api, inner, member).map_err(|why| format!("{name}: {why}"))?,
            None if schema["additionalProperties"].is_object() => {
                fits(api, &schema["additionalProperties"], member)?
            }
            // An answer may have more than is described only where nothing is described.
            None if properties.is_some() => {
                return Err(format!("{name} is not described"));
            }
            None => {}
        }
    }
    let items = value.as_array().filter(|_| schema.get("items").is_some());
    items
        .into_iter()
        .flatten()
        .try_for_each(|item| fits(api, &schema["items"], item))
}

fn shape(path: &str) -> String {
    let part = |part: &str| {
        if part.starts_with('{') {
            "{}".to_owned()
        } else {
            part.to_owned()
        }
    };
    path.split('/').map(part).collect::<Vec<_>>().join("/")
}

fn filled(path: &str, site: &Site) -> String {
    let id = if path.starts_with("/api/v1/api-keys") {
        &site.spare_key
    } else {
        SUBACCOUNT
    };
    let id = if path.starts_with("/s/") {
        if path.ends_with("cancellation") {
            "2"
        } else {
            "1"
        }
    } else {
        id
    };
    path.replace("{subaccount}", SUBACCOUNT).replace("{id}", id)
}

fn is_import(method: &str, path: &str) -> bool {
    method == "POST" && path.ends_with("/imports")
}

fn text(response: Response) -> String {
    let bytes = match response.body {
        Body::Full(bytes) => bytes,
        Body::Stream(pieces) => pieces.flatten().collect(),
    };
    String::from_utf8(bytes).expect("UTF-8")
}

fn now() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.expect("after 1970").as_millis() as i64
}

/// Each label is a database in memory, opened once.
#[derive(Default)]
struct Memory(RefCell<HashMap<String, Rc<Sqlite>>>);

struct Shared(Rc<Sqlite>);

impl Db for Shared {
    fn query(&self, sql: &str, params: &[store::Value]) -> store::Result<Vec<store::Row>> {
        self.0.query(sql, params)
    }

    fn execute(&self, sql: &str, params: &[store::Value]) -> store::Result<u64> {
        self.0.execute(sql, params)
    }
}

impl Open for Memory {
    fn open(&self, label: &str) -> store::Result<Box<dyn Db>> {
        let mut open = self.0.borrow_mut();
        if !open.contains_key(label) {
            open.insert(label.to_owned(), Rc::new(Sqlite::in_memory()?));
        }
        Ok(Box::new(Shared(open[label].clone())))
    }
}

/// A master and a slave with one sub-account that has one thing of every kind, under the id 1.
struct Site {
    stores: Memory,
    config: Config,
    migrated: [AtomicBool; 2],
    key: String,
    /// The id of a key that nobody needs.
    spare_key: String,
}

impl Site {
    fn new() -> Site {
        let url = "http://sluice.test".to_owned();
        let config = Config {
            public_url: url.clone(),
            master_url: url.clone(),
            master_api_url: url.clone(),
            slave_url: url,
            node_secret: "between the nodes".into(),
            worker_token: "of the workers".into(),
            secret_key: "seals".into(),
            slots: 2,
            demo: None,
        };
        let mut site = Site {
            stores: Memory::default(),
            config,
            migrated: Default::default(),
            key: String::new(),
            spare_key: String::new(),
        };
        site.fill();
        site
    }

    fn fill(&mut self) {
        let person =
            json!({"email": "you@agency.example", "password": "correct horse", "account": "Mine"});
        let session = self.call("POST", "/api/v1/signup", Some(&person));
        let cookie = session.headers["set-cookie"]
            .to_str()
            .expect("text")
            .split(';')
            .next()
            .expect("a pair")
            .to_owned();
        let account: Value = serde_json::from_str(&text(session)).expect("JSON");
        let mut keys = (0..2).map(|_| {
            let key = self.send(
                "POST",
                "/api/v1/api-keys",
                &[("cookie", &cookie)],
                br#"{"name": "k"}"#.to_vec(),
            );
            serde_json::from_str::<Value>(&text(key)).expect("JSON")
        });
        let (key, spare) = (keys.next().expect("a key"), keys.next().expect("a key"));
        drop(keys);
        (self.key, self.spare_key) = (
            key["key"].as_str().expect("a key").into(),
            spare["id"].as_str().expect("an id").into(),
        );
        let account_id = account["account"]["id"].as_str().expect("an id");
        let master = self.stores.open("master").expect("a file");
        store::subaccount::insert(&*master, SUBACCOUNT, account_id, "Acme", now()).expect("kept");
        let secret = format!("Bearer {}", self.config.node_secret);
        let place = json!({"account_id": account_id, "name": "Acme"})
            .to_string()
            .into_bytes();
        let placed = self.send(
            "PUT",
            &format!("/node/v1/subaccounts/{SUBACCOUNT}"),
            &[("authorization", &secret)],
            place,
        );
        assert_eq!(placed.status.as_u16(), 200, "{}", text(placed));

        let base = format!("/s/{SUBACCOUNT}/api/v1");
        let settings = json!({"host": "smtp.test", "port": 25, "from": "ann@agency.test"});
        let action =
            json!({"type": "new_outreach", "outreach_type": "email", "subject": "s", "body": "b"});
        let trigger = json!({"type": "tag_added", "tag": "hot"});
        for (what, body) in [
            (
                "profiles",
                json!({"name": "P", "type": "smtp", "settings": settings}),
            ),
            (
                "rules",
                json!({"name": "R", "trigger": trigger, "action": action}),
            ),
        ] {
            let made = self.call("POST", &format!("{base}/{what}"), Some(&body));
            assert_eq!(made.status.as_u16(), 201, "{}", text(made));
        }
        let cx = self.context(1);
        let mut upload = Upload::begin(
            access::public(&cx, SUBACCOUNT).expect("a tenant"),
            "Import",
            Some("hot"),
        )
        .expect("an upload");
        upload
            .push(b"email,full name\na@x.test,Ann B\nb@x.test,\nnobody,\n")
            .expect("kept");
        upload.finish().expect("kept");
        self.work();
        // One mail that was written, and one that waits.
        let tenant = self.stores.open("slot001").expect("a file");
        let written = "insert into message (request_id, message_id, recipient, subject, body, created_at) values (1, 'm', 'a', 's', 'b', ?1)";
        assert_eq!(tenant.execute(written, params![now()]).expect("kept"), 1);
    }

    fn context(&self, node: usize) -> Context<'_> {
        Context {
            stores: &self.stores,
            config: &self.config,
            now: now(),
            migrated: &self.migrated[node],
        }
    }

    /// Lets every stage do what is due, a moment later, since what was promised just now is due then.
    fn work(&self) {
        let clock = || now() + 1000;
        let stages: [&dyn Stage; 5] = [
            &stages::ingest::Ingest,
            &stages::import::Merge,
            &stages::rule::Rule,
            &stages::plan::Plan,
            &stages::timeline::Timeline,
        ];
        for stage in stages {
            let tick = Tick {
                stores: &self.stores,
                clock: &clock,
                token: stage.name().to_owned(),
            };
            let summary = run(stage, &tick).expect("a tick");
            assert!(summary.failures.is_empty(), "{:?}", summary.failures);
        }
    }

    /// A call of the API by the account's key.
    fn call(&self, method: &str, target: &str, body: Option<&Value>) -> Response {
        let bearer = format!("Bearer {}", self.key);
        let headers = [
            ("authorization", bearer.as_str()),
            ("content-type", "application/json"),
        ];
        self.send(
            method,
            target,
            &headers,
            body.map(|b| b.to_string().into_bytes()).unwrap_or_default(),
        )
    }

    fn send(
        &self,
        method: &str,
        target: &str,
        headers: &[(&'static str, &str)],
        body: Vec<u8>,
    ) -> Response {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(*name, HeaderValue::from_str(value).expect("a value"));
        }
        let request = request(method, target, map, body);
        let master = self.context(0);
        if !target.starts_with("/s/") && !target.starts_with("/node/v1/subaccounts") {
            return master::handle(&master, &request);
        }
        let who = master::identity(&master, &*master.master().expect("the master"), &request)
            .expect("an answer");
        slave::handle(&self.context(1), &request, who.as_ref())
    }

    /// Every operation that a router answers with something else than 404 or 405. The paths that are tried are made
    /// of the words in the routers' own source, so a call that is new there is tried by itself.
    fn served(&self) -> BTreeSet<String> {
        let mut served = BTreeSet::new();
        let routers = [
            ("/api/v1", include_str!("../src/master/mod.rs")),
            ("/s/{}/api/v1", include_str!("../src/slave/mod.rs")),
        ];
        for (base, source) in routers {
            let words = words(source);
            let mut paths = BTreeSet::new();
            for word in &words {
                paths.extend([format!("/{word}"), format!("/{word}/{{}}")]);
                for second in &words {
                    paths.extend([
                        format!("/{word}/{second}"),
                        format!("/{word}/{{}}/{second}"),
                    ]);
                }
            }
            for path in paths {
                let path = format!("{base}{path}");
                let methods = METHODS.iter().map(|m| m.to_uppercase());
                served.extend(
                    methods
                        .filter(|m| self.serves(m, &path))
                        .map(|m| format!("{m} {path}")),
                );
            }
        }
        if self.answers("GET", "/openapi.json") {
            served.insert("GET /openapi.json".to_owned());
        }
        served
    }

    /// A word in the place of an id is not a call of its own: any other word is answered the same.
    fn serves(&self, method: &str, path: &str) -> bool {
        let (parent, last) = path.rsplit_once('/').expect("a path");
        let other = format!("{parent}/no-such-word");
        self.answers(method, path) && (last == "{}" || !self.answers(method, &other))
    }

    /// Whether the answer is neither 404 nor 405.
    fn answers(&self, method: &str, path: &str) -> bool {
        let path = match path.strip_prefix("/s/{}") {
            Some(rest) => format!("/s/{SUBACCOUNT}{}", rest.replace("{}", "1")),
            None if path.contains("api-keys/") => path.replace("{}", &self.spare_key),
            None => path.replace("{}", SUBACCOUNT),
        };
        if is_upload(&request(method, &path, HeaderMap::new(), Vec::new())) {
            return true;
        }
        let status = self.call(method, &path, Some(&json!({}))).status.as_u16();
        !matches!(status, 404 | 405)
    }
}

fn request(method: &str, path: &str, headers: HeaderMap, body: Vec<u8>) -> Request {
    let method = Method::from_bytes(method.as_bytes()).expect("a method");
    Request {
        method,
        path: path.to_owned(),
        query: String::new(),
        headers,
        body,
    }
}

/// What stands between quotation marks and may be a part of a path.
fn words(source: &str) -> BTreeSet<&str> {
    let fits = |word: &&str| {
        !word.is_empty()
            && word.len() < 30
            && word
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b"-.".contains(&b))
    };
    source.split('"').filter(fits).collect()
}
