//! A small server for the host's own pages: whole answers in memory, nothing else.

use bytes::Bytes;
use http::{HeaderValue, Request, Response, StatusCode, header};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use std::convert::Infallible;
use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;

/// Serves until dropped; `answer` is called on the serving thread and must be quick.
pub async fn serve<F>(listener: TcpListener, answer: F)
where
    F: Fn(Request<Incoming>) -> Response<String> + Send + Sync + 'static,
{
    let answer = Arc::new(answer);
    let listener = listener.set_nonblocking(true).map(|()| listener);
    let Ok(listener) = listener.and_then(tokio::net::TcpListener::from_std) else {
        return;
    };
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            tokio::time::sleep(Duration::from_millis(50)).await;
            continue;
        };
        let answer = answer.clone();
        let service = service_fn(move |request| {
            let response = answer(request).map(|text| Full::new(Bytes::from(text)));
            async move { Ok::<_, Infallible>(response) }
        });
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(Duration::from_secs(30))
            .serve_connection(TokioIo::new(stream), service);
        tokio::spawn(connection);
    }
}

/// An answer of a kind.
pub fn response(status: StatusCode, kind: &'static str, body: String) -> Response<String> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}
