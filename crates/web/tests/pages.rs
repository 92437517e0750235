//! The pages as a browser meets them: forms, refusals, redirects, and who may see what.

mod site;

use site::{Site, location, text};

const NAME: &str = "Acme <b>\"GmbH\"</b>";

#[test]
fn signing_up_leads_to_the_sub_accounts_and_out_again() {
    let site = Site::new();
    assert_eq!(location(&site.get("/")), "/login");
    assert_eq!(
        location(&site.get("/subaccounts")),
        "/login?next=%2Fsubaccounts"
    );
    let person = site.sign_up("ann@agency.test");
    assert_eq!(location(&person.get("/")), "/subaccounts");
    assert_eq!(location(&person.get("/login")), "/subaccounts");
    let page = person.get("/subaccounts");
    assert!(text(&page).contains("ann@agency.test"));
    let out = person.post("/logout", &[]);
    assert_eq!(location(&out), "/login");
    assert!(
        out.headers["set-cookie"]
            .to_str()
            .unwrap()
            .contains("Max-Age=0")
    );
    assert_eq!(
        location(&person.get("/subaccounts")),
        "/login?next=%2Fsubaccounts"
    );
}

#[test]
fn a_refused_form_keeps_what_was_typed_but_never_a_password() {
    let site = Site::new();
    let fields = [
        ("account", "<i>Ann</i>"),
        ("email", "no address"),
        ("password", "correct horse"),
    ];
    let page = site.post("/signup", &fields);
    assert_eq!(page.status, 422);
    let html = text(&page);
    assert!(html.contains("id=\"email-problem\"") && html.contains("value=\"no address\""));
    assert!(!html.contains("<i>Ann") && !html.contains("correct horse"));

    site.sign_up("ann@agency.test");
    let fields = [
        ("account", "A"),
        ("email", "ANN@agency.test"),
        ("password", "correct horse"),
    ];
    let taken = site.post("/signup", &fields);
    assert_eq!(taken.status, 409);
    assert!(text(&taken).contains("id=\"email-problem\""));
    let wrong = site.post(
        "/login",
        &[("email", "ann@agency.test"), ("password", "wrong")],
    );
    assert_eq!(wrong.status, 401);
    assert!(text(&wrong).contains("role=\"alert\"") && text(&wrong).contains("ann@agency.test"));
}

#[test]
fn logging_in_leads_back_to_where_one_was_but_never_away() {
    let site = Site::new();
    site.sign_up("ann@agency.test");
    for (next, to) in [
        ("/s/7/leads?q=a", "/s/7/leads?q=a"),
        ("//evil.test", "/subaccounts"),
        ("/\\evil.test", "/subaccounts"),
        ("/\t/evil.test", "/subaccounts"),
        ("https://evil.test", "/subaccounts"),
        ("", "/subaccounts"),
    ] {
        let fields = [
            ("email", "ann@agency.test"),
            ("password", "correct horse"),
            ("next", next),
        ];
        assert_eq!(location(&site.post("/login", &fields)), to, "{next}");
    }
    let page = site.get("/login?next=%2F%2Fevil.test");
    assert!(!text(&page).contains("evil"));
}

#[test]
fn a_key_is_shown_once_and_can_be_revoked() {
    let site = Site::new();
    let person = site.sign_up("ann@agency.test");
    let made = person.post("/api-keys", &[("name", NAME), ("scope", "read")]);
    assert_eq!(made.status, 200);
    let html = text(&made);
    let key = html.split("id=\"new-key\">").nth(1).unwrap();
    assert!(key.starts_with("slk_"));
    assert!(!html.contains("<b>"));
    let list = text(&person.get("/api-keys"));
    assert!(!list.contains("new-key") && list.contains("slk_"));
    let action = list.split("action=\"/api-keys/").nth(1).unwrap();
    let id = action.split('/').next().unwrap();
    let path = format!("/api-keys/{id}/revocation");
    let other = site.sign_up("bo@other.test");
    assert_eq!(other.post(&path, &[]).status, 404);
    assert_eq!(location(&person.post(&path, &[])), "/api-keys");
    assert!(text(&person.get("/api-keys")).contains("No keys yet"));
    assert_eq!(person.post("/api-keys", &[("name", " ")]).status, 422);
}

