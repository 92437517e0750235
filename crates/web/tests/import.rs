//! Files that wait for their columns to be mapped, what may be said about a file, and imports that are ended.

mod site;

use std::io::Write;

use http::Method;
use serde_json::{Value, json};
use site::{Person, Site, location, text};
use store::{Place, suppression, undo};
use web::{Body, Response};

fn json_of(response: &Response) -> Value {
    serde_json::from_str(&text(response)).expect("JSON")
}

/// A call of the API by a person.
fn call(site: &Site, person: &Person<'_>, method: Method, path: &str, body: Value) -> Response {
    let headers = [
        ("cookie", person.cookie.as_str()),
        ("content-type", "application/json"),
        ("sec-fetch-site", "same-origin"),
    ];
    site.send(method, path, &headers, body.to_string().into_bytes())
}

fn import_of(person: &Person<'_>, base: &str, id: i64) -> Value {
    json_of(&person.get(&format!("{base}/api/v1/imports/{id}")))
}

fn lead_of(person: &Person<'_>, base: &str, email: &str) -> Value {
    let page = json_of(&person.get(&format!("{base}/api/v1/leads?email={email}")));
    page["items"][0].clone()
}

const FILE: &[u8] =
    b"Work Email;Who;Shoe;Phone\nANN@x.test;ANN-MARIE SMITH;37;030 123456\nbo@x.test;Bo;44;\n";

#[test]
fn a_file_waits_until_its_columns_are_mapped() {
    let site = Site::new();
    let ann = site.sign_up("ann@agency.test");
    let base = ann.sub_account("Acme");
    let id = ann.upload(&base, FILE, "fair", &[("preview", "1")]);
    ann.work();
    let api = format!("{base}/api/v1/imports/{id}");
    let waiting = import_of(&ann, &base, id);
    assert_eq!(
        (&waiting["status"], &waiting["rows"]["total"]),
        (&json!("waiting"), &json!(0))
    );

    let preview = json_of(&ann.get(&format!("{api}/preview")));
    assert_eq!(preview["delimiter"], ";");
    assert_eq!(preview["header"], true);
    assert_eq!(preview["columns"][0]["target"], json!({"field": "email"}));
    assert_eq!(preview["columns"][2]["samples"], json!(["37", "44"]));
    assert_eq!(preview["rows"][1], json!(["bo@x.test", "Bo", "44", ""]));
    let raw = json_of(&ann.get(&format!("{api}/preview?header=0&delimiter=,")));
    assert_eq!(raw["rows"].as_array().map(Vec::len), Some(3));

    let post = |body: Value| call(&site, &ann, Method::POST, &format!("{api}/mapping"), body);
    let columns = json!([{"target": {"field": "email"}}, {"target": "full_name"}, {"target": null}, {"target": {"field": "phone"}}]);
    for (body, field) in [
        (json!({"columns": []}), "columns"),
        (
            json!({"columns": [{"target": null}, {"target": null}, {"target": null}, {"target": null}]}),
            "columns",
        ),
        (json!({"phone_country": "Germany"}), "phone_country"),
        (
            json!({"constants": [{"target": {"data": "Not A Name"}, "value": "x"}]}),
            "constants[0].target",
        ),
    ] {
        let refused = post(body);
        assert_eq!(refused.status, 422, "{}", text(&refused));
        assert_eq!(json_of(&refused)["errors"][0]["field"], field);
    }
    let unknown = post(json!({"colums": []}));
    assert!(unknown.status.is_client_error() && text(&unknown).contains("colums"));

    let body = json!({
        "columns": columns, "phone_country": "de", "tag": null,
        "constants": [{"target": {"field": "country"}, "value": "Germany"}],
    });
    let started = post(body.clone());
    assert_eq!(started.status, 202, "{}", text(&started));
    ann.work();
    let done = import_of(&ann, &base, id);
    assert_eq!(
        (&done["status"], &done["rows"]["created"]),
        (&json!("done"), &json!(2))
    );
    let lead = lead_of(&ann, &base, "ann@x.test");
    assert_eq!(lead["first_name"], "Ann-Marie");
    assert_eq!(lead["phone"], "+4930123456");
    assert_eq!(lead["country"], "Germany");
    assert_eq!((&lead["tags"], &lead["data"]), (&json!([]), &json!({})));
    assert_eq!(post(body).status, 409, "it waits no more");
}

