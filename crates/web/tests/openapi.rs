//! `openapi.json` says what the routers serve: no more, no less, and its samples work.

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::sync::atomic::AtomicBool;
use std::time::{SystemTime, UNIX_EPOCH};

use domain::identity::Role;
use http::{HeaderMap, HeaderValue, Method};
use serde_json::{Value, json};
use stages::run::{Stage, Tick, run};
use store::api_key::{self, ApiKey};
use store::invite::{self, Invite};
use store::token::{self, Purpose, Token};
use store::user::{self, User};
use store::{Open, Place, params};
use testkit::Stores;
use web::slave::archive::is_restoration;
use web::slave::upload::{Upload, is_upload};
use web::slave::{self, access, custom_domain};
use web::{Body, Config, Context, Request, Response, master, openapi, totp};

const METHODS: [&str; 5] = ["get", "post", "put", "patch", "delete"];
const SUBACCOUNT: &str = "01a1fc61-0985-7080-808e-5a2323c4e3e6";
const SPARE_DOMAIN: &str = "spare.acme.example";

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
        if is_apart(&method, &path) {
            continue;
        }
        let sample = site.sample(&method, &path, &operation, &body["example"]);
        let response = site.send(
            &method,
            &sample.0,
            &[
                ("authorization", &sample.1),
                ("cookie", &sample.2),
                ("content-type", "application/json"),
            ],
            sample.3,
        );
        let status = response.status.as_u16().to_string();
        let text = text(response);
        // Whom the sample signs up has done so already: the sample of the log-in needs them. There is no slave to move to.
        // The one import is done.
        let good = status.starts_with('2')
            || (status == "409"
                && [
                    "/signup",
                    "/relocations",
                    "/preview",
                    "/mapping",
                    "/imports/{id}/cancellation",
                ]
                .iter()
                .any(|end| path.ends_with(end)));
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

