//! Sign up, open a sub-account, upload a CSV, write a rule: mails leave, and the timeline shows it.

use serde_json::{Value, json};
use tests::harness::{Agency, LONG, Mail, SOON, Sink, Sluice, eventually_true, people};

const SUBJECT: &str = "Hello {{first_name}}";
const BODY: &str =
    "Dear {{first_name | fallback(\"friend\")}},\nhow is {{ company }}?\n{{ segment }}\n";

#[test]
fn a_csv_and_a_rule_become_mails_and_the_timeline_shows_them() {
    let (sluice, sink) = (Sluice::start(), Sink::start());
    let sub = Agency::sign_up(&sluice).subaccount("Acme");
    sub.import("name=columns", "email,segment\nnobody@else.test,s9\n");
    let profile = sub.profile(&sink);
    assert_eq!(profile["settings"]["password"], json!(null), "{profile}");
    assert_eq!(profile["settings"]["password_set"], json!(false));
    sub.rule("hot", SUBJECT, BODY);

    let import = sub.import("name=people&tag=hot", people("ann", 40));
    let rows = json!({"total": 40, "created": 40, "updated": 0, "unchanged": 0, "skipped": 0, "failed": 0});
    assert_eq!(import["rows"], rows);
    assert_eq!(
        (&import["name"], &import["tag"]),
        (&json!("people"), &json!("hot"))
    );

    let mails = sink.wait_for(40);
    let mail = to(&mails, "ann1@company0.test");
    assert_eq!(mail.header("Subject"), "Hello Björn");
    assert_eq!(
        mail.text().replace("\r\n", "\n").trim_end(),
        "Dear Björn,\nhow is Company 0?\ns1"
    );
    assert_eq!(
        (mail.from(), mail.header("From")),
        ("ann@agency.test", "Ann <ann@agency.test>")
    );
    assert!(mail.header("To").contains("ann1@company0.test"));
    assert!(mail.header("Message-ID").starts_with('<') && mail.header("Message-ID").ends_with('>'));
    assert!(!mail.header("Date").is_empty());
    assert_eq!(
        mail.header("List-Unsubscribe-Post"),
        "List-Unsubscribe=One-Click"
    );
    assert!(mail.unsubscribe_url().starts_with("http"));

    let requests = sub.ended_requests(40, LONG);
    assert_eq!(requests.len(), 40);
    assert!(
        requests
            .iter()
            .all(|r| r["status"] == "performed" && r["attempts"] == 1),
        "{requests:?}"
    );
    assert!(
        requests
            .iter()
            .all(|r| r["kind"] == "outreach" && r["profile_id"] == profile["id"])
    );
    assert_eq!(sub.requests("kind=outreach&status=performed").len(), 40);
    assert_eq!(sub.requests("kind=outreach&status=failed").len(), 0);
    eventually_true("40 on the timeline", SOON, || {
        sub.timeline("outreach_performed") == 40
    });
    assert_eq!(sink.mails().len(), 40, "nothing is mailed twice");

    // The same file again changes nothing, and mails nobody again.
    let again = sub.import("name=again&tag=hot", people("ann", 40));
    assert_eq!(again["rows"]["unchanged"], 40, "{again}");
    sub.import("name=one&tag=hot", people("bob", 1));
    eventually_true("the newcomer's mail", LONG, || sink.mails().len() > 40);
    assert_eq!(sink.mails().len(), 41);
}

#[test]
fn rules_and_profiles_that_come_after_the_import_reach_its_leads() {
    let (sluice, sink) = (Sluice::start(), Sink::start());
    let sub = Agency::sign_up(&sluice).subaccount("Acme");
    sub.import("name=people&tag=hot", people("ann", 20));
    sub.rule("hot", "Hello {{first_name}}", "Hi");
    let is_waiting = |requests: &[Value]| {
        requests.len() == 20 && requests.iter().all(|r| r["status"] == "pending")
    };
    eventually_true("20 requests that wait for a profile", SOON, || {
        is_waiting(&sub.requests("kind=outreach"))
    });

    // One that is told to begin with what comes, does.
    let mut later = json!({"name": "Newcomers", "trigger": {"type": "tag_added", "tag": "hot"}, "apply_to_previous": false});
    later["action"] =
        json!({"type": "new_outreach", "outreach_type": "email", "subject": "New", "body": "New"});
    sub.http.post("/api/v1/rules", &later).expect(201);

    sub.profile(&sink);
    sink.wait_for(20);
    sub.import("name=more&tag=hot", people("bob", 1));
    let mails = sink.wait_for(22);
    assert_eq!(
        mails
            .iter()
            .filter(|m| m.header("Subject") == "New")
            .count(),
        1
    );
}

