//! Rules as people and programs write, change and delete them.

mod site;

use http::Method;
use serde_json::{Value, json};
use site::{Person, Site, location, text};

fn api(person: &Person<'_>, method: Method, path: &str, body: &Value) -> (u16, Value) {
    let answer = person.call(method, path, &body.to_string());
    let body = serde_json::from_str(&text(&answer)).unwrap_or_default();
    (answer.status.as_u16(), body)
}

fn mail() -> Value {
    json!({"type": "new_outreach", "outreach_type": "email", "subject": "Hi {{first_name}}", "body": "Hello"})
}

fn refused(answer: &(u16, Value)) -> (u16, &str) {
    let field = answer.1["errors"][0]["field"].as_str();
    (answer.0, field.unwrap_or_default())
}

#[test]
fn a_program_writes_changes_and_deletes_rules_of_every_kind() {
    let site = Site::new();
    let person = site.sign_up("ann@agency.test");
    let base = person.sub_account("Acme");
    let rules = format!("{base}/api/v1/rules");
    let post = |body: &Value| api(&person, Method::POST, &rules, body);
    for (at, trigger) in [
        json!({"type": "tag_added", "tag": "hot"}),
        json!({"type": "rule_performed", "rule_id": 1}),
        json!({"type": "event_created", "event": "lead_created"}),
        json!({"type": "enrichment_done"}),
        json!({"type": "outreach_done", "rule_id": 1}),
        json!({"type": "accepted_request"}),
        json!({"type": "incoming_message"}),
        json!({"type": "open"}),
        json!({"type": "click", "rule_id": 1}),
    ]
    .into_iter()
    .enumerate()
    {
        let action = match at % 5 {
            0 => mail(),
            1 => json!({"type": "add_tag", "tag": "a"}),
            2 => json!({"type": "remove_tag", "tag": "a"}),
            3 => json!({"type": "new_enrichment", "enrichment_type": "phone"}),
            _ => json!({"type": "stop_outreach"}),
        };
        let made = post(&json!({"name": "R", "trigger": trigger, "action": action}));
        assert_eq!(
            (made.0, &made.1["trigger"], &made.1["action"]),
            (201, &trigger, &action)
        );
    }
    let trigger = json!({"type": "open"});
    for (body, field) in [
        (
            json!({"name": "R", "trigger": {"type": "rule_performed", "rule_id": 77}, "action": mail()}),
            "trigger.rule_id",
        ),
        (
            json!({"name": "R", "trigger": {"type": "event_created", "event": "Some thing"}, "action": mail()}),
            "trigger.event",
        ),
        (
            json!({"name": "R", "trigger": trigger, "action": {"type": "add_tag", "tag": " "}}),
            "action.tag",
        ),
        (
            json!({"name": "R", "trigger": trigger, "action": {"type": "new_enrichment", "enrichment_type": ""}}),
            "action.enrichment_type",
        ),
    ] {
        assert_eq!(refused(&post(&body)), (422, field), "{body}");
    }
    let one = format!("{rules}/1");
    let patch = |body: &Value| api(&person, Method::PATCH, &one, body);
    let filter = json!({"tag": "vip"});
    let changed = patch(
        &json!({"name": "New", "filter": filter, "delay_s": 60, "approval": true, "skip_repliers": true}),
    );
    assert_eq!(changed.0, 200, "{changed:?}");
    for (name, value) in [
        ("name", json!("New")),
        ("delay_s", json!(60)),
        ("approval", json!(true)),
        ("skip_repliers", json!(true)),
        ("version", json!(1)),
        ("action", mail()),
    ] {
        assert_eq!(changed.1[name], value, "{name}");
    }
    assert_eq!(patch(&json!({"filter": null})).1["filter"], Value::Null);
    for (markup, field) in [
        (json!({"html": "<img src='x'>"}), "action.body"),
        (
            json!({"mjml": format!("<mjml>{}", "<b>".repeat(9000))}),
            "action.mjml",
        ),
        (
            json!({"html": format!("x{}", "{% elif a %}".repeat(9000))}),
            "action.html",
        ),
    ] {
        let mut action =
            json!({"type": "new_outreach", "outreach_type": "email", "subject": "s", "body": ""});
        let (action, markup) = (action.as_object_mut().expect("one"), markup);
        action.extend(markup.as_object().expect("one").clone());
        assert_eq!(
            refused(&patch(&json!({"action": action}))),
            (422, field),
            "{field}"
        );
    }
    let wrong = json!({"action": {"type": "new_outreach", "outreach_type": "email", "subject": "{{nope}}", "body": "b"}});
    assert_eq!(refused(&patch(&wrong)), (422, "action.subject"));
    assert_eq!(refused(&patch(&json!({"delay_s": -1}))), (422, "delay_s"));
    assert_eq!(patch(&json!({"active": false})).1["active"], false);

    let delete = |id: i64| {
        api(
            &person,
            Method::DELETE,
            &format!("{rules}/{id}"),
            &json!({}),
        )
        .0
    };
    assert_eq!(delete(1), 409, "others wait for it");
    assert_eq!([delete(9), delete(5), delete(2), delete(1)], [204; 4]);
    assert_eq!(
        [delete(1), api(&person, Method::GET, &one, &json!({})).0],
        [404, 404]
    );
    let left = api(&person, Method::GET, &rules, &json!({}));
    assert_eq!(left.1["items"].as_array().map(Vec::len), Some(5));
    // A rule that comes later is another one.
    assert_eq!(
        post(&json!({"name": "R", "trigger": trigger, "action": mail()})).1["id"],
        10
    );
}

