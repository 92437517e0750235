//! On a host name of its own a sub-account is all there is, and nothing tells whose product it is.

mod site;

use domain::identity::Role;
use http::Method;
use site::{Person, Site, text};
use store::tenant_state::{self, State};
use store::user::{self, User};
use store::{Place, custom_domain};
use web::Response;

const HOST: &str = "leads.client.example";
const ANN: &str = "ann@agency.test";
const CLIENT: (&str, &str) = ("spin-client-addr", "203.0.113.7:1");

/// A sub-account, and the name that leads to it.
fn tenant(site: &Site) -> (Person<'_>, String) {
    let owner = site.sign_up(ANN);
    let id = owner.sub_account("Client Growth")[3..].to_owned();
    let control = site.database(&Place::Control);
    custom_domain::ask(&*control, &id, HOST, "token", 1, 1).expect("kept");
    custom_domain::verify(&*control, &id, HOST, "token", 1).expect("kept");
    (owner, id)
}

/// One of the client's own people: `bo@client.test`.
fn client(site: &Site, subaccount: &str) {
    let db = site.master();
    let owner = user::by_email(&*db, ANN).expect("an answer").expect("Ann");
    let email = "bo@client.test".to_owned();
    let bo = User::new(
        "bo".into(),
        owner.account_id,
        email,
        "-".into(),
        Role::Client,
        1,
    );
    assert!(user::insert(&*db, &bo).expect("kept"));
    user::put_grant(&*db, &bo.id, subaccount, Role::Client, 1).expect("kept");
}

fn by_name(site: &Site, method: Method, target: &str, fields: &[(&'static str, &str)]) -> Response {
    let fields = [&[("host", HOST), CLIENT], fields].concat();
    site.send(method, target, &fields, Vec::new())
}

fn log_in(site: &Site, client: &str, password: &str) -> Response {
    let fields = [("host", HOST), ("spin-client-addr", client)];
    let form = format!(
        "email=ann%40agency.test&password={}",
        password.replace(' ', "+")
    );
    site.send(Method::POST, "/login", &fields, form.into_bytes())
}

fn is_ours(answer: &Response) -> bool {
    let headers = format!("{:?}", answer.headers).to_lowercase();
    let url = "http://sluice.test";
    headers.contains("sluice")
        || text(answer)
            .to_lowercase()
            .replace(url, "")
            .contains("sluice")
}

#[test]
fn guesses_on_a_tenants_host_are_counted_by_the_client_that_makes_them() {
    let site = Site::new();
    tenant(&site);
    let guess = |n: u32| {
        let fields = [("host", HOST), ("spin-client-addr", "198.51.100.9:1")];
        let form = format!("email=p{n}%40x.test&password=wrong").into_bytes();
        site.send(Method::POST, "/login", &fields, form)
            .status
            .as_u16()
    };
    assert!((0..60).any(|n| guess(n) == 429));
    assert_eq!(log_in(&site, "203.0.113.7:1", "correct horse").status, 303);
}

#[test]
fn no_page_of_a_tenants_host_names_us() {
    let site = Site::new();
    let (_, id) = tenant(&site);
    let signed_in = log_in(&site, "203.0.113.7:1", "correct horse");
    let cookie = signed_in.headers["set-cookie"]
        .to_str()
        .expect("text")
        .to_owned();
    let cookie = cookie.split(';').next().expect("a pair");
    let paths = [
        "/login",
        "/logout",
        "/login/x",
        "/login/code",
        "/forgot",
        "/nowhere",
        "/leads",
        "/u/x",
        "/settings",
    ];
    let look = |state: &str| {
        for path in paths {
            for fields in [&[][..], &[("cookie", cookie)][..]] {
                let answer = by_name(&site, Method::GET, path, fields);
                assert!(!is_ours(&answer), "{state} {path}: {}", text(&answer));
            }
        }
    };
    look("active");
    let control = site.database(&Place::Control);
    tenant_state::put(&*control, &id, 1000, State::Deleted, 1).expect("kept");
    look("deleted");
    let answer = by_name(&site, Method::GET, "/login", &[]);
    assert_eq!(answer.headers["content-type"], "text/html; charset=utf-8");
    assert!(
        text(&answer).contains(HOST),
        "the name stands for the brand"
    );
}

#[test]
fn mails_asked_for_on_a_tenants_host_are_in_its_name() {
    let site = Site::new();
    let (_, id) = tenant(&site);
    client(&site, &id);
    let form = b"email=bo%40client.test".to_vec();
    site.mails();
    let fields = [("host", HOST), CLIENT];
    let asked = site.send(Method::POST, "/forgot", &fields, form);
    assert!(asked.status.as_u16() < 400, "{}", text(&asked));
    let secret = format!("Bearer {}", site.config.node_secret);
    let headers = [("authorization", secret.as_str())];
    let ask = br#"{"max": 100}"#.to_vec();
    let claimed = text(&site.send(Method::POST, "/node/v1/outbox/claim", &headers, ask));
    assert!(
        claimed.contains("A new password for Client Growth"),
        "{claimed}"
    );
    assert!(
        claimed.contains(r#"\"Client Growth\" <no-reply@sluice.test>"#),
        "{claimed}"
    );
    assert!(!claimed.contains("Sluice"), "{claimed}");
}

#[test]
fn who_is_invited_to_one_sub_account_begins_on_its_host_and_reads_its_name() {
    let site = Site::new();
    let (owner, id) = tenant(&site);
    let invite = |email: &str, role: &str| {
        let fields = [("email", email), ("role", role), ("place", &id)];
        let sent = owner.post("/team/invites", &fields);
        assert_eq!(sent.status, 303, "{}", text(&sent));
        let mails = site.mails();
        let (_, _, mail) = mails.iter().find(|(to, _, _)| to == email).expect("a mail");
        let mut lines = mail.lines();
        let link = lines.find(|line| line.starts_with("http")).expect("a link");
        link.to_owned()
    };
    // Nobody has come by that host yet.
    assert!(invite("early@client.test", "client").starts_with("http://sluice.test/invite"));
    assert_eq!(by_name(&site, Method::GET, "/login", &[]).status, 200);
    let link = invite("cy@client.test", "client");
    assert!(link.starts_with(&format!("http://{HOST}/invite")), "{link}");
    let page = by_name(
        &site,
        Method::GET,
        link.split_once(HOST).expect("its host").1,
        &[],
    );
    assert!(page.status == 200 && !is_ours(&page), "{}", text(&page));
    assert!(invite("mo@agency.test", "member").starts_with("http://sluice.test/invite"));
}

#[test]
fn nothing_is_answered_in_plain_text_where_people_come_by_https() {
    let site = Site::with(|config| config.public_url = "https://sluice.test".into());
    let (_, id) = tenant(&site);
    let plain = [("x-forwarded-proto", "http")];
    let sent_on = by_name(&site, Method::GET, "/login?next=%2Fleads", &plain);
    assert_eq!(sent_on.status, 308);
    assert_eq!(
        sent_on.headers["location"],
        format!("https://{HOST}/login?next=%2Fleads")
    );
    assert_eq!(by_name(&site, Method::POST, "/login", &plain).status, 403);
    let primary =
        || custom_domain::primary(&*site.database(&Place::Control), &id).expect("an answer");
    assert_eq!(
        primary(),
        None,
        "links would lead to a host without a certificate"
    );
    let secure = [("x-forwarded-proto", "https")];
    assert_eq!(by_name(&site, Method::GET, "/login", &secure).status, 200);
    assert_eq!(primary().as_deref(), Some(HOST));
}
