//! A client comes by a host name of its own, and never learns whose product it is.

use serde_json::json;
use tests::harness::{Agency, Browser, Options, Resolver, Sluice};

const NAME: &str = "leads.client.example";
/// One red pixel.
const PNG: &[u8] = &[
    0x89, b'P', b'N', b'G', 0x0d, 0x0a, 0x1a, 0x0a, 0, 0, 0, 0x0d, b'I', b'H', b'D', b'R', 0, 0, 0,
    1, 0, 0, 0, 1, 8, 2, 0, 0, 0, 0x90, 0x77, 0x53, 0xde, 0, 0, 0, 0x0c, b'I', b'D', b'A', b'T',
    0x08, 0xd7, 0x63, 0xf8, 0xcf, 0xc0, 0, 0, 3, 1, 1, 0, 0x18, 0xdd, 0x8d, 0xb0, 0, 0, 0, 0, b'I',
    b'E', b'N', b'D', 0xae, 0x42, 0x60, 0x82,
];

fn start(resolver: &Resolver) -> Sluice {
    let variable = format!("resolver_url={}", resolver.url());
    Options::default()
        .argument("--variable")
        .argument(variable)
        .start()
}

#[test]
fn a_client_logs_in_on_its_own_host_name_in_its_own_brand() {
    let resolver = Resolver::start();
    let sluice = start(&resolver);
    let agency = Agency::sign_up(&sluice);
    let (sub, other) = (agency.subaccount("Client"), agency.subaccount("Other"));
    sub.import("tag=hot", "email\nana@client-lead.example\n");
    let brand = json!({"name": "Client Growth", "accent": "#0b7285", "rail": "#102a43", "sender_name": "Client Growth"});
    sub.http
        .send(
            "PUT",
            "/api/v1/settings",
            &[("content-type", "application/json")],
            brand.to_string().as_bytes(),
        )
        .expect(200);
    sub.http
        .send("PUT", "/api/v1/logo", &[("content-type", "image/png")], PNG)
        .expect(204);

    let made = sub
        .http
        .post("/api/v1/domains", &json!({"name": NAME}))
        .expect(201)
        .json();
    let check = format!("/api/v1/domains/{NAME}/verification");
    let pending = sub.http.post(&check, &json!({})).expect(200).json();
    assert_eq!(pending["status"], "pending", "{pending}");
    assert!(
        pending["reason"]
            .as_str()
            .is_some_and(|r| r.contains("_verify.leads.client.example")),
        "{pending}"
    );
    let record = &made["records"][0];
    resolver.set(
        record["name"].as_str().expect("a name"),
        record["value"].as_str().expect("a value"),
    );
    let verified = sub.http.post(&check, &json!({})).expect(200).json();
    assert_eq!(verified["status"], "verified", "{verified}");

    let browser = Browser::start_with(&[&format!("--host-resolver-rules=MAP {NAME} 127.0.0.1")]);
    let mut page = browser.page(1280, 900);
    let port = sluice.url().rsplit(':').next().expect("a port").to_owned();
    let home = format!("http://{NAME}:{port}");
    page.open(&format!("{home}/leads"));
    assert_eq!(page.url(), format!("{home}/login?next=%2Fleads"));
    page.screenshot("white-label-login");
    let source = page.eval("document.documentElement.outerHTML").to_string();
    assert!(
        source.contains("Client Growth") && !source.to_lowercase().contains("sluice"),
        "{source}"
    );
    page.fill("#email", &agency.email);
    page.fill("#password", &agency.password);
    page.follow("form button[type=submit]");
    assert_eq!(page.url(), format!("{home}/leads"));
    page.wait_for_text("ana@client-lead.example");
    page.screenshot("white-label-leads");
    let source = page.eval("document.documentElement.outerHTML").to_string();
    assert!(!source.to_lowercase().contains("sluice"), "{source}");
    assert!(page.faults().is_empty(), "{:?}", page.faults());

    // The session is this host's: the master's own knows nothing of it, and nothing else is to be had here.
    for path in [
        "/subaccounts",
        "/signup",
        "/api/v1/subaccounts",
        &format!("/s/{}/leads", other.id),
    ] {
        page.open(&format!("{home}{path}"));
        let text = page.text();
        assert!(
            !text.contains("Other") && !text.to_lowercase().contains("sluice"),
            "{path}: {text}"
        );
    }
    page.open(&format!("{}/subaccounts", sluice.url()));
    assert!(page.url().contains("/login"), "{}", page.url());

    // Nor do answers that no browser shows: their fields, and those to what is not there or cannot be done.
    for (method, path, status) in [
        ("GET", "/login", 200),
        ("PUT", "/login", 405),
        ("GET", "/logout", 405),
        ("GET", "/login/nowhere", 404),
        ("GET", "/u/nobody", 404),
        ("GET", "/static/nothing", 404),
    ] {
        let target = format!("{}{path}", sluice.url());
        let answer = sub
            .http
            .anonymous()
            .send(method, &target, &[("host", NAME)], b"");
        let said = format!("{answer:?} {}", answer.text()).to_lowercase();
        assert_eq!(answer.status, status, "{method} {path}: {said}");
        assert!(!said.contains("sluice"), "{method} {path}: {said}");
    }

    page.open(&format!("{home}/"));
    page.follow("form[action$='/logout'] button");
    page.open(&format!("{home}/leads"));
    assert!(page.url().contains("/login"), "{}", page.url());
}

#[test]
fn a_name_is_worth_nothing_before_it_is_proven() {
    let resolver = Resolver::start();
    let sluice = start(&resolver);
    let (agency, rival) = (Agency::sign_up(&sluice), Agency::sign_up(&sluice));
    let (sub, theirs) = (agency.subaccount("Client"), rival.subaccount("Rival"));
    let name = json!({"name": "Leads.Client.Example."});
    let first = sub.http.post("/api/v1/domains", &name).expect(201).json();
    assert_eq!(first["name"], NAME);
    let second = theirs
        .http
        .post("/api/v1/domains", &name)
        .expect(201)
        .json();
    assert_ne!(
        first["records"], second["records"],
        "each asker has a proof of its own"
    );
    let record = &first["records"][0];
    resolver.set(
        record["name"].as_str().expect("a name"),
        record["value"].as_str().expect("a value"),
    );
    let check = format!("/api/v1/domains/{NAME}/verification");
    assert_eq!(
        theirs.http.post(&check, &json!({})).expect(200).json()["status"],
        "pending"
    );
    let host = [("host", NAME)];
    let through = |http: &tests::harness::Http| {
        http.send("GET", &format!("{}/api/v1/tags", sluice.url()), &host, b"")
            .status
    };
    assert_eq!(through(&agency.http), 404, "not proven by anybody");
    assert_eq!(
        sub.http.post(&check, &json!({})).expect(200).json()["status"],
        "verified"
    );
    assert_eq!((through(&agency.http), through(&rival.http)), (200, 404));
    for name in [
        "127.0.0.1",
        "localhost",
        "client",
        "a b.example",
        "-a.example",
        "x".repeat(64).as_str(),
        "http://a.example",
    ] {
        theirs
            .http
            .post("/api/v1/domains", &json!({"name": name}))
            .expect_problem_on("name");
    }
}
