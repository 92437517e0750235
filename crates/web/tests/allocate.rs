//! Sub-accounts find homes on two slaves while masters and slaves die at any statement, calls and answers are lost, and
//! calls come late: no slot is leaked, none is given twice, and nobody lives in two places.

mod nodes;

use nodes::*;
use proptest::prelude::*;
use store::tenant_state::State;
use store::{node, placement, subaccount, tenant, tenant_state};

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

trait Model {
    fn step(&self, step: &Step);
    fn nobody_lives_twice(&self);
    fn everything_is_as_it_should_be(&self);
}

impl Model for World {
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
