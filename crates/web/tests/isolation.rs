//! Who may do what, for every call that the API describes and every page, by every kind of caller. What somebody may not
//! know of looks, to the byte, like what does not exist.

mod site;

use std::collections::BTreeSet;
use std::sync::atomic::AtomicBool;

use domain::identity::Action;
use http::Method;
use serde_json::{Value, json};
use site::{Site, text};
use store::session::Session;
use store::tenant_state::{self, State};
use store::{Place, custom_domain, params, session};
use web::auth::Credential;
use web::slave::access;
use web::slave::upload::Upload;
use web::{Context, Response};

/// How a caller shows who they are.
#[derive(Debug, Clone)]
enum Shows {
    Nothing,
    Cookie(String),
    Bearer(String),
}

/// Somebody, and what they may do in the first sub-account.
struct Caller {
    name: &'static str,
    shows: Shows,
    may: Expected,
}

/// What a caller meets in a sub-account.
#[derive(Debug, Clone)]
enum Expected {
    /// These actions; the others are 403.
    Does(&'static [Action]),
    /// 404, whatever they do.
    Nothing,
    /// 401 from the API, the log-in instead of a page.
    Stranger,
}

use Action::{Manage, Read, Reply, Write};
use Expected::{Does, Nothing, Stranger};

const ALL: &[Action] = &[Read, Reply, Write, Manage];
const WORK: &[Action] = &[Read, Reply, Write];
const LOOK: &[Action] = &[Read, Reply];

const OTHER_ID: &str = "019aa000-0000-7000-8000-0000000000ff";
const DOMAIN: &str = "leads.two.example";

struct World {
    site: Site,
    /// Two sub-accounts of one agency.
    one: String,
    two: String,
    callers: Vec<Caller>,
}

impl World {
    fn new() -> World {
        let site = Site::new();
        let owner = site.sign_up("ann@agency.test");
        let (one, two) = (owner.sub_account("One"), owner.sub_account("Two"));
        owner.import(&one, "email\nana@one.test\n", "hot");
        owner.import(&two, "email\nbo@two.test\n", "hot");
        let (one, two) = (one[3..].to_owned(), two[3..].to_owned());
        let cookie = owner.cookie.clone();
        let stranger = site.sign_up("eve@other.test");
        let theirs = stranger.sub_account("Theirs");
        stranger.import(&theirs, "email\nzed@three.test\n", "hot");
        let stranger = stranger.cookie.clone();
        let control = site.database(&Place::Control);
        custom_domain::ask(&*control, &two, DOMAIN, "token", 1, 1).expect("kept");
        custom_domain::verify(&*control, &two, DOMAIN, "token", 1).expect("kept");

        let mut world = World {
            site,
            one,
            two,
            callers: Vec::new(),
        };
        world.meet(cookie, stranger);
        world
    }

