//! Limits and approvals as people and programs set them.

mod site;

use http::Method;
use serde_json::{Value, json};
use site::{Person, Site, location, text};

fn api(person: &Person<'_>, method: Method, path: &str, body: &Value) -> (u16, Value) {
    let answer = person.call(method, path, &body.to_string());
    let body = serde_json::from_str(&text(&answer)).unwrap_or_default();
    (answer.status.as_u16(), body)
}

fn profile(person: &Person<'_>, base: &str) {
    let settings = json!({"host": "mail.test", "port": 25, "from": "ann@x.test"});
    let profile = json!({"name": "Ann", "type": "smtp", "settings": settings});
    let made = api(
        person,
        Method::POST,
        &format!("{base}/api/v1/profiles"),
        &profile,
    );
    assert_eq!(made.0, 201, "{made:?}");
}

#[test]
fn limits_are_set_by_programs_and_refused_by_their_field() {
    let site = Site::new();
    let person = site.sign_up("ann@agency.test");
    let base = person.sub_account("Acme");
    profile(&person, &base);
    let path = format!("{base}/api/v1/profiles/1");
    for (quotas, field) in [
        (json!({"daily_max": 0}), "quotas.daily_max"),
        (json!({"daily_max": -1}), "quotas.daily_max"),
        (json!({"hourly": 1}), "quotas"),
        (json!({"time_zone": "Mars"}), "quotas.time_zone"),
        (json!({"ramp": {"start": 1, "step": 1}}), "quotas.daily_max"),
        (
            json!({"windows": [{"days": ["mon"], "from": "9", "to": "10:00"}]}),
            "quotas.windows",
        ),
        (
            json!({"windows": [{"days": ["mon"], "from": "11:00", "to": "10:00"}]}),
            "quotas.windows.0.to",
        ),
    ] {
        let (status, problem) = api(&person, Method::PATCH, &path, &json!({"quotas": quotas}));
        let named = problem["errors"][0]["field"].as_str().unwrap_or_default();
        assert_eq!(status, 422, "{problem}");
        assert!(named.starts_with(field), "{field}: {problem}");
    }
    let quotas = json!({"daily_max": 9, "ramp": {"start": 1, "step": 2}, "order": "oldest"});
    let (status, kept) = api(&person, Method::PATCH, &path, &json!({"quotas": quotas}));
    assert_eq!((status, &kept["quotas"]["order"]), (200, &json!("oldest")));
    let since = kept["quotas"]["ramp"]["since"].as_i64().expect("a time");
    site.later(5_000);
    // The ramp goes on where it is, whatever else changes.
    let (_, kept) = api(&person, Method::PATCH, &path, &json!({"quotas": quotas}));
    assert_eq!(kept["quotas"]["ramp"]["since"], since);
    let (_, kept) = api(&person, Method::PATCH, &path, &json!({"quotas": {}}));
    assert_eq!(kept["quotas"], json!({}));
}

#[test]
fn limits_are_set_on_a_page_that_keeps_what_was_typed() {
    let site = Site::new();
    let person = site.sign_up("ann@agency.test");
    let base = person.sub_account("Acme");
    profile(&person, &base);
    let path = format!("{base}/profiles/1/limits");
    let mut fields = vec![
        ("daily_max", "50"),
        ("interval_s", "1.5"),
        ("ramp_start", "5"),
        ("ramp_step", "5"),
        ("mon", "09:00-12:00, 13:00-17:00"),
        ("tue", "nine to five"),
        ("time_zone", "Europe/Madrid"),
        ("windows_in", "lead"),
        ("order", "oldest"),
        ("approval", "1"),
    ];
    let refused = person.post(&path, &fields);
    assert_eq!(refused.status, 422);
    let html = text(&refused);
    assert!(html.contains("id=\"tue-problem\"") && html.contains("nine to five"));
    fields[5].1 = "09:00-12:00";
    assert_eq!(
        location(&person.post(&path, &fields)),
        format!("{base}/profiles")
    );
    let html = text(&person.get(&path));
    for part in [
        "09:00-12:00, 13:00-17:00",
        "value=\"1.500\"",
        "Europe/Madrid",
        "The warm-up began",
    ] {
        assert!(html.contains(part), "{part}");
    }
    let (_, kept) = api(
        &person,
        Method::GET,
        &format!("{base}/api/v1/profiles/1"),
        &json!({}),
    );
    let windows = json!([
        {"days": ["mon", "tue"], "from": "09:00", "to": "12:00"},
        {"days": ["mon"], "from": "13:00", "to": "17:00"},
    ]);
    assert_eq!(kept["quotas"]["windows"], windows);
    assert_eq!(kept["quotas"]["approval"], true);
    assert!(text(&person.get(&format!("{base}/profiles"))).contains("/profiles/1/limits\""));
    assert_eq!(person.get(&format!("{base}/profiles/9/limits")).status, 404);
}

