//! A slave believes what the master said of a credential: for two seconds without asking, and until the statement ends
//! while the master does not answer.

use std::sync::atomic::AtomicBool;

use domain::identity::{Identity, Role};
use http::{HeaderMap, HeaderValue, Method};
use testkit::Stores;
use web::assertion::{Claims, Issuer, Said, Signer};
use web::master::node::{Introspect, Introspected};
use web::slave::access::{self, Caller, Unanswered};
use web::{Config, Context, Request};

const NOON: i64 = 1_795_262_400_000;
const MINUTE: i64 = 60_000;
/// How long the master's statements hold.
const HOLDS: i64 = 15 * MINUTE;

struct Slave {
    stores: Stores,
    config: Config,
    migrated: AtomicBool,
}

fn somebody() -> Identity {
    Identity {
        account_id: "account".into(),
        user_id: "user".into(),
        email: "ann@agency.test".into(),
        role: Role::Owner,
        grants: Default::default(),
        limits: None,
        session_id: None,
    }
}

fn known() -> Option<Said> {
    Some(Said::Identity {
        identity: somebody(),
    })
}

fn asked(caller: Caller) -> Introspect {
    match caller {
        Caller::Ask(question) => question,
        other => panic!("the master is not asked: {other:?}"),
    }
}

fn down() -> Unanswered {
    Unanswered::Unreachable("it is off".into())
}

impl Slave {
    fn new() -> Slave {
        let config = Config {
            node_id: "node-1".into(),
            master_public_key: Signer::new(Issuer::Master, "the master's").public_key(),
            secret_key: "the slave's own".into(),
            ..Config::default()
        };
        Slave {
            stores: Stores::default(),
            config,
            migrated: AtomicBool::new(false),
        }
    }

    fn at(&self, now: i64) -> Context<'_> {
        Context {
            stores: &self.stores,
            config: &self.config,
            now,
            own: None,
            migrated: &self.migrated,
        }
    }

    fn caller(&self, now: i64) -> Caller {
        let mut headers = HeaderMap::new();
        headers.insert("authorization", HeaderValue::from_static("Bearer slk_key"));
        let request = Request {
            method: Method::GET,
            path: "/s/one/api/v1/leads".into(),
            query: String::new(),
            headers,
            body: Vec::new(),
        };
        access::caller(&self.at(now), &request).expect("an answer")
    }

    /// What the master answers when its clock shows `clock`.
    fn answer(&self, question: &Introspect, clock: i64) -> Introspected {
        let said = Said::Identity {
            identity: somebody(),
        };
        let claims = Claims::of_master("node-1", &question.token_hash, clock, HOLDS / 1000, said);
        let assertion = Signer::new(Issuer::Master, "the master's").sign(&claims);
        Introspected {
            active: true,
            assertion: Some(assertion),
        }
    }

    /// The master says at `now` who it is.
    fn learn(&self, now: i64) {
        let question = asked(self.caller(now));
        let answer = self.answer(&question, now);
        let who = access::remember(&self.at(now), &question, &answer).expect("a good answer");
        assert_eq!(who, known());
    }

    fn known(&self, now: i64) -> bool {
        matches!(self.caller(now), Caller::Known(said) if Some(&said) == known().as_ref())
    }
}

#[test]
fn an_answer_holds_two_seconds_without_asking() {
    let slave = Slave::new();
    slave.learn(NOON);
    assert!(slave.known(NOON) && slave.known(NOON + 1999));
    asked(slave.caller(NOON + 2000));
}

#[test]
fn what_is_revoked_ends_with_the_next_question_and_is_not_revived() {
    let slave = Slave::new();
    slave.learn(NOON);
    let later = NOON + 2000;
    let question = asked(slave.caller(later));
    let nobody = Introspected::default();
    let who = access::remember(&slave.at(later), &question, &nobody).expect("an answer");
    assert_eq!(who, None);
    let gone = access::without_master(&slave.at(later + 10), &question, down());
    assert_eq!(gone.expect_err("nothing to go on with").status, 503);
}

#[test]
fn without_the_master_people_go_on_until_the_statement_ends() {
    let slave = Slave::new();
    slave.learn(NOON);
    let mut now = NOON;
    while now + 2000 < NOON + HOLDS {
        now += 2000;
        let question = asked(slave.caller(now));
        let who = access::without_master(&slave.at(now), &question, down());
        assert_eq!(who.expect("the last answer"), known(), "{now}");
        assert!(slave.known(now + 1999), "the master is not asked each time");
    }
    let end = NOON + HOLDS;
    let question = asked(slave.caller(end));
    let over = access::without_master(&slave.at(end), &question, down());
    assert_eq!(over.expect_err("it has ended").status, 503);
}

#[test]
fn a_stranger_is_not_let_in_while_the_master_is_away() {
    let slave = Slave::new();
    let question = asked(slave.caller(NOON));
    let problem = access::without_master(&slave.at(NOON), &question, down());
    let problem = problem.expect_err("nobody vouched for them");
    assert_eq!((problem.status, problem.retry_after), (503, Some(2)));
}

#[test]
fn clocks_two_minutes_apart_do_no_harm() {
    for skew in [-120_000, 120_000] {
        let slave = Slave::new();
        let question = asked(slave.caller(NOON));
        let answer = slave.answer(&question, NOON + skew);
        let who = access::remember(&slave.at(NOON), &question, &answer);
        assert_eq!(who.expect("a good answer"), known());
        // The quarter of an hour counts by our own clock.
        let nearly = NOON + HOLDS - 1;
        let question = asked(slave.caller(nearly));
        let who = access::without_master(&slave.at(nearly), &question, down());
        assert_eq!(who.expect("the last answer"), known());
    }
}

#[test]
fn a_clock_that_is_set_back_does_not_make_an_answer_last() {
    let slave = Slave::new();
    slave.learn(NOON);
    asked(slave.caller(NOON - 60 * MINUTE));
}

#[test]
fn an_answer_must_be_the_masters_for_this_node_about_this_credential() {
    let slave = Slave::new();
    let question = asked(slave.caller(NOON));
    let sign = |secret: &str, node: &str, about: &str| {
        let said = Said::Identity {
            identity: somebody(),
        };
        let claims = Claims::of_master(node, about, NOON, 900, said);
        Introspected {
            active: true,
            assertion: Some(Signer::new(Issuer::Master, secret).sign(&claims)),
        }
    };
    for wrong in [
        sign("somebody else's", "node-1", &question.token_hash),
        sign("the slave's own", "node-1", &question.token_hash),
        sign("the master's", "node-2", &question.token_hash),
        sign("the master's", "node-1", "another credential"),
    ] {
        let refused = access::remember(&slave.at(NOON), &question, &wrong);
        assert_eq!(refused.expect_err("not to be trusted").status, 503);
        asked(slave.caller(NOON));
    }
}

#[test]
fn a_node_that_was_revoked_forgets_everybody() {
    let slave = Slave::new();
    slave.learn(NOON);
    let question = asked(slave.caller(NOON + 2000));
    let refused = access::without_master(&slave.at(NOON + 2000), &question, Unanswered::Refused);
    assert_eq!(refused.expect_err("nothing to go on with").status, 503);
    let again = access::without_master(&slave.at(NOON + 4000), &question, down());
    assert_eq!(again.expect_err("nor later").status, 503);
}