    fn meet(&mut self, owner: String, stranger: String) {
        let (one, two) = (self.one.clone(), self.two.clone());
        let person = |name, role, grants: &[(&str, &str)], may| Caller {
            name,
            shows: Shows::Cookie(self.person(name, role, grants)),
            may,
        };
        let mut callers = vec![
            person("admin", "admin", &[], Does(ALL)),
            person("member of one", "member", &[(&one, "member")], Does(WORK)),
            person(
                "member as a client of one",
                "member",
                &[(&one, "client")],
                Does(LOOK),
            ),
            person("member of two", "member", &[(&two, "member")], Nothing),
            person("client of one", "client", &[(&one, "client")], Does(LOOK)),
            person("client of two", "client", &[(&two, "client")], Nothing),
            person("client of none", "client", &[], Nothing),
        ];
        let key = |name, cookie: &str, input: Value, may| Caller {
            name,
            shows: Shows::Bearer(self.key(cookie, &input)),
            may,
        };
        let Shows::Cookie(client) = callers[4].shows.clone() else {
            unreachable!()
        };
        callers.extend([
            key("key of the owner", &owner, json!({"name": "k"}), Does(ALL)),
            key(
                "key that reads",
                &owner,
                json!({"name": "k", "scopes": ["read"]}),
                Does(&[Read]),
            ),
            key(
                "key that writes",
                &owner,
                json!({"name": "k", "scopes": ["write"]}),
                Does(&[Write]),
            ),
            key(
                "key that manages",
                &owner,
                json!({"name": "k", "scopes": ["manage"]}),
                Does(&[Manage]),
            ),
            key(
                "key for one",
                &owner,
                json!({"name": "k", "subaccounts": [one]}),
                Does(ALL),
            ),
            key(
                "key for two",
                &owner,
                json!({"name": "k", "subaccounts": [two]}),
                Nothing,
            ),
            key("key of a client", &client, json!({"name": "k"}), Does(LOOK)),
            key(
                "key of a stranger",
                &stranger,
                json!({"name": "k"}),
                Nothing,
            ),
        ]);
        let expired = key("key that expired", &owner, json!({"name": "k"}), Stranger);
        let revoked = key(
            "key that was revoked",
            &owner,
            json!({"name": "k"}),
            Stranger,
        );
        let master = self.site.database(&Place::Master);
        for (caller, column) in [(&expired, "expires_at"), (&revoked, "revoked_at")] {
            let Shows::Bearer(key) = &caller.shows else {
                unreachable!()
            };
            let sql = format!("update api_key set {column} = 1 where key_hash = ?1");
            let hash = Credential::Key(key.clone()).hash();
            assert_eq!(master.execute(&sql, params![hash]).expect("kept"), 1);
        }
        let bound = self.session("bound@agency.test", "owner", &[], DOMAIN);
        let simple = |name, shows, may| Caller { name, shows, may };
        let session = |cookie: &str| cookie.split_once('=').expect("a pair").1.to_owned();
        callers.extend([
            expired,
            revoked,
            simple("stranger", Shows::Cookie(stranger), Nothing),
            simple("nobody", Shows::Nothing, Stranger),
            simple(
                "a session as a key",
                Shows::Bearer(session(&owner)),
                Stranger,
            ),
            simple("a session of another host", Shows::Cookie(bound), Stranger),
            simple(
                "a worker's token",
                Shows::Bearer("of the workers".into()),
                Stranger,
            ),
            simple(
                "the nodes' secret",
                Shows::Bearer("between the nodes".into()),
                Stranger,
            ),
            simple(
                "nonsense",
                Shows::Bearer("slk_'; drop table lead --".into()),
                Stranger,
            ),
            simple("owner", Shows::Cookie(owner), Does(ALL)),
        ]);
        self.callers = callers;
    }

    /// Somebody of the first agency.
    fn person(&self, name: &str, role: &str, grants: &[(&str, &str)]) -> String {
        let email = format!("{}@agency.test", name.replace(' ', "-"));
        self.session(&email, role, grants, "")
    }

    fn session(&self, email: &str, role: &str, grants: &[(&str, &str)], host: &str) -> String {
        let db = self.site.database(&Place::Master);
        let insert = "insert into \"user\" (id, account_id, email, password_hash, role, created_at)
            select ?1, account_id, ?1, '', ?2, 1 from \"user\" where email = 'ann@agency.test'";
        assert_eq!(db.execute(insert, params![email, role]).expect("kept"), 1);
        for (subaccount, role) in grants {
            let insert = "insert into user_grant (user_id, subaccount_id, role, created_at) values (?1, ?2, ?3, 1)";
            db.execute(insert, params![email, *subaccount, *role])
                .expect("kept");
        }
        let now = self.site.now();
        let session = Session {
            id: format!("id of {email}"),
            user_agent: String::new(),
            address: String::new(),
            host: host.into(),
            created_at: now,
            last_seen_at: now,
            expires_at: now + 1_000_000_000,
        };
        let hash = Credential::Session(email.to_owned()).hash();
        session::insert(&*db, &hash, email, &session).expect("kept");
        // Under all names that the cookie has anywhere: what is not for a host must not count there.
        format!("sluice_session={email}; session={email}; __Host-session={email}")
    }

    fn key(&self, cookie: &str, input: &Value) -> String {
        let made = self.call(
            &Shows::Cookie(cookie.to_owned()),
            "POST",
            "/api/v1/api-keys",
            &[],
            input.to_string().as_bytes(),
        );
        let made: Value = serde_json::from_str(&text(&made)).expect("JSON");
        made["key"]
            .as_str()
            .unwrap_or_else(|| panic!("{made}"))
            .to_owned()
    }

