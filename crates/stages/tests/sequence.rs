//! Sequences run step by step, each lead once, by the engine that runs rules.

use domain::filter::Happened;
use domain::letter::Texts;
use domain::rule::{Action, OutreachType, Trigger};
use domain::sequence::{Condition, Definition, Step, Test, Variant};
use stages::rule::Rule as Stage;
use stages::run::Stage as _;
use store::event::{self, Event};
use store::sequence::{self, StepTexts};
use store::{Db, Engine, Open, Place, params, rule, transaction};
use testkit::{Stores, on_both};

const NOW: i64 = 1_795_262_400_000;
const DAY: i64 = 24 * 3600 * 1000;

fn tenant(engine: Engine, leads: i64) -> (Stores, Box<dyn Db>) {
    let stores = Stores::on(engine);
    let db = stores.open(&Place::Slot(1)).expect("a tenant");
    store::migrate::migrate(&*db, store::migrate::TENANT).expect("the schema is valid");
    for id in 1..=leads {
        let lead = "insert into lead (id, email, created_at, updated_at) values (?1, 'l' || ?1 || '@x.test', 0, 0)";
        db.execute(lead, params![id]).expect("a lead");
    }
    (stores, db)
}

fn mail(subject: &str) -> Step {
    Step {
        wait_s: 0,
        only_if: None,
        action: Action::NewOutreach {
            outreach_type: OutreachType::Email,
            subject: subject.into(),
            body: "b".into(),
            html: None,
            mjml: None,
        },
        variants: vec![],
        test: None,
    }
}

fn tag_step(tag: &str) -> Step {
    Step {
        action: Action::AddTag { tag: tag.into() },
        ..mail("")
    }
}

fn only(happened: Happened, not: bool) -> Option<Condition> {
    Some(Condition {
        happened: Some(happened),
        tag: None,
        not,
    })
}

fn definition(steps: Vec<Step>) -> Definition {
    Definition {
        trigger: Trigger::TagAdded { tag: "hot".into() },
        filter: None,
        exit_on_reply: true,
        approval: false,
        steps,
    }
}

fn texts(definition: &Definition) -> StepTexts {
    let subjects = |step: &Step| -> Vec<Texts> {
        let others = step.others();
        let all = std::iter::once(&step.action).chain(&others);
        all.filter_map(|action| match action {
            Action::NewOutreach { subject, body, .. } => Some(Texts {
                subject: subject.clone(),
                body: body.clone(),
                html: None,
            }),
            _ => None,
        })
        .collect()
    };
    definition.steps.iter().map(subjects).collect()
}

fn made(db: &dyn Db, definition: &Definition) -> i64 {
    transaction(db, || {
        sequence::insert(db, "S", definition, &texts(definition), 0, NOW)
    })
    .expect("kept")
}

fn happens(db: &dyn Db, kind: &str, lead_id: i64, change: impl FnOnce(&mut Event)) {
    let mut e = Event {
        at: NOW,
        kind: kind.into(),
        lead_id: Some(lead_id),
        ..Event::default()
    };
    change(&mut e);
    event::insert(db, &e).expect("kept");
}

fn tagged(db: &dyn Db, lead_id: i64) {
    let id = store::tag::ensure(db, "hot", NOW).expect("a tag");
    store::tag::add(db, id, lead_id, "api", NOW).expect("kept");
    happens(db, "tag_added", lead_id, |e| e.tag_id = Some(id));
}

fn work(db: &dyn Db, now: i64) {
    let mut steps = 0;
    while Stage.step(db, now, &mut || Ok(())).expect("a step") {
        steps += 1;
        assert!(steps < 500, "it comes to an end");
    }
}

/// All mails that wait are sent.
fn send(db: &dyn Db, at: i64) {
    let rows = db
        .query(
            "select id, lead_id, rule_id from request where status = 'pending' order by id",
            &[],
        )
        .expect("requests");
    for row in rows {
        let done = "update request set status = 'performed', finished_at = ?2 where id = ?1";
        db.execute(done, params![row.int(0), at]).expect("sent");
        happens(db, "outreach_performed", row.int(1), |e| {
            (e.at, e.request_id, e.rule_id) = (at, Some(row.int(0)), Some(row.int(2)));
        });
    }
}

fn rows(db: &dyn Db, sql: &str) -> Vec<String> {
    let rows = db.query(sql, &[]).expect(sql);
    let text = |mut r: store::Row| {
        let columns = 0..r.0.len();
        columns.map(|c| r.text(c)).collect::<Vec<_>>().join(" ")
    };
    rows.into_iter().map(text).collect()
}