#[test]
fn the_page_maps_what_the_api_maps() {
    let site = Site::new();
    let ann = site.sign_up("ann@agency.test");
    let base = ann.sub_account("Acme");
    let id = ann.upload(&base, FILE, "fair", &[("preview", "1")]);
    let path = format!("{base}/imports/{id}/mapping");
    let page = text(&ann.get(&path));
    for part in [
        "Where do the columns go?",
        "ANN-MARIE SMITH",
        "value=\"shoe\"",
        "fair",
    ] {
        assert!(page.contains(part), "{part}: {page}");
    }
    assert!(text(&ann.get(&format!("{base}/imports/{id}"))).contains("/mapping\""));
    let shown = [
        ("header", "1"),
        ("delimiter", ";"),
        ("encoding", "utf-8"),
        ("mode", "both"),
        ("tag", "hot"),
    ];
    let columns = [
        ("target_0", ""),
        ("target_1", "full_name"),
        ("target_2", "data"),
        ("custom_2", "Shoe size"),
        ("target_3", ""),
    ];
    let form = [&shown[..], &columns].concat();
    let refused = ann.post(&path, &form);
    assert_eq!(refused.status, 422);
    let again = text(&refused);
    assert!(
        again.contains("known by them") && again.contains("value=\"Shoe size\""),
        "{again}"
    );

    let constant = [
        ("target_0", "email"),
        ("constant_1", "company"),
        ("value_1", "Acme"),
    ];
    let form = [&constant[..], &shown, &columns[1..]].concat();
    assert_eq!(
        location(&ann.post(&path, &form)),
        format!("{base}/imports/{id}")
    );
    ann.work();
    let lead = lead_of(&ann, &base, "bo@x.test");
    assert_eq!(
        (&lead["data"], &lead["company"]),
        (&json!({"shoe_size": "44"}), &json!("Acme"))
    );
    assert_eq!(lead["tags"], json!(["hot"]));
    assert_eq!(location(&ann.get(&path)), format!("{base}/imports/{id}"));
}

#[test]
fn a_mode_says_which_leads_may_change() {
    let site = Site::new();
    let ann = site.sign_up("ann@agency.test");
    let base = ann.sub_account("Acme");
    ann.import(&base, "email,company\nold@x.test,Acme\n", "first");
    let file = b"email,company\nold@x.test,Other\nnew@x.test,\n";
    let rows = |mode: &str| {
        let id = ann.upload(&base, file, mode, &[("mode", mode)]);
        ann.work();
        let import = import_of(&ann, &base, id);
        assert_eq!(import["mode"], mode);
        let of = |name: &str| import["rows"][name].as_i64().expect("a number");
        let all = ["created", "updated", "unchanged", "skipped", "failed"].map(of);
        assert_eq!(all.iter().sum::<i64>(), of("total"), "{import}");
        all
    };
    assert_eq!(rows("create"), [1, 0, 0, 1, 0]);
    assert_eq!(lead_of(&ann, &base, "old@x.test")["company"], "Acme");
    assert_eq!(
        lead_of(&ann, &base, "old@x.test")["tags"],
        json!(["first"]),
        "left alone"
    );
    assert_eq!(rows("update"), [0, 1, 1, 0, 0]);
    assert_eq!(rows("both"), [0, 0, 2, 0, 0]);
}

