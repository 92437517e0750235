//! Searching leads: by the API and by the form, on both engines.

mod site;

use http::Method;
use serde_json::{Value, json};
use site::{Person, Site, text};

fn leads(person: &Person<'_>, base: &str) {
    for (email, country, plan, tag) in [
        ("ann@x.test", "Peru", "gold", "hot"),
        ("bob@x.test", "Chile", "12", "hot"),
        ("cyd@x.test", "Peru", "7", "cold"),
    ] {
        let lead =
            json!({"email": email, "country": country, "tags": [tag], "data": {"plan": plan}});
        let path = format!("{base}/api/v1/leads");
        let made = person.call(Method::POST, &path, &lead.to_string());
        assert_eq!(made.status, 201, "{}", text(&made));
    }
}

fn search(person: &Person<'_>, base: &str, body: &Value) -> (u16, Value) {
    let path = format!("{base}/api/v1/leads/search");
    let answer = person.call(Method::POST, &path, &body.to_string());
    let status = answer.status.as_u16();
    (status, serde_json::from_str(&text(&answer)).expect("JSON"))
}

fn emails(found: &Value) -> Vec<&str> {
    let items = found["items"].as_array().expect("items").iter();
    items.map(|l| l["email"].as_str().expect("text")).collect()
}

#[test]
fn a_filter_finds_leads_and_pages_lead_both_ways() {
    let site = Site::new();
    let person = site.sign_up("ann@agency.test");
    let base = person.sub_account("Acme");
    leads(&person, &base);
    let find = |body: Value| search(&person, &base, &body);

    let filter = json!({"and": [{"tag": "HOT"}, {"not": {"field": {"name": "plan", "op": "gt", "value": 10}}}]});
    let (status, found) = find(json!({"filter": filter}));
    assert_eq!((status, emails(&found)), (200, vec!["ann@x.test"]));
    let recent = json!({"created": {"within_days": 1}});
    let (_, found) = find(json!({"filter": recent, "sort": "created", "limit": 2}));
    assert_eq!(emails(&found), ["ann@x.test", "bob@x.test"]);
    assert_eq!(found["prev_cursor"], Value::Null);
    let (_, second) = find(json!({"sort": "created", "limit": 2, "cursor": found["next_cursor"]}));
    assert_eq!(emails(&second), ["cyd@x.test"]);
    assert_eq!(second["next_cursor"], Value::Null);
    let (_, first) = find(json!({"sort": "created", "limit": 2, "cursor": second["prev_cursor"]}));
    assert_eq!(emails(&first), ["ann@x.test", "bob@x.test"]);
    assert_eq!(first["prev_cursor"], Value::Null);
    assert_eq!(first["next_cursor"], found["next_cursor"]);

    let query = url::form_urlencoded::byte_serialize(
        br#"{"field":{"name":"country","op":"eq","value":"peru"}}"#,
    );
    let path = format!("{base}/api/v1/leads?filter={}", query.collect::<String>());
    let found: Value = serde_json::from_str(&text(&person.get(&path))).expect("JSON");
    assert_eq!(emails(&found), ["cyd@x.test", "ann@x.test"]);
}

#[test]
fn what_is_wrong_with_a_filter_is_named() {
    let site = Site::new();
    let person = site.sign_up("ann@agency.test");
    let base = person.sub_account("Acme");
    let deep = (0..25).fold(json!({"tag": "a"}), |inner, _| json!({"not": inner}));
    for (body, field) in [
        (json!({"filter": deep}), "filter"),
        (
            json!({"filter": {"and": [{"field": {"name": "n", "op": "lt", "value": "few"}}]}}),
            "filter.and[0].field.value",
        ),
        (json!({"sort": "shoe size"}), "sort"),
        (json!({"limit": 0}), "limit"),
        (json!({"cursor": "x"}), "cursor"),
        (json!({"filter": {"near": "Lima"}}), "filter"),
    ] {
        let (status, problem) = search(&person, &base, &body);
        assert_eq!(status, 422, "{body}");
        let told = problem["errors"][0]["field"].as_str().expect("a field");
        assert!(told.starts_with(field), "{body}: {problem}");
    }
    for query in [
        "filter=%7B",
        "filter=%5B%5D",
        "limit=x",
        "filter=%7B%22x%22%3A1%7D",
    ] {
        let page = person.get(&format!("{base}/api/v1/leads?{query}"));
        assert_eq!(page.status, 422, "{query}: {}", text(&page));
    }
}

