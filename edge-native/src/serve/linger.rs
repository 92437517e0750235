//! Closing without a reset. A client that is still sending when its answer is ready (a body over the limit, headers
//! without end) would lose that answer if the connection closed at once: the kernel answers what nobody reads with a
//! reset, and a reset discards what was sent before (RFC 9112, 9.6). So what still comes is read for a while, for nothing.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::watch;
use tokio::time::Sleep;

/// How long the other end may take to finish.
const PATIENCE: Duration = Duration::from_secs(2);
/// Bytes that are read at once.
const PIECE: usize = 16 << 10;

/// A stream that reads on after its last byte is written, until the other end closes.
pub struct Lingering<S> {
    stream: S,
    stopping: watch::Receiver<bool>,
    until: Option<Pin<Box<Sleep>>>,
}

impl<S> Lingering<S> {
    /// Nothing lingers once the host is stopping.
    pub fn new(stream: S, stopping: watch::Receiver<bool>) -> Self {
        Self {
            stream,
            stopping,
            until: None,
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Lingering<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Lingering<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if this.until.is_none() {
            ready!(Pin::new(&mut this.stream).poll_shutdown(cx))?;
        }
        let until = this
            .until
            .get_or_insert_with(|| Box::pin(tokio::time::sleep(PATIENCE)));
        let mut piece = [0; PIECE];
        while !*this.stopping.borrow() && until.as_mut().poll(cx).is_pending() {
            let mut read = ReadBuf::new(&mut piece);
            match ready!(Pin::new(&mut this.stream).poll_read(cx, &mut read)) {
                Ok(()) if !read.filled().is_empty() => {}
                _ => break,
            }
        }
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::{TcpListener, TcpStream};

    #[tokio::test]
    async fn whoever_sends_too_much_still_gets_the_answer() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut client = TcpStream::connect(listener.local_addr().unwrap())
            .await
            .unwrap();
        let (stream, _) = listener.accept().await.unwrap();
        let (_stop, stopping) = watch::channel(false);
        let server = tokio::spawn(async move {
            let mut stream = Lingering::new(stream, stopping);
            stream.write_all(b"too much").await.unwrap();
            stream.shutdown().await.unwrap();
        });
        client.write_all(&vec![b'a'; 4 << 20]).await.unwrap();
        client.shutdown().await.unwrap();
        let mut answer = String::new();
        client.read_to_string(&mut answer).await.unwrap();
        assert_eq!(answer, "too much");
        server.await.unwrap();
    }

    #[tokio::test]
    async fn a_host_that_stops_waits_for_nobody() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let _client = TcpStream::connect(listener.local_addr().unwrap())
            .await
            .unwrap();
        let (stream, _) = listener.accept().await.unwrap();
        let (_stop, stopping) = watch::channel(true);
        let begun = tokio::time::Instant::now();
        Lingering::new(stream, stopping).shutdown().await.unwrap();
        assert!(begun.elapsed() < PATIENCE);
    }
}
