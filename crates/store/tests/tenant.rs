//! Tenants come, are kept apart, and go for good, wherever their databases are.

use std::cell::Cell;
use std::fs;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};

use store::migrate::{TENANT, latest, migrate};
use store::server::{Server, database_of};
use store::{Db, Engine, Error, Open, Place, Result, Row, Value, params, slot, tenant};
use store_native::{Sqlite, connect};
use testkit::postgres::{Kind, Scratch, server};
use testkit::{ENGINES, on_both};

/// A slave whose tenants have files, or databases on the server.
struct Node {
    folder: PathBuf,
    control: Option<Scratch>,
    /// Statements that the administrator still runs before he dies.
    left: std::rc::Rc<Cell<u64>>,
}

impl Node {
    fn new(engine: Engine) -> Node {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let name = format!(
            "sluice-tenants-{}-{}",
            std::process::id(),
            NEXT.fetch_add(1, Ordering::Relaxed)
        );
        let folder = std::env::temp_dir().join(name);
        fs::create_dir_all(&folder).expect("a folder");
        let control = (engine == Engine::Postgres).then(|| Scratch::new(Kind::Slave));
        let left = std::rc::Rc::new(Cell::new(u64::MAX));
        Node {
            folder,
            control,
            left,
        }
    }

    fn control(&self) -> Box<dyn Db> {
        tenant::open_control(self).expect("a control database")
    }

    fn allocate(&self, id: &str, slots: i64) -> Result<Option<tenant::Tenant>> {
        let control = self.control();
        let Some(found) = tenant::allocate(self, &*control, id, "a", "Acme", slots, 1)? else {
            return Ok(None);
        };
        match tenant::settle(self, &*control, found, slots, 1)? {
            Some(_) => tenant::get(&*control, id),
            None => Ok(None),
        }
    }

    fn file(&self, place: &Place) -> PathBuf {
        self.folder.join(format!("{}.db", place.label()))
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.folder);
    }
}

fn password(name: &str) -> String {
    format!("pw{name}").replace('_', "x")
}

/// How a tenant's own role reaches a database.
fn dsn_as(name: &str, database: &str) -> String {
    let of_admin = server().dsn(database);
    let host = of_admin.split(' ').next().unwrap_or_default();
    format!(
        "{host} user={name} password={} dbname={database}",
        password(name)
    )
}

impl Open for Node {
    fn open(&self, place: &Place) -> Result<Box<dyn Db>> {
        Ok(match (place, &self.control) {
            (Place::Database(name), _) => Box::new(connect(&dsn_as(name, name))?),
            (Place::Control, Some(control)) => Box::new(control.again()),
            (place, _) => Box::new(Sqlite::open(&self.file(place))?),
        })
    }

    fn has_tenant_server(&self) -> bool {
        self.control.is_some()
    }

    fn tenant_server(&self) -> Result<Option<Server>> {
        if self.control.is_none() {
            return Ok(None);
        }
        let admin = Mortal(connect(&server().dsn("postgres"))?, self.left.clone());
        Ok(Some(Server {
            admin: Box::new(admin),
            password: Box::new(password),
        }))
    }
}

/// An administrator who dies.
struct Mortal(store_native::Postgres, std::rc::Rc<Cell<u64>>);

impl Db for Mortal {
    fn engine(&self) -> Engine {
        Engine::Postgres
    }

    fn query(&self, sql: &str, params: &[Value]) -> Result<Vec<Row>> {
        match self.1.get() {
            0 => Err(Error::Unavailable("dead".to_owned())),
            left => {
                self.1.set(left - 1);
                self.0.query(sql, params)
            }
        }
    }

    fn execute(&self, sql: &str, params: &[Value]) -> Result<u64> {
        match self.1.get() {
            0 => Err(Error::Unavailable("dead".to_owned())),
            left => {
                self.1.set(left - 1);
                self.0.execute(sql, params)
            }
        }
    }
}

/// Ids that no other test uses: roles belong to the whole server.
fn id() -> String {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    format!(
        "019351a0-0000-7000-8000-{:012x}",
        NEXT.fetch_add(1, Ordering::Relaxed)
    )
}