#[test]
fn the_form_builds_a_filter_without_a_script() {
    let site = Site::new();
    let person = site.sign_up("ann@agency.test");
    let base = person.sub_account("Acme");
    leads(&person, &base);
    let page = |query: &str| {
        let page = person.get(&format!("{base}/leads?{query}"));
        (page.status.as_u16(), text(&page))
    };
    let (status, html) =
        page("on_1=country&op_1=is&value_1=peru&on_2=data.plan&op_2=more&value_2=5");
    assert_eq!(status, 200);
    assert!(html.contains("cyd@x.test") && !html.contains("ann@x.test") && !html.contains("bob@x"));
    assert!(html.contains("name=\"on_3\""), "there is room for one more");
    let (_, html) =
        page("on_1=tag&op_1=is_not&value_1=hot&on_2=data.plan&op_2=is&value_2=12&any=1");
    assert!(html.contains("cyd@x.test") && html.contains("bob@x.test") && !html.contains("ann@x"));
    let (_, html) = page("on_1=did.mailed&op_1=unknown&limit=2");
    let next = html.split("rel=\"next\"").nth(1).expect("a next page");
    let next = next.split('"').nth(1).expect("a link");
    assert!(
        next.contains("on_1=did.mailed")
            && next.contains("op_1=unknown")
            && next.contains("cursor=c2"),
        "the next page keeps the filter: {next}"
    );
    let (status, html) = page("on_1=created&op_1=contains&value_1=x");
    assert_eq!(status, 422);
    assert!(html.contains("id=\"value_1-problem\"") && html.contains("Nothing was searched"));
    let (status, html) = page("filter=%7B%22tag%22%3A%22cold%22%7D");
    assert!(status == 200 && html.contains("cyd@x.test") && !html.contains("bob@x.test"));
    let (status, html) = page("filter=%3Cb%3E");
    assert!(status == 422 && html.contains("filter-problem") && !html.contains("<b>"));
    let (status, _) = page("sort=shoe");
    assert_eq!(status, 422);
}

#[test]
fn words_find_leads_before_and_after_the_index_knows_them() {
    let site = Site::new();
    let person = site.sign_up("ann@agency.test");
    let base = person.sub_account("Acme");
    leads(&person, &base);
    let path = format!("{base}/api/v1/leads");
    let zoe = json!({"email": "zm@y.test", "first_name": "Zoë", "last_name": "Müller-Łuk"});
    person.call(Method::POST, &path, &zoe.to_string());
    let find = |body: Value| search(&person, &base, &body).1;
    let count = |body: Value| {
        let path = format!("{base}/api/v1/leads/count");
        let answer = person.call(Method::POST, &path, &body.to_string());
        serde_json::from_str::<Value>(&text(&answer)).expect("JSON")
    };
    for _ in 0..2 {
        assert_eq!(emails(&find(json!({"q": "luk mull ZOE"}))), ["zm@y.test"]);
        assert_eq!(emails(&find(json!({"q": "x test", "tag": "hot"}))).len(), 2);
        assert_eq!(find(json!({"q": "uller"}))["items"], json!([]));
        assert_eq!(find(json!({"q": "***"}))["items"], json!([]));
        assert_eq!(
            count(json!({"q": "test"})),
            json!({"n": 4, "or_more": false})
        );
        assert_eq!(count(json!({})), json!({"n": 4, "or_more": false}));
        person.work();
    }
    let by_name = find(json!({"sort": "name", "limit": 1}));
    assert_eq!(
        emails(&by_name),
        ["zm@y.test"],
        "those without a name come last"
    );
    let next = &by_name["next_cursor"];
    let second = find(json!({"sort": "name", "limit": 1, "cursor": next}));
    assert_eq!(emails(&second), ["ann@x.test"]);
    let back = find(json!({"sort": "name", "limit": 1, "cursor": second["prev_cursor"]}));
    assert_eq!(back["items"], by_name["items"]);
    let (status, _) = search(&person, &base, &json!({"sort": "created", "cursor": next}));
    assert_eq!(status, 422, "a cursor of another order");
    let by_email = find(json!({"sort": "-email"}));
    assert_eq!(emails(&by_email)[..2], ["zm@y.test", "cyd@x.test"]);

    let renamed = json!({"email": "zm@y.test", "first_name": "Éva"});
    person.call(Method::POST, &path, &renamed.to_string());
    for _ in 0..2 {
        assert_eq!(emails(&find(json!({"q": "eva"}))), ["zm@y.test"]);
        assert_eq!(find(json!({"q": "zoe"}))["items"], json!([]));
        person.work();
    }
    let page = text(&person.get(&format!("{base}/leads?q=mull&sort=name")));
    assert!(page.contains("zm@y.test") && page.contains("<span class=\"h-count\">1</span>"));
}

