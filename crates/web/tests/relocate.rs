//! Sub-accounts move between two slaves while everybody dies at any statement and calls are lost, late or come twice: each
//! works at one place at most and in the end at exactly one, nothing that was written is lost, and no slot is leaked.

mod nodes;

use std::cell::RefCell;
use std::sync::atomic::AtomicBool;

use domain::quota::DAY;
use http::{HeaderMap, Method};
use nodes::*;
use proptest::prelude::*;
use store::placement::{self, Eligible};
use store::relocation::{self, State as Move};
use store::tenant_state::{self, State};
use store::{Db, Engine, Error, Open, node, params, profile, subaccount, tenant, transaction};
use testkit::dump;
use web::seal::Sealer;
use web::{Context, Request, Response, slave};

#[derive(Debug, Clone)]
enum Step {
    Move(usize),
    /// Something is written by whoever works in a sub-account.
    Write(usize),
    Rename(usize),
    Suspend(usize, bool),
    Tick(Vec<Fate>),
    /// The master dies after so many statements of a tick.
    DyingTick(u64, Vec<Fate>),
    /// A call that was late, or one that came before, comes now.
    Deliver(usize),
    Pass(i64),
}

fn step() -> impl Strategy<Value = Step> {
    let fates = || prop::collection::vec(fate(), 0..6);
    prop_oneof![
        4 => (0usize..2).prop_map(Step::Move),
        4 => (0usize..2).prop_map(Step::Write),
        1 => (0usize..2).prop_map(Step::Rename),
        1 => (0usize..2, any::<bool>()).prop_map(|(n, on)| Step::Suspend(n, on)),
        8 => fates().prop_map(Step::Tick),
        6 => (0u64..120, fates()).prop_map(|(n, f)| Step::DyingTick(n, f)),
        4 => (0usize..20).prop_map(Step::Deliver),
        8 => prop_oneof![Just(500), Just(2_000), Just(36_000), Just(60_000)].prop_map(Step::Pass),
    ]
}

/// Two sub-accounts, and what was written into each.
struct Moving {
    world: World,
    written: RefCell<[Vec<String>; 2]>,
}

impl Moving {
    fn on(engines: [Engine; 2]) -> Moving {
        let world = World::on([3, 3], engines);
        world.report();
        for n in 0..2 {
            subaccount::insert(&*world.db(), &id(n), ACCOUNT, "Acme", NOON).expect("kept");
        }
        world.asked.set(2);
        world.tick(None, Vec::new());
        let moving = Moving {
            world,
            written: RefCell::default(),
        };
        for n in 0..2 {
            moving.write(n);
        }
        moving
    }

    fn eligible(&self) -> Eligible {
        Eligible {
            now: self.world.now.get(),
            alive_since: self.world.now.get() - node::SILENT,
            local: false,
        }
    }

    fn home(&self, n: usize) -> String {
        let home = placement::home(&*self.world.db(), &id(n)).expect("a row");
        home.expect("a home")
    }

    /// Asks for a move to the other slave. False: it cannot move now.
    fn go(&self, n: usize) -> bool {
        let db = self.world.db();
        let target = placement::roomiest(&*db, &self.home(n), self.eligible()).expect("a row");
        let Some(target) = target else {
            return false;
        };
        let name = format!("move {}", self.world.now.get());
        let asked = transaction(&*db, || {
            match relocation::insert(&*db, &name, &id(n), &target, self.eligible())? {
                true => Ok(()),
                false => Err(Error::Stale),
            }
        });
        asked.is_ok()
    }

    fn last(&self, n: usize) -> relocation::Relocation {
        let all = relocation::list(&*self.world.db(), &id(n)).expect("a list");
        all.into_iter().next().expect("a move")
    }

    /// The slaves that have the sub-account, and how it is there.
    fn places(&self, n: usize) -> Vec<(&'static str, State)> {
        let mut all = Vec::new();
        for name in NODES {
            let control = self.control(name);
            if tenant::get(&*control, &id(n)).expect("a row").is_some() {
                let known = tenant_state::get(&*control, &id(n)).expect("a state");
                all.push((name, known.state));
            }
        }
        all
    }

    fn control(&self, node: &str) -> Box<dyn Db> {
        tenant::open_control(&self.world.slaves[node].stores).expect("the slave")
    }

    fn database(&self, node: &str, n: usize) -> Box<dyn Db> {
        let control = self.control(node);
        let tenant = tenant::get(&*control, &id(n)).expect("a row").expect("one");
        tenant::open(&self.world.slaves[node].stores, &*control, &tenant).expect("a database")
    }