#[test]
fn a_form_of_another_site_changes_nothing() {
    let site = Site::new();
    let person = site.sign_up("ann@agency.test");
    let base = person.sub_account(NAME);
    for path in ["/subaccounts", "/api-keys", "/logout"] {
        let refused = person.foreign_post(path, &[("name", "x")]);
        assert_eq!(refused.status, 403, "{path}");
    }
    let refused = person.foreign_post(&format!("{base}/rules"), &[]);
    assert_eq!(refused.status, 403);
    assert!(text(&refused).contains("<h1>"), "a person gets a page");
    assert_eq!(person.get("/subaccounts").status, 200, "still signed in");
}

#[test]
fn a_sub_account_is_nobody_elses() {
    let site = Site::new();
    let person = site.sign_up("ann@agency.test");
    let base = person.sub_account(NAME);
    let page = person.get("/subaccounts");
    assert!(text(&page).contains(&format!("href=\"{base}/\"")));
    assert!(!text(&page).contains("<b>"));
    assert_eq!(person.get(&base).status, 200);

    let other = site.sign_up("bo@other.test");
    for path in ["", "/leads", "/rules/new", "/imports/1", "/nonsense"] {
        let refused = other.get(&format!("{base}{path}"));
        assert_eq!(refused.status, 404, "{path}");
        assert!(!text(&refused).contains("Acme"), "{path}");
    }
    assert_eq!(other.post(&format!("{base}/rules"), &[]).status, 404);
    let anonymous = site.get(&format!("{base}/leads?q=a&tag=b"));
    let next = location(&anonymous);
    assert!(next.starts_with("/login?next=%2Fs%2F") && next.ends_with("%3Fq%3Da%26tag%3Db"));
    assert_eq!(
        location(&site.post(&format!("{base}/rules"), &[])),
        "/login"
    );
}

#[test]
fn every_page_of_a_sub_account_shows_what_there_is() {
    let site = Site::new();
    let person = site.sign_up("ann@agency.test");
    let base = person.sub_account(NAME);
    let empty = text(&person.get(&format!("{base}/")));
    assert!(empty.contains("Three steps") && !empty.contains("<b>"));

    person.import(
        &base,
        "email,first_name,tea,unsubscribe_url\nann@x.test,<u>Ann</u>,Oolong,http://x.test\nnobody,,,\n",
        "hot & new",
    );
    let import = text(&person.get(&format!("{base}/imports/1")));
    for part in ["2 rows", "invalid_email", "custom data", "Oolong", "comma"] {
        assert!(import.contains(part), "{part}: {import}");
    }
    let progress = person.get(&format!("{base}/imports/1/progress"));
    assert_eq!(progress.headers["hx-refresh"], "true");
    assert!(
        text(&progress).starts_with("\n<div class=\"progress\"")
            || text(&progress).contains("id=\"progress\"")
    );
    let leads = text(&person.get(&format!("{base}/leads?tag=HOT+%26+new&q=ANN")));
    assert!(leads.contains("/leads/1\"") && leads.contains("&#60;u&#62;Ann"));
    assert!(text(&person.get(&format!("{base}/leads?q=zzz"))).contains("No lead fits"));

    let wrong = [
        ("name", "Ann"),
        ("host", "mail.test"),
        ("port", "x"),
        ("tls", "tls"),
        ("from", "Ann <ann@x.test>"),
    ];
    let refused = person.post(&format!("{base}/profiles"), &wrong);
    assert_eq!(refused.status, 422);
    assert!(text(&refused).contains("id=\"port-problem\"") && text(&refused).contains("mail.test"));
    let right = wrong.map(|(name, value)| (name, if name == "port" { "465" } else { value }));
    assert_eq!(
        location(&person.post(&format!("{base}/profiles"), &right)),
        format!("{base}/profiles")
    );
    let quick = serde_json::json!({"name": "Quick", "type": "smtp", "quotas": {"interval_ms": 500},
        "settings": {"host": "mail.test", "port": 25, "from": "ann@x.test"}});
    let headers = [
        ("cookie", person.cookie.as_str()),
        ("content-type", "application/json"),
    ];
    let path = format!("{base}/api/v1/profiles");
    let quick = site.send(
        http::Method::POST,
        &path,
        &headers,
        quick.to_string().into(),
    );
    assert_eq!(quick.status, 201, "{}", text(&quick));
    let profiles = text(&person.get(&format!("{base}/profiles")));
    assert!(profiles.contains("mail.test:465") && profiles.contains("no maximum"));
    assert!(!profiles.contains("at once"), "{profiles}");
    for id in [1, 2] {
        let path = format!("{base}/profiles/{id}/activation");
        person.post(&path, &[("active", "0")]);
    }
    assert!(text(&person.get(&format!("{base}/profiles"))).contains("disabled"));

    rules_and_requests(&person, &base);
    let lead = text(&person.get(&format!("{base}/leads/1")));
    for part in ["import Import", "Mail canceled", "Oolong", "/requests/1\""] {
        assert!(lead.contains(part), "{part}");
    }
    let timeline = text(&person.get(&format!("{base}/timeline?metric=lead_created")));
    assert!(timeline.contains("Leads created, <span class=\"h-count\">1 in all"));
    let backwards = person.get(&format!("{base}/timeline?from=2026-11-20&to=2026-11-01"));
    assert_eq!(backwards.status, 422);
    let dashboard = text(&person.get(&base));
    assert!(!dashboard.contains("Three steps") && dashboard.contains("hot &#38; new"));
    for (path, status) in [
        ("/leads/99", 404),
        ("/leads/x", 404),
        ("/imports/99", 404),
        ("/rules/99", 404),
        ("/requests/99", 404),
        ("/requests?status=odd", 422),
        ("/profiles/1/activation", 405),
    ] {
        let page = person.get(&format!("{base}{path}"));
        assert_eq!(page.status, status, "{path}");
        assert!(text(&page).contains("<p class=\"tenant\">"), "{path}");
    }
    assert_eq!(person.head(&format!("{base}/leads")).status, 200);
}