#[test]
fn a_person_writes_changes_and_deletes_a_rule_on_pages() {
    let site = Site::new();
    let person = site.sign_up("ann@agency.test");
    let base = person.sub_account("Acme");
    let path = format!("{base}/rules");
    let mut fields = vec![
        ("name", "Tidy"),
        ("trigger", "event_created"),
        ("event", "Odd"),
        ("delay", "90"),
        ("delay_unit", "minutes"),
        ("action", "add_tag"),
        ("action_tag", "seen"),
        ("skip_repliers", "1"),
    ];
    let answer = person.post(&path, &fields);
    assert_eq!(answer.status, 422);
    let html = text(&answer);
    assert!(
        html.contains("id=\"event-problem\"") && html.contains("value=\"event_created\" selected")
    );
    fields[2].1 = "lead_created";
    let own = location(&person.post(&path, &fields));
    assert_eq!(own, format!("{base}/rules/1"));
    let html = text(&person.get(&own));
    for part in [
        "lead created happens",
        "add the tag seen",
        "Delete this rule",
        "90",
    ] {
        assert!(html.contains(part), "{part}: {html}");
    }
    let html = text(&person.get(&format!("{own}/edit")));
    for part in [
        "value=\"90\"",
        "value=\"seen\"",
        "value=\"add_tag\" selected",
        "Change a rule",
    ] {
        assert!(html.contains(part), "{part}: {html}");
    }
    assert!(!html.contains("name=\"trigger\""));
    let change = [
        ("name", "Write"),
        ("delay", "0"),
        ("delay_unit", "days"),
        ("action", "new_outreach"),
        ("subject", "Hi {{frist_name}}"),
        ("body", "Hello"),
    ];
    let answer = person.post(&own, &change);
    assert_eq!(answer.status, 422);
    assert!(text(&answer).contains("frist_name"));
    let mut change = change;
    change[4].1 = "Hi {{first_name}}";
    assert_eq!(location(&person.post(&own, &change)), own);
    let html = text(&person.get(&own));
    assert!(
        html.contains("Hi {{first_name}}") && html.contains("send a mail"),
        "{html}"
    );
    person.import(&base, "email,first_name\na@x.test,Ann\n", "hot");
    person.work();
    let (_, made) = api(
        &person,
        Method::GET,
        &format!("{base}/api/v1/requests/1"),
        &json!({}),
    );
    assert_eq!(made["status"], "pending");
    assert_eq!(location(&person.post(&format!("{own}/removal"), &[])), path);
    assert_eq!(person.get(&own).status, 404);
    let (_, ended) = api(
        &person,
        Method::GET,
        &format!("{base}/api/v1/requests/1"),
        &json!({}),
    );
    assert_eq!(
        (&ended["status"], &ended["error"]),
        (&json!("canceled"), &json!("The rule was deleted."))
    );
}