#[test]
fn asking_twice_is_the_same_as_once_and_a_full_node_says_so() {
    on_both(|engine| {
        let node = Node::new(engine);
        let (one, two, three) = (id(), id(), id());
        let first = node.allocate(&one, 2).expect("an answer").expect("room");
        assert_eq!(node.allocate(&one, 2), Ok(Some(first.clone())));
        let place = match engine {
            Engine::Sqlite => Place::Slot(1),
            Engine::Postgres => Place::Database(database_of(&one).expect("a UUID")),
        };
        assert_eq!(first.place, place);
        node.allocate(&two, 2).expect("an answer").expect("room");
        assert_eq!(node.allocate(&three, 2), Ok(None));
        let db = tenant::open(&node, &*node.control(), &first).expect("a tenant");
        assert_eq!(db.engine(), engine);
        assert_eq!(store::lead::count(&*db), Ok(0));
        let known = tenant::get(&*node.control(), &one).expect("an answer");
        assert_eq!(known.expect("known").schema_version, latest(TENANT));
        drop(db);
        for id in [one, two] {
            tenant::destroy(&node, &*node.control(), &id).expect("gone");
        }
    });
}

#[test]
fn what_is_destroyed_is_gone_and_makes_room() {
    on_both(|engine| {
        let node = Node::new(engine);
        let (one, two) = (id(), id());
        let tenant = node.allocate(&one, 1).expect("an answer").expect("room");
        let control = node.control();
        let db = tenant::open(&node, &*control, &tenant).expect("a tenant");
        let secret = "insert into setting (key, value) values ('k', 'what nobody may find again')";
        db.execute(secret, &[]).expect("kept");
        db.execute("insert into content (outreach_type, subject, body, created_at) values ('email', 'a', 'b', 1)", &[])
            .expect("kept");
        store::work::mark(&*control, &one, "plan", 1, 1).expect("promised");
        drop(db);
        tenant::destroy(&node, &*control, &one).expect("gone");
        tenant::destroy(&node, &*control, &one).expect("gone already");
        assert_eq!(tenant::get(&*control, &one), Ok(None));
        assert_eq!(
            control.query("select stage from tenant_work", &[]),
            Ok(vec![])
        );
        match &tenant.place {
            Place::Database(name) => {
                let left = "select 1 from pg_database where datname = ?1 union all select 1 from pg_roles where rolname = ?1";
                assert_eq!(control.query(left, params![name]), Ok(vec![]));
                assert!(connect(&dsn_as(name, name)).is_err());
            }
            place => {
                for end in ["", "-wal"] {
                    let mut file = node.file(place).into_os_string();
                    file.push(end);
                    let bytes = fs::read(&file).unwrap_or_default();
                    let text = String::from_utf8_lossy(&bytes);
                    assert!(
                        !text.contains("nobody may find") && !text.contains("create table"),
                        "{file:?}"
                    );
                    assert!(bytes.len() <= 8192, "{} bytes", bytes.len());
                }
            }
        }
        let next = node
            .allocate(&two, 1)
            .expect("an answer")
            .expect("room again");
        let db = tenant::open(&node, &*control, &next).expect("a tenant");
        let left = "select value from setting where key = 'k'";
        assert_eq!(db.query(left, &[]), Ok(vec![]));
        drop(db);
        tenant::destroy(&node, &*control, &two).expect("gone");
    });
}

#[test]
fn an_administrator_may_be_less_than_a_superuser() {
    let role = "plain_administrator";
    server().run(&format!(
        "do $$ begin create role {role} login createdb createrole password 'pw'; exception when duplicate_object then null; end $$"
    ));
    server().run(&format!("grant connect on database postgres to {role}"));
    let of_admin = server().dsn("postgres");
    let host = of_admin.split(' ').next().unwrap_or_default();
    let dsn = format!("{host} user={role} password=pw dbname=postgres");
    let name = database_of(&id()).expect("a UUID");
    let plain = Server {
        admin: Box::new(connect(&dsn).expect("a connection")),
        password: Box::new(password),
    };
    plain.create(&name).expect("made");
    plain.create(&name).expect("made already");
    let tenant = connect(&dsn_as(&name, &name)).expect("the tenant's role gets in");
    migrate(&tenant, TENANT).expect("it owns its database");
    drop(tenant);
    let stored = "select rolpassword like 'SCRAM-SHA-256$4096:%' from pg_authid where rolname = ?1";
    let by_superuser = connect(&of_admin).expect("a connection");
    let rows = by_superuser.query(stored, params![&name]).expect("a row");
    assert!(rows[0].flag(0));
    plain.destroy(&name).expect("gone");
    assert!(connect(&dsn_as(&name, &name)).is_err());
}

