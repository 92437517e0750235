//! People: how they prove who they are, and what nobody learns or does without that.

mod site;

use http::Method;
use serde_json::{Value, json};
use site::{Site, location, text};
use store::{Place, custom_domain};
use web::assertion::{Claims, Issuer, Said, Signer};
use web::{Response, totp};

const ANN: &str = "ann@agency.test";
const PASSWORD: &str = "correct horse";
const MINUTE: i64 = 60_000;

/// Somebody who calls the API.
struct Api<'a> {
    site: &'a Site,
    cookie: String,
    address: &'static str,
}

fn api<'a>(site: &'a Site, cookie: &str) -> Api<'a> {
    Api {
        site,
        cookie: cookie.to_owned(),
        address: "203.0.113.7:4711",
    }
}

impl Api<'_> {
    fn call(&self, method: &str, path: &str, body: &Value) -> Response {
        let headers = [
            ("cookie", self.cookie.as_str()),
            ("content-type", "application/json"),
            ("user-agent", "Test/1.0"),
            ("spin-client-addr", self.address),
        ];
        let body = body.to_string().into_bytes();
        let method = Method::from_bytes(method.as_bytes()).expect("a method");
        self.site
            .send(method, &format!("/api/v1{path}"), &headers, body)
    }

    fn post(&self, path: &str, body: Value) -> Response {
        self.call("POST", path, &body)
    }

    fn get(&self, path: &str) -> Value {
        let answer = self.call("GET", path, &Value::Null);
        assert_eq!(answer.status, 200, "{path}: {}", text(&answer));
        json_of(&answer)
    }

    /// The status alone.
    fn status(&self, method: &str, path: &str, body: Value) -> u16 {
        self.call(method, path, &body).status.as_u16()
    }

    fn log_in(&self, email: &str, password: &str) -> Response {
        self.post("/login", json!({"email": email, "password": password}))
    }
}

fn json_of(response: &Response) -> Value {
    serde_json::from_str(&text(response)).expect("JSON")
}

fn cookie_of(response: &Response) -> String {
    let cookie = response.headers.get("set-cookie");
    let cookie = cookie.unwrap_or_else(|| panic!("a cookie in {}", text(response)));
    let pair = cookie.to_str().expect("text").split(';').next();
    pair.expect("a pair").to_owned()
}

/// An owner with a sub-account, and the id of that.
fn agency(site: &Site) -> (Api<'_>, String) {
    let person = site.sign_up(ANN);
    let place = person.sub_account("Acme")[3..].to_owned();
    let ann = api(site, &person.cookie);
    site.mails();
    (ann, place)
}

/// Somebody who was invited and came.
fn joined<'a>(site: &'a Site, ann: &Api<'_>, email: &str, role: &str, places: &[&str]) -> Api<'a> {
    let grants: Vec<_> = places
        .iter()
        .map(|id| json!({"subaccount_id": id, "role": role}))
        .collect();
    let invite = json!({"email": email, "role": role, "grants": grants});
    assert_eq!(ann.post("/invites", invite).status, 201);
    let token = site.link_to(email);
    let accepted = api(site, "").post(
        "/invites/acceptance",
        json!({"token": token, "password": PASSWORD}),
    );
    assert_eq!(accepted.status, 201, "{}", text(&accepted));
    api(site, &cookie_of(&accepted))
}

#[test]
fn an_address_is_confirmed_by_the_link_that_was_sent_to_it() {
    let site = Site::with(|config| config.confirm_required = true);
    let person = api(&site, "").post(
        "/signup",
        json!({"email": ANN, "password": PASSWORD, "account": "A"}),
    );
    assert_eq!(person.status, 201);
    let ann = api(&site, &cookie_of(&person));
    // Nothing but confirming, and looking who one is.
    assert_eq!(ann.get("/me")["user"]["confirmed"], false);
    for (method, path) in [
        ("GET", "/subaccounts"),
        ("POST", "/api-keys"),
        ("GET", "/people"),
    ] {
        let refused = ann.call(method, path, &json!({"name": "x"}));
        assert_eq!(refused.status, 403, "{path}");
        assert!(text(&refused).contains("Confirm your e-mail"), "{path}");
    }
    let page = site.send(
        Method::GET,
        "/subaccounts",
        &[("cookie", &ann.cookie)],
        vec![],
    );
    assert_eq!(location(&page), "/confirm");
    let token = site.link_to(ANN);
    // A newer link ends the older one, a look at the page uses nothing up.
    assert_eq!(ann.status("POST", "/me/confirmation-mail", json!({})), 202);
    assert_eq!(
        ann.status("POST", "/confirmations", json!({"token": token})),
        404
    );
    let token = site.link_to(ANN);
    let page = site.get(&format!("/confirm?token={token}"));
    assert!(text(&page).contains(&token));
    assert_eq!(
        ann.status("POST", "/confirmations", json!({"token": token})),
        200
    );
    assert_eq!(
        ann.status("POST", "/confirmations", json!({"token": token})),
        404,
        "once"
    );
    let spent = site.post("/confirm", &[("token", token.as_str())]);
    assert!(spent.status == 404 && text(&spent).contains("Send another one"));
    assert_eq!(ann.status("GET", "/subaccounts", Value::Null), 200);
    assert_eq!(ann.status("POST", "/me/confirmation-mail", json!({})), 409);
}

