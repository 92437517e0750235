//! What holds of a request whatever its workers do: calls that come twice, late, in another order or under an old
//! lease, workers that die, leads that unsubscribe.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::AtomicBool;

use domain::letter::Texts;
use domain::quota::{DAY, Limits};
use http::{HeaderMap, HeaderValue, Method};
use proptest::prelude::*;
use stages::plan::Plan;
use stages::run::{Tick, run};
use store::{
    Db, Engine, Open, Place, content, params, profile, request, suppression, tenant, transaction,
    work,
};
use testkit::Stores;
use web::{Body, Config, Context, Request, slave};
use worker_api::{
    Claim, Claimed, Lease, Leases, Outcome, ProfileKey, Report, Results, Task, Verdicts,
};

const TENANT: &str = "0197a000-0000-7000-8000-000000000001";
const LEASE: i64 = 60_000;
const LEADS: i64 = 5;
const INTERVAL: i64 = 40_000;

#[derive(Debug, Clone)]
enum Step {
    /// Requests for some lead.
    Add(i64),
    Plan,
    /// At most so many, with this profile busy (0 is none).
    Claim(u32, i64),
    /// The n-th last lease that was ever given.
    Begin(usize),
    Renew(usize),
    Report(usize, u8),
    Unsubscribe(i64),
    Pass(i64),
}

fn step() -> impl Strategy<Value = Step> {
    let lease = || prop_oneof![4 => 0usize..4, 1 => 0usize..40];
    prop_oneof![
        3 => (1..=LEADS).prop_map(Step::Add),
        4 => Just(Step::Plan),
        5 => (1u32..5, 0i64..3).prop_map(|(max, busy)| Step::Claim(max, busy)),
        6 => lease().prop_map(Step::Begin),
        2 => lease().prop_map(Step::Renew),
        6 => (lease(), 0u8..5).prop_map(|(n, what)| Step::Report(n, what)),
        1 => (1..=LEADS).prop_map(Step::Unsubscribe),
        5 => prop_oneof![Just(0), Just(900), Just(20_000), Just(LEASE), Just(LEASE + 1), Just(DAY / 2), Just(DAY)]
            .prop_map(Step::Pass),
    ]
}

/// A request as it should be.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Expected {
    status: String,
    token: Option<String>,
    lease_until: i64,
    begun: Option<i64>,
    attempt: u32,
    lead: i64,
    /// Events by kind.
    events: BTreeMap<String, i64>,
}

impl Expected {
    fn end(&mut self, status: &str) {
        self.status = status.to_owned();
        *self.events.entry(format!("outreach_{status}")).or_default() += 1;
    }
}

struct World {
    stores: Stores,
    config: Config,
    migrated: AtomicBool,
    now: i64,
    daily_max: u32,
    requests: BTreeMap<i64, Expected>,
    leases: Vec<(Lease, i64)>,
    suppressed: Vec<i64>,
    last_claim: HashMap<i64, i64>,
}

impl World {
    fn new(engine: Engine, daily_max: u32) -> World {
        let world = World {
            stores: Stores::on(engine),
            config: Config {
                public_url: "http://sluice.test".into(),
                worker_token: "of the workers".into(),
                secret_key: "seals".into(),
                slots: 4,
                ..Config::default()
            },
            migrated: AtomicBool::new(false),
            now: 1_795_262_400_000,
            daily_max,
            requests: BTreeMap::new(),
            leases: Vec::new(),
            suppressed: Vec::new(),
            last_claim: HashMap::new(),
        };
        let control = tenant::open_control(&world.stores).expect("a slave");
        let tenant = tenant::allocate(&world.stores, &*control, TENANT, "a", "Acme", 4, world.now);
        tenant::open(
            &world.stores,
            &*control,
            &tenant.expect("kept").expect("room"),
        )
        .expect("a tenant");
        let db = world.db();
        let texts = Texts {
            subject: "Hello".into(),
            body: "Dear reader".into(),
            html: None,
        };
        content::insert(&*db, &texts, world.now).expect("a text");
        for lead in 1..=LEADS {
            let insert =
                "insert into lead (id, email, created_at, updated_at) values (?1, ?2, 0, 0)";
            db.execute(insert, params![lead, format!("lead{lead}@x.test")])
                .expect("a lead");
        }
        let quotas = [
            Limits {
                daily_max: Some(daily_max),
                ..Limits::default()
            },
            Limits {
                interval_ms: Some(INTERVAL as u32),
                ..Limits::default()
            },
        ];
        for quotas in quotas {
            profile::insert(
                &*db,
                "Ann",
                "smtp",
                r#"{"from":"Ann <ann@a.test>"}"#,
                &quotas,
                None,
                world.now,
            )
            .expect("a profile");
        }
        world
    }

