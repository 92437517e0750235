//! What programs get wrong is answered by a problem that names the field, and other people's things are not there.

use serde_json::{Value, json};
use tests::harness::{Agency, Sluice};

#[test]
fn wrong_bodies_are_answered_by_a_problem_that_names_the_field() {
    let sluice = Sluice::start();
    let nobody = sluice.http();
    let good = json!({"email": "a@b.test", "password": "correct horse battery", "account": "A"});
    for (field, value) in [
        ("email", json!("nobody")),
        ("email", json!(7)),
        ("email", Value::Null),
        ("password", json!("short")),
        ("password", json!([])),
        ("account", json!("")),
        ("colour", json!("red")),
    ] {
        nobody
            .post("/api/v1/signup", &with(&good, field, value))
            .expect_problem_on(field);
    }
    nobody
        .post(
            "/api/v1/signup",
            &json!({"email": "a@b.test", "account": "A"}),
        )
        .expect_problem_on("password");

    let agency = Agency::sign_up(&sluice);
    agency
        .browser
        .post("/api/v1/api-keys", &json!({"name": 5}))
        .expect_problem_on("name");
    agency
        .http
        .post("/api/v1/subaccounts", &json!({"name": "x", "size": 3}))
        .expect_problem_on("size");
    agency
        .http
        .post("/api/v1/subaccounts", &json!({}))
        .expect_problem_on("name");

    let sub = agency.subaccount("Acme");
    let lead = json!({"email": "ann@x.test"});
    for (field, value) in [
        ("email", json!("nobody")),
        ("first_name", json!({})),
        ("frist_name", json!("A")),
        ("data", json!(1)),
    ] {
        sub.http
            .post("/api/v1/leads", &with(&lead, field, value))
            .expect_problem_on(field);
    }
    let settings = json!({"host": "127.0.0.1", "port": 25, "tls": "none", "from": "ann@x.test"});
    let profile =
        |settings: Value| json!({"name": "P", "type": "smtp", "settings": settings, "quotas": {}});
    for (field, value) in [
        ("port", json!("x")),
        ("port", json!(70_000)),
        ("tls", json!("maybe")),
        ("from", json!("nobody")),
        ("from", json!("a@x.test\r\nBcc: b@x.test")),
        ("host", json!("")),
        ("hots", json!("x")),
    ] {
        sub.http
            .post("/api/v1/profiles", &profile(with(&settings, field, value)))
            .expect_problem_on(field);
    }
    let fine = profile(settings);
    sub.http
        .post("/api/v1/profiles", &with(&fine, "type", json!("pigeon")))
        .expect_problem_on("type");
    sub.http
        .post(
            "/api/v1/profiles",
            &with(&fine, "quotas", json!({"daily_max": -1})),
        )
        .expect_problem_on("daily_max");

    let action =
        json!({"type": "new_outreach", "outreach_type": "email", "subject": "s", "body": "b"});
    let rule =
        json!({"name": "R", "trigger": {"type": "tag_added", "tag": "hot"}, "action": action});
    for (field, value) in [
        ("trigger", json!({"type": "full_moon"})),
        ("tag", json!({"type": "tag_added"})),
        ("delay_s", json!(-1)),
        ("delay_s", json!("soon")),
        ("filter", json!({"perhaps": []})),
        (
            "subject",
            json!({"type": "new_outreach", "outreach_type": "email", "body": "b"}),
        ),
    ] {
        let place = match field {
            "tag" => "trigger",
            "subject" => "action",
            place => place,
        };
        sub.http
            .post("/api/v1/rules", &with(&rule, place, value))
            .expect_problem_on(field);
    }
}

#[test]
fn bodies_that_are_no_json_at_all_are_a_problem_and_no_crash() {
    let sluice = Sluice::start();
    let agency = Agency::sign_up(&sluice);
    let sub = agency.subaccount("Acme");
    let deep = "[".repeat(100_000);
    for body in [
        "",
        "{",
        "nonsense",
        "[]",
        "7",
        "null",
        "\"x\"",
        "{\"email\":\"\u{0}\"}",
        &deep,
        "{\"email\":\"a@b.test\"}x",
    ] {
        for (http, path) in [
            (&agency.http, "/api/v1/subaccounts"),
            (&sub.http, "/api/v1/leads"),
            (&sub.http, "/api/v1/rules"),
        ] {
            let reply = http.post_bytes(path, "application/json", body.as_bytes());
            assert!(
                (400..500).contains(&reply.status),
                "{path} {}: {}",
                body.len(),
                reply.status
            );
            assert!(
                reply
                    .header("content-type")
                    .unwrap()
                    .starts_with("application/problem+json"),
                "{}",
                reply.text()
            );
        }
    }
    let reply = sub.http.post_bytes(
        "/api/v1/leads",
        "application/json",
        b"{\"email\":\"\xff@b.test\"}",
    );
    assert!((400..500).contains(&reply.status), "{}", reply.status);
    for query in [
        "limit=0",
        "limit=x",
        "limit=-1",
        "cursor=nonsense",
        "cursor=%00",
    ] {
        let reply = sub.http.get(&format!("/api/v1/leads?{query}"));
        assert!(reply.status < 500, "{query}: {}", reply.text());
    }
    for query in [
        "metric=nonsense",
        "metric=outreach_performed&step=year",
        "metric=outreach_performed&from=x",
        "from=2026-02-02&to=2026-02-01",
    ] {
        let reply = sub.http.get(&format!("/api/v1/timeline?{query}"));
        assert!(
            (400..500).contains(&reply.status),
            "{query}: {} {}",
            reply.status,
            reply.text()
        );
    }
    assert!(sluice.is_up());
}

