//! The slave: the API and the pages of its sub-accounts, and the calls of workers and of the master.

mod dns;
mod front;
mod introspect;
mod restoration;
mod upload;

use std::sync::atomic::AtomicBool;

use glue::convert::{SpinResponse, answer, collect, collect_up_to, head, with_host};
use glue::{Labels, config, now};
use spin_sdk::http::Request as SpinRequest;
use spin_sdk::wasip3::http_compat::IncomingRequestBody;
use web::assertion::Said;
use web::slave::access::{self, Caller};
use web::slave::{self, archive::is_restoration, custom_domain, site, upload::is_upload};
use web::{Context, Problem, Request, Response};

static MIGRATED: AtomicBool = AtomicBool::new(false);

#[spin_sdk::http_service]
async fn handle(request: SpinRequest) -> SpinResponse {
    let config = config::config().await;
    let (mut request, body) = head(with_host(request));
    let mut cx = Context {
        stores: &Labels,
        config,
        now: now(),
        own: None,
        migrated: &MIGRATED,
    };
    match site::enter(&cx, &mut request) {
        Ok(own) => cx.own = own,
        Err(problem) => return answer(slave::refuse_unknown(&cx, &request, problem)),
    }
    if let Some(elsewhere) = site::to_https(&cx, &request) {
        return answer(elsewhere);
    }
    let response = respond(&cx, &mut request, body).await;
    answer(response.unwrap_or_else(|problem| slave::refuse(&cx, &request, None, problem)))
}

async fn respond(
    cx: &Context<'_>,
    request: &mut Request,
    body: IncomingRequestBody,
) -> Result<Response, Problem> {
    if web::front::path(cx, request).is_some() {
        request.body = collect(request, body).await?;
        return front::answer(cx, request).await;
    }
    let said = match access::caller(cx, request)? {
        Caller::Nobody => None,
        Caller::Known(said) => Some(said),
        Caller::Ask(question) => match introspect::ask(cx.config, &question).await {
            Ok(answer) => access::remember(cx, &question, &answer)?,
            Err(why) => access::without_master(cx, &question, why)?,
        },
    };
    let who = match said {
        Some(Said::Worker { worker }) => {
            request.body = collect(request, body).await?;
            return Ok(slave::handle_worker(cx, request, &worker));
        }
        Some(Said::Identity { identity }) => Some(identity),
        _ => None,
    };
    if is_upload(request) {
        return Ok(upload::receive(cx, request, who.as_ref(), body).await);
    }
    if is_restoration(request) {
        return Ok(restoration::receive(cx, request, who.as_ref(), body).await);
    }
    request.body = collect_up_to(request, body, slave::body_max(request)).await?;
    if custom_domain::asked(request).is_some() {
        return Ok(dns::verify(cx, request, who.as_ref()).await);
    }
    Ok(slave::handle(cx, request, who.as_ref()))
}