#[test]
fn whoever_unsubscribes_is_not_mailed_again() {
    let (sluice, sink) = (Sluice::start(), Sink::start());
    let sub = Agency::sign_up(&sluice).subaccount("Acme");
    sub.profile(&sink);
    sub.rule("first", "One", "Hi {{ unsubscribe_url }}");
    sub.import("tag=first", people("ann", 5));
    let mails = sink.wait_for(5);
    let (leaver, looker) = (&mails[0], &mails[1]);
    assert!(
        leaver.text().contains(&leaver.unsubscribe_url()),
        "{}",
        leaver.text()
    );

    // Looking at the page, as link scanners do, changes nothing. The mail program's one click does.
    let nobody = sluice.http();
    for mail in [leaver, looker] {
        let page = nobody.get(&mail.unsubscribe_url()).expect(200);
        assert!(
            page.header("content-type")
                .unwrap()
                .starts_with("text/html")
        );
        assert!(page.text().contains(mail.to()), "{}", page.text());
    }
    let form = "application/x-www-form-urlencoded";
    for _ in 0..2 {
        nobody
            .post_bytes(
                &leaver.unsubscribe_url(),
                form,
                b"List-Unsubscribe=One-Click",
            )
            .expect(200);
    }
    let url = leaver.unsubscribe_url();
    let (address, token) = url.rsplit_once('/').unwrap();
    let forged = format!("{address}/9{token}");
    assert!(nobody.get(&forged).status >= 400);

    sub.rule("second", "Two", "Hi");
    let import = sub.import("tag=second", people("ann", 5));
    assert_eq!(import["rows"]["skipped"], 1, "{import}");
    let upsert = json!({"email": leaver.to(), "tags": ["second"]});
    assert!(sub.http.post("/api/v1/leads", &upsert).status < 500);
    sink.wait_for(9);
    sub.import("tag=second", people("bob", 1));
    let mails = sink.wait_for(10);
    assert_eq!(mails.iter().filter(|m| m.to() == leaver.to()).count(), 1);
    assert_eq!(mails.iter().filter(|m| m.to() == looker.to()).count(), 2);
}

#[test]
fn leads_are_found_by_word_tag_and_address_and_pages_do_not_overlap() {
    let sluice = Sluice::start();
    let sub = Agency::sign_up(&sluice).subaccount("Acme");
    sub.import("tag=hot", people("ann", 250));
    sub.import("tag=Cold+ones", people("bob", 10));

    assert_eq!(sub.leads("").len(), 260);
    assert_eq!(sub.leads("tag=hot").len(), 250);
    assert_eq!(sub.leads("tag=cold%20ones").len(), 10);
    assert_eq!(sub.leads("tag=nothing").len(), 0);
    let found = sub.leads("email=BOB3%40company1.test");
    assert_eq!(found.len(), 1);
    let lead = &found[0];
    assert_eq!(
        (&lead["first_name"], &lead["last_name"]),
        (&json!("Dmitri"), &json!("Núñez"))
    );
    assert_eq!(
        (&lead["tags"], &lead["data"]["segment"]),
        (&json!(["Cold ones"]), &json!("s3"))
    );
    assert_eq!(sub.leads("q=bob3").len(), 1);

    let mut seen: Vec<_> = sub
        .leads("limit=7")
        .iter()
        .map(|l| l["id"].to_string())
        .collect();
    seen.sort();
    seen.dedup();
    assert_eq!(seen.len(), 260);

    let ann = json!({"email": "new@x.test", "first_name": "Ann", "data": {"shoe": "37"}});
    let first = sub.http.post("/api/v1/leads", &ann).expect(201).id();
    let second = sub
        .http
        .post(
            "/api/v1/leads",
            &json!({"email": "NEW@x.test", "company": "X"}),
        )
        .expect(200)
        .id();
    assert_eq!(first, second);
    let merged = &sub.leads("email=new@x.test")[0];
    assert_eq!(
        (&merged["first_name"], &merged["company"]),
        (&json!("Ann"), &json!("X"))
    );
}

#[test]
fn a_form_uploads_as_well_as_a_body() {
    let sluice = Sluice::start();
    let sub = Agency::sign_up(&sluice).subaccount("Acme");
    let body = format!(
        "--edge\r\nContent-Disposition: form-data; name=\"file\"; filename=\"people.csv\"\r\n\
         Content-Type: text/csv\r\n\r\n{}\r\n--edge--\r\n",
        people("ann", 3)
    );
    let kind = "multipart/form-data; boundary=edge";
    let reply = sub
        .http
        .post_bytes("/api/v1/imports?tag=hot", kind, body.as_bytes())
        .expect(202);
    let end = sub.import_end(&reply.json()["id"]);
    assert_eq!(
        (&end["status"], &end["rows"]["created"]),
        (&json!("done"), &json!(3)),
        "{end}"
    );
}

#[test]
fn a_rule_with_an_unknown_variable_is_refused_before_anything_is_sent() {
    let sluice = Sluice::start();
    let sub = Agency::sign_up(&sluice).subaccount("Acme");
    let mut rule = json!({"name": "x", "trigger": {"type": "tag_added", "tag": "hot"}});
    for (subject, body, field) in [
        ("{{ frist_name }}", "Hi", "subject"),
        ("Hi", "{{ nonsense }}", "body"),
        ("Hi", "{{ x", "body"),
    ] {
        rule["action"] = json!({"type": "new_outreach", "outreach_type": "email", "subject": subject, "body": body});
        sub.http
            .post("/api/v1/rules", &rule)
            .expect_problem_on(field);
    }
}

fn to<'a>(mails: &'a [Mail], address: &str) -> &'a Mail {
    mails
        .iter()
        .find(|m| m.to() == address)
        .unwrap_or_else(|| panic!("a mail to {address}"))
}
