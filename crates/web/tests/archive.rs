//! The archive of one sub-account is restored into another: all of it, or nothing, and nothing in it is sent again.

mod site;

use std::sync::atomic::AtomicBool;

use http::Method;
use serde_json::{Value, json};
use site::{Person, Site, text};
use store::{Db, Open, Place, params, tenant};
use testkit::dump;
use web::slave::access;
use web::slave::archive::{MEDIA, Pending, Restoration};
use web::{Body, Context, Response};

struct World {
    site: Site,
    cookie: String,
    /// Paths of two sub-accounts: with something of every kind, and empty.
    full: String,
    empty: String,
}

impl World {
    fn new() -> World {
        let site = Site::new();
        let owner = site.sign_up("ann@agency.test");
        let (full, empty) = (owner.sub_account("Full"), owner.sub_account("Empty"));
        let cookie = owner.cookie.clone();
        let world = World {
            site,
            cookie,
            full,
            empty,
        };
        world.fill();
        world
    }

    fn fill(&self) {
        let settings = json!({"host": "smtp.test", "port": 25, "from": "ann@agency.test",
            "username": "ann", "password": "sesame"});
        let profile = json!({"name": "Ann", "type": "smtp", "settings": settings});
        let action =
            json!({"type": "new_outreach", "outreach_type": "email", "subject": "s", "body": "b"});
        let trigger = json!({"type": "tag_added", "tag": "hot"});
        let rule = json!({"name": "R", "trigger": trigger, "action": action});
        self.made(&self.full, "profiles", &profile);
        self.made(&self.full, "rules", &rule);
        let owner = self.owner();
        owner.import(
            &self.full,
            "email,name\nana@x.test,Ána\nbo@x.test,“Bo”\nnobody,\n",
            "hot",
        );
        owner.work();
    }

    fn owner(&self) -> Person<'_> {
        self.site.person(&self.cookie)
    }

    fn call(&self, method: Method, target: &str, media: &str, body: &[u8]) -> Response {
        let headers = [
            ("cookie", self.cookie.as_str()),
            ("sec-fetch-site", "same-origin"),
            ("content-type", media),
        ];
        self.site.send(method, target, &headers, body.to_vec())
    }

    fn made(&self, base: &str, what: &str, body: &Value) {
        let target = format!("{base}/api/v1/{what}");
        let body = body.to_string();
        let answer = self.call(Method::POST, &target, "application/json", body.as_bytes());
        assert_eq!(answer.status, 201, "{}", text(&answer));
    }

    fn json(&self, method: Method, target: &str, body: &Value) -> (u16, Value) {
        let body = body.to_string();
        let answer = self.call(method, target, "application/json", body.as_bytes());
        let json = serde_json::from_str(&text(&answer)).expect("JSON");
        (answer.status.as_u16(), json)
    }

    fn archive(&self) -> Vec<u8> {
        let target = format!("{}/api/v1/archive", self.full);
        let answer = self.call(Method::GET, &target, "", b"");
        assert_eq!(answer.status, 200);
        assert_eq!(answer.headers["content-type"], MEDIA);
        match answer.body {
            Body::Stream(pieces) => pieces.flatten().collect(),
            Body::Full(_) => panic!("an archive may be large"),
        }
    }

    fn restore(&self, base: &str, archive: &[u8]) -> (u16, Value) {
        self.restore_as(base, archive, "?pending=keep")
    }

    fn restore_as(&self, base: &str, archive: &[u8], query: &str) -> (u16, Value) {
        let target = format!("{base}/api/v1/archive{query}");
        let answer = self.call(Method::PUT, &target, MEDIA, archive);
        let json = serde_json::from_str(&text(&answer)).expect("JSON");
        (answer.status.as_u16(), json)
    }

    fn database(&self, base: &str) -> Box<dyn Db> {
        let control = self.site.database(&Place::Control);
        let tenant = tenant::get(&*control, &base[3..]).expect("a row");
        self.site.database(&tenant.expect("a tenant").place)
    }
}

#[test]
fn what_waited_in_an_archive_is_not_sent_a_second_time() {
    let world = World::new();
    let pending = |base: &str, status: &str| {
        let target = format!("{base}/api/v1/requests?status={status}");
        let (_, found) = world.json(Method::GET, &target, &json!({}));
        found["items"].as_array().expect("requests").clone()
    };
    let waiting = pending(&world.full, "pending").len();
    assert!(waiting > 0, "something waits in the original");
    let archive = world.archive();
    let (status, why) = world.restore_as(&world.empty, &archive, "?pending=maybe");
    assert_eq!(
        (status, &why["errors"][0]["field"]),
        (422, &json!("pending")),
        "{why}"
    );
    let (status, restored) = world.restore_as(&world.empty, &archive, "");
    assert_eq!(status, 200, "{restored}");
    assert_eq!(restored["requests_canceled"], waiting);
    assert_eq!(pending(&world.empty, "pending").len(), 0);
    let canceled = pending(&world.empty, "canceled");
    assert_eq!(canceled.len(), waiting);
    let reason = canceled[0]["error"].as_str().expect("a reason");
    assert!(reason.contains("may have sent it"), "{reason}");
    let log = "select count(*) from event where kind = 'outreach_canceled'";
    let log = world.database(&world.empty).query(log, &[]).expect("rows");
    assert_eq!(log[0].int(0), waiting as i64);
    assert_eq!(pending(&world.full, "pending").len(), waiting);
}

