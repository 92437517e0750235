//! The master: sign-up, log-in, keys, sub-accounts, and their pages.

mod forward;

use std::sync::atomic::AtomicBool;

use glue::convert::{SpinResponse, answer, collect, head, with_host};
use glue::{Labels, config, now};
use spin_sdk::http::{IntoResponse, Request};
use spin_sdk::wasip3::clocks::monotonic_clock;
use spin_sdk::wasip3::http::types;
use web::context::random_text;
use web::master::turn;
use web::{Config, Context, Problem};

static MIGRATED: AtomicBool = AtomicBool::new(false);

#[spin_sdk::http_service]
async fn handle(request: Request) -> Result<types::Response, types::ErrorCode> {
    let config = config::config().await;
    match forward::forward(config, with_host(request)).await {
        Ok(answer) => answer,
        Err(request) => respond(config, request).await.into_response(),
    }
}

async fn respond(config: &'static Config, request: Request) -> SpinResponse {
    let (mut request, body) = head(request);
    match collect(&request, body).await {
        Ok(body) => request.body = body,
        Err(problem) => return answer(problem.into_response()),
    }
    match turn(config, &request).await {
        Err(problem) => answer(web::master::refuse(&context(config), &request, problem)),
        Ok(None) => answer(web::master::handle(&context(config), &request)),
        Ok(Some(token)) => {
            let response = web::master::handle(&context(config), &request);
            turn::give_back(&context(config), &token);
            answer(response)
        }
    }
}

fn context(config: &'static Config) -> Context<'static> {
    Context {
        stores: &Labels,
        config,
        now: now(),
        own: None,
        migrated: &MIGRATED,
    }
}

/// Waits for a turn to hash a password, when a request needs one; other requests are answered meanwhile.
async fn turn(config: &'static Config, request: &web::Request) -> Result<Option<String>, Problem> {
    if !turn::is_needed(&context(config), request)? {
        return Ok(None);
    }
    let token = random_text(12);
    let last = now() + turn::PATIENCE;
    while !turn::take(&context(config), &token)? {
        if now() > last {
            return Err(turn::none());
        }
        monotonic_clock::wait_for(turn::PAUSE * 1_000_000).await;
    }
    Ok(Some(token))
}