    fn db(&self) -> Box<dyn Db> {
        self.stores.open(&Place::Slot(1)).expect("a tenant")
    }

    fn control(&self) -> Box<dyn Db> {
        self.stores.open(&Place::Control).expect("a slave")
    }

    fn call<I: serde::Serialize, O: serde::de::DeserializeOwned>(
        &self,
        name: &str,
        input: &I,
    ) -> O {
        let mut headers = HeaderMap::new();
        headers.insert(
            "authorization",
            HeaderValue::from_static("Bearer of the workers"),
        );
        headers.insert("content-type", HeaderValue::from_static("application/json"));
        let request = Request {
            method: Method::POST,
            path: format!("/worker/v1/{name}"),
            query: String::new(),
            headers,
            body: serde_json::to_vec(input).expect("JSON"),
        };
        let cx = Context {
            stores: &self.stores,
            config: &self.config,
            now: self.now,
            own: None,
            migrated: &self.migrated,
        };
        let response = slave::handle(&cx, &request, None);
        let Body::Full(body) = &response.body else {
            panic!("an answer comes whole")
        };
        assert_eq!(response.status, 200, "{}", String::from_utf8_lossy(body));
        serde_json::from_slice(body).expect("an answer")
    }

    fn step(&mut self, step: &Step) {
        match step {
            Step::Add(lead) => self.add(*lead),
            Step::Plan => self.plan(),
            Step::Claim(max, busy) => {
                self.claim(*max, *busy);
            }
            Step::Begin(n) => self.begin(*n),
            Step::Renew(n) => self.renew(*n),
            Step::Report(n, what) => self.report(*n, *what),
            Step::Unsubscribe(lead) => self.unsubscribe(*lead),
            Step::Pass(time) => self.now += time,
        }
    }

    fn add(&mut self, lead: i64) {
        work::mark(&*self.control(), TENANT, "plan", self.now, self.now).expect("promised");
        let insert = "insert into request (kind, status, dedupe_key, lead_id, content_id, run_at, created_at, updated_at) \
                      values ('outreach', 'pending', ?1, ?2, 1, ?3, ?3, ?3) returning id";
        let key = format!("test:{}", self.requests.len());
        let id = self
            .db()
            .query(insert, params![key, lead, self.now])
            .expect("kept")[0]
            .int(0);
        let expected = Expected {
            status: "pending".into(),
            token: None,
            lease_until: 0,
            begun: None,
            attempt: 0,
            lead,
            events: BTreeMap::new(),
        };
        self.requests.insert(id, expected);
    }

    /// Whom the stage may give up because they do not want mail, it does; the rest follows from the leases.
    fn plan(&mut self) {
        let clock = || self.now;
        let tick = Tick {
            stores: &self.stores,
            clock: &clock,
            token: "tick".into(),
        };
        let summary = run(&Plan, &tick).expect("a tick");
        assert!(summary.failures.is_empty(), "{:?}", summary.failures);
        let now = self.now;
        for request in self.requests.values_mut() {
            // Looked after a millisecond later at most.
            if request.status != "running" || request.lease_until >= now {
                continue;
            }
            match request.begun {
                Some(_) => request.end("uncertain"),
                None => (request.status, request.token) = ("pending".into(), None),
            }
        }
        self.settle_ends_of_this_millisecond();
        self.accept_aborts();
    }

    fn settle_ends_of_this_millisecond(&mut self) {
        for (id, actual) in self.actual() {
            let request = self.requests.get_mut(&id).expect("known");
            if request.status == "running"
                && request.lease_until == self.now
                && actual.status != "running"
            {
                match request.begun {
                    Some(_) => request.end("uncertain"),
                    None => (request.status, request.token) = ("pending".into(), None),
                }
            }
        }
    }

