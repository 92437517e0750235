//! A master and two slaves without any host: calls between them get lost, come twice or late, and whoever makes or answers
//! one may die at any statement.
#![allow(dead_code)] // Every test uses a part of it.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::sync::atomic::AtomicBool;

use http::{HeaderMap, HeaderValue};
use proptest::prelude::*;
use stages::allocate::{self, Answer, Call, Tick};
use store::migrate::{MASTER, migrate};
use store::{Db, Engine, Open, Place, node, params, placement, tenant, transaction};
use testkit::Stores;
use web::assertion::{Claims, Issuer, Said, Signer};
use web::{Body, Config, Context, Request, slave};

pub const NOON: i64 = 1_795_262_400_000;
pub const ACCOUNT: &str = "01a1fc61-0000-7000-8000-000000000000";
pub const NODES: [&str; 2] = ["node-a", "node-b"];
pub const GRACE: i64 = 60_000;

/// What happens to a call.
#[derive(Debug, Clone, Copy)]
pub enum Fate {
    Fine,
    /// It does not leave.
    Refused,
    /// It gets lost on its way.
    Lost,
    /// It is done, and the answer gets lost.
    Unanswered,
    /// The slave dies after so many statements.
    Dies(u64),
    /// It comes later.
    Late,
}

pub fn fate() -> impl Strategy<Value = Fate> {
    prop_oneof![
        6 => Just(Fate::Fine),
        1 => Just(Fate::Refused),
        2 => Just(Fate::Lost),
        3 => Just(Fate::Unanswered),
        3 => (0u64..60).prop_map(Fate::Dies),
        2 => Just(Fate::Late),
    ]
}

pub struct Slave {
    pub stores: Stores,
    pub config: Config,
    pub silent: Cell<bool>,
}

pub struct World {
    pub master: Stores,
    pub slaves: BTreeMap<&'static str, Slave>,
    pub now: Cell<i64>,
    pub asked: Cell<usize>,
    pub tick: Cell<usize>,
    /// Calls that may come again.
    pub old: RefCell<Vec<Call>>,
}

pub fn id(n: usize) -> String {
    format!("01a1fc61-0985-7080-808e-{n:012}")
}

impl World {
    pub fn new(slots: [i64; 2]) -> World {
        World::on(slots, [testkit::engine(); 2])
    }