#[test]
fn a_forgotten_password_is_chosen_anew_by_a_link_that_works_once_for_half_an_hour() {
    let site = Site::new();
    let (ann, _) = agency(&site);
    let nobody = api(&site, "");
    let old = cookie_of(&nobody.log_in(ANN, PASSWORD));
    let ask = |email: &str| nobody.post("/password-resets", json!({"email": email}));
    let reset = |token: &str, password: &str| {
        nobody.status(
            "POST",
            "/password-resets/completion",
            json!({"token": token, "password": password}),
        )
    };
    assert_eq!(ask(ANN).status, 202);
    let token = site.link_to(ANN);
    site.later(31 * MINUTE);
    assert_eq!(reset(&token, "battery staple"), 404, "too late");

    assert_eq!(ask(ANN).status, 202);
    let first = site.link_to(ANN);
    assert_eq!(ask(ANN).status, 202);
    let token = site.link_to(ANN);
    assert_eq!(reset(&first, "battery staple"), 404, "a newer one was sent");
    assert_eq!(
        reset(&token, "short"),
        422,
        "an unfit password uses nothing up"
    );
    assert_eq!(reset(&token, "battery staple"), 204);
    assert_eq!(reset(&token, "battery stable"), 404, "once");
    assert_eq!(nobody.log_in(ANN, PASSWORD).status, 401);
    assert_eq!(nobody.log_in(ANN, "battery staple").status, 200);
    for ended in [old.as_str(), &ann.cookie] {
        assert_eq!(api(&site, ended).status("GET", "/me", Value::Null), 401);
    }
    let told = site.mails();
    assert!(
        told.iter()
            .any(|(to, subject, _)| to == ANN && subject.contains("was changed"))
    );
}

#[test]
fn who_signed_up_with_an_address_that_is_not_theirs_leaves_nothing_behind() {
    let site = Site::new();
    let (squatter, _) = agency(&site);
    let key = json_of(&squatter.post("/api-keys", json!({"name": "k"})));
    let setup = json_of(&squatter.post("/second-factor", json!({"password": PASSWORD})));
    let secret = totp::of_base32(setup["secret"].as_str().expect("text")).expect("base32");
    let code = totp::code(&secret, totp::step_at(site.now()));
    let on = squatter.status("POST", "/second-factor/confirmation", json!({"code": code}));
    assert_eq!(on, 200);
    site.mails();
    let owner = api(&site, "");
    owner.post("/password-resets", json!({"email": ANN}));
    // What ends is said before, on the page after, and by mail.
    let ends = "API keys that were made before end with the new password";
    let token = site.link_to(ANN);
    assert!(text(&site.get(&format!("/reset?token={token}"))).contains(ends));
    assert!(!text(&site.get("/reset?token=nonsense")).contains(ends));
    let short = site.post("/reset", &[("token", &token), ("password", "short")]);
    assert!(short.status == 422 && text(&short).contains(ends));
    let done = site.post(
        "/reset",
        &[("token", &token), ("password", "battery staple")],
    );
    let ended = "1 API key that was made before it has ended";
    assert!(done.status == 200 && text(&done).contains(ended));
    assert!(site.mails().iter().any(|(_, _, mail)| mail.contains(ended)));
    assert_eq!(
        owner.log_in(ANN, "battery staple").status,
        200,
        "without a code"
    );
    let bearer = format!("Bearer {}", key["key"].as_str().expect("a key"));
    let headers = [("authorization", bearer.as_str())];
    let answer = site.send(Method::GET, "/api/v1/me", &headers, vec![]);
    assert_eq!(answer.status, 401);
    // From now on the address is known to be theirs, and keys stay.
    owner.post("/password-resets", json!({"email": ANN}));
    let token = site.link_to(ANN);
    assert!(!text(&site.get(&format!("/reset?token={token}"))).contains(ends));
    let fields = [("token", token.as_str()), ("password", "battery stable")];
    assert!(!text(&site.post("/reset", &fields)).contains("API key"));
    assert!(
        !site
            .mails()
            .iter()
            .any(|(_, _, mail)| mail.contains("API key"))
    );
}

#[test]
fn whoever_calls_was_seen() {
    let site = Site::new();
    let (ann, place) = agency(&site);
    joined(&site, &ann, "cli@client.test", "client", &[&place]);
    let just_now = |people: &Value, email: &str| {
        let people = people["items"].as_array().expect("a list");
        let found = people.iter().find(|p| p["email"] == email);
        let seen = found.expect("them")["last_seen_at"].as_i64();
        seen.is_some_and(|at| at > site.now() - MINUTE)
    };
    let people = ann.get("/people");
    for email in [ANN, "cli@client.test"] {
        assert!(just_now(&people, email), "{email} logged in");
    }
    let key = json_of(&ann.post("/api-keys", json!({"name": "k"})));
    let bearer = format!("Bearer {}", key["key"].as_str().expect("a key"));
    site.later(60 * MINUTE);
    let headers = [("authorization", bearer.as_str())];
    let people = site.send(Method::GET, "/api/v1/people", &headers, vec![]);
    let people = json_of(&people);
    assert!(just_now(&people, ANN), "by key");
    assert!(!just_now(&people, "cli@client.test"));
}

#[test]
fn a_proven_host_gets_links_only_of_those_whom_it_lets_in() {
    let site = Site::new();
    let (ann, place) = agency(&site);
    joined(&site, &ann, "cli@client.test", "client", &[&place]);
    site.sign_up("bo@other.test");
    site.mails();
    let control = site.database(&Place::Control);
    custom_domain::insert(&*control, &place, "login.acme.test", "token", 1).expect("kept");
    custom_domain::verify(&*control, &place, "login.acme.test", "token", 1).expect("kept");
    let asked = |email: &str| {
        let headers = [("host", "login.acme.test")];
        let form = format!("email={}", email.replace('@', "%40")).into_bytes();
        let answer = site.send(Method::POST, "/forgot", &headers, form);
        assert_eq!(answer.status, 202, "{}", text(&answer));
        site.mails().swap_remove(0).2
    };
    assert!(asked("cli@client.test").contains("://login.acme.test/reset?token="));
    for other in ["bo@other.test", ANN] {
        let mail = asked(other);
        assert!(mail.contains("http://sluice.test/reset?token="), "{mail}");
    }
}