#[test]
fn a_person_approves_or_rejects_one_or_all() {
    let site = Site::new();
    let person = site.sign_up("ann@agency.test");
    let base = person.sub_account("Acme");
    profile(&person, &base);
    let action = json!({"type": "new_outreach", "outreach_type": "email", "subject": "Hello {{first_name}}", "body": "Hi"});
    let rule = json!({"name": "R", "trigger": {"type": "tag_added", "tag": "hot"}, "action": action, "approval": true});
    let api_base = format!("{base}/api/v1");
    let made = api(&person, Method::POST, &format!("{api_base}/rules"), &rule);
    assert_eq!((made.0, &made.1["approval"]), (201, &json!(true)));
    let file = "email,first_name\na@x.test,Ann\nb@x.test,Bo\nc@x.test,Cy\nd@x.test,Di\n";
    person.import(&base, file, "hot");
    person.work();
    let get = |id: i64| {
        api(
            &person,
            Method::GET,
            &format!("{api_base}/requests/{id}"),
            &json!({}),
        )
        .1
    };
    let waiting = get(1);
    assert_eq!(waiting["awaits_approval"], true);
    assert_eq!(waiting["profile_id"], Value::Null);
    assert!(
        waiting["wait_reason"]
            .as_str()
            .expect("a reason")
            .contains("approve")
    );
    let page = text(&person.get(&format!("{base}/approvals")));
    assert!(
        page.contains("Hello Ann") && page.contains("Approve all 4"),
        "{page}"
    );
    assert!(text(&person.get(&format!("{base}/requests"))).contains("4 to approve"));

    let one = person.post(&format!("{base}/requests/1/approval"), &[]);
    assert_eq!(location(&one), format!("{base}/approvals"));
    person.work();
    assert_eq!(get(1)["profile_id"], 1);
    let again = api(
        &person,
        Method::POST,
        &format!("{api_base}/requests/1/approval"),
        &json!({}),
    );
    assert_eq!(again.0, 409);
    let (status, rejected) = api(
        &person,
        Method::POST,
        &format!("{api_base}/requests/2/rejection"),
        &json!({}),
    );
    assert_eq!((status, &rejected["status"]), (200, &json!("canceled")));

    let all = json!({"decision": "approve", "rule_id": 1, "up_to": 3});
    let (_, done) = api(
        &person,
        Method::POST,
        &format!("{api_base}/approvals"),
        &all,
    );
    assert_eq!(
        done,
        json!({"done": 1, "left": 1}),
        "what came later is left alone"
    );
    person.post(
        &format!("{base}/approvals"),
        &[("decision", "reject"), ("up_to", "9")],
    );
    person.work();
    assert_eq!(
        (&get(3)["profile_id"], &get(4)["status"]),
        (&json!(1), &json!("canceled"))
    );
    assert!(text(&person.get(&format!("{base}/approvals"))).contains("Nothing waits"));
    let listed = api(
        &person,
        Method::GET,
        &format!("{api_base}/requests?approval=waiting"),
        &json!({}),
    );
    assert_eq!(listed.1["items"], json!([]));

    // A profile asks too, and of what was not approved yet.
    let asks = json!({"quotas": {"approval": true}});
    api(
        &person,
        Method::PATCH,
        &format!("{api_base}/profiles/1"),
        &asks,
    );
    assert_eq!(get(1)["awaits_approval"], false, "somebody approved it");
}

#[test]
fn a_request_says_when_there_is_no_worker_to_send_it() {
    let site = Site::new();
    let person = site.sign_up("ann@agency.test");
    let base = person.sub_account("Acme");
    profile(&person, &base);
    let rule = json!({"name": "R", "trigger": {"type": "tag_added", "tag": "hot"},
        "action": {"type": "new_outreach", "outreach_type": "email", "subject": "s", "body": "b"}});
    let path = format!("{base}/api/v1/rules");
    assert_eq!(api(&person, Method::POST, &path, &rule).0, 201);
    person.import(&base, "email\nana@one.test\n", "hot");
    person.work();
    let reason = || {
        let path = format!("{base}/api/v1/requests/1");
        let (status, request) = api(&person, Method::GET, &path, &json!({}));
        assert_eq!((status, &request["status"]), (200, &json!("pending")));
        request["wait_reason"]
            .as_str()
            .unwrap_or_default()
            .to_owned()
    };
    assert!(
        reason().contains("No worker has called yet"),
        "{}",
        reason()
    );
    let dashboard = text(&person.get(&format!("{base}/")));
    assert!(
        dashboard.contains("No worker has called yet"),
        "{dashboard}"
    );
    let secret = format!("Bearer {}", site.config.worker_token);
    let call = |path: &str, body: Value| {
        let headers = [("authorization", secret.as_str())];
        let body = body.to_string().into_bytes();
        let answer = site.send(Method::POST, path, &headers, body);
        assert_eq!(answer.status, 200, "{}", text(&answer));
    };
    call("/worker/v1/register", json!({"name": "w", "version": "1"}));
    assert_eq!(reason(), "It waits for its turn.");
    site.later(70_000);
    assert!(
        reason().contains("No worker has called since"),
        "{}",
        reason()
    );
    call("/worker/v1/claim", json!({"worker": "w", "max": 0}));
    assert_eq!(reason(), "It waits for its turn.");
}
