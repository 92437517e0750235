//! Request bodies on their way to a guest: bounded in size, and telling the request's clock that
//! they move.

use super::proxy::Clock;
use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::task::{Context, Poll};
use std::time::Duration;
use wasmtime_wasi_http::Error;

/// An unwanted body is read this far, and for this long.
const DRAIN_BYTES: usize = 64 << 20;
const DRAIN_TIME: Duration = Duration::from_secs(5);

/// An incoming body, bounded.
pub struct Bounded {
    inner: Option<Incoming>,
    left: u64,
    most: u64,
    clock: Arc<Clock>,
    exceeded: Arc<AtomicBool>,
}

impl Bounded {
    /// A body of at most `most` bytes; `exceeded` says afterwards whether it was larger.
    pub fn new(inner: Incoming, most: u64, clock: Arc<Clock>, exceeded: Arc<AtomicBool>) -> Self {
        Self {
            inner: Some(inner),
            left: most,
            most,
            clock,
            exceeded,
        }
    }
}

impl Body for Bounded {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let Some(inner) = self.inner.as_mut() else {
            return Poll::Ready(None);
        };
        let frame = match Pin::new(inner).poll_frame(context) {
            Poll::Pending => {
                self.clock.wait(true);
                return Poll::Pending;
            }
            Poll::Ready(None) => {
                self.clock.done();
                return Poll::Ready(None);
            }
            Poll::Ready(Some(Err(error))) => return Poll::Ready(Some(Err(Error::Hyper(error)))),
            Poll::Ready(Some(Ok(frame))) => frame,
        };
        let ended = self.is_end_stream();
        if let Some(data) = frame.data_ref() {
            self.clock.wait(false);
            self.clock.arrived(data.len());
            match self.left.checked_sub(data.len() as u64) {
                Some(left) => self.left = left,
                None => {
                    self.exceeded.store(true, Relaxed);
                    let error = Error::HttpRequestBodySize(Some(self.most));
                    return Poll::Ready(Some(Err(error)));
                }
            }
        }
        if ended {
            self.clock.done();
        }
        Poll::Ready(Some(Ok(frame)))
    }

    fn is_end_stream(&self) -> bool {
        self.inner.as_ref().is_none_or(Incoming::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.inner
            .as_ref()
            .map(Incoming::size_hint)
            .unwrap_or_default()
    }
}

impl Drop for Bounded {
    fn drop(&mut self) {
        if let Some(inner) = self.inner.take() {
            drain(inner);
        }
    }
}

/// Reads what nobody wants, for a while. A client that is still sending would otherwise meet a
/// reset connection before it sees the answer.
pub fn drain(mut body: Incoming) {
    if body.is_end_stream() {
        return;
    }
    let Ok(runtime) = tokio::runtime::Handle::try_current() else {
        return;
    };
    let reading = async move {
        let mut left = DRAIN_BYTES;
        while let Some(Ok(frame)) = body.frame().await {
            let size = frame.data_ref().map_or(0, Bytes::len);
            let Some(less) = left.checked_sub(size) else {
                break;
            };
            left = less;
        }
    };
    runtime.spawn(tokio::time::timeout(DRAIN_TIME, reading));
}