    fn accept_aborts(&mut self) {
        for (id, actual) in self.actual() {
            let request = self.requests.get_mut(&id).expect("known");
            if actual.status == "aborted"
                && request.status == "pending"
                && self.suppressed.contains(&request.lead)
            {
                request.token.clone_from(&actual.token);
                request.end("aborted");
            }
        }
    }

    fn claim(&mut self, max: u32, busy: i64) -> Vec<Task> {
        let key = |profile_id| ProfileKey {
            subaccount: TENANT.into(),
            profile_id,
        };
        let busy: Vec<_> = (busy > 0).then(|| key(busy)).into_iter().collect();
        let input = Claim {
            worker: "w".into(),
            max,
            busy: busy.clone(),
        };
        let claimed: Claimed = self.call("claim", &input);
        assert!(claimed.requests.len() <= max as usize);
        for task in &claimed.requests {
            let request = self.requests.get_mut(&task.lease.id).expect("known");
            assert_eq!(
                request.status, "pending",
                "leased twice, or again after its end: {task:?}"
            );
            assert_eq!(
                request.begun, None,
                "its effect may have happened: {task:?}"
            );
            assert!(
                !busy.contains(&key(task.profile_id)),
                "its profile is busy: {task:?}"
            );
            assert!(
                !self.suppressed.contains(&request.lead),
                "suppressed: {task:?}"
            );
            if task.profile_id == 2 {
                let last = self.last_claim.insert(2, self.now);
                assert!(
                    last.is_none_or(|last| last + INTERVAL <= self.now),
                    "too early: {task:?}"
                );
            }
            request.status = "running".into();
            request.token = Some(task.lease.lease_token.clone());
            request.lease_until = self.now + LEASE;
            request.attempt = task.attempt;
            self.leases.push((task.lease.clone(), task.profile_id));
        }
        self.accept_aborts();
        claimed.requests
    }

    fn lease(&self, n: usize) -> Option<Lease> {
        let n = self.leases.len().checked_sub(1 + n)?;
        self.leases.get(n).map(|(lease, _)| lease.clone())
    }

    fn begin(&mut self, n: usize) {
        let Some(lease) = self.lease(n) else { return };
        let verdicts: Verdicts = self.call(
            "begin",
            &Leases {
                requests: vec![lease.clone()],
            },
        );
        let now = self.now;
        let request = self.requests.get_mut(&lease.id).expect("known");
        let current = request.token.as_ref() == Some(&lease.lease_token)
            && request.status == "running"
            && request.lease_until > now;
        assert_eq!(
            verdicts.verdicts[0].accepted, current,
            "{lease:?} {request:?}"
        );
        if current {
            request.begun.get_or_insert(now);
            request.lease_until = now + LEASE;
        }
    }

    fn renew(&mut self, n: usize) {
        let Some(lease) = self.lease(n) else { return };
        let verdicts: Verdicts = self.call(
            "renew",
            &Leases {
                requests: vec![lease.clone()],
            },
        );
        let request = self.requests.get_mut(&lease.id).expect("known");
        let current =
            request.token.as_ref() == Some(&lease.lease_token) && request.status == "running";
        assert_eq!(
            verdicts.verdicts[0].accepted, current,
            "{lease:?} {request:?}"
        );
        if current {
            request.lease_until = self.now + LEASE;
        }
    }

    fn report(&mut self, n: usize, what: u8) {
        let Some(lease) = self.lease(n) else { return };
        let error = "an error".to_owned();
        let outcome = match what {
            0 => Outcome::Performed {
                detail: "250 OK".into(),
            },
            1 => Outcome::Failed { error },
            2 => Outcome::Retry {
                error,
                after_ms: None,
            },
            3 => Outcome::Uncertain { error },
            _ => Outcome::Released,
        };
        let gives_back = what == 2 || what == 4;
        let report = Report {
            lease: lease.clone(),
            outcome,
            at: self.now,
        };
        let verdicts: Verdicts = self.call(
            "results",
            &Results {
                results: vec![report],
            },
        );
        let now = self.now;
        let request = self.requests.get_mut(&lease.id).expect("known");
        let current = request.token.as_ref() == Some(&lease.lease_token);
        let accepted = current && (request.status != "pending" || gives_back);
        assert_eq!(
            verdicts.verdicts[0].accepted, accepted,
            "{lease:?} {what} {request:?}"
        );
        let open = request.status == "running" || (request.status == "uncertain" && what != 3);
        if !current || !open {
            return;
        }
        let given_up = what == 2 && request.attempt > 12;
        if gives_back && !given_up {
            (request.status, request.begun) = ("pending".into(), None);
        } else {
            request.begun.get_or_insert(now);
            request.end(["performed", "failed", "failed", "uncertain"][usize::from(what)]);
        }
    }