#[test]
fn what_is_restored_is_what_was_archived_with_its_profiles_switched_off() {
    let world = World::new();
    let archive = world.archive();
    let (status, restored) = world.restore(&world.empty, &archive);
    assert_eq!(status, 200, "{restored}");
    assert_eq!(restored["profiles_paused"], 1);
    assert_eq!(restored["requests_canceled"], 0);
    let rows = archive
        .split(|b| *b == b'\n')
        .filter(|l| l.starts_with(b"["));
    assert_eq!(restored["rows"], rows.count());
    let (full, empty) = (world.database(&world.full), world.database(&world.empty));
    assert_eq!(dump(&*full, &["profile"]), dump(&*empty, &["profile"]));

    // Nothing waits to be sent behind anybody's back, and the password is asked for.
    let profile = format!("{}/api/v1/profiles/1", world.empty);
    let (_, seen) = world.json(Method::GET, &profile, &json!({}));
    assert_eq!(seen["active"], false);
    let reason = seen["reason"].as_str().expect("a reason");
    assert!(reason.starts_with("Enter the password again"), "{reason}");
    let page = text(&world.owner().get(&format!("{}/profiles", world.empty)));
    assert!(page.contains("Enter the password again"), "{page}");
    let (status, why) = world.json(Method::PATCH, &profile, &json!({"active": true}));
    assert_eq!(status, 409, "{why}");
    let form = format!("{}/profiles/1/password", world.empty);
    assert_eq!(
        world.owner().post(&form, &[("password", "sesame")]).status,
        303
    );
    let (status, seen) = world.json(Method::PATCH, &profile, &json!({"active": true}));
    assert_eq!((status, &seen["active"]), (200, &json!(true)), "{seen}");
    assert_eq!(seen.get("reason"), None);
    // Into where it came from it cannot go: that is not empty.
    let (status, why) = world.restore(&world.full, &archive);
    assert_eq!(
        (status, &why["title"]),
        (409, &json!("The sub-account is not empty"))
    );
    let (status, why) = world.restore(&world.empty, &archive);
    assert_eq!(status, 409, "{why}");
}

#[test]
fn a_bad_archive_leaves_the_sub_account_empty_and_says_why() {
    let world = World::new();
    let archive = String::from_utf8(world.archive()).expect("UTF-8");
    let half = &archive[..archive.len() / 2];
    let newer = archive.replacen("\"schema_version\":", "\"schema_version\":9", 1);
    let none = "Hello\n".to_owned();
    let empty = dump(&*world.database(&world.empty), &[]);
    for (bad, title) in [
        (
            archive.replace("ana@x.test", "eve@x.test"),
            "This is no archive that can be restored",
        ),
        (half.to_owned(), "This is no archive that can be restored"),
        (none, "This is no archive that can be restored"),
        (String::new(), "This is no archive that can be restored"),
        (newer, "The archive is of a newer version"),
    ] {
        let (status, why) = world.restore(&world.empty, bad.as_bytes());
        assert_eq!((status, &why["title"]), (422, &json!(title)), "{why}");
        assert!(!why["detail"].as_str().expect("a detail").is_empty());
        assert_eq!(dump(&*world.database(&world.empty), &[]), empty);
    }
    // And it is as good as before.
    assert_eq!(world.restore(&world.empty, archive.as_bytes()).0, 200);
}

#[test]
fn nothing_is_served_while_an_archive_is_read_and_whoever_dies_over_it_leaves_nothing() {
    let world = World::new();
    let archive = world.archive();
    let leads = format!("{}/api/v1/leads", world.empty);
    let stores = world.site.stores();
    let migrated = AtomicBool::new(false);
    let cx = Context {
        stores: &stores as &dyn Open,
        config: &world.site.config,
        now: world.site.now(),
        own: None,
        migrated: &migrated,
    };
    let scope = access::any(&cx, &world.empty[3..]).expect("a tenant");
    let mut restoration = Restoration::begin(scope, Pending::Keep).expect("it begins");
    restoration
        .push(&archive[..archive.len() / 2], cx.now)
        .expect("half of it");
    let (status, why) = world.json(Method::GET, &leads, &json!({}));
    assert_eq!(
        (status, &why["title"]),
        (503, &json!("The sub-account is being restored"))
    );
    assert_eq!(
        world.restore(&world.empty, &archive).0,
        503,
        "one at a time"
    );
    let work = world.site.database(&Place::Control);
    for stage in web::slave::archive::STAGES {
        store::work::mark(&*work, &world.empty[3..], stage, 1, 1).expect("kept");
        let due = store::work::due(&*work, stage, i64::MAX, 100).expect("a list");
        assert!(
            due.iter().all(|d| d.tenant_id != world.empty[3..]),
            "{stage}"
        );
    }
    // It ends without a word: its connection is gone, and with it what it wrote.
    let state = "update tenant_state set changed_at = changed_at + ?2 where tenant_id = ?1";
    drop(restoration);
    let restoring = "update tenant_state set state = 'restoring' where tenant_id = ?1";
    let id = &world.empty[3..];
    assert_eq!(work.execute(restoring, params![id]).expect("kept"), 1);
    assert_eq!(world.json(Method::GET, &leads, &json!({})).0, 503);
    assert_eq!(work.execute(state, params![id, -61_000]).expect("kept"), 1);
    let (status, empty) = world.json(Method::GET, &leads, &json!({}));
    assert_eq!((status, &empty["items"]), (200, &json!([])));
    assert_eq!(world.restore(&world.empty, &archive).0, 200);
}