const MAILS: &str = "select r.lead_id, c.subject from request r join content c on c.id = r.content_id order by 1, r.id";

#[test]
fn leads_go_step_by_step_and_branch_by_what_they_did() {
    on_both(|engine| {
        let (_stores, db) = tenant(engine, 4);
        let wait = |step: Step| Step {
            wait_s: 24 * 3600,
            ..step
        };
        let s = made(
            &*db,
            &definition(vec![
                mail("first"),
                Step {
                    only_if: only(Happened::Opened, false),
                    ..wait(mail("opened"))
                },
                Step {
                    only_if: only(Happened::Opened, true),
                    ..mail("unopened")
                },
                wait(tag_step("over")),
            ]),
        );
        (1..=4).for_each(|lead| tagged(&*db, lead));
        // Once more is not twice.
        tagged(&*db, 1);
        work(&*db, NOW);
        assert_eq!(
            rows(&*db, MAILS),
            ["1 first", "2 first", "3 first", "4 first"]
        );
        work(&*db, NOW + 10 * DAY);
        assert_eq!(
            rows(&*db, MAILS).len(),
            4,
            "nothing was sent, so nothing follows"
        );
        send(&*db, NOW);
        work(&*db, NOW);
        happens(&*db, "opened", 1, |e| e.request_id = Some(1));
        happens(&*db, "replied", 3, |_| {});
        let suppressed = "insert into suppression (value, reason, created_at) values ('l4@x.test', 'unsubscribed', 0)";
        db.execute(suppressed, &[]).expect("kept");
        work(&*db, NOW + DAY);
        assert_eq!(
            rows(
                &*db,
                "select r.lead_id, c.subject from request r join content c on c.id = r.content_id where r.id > 4 order by 1"
            ),
            ["1 opened", "2 unopened"]
        );
        send(&*db, NOW + DAY);
        work(&*db, NOW + DAY);
        assert_eq!(
            rows(
                &*db,
                "select reason from rule_instance where status = 'aborted' order by lead_id"
            ),
            ["The lead replied.", "The lead unsubscribed."]
        );
        work(&*db, NOW + 2 * DAY);
        assert_eq!(
            rows(
                &*db,
                "select lead_id from lead_tag lt join tag t on t.id = lt.tag_id where t.folded = 'over' order by 1"
            ),
            ["1", "2"]
        );
        let kept = sequence::get(&*db, s).expect("read").expect("a sequence");
        assert_eq!(sequence::entered(&*db, &kept), Ok((4, 0)));
        let standings = sequence::standings(&*db, &kept).expect("read");
        let counts: Vec<_> = standings
            .iter()
            .map(|s| (s.waiting, s.done, s.skipped, s.left))
            .collect();
        assert_eq!(
            counts,
            [(0, 4, 0, 0), (0, 1, 1, 2), (0, 1, 1, 0), (0, 2, 0, 0)]
        );
        // A later answer keeps nobody from what is over, and a new tag lets nobody in again.
        tagged(&*db, 2);
        work(&*db, NOW + 9 * DAY);
        assert_eq!(rows(&*db, MAILS).len(), 6);
        assert!(
            rule::list(&*db).expect("rules").is_empty(),
            "its rules are its own"
        );
    });
}

#[test]
fn leads_go_on_as_it_was_when_they_came_in() {
    on_both(|engine| {
        let (_stores, db) = tenant(engine, 3);
        let old = definition(vec![
            mail("a1"),
            Step {
                wait_s: 60,
                ..mail("a2")
            },
        ]);
        let id = made(&*db, &old);
        tagged(&*db, 1);
        work(&*db, NOW);
        let change = |steps: Vec<Step>| {
            let mut s = sequence::get(&*db, id).expect("read").expect("a sequence");
            s.definition.steps = steps;
            let all = texts(&s.definition);
            transaction(&*db, || {
                sequence::change(&*db, &s, (Some(&all), false), NOW)
            })
            .expect("kept");
            sequence::alive(&*db, id).expect("read")
        };
        assert_eq!(change(vec![mail("b1"), mail("b2")]), 2);
        tagged(&*db, 2);
        send(&*db, NOW);
        work(&*db, NOW);
        send(&*db, NOW);
        work(&*db, NOW + 60_000);
        assert_eq!(rows(&*db, MAILS), ["1 a1", "1 a2", "2 b1", "2 b2"]);
        send(&*db, NOW + 60_000);
        work(&*db, NOW + 60_000);
        assert_eq!(
            change(vec![tag_step("c")]),
            1,
            "nobody is on the way in the others"
        );
        tagged(&*db, 3);
        work(&*db, NOW + DAY);
        assert_eq!(
            rows(
                &*db,
                "select lead_id, version from sequence_lead order by 1"
            ),
            ["1 1", "2 2", "3 3"]
        );
        transaction(&*db, || sequence::delete(&*db, id, NOW)).expect("deleted");
        assert_eq!(sequence::get(&*db, id), Ok(None));
        assert!(store::instance::look(&*db).expect("read").is_empty());
    });
}

