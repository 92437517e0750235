//! `openapi.json` is valid, and true.

use std::collections::BTreeSet;
use std::process::Command;

use serde_json::{Value, json};
use tests::harness::{Agency, Http, SOON, Sink, Sluice, Sub, eventually_true, people, root};

#[test]
fn the_description_is_valid_by_the_specification() {
    let sluice = Sluice::start();
    let reply = sluice.http().get("/openapi.json").expect(200);
    assert!(
        reply
            .header("content-type")
            .unwrap()
            .starts_with("application/json")
    );
    assert!(
        reply.json()["openapi"]
            .as_str()
            .unwrap()
            .starts_with("3.1.")
    );
    let file = sluice.scratch().join("openapi.json");
    std::fs::write(&file, &reply.body).unwrap();
    let python = root().join(".cache/venv/bin/python");
    let judge = Command::new(python)
        .args(["-m", "openapi_spec_validator"])
        .arg(&file)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&judge.stdout).into_owned()
        + &String::from_utf8_lossy(&judge.stderr);
    assert!(judge.status.success(), "{said}");
}

#[test]
fn the_calls_of_the_main_job_are_described() {
    let sluice = Sluice::start();
    let api = sluice.http().get("/openapi.json").expect(200).json();
    let described: BTreeSet<_> = operations(&api)
        .map(|(method, path)| format!("{method} {}", shape(&path)))
        .collect();
    for call in [
        "POST /api/v1/signup",
        "POST /api/v1/login",
        "POST /api/v1/api-keys",
        "POST /api/v1/subaccounts",
        "GET /api/v1/subaccounts/{}",
        "POST /s/{}/api/v1/imports",
        "GET /s/{}/api/v1/imports/{}",
        "GET /s/{}/api/v1/imports/{}/errors.csv",
        "GET /s/{}/api/v1/leads",
        "POST /s/{}/api/v1/leads",
        "POST /s/{}/api/v1/profiles",
        "POST /s/{}/api/v1/rules",
        "GET /s/{}/api/v1/requests",
        "GET /s/{}/api/v1/timeline",
    ] {
        assert!(
            described.contains(call),
            "{call} is not among {described:?}"
        );
    }
}

#[test]
fn everything_described_is_there_and_answers_as_described() {
    let (sluice, sink) = (Sluice::start(), Sink::start());
    let agency = Agency::sign_up(&sluice);
    let sub = agency.subaccount("Acme");
    let api = sluice.http().get("/openapi.json").expect(200).json();
    sub.import("tag=hot", people("ann", 3));
    // One that waits for its columns to be mapped: only then they can be looked at.
    let waiting = sub.upload("preview=1", people("bo", 3)).to_string();
    let waiting = waiting.trim_matches('"');
    sub.profile(&sink);
    sub.rule("hot", "Hello", "Hi");
    let step = json!({"action": {"type": "add_tag", "tag": "seen"}});
    let sequence =
        json!({"name": "S", "trigger": {"type": "tag_added", "tag": "cold"}, "steps": [step]});
    sub.http.post("/api/v1/sequences", &sequence).expect(201);
    sink.wait_for(3);
    eventually_true("a timeline", SOON, || {
        sub.timeline("outreach_performed") == 3
    });

    let caller = agency.http.under(&sluice.url());
    // Nothing can be told of somebody who was erased.
    let mut all: Vec<_> = operations(&api).collect();
    all.sort_by_key(|(_, path)| path.ends_with("/erasure"));
    for (method, path) in all {
        let operation = &api["paths"][&path][method.to_lowercase()];
        // What proves who somebody is, only they change, and no key of theirs.
        let caller = match operation["security"] == json!([{"session": []}]) {
            true => &agency.browser.under(&sluice.url()),
            false => &caller,
        };
        let node = if method == "GET" { "local" } else { "1" };
        let path_of_one = match path.ends_with("/imports/{id}/preview") {
            true => &path.replace("{id}", waiting),
            false => &path,
        };
        let url = filled(path_of_one, &sub, node, operation);
        let body = if method == "GET" {
            Vec::new()
        } else {
            b"{}".to_vec()
        };
        let reply = caller.send(
            &method,
            &url,
            &[("content-type", "application/json")],
            &body,
        );
        assert!(
            !matches!(reply.status, 405 | 500..),
            "{method} {url}: {} {}",
            reply.status,
            reply.text()
        );
        let status = reply.status.to_string();
        let answers = operation["responses"].as_object().unwrap();
        let answer = answers
            .get(&status)
            .or(answers.get(&format!("{}XX", &status[..1])))
            .or(answers.get("default"));
        let answer =
            answer.unwrap_or_else(|| panic!("{method} {url} answered {status}: {}", reply.text()));
        if method == "GET" && !path.contains("unsubscribe") {
            assert_eq!(reply.status, 200, "{method} {url}: {}", reply.text());
        }
        let schema = &resolve(&api, answer)["content"]["application/json"]["schema"];
        if !schema.is_null()
            && reply
                .header("content-type")
                .is_some_and(|t| t.starts_with("application/json"))
        {
            conforms(&api, schema, &reply.json(), &format!("{method} {path}"));
        }
    }
    // Among what was called is logging out.
    let other = Agency::sign_up(&sluice);
    made_things_conform(&api, &caller, &other.browser.under(&sluice.url()), &sub);
}

