//! Power failures at the worst moments: no mail is sent twice, none is lost unseen.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use tests::harness::{Agency, Options, Sink, SinkOptions, eventually, eventually_true, people};

const MAILS: usize = 2_000;
/// The same every time, so that a failure can be repeated as far as timing allows.
const SEED: u64 = 0x5eed_1e55_ca5c_ade5;
/// Leases of killed workers must run out.
const PATIENCE: Duration = Duration::from_secs(300);

/// Who is killed when so many mails have arrived.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Victim {
    Worker,
    Host,
    Both,
}

#[test]
fn killing_worker_and_host_neither_repeats_nor_loses_a_mail() {
    let mut sluice = Options::default().no_worker().start();
    let sink = Sink::with(&SinkOptions {
        delay_ms: 5,
        ..Default::default()
    });
    let sub = Agency::sign_up(&sluice).subaccount("Acme");
    sub.profile(&sink);
    sub.rule("hot", "Hello {{first_name}}", "Hi");

    // The host dies with the file just taken, and again while it is being read or merged.
    let import = sub.upload("tag=hot", people("ann", MAILS));
    sluice.kill();
    sluice.start_again();
    eventually_true("the first rows", PATIENCE, || {
        let state = sub
            .http
            .get(&format!("/api/v1/imports/{import}"))
            .expect(200)
            .json();
        state["status"] == "done" || state["rows"]["total"].as_u64() > Some(0)
    });
    sluice.kill();
    sluice.start_again();
    let import = sub.import_end(&import);
    assert_eq!(import["rows"]["created"], MAILS, "{import}");

    let mut worker = sluice.worker();
    for (arrived, victim) in kills() {
        eventually(
            &format!("{arrived} mails, to kill {victim:?}"),
            PATIENCE,
            || (sink.mails().len() >= arrived).then_some(()),
        );
        if victim != Victim::Host {
            worker.kill();
        }
        if victim != Victim::Worker {
            sluice.kill();
            sluice.start_again();
        }
        if victim != Victim::Host {
            worker.start_again();
        }
    }

    let requests = sub.ended_requests(MAILS, PATIENCE);
    let mails = sink.mails();
    let mut count: HashMap<&str, usize> = HashMap::new();
    for request in &requests {
        *count
            .entry(request["status"].as_str().unwrap())
            .or_default() += 1;
    }
    let ids: HashSet<_> = mails.iter().map(|m| m.header("Message-ID")).collect();
    let recipients: HashSet<_> = mails.iter().map(|m| m.to()).collect();
    println!(
        "{} requests: {count:?}; {} mails at the sink, {} distinct",
        requests.len(),
        mails.len(),
        ids.len()
    );

    let performed = count.get("performed").copied().unwrap_or_default();
    let uncertain = count.get("uncertain").copied().unwrap_or_default();
    assert_eq!(requests.len(), MAILS);
    assert_eq!(
        performed + uncertain,
        MAILS,
        "every fate is known, or known to be unknown"
    );
    assert_eq!(ids.len(), mails.len(), "no Message-ID twice");
    assert_eq!(recipients.len(), mails.len(), "nobody is mailed twice");
    assert!(
        mails.len() + uncertain >= MAILS,
        "a mail that is missing is one of the uncertain"
    );

    let leads: HashMap<_, _> = sub
        .leads("")
        .into_iter()
        .map(|lead| (lead["id"].to_string(), lead))
        .collect();
    for request in requests.iter().filter(|r| r["status"] == "performed") {
        let email = leads[&request["lead_id"].to_string()]["email"]
            .as_str()
            .unwrap();
        assert!(
            recipients.contains(email),
            "performed, and not at the sink: {request}"
        );
    }
    eventually_true("the timeline's count", Duration::from_secs(30), || {
        sub.timeline("outreach_performed") == i64::try_from(performed).unwrap()
    });
    worker.drain();
}

/// Nine kills between the first mail and the last, in order.
fn kills() -> Vec<(usize, Victim)> {
    let mut state = SEED;
    let mut next = |below: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        usize::try_from(state >> 33).unwrap() % below
    };
    let step = (MAILS - 200) / 9;
    let victims = [Victim::Worker, Victim::Host, Victim::Worker, Victim::Both];
    (0..9)
        .map(|i| (1 + i * step + next(step), victims[i % victims.len()]))
        .collect()
}

#[test]
fn a_supervised_worker_that_is_killed_comes_back_and_finishes() {
    let sluice = Options::default().start();
    let sink = Sink::with(&SinkOptions {
        delay_ms: 20,
        ..Default::default()
    });
    let sub = Agency::sign_up(&sluice).subaccount("Acme");
    sub.profile(&sink);
    sub.rule("hot", "Hello", "Hi");
    sub.import("tag=hot", people("ann", 100));
    sink.wait_for(10);
    assert_eq!(sluice.kill_workers(), 1);
    let requests = sub.ended_requests(100, PATIENCE);
    let mails = sink.mails();
    let distinct: HashSet<_> = mails.iter().map(|m| m.to()).collect();
    assert_eq!(distinct.len(), mails.len(), "nobody is mailed twice");
    let uncertain = requests
        .iter()
        .filter(|r| r["status"] == "uncertain")
        .count();
    assert!(
        mails.len() + uncertain >= 100,
        "{} mails, {uncertain} uncertain",
        mails.len()
    );
    assert_eq!(sluice.workers().len(), 1);
}
