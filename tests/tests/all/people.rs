//! People prove who they are: by a mail, a password, a code. Mails leave by a real relay.

use serde_json::{Value, json};
use tests::harness::{
    Agency, Http, Options, Reply, SOON, Sink, Sluice, eventually, eventually_true, log_in, totp,
};

use crate::nodes::REVOKED;

/// A host whose own mails a relay takes.
fn start(relay: &Sink, variables: &[&str]) -> Sluice {
    let options = Options::default().env("SLUICE_RELAY", relay.relay());
    let set = |options: Options, set: &&str| options.argument("--variable").argument(*set);
    variables.iter().fold(options, set).start()
}

fn post_form(http: &Http, path: &str, form: &str) -> Reply {
    http.post_bytes(path, "application/x-www-form-urlencoded", form.as_bytes())
}

#[test]
fn an_address_is_confirmed_by_a_mail_that_outlives_a_power_failure() {
    let relay = Sink::start();
    let sender = "mail_from=Agency Desk <desk@agency.test>";
    let mut sluice = start(&relay, &["confirm_email=required", sender]);
    let body = json!({"email": "Ann@Agency.test", "password": "correct horse", "account": "A"});
    let reply = sluice.http().post("/api/v1/signup", &body).expect(201);
    let ann = sluice.http().with_session(&reply.cookie().unwrap());
    sluice.kill();
    sluice.start_again();

    // Until the link is followed there is nothing to be had, by program or by page.
    ann.get("/api/v1/subaccounts").expect(403);
    let page = ann.get("/subaccounts").expect(303);
    assert_eq!(page.header("location"), Some("/confirm"));
    let mail = relay.mail_to("ann@agency.test", "Confirm your e-mail address");
    assert_eq!(mail.from(), "desk@agency.test");
    assert_eq!(mail.header("Auto-Submitted"), "auto-generated");
    let link = mail.link();
    assert!(
        link.starts_with(&format!("{}/confirm?token=", sluice.url())),
        "{link}"
    );

    // Mail programs look at links before people do: looking confirms nothing.
    sluice.http().get(&link).expect(200);
    ann.get("/api/v1/subaccounts").expect(403);
    let form = format!("token={}", mail.token());
    let done = post_form(&ann, "/confirm", &form).expect(200);
    assert!(done.text().contains("ann@agency.test"), "{}", done.text());
    ann.get("/api/v1/subaccounts").expect(200);
    assert_eq!(
        ann.get("/api/v1/me").expect(200).json()["user"]["confirmed"],
        true
    );
    post_form(&ann, "/confirm", &form).expect(404);
    let confirmation = json!({"token": mail.token()});
    sluice
        .http()
        .post("/api/v1/confirmations", &confirmation)
        .expect(404);
}

#[test]
fn a_forgotten_password_is_chosen_anew_by_a_link_that_works_once() {
    let relay = Sink::start();
    let sluice = start(&relay, &[]);
    let ann = Agency::sign_up(&sluice);
    let sub = ann.subaccount("Acme");
    let elsewhere = log_in(&sluice, &ann);
    let on_slave = elsewhere.under(sub.http.base());
    on_slave.get("/api/v1/leads").expect(200);

    // Nobody learns who has an account: not by the answer of the API, and not by that of the page.
    let nobody = "nobody@agency.test";
    let asked = |email: &str| {
        let body = json!({"email": email});
        let api = sluice.http().post("/api/v1/password-resets", &body);
        let page = post_form(&sluice.http(), "/forgot", &format!("email={email}"));
        [api, page].map(|reply| reply.expect(202).text().replace(email, "X"))
    };
    assert_eq!(asked(nobody), asked(&ann.email));
    let subject = "A new password for Sluice";
    let first = eventually("two mails", SOON, || {
        let mails = relay.mails();
        let mut ours = mails
            .into_iter()
            .filter(|m| m.to() == ann.email && m.header("Subject") == subject);
        let first = ours.next()?;
        ours.next().map(|_| first)
    });
    let newest = relay.mail_to(&ann.email, subject);

    let choose = |token: &str, password: &str| {
        let body = json!({"token": token, "password": password});
        sluice
            .http()
            .post("/api/v1/password-resets/completion", &body)
    };
    choose(&first.token(), "battery staple").expect(404);
    choose(&newest.token(), "short").expect_problem_on("password");
    choose(&newest.token(), "battery staple").expect(204);
    choose(&newest.token(), "somebody else's").expect(404);

    for session in [&ann.browser, &elsewhere] {
        session.get("/api/v1/me").expect(401);
    }
    eventually_true("the session ended on the slave too", REVOKED, || {
        on_slave.get("/api/v1/leads").status == 401
    });
    let with = |password: &str| {
        let body = json!({"email": ann.email, "password": password});
        sluice.http().post("/api/v1/login", &body).status
    };
    assert_eq!((with(&ann.password), with("battery staple")), (401, 200));
    relay.mail_to(&ann.email, "Your password was changed");
    let strangers = relay.mails().iter().filter(|m| m.to() == nobody).count();
    assert_eq!(strangers, 0, "a mail to an address without an account");
}

