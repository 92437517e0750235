//! A team: who was invited works where they were let in, with the rights of their role; and so do their keys.

use serde_json::{Value, json};
use tests::harness::{
    Agency, Http, Options, Sink, Sluice, Sub, eventually, eventually_true, now_ms,
};

use crate::nodes::{REVOKED, healthy, master, slave};

/// Somebody whom an agency invited and who accepted, with a session of theirs.
fn joined(relay: &Sink, sluice: &Sluice, agency: &Agency, invite: &Value) -> Http {
    agency.browser.post("/api/v1/invites", invite).expect(201);
    let email = invite["email"].as_str().unwrap();
    let mails = || relay.mails().into_iter().rfind(|m| m.to() == email);
    let mail = eventually("an invitation", tests::harness::SOON, mails);
    assert!(mail.text().contains(&agency.email), "{}", mail.text());
    let body = json!({"token": mail.token(), "password": "correct horse"});
    let reply = sluice.http().post("/api/v1/invites/acceptance", &body);
    let reply = reply.expect(201);
    sluice
        .http()
        .post("/api/v1/invites/acceptance", &body)
        .expect(404);
    sluice.http().with_session(&reply.cookie().unwrap())
}

fn in_place(email: &str, role: &str, sub: &Sub) -> Value {
    json!({"email": email, "role": role, "grants": [{"subaccount_id": sub.id, "role": role}]})
}

/// What changes a sub-account, as method, path and body.
fn changes() -> Vec<(&'static str, String, Value)> {
    let settings = json!({"host": "127.0.0.1", "port": 25, "from": "a@b.test"});
    vec![
        (
            "POST",
            "/leads".into(),
            json!({"email": "x@y.test", "tags": ["new"]}),
        ),
        ("POST", "/imports?tag=new".into(), json!("email\nx@y.test")),
        (
            "POST",
            "/profiles".into(),
            json!({"name": "P", "type": "smtp", "settings": settings, "quotas": {}}),
        ),
        (
            "POST",
            "/rules".into(),
            json!({"name": "R", "trigger": {"type": "tag_added", "tag": "t"}, "delay_s": 0,
                "action": {"type": "new_outreach", "outreach_type": "email", "subject": "s", "body": "b"}}),
        ),
        ("PATCH", "/rules/1".into(), json!({"active": false})),
        ("POST", "/requests/1/cancellation".into(), json!({})),
        ("PUT", "/settings".into(), json!({"name": "Mine"})),
        ("DELETE", "/logo".into(), Value::Null),
        (
            "POST",
            "/domains".into(),
            json!({"name": "leads.client.example"}),
        ),
    ]
}

fn status(http: &Http, (method, path, body): &(&str, String, Value)) -> u16 {
    let kind = [("content-type", "application/json")];
    let bytes = body.to_string();
    http.send(method, &format!("/api/v1{path}"), &kind, bytes.as_bytes())
        .status
}

#[test]
fn members_and_clients_do_what_their_roles_allow_where_they_were_let_in() {
    let relay = Sink::start();
    let options = Options::default().env("SLUICE_RELAY", relay.relay());
    let sluice = options.start();
    let ann = Agency::sign_up(&sluice);
    let (acme, other) = (ann.subaccount("Acme"), ann.subaccount("Other"));
    acme.import("tag=hot", "email\nlead@acme.test\n");
    acme.rule("hot", "Hello", "Hi");

    let client = joined(
        &relay,
        &sluice,
        &ann,
        &in_place("cli@client.test", "client", &acme),
    );
    let member = joined(
        &relay,
        &sluice,
        &ann,
        &in_place("mem@agency.test", "member", &acme),
    );
    let at = |http: &Http, sub: &Sub| http.under(sub.http.base());

    // A client sees what there is, and changes nothing of it.
    let looks = [
        "leads", "tags", "imports", "profiles", "rules", "requests", "rules/1",
    ];
    for path in looks {
        at(&client, &acme)
            .get(&format!("/api/v1/{path}"))
            .expect(200);
    }
    for change in changes() {
        assert_eq!(status(&at(&client, &acme), &change), 403, "{change:?}");
    }
    assert_eq!(acme.leads("").len(), 1);
    let pages = at(&client, &acme);
    pages.get("/leads").expect(200);
    for path in ["/rules", "/profiles", "/imports", "/settings"] {
        let form = "application/x-www-form-urlencoded";
        pages.post_bytes(path, form, b"name=Mine").expect(403);
    }

    // A member works there; how it looks to clients is not theirs to decide.
    let work = at(&member, &acme);
    let lead = json!({"email": "new@acme.test"});
    work.post("/api/v1/leads", &lead).expect(201);
    work.put("/api/v1/settings", &json!({"name": "Mine"}))
        .expect(403);

    // The account is neither's to run, and what they were not let into does not exist for them.
    for http in [&client, &member] {
        for path in ["people", "invites", "audit-log", "nodes"] {
            http.get(&format!("/api/v1/{path}")).expect(403);
        }
        let invite = json!({"email": "more@x.test", "role": "client"});
        http.post("/api/v1/invites", &invite).expect(403);
        http.post("/api/v1/subaccounts", &json!({"name": "More"}))
            .expect(403);
        http.delete(&format!("/api/v1/subaccounts/{}", acme.id))
            .expect(403);
        at(http, &other).get("/api/v1/leads").expect(404);
        http.get(&format!("/api/v1/subaccounts/{}", other.id))
            .expect(404);
        let seen = http.get("/api/v1/subaccounts").expect(200).json();
        assert_eq!(seen["items"].as_array().unwrap().len(), 1, "{seen}");
        assert_eq!(seen["items"][0]["id"], acme.id.as_str());
    }

    // Let in, and out again: both are known at the slave within seconds.
    let people = ann.http.get("/api/v1/people").expect(200).json();
    let mut people = people["items"].as_array().unwrap().iter();
    let id = people.find(|p| p["email"] == "mem@agency.test").unwrap()["id"].clone();
    let grant = format!(
        "/api/v1/people/{}/grants/{}",
        id.as_str().unwrap(),
        other.id
    );
    ann.http.put(&grant, &json!({"role": "client"})).expect(200);
    eventually_true("the member is let in", REVOKED, || {
        at(&member, &other).get("/api/v1/leads").status == 200
    });
    at(&member, &other).post("/api/v1/leads", &lead).expect(403);
    ann.http.delete(&grant).expect(204);
    eventually_true("the member is out", REVOKED, || {
        at(&member, &other).get("/api/v1/leads").status == 404
    });
    ann.http
        .delete(&format!("/api/v1/people/{}", id.as_str().unwrap()))
        .expect(204);
    member.get("/api/v1/me").expect(401);
    eventually_true("the member is gone", REVOKED, || {
        work.get("/api/v1/leads").status == 401
    });
    log_tells(&ann, &acme);
}