#[test]
fn nobody_learns_who_has_an_account() {
    let site = Site::new();
    let (_, _) = agency(&site);
    let nobody = api(&site, "");
    let wrong = text(&nobody.log_in(ANN, "wrong"));
    assert_eq!(text(&nobody.log_in("nobody@agency.test", "wrong")), wrong);

    let ask = |email: &str| text(&nobody.post("/password-resets", json!({"email": email})));
    let (known, unknown) = (ask(ANN), ask("nobody@agency.test"));
    assert_eq!(
        known.replace(ANN, "x"),
        unknown.replace("nobody@agency.test", "x")
    );
    // The same is written on the way to both answers.
    let rows = |email: &str| {
        let db = site.master();
        let count = |sql: &str| {
            let rows = db.query(sql, store::params![email]).expect("rows");
            rows[0].int(0)
        };
        [
            count("select count(*) from token where email = ?1 and purpose = 'reset'"),
            count("select count(*) from outbox where recipient = ?1 and cause = 'reset'"),
            count("select count(*) from attempt where name = ?1 and kind = 'reset'"),
        ]
    };
    assert_eq!(rows(ANN), rows("nobody@agency.test"));
    let mails = site.mails();
    assert!(mails.iter().any(|(to, _, _)| to == ANN));
    assert!(!mails.iter().any(|(to, _, _)| to == "nobody@agency.test"));
    // What is asked for again and again is answered the same, and fills nobody's mailbox.
    for _ in 0..6 {
        ask(ANN);
    }
    assert!(site.mails().len() < 4);
}

#[test]
fn guessing_gets_slower_for_an_account_and_for_a_client() {
    let site = Site::new();
    let (_, _) = agency(&site);
    let nobody = api(&site, "");
    let mut answers = Vec::new();
    for _ in 0..12 {
        answers.push(nobody.log_in(ANN, "wrong").status.as_u16());
    }
    assert_eq!(answers[..6], [401; 6]);
    assert!(answers.contains(&429), "{answers:?}");
    // A pause that is longer than a test's clock goes on between two calls.
    let wait = loop {
        let answer = nobody.log_in(ANN, "wrong");
        let wait = answer
            .headers
            .get("retry-after")
            .map(|v| v.to_str().expect("text"));
        match wait.map(|seconds| seconds.parse::<i64>().expect("seconds")) {
            Some(seconds) if seconds > 10 => break seconds,
            _ => {}
        }
    };
    assert_eq!(
        nobody.log_in(ANN, PASSWORD).status,
        429,
        "even with the right one"
    );
    // Who guesses holds up nobody else, and not the person who is signed in.
    let ann_elsewhere = Api {
        address: "192.0.2.1:1",
        ..api(&site, "")
    };
    let signed_in = ann_elsewhere.log_in(ANN, PASSWORD);
    assert_eq!(signed_in.status, 200);
    let change = json!({"old_password": PASSWORD, "new_password": PASSWORD});
    let signed_in = api(&site, &cookie_of(&signed_in));
    assert_eq!(signed_in.status("POST", "/me/password", change), 204);
    site.later(wait * 1000);
    assert_eq!(nobody.log_in(ANN, PASSWORD).status, 200);
    // A success forgets: as many tries as before are free.
    let again: Vec<_> = (0..5)
        .map(|_| nobody.log_in(ANN, "wrong").status.as_u16())
        .collect();
    assert_eq!(again, [401; 5]);

    // One client and many accounts; another client is not held up.
    site.later(60 * MINUTE);
    let stranger = Api {
        address: "198.51.100.9:1",
        ..api(&site, "")
    };
    let tries: Vec<_> = (0..40)
        .map(|n| {
            stranger
                .log_in(&format!("p{n}@x.test"), "wrong")
                .status
                .as_u16()
        })
        .collect();
    assert!(
        tries[..30].iter().all(|s| *s == 401) && tries.contains(&429),
        "{tries:?}"
    );
    assert_eq!(nobody.log_in(ANN, PASSWORD).status, 200);
}

