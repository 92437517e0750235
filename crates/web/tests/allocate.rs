//! Sub-accounts find homes on two slaves while masters and slaves die at any statement, calls and answers are lost, and
//! calls come late: no slot is leaked, none is given twice, and nobody lives in two places.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::sync::atomic::AtomicBool;

use http::{HeaderMap, HeaderValue, Method};
use proptest::prelude::*;
use stages::allocate::{self, Answer, Call, Order, Placed, Tick};
use store::migrate::{MASTER, migrate};
use store::tenant_state::State;
use store::{
    Db, Open, Place, node, params, placement, subaccount, tenant, tenant_state, transaction,
};
use testkit::Stores;
use web::assertion::{Claims, Issuer, Said, Signer};
use web::{Body, Config, Context, Request, slave};

const NOON: i64 = 1_795_262_400_000;
const ACCOUNT: &str = "01a1fc61-0000-7000-8000-000000000000";
const NODES: [&str; 2] = ["node-a", "node-b"];
const GRACE: i64 = 60_000;

/// What happens to a call.
#[derive(Debug, Clone, Copy)]
enum Fate {
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

#[derive(Debug, Clone)]
enum Step {
    Ask,
    Rename(usize),
    Suspend(usize, bool),
    Delete(usize),
    Restore(usize),
    Tick(Vec<Fate>),
    /// The master dies after so many statements of a tick.
    DyingTick(u64, Vec<Fate>),
    /// A call that was late, or one that came before, comes now.
    Deliver(usize),
    Pass(i64),
    Silence(usize),
}

fn fate() -> impl Strategy<Value = Fate> {
    prop_oneof![
        6 => Just(Fate::Fine),
        1 => Just(Fate::Refused),
        2 => Just(Fate::Lost),
        3 => Just(Fate::Unanswered),
        3 => (0u64..60).prop_map(Fate::Dies),
        2 => Just(Fate::Late),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    let fates = || prop::collection::vec(fate(), 0..6);
    prop_oneof![
        6 => Just(Step::Ask),
        1 => (0usize..8).prop_map(Step::Rename),
        2 => (0usize..8, any::<bool>()).prop_map(|(n, on)| Step::Suspend(n, on)),
        2 => (0usize..8).prop_map(Step::Delete),
        1 => (0usize..8).prop_map(Step::Restore),
        8 => fates().prop_map(Step::Tick),
        5 => (0u64..80, fates()).prop_map(|(n, f)| Step::DyingTick(n, f)),
        3 => (0usize..20).prop_map(Step::Deliver),
        5 => prop_oneof![Just(500), Just(5_000), Just(50_000), Just(GRACE)].prop_map(Step::Pass),
        1 => (0usize..2).prop_map(Step::Silence),
    ]
}

struct Slave {
    stores: Stores,
    config: Config,
    silent: Cell<bool>,
}

struct World {
    master: Stores,
    slaves: BTreeMap<&'static str, Slave>,
    now: Cell<i64>,
    asked: Cell<usize>,
    tick: Cell<usize>,
    /// Calls that may come again.
    old: RefCell<Vec<Call>>,
}

fn id(n: usize) -> String {
    format!("01a1fc61-0985-7080-808e-{n:012}")
}

impl World {
    fn new(slots: [i64; 2]) -> World {
        let slave = |(node, slots): (&'static str, i64)| {
            let config = Config {
                node_id: node.into(),
                public_url: format!("http://{node}.test"),
                master_public_key: Signer::new(Issuer::Master, "the master's").public_key(),
                slots,
                ..Config::default()
            };
            let slave = Slave {
                stores: Stores::default(),
                config,
                silent: Cell::new(false),
            };
            (node, slave)
        };
        let world = World {
            master: Stores::default(),
            slaves: NODES.into_iter().zip(slots).map(slave).collect(),
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
            node::join(&*db, node, node, None, NOON).expect("joined");
        }
        world
    }

    fn db(&self) -> Box<dyn Db> {
        self.master.open(&Place::Master).expect("the master")
    }

    fn report(&self) {
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
    fn deliver(&self, call: &Call, statements: Option<u64>) -> Option<(u16, Vec<u8>)> {
        let slave = &self.slaves[call.node_id.as_str()];
        let own = format!("/node/v1/subaccounts/{}", call.subaccount_id);
        let (method, query, body) = match &call.order {
            Order::Put(wish) => (Method::PUT, String::new(), serde_json::to_vec(wish)),
            Order::Release(n) => (Method::DELETE, format!("revision={n}"), Ok(Vec::new())),
            Order::Status => panic!("there is no slave beside the master"),
        };
        let claims = Claims::of_master(&call.node_id, "", self.now.get(), 60, Said::Master);
        let token = Signer::new(Issuer::Master, "the master's").sign(&claims);
        let mut headers = HeaderMap::new();
        let bearer = HeaderValue::from_str(&format!("Bearer {token}")).expect("a header");
        headers.insert("authorization", bearer);
        let request = Request {
            method,
            path: own,
            query,
            headers,
            body: body.expect("JSON"),
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

    fn ask(&self, calls: &[Call], fates: &RefCell<Vec<Fate>>) -> Vec<Answer> {
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
                    Fate::Fine => answer(self.deliver(call, None)),
                    Fate::Dies(n) => answer(self.deliver(call, Some(n))),
                }
            })
            .collect()
    }

    fn tick(&self, statements: Option<u64>, fates: Vec<Fate>) {
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
    fn some(&self, n: usize) -> Option<String> {
        let count = self.asked.get();
        (count > 0).then(|| id(n % count))
    }

    fn change(&self, n: usize, change: impl Fn(&dyn Db, &str) -> store::Result<bool>) {
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

    fn step(&self, step: &Step) {
        let now = self.now.get();
        match step {
            Step::Ask => {
                let n = self.asked.get();
                subaccount::insert(&*self.db(), &id(n), ACCOUNT, "Acme", now).expect("kept");
                self.asked.set(n + 1);
            }
            Step::Rename(n) => self.change(*n, |db, id| {
                subaccount::rename(db, id, ACCOUNT, &format!("Acme {now}"), now)
            }),
            Step::Suspend(n, on) => self.change(*n, |db, id| {
                subaccount::suspend(db, id, ACCOUNT, on.then_some(now), now)
            }),
            Step::Delete(n) => self.change(*n, |db, id| {
                subaccount::delete(db, id, ACCOUNT, now, now + GRACE)
            }),
            Step::Restore(n) => {
                self.change(*n, |db, id| subaccount::restore(db, id, ACCOUNT, now));
            }
            Step::Tick(fates) => self.tick(None, fates.clone()),
            Step::DyingTick(statements, fates) => self.tick(Some(*statements), fates.clone()),
            Step::Deliver(n) => {
                let old = self.old.borrow();
                if let Some(call) = old.len().checked_sub(1 + n).and_then(|i| old.get(i)) {
                    self.deliver(call, None);
                }
            }
            Step::Pass(time) => {
                self.now.set(now + time);
                self.report();
            }
            Step::Silence(n) => {
                let silent = &self.slaves[NODES[*n]].silent;
                silent.set(!silent.get());
            }
        }
    }

    /// Who lives on which slave.
    fn tenants(&self) -> Vec<(String, &'static str)> {
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

    fn nobody_lives_twice(&self) {
        let tenants = self.tenants();
        for pair in tenants.windows(2) {
            assert_ne!(pair[0].0, pair[1].0, "in two places: {tenants:?}");
        }
        let over = "select n.id from node n where n.kind = 'slave'
          and (select count(*) from placement p where p.node_id = n.id) > n.slots and n.slots > 0";
        let over = self.db().query(over, &[]).expect("a list");
        assert!(over.is_empty(), "a slot was promised twice: {over:?}");
    }

    /// The network works again, and enough time passes.
    fn settle(&self) {
        for slave in self.slaves.values() {
            slave.silent.set(false);
        }
        for _ in 0..12 {
            self.now.set(self.now.get() + GRACE + 61_000);
            self.report();
            self.tick(None, Vec::new());
        }
    }

    fn everything_is_as_it_should_be(&self) {
        let db = self.db();
        let tenants = self.tenants();
        let slots: i64 = self.slaves.values().map(|s| s.config.slots).sum();
        let wanted: Vec<_> = subaccount::list(&*db, ACCOUNT).expect("a list");
        assert!(
            wanted.iter().all(|s| s.deleted_at.is_none()),
            "what was deleted is gone: {wanted:?}"
        );
        let active: Vec<_> = wanted.iter().filter(|s| s.status == "active").collect();
        let expected = slots.min(wanted.len() as i64) as usize;
        assert_eq!(active.len(), expected, "{wanted:?} {tenants:?}");
        assert_eq!(tenants.len(), expected, "no slot is leaked: {tenants:?}");
        for s in &wanted {
            let homes = placement::of_subaccount(&*db, &s.id).expect("a list");
            if s.status != "active" {
                assert!(homes.is_empty());
                let reason = s.reason.clone().unwrap_or_default();
                let why = format!("All {slots} slots of 2 nodes are taken.");
                assert!(reason.starts_with(&why), "{reason}");
                continue;
            }
            let [(node, _, placement::State::Placed)] = &homes[..] else {
                panic!("{} is at {homes:?}", s.id);
            };
            let there = tenants.iter().find(|(id, _)| *id == s.id);
            assert_eq!(there.map(|(_, n)| *n), Some(node.as_str()));
            assert_eq!(s.base_url, Some(format!("http://{node}.test/s/{}", s.id)));
            let control = tenant::open_control(&self.slaves[node.as_str()].stores).expect("it");
            let state = tenant_state::get(&*control, &s.id).expect("a state").state;
            let expected = match s.suspended_at {
                Some(_) => State::Suspended,
                None => State::Active,
            };
            assert_eq!(state, expected);
            let name = tenant::get(&*control, &s.id)
                .expect("a row")
                .expect("one")
                .name;
            assert_eq!(name, s.name);
        }
    }
}

fn answer(done: Option<(u16, Vec<u8>)>) -> Answer {
    match done {
        Some((200, body)) => {
            Answer::Done(serde_json::from_slice::<Placed>(&body).expect("an answer"))
        }
        Some((status, body)) if status < 500 => Answer::Refused {
            full: String::from_utf8_lossy(&body).contains("No free slot"),
            reason: "refused".into(),
        },
        _ => Answer::Unknown("it died".into()),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, max_shrink_iters: 2000, ..ProptestConfig::default() })]
    #[test]
    fn no_slot_is_leaked_and_none_is_given_twice(
        slots in (1i64..4, 1i64..4),
        steps in prop::collection::vec(step(), 1..60),
    ) {
        let world = World::new([slots.0, slots.1]);
        world.report();
        for step in &steps {
            world.step(step);
            world.nobody_lives_twice();
        }
        world.settle();
        world.nobody_lives_twice();
        world.everything_is_as_it_should_be();
    }
}

#[test]
fn two_hundred_ask_for_a_hundred_slots() {
    let world = World::new([60, 40]);
    world.report();
    for _ in 0..200 {
        world.step(&Step::Ask);
    }
    for _ in 0..5 {
        world.step(&Step::Pass(2_000));
        world.tick(None, Vec::new());
    }
    world.everything_is_as_it_should_be();
    assert_eq!(world.tenants().len(), 100);
    // Ten leave; ten others take their places by themselves, the oldest first.
    let first = world.tenants()[..10].to_vec();
    for (id, _) in &first {
        let now = world.now.get();
        subaccount::delete(&*world.db(), id, ACCOUNT, now, now).expect("deleted");
    }
    for _ in 0..3 {
        world.step(&Step::Pass(2_000));
        world.tick(None, Vec::new());
    }
    world.everything_is_as_it_should_be();
    let here: Vec<_> = world.tenants().into_iter().map(|(id, _)| id).collect();
    assert_eq!(here.len(), 100);
    assert!((100..110).all(|n| here.contains(&id(n))), "the next ten");
}

#[test]
fn a_node_that_is_silent_or_draining_gets_nothing_and_says_so() {
    let world = World::new([2, 2]);
    world.report();
    let db = world.db();
    assert!(node::set_status(&*db, "node-a", "draining").expect("kept"));
    world.slaves["node-b"].silent.set(true);
    world.step(&Step::Pass(61_000));
    world.step(&Step::Ask);
    world.tick(None, Vec::new());
    let asked = subaccount::any(&*db, &id(0)).expect("a row").expect("one");
    assert_eq!(asked.status, "requested");
    let reason = asked.reason.expect("a reason");
    assert!(
        reason.starts_with("There is no node that takes sub-accounts. 1 node has not reported"),
        "{reason}"
    );
    world.slaves["node-b"].silent.set(false);
    world.step(&Step::Pass(1_000));
    world.tick(None, Vec::new());
    assert_eq!(world.tenants(), [(id(0), "node-b")]);
}