#[test]
fn a_slot_whose_owner_the_node_forgot_is_set_aside_until_it_is_empty() {
    let node = Node::new(Engine::Sqlite);
    let (lost, next, last) = (id(), id(), id());
    let allocate = |id: &str| node.allocate(id, 2).expect("an answer");
    let tenant = allocate(&lost).expect("room");
    let control = node.control();
    let db = tenant::open(&node, &*control, &tenant).expect("a tenant");
    let secret = "insert into setting (key, value) values ('k', 'nobody else may see this')";
    db.execute(secret, &[]).expect("kept");

    // An older copy of the control database is put back.
    control
        .execute("delete from tenant where id = ?1", params![&lost])
        .expect("forgotten");
    assert_eq!(allocate(&next).expect("the second").place, Place::Slot(2));
    assert_eq!(tenant::count(&*control), Ok(2));
    assert_eq!(allocate(&last), None);
    assert_eq!(tenant::get(&*control, &last), Ok(None));
    let kept = db.query("select value from setting where key = 'k'", &[]);
    assert_eq!(kept.expect("rows").len(), 1);

    // Somebody saves what is in it, and takes the file away.
    let hour = 60 * 60 * 1000;
    assert_eq!(slot::look_again(&node, &*control, 2 * hour), Ok(0));
    drop(db);
    for end in ["", "-wal", "-shm"] {
        let mut file = node.file(&Place::Slot(1)).into_os_string();
        file.push(end);
        let _ = fs::remove_file(file);
    }
    assert_eq!(slot::look_again(&node, &*control, 2 * hour + 1), Ok(0));
    assert_eq!(slot::look_again(&node, &*control, 3 * hour), Ok(1));
    assert_eq!(allocate(&last).expect("room again").place, Place::Slot(1));
}

#[test]
fn a_tenant_is_not_shown_what_is_in_a_file_that_is_not_its_own() {
    let node = Node::new(Engine::Sqlite);
    let (one, two) = (id(), id());
    let first = node.allocate(&one, 2).expect("an answer").expect("room");
    let second = node.allocate(&two, 2).expect("an answer").expect("room");
    let exchanged = tenant::Tenant {
        place: second.place,
        schema_version: 1,
        ..first.clone()
    };
    let refused = tenant::open(&node, &*node.control(), &exchanged);
    assert!(matches!(refused.err(), Some(Error::Other(_))));
    // One from before files bore marks is its tenant's own.
    let db = node.open(&first.place).expect("a file");
    db.query("pragma user_version = 0", &[]).expect("unmarked");
    let before = tenant::Tenant {
        schema_version: 1,
        ..first
    };
    assert!(tenant::open(&node, &*node.control(), &before).is_ok());
}

#[test]
fn a_tenants_role_reaches_its_own_database_and_nothing_else() {
    let node = Node::new(Engine::Postgres);
    let (one, two) = (id(), id());
    for id in [&one, &two] {
        node.allocate(id, 9).expect("an answer").expect("room");
    }
    let [mine, other] = [&one, &two].map(|id| database_of(id).expect("a UUID"));
    let db = connect(&dsn_as(&mine, &mine)).expect("its own");
    migrate(&db, TENANT).expect("it may make tables there");
    for closed in [other.as_str(), "postgres", "template1"] {
        let Err(e) = connect(&dsn_as(&mine, closed)) else {
            panic!("{closed} is open")
        };
        assert!(e.to_string().contains("permission denied"), "{closed}: {e}");
    }
    let wrong = dsn_as(&mine, &mine).replace("password=pw", "password=no");
    assert!(connect(&wrong).is_err(), "a password is asked for");
    for refused in [
        format!("drop database {other}"),
        format!("alter role {other} password 'x'"),
        "create role x".to_owned(),
        "create database x".to_owned(),
        "select pg_read_file('/etc/passwd')".to_owned(),
        "select 1 from pg_authid".to_owned(),
        format!("set role {other}"),
    ] {
        assert!(db.query(&refused, &[]).is_err(), "{refused}");
    }
    let limit = db
        .query("show idle_in_transaction_session_timeout", &[])
        .expect("a setting");
    assert_eq!(limit[0].0, [Value::Text("15s".to_owned())]);
    drop(db);
    for id in [one, two] {
        tenant::destroy(&node, &*node.control(), &id).expect("gone");
    }
}