#[test]
fn a_second_factor_is_asked_for_and_each_code_works_once() {
    let site = Site::new();
    let (ann, _) = agency(&site);
    let proof = json!({"password": PASSWORD});
    assert_eq!(
        ann.status("POST", "/second-factor", json!({"password": "wrong"})),
        422
    );
    let setup = json_of(&ann.post("/second-factor", proof));
    assert!(setup["qr"].as_str().expect("SVG").starts_with("<svg"));
    let secret = totp::of_base32(setup["secret"].as_str().expect("text")).expect("base32");
    let code = |ahead: i64| totp::code(&secret, totp::step_at(site.now()) + ahead);
    // It is not asked for before it was shown to work.
    assert_eq!(api(&site, "").log_in(ANN, PASSWORD).status, 200);
    let wrong = json!({"code": "000000"});
    assert_eq!(
        ann.status("POST", "/second-factor/confirmation", wrong),
        422
    );
    let enabled = ann.post("/second-factor/confirmation", json!({"code": code(0)}));
    assert_eq!(enabled.status, 200, "{}", text(&enabled));
    let codes = json_of(&enabled)["recovery_codes"].clone();
    assert_eq!(codes.as_array().map(Vec::len), Some(10));

    let nobody = api(&site, "");
    let with = |code: &str| {
        let body = json!({"email": ANN, "password": PASSWORD, "code": code});
        nobody.post("/login", body)
    };
    let asked = nobody.log_in(ANN, PASSWORD);
    assert_eq!(asked.status, 401);
    assert_eq!(json_of(&asked)["errors"][0]["field"], "code");
    assert!(asked.headers.get("set-cookie").is_none());
    site.later(31_000);
    let current = code(0);
    assert_eq!(with(&current).status, 200);
    assert_eq!(with(&current).status, 401, "a code works once");
    let recovery = codes[0].as_str().expect("text");
    assert_eq!(with(recovery).status, 200);
    assert_eq!(with(recovery).status, 401, "a recovery code works once");
    let typed = codes[1]
        .as_str()
        .expect("text")
        .to_uppercase()
        .replace('-', " ");
    assert_eq!(with(&typed).status, 200, "as people type it");
    // Guessing codes gets slower too, whoever knows the password.
    let tries: Vec<_> = (0..8).map(|_| with("123456").status.as_u16()).collect();
    assert!(tries.contains(&429), "{tries:?}");
    site.later(30 * MINUTE);

    // The page asks in two steps and never writes the password down.
    let fields = [("email", ANN), ("password", PASSWORD), ("next", "/team")];
    let page = text(&site.post("/login", &fields));
    assert!(page.contains("name=\"code\"") && !page.contains(PASSWORD));
    let ticket = page
        .split("name=\"ticket\" value=\"")
        .nth(1)
        .expect("a ticket");
    let ticket = ticket.split('"').next().expect("text");
    let step = |code: &str| {
        site.post(
            "/login/code",
            &[("ticket", ticket), ("code", code), ("next", "/team")],
        )
    };
    assert_eq!(location(&step(&code(0))), "/team");
    assert_eq!(step("000000").status, 401);
    assert_eq!(
        site.post("/login/code", &[("ticket", "x"), ("code", &code(1))])
            .status,
        401
    );
    site.later(11 * MINUTE);
    assert_eq!(step(&code(0)).status, 401, "the ticket is too old");

    // A password that somebody saw is not enough to take the account over from a session that was left open.
    let change = json!({"old_password": PASSWORD, "new_password": PASSWORD});
    assert_eq!(ann.status("POST", "/me/password", change), 422);
    let email = json!({"email": "new@agency.test", "password": PASSWORD});
    assert_eq!(ann.status("POST", "/me/email", email), 422);
    site.later(31_000);
    let email = json!({"email": "new@agency.test", "password": PASSWORD, "code": code(0)});
    assert_eq!(ann.status("POST", "/me/email", email), 202);

    // Who lost it with all codes has the operator remove it, and nobody else.
    let lost = json!({"email": ANN});
    assert_eq!(
        ann.status("POST", "/second-factor/reset", lost.clone()),
        401
    );
    let claims = Claims {
        iss: Issuer::Operator,
        ..Claims::of_master("master", "", site.now(), 600, Said::Operator)
    };
    let signed = Signer::new(Issuer::Operator, &site.config.secret_key).sign(&claims);
    let bearer = format!("Bearer {signed}");
    let reset = || {
        let headers = [("authorization", bearer.as_str())];
        let body = lost.to_string().into_bytes();
        let answer = site.send(Method::POST, "/api/v1/second-factor/reset", &headers, body);
        answer.status.as_u16()
    };

    let removal = |code: String| json!({"password": PASSWORD, "code": code});
    assert_eq!(
        ann.status("POST", "/second-factor/removal", removal("1".into())),
        422
    );
    site.later(31_000);
    assert_eq!(
        ann.status("POST", "/second-factor/removal", removal(code(0))),
        204
    );
    assert_eq!(nobody.log_in(ANN, PASSWORD).status, 200);
    assert_eq!(reset(), 409, "there is none");
    let setup = json_of(&ann.post("/second-factor", json!({"password": PASSWORD})));
    let secret = totp::of_base32(setup["secret"].as_str().expect("text")).expect("base32");
    let code = totp::code(&secret, totp::step_at(site.now()));
    let on = ann.status("POST", "/second-factor/confirmation", json!({"code": code}));
    assert_eq!(on, 200);
    assert_eq!(nobody.log_in(ANN, PASSWORD).status, 401);
    assert_eq!(reset(), 204);
    assert_eq!(nobody.log_in(ANN, PASSWORD).status, 200);
}