fn rules_and_requests(person: &site::Person<'_>, base: &str) {
    let mut rule = [
        ("name", "Greet"),
        ("tag", "hot & new"),
        ("delay", "0"),
        ("delay_unit", "days"),
        ("existing", "1"),
        ("subject", "Hello {{frist_name}}"),
        ("body", "Hi {{first_name}},\r\nmore {{tea}}?"),
    ];
    let path = format!("{base}/rules");
    let refused = person.post(&path, &rule);
    assert_eq!(refused.status, 422);
    let html = text(&refused);
    assert!(html.contains("id=\"subject-problem\"") && html.contains("more {{tea}}?"));
    assert!(html.contains("name=\"existing\" value=\"1\" checked"));
    rule[5].1 = "Hello\r\nBcc: eve@x.test";
    let refused = text(&person.post(&path, &rule));
    assert!(refused.contains("id=\"subject-problem\"") && refused.contains("one line"));
    let form = text(&person.get(&format!("{base}/rules/new")));
    for name in ["unsubscribe_url", "tea", "postal_address"] {
        let token = format!("data-insert=\"{{{{{name}}}}}\"");
        assert_eq!(form.matches(&token).count(), 1, "{name}: {form}");
    }
    rule[5].1 = "Hello {{first_name}}";
    let made = person.post(&path, &rule);
    assert_eq!(location(&made), format!("{base}/rules/1"));
    let page = text(&person.get(&format!("{base}/rules/1")));
    assert!(page.contains("tag hot &#38; new is added") && page.contains("more Oolong?"));

    person.work();
    let page = text(&person.get(&format!("{base}/rules/1")));
    assert!(page.contains("/requests/1\""), "{page}");
    let request = text(&person.get(&format!("{base}/requests/1")));
    assert!(request.contains("The mail as it will be sent") && request.contains("more Oolong?"));
    assert!(text(&person.get(base)).contains("No active profile"));
    let cancel = format!("{base}/requests/1/cancellation");
    assert_eq!(
        location(&person.post(&cancel, &[])),
        format!("{base}/requests/1")
    );
    assert_eq!(person.post(&cancel, &[]).status, 409);
    assert!(
        text(&person.get(&format!("{base}/requests?status=canceled"))).contains("/requests/1\"")
    );
    person.post(&format!("{base}/rules/1/activation"), &[("active", "0")]);
    assert!(text(&person.get(&path)).contains("disabled"));
    person.work();
}

#[test]
fn a_static_file_is_kept_for_ever_only_under_its_version() {
    let site = Site::new();
    let page = text(&site.get("/login"));
    let url = page.split("href=\"/static/app.css").nth(1).unwrap();
    let query = url.split('"').next().unwrap();
    let versioned = site.get(&format!("/static/app.css{query}"));
    assert!(
        versioned.headers["cache-control"]
            .to_str()
            .unwrap()
            .contains("immutable")
    );
    let plain = site.get("/static/app.css");
    assert_eq!(plain.headers["cache-control"], "public, no-cache");
    assert!(plain.headers.contains_key("etag"));
    assert_eq!(site.get("/static/nothing.css").status, 404);
}