    /// Somebody who works in the sub-account writes something, if anybody may.
    fn write(&self, n: usize) {
        let works = self.places(n).into_iter().find(|(_, s)| s.works());
        let Some((node, _)) = works else {
            return;
        };
        let mut written = self.written.borrow_mut();
        let name = format!("tag {}", written[n].len());
        let row = "insert into tag (name, folded, created_at) values (?1, ?1, 1)";
        self.database(node, n)
            .execute(row, params![&name])
            .expect("kept");
        written[n].push(name);
    }

    fn step(&self, step: &Step) {
        let now = self.world.now.get();
        match step {
            Step::Move(n) => {
                self.go(*n);
            }
            Step::Write(n) => self.write(*n),
            Step::Rename(n) => self.world.change(*n, |db, id| {
                subaccount::rename(db, id, ACCOUNT, &format!("Acme {now}"), now)
            }),
            Step::Suspend(n, on) => self.world.change(*n, |db, id| {
                subaccount::suspend(db, id, ACCOUNT, on.then_some(now), now)
            }),
            Step::Tick(fates) => self.world.tick(None, fates.clone()),
            Step::DyingTick(statements, fates) => {
                self.world.tick(Some(*statements), fates.clone());
            }
            Step::Deliver(n) => {
                let old = self.world.old.borrow();
                if let Some(call) = old.len().checked_sub(1 + n).and_then(|i| old.get(i)) {
                    self.world.deliver(call, None);
                }
            }
            Step::Pass(time) => self.pass(*time),
        }
    }

    fn pass(&self, time: i64) {
        self.world.now.set(self.world.now.get() + time);
        self.world.report();
    }

    fn nobody_works_twice(&self) {
        self.world.tenants();
        for n in 0..2 {
            let places = self.places(n);
            let working = places.iter().filter(|(_, s)| s.works()).count();
            assert!(working <= 1, "{n} works twice: {places:?}");
        }
        let over = "select n.id from node n where n.kind = 'slave'
          and (select count(*) from placement p where p.node_id = n.id) > n.slots and n.slots > 0";
        let over = self.world.db().query(over, &[]).expect("a list");
        assert!(over.is_empty(), "a slot was promised twice: {over:?}");
    }

    /// Lets a move come to its end, a second after the other.
    fn to_the_end(&self, n: usize) {
        for _ in 0..80 {
            self.pass(1_000);
            self.world.tick(None, Vec::new());
            self.nobody_works_twice();
            if self.last(n).finished_at.is_some() {
                self.world.tick(None, Vec::new());
                return;
            }
        }
        panic!("it does not end: {:?}", self.last(n));
    }

    fn everything_is_as_it_should_be(&self) {
        let db = self.world.db();
        for n in 0..2 {
            let homes = placement::of_subaccount(&*db, &id(n)).expect("a list");
            let [(node, _, placement::State::Placed)] = &homes[..] else {
                panic!("{n} is at {homes:?}: {:?}", self.last(n));
            };
            let wanted = subaccount::any(&*db, &id(n)).expect("a row").expect("one");
            let state = match wanted.suspended_at {
                Some(_) => State::Suspended,
                None => State::Active,
            };
            assert_eq!(self.places(n), [(node.as_str().into_static(), state)]);
            let address = format!("http://{node}.test/s/{}", id(n));
            assert_eq!(wanted.base_url, Some(address));
            let tags = self
                .database(node, n)
                .query("select name from tag order by id", &[]);
            let tags: Vec<_> = tags
                .expect("a list")
                .into_iter()
                .map(|mut r| r.text(0))
                .collect();
            assert_eq!(tags, self.written.borrow()[n], "{n} lost something");
            let control = self.control(node);
            let there = tenant::get(&*control, &id(n)).expect("a row").expect("one");
            assert_eq!(there.name, wanted.name);
        }
    }

    fn ask(&self, node: &str, method: Method, path: &str) -> Response {
        let slave = &self.world.slaves[node];
        let request = Request {
            method,
            path: path.to_owned(),
            query: String::new(),
            headers: HeaderMap::new(),
            body: Vec::new(),
        };
        let cx = Context {
            stores: &slave.stores as &dyn Open,
            config: &slave.config,
            now: self.world.now.get(),
            own: None,
            migrated: &AtomicBool::new(false),
        };
        slave::handle(&cx, &request, None)
    }
}

trait Static {
    fn into_static(self) -> &'static str;
}

impl Static for &str {
    fn into_static(self) -> &'static str {
        NODES.into_iter().find(|n| *n == self).expect("a node")
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, max_shrink_iters: 2000, ..ProptestConfig::default() })]
    #[test]
    fn whatever_happens_each_works_at_one_place_with_all_that_was_written(
        steps in prop::collection::vec(step(), 1..60),
    ) {
        let moving = Moving::on([testkit::engine(); 2]);
        for step in &steps {
            moving.step(step);
            moving.nobody_works_twice();
        }
        moving.world.settle();
        moving.nobody_works_twice();
        moving.everything_is_as_it_should_be();
    }
}