#[test]
fn a_session_is_new_at_every_log_in_and_ends_when_it_is_told_to() {
    let site = Site::new();
    let (ann, _) = agency(&site);
    // A cookie that somebody else put into the browser is replaced, and ends.
    let planted = api(&site, &cookie_of(&api(&site, "").log_in(ANN, PASSWORD)));
    let fresh = cookie_of(&planted.log_in(ANN, PASSWORD));
    assert_ne!(fresh, planted.cookie);
    assert_eq!(planted.status("GET", "/me", Value::Null), 401);
    let made_up = api(&site, "sluice_session=made-up");
    assert_ne!(
        cookie_of(&made_up.log_in(ANN, PASSWORD)),
        "sluice_session=made-up"
    );
    assert_eq!(made_up.status("GET", "/me", Value::Null), 401);

    let other = api(&site, &fresh);
    let sessions = ann.get("/sessions")["items"].clone();
    let sessions = sessions.as_array().expect("a list");
    assert_eq!(sessions.len(), 3);
    assert_eq!(sessions.iter().filter(|s| s["current"] == true).count(), 1);
    assert!(
        sessions
            .iter()
            .any(|s| s["address"] == "203.0.113.7" && s["user_agent"] == "Test/1.0")
    );
    let others_id = other.get("/sessions")["items"]
        .as_array()
        .expect("a list")
        .iter()
        .find(|s| s["current"] == true)
        .map(|s| s["id"].as_str().expect("an id").to_owned())
        .expect("the current one");
    // Nobody else can end it.
    let stranger = site.sign_up("bo@other.test");
    let path = format!("/sessions/{others_id}");
    assert_eq!(
        api(&site, &stranger.cookie).status("DELETE", &path, Value::Null),
        404
    );
    assert_eq!(ann.status("DELETE", &path, Value::Null), 204);
    assert_eq!(other.status("GET", "/me", Value::Null), 401);

    // A changed password ends all others; log-out everywhere ends this one too.
    let third = api(&site, &cookie_of(&api(&site, "").log_in(ANN, PASSWORD)));
    let change = json!({"old_password": PASSWORD, "new_password": "battery staple"});
    assert_eq!(
        ann.status(
            "POST",
            "/me/password",
            json!({"old_password": "no", "new_password": "battery staple"})
        ),
        422
    );
    assert_eq!(ann.status("POST", "/me/password", change), 204);
    assert_eq!(third.status("GET", "/me", Value::Null), 401);
    assert_eq!(ann.status("GET", "/me", Value::Null), 200);
    assert_eq!(ann.status("DELETE", "/sessions", Value::Null), 204);
    assert_eq!(ann.status("GET", "/me", Value::Null), 401);
}

#[test]
fn an_address_changes_when_the_new_one_answers() {
    let site = Site::new();
    let (ann, _) = agency(&site);
    site.sign_up("bo@other.test");
    site.mails();
    let ask = |email: &str, password: &str| {
        ann.status(
            "POST",
            "/me/email",
            json!({"email": email, "password": password}),
        )
    };
    assert_eq!(ask("new@agency.test", "wrong"), 422);
    // Whether somebody has an address is not told, and they get no mail.
    assert_eq!(ask("bo@other.test", PASSWORD), 202);
    assert!(site.mails().iter().all(|(to, _, _)| to == ANN));
    assert_eq!(ask("new@agency.test", PASSWORD), 202);
    let mails = site.mails();
    assert!(
        mails
            .iter()
            .any(|(to, subject, _)| to == ANN && subject.contains("about to change"))
    );
    let link = mails
        .iter()
        .find(|(to, _, _)| to == "new@agency.test")
        .expect("a mail");
    let token = link
        .2
        .split("?token=")
        .nth(1)
        .expect("a link")
        .lines()
        .next()
        .expect("a line");
    assert_eq!(ann.get("/me")["user"]["email"], ANN);
    assert_eq!(
        ann.status("POST", "/confirmations", json!({"token": token})),
        200
    );
    assert_eq!(ann.get("/me")["user"]["email"], "new@agency.test");
    assert_eq!(api(&site, "").log_in(ANN, PASSWORD).status, 401);
    assert_eq!(
        api(&site, "").log_in("new@agency.test", PASSWORD).status,
        200
    );
}

#[test]
fn a_team_is_invited_changed_and_removed_by_those_who_may() {
    let site = Site::new();
    let (ann, place) = agency(&site);
    let client = joined(&site, &ann, "cli@client.test", "client", &[&place]);
    let admin = joined(&site, &ann, "adm@agency.test", "admin", &[]);
    let id = |email: &str| {
        let people = ann.get("/people");
        let people = people["items"].as_array().expect("a list").clone();
        let found = people.into_iter().find(|p| p["email"] == email);
        found
            .map(|p| p["id"].as_str().expect("an id").to_owned())
            .expect("them")
    };
    // A client sees the one sub-account, and nothing of the account.
    let seen = client.get("/subaccounts");
    assert_eq!(seen["items"].as_array().map(Vec::len), Some(1));
    for (method, path) in [
        ("GET", "/people"),
        ("GET", "/invites"),
        ("GET", "/audit-log"),
        ("POST", "/subaccounts"),
    ] {
        assert_eq!(
            client.status(method, path, json!({"name": "x"})),
            403,
            "{path}"
        );
    }
    let page = text(&site.send(
        Method::GET,
        "/subaccounts",
        &[("cookie", &client.cookie)],
        vec![],
    ));
    assert!(page.contains("Acme") && !page.contains("/team"));

    // Only an owner makes owners; nobody makes more of themselves.
    let owner = json!({"role": "owner"});
    let path = format!("/people/{}", id("cli@client.test"));
    assert_eq!(admin.status("PATCH", &path, owner.clone()), 403);
    assert_eq!(client.status("PATCH", &path, owner.clone()), 403);
    let invite = json!({"email": "x@agency.test", "role": "owner"});
    assert_eq!(admin.status("POST", "/invites", invite), 403);
    let anns = format!("/people/{}", id(ANN));
    assert_eq!(admin.status("PATCH", &anns, json!({"role": "client"})), 403);
    assert_eq!(admin.status("DELETE", &anns, Value::Null), 403);
    assert_eq!(
        ann.status("PATCH", &anns, json!({"role": "client"})),
        409,
        "the last owner"
    );
    assert_eq!(
        ann.status("DELETE", &anns, Value::Null),
        409,
        "the last owner"
    );

    // Grants hold at once.
    let grant = format!("{path}/grants/{place}");
    assert_eq!(admin.status("PUT", &grant, json!({"role": "owner"})), 422);
    assert_eq!(admin.status("PUT", &grant, json!({"role": "member"})), 200);
    assert_eq!(admin.status("DELETE", &grant, Value::Null), 204);
    assert_eq!(admin.status("DELETE", &grant, Value::Null), 404);
    assert_eq!(client.get("/subaccounts")["items"], json!([]));
    assert_eq!(
        client.status("GET", &format!("/subaccounts/{place}"), Value::Null),
        404
    );

    // Another account's people and places are not there.
    let bo = site.sign_up("bo@other.test");
    let stranger = api(&site, &bo.cookie);
    assert_eq!(
        stranger.status("PATCH", &path, json!({"role": "member"})),
        404
    );
    assert_eq!(stranger.status("DELETE", &path, Value::Null), 404);
    let foreign = json!({"email": "y@other.test", "role": "client", "grants": [{"subaccount_id": place, "role": "client"}]});
    assert_eq!(stranger.status("POST", "/invites", foreign), 422);

    // Whoever sees nothing of the team leaves by their own page.
    let cookie = [("cookie", client.cookie.as_str())];
    let profile = text(&site.send(Method::GET, "/profile", &cookie, vec![]));
    assert!(profile.contains(&format!("/team/{}/removal", &path[8..])));

    // Sessions and keys end with their person.
    let key = json_of(&client.post("/api-keys", json!({"name": "k"})));
    assert_eq!(key["scopes"], json!(["read", "reply"]));
    assert_eq!(admin.status("DELETE", &path, Value::Null), 204);
    assert_eq!(client.status("GET", "/me", Value::Null), 401);
    let bearer = format!("Bearer {}", key["key"].as_str().expect("a key"));
    let me = site.send(
        Method::GET,
        "/api/v1/me",
        &[("authorization", &bearer)],
        vec![],
    );
    assert_eq!(me.status, 401);
}