#[test]
fn the_better_text_is_found_once_and_goes_on_alone() {
    on_both(|engine| {
        let (_stores, db) = tenant(engine, 400);
        let tried = Step {
            variants: vec![Variant {
                subject: "B".into(),
                body: "b".into(),
                html: None,
                mjml: None,
            }],
            test: Some(Test {
                by: Happened::Replied,
                sample: 50,
            }),
            ..mail("A")
        };
        let id = made(&*db, &definition(vec![tried]));
        (1..=200).for_each(|lead| tagged(&*db, lead));
        work(&*db, NOW);
        let shares = "select count(*) from request group by variant order by variant";
        let shares: Vec<i64> = rows(&*db, shares)
            .iter()
            .map(|n| n.parse().expect("a number"))
            .collect();
        assert!(
            shares.len() == 2 && shares.iter().all(|n| *n > 70),
            "{shares:?}"
        );
        send(&*db, NOW);
        let of_b = rows(
            &*db,
            "select id, lead_id from request where variant = 1 order by id",
        );
        for row in of_b.iter().take(40) {
            let (request, lead) = row.split_once(' ').expect("two");
            happens(&*db, "replied", lead.parse().expect("a number"), |e| {
                e.request_id = request.parse().ok()
            });
        }
        (201..=300).for_each(|lead| tagged(&*db, lead));
        work(&*db, NOW + DAY / 2);
        let both = "select count(distinct variant) from request where lead_id > 200";
        assert_eq!(rows(&*db, both), ["2"], "it is too early to decide");
        (301..=400).for_each(|lead| tagged(&*db, lead));
        work(&*db, NOW + DAY);
        assert_eq!(
            rows(
                &*db,
                "select variant, count(*) from request where lead_id > 300 group by 1"
            ),
            ["1 100"]
        );
        let kept = sequence::get(&*db, id).expect("read").expect("a sequence");
        let standing = &sequence::standings(&*db, &kept).expect("read")[0];
        assert_eq!(standing.winner, Some(1));
        let said = sequence::tried(&*db, standing.rule_id, 2, "replied", NOW + DAY).expect("read");
        assert_eq!((said[0].hits, said[1].hits), (0, 40));
    });
}

#[test]
fn versions_that_are_over_are_given_up_for_good() {
    on_both(|engine| {
        let (_stores, db) = tenant(engine, 3);
        let later = || Step {
            wait_s: 60,
            ..mail("later")
        };
        let id = made(&*db, &definition(vec![mail("a"), later()]));
        let read = || sequence::get(&*db, id).expect("read").expect("a sequence");
        let change = |switched: bool, active: bool, new: bool| {
            let mut s = read();
            s.active = active;
            let all = new.then(|| texts(&s.definition));
            transaction(&*db, || {
                sequence::change(&*db, &s, (all.as_ref(), switched), NOW)
            })
        };
        tagged(&*db, 1);
        work(&*db, NOW);
        let uncertain = "update request set status = 'uncertain', finished_at = ?1";
        db.execute(uncertain, params![NOW]).expect("kept");
        change(false, true, true).expect("kept");
        work(&*db, NOW);
        let alive = |now: i64| {
            sequence::retire(&*db, id, read().version, now).expect("kept");
            sequence::alive(&*db, id).expect("read")
        };
        assert_eq!(alive(NOW), 2, "its mail may still turn out to have left");
        assert_eq!(alive(NOW + 31 * DAY), 1);
        change(true, false, false).expect("kept");
        assert_eq!(alive(NOW), 1, "one that is switched off is not over");
        change(true, true, false).expect("kept");
        let on = "select distinct sequence_version from rule where active = 1";
        assert_eq!(rows(&*db, on), ["2"]);
        let mut old = read();
        old.version = 1;
        let said = transaction(&*db, || sequence::change(&*db, &old, (None, false), NOW));
        assert_eq!(said, Err(store::Error::Stale));
    });
}

