//! Calls of slaves.

use glue::now;
use glue::outbound::{self, Failure, Outcome, call_all};
use serde_json::Value;
use stages::allocate::{Answer, Call, Order, Placed};
use web::Config;
use web::assertion::{Claims, Issuer, Said, Signer};

/// How long a call's token holds, in seconds.
const HOLDS: i64 = 120;

/// Makes all calls at once.
pub fn all(config: &Config, calls: &[Call]) -> Vec<Answer> {
    let signer = Signer::new(Issuer::Master, &config.secret_key);
    let requests: Vec<_> = calls.iter().map(|c| request(config, &signer, c)).collect();
    let outcomes = call_all(&requests);
    calls
        .iter()
        .zip(outcomes)
        .map(|(call, outcome)| answer(config, call, outcome))
        .collect()
}

fn url<'a>(config: &'a Config, call: &'a Call) -> &'a str {
    call.node_url.as_deref().unwrap_or(&config.slave_url)
}

fn request(config: &Config, signer: &Signer, call: &Call) -> outbound::Call {
    let (method, path, body) = absolute(config, call).request();
    let claims = Claims::of_master(&call.node_id, "", now(), HOLDS, Said::Master);
    outbound::Call {
        method,
        url: format!("{}{path}", url(config, call)),
        bearer: signer.sign(&claims),
        media_type: outbound::JSON,
        body,
    }
}

fn answer(config: &Config, call: &Call, outcome: Outcome) -> Answer {
    let at = url(config, call);
    match outcome {
        Ok((200, body)) => match call.good(body) {
            Ok(Answer::Done(placed)) => Answer::Done(Placed {
                base_url: own_path(config, placed.base_url),
                ..placed
            }),
            Ok(answer) => answer,
            Err(e) => {
                let trouble = format!("gave an answer that cannot be read: {e}.");
                Answer::Unknown(told(call, at, &trouble))
            }
        },
        Ok((status, body)) => {
            let problem: Value = serde_json::from_slice(&body).unwrap_or_default();
            let detail = problem["detail"].as_str().or(problem["title"].as_str());
            let detail = detail.unwrap_or("no reason given");
            let reason = told(call, at, &format!("refused ({status}): {detail}"));
            match status {
                // It may have begun before it failed.
                408 | 425 | 429 | 500.. => Answer::Unknown(reason),
                _ => Answer::Refused {
                    full: problem["title"] == "No free slot",
                    reason,
                },
            }
        }
        Err(failure) => {
            let reason = told(call, at, &format!("cannot be asked: {}.", failure.reason()));
            match failure {
                Failure::NotSent(_) => Answer::NotSent(reason),
                Failure::Unknown(_) => Answer::Unknown(reason),
            }
        }
    }
}

/// Why a call came to nothing, as it is told; the log has the node's address.
fn told(call: &Call, at: &str, trouble: &str) -> String {
    eprintln!("The slave at {at} {trouble}");
    call.came_to_nothing(at, trouble)
}

/// Other nodes are told whole addresses.
fn absolute(config: &Config, call: &Call) -> Call {
    let mut call = call.clone();
    if let Order::Leave(leave) = &mut call.order
        && leave.moved_to.starts_with('/')
    {
        leave.moved_to.insert_str(0, &config.public_url);
    }
    call
}

/// An address on this very installation is kept as a path, so that it stays right when the installation moves.
fn own_path(config: &Config, base_url: String) -> String {
    match base_url.strip_prefix(&config.public_url) {
        Some(path) if path.starts_with('/') => path.to_owned(),
        _ => base_url,
    }
}