#[test]
fn an_invitation_can_be_taken_back_sent_again_and_accepted_once() {
    let site = Site::new();
    let (ann, _) = agency(&site);
    let nobody = api(&site, "");
    let accept = |token: &str| {
        let body = json!({"token": token, "password": PASSWORD});
        nobody.status("POST", "/invites/acceptance", body)
    };
    let invite =
        |email: &str| json_of(&ann.post("/invites", json!({"email": email, "role": "member"})));
    let one = invite("one@agency.test");
    let path = format!("/invites/{}", one["id"].as_str().expect("an id"));
    let first = site.link_to("one@agency.test");
    assert_eq!(ann.status("POST", &format!("{path}/mail"), json!({})), 202);
    let second = site.link_to("one@agency.test");
    assert_eq!(accept(&first), 404, "a newer one was sent");
    assert_eq!(ann.status("DELETE", &path, Value::Null), 204);
    assert_eq!(accept(&second), 404, "taken back");

    invite("two@agency.test");
    let late = site.link_to("two@agency.test");
    site.later(8 * 24 * 60 * MINUTE);
    assert_eq!(accept(&late), 404, "too late");

    invite("three@agency.test");
    let token = site.link_to("three@agency.test");
    assert!(text(&site.get(&format!("/invite?token={token}"))).contains("three@agency.test"));
    assert_eq!(accept(&token), 201);
    assert_eq!(accept(&token), 404, "once");
    let again = ann.post(
        "/invites",
        json!({"email": "three@agency.test", "role": "member"}),
    );
    assert_eq!(again.status, 409);

    // Somebody with an account elsewhere is told so, but only behind the link.
    site.sign_up("bo@other.test");
    site.mails();
    invite("bo@other.test");
    assert_eq!(accept(&site.link_to("bo@other.test")), 409);
}

#[test]
fn an_invitation_ends_with_what_its_sender_may() {
    let site = Site::new();
    let (ann, _) = agency(&site);
    let accept = |token: &str| {
        let body = json!({"token": token, "password": PASSWORD});
        api(&site, "").status("POST", "/invites/acceptance", body)
    };
    let sent = |by: &Api<'_>, email: &str, role: &str| {
        let invite = json!({"email": email, "role": role});
        assert_eq!(by.status("POST", "/invites", invite), 201);
        site.link_to(email)
    };
    let path = |who: &Api<'_>| {
        let me = who.get("/me");
        format!("/people/{}", me["user"]["id"].as_str().expect("an id"))
    };
    let owner = joined(&site, &ann, "two@agency.test", "owner", &[]);
    let (high, low) = (
        sent(&owner, "high@agency.test", "owner"),
        sent(&owner, "low@agency.test", "admin"),
    );
    let admin = json!({"role": "admin"});
    assert_eq!(ann.status("PATCH", &path(&owner), admin), 200);
    assert_eq!(accept(&high), 404, "an admin makes no owners");
    assert_eq!(accept(&low), 201);
    let last = sent(&owner, "last@agency.test", "client");
    assert_eq!(ann.status("DELETE", &path(&owner), Value::Null), 204);
    assert_eq!(accept(&last), 404, "they are gone");
    assert_eq!(ann.get("/invites")["items"], json!([]));
}

