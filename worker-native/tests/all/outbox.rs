//! A worker that only sends the mails of a master on its own.

use std::{
    convert::Infallible,
    process::{Command, Stdio},
    sync::{Arc, Mutex},
};

use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::{body::Bytes, body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use serde_json::json;
use tempfile::tempdir;
use tokio::net::TcpListener;
use worker_api::{Message, OutboxClaimed, OutboxMail, OutboxReport, OutboxResults, Outcome};

use crate::{
    smtp::{Hold, Say, Server},
    until,
    worker::{Worker, terminate},
};

/// A master with mails to give, and what it was told of them, call by call.
#[derive(Clone, Default)]
struct Master {
    mails: Arc<Mutex<Vec<OutboxMail>>>,
    told: Arc<Mutex<Vec<Vec<OutboxReport>>>>,
}

impl Master {
    async fn start(&self) -> std::net::SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let master = self.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let master = master.clone();
                let service = service_fn(move |request| {
                    let master = master.clone();
                    async move { master.answer(request).await }
                });
                let connection =
                    http1::Builder::new().serve_connection(TokioIo::new(stream), service);
                tokio::spawn(connection);
            }
        });
        address
    }

    async fn answer(
        &self,
        request: Request<Incoming>,
    ) -> Result<Response<Full<Bytes>>, Infallible> {
        let claim = request.uri().path() == "/node/v1/outbox/claim";
        let body = request.collect().await.unwrap().to_bytes();
        let answer = if claim {
            let mails = std::mem::take(&mut *self.mails.lock().unwrap());
            json!(OutboxClaimed { mails })
        } else {
            let said: OutboxResults = serde_json::from_slice(&body).unwrap();
            let accepted = vec![true; said.results.len()];
            self.told.lock().unwrap().push(said.results);
            json!({"accepted": accepted})
        };
        Ok(Response::new(Full::new(answer.to_string().into())))
    }
}

fn mail(number: u32) -> OutboxMail {
    OutboxMail {
        id: format!("0198a7c0-0000-7000-8000-{number:012}"),
        lease_token: "t".into(),
        attempt: 1,
        from: "Sluice <no-reply@sluice.example>".into(),
        message: Message {
            message_id: format!("{number}@sluice.example"),
            date: 1_700_000_000_000,
            to: "ann@agency.example".into(),
            to_name: None,
            subject: "Confirm your address".into(),
            text: "Here".into(),
            html: None,
            headers: Vec::new(),
        },
    }
}

#[tokio::test]
async fn it_needs_no_slave_reports_each_mail_and_gives_the_rest_back_when_told_to_stop() {
    let (master, server, data) = (Master::default(), Server::start().await, tempdir().unwrap());
    server.script("rcpt", &[Say("250 fine"), Hold]);
    *master.mails.lock().unwrap() = (1..=4).map(mail).collect();
    let mut command = Command::new(env!("CARGO_BIN_EXE_sluice-worker"));
    command
        .env_clear()
        .env(
            "SLUICE_MASTER_URL",
            format!("http://{}", master.start().await),
        )
        .env("SLUICE_MASTER_TOKEN", "secret")
        .env(
            "SLUICE_RELAY",
            format!("smtp://{}?tls=none", server.address),
        )
        .env("SLUICE_WORKER_DATA", data.path())
        .stdin(Stdio::null());
    let mut worker = Worker::spawn(command);
    until("the second mail is out", || server.state().holding == 1).await;
    let told = || master.told.lock().unwrap().clone();
    assert!(matches!(told()[0][0].outcome, Outcome::Performed { .. }));
    terminate(&worker);
    // Nothing tells from outside that the signal has come.
    tokio::time::sleep(std::time::Duration::from_millis(300)).await;
    server.release();
    assert!(worker.exit().await.success());
    let told = told();
    assert_eq!(told.iter().map(Vec::len).collect::<Vec<_>>(), [1, 1, 2]);
    assert!(matches!(told[1][0].outcome, Outcome::Performed { .. }));
    assert!(told[2].iter().all(|r| r.outcome == Outcome::Released));
    assert_eq!(server.accepted().len(), 2);
}