#[test]
fn a_stop_takes_a_lead_out_of_sequences() {
    on_both(|engine| {
        let (_stores, db) = tenant(engine, 2);
        let wait = |step: Step| Step { wait_s: 60, ..step };
        let steps = vec![mail("a"), wait(tag_step("t")), mail("b")];
        made(&*db, &definition(steps));
        let stop = Step {
            action: Action::StopOutreach {},
            ..mail("")
        };
        let mut other = definition(vec![stop, wait(tag_step("over"))]);
        other.trigger = Trigger::TagAdded { tag: "vip".into() };
        made(&*db, &other);
        (1..=2).for_each(|lead| tagged(&*db, lead));
        work(&*db, NOW);
        send(&*db, NOW);
        work(&*db, NOW);
        let vip = store::tag::ensure(&*db, "vip", NOW).expect("a tag");
        store::tag::add(&*db, vip, 1, "api", NOW).expect("kept");
        happens(&*db, "tag_added", 1, |e| e.tag_id = Some(vip));
        work(&*db, NOW);
        work(&*db, NOW + DAY);
        assert_eq!(rows(&*db, MAILS), ["1 a", "2 a", "2 b"]);
        let tags = "select t.name, h.lead_id from lead_tag h join tag t on t.id = h.tag_id where t.name in ('t', 'over') order by 2";
        assert_eq!(
            rows(&*db, tags),
            ["over 1", "t 2"],
            "its own sequence goes on"
        );
    });
}

#[test]
fn what_came_before_a_lead_came_in_does_not_count() {
    on_both(|engine| {
        let (_stores, db) = tenant(engine, 1);
        // A rule lets the lead in, an hour after what set it off; the answer came in between.
        let rule = rule::Rule {
            id: 0,
            name: "R".into(),
            active: true,
            trigger: Trigger::EventCreated {
                event: "lead_created".into(),
            },
            filter: None,
            delay_s: 3600,
            action: Action::AddTag { tag: "hot".into() },
            content_id: None,
            cursor: 0,
            created_at: NOW,
            approval: false,
            version: 1,
            skip_repliers: false,
            stop_reason: None,
            step: None,
        };
        rule::insert(&*db, &rule).expect("kept");
        let later = Step {
            wait_s: 60,
            ..mail("b")
        };
        made(&*db, &definition(vec![mail("a"), later]));
        happens(&*db, "lead_created", 1, |_| {});
        work(&*db, NOW);
        happens(&*db, "replied", 1, |_| {});
        work(&*db, NOW + DAY);
        send(&*db, NOW + DAY);
        work(&*db, NOW + DAY);
        work(&*db, NOW + 2 * DAY);
        assert_eq!(rows(&*db, MAILS), ["1 a", "1 b"]);
    });
}

#[test]
fn without_any_effect_nothing_is_decided_and_steps_share_out_by_themselves() {
    on_both(|engine| {
        let (_stores, db) = tenant(engine, 400);
        let tried = || Step {
            variants: vec![Variant {
                subject: "B".into(),
                body: "b".into(),
                html: None,
                mjml: None,
            }],
            test: Some(Test {
                by: Happened::Replied,
                sample: 20,
            }),
            ..mail("A")
        };
        let id = made(&*db, &definition(vec![tried(), tried()]));
        (1..=200).for_each(|lead| tagged(&*db, lead));
        work(&*db, NOW);
        send(&*db, NOW);
        work(&*db, NOW);
        send(&*db, NOW);
        let pairs = "select count(*) from request a join request b on b.lead_id = a.lead_id and b.rule_id > a.rule_id \
                     group by a.variant, b.variant";
        let pairs = rows(&*db, pairs);
        let even = |n: &String| (25..=75).contains(&n.parse::<i64>().expect("a number"));
        assert!(pairs.len() == 4 && pairs.iter().all(even), "{pairs:?}");
        (201..=400).for_each(|lead| tagged(&*db, lead));
        work(&*db, NOW + 2 * DAY);
        let kept = sequence::get(&*db, id).expect("read").expect("a sequence");
        let standing = &sequence::standings(&*db, &kept).expect("read")[0];
        assert_eq!(standing.winner, None);
        let both = "select count(distinct variant) from request where lead_id > 200";
        assert_eq!(rows(&*db, both), ["2"]);
    });
}