#[test]
fn a_key_is_never_more_than_its_owner() {
    let site = Site::new();
    let (ann, place) = agency(&site);
    let member = joined(&site, &ann, "mem@agency.test", "member", &[&place]);
    let made = json_of(&member.post("/api-keys", json!({"name": "k"})));
    assert_eq!(made["scopes"], json!(["read", "reply", "write"]));
    let wide = json!({"name": "k", "scopes": ["administer"]});
    assert_eq!(member.status("POST", "/api-keys", wide), 422);
    let elsewhere = json!({"name": "k", "subaccounts": ["01a1fc61-0985-7080-808e-5a2323c4e3e6"]});
    assert_eq!(member.status("POST", "/api-keys", elsewhere), 422);
    let past = json!({"name": "k", "expires_at": 1});
    assert_eq!(member.status("POST", "/api-keys", past), 422);

    let by_key = |key: &str, method: &str, path: &str| {
        let bearer = format!("Bearer {key}");
        let headers = [
            ("authorization", bearer.as_str()),
            ("content-type", "application/json"),
        ];
        let method = Method::from_bytes(method.as_bytes()).expect("a method");
        let body = json!({"name": "x"}).to_string().into_bytes();
        site.send(method, &format!("/api/v1{path}"), &headers, body)
            .status
            .as_u16()
    };
    let key = made["key"].as_str().expect("a key");
    assert_eq!(by_key(key, "GET", "/subaccounts"), 200);
    assert_eq!(by_key(key, "POST", "/api-keys"), 403, "a key makes no keys");
    for (method, path) in [
        ("GET", "/sessions"),
        ("POST", "/me/password"),
        ("POST", "/second-factor"),
    ] {
        let status = by_key(key, method, path);
        assert!(matches!(status, 403 | 422), "{path}: {status}");
    }
    // One that may only administer makes nobody what it is not itself, and no key that outlives it.
    let admin = json!({"name": "a", "scopes": ["administer"]});
    let admin = json_of(&ann.post("/api-keys", admin));
    let admin = admin["key"].as_str().expect("a key");
    let bearer = format!("Bearer {admin}");
    let headers = [
        ("authorization", bearer.as_str()),
        ("content-type", "application/json"),
    ];
    for role in ["client", "member", "admin", "owner"] {
        let invite = json!({"email": "z@evil.test", "role": role}).to_string();
        let refused = site.send(
            Method::POST,
            "/api/v1/invites",
            &headers,
            invite.into_bytes(),
        );
        assert_eq!(refused.status, 403, "{role}");
    }
    assert_eq!(by_key(admin, "GET", "/people"), 200);
    assert_eq!(by_key(admin, "POST", "/api-keys"), 403);
    // One that ends, and one that is revoked. Others see neither.
    let now = site.now();
    let short = json_of(&ann.post(
        "/api-keys",
        json!({"name": "s", "scopes": ["read"], "expires_at": now + 60_000}),
    ));
    let short = short["key"].as_str().expect("a key");
    assert_eq!(
        by_key(short, "POST", "/subaccounts"),
        403,
        "not in its scopes"
    );
    assert_eq!(by_key(short, "GET", "/me"), 200);
    site.later(61_000);
    assert_eq!(by_key(short, "GET", "/me"), 401);
    let path = format!("/api-keys/{}", made["id"].as_str().expect("an id"));
    let bo = site.sign_up("bo@other.test");
    assert_eq!(
        api(&site, &bo.cookie).status("DELETE", &path, Value::Null),
        404
    );
    assert_eq!(
        member.get("/api-keys")["items"].as_array().map(Vec::len),
        Some(1),
        "their own"
    );
    assert_eq!(ann.status("DELETE", &path, Value::Null), 204);
    assert_eq!(by_key(key, "GET", "/me"), 401);
}

#[test]
fn the_audit_log_tells_who_did_what_without_secrets() {
    let site = Site::new();
    let (ann, place) = agency(&site);
    let client = joined(&site, &ann, "cli@client.test", "client", &[&place]);
    let key = json_of(&ann.post("/api-keys", json!({"name": "nightly"})));
    let log = ann.get("/audit-log?limit=100")["items"].clone();
    let log = log.as_array().expect("a list");
    let find = |action: &str| {
        log.iter()
            .find(|e| e["action"] == action)
            .unwrap_or_else(|| panic!("{action}"))
    };
    for action in [
        "account.created",
        "session.begun",
        "subaccount.requested",
        "invite.sent",
        "person.joined",
    ] {
        find(action);
    }
    let made = find("api_key.created");
    assert_eq!(
        (&made["who"], &made["address"]),
        (&json!(ANN), &json!("203.0.113.7"))
    );
    assert_eq!(made["after"]["scopes"][0], "read");
    assert!(made["via"].as_str().expect("text").starts_with("session "));
    let all = json!(log).to_string();
    for secret in [
        key["key"].as_str().expect("a key"),
        PASSWORD,
        &ann.cookie[15..],
        "$argon2",
    ] {
        assert!(!all.contains(secret), "{secret}");
    }
    // Page by page, and for this account alone.
    let first = ann.get("/audit-log?limit=2");
    let cursor = first["next_cursor"].as_str().expect("more");
    let second = ann.get(&format!("/audit-log?limit=2&cursor={cursor}"));
    assert!(second["items"][0]["id"].as_i64() < first["items"][1]["id"].as_i64());
    let bo = site.sign_up("bo@other.test");
    let theirs = || api(&site, &bo.cookie).get("/audit-log")["items"].to_string();
    assert!(!theirs().contains(ANN) && !theirs().contains("nightly"));
    // Nodes are of no account; those who run the installation see what became of them.
    let node = json_of(&ann.post("/nodes", json!({"kind": "worker", "name": "w7"})));
    let until = || {
        ann.get(&format!("/nodes/{}", node["id"].as_str().expect("an id")))["join_until"].clone()
    };
    assert_eq!(until(), node["expires_at"]);
    let join = json!({"token": node["join_token"]}).to_string();
    let joined = site.send(Method::POST, "/node/v1/join", &[], join.into_bytes());
    assert_eq!(joined.status, 200, "{}", text(&joined));
    assert_eq!(until(), Value::Null);
    let ours = ann.get("/audit-log")["items"].to_string();
    assert!(ours.contains("node.joined") && !theirs().contains("w7"));
    assert_eq!(client.status("GET", "/audit-log", Value::Null), 403);
}

