//! The slave: the API and the pages of its sub-accounts, and the calls of workers and of the master.

mod introspect;
mod upload;

use std::sync::atomic::AtomicBool;

use glue::convert::{SpinResponse, answer, collect, head};
use glue::{Labels, config, now};
use spin_sdk::http::Request;
use web::slave::access::{self, Caller};
use web::slave::{self, upload::is_upload};
use web::{Context, Problem, Response};

static MIGRATED: AtomicBool = AtomicBool::new(false);

#[spin_sdk::http_service]
async fn handle(request: Request) -> SpinResponse {
    let config = config::config().await;
    let cx = Context {
        stores: &Labels,
        config,
        now: now(),
        migrated: &MIGRATED,
    };
    answer(
        respond(&cx, request)
            .await
            .unwrap_or_else(Problem::into_response),
    )
}

async fn respond(cx: &Context<'_>, request: Request) -> Result<Response, Problem> {
    let (mut request, body) = head(request);
    let who = match access::caller(cx, &request)? {
        Caller::Nobody => None,
        Caller::Known(who) => Some(who),
        Caller::Ask(question) => {
            access::remember(cx, &question, introspect::ask(cx.config, &question).await?)?
        }
    };
    if is_upload(&request) {
        return Ok(upload::receive(cx, &request, who.as_ref(), body).await);
    }
    request.body = collect(body).await?;
    Ok(slave::handle(cx, &request, who.as_ref()))
}