/// What takes no JSON, is answered by the component itself because it waits for others, or takes the operator's signature.
fn is_apart(method: &str, path: &str) -> bool {
    matches!(method, "POST" | "PUT")
        && ["/imports", "/logo", "/verification", "/archive", "/reset"]
            .iter()
            .any(|end| path.ends_with(end))
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

/// A master and a slave with one sub-account that has one thing of every kind, under the id 1.
struct Site {
    stores: Stores,
    config: Config,
    migrated: [AtomicBool; 2],
    key: String,
    account_id: String,
    /// People were made so far.
    people: Cell<u32>,
    /// A node that has joined.
    node: RefCell<String>,
}

/// What is sent: target, `Authorization`, `Cookie`, body.
type Sample = (String, String, String, Vec<u8>);

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
            delete_grace_days: 7,
            ..Config::default()
        };
        let mut site = Site {
            stores: Stores::default(),
            config,
            migrated: Default::default(),
            key: String::new(),
            account_id: String::new(),
            people: Cell::new(0),
            node: RefCell::default(),
        };
        site.fill();
        site
    }

    fn fill(&mut self) {
        let person =
            json!({"email": "you@agency.example", "password": "correct horse", "account": "Mine"});
        let session = self.call("POST", "/api/v1/signup", Some(&person));
        let cookie = cookie(&session);
        let account: Value = serde_json::from_str(&text(session)).expect("JSON");
        self.account_id = account["account"]["id"].as_str().expect("an id").into();
        self.key = self.made(&cookie, "/api/v1/api-keys", &json!({"name": "k"}))["key"]
            .as_str()
            .expect("a key")
            .into();
        let account_id = &self.account_id;
        let master = self.stores.open(&Place::Master).expect("a file");
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
            ("domains", json!({"name": SPARE_DOMAIN})),
            ("views", json!({"name": "V", "search": {}, "shared": true})),
            (
                "rules",
                json!({"name": "R", "trigger": trigger, "action": action}),
            ),
            (
                "rules",
                json!({"name": "To delete", "trigger": {"type": "open"}, "action": action}),
            ),
            (
                "sequences",
                json!({"name": "S", "trigger": {"type": "open"}, "steps": [{"action": action}]}),
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
        // A lead, the third, that can go.
        let lead = json!({"email": "c@x.test"});
        let made = self.call("POST", &format!("{base}/leads"), Some(&lead));
        assert_eq!(made.status.as_u16(), 201, "{}", text(made));
        // One mail that was written, and one that waits.
        let tenant = self.stores.open(&Place::Slot(1)).expect("a file");
        let written = "insert into message (request_id, message_id, recipient, subject, body, created_at) values (1, 'm', 'a', 's', 'b', ?1)";
        assert_eq!(tenant.execute(written, params![now()]).expect("kept"), 1);
        // Two that a person is to approve.
        for id in [103, 104] {
            let awaiting = "insert into request (id, kind, status, dedupe_key, run_at, awaits_approval, created_at, updated_at) \
                            values (?1, 'outreach', 'pending', 'test:' || ?1, 0, 1, 0, 0)";
            assert_eq!(tenant.execute(awaiting, params![id]).expect("kept"), 1);
        }
    }

    /// Makes something by a session's cookie.
    fn made(&self, cookie: &str, target: &str, body: &Value) -> Value {
        let headers = [("cookie", cookie), ("content-type", "application/json")];
        let made = self.send("POST", target, &headers, body.to_string().into_bytes());
        assert!(made.status.is_success(), "{target}: {}", text(made));
        serde_json::from_str(&text(made)).expect("JSON")
    }

    fn one_more(&self) -> String {
        self.people.set(self.people.get() + 1);
        format!("person{}@agency.example", self.people.get())
    }

    /// Somebody of the account, with a grant.
    fn person(&self) -> String {
        let db = self.stores.open(&Place::Master).expect("a file");
        let (id, now) = (format!("person {}", self.people.get()), now());
        let user = User::new(
            id,
            self.account_id.clone(),
            self.one_more(),
            "-".into(),
            Role::Member,
            now,
        );
        assert!(user::insert(&*db, &user).expect("kept"));
        user::put_grant(&*db, &user.id, SUBACCOUNT, Role::Client, now).expect("kept");
        user.id
    }

    fn invite(&self) -> String {
        let db = self.stores.open(&Place::Master).expect("a file");
        let sender = user::by_email(&*db, "you@agency.example")
            .expect("rows")
            .expect("them");
        let invite = Invite {
            id: format!("invite {}", self.people.get()),
            account_id: self.account_id.clone(),
            email: self.one_more(),
            role: Role::Member,
            invited_by_id: sender.id,
            invited_by: sender.email,
            created_at: now(),
            expires_at: now() + 60_000,
            grants: Default::default(),
        };
        invite::insert(&*db, &invite).expect("kept");
        invite.id
    }

    fn key(&self) -> String {
        let db = self.stores.open(&Place::Master).expect("a file");
        let owner = user::by_email(&*db, "you@agency.example")
            .expect("rows")
            .expect("them");
        let key = ApiKey {
            id: format!("key {}", self.people.get()),
            name: "spare".into(),
            prefix: "slk_".into(),
            limits: Default::default(),
            expires_at: None,
            created_at: now(),
            last_used_at: None,
            user_id: owner.id,
            owner: owner.email,
        };
        api_key::insert(&*db, &self.account_id, &key, &self.one_more()).expect("kept");
        key.id
    }

    /// The secret part of a link, as if it had come by mail.
    fn link(&self, purpose: Purpose, user_id: Option<String>, invite_id: Option<String>) -> String {
        let db = self.stores.open(&Place::Master).expect("a file");
        let email = user_id
            .as_deref()
            .and_then(|id| user::get(&*db, id).expect("rows"));
        let email = email.map(|u| u.email).unwrap_or_default();
        let token = Token {
            user_id,
            invite_id,
            email,
        };
        let secret = self.one_more();
        let hash = web::auth::token_hash(purpose.name(), &secret);
        token::insert(&*db, &hash, purpose, &token, now(), now() + 60_000).expect("kept");
        secret
    }

    /// Somebody who has just signed up, as far with their second factor as a call needs, and a code for it.
    fn newcomer(&self, path: &str) -> (String, String) {
        let person =
            json!({"email": self.one_more(), "password": "correct horse", "account": "Theirs"});
        let cookie = cookie(&self.call("POST", "/api/v1/signup", Some(&person)));
        if !path.contains("second-factor/") {
            return (cookie, String::new());
        }
        let proof = json!({"password": "correct horse"});
        let setup = self.made(&cookie, "/api/v1/second-factor", &proof);
        let secret = totp::of_base32(setup["secret"].as_str().expect("a secret")).expect("base32");
        let step = totp::step_at(now());
        if path.ends_with("confirmation") {
            return (cookie, totp::code(&secret, step));
        }
        let code = json!({"code": totp::code(&secret, step)});
        self.made(&cookie, "/api/v1/second-factor/confirmation", &code);
        (cookie, totp::code(&secret, step + 1))
    }

    /// A described call with its sample, on things that are there.
    fn sample(&self, method: &str, path: &str, operation: &Value, example: &Value) -> Sample {
        let mut body = example.clone();
        let is_for_sessions = operation["security"] == json!([{"session": []}]);
        let (mut cookie, mut key) = (String::new(), format!("Bearer {}", self.key));
        if is_for_sessions {
            let (newcomer, code) = self.newcomer(path);
            (cookie, key) = (newcomer, String::new());
            if !code.is_empty() && body.get("code").is_some() {
                body["code"] = json!(code);
            }
        }
        if body.get("token").is_some() {
            body["token"] = json!(match path {
                "/api/v1/confirmations" => self.link(Purpose::Confirm, Some(self.person()), None),
                "/api/v1/invites/acceptance" =>
                    self.link(Purpose::Invite, None, Some(self.invite())),
                _ => self.link(Purpose::Reset, Some(self.person()), None),
            });
        }
        let bytes = match method {
            "GET" | "DELETE" => Vec::new(),
            _ => body.to_string().into_bytes(),
        };
        let target = match path.strip_prefix("/s/") {
            Some(rest) => {
                let id = match path.rsplit_once("requests/{id}/") {
                    None if method == "DELETE" && path.ends_with("/rules/{id}") => "2",
                    None if path.ends_with("/erasure") => "3",
                    Some((_, "cancellation")) => "2",
                    Some((_, "approval")) => "103",
                    Some((_, "rejection")) => "104",
                    _ => "1",
                };
                format!("/s/{rest}").replace("{id}", id)
            }
            None => path.replace("{id}", &self.id_for(path, &cookie)),
        };
        let target = target
            .replace("{subaccount}", SUBACCOUNT)
            .replace("{place}", SUBACCOUNT)
            .replace("{name}", SPARE_DOMAIN);
        (target, key, cookie, bytes)
    }

    /// A worker that has joined and was not revoked.
    fn node(&self) -> String {
        let known = self.node.borrow().clone();
        let there = self.call("GET", &format!("/api/v1/nodes/{known}"), None);
        if !known.is_empty() && !text(there).contains("revoked") {
            return known;
        }
        let made = self.call("POST", "/api/v1/nodes", Some(&json!({"kind": "worker"})));
        let made: Value = serde_json::from_str(&text(made)).expect("JSON");
        let token = json!({"token": made["join_token"], "kind": "slave"});
        let other = self.call("POST", "/node/v1/join", Some(&token));
        assert_eq!(other.status.as_u16(), 401, "{}", text(other));
        let token = json!({"token": made["join_token"], "kind": "worker"});
        let joined = self.call("POST", "/node/v1/join", Some(&token));
        assert_eq!(joined.status.as_u16(), 200, "{}", text(joined));
        let id = made["id"].as_str().expect("an id").to_owned();
        self.node.replace(id.clone());
        id
    }

    /// The id of something new that a path can name.
    fn id_for(&self, path: &str, cookie: &str) -> String {
        match path.split('/').nth(3) {
            Some("api-keys") => self.key(),
            Some("people") => self.person(),
            Some("nodes") => self.node(),
            Some("invites") => self.invite(),
            Some("sessions") if !cookie.is_empty() => {
                let sessions =
                    text(self.send("GET", "/api/v1/sessions", &[("cookie", cookie)], Vec::new()));
                let sessions: Value = serde_json::from_str(&sessions).expect("JSON");
                sessions["items"][0]["id"]
                    .as_str()
                    .expect("an id")
                    .to_owned()
            }
            _ => SUBACCOUNT.to_owned(),
        }
    }

    fn context(&self, node: usize) -> Context<'_> {
        Context {
            stores: &self.stores,
            config: &self.config,
            now: now(),
            own: None,
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
            if !value.is_empty() {
                map.append(*name, HeaderValue::from_str(value).expect("a value"));
            }
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
                        format!("/{word}/{{}}/{second}/{{}}"),
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
            Some(rest) if rest.contains("/domains/") => {
                format!("/s/{SUBACCOUNT}{}", rest.replace("{}", SPARE_DOMAIN))
            }
            // The lead that everything else is asked about stays.
            Some(rest) if rest.ends_with("/erasure") => {
                format!("/s/{SUBACCOUNT}{}", rest.replace("{}", "3"))
            }
            Some(rest) => format!("/s/{SUBACCOUNT}{}", rest.replace("{}", "1")),
            // Making something for each word that no call has would take its time.
            None if !path.contains("{}") => path.to_owned(),
            None => {
                let id = self.id_for(path, "");
                path.replacen("{}", &id, 1).replace("{}", SUBACCOUNT)
            }
        };
        let asked = request(method, &path, HeaderMap::new(), Vec::new());
        if is_upload(&asked)
            || is_restoration(&asked)
            || custom_domain::asked(&asked).is_some_and(|(_, api)| api)
        {
            return true;
        }
        if path.ends_with(SPARE_DOMAIN) {
            // It may just have been given up.
            let again = json!({"name": SPARE_DOMAIN});
            self.call(
                "POST",
                &format!("/s/{SUBACCOUNT}/api/v1/domains"),
                Some(&again),
            );
        }
        let status = self.call(method, &path, Some(&json!({}))).status.as_u16();
        !matches!(status, 404 | 405)
    }
}

/// The cookie of an answer that begins a session.
fn cookie(response: &Response) -> String {
    let cookie = response.headers["set-cookie"].to_str().expect("text");
    cookie.split(';').next().expect("a pair").to_owned()
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