#[test]
fn an_import_can_be_canceled_until_it_ends() {
    let site = Site::new();
    let ann = site.sign_up("ann@agency.test");
    let base = ann.sub_account("Acme");
    for options in [&[("preview", "1")][..], &[]] {
        let id = ann.upload(&base, FILE, "fair", options);
        let path = format!("{base}/api/v1/imports/{id}/cancellation");
        let canceled = call(&site, &ann, Method::POST, &path, json!({}));
        assert_eq!(json_of(&canceled)["status"], "canceling");
        ann.work();
        let end = import_of(&ann, &base, id);
        assert_eq!(
            (&end["status"], &end["rows"]["total"]),
            (&json!("canceled"), &json!(0))
        );
        assert!(end["finished_at"].is_i64());
        let again = call(&site, &ann, Method::POST, &path, json!({}));
        assert_eq!(again.status, 409);
        let page = format!("{base}/imports/{id}");
        assert_eq!(
            location(&ann.post(&format!("{page}/cancellation"), &[])),
            page
        );
    }
    let leads = json_of(&ann.get(&format!("{base}/api/v1/leads")));
    assert_eq!(leads["items"], json!([]));
}

#[test]
fn failed_rows_come_back_with_their_number_and_reason() {
    let site = Site::new();
    let ann = site.sign_up("ann@agency.test");
    let base = ann.sub_account("Acme");
    ann.import(&base, "email,note\nann@x.test,A\nnobody,\"x,\ny\"\n", "hot");
    let answer = ann.get(&format!("{base}/api/v1/imports/1/errors.csv"));
    let Body::Stream(pieces) = answer.body else {
        panic!("it is streamed");
    };
    let errors = String::from_utf8(pieces.flatten().collect()).expect("UTF-8");
    assert!(
        errors.starts_with("email,note,error_code,error,row\r\nnobody,\"x,\ny\",invalid_email,"),
        "{errors}"
    );
    assert!(errors.ends_with(",2\r\n"), "{errors}");
    ann.import(&base, &errors.replace("nobody", "bo@x.test"), "mended");
    assert_eq!(
        lead_of(&ann, &base, "bo@x.test")["data"],
        json!({"note": "x,\ny"})
    );
}

#[test]
fn the_file_is_there_until_its_time_is_over() {
    let site = Site::new();
    let ann = site.sign_up("ann@agency.test");
    let base = ann.sub_account("Acme");
    let text = "email,note\nann@x.test,A\n";
    ann.import(&base, text, "hot");
    let file = || ann.get(&format!("{base}/api/v1/imports/1/file"));
    let Body::Stream(chunks) = file().body else {
        panic!("it is streamed");
    };
    assert_eq!(chunks.flatten().collect::<Vec<u8>>(), text.as_bytes());
    site.later(30 * 24 * 60 * 60 * 1000 + 1);
    ann.work();
    let db = site.database(&Place::Slot(1));
    let left = "select (select count(*) from import_chunk) + count(file_until) from import";
    assert_eq!(db.query(left, &[]).expect("a count")[0].int(0), 0);
    assert!(!undo::begin(&*db, 1, site.now()).expect("an answer"));
}

#[test]
fn a_short_row_that_failed_comes_back_under_the_right_headers() {
    let site = Site::new();
    let ann = site.sign_up("ann@agency.test");
    let base = ann.sub_account("Acme");
    ann.import(&base, "email;company;note\nnobody\n\"a;b\";Acme\n", "hot");
    let answer = ann.get(&format!("{base}/api/v1/imports/1/errors.csv"));
    let Body::Stream(pieces) = answer.body else {
        panic!("it is streamed");
    };
    let errors = String::from_utf8(pieces.flatten().collect()).expect("UTF-8");
    let rows: Vec<_> = errors.lines().skip(1).collect();
    assert!(rows[0].starts_with("nobody;;;invalid_email;"), "{errors}");
    assert!(
        rows[1].starts_with("\"a;b\";Acme;;invalid_email;"),
        "{errors}"
    );
}