/// A sub-account with something in many tables, at a slave.
fn fill(moving: &Moving, node: &str) -> i64 {
    let db = moving.database(node, 0);
    let import = store::import::insert(&*db, "p.csv", None, 1).expect("an import");
    for no in 0..9 {
        let chunk = (0..=255).cycle().take(90_000).collect();
        store::import::add_chunk(&*db, import, no, chunk, 1).expect("a chunk");
    }
    let rows = (1..1500i64).flat_map(|n| params![n, format!("l{n}@x.test"), "“Ána”\n"].to_vec());
    let head = "insert into lead (id, email, first_name, created_at, updated_at)";
    let rows: Vec<_> = rows.collect();
    for row in rows.chunks(3) {
        let text = format!("{head} values (?1, ?2, ?3, 1, 1)");
        db.execute(&text, row).expect("a lead");
    }
    for n in 0..700 {
        let text = "insert into event (at, kind, lead_id) values (?1, 'seen', ?1)";
        db.execute(text, params![n]).expect("an event");
    }
    let sealer = Sealer::new(&moving.world.slaves[node].config.secret_key);
    let sealed = sealer.seal(&format!("profile/{}", id(0)), "sesame");
    let settings = format!(
        r#"{{"host":"h","port":25,"tls":"none","username":"ann","password":"{sealed}","from":"a@x.test"}}"#
    );
    let quotas = Default::default();
    profile::insert(&*db, "Ann", "smtp", &settings, &quotas, None, 1).expect("a profile")
}

#[test]
fn everything_goes_along_between_the_engines_and_links_and_passwords_work_there() {
    for engines in [
        [Engine::Sqlite, Engine::Postgres],
        [Engine::Postgres, Engine::Sqlite],
    ] {
        let moving = Moving::on(engines);
        let source = moving.home(0).as_str().into_static();
        let target = NODES.into_iter().find(|n| *n != source).expect("another");
        let profile = fill(&moving, source);
        let before = dump(&*moving.database(source, 0), &["profile"]);
        let links = Sealer::new(&moving.world.slaves[source].config.secret_key).link_key(&id(0));
        let link = format!("/s/{}/u/{}", id(0), links.sign_lead(&id(0), 7));
        assert_eq!(moving.ask(source, Method::GET, &link).status, 200);
        assert!(moving.go(0));
        moving.to_the_end(0);
        assert_eq!(moving.last(0).state, Move::Done, "{:?}", moving.last(0));
        assert_eq!(moving.home(0), target);
        moving.everything_is_as_it_should_be();

        let db = moving.database(target, 0);
        assert_eq!(dump(&*db, &["profile"]), before, "{engines:?}");
        let kept = profile::get(&*db, profile).expect("a row").expect("one");
        assert!(kept.active, "a move pauses nothing");
        let key = &moving.world.slaves[target].config.secret_key;
        let settings = slave::profile::opened(key, &id(0), &kept).expect("it opens");
        assert_eq!(settings.password.as_deref(), Some("sesame"));
        // New rows have new numbers.
        let next = db.query(
            "insert into event (at, kind) values (1, 'x') returning id",
            &[],
        );
        assert_eq!(next.expect("kept")[0].int(0), 701);
        // Links in mails that were sent lead there, and work.
        let elsewhere = moving.ask(source, Method::GET, &link);
        assert_eq!(elsewhere.status, 308);
        let to = elsewhere.headers["location"].to_str().expect("text");
        assert_eq!(to, format!("http://{target}.test{link}"));
        assert_eq!(moving.ask(target, Method::GET, &link).status, 200);
        // And when it moves back, links of both places work.
        let there = Sealer::new(key).link_key(&id(0)).sign_lead(&id(0), 8);
        moving.pass(1_000);
        assert!(moving.go(0));
        moving.to_the_end(0);
        assert_eq!(moving.home(0), source);
        moving.everything_is_as_it_should_be();
        for link in [link, format!("/s/{}/u/{there}", id(0))] {
            assert_eq!(moving.ask(source, Method::GET, &link).status, 200, "{link}");
        }
    }
}