#[test]
fn a_search_can_be_kept_and_downloaded() {
    let site = Site::new();
    let person = site.sign_up("ann@agency.test");
    let base = person.sub_account("Acme");
    leads(&person, &base);
    let evil = json!({"email": "evil@x.test", "first_name": "=HYPERLINK(1)", "last_name": "O, \"Neil\"", "phone": "+49 30 1", "tags": ["hot"]});
    person.call(
        Method::POST,
        &format!("{base}/api/v1/leads"),
        &evil.to_string(),
    );
    let all = |target: &str| match person.get(&format!("{base}/api/v1/{target}")).body {
        web::Body::Stream(pieces) => String::from_utf8(pieces.flatten().collect()).expect("UTF-8"),
        web::Body::Full(_) => panic!("streamed"),
    };
    let csv = all("leads.csv?tag=hot&sort=created");
    let lines: Vec<_> = csv.split("\r\n").collect();
    assert_eq!(
        lines[0],
        "id,email,first_name,last_name,job_title,company,phone,linkedin,country,plan,tags,created_at,updated_at"
    );
    assert!(
        lines[1].starts_with("1,ann@x.test,,,,,,,Peru,gold,hot,2026-"),
        "{csv}"
    );
    assert!(
        lines[3].starts_with("4,evil@x.test,'=HYPERLINK(1),\"O, \"\"Neil\"\"\",,,+49 30 1,"),
        "{csv}"
    );
    assert_eq!((lines.len(), lines[4]), (5, ""));
    assert_eq!(
        person
            .get(&format!("{base}/api/v1/leads.csv?sort=name"))
            .status,
        422
    );

    let fields = [
        ("name", "Gold & hot"),
        ("tag", "hot"),
        (
            "filter",
            r#"{"field":{"name":"plan","op":"eq","value":"gold"}}"#,
        ),
    ];
    let kept = person.post(&format!("{base}/leads/views"), &fields);
    let page = text(&person.get(&site::location(&kept)));
    assert!(
        page.contains("Gold &#38; hot") && page.contains("ann@x.test") && !page.contains("bob@x"),
        "{page}"
    );
    let views = |person: &Person<'_>| -> Value {
        serde_json::from_str(&text(&person.get(&format!("{base}/api/v1/views")))).expect("JSON")
    };
    assert_eq!(views(&person)["items"][0]["shared"], false);
    assert_eq!(views(&person)["items"][0]["search"]["tag"], "hot");
    let call = |method, path: &str, body: Value| {
        person
            .call(method, &format!("{base}/api/v1/{path}"), &body.to_string())
            .status
    };
    let wrong = json!({"name": "x", "search": {"filter": {"tag": ""}}});
    assert_eq!(call(Method::POST, "views", wrong), 422);
    assert_eq!(
        call(Method::POST, "views", json!({"name": " ", "search": {}})),
        422
    );
    assert_eq!(
        call(
            Method::POST,
            "views",
            json!({"name": "All", "search": {}, "shared": true})
        ),
        201
    );
    assert_eq!(views(&person)["items"].as_array().map(Vec::len), Some(2));
    let gone = person.post(&format!("{base}/leads/views/1/removal"), &[]);
    assert_eq!(site::location(&gone), format!("{base}/leads"));
    assert_eq!(call(Method::DELETE, "views/1", json!({})), 404);
    assert_eq!(call(Method::DELETE, "views/2", json!({})), 204);
    assert_eq!(views(&person)["items"], json!([]));
}