#[test]
fn a_database_that_was_half_made_is_finished_the_next_time() {
    let node = Node::new(Engine::Postgres);
    let mut deaths = 0;
    for statements in 0..30 {
        let one = id();
        node.left.set(statements);
        let died = node.allocate(&one, 99).is_err();
        deaths += u64::from(died);
        node.left.set(u64::MAX);
        let tenant = node.allocate(&one, 99).expect("an answer").expect("room");
        let db = tenant::open(&node, &*node.control(), &tenant).expect("a tenant");
        assert_eq!(store::lead::count(&*db), Ok(0));
        let Place::Database(name) = &tenant.place else {
            panic!("a database")
        };
        assert!(connect(&dsn_as(name, "postgres")).is_err());
        drop(db);
        node.left.set(statements % 3);
        let died_again = tenant::destroy(&node, &*node.control(), &one).is_err();
        node.left.set(u64::MAX);
        assert_eq!(died_again, statements % 3 < 2);
        tenant::destroy(&node, &*node.control(), &one).expect("gone");
        if !died {
            break;
        }
    }
    assert!(deaths > 8, "{deaths}");
}

#[test]
fn slots_are_given_once_however_many_ask_at_the_same_time() {
    for engine in ENGINES {
        let node = Node::new(engine);
        drop(node.control());
        let control = || -> Box<dyn Db + Send> {
            match &node.control {
                Some(control) => Box::new(control.again()),
                None => Box::new(Sqlite::open(&node.file(&Place::Control)).expect("a file")),
            }
        };
        let ask = |control: Box<dyn Db + Send>, first: usize| {
            for n in (first..60).step_by(6) {
                let row = params![format!("tenant {n}"), "a", "A", 40i64, 1i64];
                control
                    .execute(store::queries::tenant::INSERT_SLOT, row)
                    .expect("no conflict");
            }
        };
        let ask = &ask;
        let controls: Vec<_> = (0..6).map(|_| control()).collect();
        std::thread::scope(|scope| {
            for (first, control) in controls.into_iter().enumerate() {
                scope.spawn(move || ask(control, first));
            }
        });
        let text = "select count(*), count(distinct slot), min(slot), max(slot) from tenant";
        let row = &control().query(text, &[]).expect("a row")[0];
        assert_eq!(
            [0, 1, 2, 3].map(|i| row.int(i)),
            [40, 40, 1, 40],
            "{engine:?}"
        );
    }
}

#[test]
fn a_tenant_that_cannot_be_brought_up_to_date_stops_no_other() {
    on_both(|engine| {
        let node = Node::new(engine);
        let mut ids: Vec<_> = (0..5).map(|_| id()).collect();
        ids.sort();
        let control = node.control();
        for id in &ids {
            node.allocate(id, 9).expect("an answer").expect("room");
            tenant::set_schema_version(&*control, id, 1).expect("an older version");
        }
        let broken = tenant::get(&*control, &ids[2])
            .expect("an answer")
            .expect("known");
        let db = node.open(&broken.place).expect("a database");
        migrate(&*db, TENANT).expect("migrated");
        db.execute("insert into schema_version (version) values (999)", &[])
            .expect("kept");
        drop(db);
        let (mut after, mut done, mut failed, mut rounds) = (None, 0, Vec::new(), 0);
        loop {
            let round =
                tenant::migrate_some(&node, &*control, after.as_deref(), 2).expect("a round");
            done += round.done;
            failed.extend(round.failed);
            rounds += 1;
            let Some(next) = round.next else { break };
            after = Some(next);
        }
        assert_eq!((done, rounds), (4, 3));
        assert_eq!(failed.len(), 1);
        assert!(
            failed[0].0 == ids[2] && failed[0].1.contains("version 999"),
            "{failed:?}"
        );
        let version = |id: &str| {
            tenant::get(&*control, id)
                .expect("an answer")
                .expect("known")
                .schema_version
        };
        assert_eq!(version(&ids[0]), latest(TENANT));
        assert_eq!(version(&ids[2]), 1);
        for id in &ids {
            tenant::destroy(&node, &*control, id).expect("gone");
        }
    });
}