    fn call(
        &self,
        shows: &Shows,
        method: &str,
        target: &str,
        more: &[(&'static str, &str)],
        body: &[u8],
    ) -> Response {
        let bearer;
        let mut headers = vec![("content-type", "application/json")];
        match shows {
            Shows::Nothing => {}
            Shows::Cookie(cookie) => headers.extend([
                ("cookie", cookie.as_str()),
                ("sec-fetch-site", "same-origin"),
            ]),
            Shows::Bearer(key) => {
                bearer = format!("Bearer {key}");
                headers.push(("authorization", &bearer));
            }
        }
        headers.extend(more);
        let method = Method::from_bytes(method.as_bytes()).expect("a method");
        self.site.send(method, target, &headers, body.to_vec())
    }
}

/// Method, path below a sub-account, whether it is the API's, and what it does.
fn calls(api: &Value) -> Vec<(String, String, Value, Action)> {
    let mut calls = Vec::new();
    for (path, item) in api["paths"].as_object().expect("paths") {
        let Some(rest) = path.strip_prefix("/s/{subaccount}") else {
            continue;
        };
        for (method, operation) in item.as_object().expect("operations") {
            if method == "parameters" {
                continue;
            }
            let body = operation["requestBody"]["content"]["application/json"]["example"].clone();
            let manages = ["/settings", "/logo", "/domains", "/erasure"]
                .iter()
                .any(|p| rest.contains(p));
            let action = match method.as_str() {
                _ if rest.ends_with("/archive") => Manage,
                "get" => Read,
                _ if rest.ends_with("/leads/search") || rest.ends_with("/leads/count") => Read,
                _ if manages => Manage,
                _ => Write,
            };
            let rest = rest.replace("{id}", "1").replace("{name}", DOMAIN);
            calls.push((method.to_uppercase(), rest, body, action));
        }
    }
    assert!(calls.len() > 20, "{}", calls.len());
    calls
}

const PAGES: [(&str, &str, Action); 44] = [
    ("GET", "/", Read),
    ("GET", "/leads", Read),
    ("GET", "/leads/1", Read),
    ("POST", "/leads/views", Write),
    ("POST", "/leads/9/erasure", Manage),
    ("POST", "/leads/views/9/removal", Write),
    ("GET", "/imports", Read),
    ("GET", "/imports/1", Read),
    ("GET", "/imports/1/mapping", Write),
    ("POST", "/imports/1/mapping", Write),
    ("POST", "/imports/1/cancellation", Write),
    ("POST", "/imports/1/reversal", Write),
    ("GET", "/rules", Read),
    ("GET", "/profiles", Read),
    ("GET", "/requests", Read),
    ("GET", "/timeline", Read),
    ("GET", "/profiles/new", Write),
    ("GET", "/rules/new", Write),
    ("GET", "/settings", Manage),
    ("GET", "/brand.css", Read),
    ("POST", "/imports", Write),
    ("POST", "/rules", Write),
    ("POST", "/rules/9", Write),
    ("GET", "/rules/1/edit", Write),
    ("GET", "/sequences", Read),
    ("POST", "/sequences", Write),
    ("GET", "/sequences/new", Write),
    ("GET", "/sequences/1", Read),
    ("POST", "/sequences/9/activation", Write),
    ("POST", "/sequences/9/removal", Write),
    ("POST", "/rules/9/removal", Write),
    ("POST", "/profiles", Write),
    ("POST", "/profiles/1/activation", Write),
    ("POST", "/profiles/1/password", Write),
    ("GET", "/profiles/1/limits", Write),
    ("POST", "/profiles/1/limits", Write),
    ("GET", "/approvals", Read),
    ("POST", "/approvals", Write),
    ("POST", "/requests/1/approval", Write),
    ("POST", "/requests/1/rejection", Write),
    ("POST", "/requests/1/cancellation", Write),
    ("POST", "/settings/brand", Manage),
    ("POST", "/settings/domains", Manage),
    ("POST", "/settings/logo/removal", Manage),
];

#[test]
fn every_call_is_answered_by_what_its_caller_may_do() {
    let world = World::new();
    let api: Value = serde_json::from_str(include_str!("../openapi.json")).expect("JSON");
    let calls = calls(&api);
    let mut wrong = Vec::new();
    for caller in &world.callers {
        for (method, rest, body, action) in &calls {
            let path = format!("/s/{}{rest}", world.one);
            let body = if body.is_null() {
                String::new()
            } else {
                body.to_string()
            };
            let answer = world.call(&caller.shows, method, &path, &[], body.as_bytes());
            check(
                caller,
                *action,
                true,
                &answer,
                &format!("{method} {rest}"),
                &mut wrong,
            );
        }
        for (method, rest, action) in PAGES {
            let path = format!("/s/{}{rest}", world.one);
            let form = [("content-type", "application/x-www-form-urlencoded")];
            let answer = world.call(&caller.shows, method, &path, &form, b"");
            check(
                caller,
                action,
                false,
                &answer,
                &format!("{method} {rest} (page)"),
                &mut wrong,
            );
        }
    }
    assert!(
        wrong.is_empty(),
        "{} wrong:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}

fn check(
    caller: &Caller,
    action: Action,
    api: bool,
    answer: &Response,
    what: &str,
    wrong: &mut Vec<String>,
) {
    let status = answer.status.as_u16();
    let right = match &caller.may {
        Does(actions) if actions.contains(&action) => !matches!(status, 401 | 403 | 405 | 500..),
        // Whoever may do nothing at all in a sub-account with this key may still know that it is there.
        Does(_) => status == 403,
        Nothing => status == 404,
        Stranger if api => status == 401,
        Stranger => {
            status == 303
                && answer.headers["location"]
                    .to_str()
                    .is_ok_and(|l| l.starts_with("/login"))
        }
    };
    if !right {
        wrong.push(format!("{} {what}: {status} {:?}", caller.name, caller.may));
    }
}

#[test]
fn what_one_may_not_know_of_looks_like_what_does_not_exist() {
    let world = World::new();
    let api: Value = serde_json::from_str(include_str!("../openapi.json")).expect("JSON");
    for caller in world
        .callers
        .iter()
        .filter(|c| matches!(c.may, Nothing | Stranger))
    {
        for (method, rest, body, _) in calls(&api) {
            let body = if body.is_null() {
                String::new()
            } else {
                body.to_string()
            };
            let answer = |id: &str| {
                let path = format!("/s/{id}{rest}");
                let answer = world.call(&caller.shows, &method, &path, &[], body.as_bytes());
                (
                    answer.status,
                    answer.headers.clone(),
                    text(&answer).replace(id, "ID"),
                )
            };
            assert_eq!(
                answer(&world.one),
                answer(OTHER_ID),
                "{} {method} {rest}",
                caller.name
            );
        }
    }
}

#[test]
fn a_name_of_its_own_leads_to_one_sub_account_only() {
    let world = World::new();
    let key = world
        .callers
        .iter()
        .find(|c| c.name == "key of the owner")
        .expect("a key");
    let host = [("host", DOMAIN)];
    let seen = |path: &str| {
        let answer = world.call(&key.shows, "GET", path, &host, b"");
        (answer.status.as_u16(), text(&answer))
    };
    let (status, leads) = seen("/api/v1/leads");
    assert_eq!(status, 200, "{leads}");
    assert!(
        leads.contains("bo@two.test") && !leads.contains("one.test"),
        "{leads}"
    );
    for path in [
        format!("/s/{}/api/v1/leads", world.one),
        format!("/s/{}/api/v1/leads", world.two),
        format!("/../s/{}/api/v1/leads", world.one),
        format!("/api/v1/../../{}/api/v1/leads", world.one),
        format!("//s/{}/api/v1/leads", world.one),
        "/node/v1/subaccounts".to_owned(),
        "/worker/v1/profiles".to_owned(),
        "/api/v1/subaccounts".to_owned(),
        "/api/v1/people".to_owned(),
        "/signup".to_owned(),
    ] {
        let (status, body) = seen(&path);
        assert!(matches!(status, 404 | 303), "{path}: {status}");
        assert!(!body.contains("one.test"), "{path}: {body}");
    }
    // A session of the master's host is nobody's here, and one of here is nobody's there (see above).
    let owner = world
        .callers
        .iter()
        .find(|c| c.name == "owner")
        .expect("the owner");
    assert_eq!(
        world
            .call(&owner.shows, "GET", "/api/v1/leads", &host, b"")
            .status,
        401
    );
    let bound = world
        .callers
        .iter()
        .find(|c| c.name == "a session of another host")
        .expect("one");
    assert_eq!(
        world
            .call(&bound.shows, "GET", "/api/v1/leads", &host, b"")
            .status,
        200
    );
    // Asked right after, when the answer for the other host is still remembered.
    let path = format!("/s/{}/api/v1/leads", world.two);
    assert_eq!(world.call(&bound.shows, "GET", &path, &[], b"").status, 401);
}

#[test]
fn proven_names_are_told_to_the_node_itself() {
    let world = World::new();
    let target = "/node/v1/domains";
    let secret = format!("Bearer {}", world.site.config.node_secret);
    let told = |headers: &[(&'static str, &str)], target: &str| {
        let answer = world.site.send(Method::GET, target, headers, Vec::new());
        (answer.status, text(&answer))
    };
    let node = [("authorization", secret.as_str())];
    let (status, names) = told(&node, target);
    assert_eq!(status, 200, "{names}");
    let names: Value = serde_json::from_str(&names).expect("JSON");
    assert_eq!(names, json!({"items": [{"name": DOMAIN}], "next": null}));
    let (_, rest) = told(&node, &format!("{target}?after={DOMAIN}"));
    assert!(!rest.contains(DOMAIN), "{rest}");
    assert_eq!(told(&[], target).0, 401);
    assert_eq!(told(&[("authorization", "Bearer guess")], target).0, 401);
}

#[test]
fn ids_and_cursors_of_others_show_nothing_of_theirs() {
    let world = World::new();
    let owner = world
        .callers
        .iter()
        .find(|c| c.name == "key for one")
        .expect("a key");
    for path in [
        "/api/v1/leads?cursor=c999999",
        "/api/v1/leads?limit=200",
        "/api/v1/leads?email=zed@three.test",
        "/api/v1/requests?cursor=c1",
    ] {
        let answer = text(&world.call(
            &owner.shows,
            "GET",
            &format!("/s/{}{path}", world.one),
            &[],
            b"",
        ));
        assert!(
            !answer.contains("two.test") && !answer.contains("three.test"),
            "{path}: {answer}"
        );
    }
    for id in [
        "1%2F..%2F..",
        "..",
        "1;x",
        "1'",
        "%00",
        "９",
        "+1",
        "-1",
        "1.0",
        "99999999999999999999",
    ] {
        let path = format!("/s/{}/api/v1/leads/{id}", world.one);
        assert_eq!(
            world.call(&owner.shows, "GET", &path, &[], b"").status,
            404,
            "{path}"
        );
    }
    let long = "a".repeat(5000);
    for id in [
        &format!("{}%00", world.one),
        &world.one.to_uppercase(),
        &format!("{}/..", OTHER_ID),
        "..",
        "",
        &long,
    ] {
        let path = format!("/s/{id}/api/v1/leads");
        assert_eq!(
            world.call(&owner.shows, "GET", &path, &[], b"").status,
            404,
            "{path}"
        );
    }
}

#[test]
fn only_those_who_run_the_installation_move_sub_accounts() {
    let world = World::new();
    for caller in &world.callers {
        // The first account runs the installation, and these may manage all of it.
        let may = ["owner", "admin", "key of the owner", "key that manages"].contains(&caller.name);
        for id in [world.one.as_str(), OTHER_ID] {
            for (method, body) in [("GET", ""), ("POST", "{}")] {
                let path = format!("/api/v1/subaccounts/{id}/relocations");
                let answer = world.call(&caller.shows, method, &path, &[], body.as_bytes());
                let expected: &[u16] = match (&caller.may, may) {
                    (_, true) if id == OTHER_ID => &[404],
                    // There is no other slave.
                    (_, true) => &[200, 409],
                    (Stranger, _) => &[401],
                    _ => &[403],
                };
                let status = answer.status.as_u16();
                assert!(
                    expected.contains(&status),
                    "{} {method}: {status}",
                    caller.name
                );
            }
        }
    }
}

#[test]
fn who_only_looks_is_shown_no_form_that_changes_anything() {
    let world = World::new();
    let page = |name: &str, path: &str| {
        let caller = world.callers.iter().find(|c| c.name == name);
        let target = format!("/s/{}{path}", world.one);
        world.call(&caller.expect("a caller").shows, "GET", &target, &[], b"")
    };
    for path in ["", "/imports", "/profiles", "/rules"] {
        let (seen, whole) = (page("client of one", path), page("member of one", path));
        assert!(seen.status == 200 && whole.status == 200, "{path}");
        // Logging out is for everybody.
        let forms = |page: &Response| {
            let text = text(page).replace("action=\"/logout\"", "");
            text.matches("method=\"post\" action=").count() + text.matches("/new\"").count()
        };
        assert_eq!(forms(&seen), 0, "{path}");
        assert!(forms(&whole) > 0, "{path}");
    }
    assert_eq!(page("client of one", "/rules/new").status, 403);
    assert_eq!(page("member of one", "/rules/new").status, 200);
}

#[test]
fn imports_of_others_are_not_there() {
    let world = World::new();
    let shows = |name: &str| {
        let mut callers = world.callers.iter();
        callers
            .find(|c| c.name == name)
            .expect("a key")
            .shows
            .clone()
    };
    let (one, owner) = (shows("key for one"), shows("key of the owner"));
    // The same number is an import of each sub-account: whose it is only the address says.
    for rest in ["/api/v1/imports/1", "/api/v1/imports?cursor=c2"] {
        let seen = |caller: &Shows, id: &str| {
            let answer = world.call(caller, "GET", &format!("/s/{id}{rest}"), &[], b"");
            (answer.status, text(&answer).replace(id, "ID"))
        };
        assert_eq!(seen(&owner, &world.two).0, 200, "{rest}");
        assert_eq!(seen(&one, &world.two), seen(&one, OTHER_ID), "{rest}");
        assert!(!seen(&one, &world.one).1.contains("two.test"), "{rest}");
    }
}

#[test]
fn an_upload_ends_with_its_tenant() {
    let world = World::new();
    let (stores, migrated) = (world.site.stores(), AtomicBool::new(false));
    let cx = Context {
        stores: &stores,
        config: &world.site.config,
        now: world.site.now(),
        own: None,
        migrated: &migrated,
    };
    let begin = || {
        let scope = access::public(&cx, &world.one).expect("a tenant");
        Upload::begin(scope, "Late", None).expect("an upload")
    };
    let refused = |mut upload: Upload<'_>| {
        let status = upload
            .push(&[b'x'; 300 * 1024])
            .expect_err("refused")
            .status;
        upload.abandon("late");
        status
    };
    let late = "select count(*) from import_chunk where import_id > 1";
    let control = world.site.database(&Place::Control);
    let place = store::tenant::get(&*control, &world.one)
        .expect("a row")
        .expect("a tenant")
        .place;
    let (first, second) = (begin(), begin());
    tenant_state::put(&*control, &world.one, 1000, State::Suspended, 1).expect("kept");
    assert_eq!(refused(first), 403);
    let gone = "delete from tenant where id = ?1";
    control.execute(gone, params![&world.one]).expect("gone");
    assert_eq!(refused(second), 410, "the slot may be another's by now");
    let chunks = world
        .site
        .database(&place)
        .query(late, &[])
        .expect("an answer");
    assert_eq!(chunks[0].int(0), 0);
}

#[test]
fn the_matrix_knows_all_pages() {
    let source = include_str!("../src/pages/routes/mod.rs");
    let listed: BTreeSet<&str> = PAGES
        .iter()
        .filter_map(|(_, path, _)| path.split('/').nth(1))
        .collect();
    let start = source.find("pub fn slave(").expect("the router");
    let router = &source[start..start + source[start..].find("\n}").expect("its end")];
    for line in router
        .lines()
        .filter(|l| l.contains("&Method::") && l.contains("[\""))
    {
        let first = line
            .split("[\"")
            .nth(1)
            .and_then(|r| r.split('"').next())
            .expect("a word");
        assert!(listed.contains(first), "{line}");
    }
}