    /// Slaves whose databases are of these engines. Each has a secret of its own.
    pub fn on(slots: [i64; 2], engines: [Engine; 2]) -> World {
        let slave = |((node, slots), engine): ((&'static str, i64), Engine)| {
            let config = Config {
                node_id: node.into(),
                public_url: format!("http://{node}.test"),
                master_public_key: Signer::new(Issuer::Master, "the master's").public_key(),
                secret_key: format!("the secret of {node}"),
                slots,
                ..Config::default()
            };
            let slave = Slave {
                stores: Stores::on(engine),
                config,
                silent: Cell::new(false),
            };
            (node, slave)
        };
        let world = World {
            master: Stores::default(),
            slaves: NODES
                .into_iter()
                .zip(slots)
                .zip(engines)
                .map(slave)
                .collect(),
            now: Cell::new(NOON),
            asked: Cell::new(0),
            tick: Cell::new(0),
            old: RefCell::default(),
        };
        let db = world.db();
        migrate(&*db, MASTER).expect("the schema");
        let account = "insert into account (id, name, created_at) values (?1, 'A', 1)";
        db.execute(account, params![ACCOUNT]).expect("an account");
        for node in NODES {
            let new = node::New {
                id: node,
                kind: "slave",
                name: node,
                slave_id: None,
                unassigned: true,
                join_hash: node,
                join_until: i64::MAX,
            };
            node::insert(&*db, &new, NOON).expect("a node");
            node::join(&*db, node, node, None, None, NOON).expect("joined");
        }
        world
    }

    pub fn db(&self) -> Box<dyn Db> {
        self.master.open(&Place::Master).expect("the master")
    }

    pub fn report(&self) {
        let db = self.db();
        for (name, slave) in &self.slaves {
            if slave.silent.get() {
                continue;
            }
            let control = tenant::open_control(&slave.stores).expect("the slave");
            let url = format!("http://{name}.test");
            let report = node::Report {
                version: "1",
                slots: slave.config.slots,
                used: tenant::count(&*control).expect("a count"),
                report: "{}",
                base_url: Some(&url),
                node_url: Some(&url),
            };
            node::report(&*db, name, &report, self.now.get()).expect("kept");
        }
    }

    /// What a slave does with a call; none when it died over it.
    pub fn deliver(&self, call: &Call, statements: Option<u64>) -> Option<(u16, Vec<u8>)> {
        let slave = &self.slaves[call.node_id.as_str()];
        let (method, target, body) = call.request();
        let (path, query) = target.split_once('?').unwrap_or((&target, ""));
        let claims = Claims::of_master(&call.node_id, "", self.now.get(), 60, Said::Master);
        let token = Signer::new(Issuer::Master, "the master's").sign(&claims);
        let mut headers = HeaderMap::new();
        let bearer = HeaderValue::from_str(&format!("Bearer {token}")).expect("a header");
        headers.insert("authorization", bearer);
        let request = Request {
            method: method.parse().expect("a method"),
            path: path.to_owned(),
            query: query.to_owned(),
            headers,
            body,
        };
        let cx = Context {
            stores: &slave.stores,
            config: &slave.config,
            now: self.now.get(),
            own: None,
            migrated: &AtomicBool::new(false),
        };
        if let Some(statements) = statements {
            slave.stores.die_after(statements);
        }
        let answer = slave::handle(&cx, &request, None);
        let died = slave.stores.revive();
        let Body::Full(body) = answer.body else {
            panic!("a whole answer");
        };
        (!died).then_some((answer.status.as_u16(), body))
    }

    pub fn ask(&self, calls: &[Call], fates: &RefCell<Vec<Fate>>) -> Vec<Answer> {
        calls
            .iter()
            .map(|call| {
                let fate = fates.borrow_mut().pop().unwrap_or(Fate::Fine);
                self.old.borrow_mut().push(call.clone());
                let lost = || Answer::Unknown("no answer".into());
                match fate {
                    Fate::Refused => {
                        self.old.borrow_mut().pop();
                        Answer::NotSent("refused".into())
                    }
                    Fate::Lost => {
                        self.old.borrow_mut().pop();
                        lost()
                    }
                    Fate::Late => lost(),
                    Fate::Unanswered => {
                        self.deliver(call, None);
                        lost()
                    }
                    Fate::Fine => answer(call, self.deliver(call, None)),
                    Fate::Dies(n) => answer(call, self.deliver(call, Some(n))),
                }
            })
            .collect()
    }

    pub fn tick(&self, statements: Option<u64>, fates: Vec<Fate>) {
        self.tick.set(self.tick.get() + 1);
        let fates = RefCell::new(fates);
        let clock = || self.now.get();
        let ask = |calls: &[Call]| self.ask(calls, &fates);
        let tick = Tick {
            stores: &self.master,
            clock: &clock,
            token: format!("tick {}", self.tick.get()),
            local: false,
            ask: &ask,
        };
        if let Some(statements) = statements {
            self.master.die_after(statements);
        }
        let done = allocate::run(&tick);
        let died = self.master.revive();
        assert!(died || done.is_ok(), "{done:?}");
    }

    /// One of those that were asked for.
    pub fn some(&self, n: usize) -> Option<String> {
        let count = self.asked.get();
        (count > 0).then(|| id(n % count))
    }

    pub fn change(&self, n: usize, change: impl Fn(&dyn Db, &str) -> store::Result<bool>) {
        let Some(id) = self.some(n) else {
            return;
        };
        let db = self.db();
        transaction(&*db, || {
            change(&*db, &id)?;
            placement::nudge(&*db, &id, self.now.get())
        })
        .expect("kept");
    }

    /// Who lives on which slave.
    pub fn tenants(&self) -> Vec<(String, &'static str)> {
        let mut all = Vec::new();
        for (name, slave) in &self.slaves {
            let control = tenant::open_control(&slave.stores).expect("the slave");
            let rows = control.query("select id from tenant order by id", &[]);
            let rows: Vec<_> = rows.expect("a list");
            assert!(
                rows.len() as i64 <= slave.config.slots,
                "more than there is room for"
            );
            all.extend(rows.into_iter().map(|mut r| (r.text(0), *name)));
        }
        all.sort();
        all
    }

    /// The network works again, and enough time passes.
    pub fn settle(&self) {
        for slave in self.slaves.values() {
            slave.silent.set(false);
        }
        for _ in 0..12 {
            self.now.set(self.now.get() + GRACE + 61_000);
            self.report();
            self.tick(None, Vec::new());
        }
    }
}

pub fn answer(call: &Call, done: Option<(u16, Vec<u8>)>) -> Answer {
    match done {
        Some((200, body)) => call.good(body).expect("an answer"),
        Some((status, body)) if status < 500 => Answer::Refused {
            full: String::from_utf8_lossy(&body).contains("No free slot"),
            reason: String::from_utf8_lossy(&body).into_owned(),
        },
        Some((_, body)) => Answer::Unknown(String::from_utf8_lossy(&body).into_owned()),
        None => Answer::Unknown("it died".into()),
    }
}
