//! Request bodies on their way to a guest: bounded in size, and telling the request's clock that
//! they move.

use super::proxy::Clock;
use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::task::{Context, Poll};
use wasmtime_wasi_http::Error;

/// An incoming body, bounded.
pub struct Bounded {
    inner: Incoming,
    left: u64,
    most: u64,
    clock: Arc<Clock>,
    exceeded: Arc<AtomicBool>,
}

impl Bounded {
    /// A body of at most `most` bytes; `exceeded` says afterwards whether it was larger.
    pub fn new(inner: Incoming, most: u64, clock: Arc<Clock>, exceeded: Arc<AtomicBool>) -> Self {
        Self {
            inner,
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
        let frame = match Pin::new(&mut self.inner).poll_frame(context) {
            Poll::Pending => return Poll::Pending,
            Poll::Ready(None) => return Poll::Ready(None),
            Poll::Ready(Some(Err(error))) => return Poll::Ready(Some(Err(Error::Hyper(error)))),
            Poll::Ready(Some(Ok(frame))) => frame,
        };
        self.clock.touch();
        if let Some(data) = frame.data_ref() {
            match self.left.checked_sub(data.len() as u64) {
                Some(left) => self.left = left,
                None => {
                    self.exceeded.store(true, Relaxed);
                    let error = Error::HttpRequestBodySize(Some(self.most));
                    return Poll::Ready(Some(Err(error)));
                }
            }
        }
        Poll::Ready(Some(Ok(frame)))
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
