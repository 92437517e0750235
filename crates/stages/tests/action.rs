//! What rules do, how they set off each other, and where that ends.

use domain::filter::{Comparison, Filter, Op};
use domain::letter::Texts;
use domain::rule::{Action, OutreachType, TIMES_MAX, Trigger, VISITS_MAX};
use stages::rule::Rule as Stage;
use stages::run::Stage as _;
use store::event::{self, Event};
use store::rule::{self, Rule};
use store::{Db, Engine, Open, Place, content, instance, params, transaction};
use testkit::{Stores, on_both};

const NOW: i64 = 1_795_262_400_000;

fn tenant(engine: Engine) -> (Stores, Box<dyn Db>) {
    let stores = Stores::on(engine);
    let db = stores.open(&Place::Slot(1)).expect("a tenant");
    store::migrate::migrate(&*db, store::migrate::TENANT).expect("the schema is valid");
    for id in 1i64..=3 {
        let lead = "insert into lead (id, email, country, created_at, updated_at) values (?1, 'l' || ?1 || '@x.test', 'Peru', 0, 0)";
        db.execute(lead, params![id]).expect("a lead");
    }
    (stores, db)
}

fn tagged(tag: &str) -> Trigger {
    Trigger::TagAdded { tag: tag.into() }
}

fn add(tag: &str) -> Action {
    Action::AddTag { tag: tag.into() }
}

fn write(text: &str) -> Action {
    Action::NewOutreach {
        outreach_type: OutreachType::Email,
        subject: text.into(),
        body: text.into(),
        html: None,
        mjml: None,
    }
}

fn text_of(db: &dyn Db, action: &Action) -> Option<i64> {
    let Action::NewOutreach { subject, body, .. } = action else {
        return None;
    };
    let texts = Texts {
        subject: subject.clone(),
        body: body.clone(),
        html: None,
    };
    Some(content::insert(db, &texts, NOW).expect("kept"))
}