/// The audit log says who changed what, and is read by nobody else.
fn log_tells(ann: &Agency, acme: &Sub) {
    let log = ann.http.get("/api/v1/audit-log?limit=100").expect(200);
    let log = log.json()["items"].clone();
    let find = |action: &str, subject: &str| {
        let is_it = |e: &&Value| e["action"] == action && e["subject"] == subject;
        let entry = log.as_array().unwrap().iter().find(is_it);
        entry
            .unwrap_or_else(|| panic!("{action} {subject} in {log}"))
            .clone()
    };
    let member = "mem@agency.test";
    assert_eq!(find("invite.sent", member)["who"], ann.email.as_str());
    assert_eq!(find("person.joined", member)["who"], member);
    let taken = find("grant.taken", member);
    assert_eq!(taken["before"]["role"], "client", "{taken}");
    let removed = find("person.removed", member);
    assert_eq!(
        removed["before"]["grants"][0]["subaccount_id"],
        acme.id.as_str()
    );
    assert_eq!(find("subaccount.requested", "Acme")["address"], "127.0.0.1");
    assert!(removed["via"].as_str().unwrap().starts_with("key "));
    find("grant.given", member);
    find("api_key.created", "tests");
    assert!(!log.to_string().contains(&ann.password));
}

#[test]
fn a_key_reaches_as_far_as_its_scopes_and_ends_within_two_seconds_on_a_slave() {
    let master = master();
    let (_north, id) = slave(&master, "north", 2);
    let ann = Agency::sign_up(&master);
    healthy(&ann, &id);
    let (acme, other) = (ann.subaccount("Acme"), ann.subaccount("Other"));
    let make = |body: Value| {
        let made = ann.browser.post("/api/v1/api-keys", &body).expect(201);
        let made = made.json();
        let http = master.http().with_key(made["key"].as_str().unwrap());
        (http, made)
    };
    let leads = |http: &Http, sub: &Sub| http.under(sub.http.base()).get("/api/v1/leads").status;

    let (reader, made) =
        make(json!({"name": "reader", "scopes": ["read"], "subaccounts": [acme.id]}));
    assert_eq!((leads(&reader, &acme), leads(&reader, &other)), (200, 404));
    let lead = json!({"email": "x@y.test"});
    let write = |http: &Http| http.under(acme.http.base()).post("/api/v1/leads", &lead);
    write(&reader).expect(403);
    reader.get("/api/v1/people").expect(403);
    let (writer, _) = make(json!({"name": "writer", "scopes": ["read", "write"]}));
    write(&writer).expect(201);
    writer
        .under(acme.http.base())
        .put("/api/v1/settings", &json!({"name": "Mine"}))
        .expect(403);

    // It is shown by its first characters, with when it was used.
    let listed = ann.http.get("/api/v1/api-keys").expect(200).json();
    let key = made["key"].as_str().unwrap();
    let mut items = listed["items"].as_array().unwrap().iter();
    let item = items.find(|k| k["id"] == made["id"]).unwrap();
    assert!(key.starts_with(item["prefix"].as_str().unwrap()) && !listed.to_string().contains(key));
    assert!(item["last_used_at"].as_i64().is_some(), "{item}");

    let path = format!("/api/v1/api-keys/{}", made["id"].as_str().unwrap());
    ann.browser.delete(&path).expect(204);
    ends(|| leads(&reader, &acme), now_ms(), "revoked");

    // One that ends by itself ends on the slave too, and not before.
    let end = now_ms() + 4_000;
    let (short, _) = make(json!({"name": "short", "expires_at": end}));
    while now_ms() < end - 500 {
        let status = leads(&short, &acme);
        assert!(status == 200 || now_ms() >= end, "{status}");
        std::thread::sleep(std::time::Duration::from_millis(200));
    }
    ends(|| leads(&short, &acme), end, "expired");
    short.get("/api/v1/me").expect(401);
}

fn ends(status: impl Fn() -> u16, since: i64, what: &str) {
    eventually_true(what, REVOKED, || status() == 401);
    println!("{what} after {} ms", now_ms() - since);
}