#[test]
fn a_dry_run_counts_and_explains_and_does_nothing() {
    let site = Site::new();
    let person = site.sign_up("ann@agency.test");
    let base = person.sub_account("Acme");
    let file = "email,company\na@x.test,Acme\nb@x.test,\nc@x.test,Cyberdyne\n,Nobody\n";
    person.import(&base, file, "hot");
    person.import(&base, "email\nd@x.test\n", "cold");
    person.work();
    let path = format!("{base}/api/v1/rules/dry-run");
    let known = json!({"field": {"name": "company", "op": "is_set"}});
    let filter = json!({"and": [known, {"not": {"field": {"name": "company", "op": "contains", "value": "dyne"}}}]});
    let tried = json!({"trigger": {"type": "tag_added", "tag": "hot"}, "filter": filter, "action": mail(), "skip_repliers": true});
    let (status, ran) = api(&person, Method::POST, &path, &tried);
    assert_eq!(status, 200, "{ran}");
    assert_eq!(
        (&ran["leads"], &ran["triggered"], &ran["fitting"]),
        (&json!(4), &json!(3), &json!(1))
    );
    let samples = ran["samples"].as_array().expect("samples");
    let fits: Vec<_> = samples
        .iter()
        .map(|s| (s["lead_id"].as_i64(), s["fits"] == true))
        .collect();
    assert_eq!(
        fits,
        [
            (Some(1), true),
            (Some(3), false),
            (Some(2), false),
            (Some(4), false)
        ]
    );
    let why = |at: usize| -> Vec<_> {
        let parts = samples[at]["parts"].as_array().expect("parts").iter();
        let broken = parts.filter(|p| p["holds"] == false);
        broken.map(|p| p["what"].as_str().expect("words")).collect()
    };
    assert_eq!(why(1), ["all of these hold", "this does not hold"]);
    assert_eq!(
        why(2),
        [
            "all of these hold",
            "company is known",
            "company contains “dyne”"
        ]
    );
    assert_eq!(why(3)[0], "tag hot is added");
    assert_eq!(
        refused(&api(&person, Method::POST, &path, &json!({}))),
        (422, "trigger")
    );
    assert_eq!(
        refused(&api(&person, Method::POST, &path, &json!({"rule_id": 5}))),
        (422, "rule_id")
    );

    let fields = [
        ("name", "R"),
        ("trigger", "tag_added"),
        ("tag", "hot"),
        ("delay", "0"),
        ("delay_unit", "days"),
        ("action", "stop_outreach"),
        ("dry_run", "1"),
    ];
    let html = text(&person.post(&format!("{base}/rules"), &fields));
    assert!(
        html.contains("<strong>3</strong> of 3 leads") && html.contains("value=\"hot\""),
        "{html}"
    );
    assert_eq!(
        api(
            &person,
            Method::GET,
            &format!("{base}/api/v1/rules"),
            &json!({})
        )
        .1["items"],
        json!([])
    );
    let made = json!({"name": "R", "trigger": {"type": "tag_added", "tag": "hot"}, "action": mail(), "apply_to_previous": false});
    assert_eq!(
        api(
            &person,
            Method::POST,
            &format!("{base}/api/v1/rules"),
            &made
        )
        .0,
        201
    );
    let html = text(&person.get(&format!("{base}/rules/1?dry_run=1")));
    assert!(
        html.contains("Whom it would be for now") && html.contains("is not suppressed"),
        "{html}"
    );
    assert_eq!(
        api(&person, Method::POST, &path, &json!({"rule_id": 1})).1["fitting"],
        3
    );
}

