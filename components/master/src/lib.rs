//! The master: sign-up, log-in, keys, sub-accounts, and their pages.

use std::sync::atomic::AtomicBool;

use glue::convert::{SpinResponse, answer, collect, head};
use glue::{Labels, config, now};
use spin_sdk::http::Request;
use web::Context;

static MIGRATED: AtomicBool = AtomicBool::new(false);

#[spin_sdk::http_service]
async fn handle(request: Request) -> SpinResponse {
    let config = config::config().await;
    let (mut request, body) = head(request);
    match collect(body).await {
        Ok(body) => request.body = body,
        Err(problem) => return answer(problem.into_response()),
    }
    let cx = Context {
        stores: &Labels,
        config,
        now: now(),
        migrated: &MIGRATED,
    };
    answer(web::master::handle(&cx, &request))
}