#[test]
fn a_mail_that_has_begun_is_reported_before_anything_is_copied() {
    let moving = Moving::on([testkit::engine(); 2]);
    let source = moving.home(0).as_str().into_static();
    let db = moving.database(source, 0);
    let lease = moving.world.now.get() + 30_000;
    let begun = "insert into request (kind, status, dedupe_key, run_at, lease_token, lease_until, begun_at, created_at, updated_at)
        values ('outreach', 'running', 'k', 1, 't', ?1, 1, 1, 1)";
    db.execute(begun, params![lease]).expect("a request");
    assert!(moving.go(0));
    for _ in 0..10 {
        moving.pass(1_000);
        moving.world.tick(None, Vec::new());
    }
    assert_eq!(
        moving.places(0)[0].1.max_by_name(moving.places(0)[1].1),
        State::Moving
    );
    let waits = moving.last(0);
    assert_eq!(waits.state, Move::Freezing);
    assert_eq!(
        waits.reason.as_deref(),
        Some("Work that has begun is brought to its end.")
    );
    assert!(store::request::end(&*db, 1, "t", "performed", None, 2, Some(1)).expect("kept"));
    moving.to_the_end(0);
    assert_eq!(moving.last(0).state, Move::Done);
    let target = moving.home(0);
    let there = store::request::get(&*moving.database(&target, 0), 1).expect("a row");
    assert_eq!(there.expect("one").status, "performed");
}

trait Pick {
    fn max_by_name(self, other: State) -> State;
}

impl Pick for State {
    /// The source's of the two states that there are while it comes to rest.
    fn max_by_name(self, other: State) -> State {
        match self {
            State::Arriving => other,
            own => own,
        }
    }
}

#[test]
fn a_move_that_fails_leaves_it_where_it_was_and_says_why() {
    let moving = Moving::on([testkit::engine(); 2]);
    let source = moving.home(0).as_str().into_static();
    let target = NODES.into_iter().find(|n| *n != source).expect("another");
    assert!(moving.go(0));
    assert!(!moving.go(0), "one at a time");
    for _ in 0..5 {
        moving.pass(1_000);
        moving.world.tick(None, Vec::new());
    }
    // What is at the target is not what was sent.
    let spoiled = "insert into tag (name, folded, created_at) values ('x', 'x', 1)";
    moving
        .database(target, 0)
        .execute(spoiled, &[])
        .expect("kept");
    moving.to_the_end(0);
    let failed = moving.last(0);
    assert_eq!(failed.state, Move::Failed);
    let reason = failed.reason.expect("a reason");
    assert!(reason.contains("not the same"), "{reason}");
    assert_eq!(moving.home(0), source);
    moving.everything_is_as_it_should_be();
    moving.write(0);
    moving.everything_is_as_it_should_be();
    // The next one goes well.
    moving.pass(1_000);
    assert!(moving.go(0));
    moving.to_the_end(0);
    assert_eq!(
        (moving.last(0).state, moving.home(0)),
        (Move::Done, target.to_owned())
    );
    moving.everything_is_as_it_should_be();
}

#[test]
fn a_target_that_is_lost_before_it_works_gives_the_home_back() {
    let moving = Moving::on([testkit::engine(); 2]);
    let source = moving.home(0).as_str().into_static();
    let target = NODES.into_iter().find(|n| *n != source).expect("another");
    assert!(moving.go(0));
    while moving.last(0).state != Move::Freezing {
        moving.pass(1_000);
        moving.world.tick(None, Vec::new());
    }
    // So many calls of each tick are answered: it comes to rest, is copied, compared and handed over, and the call that
    // makes the target work is lost.
    for answered in [1, 2, 5, 2] {
        moving.pass(61_000);
        let mut fates = vec![Fate::Lost; 50];
        fates.extend(vec![Fate::Fine; answered]);
        moving.world.tick(None, fates);
    }
    assert_eq!(moving.last(0).state, Move::Switching);
    assert_eq!(moving.home(0), target);
    assert!(node::revoke(&*moving.world.db(), target).expect("kept"));
    moving.pass(61_000);
    moving.world.tick(None, Vec::new());
    assert_eq!(
        (moving.last(0).state, moving.home(0)),
        (Move::Failed, source.to_owned())
    );
    moving.world.tick(None, Vec::new());
    assert_eq!(
        moving.places(0)[usize::from(source == NODES[1])],
        (source, State::Active)
    );
    moving.write(0);
}

#[test]
fn a_target_that_is_never_there_costs_nothing() {
    let moving = Moving::on([testkit::engine(); 2]);
    let source = moving.home(0);
    assert!(moving.go(0));
    for _ in 0..40 {
        moving.pass(61_000);
        moving.world.tick(None, vec![Fate::Lost; 100]);
    }
    assert_eq!(moving.last(0).state, Move::Failed);
    assert!(moving.world.now.get() - NOON < DAY);
    moving.world.settle();
    assert_eq!(moving.home(0), source);
    moving.everything_is_as_it_should_be();
}