#[test]
fn a_mail_in_html_or_mjml_is_previewed_and_written_by_one_engine() {
    let site = Site::new();
    let person = site.sign_up("ann@agency.test");
    let base = person.sub_account("Acme");
    let path = format!("{base}/api/v1/templates/preview");
    let preview = |body: &Value| api(&person, Method::POST, &path, body);
    let (status, nobody) = preview(&json!({"subject": "Hi {{first_name}}", "body": "Hello"}));
    assert_eq!(
        (status, &nobody["lead_id"], &nobody["subject"]),
        (200, &Value::Null, &json!("Hi"))
    );
    person.import(
        &base,
        "email,first_name,company\na@x.test,Ann,<Acme>\nb@x.test,,\n",
        "hot",
    );
    person.work();
    let mjml = "<mjml><mj-body><mj-section><mj-column><mj-text>Is {{ company | fallback(\"anybody\") }} {hiring|looking}?</mj-text>\
        <mj-button href=\"{{ unsubscribe_url }}\">Leave</mj-button></mj-column></mj-section></mj-body></mjml>";
    let (status, mail) =
        preview(&json!({"subject": "Hi {{first_name}}", "mjml": mjml, "lead_id": 1, "seed": 1}));
    assert_eq!((status, &mail["missing"]), (200, &json!([])), "{mail}");
    let html = mail["html"].as_str().expect("HTML");
    assert!(
        html.contains("&lt;Acme&gt;") && html.contains("<table") && !html.contains("<mj-"),
        "{html}"
    );
    let plain = mail["text"].as_str().expect("text");
    assert!(
        plain.contains("Is <Acme> ") && plain.contains("/u/") && !plain.contains("<table"),
        "{plain}"
    );
    assert_eq!(
        preview(&json!({"subject": "Hi {{first_name}}", "body": "x", "lead_id": 2})).1["missing"],
        json!(["first_name"])
    );
    for (body, field) in [
        (
            json!({"subject": "Hi", "html": "<p>{{ frist_name }}</p>"}),
            "html",
        ),
        (json!({"subject": "Hi", "mjml": "<mjml><mj-oops>"}), "mjml"),
        (
            json!({"subject": "Hi", "mjml": mjml, "html": "<p>x</p>"}),
            "mjml",
        ),
        (json!({"subject": "Hi"}), "body"),
        (
            json!({"subject": "{Hi {{x}}|Hello}", "body": "x"}),
            "subject",
        ),
        (
            json!({"subject": "Hi", "body": "{{ company }}", "lead_id": 2}),
            "lead_id",
        ),
        (
            json!({"subject": "Hi", "body": "x", "lead_id": 99}),
            "lead_id",
        ),
    ] {
        assert_eq!(refused(&preview(&body)), (422, field), "{body}");
    }
    let action = json!({"type": "new_outreach", "outreach_type": "email", "subject": "Hi {{ first_name }}!", "mjml": mjml});
    let rule = json!({"name": "R", "trigger": {"type": "tag_added", "tag": "hot"}, "action": action, "approval": true});
    let made = api(
        &person,
        Method::POST,
        &format!("{base}/api/v1/rules"),
        &rule,
    );
    assert_eq!((made.0, &made.1["action"]), (201, &action));
    person.work();
    let ran = api(
        &person,
        Method::POST,
        &format!("{base}/api/v1/rules/dry-run"),
        &json!({"rule_id": 1}),
    )
    .1;
    assert_eq!(
        ran["missing"],
        json!([{"variable": "first_name", "leads": 1}])
    );
    let html = text(&person.get(&format!("{base}/requests/1")));
    assert!(
        html.contains("The HTML part") && html.contains("Is &#60;Acme&#62;"),
        "{html}"
    );

    let fields = [
        ("name", "R"),
        ("trigger", "tag_added"),
        ("tag", "hot"),
        ("delay", "0"),
        ("delay_unit", "days"),
        ("action", "new_outreach"),
        ("subject", "Dear {{first_name}}"),
        ("markup", "<p>How is {{company}}?</p>"),
        ("preview", "1"),
    ];
    let html = text(&person.post(&format!("{base}/rules"), &fields));
    assert!(
        html.contains("This lead has no <code>company</code>"),
        "{html}"
    );
    let mut fields = fields;
    fields[7].1 = "<mjml><mj-oops>";
    let html = text(&person.post(&format!("{base}/rules"), &fields));
    assert!(html.contains("id=\"markup-problem\""), "{html}");
    assert!(text(&person.get(&format!("{base}/rules/1/edit"))).contains("mj-section"));
}