/// Calls that make something, with their real bodies. A key is made by a person.
fn made_things_conform(api: &Value, caller: &Http, person: &Http, sub: &Sub) {
    let settings = json!({"host": "127.0.0.1", "port": 25, "tls": "none", "from": "ann@x.test"});
    let action =
        json!({"type": "new_outreach", "outreach_type": "email", "subject": "s", "body": "b"});
    let base = format!("/s/{}", sub.id);
    for (path, body) in [
        ("/api/v1/api-keys".to_owned(), json!({"name": "more"})),
        ("/api/v1/subaccounts".to_owned(), json!({"name": "more"})),
        (
            format!("{base}/api/v1/leads"),
            json!({"email": "new@x.test"}),
        ),
        (
            format!("{base}/api/v1/profiles"),
            json!({"name": "P", "type": "smtp", "settings": settings}),
        ),
        (
            format!("{base}/api/v1/rules"),
            json!({"name": "R", "trigger": {"type": "tag_added", "tag": "t"}, "action": action}),
        ),
    ] {
        let caller = match path.ends_with("/api-keys") {
            true => person,
            false => caller,
        };
        let reply = caller.post(&path, &body);
        assert!(
            (200..300).contains(&reply.status),
            "{path}: {}",
            reply.text()
        );
        let wanted = shape(&path.replace(&sub.id, "{id}"));
        let described = operations(api)
            .find(|(m, p)| m == "POST" && shape(p) == wanted)
            .unwrap()
            .1;
        let answer = &api["paths"][&described]["post"]["responses"][reply.status.to_string()];
        assert!(!answer.is_null(), "POST {path} answers {}", reply.status);
        let schema = &resolve(api, answer)["content"]["application/json"]["schema"];
        assert!(!schema.is_null(), "POST {path} has a schema");
        conforms(api, schema, &reply.json(), &path);
    }
}

fn operations(api: &Value) -> impl Iterator<Item = (String, String)> {
    let paths = api["paths"].as_object().expect("paths").iter();
    paths.flat_map(|(path, item)| {
        let methods = ["get", "post", "put", "patch", "delete"].into_iter();
        methods
            .filter(|m| item.get(*m).is_some())
            .map(|m| (m.to_uppercase(), path.clone()))
    })
}

/// A path with its parameters' names taken out.
fn shape(path: &str) -> String {
    path.split('/')
        .map(|part| if part.starts_with('{') { "{}" } else { part })
        .collect::<Vec<_>>()
        .join("/")
}

/// A path with the values of things that are there, and its required query.
fn filled(path: &str, sub: &Sub, node: &str, operation: &Value) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        let value = match parts.last() {
            Some(&("s" | "subaccounts")) => &sub.id,
            Some(&"nodes") => node,
            _ => "1",
        };
        parts.push(if part.starts_with('{') { value } else { part });
    }
    let needed = operation["parameters"].as_array().into_iter().flatten();
    let needed = needed
        .filter(|p| p["in"] == "query" && p["required"] == true)
        .filter_map(|p| p["name"].as_str());
    let query: Vec<_> = needed
        .map(|name| {
            if name == "metric" {
                "metric=outreach_performed".into()
            } else {
                format!("{name}=1")
            }
        })
        .collect();
    format!("{}?{}", parts.join("/"), query.join("&"))
}

fn resolve<'a>(api: &'a Value, node: &'a Value) -> &'a Value {
    match node["$ref"].as_str() {
        Some(reference) => resolve(
            api,
            api.pointer(reference.trim_start_matches('#'))
                .expect("what a $ref names"),
        ),
        None => node,
    }
}

/// Types, required members and enumerations, as deep as the schema goes.
fn conforms(api: &Value, schema: &Value, value: &Value, at: &str) {
    let schema = resolve(api, schema);
    for word in ["oneOf", "anyOf"] {
        if let Some(choices) = schema[word].as_array() {
            let fits = choices
                .iter()
                .any(|choice| fits_type(resolve(api, choice), value));
            assert!(fits, "{at} fits none of {word}: {value}");
            return;
        }
    }
    schema["allOf"]
        .as_array()
        .into_iter()
        .flatten()
        .for_each(|part| conforms(api, part, value, at));
    assert!(
        fits_type(schema, value),
        "{at} should be {}: {value}",
        schema["type"]
    );
    if let Some(allowed) = schema["enum"].as_array() {
        assert!(
            allowed.contains(value),
            "{at} is none of {allowed:?}: {value}"
        );
    }
    for name in schema["required"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
    {
        assert!(value.get(name).is_some(), "{at} lacks {name}: {value}");
    }
    for (name, inner) in schema["properties"].as_object().into_iter().flatten() {
        if let Some(member) = value.get(name) {
            conforms(api, inner, member, &format!("{at}.{name}"));
        }
    }
    for item in value.as_array().into_iter().flatten() {
        if schema.get("items").is_some() {
            conforms(api, &schema["items"], item, &format!("{at}[]"));
        }
    }
}

fn fits_type(schema: &Value, value: &Value) -> bool {
    let fits = |name: &str| match name {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        "boolean" => value.is_boolean(),
        "null" => value.is_null(),
        _ => false,
    };
    match &schema["type"] {
        Value::String(name) => fits(name),
        Value::Array(names) => names.iter().filter_map(Value::as_str).any(fits),
        _ => true,
    }
}