#[test]
fn a_second_factor_is_asked_for_and_a_recovery_code_replaces_it_once() {
    let relay = Sink::start();
    let sluice = start(&relay, &[]);
    let ann = Agency::sign_up(&sluice);
    let of = |path: &str, body: Value| {
        ann.browser
            .post(&format!("/api/v1/second-factor{path}"), &body)
    };
    of("", json!({"password": "not it"})).expect_problem_on("password");
    let setup = of("", json!({"password": ann.password})).expect(200).json();
    let secret = setup["secret"].as_str().unwrap();
    let uri = setup["uri"].as_str().unwrap();
    assert!(
        uri.starts_with("otpauth://totp/") && uri.contains(secret),
        "{uri}"
    );
    // Half-way it is not asked for, and no other code ends the setting up.
    log_in(&sluice, &ann);
    of("/confirmation", json!({"code": "abcdef"})).expect_problem_on("code");
    let on = of("/confirmation", json!({"code": totp(secret, 0)}))
        .expect(200)
        .json();
    let recovery = on["recovery_codes"].as_array().unwrap();
    assert_eq!(recovery.len(), 10);
    relay.mail_to(&ann.email, "Your second factor is on");

    let with = |code: Value| {
        let body = json!({"email": ann.email, "password": ann.password, "code": code});
        sluice.http().post("/api/v1/login", &body)
    };
    let asked = with(Value::Null);
    assert_eq!((asked.status, asked.cookie()), (401, None));
    asked.expect_problem_on("code");
    with(json!(totp(secret, 0))).expect_problem_on("code");
    let next = totp(secret, 1);
    with(json!(next)).expect(200);
    with(json!(next)).expect_problem_on("code");
    with(recovery[0].clone()).expect(200);
    with(recovery[0].clone()).expect_problem_on("code");

    // Whoever knows the password does not get to guess codes for long.
    let refused = eventually("a pause", SOON, || {
        Some(with(json!("000000"))).filter(|reply| reply.status == 429)
    });
    let pause: u32 = refused.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=5).contains(&pause), "{pause}");
    eventually_true("the end of the pause", SOON, || {
        with(recovery[1].clone()).status == 200
    });
}

#[test]
fn sessions_are_listed_and_end_when_they_are_told_to() {
    let relay = Sink::start();
    let sluice = start(&relay, &[]);
    let ann = Agency::sign_up(&sluice);
    let sub = ann.subaccount("Acme");
    let (desk, phone) = (log_in(&sluice, &ann), log_in(&sluice, &ann));
    let phone_at_slave = phone.under(sub.http.base());
    phone_at_slave.get("/api/v1/leads").expect(200);
    let listed = |http: &Http| http.get("/api/v1/sessions").expect(200).json()["items"].clone();
    let all = listed(&desk);
    assert_eq!(all.as_array().unwrap().len(), 3, "{all}");
    let current = |list: &Value| {
        let mut items = list.as_array().unwrap().iter();
        items.find(|s| s["current"] == true).unwrap()["id"].clone()
    };
    let id = current(&listed(&phone));
    assert_ne!(id, current(&all));

    // Another person's session is nobody's; a key is not a person.
    let path = format!("/api/v1/sessions/{}", id.as_str().unwrap());
    let other = Agency::sign_up(&sluice);
    other.browser.delete(&path).expect(404);
    ann.http.get("/api/v1/sessions").expect(403);
    phone.get("/api/v1/me").expect(200);
    desk.delete(&path).expect(204);
    phone.get("/api/v1/me").expect(401);
    eventually_true("the session ended on the slave", REVOKED, || {
        phone_at_slave.get("/api/v1/leads").status == 401
    });
    assert_eq!(listed(&desk).as_array().unwrap().len(), 2);

    desk.delete("/api/v1/sessions").expect(204);
    for session in [&desk, &ann.browser] {
        session.get("/api/v1/me").expect(401);
    }
    ann.http.get("/api/v1/me").expect(200);
    other.browser.get("/api/v1/me").expect(200);
}

#[test]
fn guessing_a_password_gets_slower_and_hurts_nobody_else() {
    let relay = Sink::start();
    let sluice = start(&relay, &[]);
    let (ann, other) = (Agency::sign_up(&sluice), Agency::sign_up(&sluice));
    let with = |password: &str| {
        let body = json!({"email": ann.email, "password": password});
        sluice.http().post("/api/v1/login", &body)
    };
    let mut tries = 0;
    let refused = eventually("a pause", SOON, || {
        tries += 1;
        Some(with("a guess")).filter(|reply| reply.status != 401)
    });
    assert_eq!(refused.status, 429, "{}", refused.text());
    assert!(tries > 5, "some tries are free: {tries}");
    let pause: u32 = refused.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=9).contains(&pause), "{pause}");
    assert_eq!(with(&ann.password).status, 429, "even the right one waits");
    log_in(&sluice, &other);
    ann.browser.get("/api/v1/me").expect(200);
    eventually_true("the end of the pause", SOON, || {
        with(&ann.password).status == 200
    });
}