#[test]
fn an_encoding_that_nobody_chose_is_found_in_the_whole_file() {
    let site = Site::new();
    let ann = site.sign_up("ann@agency.test");
    let base = ann.sub_account("Acme");
    let row = |n: usize| format!("p{n}@x.test,{}\n", "x".repeat(20_000));
    let mut file = format!("email,company\n{}", (0..20).map(row).collect::<String>()).into_bytes();
    file.extend(b"last@x.test,Caf\xe9\n");
    let id = ann.upload(&base, &file, "hot", &[("preview", "1")]);
    let path = format!("{base}/imports/{id}/mapping");
    let hidden = "type=\"hidden\" name=\"encoding\"";
    assert!(!text(&ann.get(&path)).contains(hidden));
    let chosen = text(&ann.get(&format!("{path}?encoding=windows-1252")));
    assert!(chosen.contains(&format!("{hidden} value=\"windows-1252\"")));
    let form = [("header", "1"), ("delimiter", ",")];
    let columns = [("target_0", "email"), ("target_1", "company")];
    location(&ann.post(&path, &[&form[..], &columns].concat()));
    ann.work();
    let done = import_of(&ann, &base, id);
    assert_eq!(done["rows"]["failed"], 0, "{done}");
    assert_eq!(lead_of(&ann, &base, "last@x.test")["company"], "Café");
}

#[test]
fn a_suppressed_address_is_left_alone_however_its_domain_is_written() {
    let site = Site::new();
    let ann = site.sign_up("ann@agency.test");
    let base = ann.sub_account("Acme");
    let db = site.database(&Place::Slot(1));
    for address in ["a@xn--exmple-cua.test", "b@exämple.test"] {
        suppression::insert(&*db, address, "unsubscribed", None, 1).expect("kept");
    }
    let rows = [
        "a@xn--exmple-cua.test",
        "a@exämple.test",
        "b@xn--exmple-cua.test",
        "b@exämple.test",
        "c@exämple.test",
    ];
    ann.import(&base, &format!("email\n{}\n", rows.join("\n")), "hot");
    let rows = &import_of(&ann, &base, 1)["rows"];
    assert_eq!((&rows["skipped"], &rows["created"]), (&json!(4), &json!(1)));
    for form in ["a@exämple.test", "b@xn--exmple-cua.test"] {
        let reason = suppression::reason(&*db, form).expect("an answer");
        assert_eq!(reason.as_deref(), Some("unsubscribed"), "{form}");
    }
}

#[test]
fn an_import_is_taken_back_but_for_what_was_changed_since() {
    let site = Site::new();
    let ann = site.sign_up("ann@agency.test");
    let base = ann.sub_account("Acme");
    ann.import(&base, "email,company,shoe\nold@x.test,Acme,37\n", "first");
    let file = "email,company,shoe,first_name\nold@x.test,Other,38,Olga\nnew@x.test,New,44,\nkept@x.test,,45,\n";
    ann.import(&base, file, "second");
    let leads = format!("{base}/api/v1/leads");
    let change = |body: Value| call(&site, &ann, Method::POST, &leads, body).status;
    assert_eq!(
        change(json!({"email": "old@x.test", "company": "Mine"})),
        200
    );
    assert_eq!(
        change(json!({"email": "kept@x.test", "tags": ["mine"]})),
        200
    );

    let page = format!("{base}/imports/2");
    assert!(text(&ann.get(&page)).contains("Undo this import"));
    let api = format!("{base}/api/v1/imports/2");
    let undo = || {
        call(
            &site,
            &ann,
            Method::POST,
            &format!("{api}/reversal"),
            json!({}),
        )
    };
    let begun = undo();
    assert_eq!(
        (begun.status.as_u16(), &json_of(&begun)["status"]),
        (202, &json!("undoing"))
    );
    ann.work();
    assert_eq!(import_of(&ann, &base, 2)["status"], "undone");
    let old = lead_of(&ann, &base, "old@x.test");
    assert_eq!(
        (&old["company"], &old["first_name"]),
        (&json!("Mine"), &Value::Null)
    );
    assert_eq!(
        (&old["data"], &old["tags"]),
        (&json!({"shoe": "37"}), &json!(["first"]))
    );
    assert_eq!(lead_of(&ann, &base, "new@x.test"), Value::Null);
    let kept = lead_of(&ann, &base, "kept@x.test");
    assert_eq!(
        (&kept["data"], &kept["tags"]),
        (&json!({"shoe": "45"}), &json!(["mine"]))
    );

    let left = json_of(&ann.get(&format!("{api}/kept")));
    let items = json!([{"lead_id": 1, "field": "company"}, {"lead_id": 3, "field": "lead"}]);
    assert_eq!(left, json!({"total": 2, "items": items}));
    let shown = text(&ann.get(&page));
    assert!(
        shown.contains("/leads/3\">Lead 3</a>: the lead itself"),
        "{shown}"
    );
    assert_eq!(undo().status, 409);
    assert_eq!(location(&ann.post(&format!("{page}/reversal"), &[])), page);
}