#[test]
fn a_person_is_told_of_and_erased_everywhere() {
    let site = Site::new();
    let person = site.sign_up("ann@agency.test");
    let base = person.sub_account("Acme");
    person.import(
        &base,
        "email,first name\nsecret@x.test,Zephyrine\nbob@x.test,Bob\nsecret@x.test,A,B\n",
        "hot",
    );
    let db = site.database(&store::Place::Slot(1));
    for text in [
        "insert into request (id, kind, status, dedupe_key, lead_id, run_at, error, created_at, updated_at) \
         values (7, 'outreach', 'performed', 'a', 1, 0, 'secret@x.test said no', 0, 0)",
        "insert into request (id, kind, status, dedupe_key, lead_id, run_at, created_at, updated_at) \
         values (8, 'outreach', 'pending', 'b', 1, 0, 0, 0)",
        "insert into message (request_id, lead_id, message_id, recipient, subject, body, created_at) \
         values (7, 1, 'm', 'secret@x.test', 'Hi Zephyrine', 'Hi', 0)",
        "insert into event (at, kind, lead_id, request_id, data) values (5, 'outreach_performed', 1, 7, 'to secret@x.test')",
        "insert into suppression (value, reason, created_at) values ('secret@x.test', 'unsubscribed', 0)",
    ] {
        db.execute(text, &[]).expect("kept");
    }
    let call = |method, path: &str| person.call(method, &format!("{base}/api/v1/{path}"), "{}");
    let told = call(Method::GET, "leads/1/personal-data");
    let told: Value = serde_json::from_str(&text(&told)).expect("JSON");
    assert_eq!(told["lead"]["email"], "secret@x.test");
    assert_eq!(told["messages"][0]["subject"], "Hi Zephyrine");
    assert_eq!(
        (&told["suppressed"], &told["tags"][0]["name"]),
        (&json!("unsubscribed"), &json!("hot"))
    );
    assert_eq!(told["requests"].as_array().map(Vec::len), Some(2));
    assert!(told["events"].as_array().is_some_and(|e| e.len() >= 3));

    db.execute("update request set status = 'running' where id = 8", &[])
        .expect("in hand");
    assert_eq!(call(Method::POST, "leads/1/erasure").status, 409);
    assert_eq!(call(Method::GET, "leads/1").status, 200);
    db.execute("update request set status = 'pending' where id = 8", &[])
        .expect("back");
    let page = format!("{base}/leads/1/erasure");
    assert_eq!(person.post(&page, &[]).status, 200, "not meant");
    assert_eq!(
        site::location(&person.post(&page, &[("sure", "1")])),
        format!("{base}/leads")
    );
    assert_eq!(call(Method::GET, "leads/1").status, 404);
    assert_eq!(call(Method::POST, "leads/1/erasure").status, 404);
    person.work();
    // Bytes are not read by a look at the text of a dump.
    let bytes = "select (select count(*) from import_chunk) + count(raw) from import_row";
    assert_eq!(db.query(bytes, &[]).expect("a count")[0].int(0), 0);
    let left = testkit::dump(&*db, &[]).join("\n");
    assert!(
        !left.contains("secret@x.test") && !left.contains("Zephyrine"),
        "{left}"
    );
    let words = match db.engine() {
        store::Engine::Sqlite => {
            "select count(*) from search_word where search_word match '\"zephyrine\"'"
        }
        store::Engine::Postgres => {
            "select count(*) from search_word where words @@ cast('zephyrine' as tsquery)"
        }
    };
    assert_eq!(db.query(words, &[]).expect("counted")[0].int(0), 0);

    let again = json!({"email": "Secret@x.test"}).to_string();
    let again = person.call(Method::POST, &format!("{base}/api/v1/leads"), &again);
    assert_eq!(again.status, 409, "{}", text(&again));
    person.import(&base, "email\nsecret@x.test\ncyd@x.test\n", "warm");
    let found = search(&person, &base, &json!({})).1;
    assert_eq!(emails(&found), ["cyd@x.test", "bob@x.test"]);
}

#[test]
fn a_download_ends_when_its_sub_account_has_gone() {
    let site = Site::new();
    let person = site.sign_up("ann@agency.test");
    let base = person.sub_account("Acme");
    person.import(&base, "email\nann@x.test\n", "hot");
    for path in ["leads.csv", "imports/1/file"] {
        let begin = || match person.get(&format!("{base}/api/v1/{path}")).body {
            web::Body::Stream(pieces) => pieces,
            web::Body::Full(_) => panic!("it is streamed"),
        };
        assert!(begin().flatten().count() > 10, "{path}");
        let mut pieces = begin();
        let control = site.database(&store::Place::Control);
        let put = |label| {
            let text = "update tenant set slot = ?1";
            control.execute(text, store::params![label]).expect("put");
        };
        put(2);
        let rest: Vec<u8> = pieces.by_ref().flatten().collect();
        assert!(
            !String::from_utf8_lossy(&rest).contains("ann@x.test"),
            "{path}"
        );
        put(1);
    }
}