#[test]
fn what_is_unknown_or_somebody_elses_is_not_found() {
    let sluice = Sluice::start();
    let (ann, eve) = (Agency::sign_up(&sluice), Agency::sign_up(&sluice));
    let (anns, eves) = (ann.subaccount("Ann's"), eve.subaccount("Eve's"));
    let import = anns.upload("tag=hot", "email\nann@x.test\n");
    anns.import_end(&import);

    for path in [
        "/api/v1/imports/999",
        "/api/v1/imports/x",
        "/api/v1/imports/999/errors.csv",
        "/api/v1/nonsense",
    ] {
        let reply = anns.http.get(path);
        assert_eq!(reply.status, 404, "{path}: {}", reply.text());
    }
    let unknown = "00000000-0000-7000-8000-000000000000";
    assert_eq!(
        ann.http
            .get(&format!("/api/v1/subaccounts/{unknown}"))
            .status,
        404
    );
    assert_eq!(ann.http.get("/api/v1/subaccounts/x").status, 404);
    assert!(matches!(
        ann.http
            .under(&format!("{}/s/{unknown}", sluice.url()))
            .get("/api/v1/leads")
            .status,
        403 | 404
    ));

    assert_eq!(
        eve.http
            .get(&format!("/api/v1/subaccounts/{}", anns.id))
            .status,
        404
    );
    let intruder = eve.http.under(anns.http.base());
    for path in [
        "/api/v1/leads",
        "/api/v1/requests",
        "/api/v1/timeline?metric=outreach_performed",
        "/",
        "/leads",
    ] {
        assert!(matches!(intruder.get(path).status, 403 | 404), "{path}");
    }
    let lead = json!({"email": "x@x.test"});
    assert!(matches!(
        intruder.post("/api/v1/leads", &lead).status,
        403 | 404
    ));
    for caller in [
        anns.http.anonymous(),
        anns.http.with_key("nonsense"),
        anns.http.with_session("session=x"),
    ] {
        assert_eq!(caller.get("/api/v1/leads").status, 401);
        assert_eq!(caller.post("/api/v1/leads", &lead).status, 401);
    }
    assert_eq!((anns.leads("").len(), eves.leads("").len()), (1, 0));
}

#[test]
fn a_session_cannot_be_ridden_from_another_site() {
    let sluice = Sluice::start();
    let agency = Agency::sign_up(&sluice);
    let login = json!({"email": agency.email, "password": agency.password});
    let reply = sluice.http().post("/api/v1/login", &login).expect(200);
    let set = reply.header("set-cookie").unwrap().to_owned();
    assert!(
        set.contains("HttpOnly") && set.contains("SameSite=Lax") && set.contains("Path=/"),
        "{set}"
    );
    let cookie = reply.cookie().unwrap();
    let post = |origin: &str| {
        let headers = [
            ("cookie", cookie.as_str()),
            ("origin", origin),
            ("content-type", "application/json"),
        ];
        sluice
            .http()
            .send("POST", "/api/v1/subaccounts", &headers, b"{\"name\":\"x\"}")
            .status
    };
    assert_eq!(post("https://evil.test"), 403);
    assert_eq!(post("null"), 403);
    assert_eq!(post(&sluice.url()), 202);

    let wrong = json!({"email": agency.email, "password": "not the password"});
    let unknown = json!({"email": "nobody@agency.test", "password": "not the password"});
    let (wrong, unknown) = (
        sluice.http().post("/api/v1/login", &wrong),
        sluice.http().post("/api/v1/login", &unknown),
    );
    assert_eq!((wrong.status, unknown.status), (401, 401));
    assert_eq!(
        wrong.json()["detail"],
        unknown.json()["detail"],
        "who has an account stays private"
    );
}

fn with(body: &Value, field: &str, value: Value) -> Value {
    let mut body = body.clone();
    body[field] = value;
    body
}