#[test]
fn nothing_that_people_type_reaches_a_header_or_another_site() {
    let site = Site::new();
    let (ann, _) = agency(&site);
    for email in [
        "x@y.test\r\nBcc: z@y.test",
        "x@y.test\nSubject: hi",
        "<x@y.test>, <z@y.test>",
    ] {
        let invite = json!({"email": email, "role": "client"});
        assert_eq!(ann.status("POST", "/invites", invite), 422, "{email:?}");
        let ask = json!({"email": email});
        assert_eq!(
            ann.status("POST", "/password-resets", ask),
            422,
            "{email:?}"
        );
    }
    // Links in mails are made of what the operator set, whatever the request says of its host.
    let headers = [
        ("host", "evil.test"),
        ("content-type", "application/json"),
        ("x-forwarded-host", "evil.test"),
    ];
    let body = json!({"email": ANN}).to_string().into_bytes();
    site.send(Method::POST, "/api/v1/password-resets", &headers, body);
    let mails = site.mails();
    assert!(mails[0].2.contains("http://sluice.test/reset?token=") && !mails[0].2.contains("evil"));
    // A link that was made up is no door, and no mirror.
    for token in ["", "x", "<b>x</b>", "a%0d%0aSet-Cookie:%20x=y"] {
        for page in ["reset", "confirm", "invite"] {
            let answer = site.get(&format!("/{page}?token={token}"));
            assert!(!text(&answer).contains("<b>x"), "{page} {token}");
            assert!(answer.headers.get("set-cookie").is_none());
        }
    }
    let next = "/login?next=https%3A%2F%2Fevil.test";
    assert!(!text(&site.get(next)).contains("evil"));
}

#[test]
fn a_form_of_another_page_changes_no_person() {
    let site = Site::new();
    let person = site.sign_up(ANN);
    let fields = [
        ("old_password", PASSWORD),
        ("new_password", "battery staple"),
        ("email", "x@y.test"),
        ("role", "owner"),
    ];
    for path in [
        "/profile/password",
        "/profile/email",
        "/profile/sessions/end",
        "/team/invites",
        "/api-keys",
        "/confirm",
    ] {
        assert_eq!(person.foreign_post(path, &fields).status, 403, "{path}");
        // A browser that is too old to say where its form is from.
        let silent = [
            ("cookie", person.cookie.as_str()),
            ("content-type", "application/x-www-form-urlencoded"),
        ];
        let refused = site.send(Method::POST, path, &silent, b"email=x%40y.test".to_vec());
        assert_eq!(refused.status, 403, "{path}");
    }
    assert_eq!(
        api(&site, "").log_in(ANN, PASSWORD).status,
        200,
        "nothing was changed"
    );
}

#[test]
fn a_mail_whose_time_is_over_is_not_sent() {
    let site = Site::new();
    let (ann, _) = agency(&site);
    ann.post("/password-resets", json!({"email": ANN}));
    site.later(31 * MINUTE);
    assert!(site.mails().is_empty());
    ann.post("/password-resets", json!({"email": ANN}));
    let rows = site
        .master()
        .query("select 1 from outbox where cause = 'reset'", &[]);
    assert_eq!(rows.expect("rows").len(), 1, "the late one is gone");
}

#[test]
fn a_mail_is_not_lost_and_its_end_is_told() {
    let site = Site::new();
    site.sign_up(ANN);
    let secret = [("authorization", "Bearer between the nodes")];
    let call = |path: &str, body: Value, headers: &[(&'static str, &str)]| {
        let path = format!("/node/v1/outbox/{path}");
        site.send(Method::POST, &path, headers, body.to_string().into_bytes())
    };
    assert_eq!(call("claim", json!({"max": 5}), &[]).status, 401);
    let claim = || json_of(&call("claim", json!({"max": 5}), &secret))["mails"].clone();
    let first = claim();
    assert_eq!(first[0]["message"]["to"], ANN);
    assert_eq!(claim(), json!([]), "it is leased");
    site.later(6 * MINUTE);
    let second = claim();
    assert_eq!(second[0]["id"], first[0]["id"], "its worker died");
    assert_eq!(
        second[0]["message"]["message_id"],
        first[0]["message"]["message_id"]
    );
    let report = |mail: &Value, outcome: &str| {
        let report = json!({"id": mail[0]["id"], "lease_token": mail[0]["lease_token"], "outcome": outcome, "error": "550 no such user"});
        json_of(&call("results", json!({"results": [report]}), &secret))["accepted"][0].clone()
    };
    assert_eq!(report(&first, "performed"), false, "an old lease");
    assert_eq!(report(&second, "retry"), true);
    assert_eq!(claim(), json!([]), "not at once");
    site.later(5 * MINUTE);
    let third = claim();
    assert_eq!(third[0]["attempt"], 3);
    assert_eq!(report(&third, "failed"), true);
    site.later(24 * 60 * MINUTE);
    assert_eq!(claim(), json!([]));
    let log = site.master().query(
        "select after_state from audit_log where action = 'mail.not_sent'",
        &[],
    );
    let mut log = log.expect("rows");
    assert!(log[0].text(0).contains("550 no such user"));
    // Nothing that opens a door is left.
    let rest = site
        .master()
        .query("select body from outbox where status = 'refused'", &[]);
    assert_eq!(rest.expect("rows")[0].text(0), "");
}
