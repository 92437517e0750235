//! One pass through all the pages in a real browser, at the width of a desk and of a phone.

use tests::harness::{Browser, Page, Sink, Sluice, people};

const WIDTHS: [(&str, u32, u32); 2] = [("desktop", 1280, 900), ("phone", 390, 844)];

#[test]
fn a_person_gets_from_signing_up_to_the_chart_on_a_desktop() {
    walk(WIDTHS[0]);
}

#[test]
fn a_person_gets_from_signing_up_to_the_chart_on_a_phone() {
    walk(WIDTHS[1]);
}

fn walk((device, width, height): (&str, u32, u32)) {
    let (sluice, sink, browser) = (Sluice::start(), Sink::start(), Browser::start());
    let mut page = browser.page(width, height);
    let look = |page: &mut Page, name: &str| {
        page.screenshot(&format!("{device}-{name}"));
        assert!(!page.is_too_wide(), "{name} is wider than a {device}");
    };

    page.open(&sluice.url());
    look(&mut page, "first");
    page.open(&format!("{}/login", sluice.url()));
    look(&mut page, "login");
    page.fill("#email", "nobody@agency.test");
    page.fill("#password", "not the password");
    page.follow("form button[type=submit]");
    look(&mut page, "login-refused");
    assert!(page.url().contains("/login"));
    assert!(
        page.count("[role=alert], .alert, .problem") > 0,
        "{}",
        page.text()
    );

    page.open(&format!("{}/signup", sluice.url()));
    look(&mut page, "signup");
    page.fill("#account", "Ann & Co");
    page.fill("#email", "ann@agency.test");
    page.fill("#password", "correct horse battery");
    page.follow("form button[type=submit]");

    page.wait_for_text("New sub-account");
    look(&mut page, "subaccounts-empty");
    page.fill("#name", "Acme <b>GmbH</b>");
    page.follow("form[action='/subaccounts'] button");
    page.wait_for("a.button[href*='/s/']");
    look(&mut page, "subaccounts");
    page.follow("a.button[href*='/s/']");
    page.wait_for_text("Acme <b>GmbH</b>");
    look(&mut page, "dashboard-empty");
    let base = page.url().trim_end_matches('/').to_owned();

    upload(&mut page, &base, &sluice);
    look(&mut page, "import");

    page.open(&format!("{base}/leads"));
    assert!(page.count("#leads tbody tr") > 10);
    look(&mut page, "leads");
    page.fill("#q", "ann7@");
    page.wait_until("one row", |page| page.count("#leads tbody tr") == 1);
    page.follow("#leads tbody th a");
    page.wait_for_text("ann7@company2.test");
    look(&mut page, "lead");
    page.open(&format!("{base}/leads"));
    page.fill("#tag", "hot");
    page.wait_until("the tag's leads", |page| page.url().contains("tag=hot"));

    page.open(&format!("{base}/profiles/new"));
    page.fill("#name", "Ann");
    page.fill("#from", "Ann <ann@agency.test>");
    page.fill("#host", "127.0.0.1");
    page.fill("#port", &sink.port.to_string());
    page.fill("#tls", "none");
    page.fill("#interval_s", "");
    look(&mut page, "profile-new");
    page.follow("form.page-form button.primary");
    page.wait_for_text("Ann <ann@agency.test>");
    look(&mut page, "profiles");

    write_rule(&mut page, &base, device);
    look(&mut page, "rule");
    page.open(&format!("{base}/rules"));
    page.wait_for_text("Greet the hot ones");
    look(&mut page, "rules");

    sink.wait_for(60);
    page.open(&format!("{base}/requests"));
    page.wait_until("nothing but performed requests", |page| {
        page.reload();
        // The rows alone: the filter above them names every status.
        let rows = page.eval("[...document.querySelectorAll('#requests tbody tr')].map(r => r.innerText.toLowerCase())");
        let rows: Vec<String> = serde_json::from_value(rows).unwrap_or_default();
        !rows.is_empty() && rows.iter().all(|row| row.contains("performed"))
    });
    look(&mut page, "requests");
    page.follow("#requests tbody th a");
    page.wait_for_text("Hello");
    look(&mut page, "request");

    page.open(&format!("{base}/timeline"));
    page.wait_until("a chart of 60", |page| {
        page.reload();
        page.text().contains("60 in all") && page.count(".chart canvas, .chart svg") > 0
    });
    look(&mut page, "timeline");
    page.open(&base);
    look(&mut page, "dashboard");
    page.open(&format!("{}/api-keys", sluice.url()));
    look(&mut page, "api-keys");
    page.open(&format!("{base}/nonsense"));
    look(&mut page, "not-found");

    let unsubscribe = sink.mails()[0].unsubscribe_url();
    page.open(&unsubscribe);
    look(&mut page, "unsubscribe");
    page.follow("form button[type=submit]");
    page.wait_for_text("You are unsubscribed");
    look(&mut page, "unsubscribed");

    // A refused log-in and a page that is not there are errors by status; nothing else may be.
    let faults = page.unexpected_faults();
    assert!(faults.is_empty(), "{faults:?}");
}

fn upload(page: &mut Page, base: &str, sluice: &Sluice) {
    let file = sluice.scratch().join("people.csv");
    std::fs::write(&file, people("ann", 60) + "nobody,Nobody\r\n").unwrap();
    page.open(&format!("{base}/imports"));
    page.fill("#name", "Spring fair");
    page.fill("#tag", "hot");
    page.choose_file("#file", &file);
    page.follow("form.upload button[type=submit]");
    page.wait_for("#progress");
    page.wait_until("the result", |page| {
        let text = page.text();
        text.contains("61 rows") && text.contains("Rows that could not be used")
    });
    assert!(page.text().contains("invalid_email"), "{}", page.text());
}

fn write_rule(page: &mut Page, base: &str, device: &str) {
    page.open(&format!("{base}/rules/new"));
    page.fill("#name", "Greet the hot ones");
    page.fill("#tag", "hot");
    page.fill("#delay", "0");
    if page.eval("document.querySelector('#existing').checked") == false {
        page.click("#existing");
    }
    page.fill("#subject", "Hello {{frist_name}}");
    page.fill("#body", "How is {{company}}?");
    page.follow("form.page-form button.primary");
    page.wait_for_text("frist_name");
    page.screenshot(&format!("{device}-rule-refused"));
    assert!(!page.is_too_wide());
    assert_eq!(
        page.eval("document.querySelector('#body').value"),
        "How is {{company}}?",
        "what was typed is kept"
    );
    page.fill("#subject", "Hello {{first_name}}");
    page.follow("form.page-form button.primary");
    page.wait_for_text("Greet the hot ones");
}
