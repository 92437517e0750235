//! Two tenants asked in turns, in instances that serve many at once, never see each other's.

use std::sync::atomic::{AtomicUsize, Ordering};

use tests::harness::{Agency, Options};

const REQUESTS: usize = 10_000;
const CLIENTS: usize = 8;

#[test]
fn ten_thousand_requests_of_two_tenants_in_turns_never_mix() {
    // As Spin does it: several requests at once in one instance, which lives long.
    let reuse = ["--instance-concurrency", "16", "--instance-reuse", "128"];
    let options = reuse
        .into_iter()
        .fold(Options::default().no_worker(), Options::argument);
    let sluice = options.start();
    let agencies = [Agency::sign_up(&sluice), Agency::sign_up(&sluice)];
    let marks = ["north", "south"];
    let subs: Vec<_> = agencies
        .iter()
        .zip(marks)
        .map(|(agency, mark)| {
            let sub = agency.subaccount(mark);
            sub.import(
                "tag=hot",
                format!("email,first name\nlead@{mark}.example,{mark}\n"),
            );
            sub
        })
        .collect();
    let done = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for client in 0..CLIENTS {
            let (subs, done, agencies) = (&subs, &done, &agencies);
            scope.spawn(move || {
                for n in 0..REQUESTS / CLIENTS {
                    let who = (client + n) % 2;
                    let (own, other) = (marks[who], marks[1 - who]);
                    let base = subs[who].http.base();
                    let text = match n % 3 {
                        0 => subs[who].http.get("/api/v1/leads").expect(200).text(),
                        1 => agencies[who]
                            .browser
                            .get(&format!("{base}/leads"))
                            .expect(200)
                            .text(),
                        // With the other one's key: not even that it is there.
                        _ => {
                            let answer = agencies[1 - who]
                                .http
                                .get(&format!("{base}/api/v1/leads"))
                                .expect(404)
                                .text();
                            assert!(!answer.contains(own) && !answer.contains(other), "{answer}");
                            done.fetch_add(1, Ordering::Relaxed);
                            continue;
                        }
                    };
                    let (own, other) = (
                        format!("lead@{own}.example"),
                        format!("lead@{other}.example"),
                    );
                    assert!(
                        text.contains(&own) && !text.contains(&other),
                        "request {n}: {text}"
                    );
                    done.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
    });
    assert_eq!(done.into_inner(), REQUESTS);
}