fn made(db: &dyn Db, trigger: Trigger, action: Action, change: impl FnOnce(&mut Rule)) -> i64 {
    let mut rule = Rule {
        id: 0,
        name: "R".into(),
        active: true,
        trigger,
        filter: None,
        delay_s: 0,
        content_id: text_of(db, &action),
        action,
        cursor: event::last_id(db).expect("a log"),
        created_at: NOW,
        approval: false,
        version: 1,
        skip_repliers: false,
        stop_reason: None,
        step: None,
    };
    change(&mut rule);
    rule::insert(db, &rule).expect("kept")
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

fn tag(db: &dyn Db, lead_id: i64, name: &str) {
    let id = store::tag::ensure(db, name, NOW).expect("a tag");
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

fn rows(db: &dyn Db, sql: &str) -> Vec<String> {
    let rows = db.query(sql, &[]).expect(sql);
    let text = |mut r: store::Row| {
        let columns = 0..r.0.len();
        columns.map(|c| r.text(c)).collect::<Vec<_>>().join(" ")
    };
    rows.into_iter().map(text).collect()
}

#[test]
fn every_trigger_waits_for_its_event() {
    on_both(|engine| {
        let (_stores, db) = tenant(engine);
        let first = made(&*db, tagged("hot"), write("a"), |_| {});
        for (at, trigger) in [
            Trigger::RulePerformed { rule_id: first },
            Trigger::EventCreated {
                event: "lead_created".into(),
            },
            Trigger::EnrichmentDone {},
            Trigger::OutreachDone {
                rule_id: Some(first),
            },
            Trigger::AcceptedRequest { rule_id: None },
            Trigger::IncomingMessage { rule_id: None },
            Trigger::Open { rule_id: Some(99) },
            Trigger::Click { rule_id: None },
        ]
        .into_iter()
        .enumerate()
        {
            made(&*db, trigger, add(&format!("t{at}")), |_| {});
        }
        tag(&*db, 1, "hot");
        tag(&*db, 1, "cold");
        for kind in [
            "lead_created",
            "enrichment_performed",
            "outreach_performed",
            "accepted",
            "replied",
            "opened",
            "clicked",
        ] {
            happens(&*db, kind, 2, |e| e.rule_id = Some(first));
        }
        happens(&*db, "outreach_performed", 3, |_| {});
        work(&*db, NOW + 1);
        let got = rows(
            &*db,
            "select t.name, lt.lead_id from lead_tag lt join tag t on t.id = lt.tag_id where lt.source like 'rule:%' order by 1",
        );
        assert_eq!(
            got,
            ["t0 1", "t1 2", "t2 2", "t3 2", "t4 2", "t5 2", "t7 2"]
        );
        let [mail] = &rows(&*db, "select lead_id, status, kind, rule_id from request")[..] else {
            panic!("one mail");
        };
        assert_eq!(mail, &format!("1 pending outreach {first}"));
    });
}

#[test]
fn tags_come_and_go_once_and_say_by_whom() {
    on_both(|engine| {
        let (_stores, db) = tenant(engine);
        let adds = made(&*db, Trigger::Open { rule_id: None }, add("Warm"), |_| {});
        let removes = made(
            &*db,
            Trigger::Click { rule_id: None },
            Action::RemoveTag { tag: "WARM".into() },
            |_| {},
        );
        for _ in 0..3 {
            happens(&*db, "opened", 1, |_| {});
        }
        work(&*db, NOW);
        happens(&*db, "clicked", 1, |_| {});
        happens(&*db, "clicked", 2, |_| {});
        work(&*db, NOW);
        assert_eq!(
            rows(
                &*db,
                "select kind, lead_id, rule_id, depth from event where kind like 'tag%' order by id"
            ),
            [
                format!("tag_added 1 {adds} 1"),
                format!("tag_removed 1 {removes} 1")
            ]
        );
        assert!(rows(&*db, "select * from lead_tag").is_empty());
        assert_eq!(
            rows(
                &*db,
                "select count(*) from event where kind = 'rule_performed'"
            ),
            ["5"]
        );
    });
}

#[test]
fn an_enrichment_is_asked_for_once_while_it_waits() {
    on_both(|engine| {
        let (_stores, db) = tenant(engine);
        let action = Action::NewEnrichment {
            enrichment_type: "phone".into(),
        };
        made(&*db, Trigger::Open { rule_id: None }, action, |_| {});
        happens(&*db, "opened", 1, |_| {});
        happens(&*db, "opened", 1, |_| {});
        work(&*db, NOW);
        happens(&*db, "opened", 1, |_| {});
        work(&*db, NOW);
        let all = "select kind, lead_id, enrichment_type, status from request";
        assert_eq!(rows(&*db, all), ["enrichment 1 phone pending"]);
        // Profiles that send mail leave it alone.
        db.execute("insert into profile (name, type, settings, created_at, updated_at) values ('Ann', 'smtp', '{}', 0, 0)", &[]).expect("a profile");
        while stages::plan::Plan
            .step(&*db, NOW, &mut || Ok(()))
            .expect("a step")
        {}
        assert_eq!(rows(&*db, all), ["enrichment 1 phone pending"]);
        db.execute("update request set status = 'performed'", &[])
            .expect("done");
        happens(&*db, "opened", 1, |_| {});
        work(&*db, NOW);
        assert_eq!(rows(&*db, all).len(), 2);
    });
}

#[test]
fn what_a_lead_has_coming_is_stopped_and_repliers_are_left_alone() {
    on_both(|engine| {
        let (_stores, db) = tenant(engine);
        let week = 7 * 24 * 3600;
        made(&*db, tagged("hot"), write("now"), |_| {});
        made(&*db, tagged("hot"), write("later"), |r| r.delay_s = week);
        made(&*db, tagged("hot"), add("kept"), |r| r.delay_s = week);
        made(&*db, tagged("hot"), write("polite"), |r| {
            (r.delay_s, r.skip_repliers) = (1, true)
        });
        made(&*db, tagged("customer"), Action::StopOutreach {}, |_| {});
        tag(&*db, 1, "hot");
        tag(&*db, 2, "hot");
        work(&*db, NOW);
        tag(&*db, 1, "customer");
        happens(&*db, "replied", 2, |_| {});
        work(&*db, NOW + 1);
        work(&*db, NOW + week * 1000);
        assert_eq!(
            rows(
                &*db,
                "select lead_id, rule_id, status from request order by id"
            ),
            ["1 1 aborted", "2 1 pending", "2 2 pending"]
        );
        assert_eq!(
            rows(
                &*db,
                "select lead_id, rule_id, reason from rule_instance where status = 'aborted' order by lead_id, rule_id"
            ),
            [
                "1 2 A rule stopped what the lead had coming.",
                "1 4 A rule stopped what the lead had coming.",
                "2 4 The lead replied."
            ]
        );
        assert_eq!(
            rows(
                &*db,
                "select count(*) from lead_tag where source = 'rule:3'"
            ),
            ["2"]
        );
        assert_eq!(
            rows(
                &*db,
                "select lead_id, request_id from event where kind = 'outreach_aborted'"
            ),
            ["1 1"]
        );
    });
}

#[test]
fn a_filter_holds_until_the_end_of_the_delay() {
    on_both(|engine| {
        let (_stores, db) = tenant(engine);
        let peru = Comparison {
            name: "country".into(),
            op: Op::Eq,
            value: "peru".into(),
        };
        made(&*db, tagged("hot"), write("a"), |r| {
            (r.filter, r.delay_s) = (Some(Filter::Field(peru)), 60);
        });
        tag(&*db, 1, "hot");
        tag(&*db, 2, "hot");
        work(&*db, NOW);
        db.execute("update lead set country = 'Chad' where id = 1", &[])
            .expect("moved");
        work(&*db, NOW + 60_000);
        assert_eq!(rows(&*db, "select lead_id from request"), ["2"]);
        let reasons = rows(
            &*db,
            "select lead_id, reason from rule_instance where status = 'aborted'",
        );
        assert_eq!(reasons, ["1 The filter does not fit any more."]);
    });
}

#[test]
fn rules_that_set_off_each_other_are_stopped_with_a_reason() {
    on_both(|engine| {
        let (_stores, db) = tenant(engine);
        let remove = |tag: &str| Action::RemoveTag { tag: tag.into() };
        // Each puts the tag on that sets off the other; the first two take them off before, so that it never ends by itself.
        made(&*db, tagged("ping"), remove("pong"), |_| {});
        made(&*db, tagged("pong"), remove("ping"), |_| {});
        let ping = made(&*db, tagged("ping"), add("pong"), |_| {});
        let pong = made(&*db, tagged("pong"), add("ping"), |_| {});
        let other = made(&*db, tagged("hot"), write("a"), |_| {});
        tag(&*db, 1, "ping");
        tag(&*db, 2, "hot");
        work(&*db, NOW);
        let stopped: Vec<_> = rule::list(&*db)
            .expect("rules")
            .into_iter()
            .filter(|r| !r.active)
            .collect();
        assert!(
            stopped.iter().any(|r| r.id == ping || r.id == pong),
            "{stopped:?}"
        );
        for rule in &stopped {
            let reason = rule.stop_reason.as_deref().expect("a reason");
            assert!(
                reason.contains("again and again") && reason.contains("Lead 1"),
                "{reason}"
            );
        }
        assert!(
            rule::get(&*db, other)
                .expect("kept")
                .expect("a rule")
                .active
        );
        let visits = rows(
            &*db,
            "select count(*) from rule_instance where status = 'performed' group by rule_id",
        );
        assert!(
            visits
                .iter()
                .all(|n| n.parse::<i64>().expect("a number") <= VISITS_MAX + 1),
            "{visits:?}"
        );
        // Switched on again, it has no reason any more, and the lead that came back to it stays given up.
        for rule in stopped {
            rule::set_active(&*db, rule.id, true, NOW).expect("kept");
            assert_eq!(
                rule::get(&*db, rule.id)
                    .expect("kept")
                    .expect("a rule")
                    .stop_reason,
                None
            );
        }
        work(&*db, NOW);
    });
}

#[test]
fn a_chain_goes_on_through_the_mails_that_it_made() {
    on_both(|engine| {
        let (_stores, db) = tenant(engine);
        // Whoever opens a mail gets another one, and machines open all mails.
        let again = made(
            &*db,
            Trigger::Open { rule_id: None },
            write("again"),
            |_| {},
        );
        happens(&*db, "opened", 1, |_| {});
        for round in 1..=VISITS_MAX + 2 {
            work(&*db, NOW);
            let mails = rows(&*db, "select id from request where status = 'pending'");
            for id in &mails {
                db.execute("update request set status = 'performed'", &[])
                    .expect("sent");
                happens(&*db, "opened", 1, |e| e.request_id = id.parse().ok());
            }
            assert_eq!(
                mails.len(),
                usize::from(round <= VISITS_MAX + 1),
                "round {round}"
            );
        }
        assert!(
            !rule::get(&*db, again)
                .expect("kept")
                .expect("a rule")
                .active
        );
    });
}

#[test]
fn several_opens_of_one_mail_are_no_loop() {
    on_both(|engine| {
        let (_stores, db) = tenant(engine);
        let mails = made(&*db, tagged("hot"), write("a"), |_| {});
        let notes = Trigger::Open {
            rule_id: Some(mails),
        };
        let notes = made(&*db, notes, add("warm"), |_| {});
        tag(&*db, 1, "hot");
        work(&*db, NOW);
        let opens = |times: i64| {
            for _ in 0..times {
                happens(&*db, "opened", 1, |e| {
                    (e.request_id, e.rule_id) = (Some(1), Some(mails));
                });
            }
            work(&*db, NOW);
        };
        opens(VISITS_MAX + 2);
        (0..VISITS_MAX + 2).for_each(|_| opens(1));
        let active = || {
            let rule = rule::get(&*db, notes).expect("kept").expect("a rule");
            rule.active
        };
        let done = "select count(*) from rule_instance where status = 'performed' and rule_id = 2";
        assert_eq!(rows(&*db, done), [(2 * VISITS_MAX + 4).to_string()]);
        assert!(active());
        opens(TIMES_MAX);
        assert!(!active(), "but all of it is bounded");
        let given_up = "select count(*) from rule_instance where status = 'aborted'";
        assert_eq!(rows(&*db, given_up), [(2 * VISITS_MAX + 4).to_string()]);
    });
}

#[test]
fn whoever_was_taken_up_is_served_as_the_rule_said_then() {
    on_both(|engine| {
        let (_stores, db) = tenant(engine);
        let id = made(&*db, tagged("hot"), write("old"), |r| r.delay_s = 60);
        let change = |text: &str| {
            let mut rule = rule::get(&*db, id).expect("kept").expect("a rule");
            rule.action = write(text);
            rule.content_id = text_of(&*db, &rule.action);
            transaction(&*db, || rule::change(&*db, &rule, NOW)).expect("kept");
            rule::get(&*db, id).expect("kept").expect("a rule").version
        };
        assert_eq!(change("older"), 1, "nobody was taken up yet");
        tag(&*db, 1, "hot");
        work(&*db, NOW);
        assert_eq!(change("new"), 2);
        tag(&*db, 2, "hot");
        work(&*db, NOW + 60_000);
        let said = "select r.lead_id, c.subject from request r join content c on c.id = r.content_id order by 1";
        assert_eq!(rows(&*db, said), ["1 older", "2 new"]);
        assert_eq!(change("newest"), 3);
        let mut stale = rule::get(&*db, id).expect("kept").expect("a rule");
        stale.version -= 1;
        let said = transaction(&*db, || rule::change(&*db, &stale, NOW));
        assert_eq!(said, Err(store::Error::Stale), "somebody else was faster");
        assert_eq!(
            rows(&*db, "select version from rule_version"),
            ["3"],
            "the others are over"
        );
        tag(&*db, 3, "hot");
        work(&*db, NOW);
        transaction(&*db, || rule::delete(&*db, id, NOW)).expect("deleted");
        while rule::abort_instances(&*db, id, "The rule was deleted.").expect("given up") > 0 {}
        assert_eq!(rule::get(&*db, id), Ok(None));
        assert_eq!(rule::names(&*db).expect("names").len(), 1);
        assert_eq!(
            rows(
                &*db,
                "select count(*) from request where status = 'canceled'"
            ),
            ["2"]
        );
        assert!(instance::look(&*db).expect("read").is_empty());
    });
}