#[test]
fn the_number_of_a_lead_that_is_gone_is_not_given_again() {
    let site = Site::new();
    let ann = site.sign_up("ann@agency.test");
    let base = ann.sub_account("Acme");
    ann.import(&base, "email\none@x.test\ntwo@x.test\n", "hot");
    ann.post(&format!("{base}/imports/1/reversal"), &[]);
    ann.work();
    ann.import(&base, "email\nthree@x.test\n", "hot");
    assert_eq!(lead_of(&ann, &base, "three@x.test")["id"], 3);
}

#[test]
fn a_packed_file_is_unpacked_on_its_way() {
    let site = Site::new();
    let ann = site.sign_up("ann@agency.test");
    let base = ann.sub_account("Acme");
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packed.write_all(FILE).expect("kept");
    let packed = packed.finish().expect("packed");
    let id = ann.upload(&base, &packed, "hot", &[]);
    ann.work();
    let end = import_of(&ann, &base, id);
    assert_eq!(
        (&end["status"], &end["rows"]["created"]),
        (&json!("done"), &json!(2))
    );
    assert_eq!(end["bytes"], FILE.len());
}

#[test]
fn what_a_later_import_brought_too_stays_when_the_first_is_taken_back() {
    let site = Site::new();
    let ann = site.sign_up("ann@agency.test");
    let base = ann.sub_account("Acme");
    ann.import(&base, "email\none@x.test\ntwo@x.test\n", "hot");
    ann.import(&base, "email\none@x.test\n", "hot");
    assert_eq!(import_of(&ann, &base, 2)["rows"]["unchanged"], 1);
    ann.post(&format!("{base}/imports/1/reversal"), &[]);
    ann.work();
    assert_eq!(import_of(&ann, &base, 1)["status"], "undone");
    assert_eq!(lead_of(&ann, &base, "one@x.test")["tags"], json!(["hot"]));
    assert_eq!(lead_of(&ann, &base, "two@x.test"), Value::Null);
    // The tag is the second import's by now.
    ann.post(&format!("{base}/imports/2/reversal"), &[]);
    ann.work();
    assert_eq!(lead_of(&ann, &base, "one@x.test")["tags"], json!([]));
}

#[test]
fn what_shrank_to_almost_nothing_is_refused() {
    let site = Site::new();
    let ann = site.sign_up("ann@agency.test");
    let base = ann.sub_account("Acme");
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    packed.write_all(&vec![b'a'; 8 << 20]).expect("kept");
    let packed = packed.finish().expect("packed");
    assert!(packed.len() < 16 << 10);
    let refused = ann.try_upload(&base, &packed, "hot", &[]);
    assert_eq!(refused.expect_err("refused").status, 413);
}
