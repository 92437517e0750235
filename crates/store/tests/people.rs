//! Single-use links and turns against a model of them.

use std::collections::BTreeMap;

use domain::identity::Role;
use proptest::prelude::*;
use store::token::{self, Purpose, Token};
use store::user::{self, User};
use store::{Db, password_work};

#[derive(Debug, Clone)]
enum Step {
    /// A new link for one of two people.
    Send(usize, usize),
    /// Somebody follows a link, whoever sent it.
    Follow(usize, usize),
    /// All links of a kind of one person end.
    End(usize, usize),
    Wait(i64),
}

const PURPOSES: [Purpose; 2] = [Purpose::Confirm, Purpose::Reset];
const LASTS: i64 = 1000;

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        (0..2usize, 0..2usize).prop_map(|(p, k)| Step::Send(p, k)),
        (0..12usize, 0..2usize).prop_map(|(n, k)| Step::Follow(n, k)),
        (0..2usize, 0..2usize).prop_map(|(p, k)| Step::End(p, k)),
        (1..700i64).prop_map(Step::Wait),
    ]
}

fn person(db: &dyn Db, n: usize) -> String {
    let id = format!("person {n}");
    let email = format!("p{n}@x.test");
    user::insert_account(db, &id, "A", 0).expect("kept");
    let user = User::new(id.clone(), id.clone(), email, "-".into(), Role::Owner, 0);
    assert!(user::insert(db, &user).expect("kept"));
    id
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_link_works_once_for_its_purpose_until_it_ends(steps in prop::collection::vec(step(), 1..60)) {
        let db = testkit::master();
        let people = [person(&db, 0), person(&db, 1)];
        let mut now = 1_000_000;
        let mut sent = 0;
        // What works: (person, purpose, until) by number.
        let mut model: BTreeMap<usize, (usize, usize, i64)> = BTreeMap::new();
        for step in steps {
            match step {
                Step::Send(who, kind) => {
                    let to = Token { user_id: Some(people[who].clone()), invite_id: None, email: "x".into() };
                    token::insert(&db, &format!("link {sent}"), PURPOSES[kind], &to, now, now + LASTS).expect("kept");
                    model.insert(sent, (who, kind, now + LASTS));
                    sent += 1;
                }
                Step::Follow(link, kind) => {
                    let works = model.get(&link).is_some_and(|(_, of, until)| *of == kind && *until > now);
                    let hash = format!("link {link}");
                    let looked = token::look(&db, &hash, PURPOSES[kind], now).expect("rows");
                    prop_assert_eq!(looked.is_some(), works);
                    let found = token::take(&db, &hash, PURPOSES[kind], now).expect("rows");
                    prop_assert_eq!(found.and_then(|t| t.user_id), works.then(|| people[model[&link].0].clone()));
                    if works {
                        model.remove(&link);
                    }
                }
                Step::End(who, kind) => {
                    token::end_of_user(&db, &people[who], PURPOSES[kind]).expect("gone");
                    model.retain(|_, (p, k, _)| (*p, *k) != (who, kind));
                }
                Step::Wait(ms) => now += ms,
            }
        }
    }

    #[test]
    fn no_more_turns_are_out_than_there_are(
        turns in 1..4i64,
        steps in prop::collection::vec((0..6usize, any::<bool>(), 0..40i64), 1..80),
    ) {
        let db = testkit::master();
        let mut now = 1_000_000;
        let mut out: BTreeMap<usize, i64> = BTreeMap::new();
        for (taker, takes, passes) in steps {
            now += passes;
            out.retain(|_, until| *until > now);
            if !takes {
                password_work::give_back(&db, &taker.to_string()).expect("given back");
                out.remove(&taker);
            } else if !out.contains_key(&taker) {
                let got = password_work::take(&db, &taker.to_string(), turns, now, now + 100).expect("rows");
                prop_assert_eq!(got, (out.len() as i64) < turns);
                if got {
                    out.insert(taker, now + 100);
                }
            }
        }
    }
}