#[test]
fn a_sequence_is_written_watched_and_changed() {
    let site = Site::new();
    let person = site.sign_up("ann@agency.test");
    let base = person.sub_account("Acme");
    let path = format!("{base}/api/v1/sequences");
    let new = |steps: Value| json!({"name": "Fair", "trigger": {"type": "tag_added", "tag": "hot"}, "steps": steps});
    let post = |steps: Value| api(&person, Method::POST, &path, &new(steps));
    for (steps, field) in [
        (json!([]), "steps"),
        (json!([{"action": mail(), "wait_s": -1}]), "steps.0.wait_s"),
        (
            json!([{"action": mail()}, {"action": {"type": "add_tag", "tag": ""}}]),
            "steps.1.action.tag",
        ),
        (
            json!([{"action": mail(), "variants": [{"subject": "{{nope}}", "body": "b"}]}]),
            "steps.0.variants.0.subject",
        ),
        (
            json!([{"action": mail(), "only_if": {"happened": "opened", "tag": "x"}}]),
            "steps.0.only_if",
        ),
        (
            json!([{"action": mail(), "variants": [{"subject": "a", "body": "b"}], "test": {"by": "bounced", "sample": 50}}]),
            "steps.0.test.by",
        ),
    ] {
        assert_eq!(refused(&post(steps.clone())), (422, field), "{steps}");
    }
    let steps = json!([{"action": mail()}, {"wait_s": 60, "only_if": {"happened": "opened", "not": true}, "action": {"type": "add_tag", "tag": "cold"}}]);
    let (status, made) = post(steps);
    assert_eq!(
        (status, &made["exit_on_reply"], &made["version"]),
        (201, &json!(true), &json!(1))
    );
    person.import(
        &base,
        "email,first_name\na@x.test,Ann\nb@x.test,Bo\n",
        "hot",
    );
    person.work();
    let one = format!("{path}/1");
    let (_, seen) = api(&person, Method::GET, &one, &json!({}));
    assert_eq!(
        (&seen["entered"], &seen["steps"][0]["counts"]["done"]),
        (&json!(2), &json!(2)),
        "{seen}"
    );
    let changed = json!({"name": "Fair 2", "steps": [{"action": {"type": "add_tag", "tag": "x"}}]});
    let (status, changed) = api(&person, Method::PATCH, &one, &changed);
    assert_eq!(
        (
            status,
            &changed["version"],
            &changed["steps"][0]["counts"]["done"]
        ),
        (200, &json!(2), &json!(0))
    );
    assert_eq!(
        api(
            &person,
            Method::GET,
            &format!("{base}/api/v1/rules"),
            &json!({})
        )
        .1["items"],
        json!([])
    );
    let step = changed["steps"][0]["rule_id"].as_i64().expect("a rule");
    assert_eq!(
        api(
            &person,
            Method::GET,
            &format!("{base}/api/v1/rules/{step}"),
            &json!({})
        )
        .0,
        404
    );
    assert_eq!(
        location(&person.get(&format!("{base}/rules/{step}"))),
        format!("{base}/sequences/1")
    );

    let pages = format!("{base}/sequences");
    let mut fields = vec![
        ("name", "Two"),
        ("tag", "hot"),
        ("exit_on_reply", "1"),
        ("step_0_wait", "0"),
        ("step_0_unit", "days"),
        ("step_0_do", "new_outreach"),
        ("step_0_subject", "Hi {{frist_name}}"),
        ("step_0_body", "Hello"),
        ("step_0_b_subject", "Hello"),
        ("step_0_b_body", "Hi"),
        ("step_0_by", "clicked"),
        ("step_0_sample", "50"),
        ("step_1_wait", "3"),
        ("step_1_unit", "days"),
        ("step_1_do", "add_tag"),
        ("step_1_tag", "late"),
        ("step_1_only", "not_clicked"),
        ("more", "1"),
    ];
    let html = text(&person.post(&pages, &fields));
    assert!(
        html.contains("Step 3")
            && html.contains("value=\"late\"")
            && html.contains("value=\"not_clicked\" selected"),
        "{html}"
    );
    fields.pop();
    let answer = person.post(&pages, &fields);
    assert_eq!(answer.status, 422);
    assert!(text(&answer).contains("id=\"step_0_subject-problem\""));
    fields[6].1 = "Hi {{first_name}}";
    assert_eq!(
        location(&person.post(&pages, &fields)),
        format!("{pages}/2")
    );
    let html = text(&person.get(&format!("{pages}/2")));
    for part in [
        "tag hot is added",
        "0 of 0",
        "Hi {{first_name}}",
        "add the tag late",
        "not in it: clicked",
        "left 50 times",
    ] {
        assert!(html.contains(part), "{part}: {html}");
    }
    assert!(text(&person.get(&pages)).contains("Fair 2"));
    assert_eq!(
        location(&person.post(&format!("{pages}/2/activation"), &[("active", "0")])),
        format!("{pages}/2")
    );
    assert_eq!(
        api(&person, Method::GET, &format!("{path}/2"), &json!({})).1["active"],
        false
    );
    assert_eq!(
        location(&person.post(&format!("{pages}/2/removal"), &[])),
        pages
    );
    assert_eq!(api(&person, Method::DELETE, &one, &json!({})).0, 204);
    assert_eq!(
        api(&person, Method::GET, &path, &json!({})).1["items"],
        json!([])
    );
}
