//! Connections: accepted in one place, served for good on the thread with the fewest.

use super::Shared;
use super::linger::Lingering;
use super::peers::{Guest, Peers};
use super::router::Router;
use super::visitor::Peer;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use std::convert::Infallible;
use std::net::{SocketAddr, TcpStream};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{mpsc, watch};

/// The threads that serve.
pub struct Threads {
    threads: Vec<Thread>,
    stop: watch::Sender<bool>,
    most: usize,
    peers: Arc<Peers>,
}

/// A connection, its other end, whether it is to become secure, and its count.
type Arrival = (TcpStream, SocketAddr, bool, Guest);

struct Thread {
    connections: Arc<AtomicUsize>,
    hand_over: mpsc::UnboundedSender<Arrival>,
    handle: JoinHandle<()>,
}

impl Threads {
    /// Starts `count` threads.
    pub fn start(shared: &Arc<Shared>, count: usize) -> anyhow::Result<Self> {
        let (stop, stopping) = watch::channel(false);
        let mut threads = Vec::new();
        for number in 0..count {
            let router = Router::new(shared).map_err(anyhow::Error::from)?;
            let connections = Arc::new(AtomicUsize::new(0));
            let (hand_over, incoming) = mpsc::unbounded_channel();
            let (counter, stopping) = (connections.clone(), stopping.clone());
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()?;
            let serve = move || runtime.block_on(serve(router, incoming, counter, stopping));
            let handle = std::thread::Builder::new()
                .name(format!("http-{number}"))
                .spawn(serve)?;
            threads.push(Thread {
                connections,
                hand_over,
                handle,
            });
        }
        let most = shared.limits.connections;
        Ok(Self {
            threads,
            stop,
            most,
            peers: Peers::new(most, shared.limits.trusted.clone()),
        })
    }

    /// Gives a connection to the thread with the fewest; closes it when there are too many, in all or of its address.
    pub fn take(&self, stream: TcpStream, client: SocketAddr, secure: bool) {
        let open = |thread: &Thread| thread.connections.load(Relaxed);
        if self.threads.iter().map(open).sum::<usize>() >= self.most {
            tracing::warn!(
                most = self.most,
                "a connection was refused: too many are open"
            );
            return;
        }
        let Some(guest) = self.peers.admit(client.ip()) else {
            tracing::warn!(%client, "a connection was refused: too many are open from there");
            return;
        };
        let fewest = self
            .threads
            .iter()
            .min_by_key(|thread| thread.connections.load(Relaxed));
        if let Some(thread) = fewest {
            thread.connections.fetch_add(1, Relaxed);
            // A thread that is gone has ended the process's service anyway.
            let _ = thread.hand_over.send((stream, client, secure, guest));
        }
    }

    /// Finishes what is in flight, up to `most`.
    pub fn stop(&self, shared: &Shared, most: Duration) {
        shared.stopping.store(true, Relaxed);
        let _ = self.stop.send(true);
        let until = std::time::Instant::now() + most;
        for thread in &self.threads {
            while !thread.handle.is_finished() && std::time::Instant::now() < until {
                std::thread::sleep(Duration::from_millis(5));
            }
        }
    }
}

async fn serve(
    router: Arc<Router>,
    mut incoming: mpsc::UnboundedReceiver<Arrival>,
    connections: Arc<AtomicUsize>,
    mut stopping: watch::Receiver<bool>,
) {
    let told = stopping.clone();
    loop {
        tokio::select! {
            next = incoming.recv() => match next {
                Some((stream, client, secure, guest)) => {
                    let open = Open(connections.clone());
                    let peer = Peer { address: client, secure };
                    let connection = connection(router.clone(), stream, peer, told.clone());
                    tokio::spawn(async move {
                        connection.await;
                        drop((open, guest));
                    });
                }
                None => break,
            },
            _ = stopping.wait_for(|stop| *stop) => break,
        }
    }
    while connections.load(Relaxed) > 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// One open connection, counted until dropped.
struct Open(Arc<AtomicUsize>);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}

async fn connection(
    router: Arc<Router>,
    stream: TcpStream,
    peer: Peer,
    stopping: watch::Receiver<bool>,
) {
    let _ = stream.set_nodelay(true);
    let Ok(stream) = tokio::net::TcpStream::from_std(stream) else {
        return;
    };
    let peer = Arc::new(peer);
    if !peer.secure {
        return exchange(router, stream, peer, stopping).await;
    }
    let shared = router.clone();
    let Some(tls) = &shared.shared().edge.tls else {
        return;
    };
    if let Some(stream) = tls.door.admit(stream).await {
        exchange(router, stream, peer, stopping).await;
    }
}

/// Answers the requests of one connection until either end has enough.
async fn exchange(
    router: Arc<Router>,
    stream: impl AsyncRead + AsyncWrite + Unpin + 'static,
    peer: Arc<Peer>,
    mut stopping: watch::Receiver<bool>,
) {
    let head_time = router.shared().limits.head_time;
    let stream = Lingering::new(stream, stopping.clone());
    let service = service_fn(move |request| {
        let (router, peer) = (router.clone(), peer.clone());
        async move { Ok::<_, Infallible>(router.answer(request, &peer).await) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(head_time)
        .max_headers(200)
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = pin!(connection);
    let told = async move { stopping.wait_for(|stop| *stop).await.map(drop) };
    let early = tokio::select! {
        ended = connection.as_mut() => Some(ended),
        _ = told => None,
    };
    let ended = match early {
        Some(ended) => ended,
        None => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection ended");
    }
}