    fn unsubscribe(&mut self, lead: i64) {
        let (db, now) = (self.db(), self.now);
        transaction(&*db, || {
            suppression::insert(
                &*db,
                &format!("lead{lead}@x.test"),
                "unsubscribed",
                Some(lead),
                now,
            )?;
            request::abort_of_lead(&*db, lead, "The lead unsubscribed.", now)
        })
        .expect("kept");
        self.suppressed.push(lead);
        for request in self.requests.values_mut().filter(|r| r.lead == lead) {
            if request.status == "pending"
                || (request.status == "running" && request.begun.is_none())
            {
                request.end("aborted");
            }
        }
    }

    fn actual(&self) -> BTreeMap<i64, Expected> {
        let db = self.db();
        let mut events: HashMap<i64, BTreeMap<String, i64>> = HashMap::new();
        let counted = "select request_id, kind, count(*) from event where request_id is not null group by 1, 2";
        for mut row in db.query(counted, &[]).expect("events") {
            let (id, kind, n) = (row.int(0), row.text(1), row.int(2));
            events.entry(id).or_default().insert(kind, n);
        }
        let all = "select id, status, lease_token, lease_until, begun_at, lead_id from request";
        let rows = db.query(all, &[]).expect("requests").into_iter();
        rows.map(|mut r| {
            let actual = Expected {
                status: r.text(1),
                token: r.opt_text(2),
                lease_until: r.int(3),
                begun: r.opt_int(4),
                attempt: 0,
                lead: r.int(5),
                events: events.remove(&r.int(0)).unwrap_or_default(),
            };
            (r.int(0), actual)
        })
        .collect()
    }

    /// The database says what the model says, and no quota is exceeded.
    fn check(&self) {
        for (id, mut actual) in self.actual() {
            let mut expected = self.requests[&id].clone();
            expected.attempt = 0;
            if expected.status != "running" {
                (expected.lease_until, actual.lease_until) = (0, 0);
            }
            assert_eq!(actual, expected, "request {id}");
            assert!(
                actual
                    .events
                    .get("outreach_performed")
                    .is_none_or(|n| *n == 1),
                "performed twice: {actual:?}"
            );
        }
        let begun =
            "select begun_at from request where profile_id = 1 and begun_at is not null order by 1";
        let begun: Vec<i64> = self
            .db()
            .query(begun, &[])
            .expect("times")
            .iter()
            .map(|r| r.int(0))
            .collect();
        for last in &begun {
            let in_a_day = begun
                .iter()
                .filter(|at| **at <= *last && **at > *last - DAY)
                .count();
            assert!(
                in_a_day <= self.daily_max as usize,
                "{in_a_day} in a day: {begun:?}"
            );
        }
    }

    /// A good worker finishes everything.
    fn finish(&mut self) {
        let open = |w: &World| {
            w.requests
                .values()
                .any(|r| matches!(r.status.as_str(), "pending" | "running"))
        };
        for _ in 0..1500 {
            if !open(self) {
                return;
            }
            self.plan();
            let tasks = self.claim(50, 0);
            for n in 0..tasks.len() {
                self.begin(n);
                self.report(n, 0);
            }
            self.check();
            self.now += 20 * LEASE;
        }
        panic!("forgotten: {:?}", self.requests);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_request_is_performed_at_most_once_and_never_forgotten(
        engine in prop_oneof![11 => Just(Engine::Sqlite), 1 => Just(Engine::Postgres)],
        daily_max in 1u32..5,
        steps in prop::collection::vec(step(), 1..90),
    ) {
        let mut world = World::new(engine, daily_max);
        for step in &steps {
            world.step(step);
            world.check();
        }
        world.finish();
    }
}
