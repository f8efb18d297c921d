//! One connection: HTTP/1.1 or HTTP/2, with bounds on everything that a client can delay.

use std::net::IpAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Weak};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes, HttpBody};
use http_body::{Frame, SizeHint};
use hyper::Request;
use hyper::body::Incoming;
use hyper::service::{Service as _, service_fn};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::server::graceful::Watcher;
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};

use super::client_address::Peer;

/// Largest head of an HTTP/1 request in bytes; hyper answers 431 beyond it.
const MAX_HEAD_BYTES: usize = 64 * 1024;
/// Most headers of an HTTP/1 request; hyper answers 431 beyond it. It is hyper's default, stated so that it stays.
/// Those of HTTP/2 count by their size, plus 32 bytes each (RFC 9113, 6.5.2): 512 at most.
const MAX_HEADERS: usize = 100;
/// Largest list of headers of an HTTP/2 request in bytes.
const MAX_HEADER_LIST_BYTES: u32 = 16 * 1024;
/// Requests at the same time on one HTTP/2 connection.
const MAX_STREAMS: u32 = 64;
/// Most streams of one HTTP/2 connection that a client may begin and reset at once; beyond that it is closed
/// (CVE-2023-44487).
const MAX_RESETS: usize = 32;

/// Serves connections.
#[derive(Debug, Clone)]
pub(crate) struct ConnectionServer {
    router: Router,
    builder: Builder<TokioExecutor>,
    idle: Duration,
}

impl ConnectionServer {
    /// `idle` bounds the time for the headers of a request, and the idle time of a connection.
    pub(crate) fn new(router: Router, idle: Duration) -> Self {
        let mut builder = Builder::new(TokioExecutor::new());
        builder
            .http1()
            .timer(TokioTimer::new())
            .header_read_timeout(idle)
            .max_buf_size(MAX_HEAD_BYTES)
            .max_headers(MAX_HEADERS);
        builder
            .http2()
            .timer(TokioTimer::new())
            .max_concurrent_streams(MAX_STREAMS)
            .max_header_list_size(MAX_HEADER_LIST_BYTES)
            .max_pending_accept_reset_streams(MAX_RESETS)
            .max_local_error_reset_streams(Some(MAX_RESETS))
            .keep_alive_interval(idle)
            .keep_alive_timeout(idle);
        Self {
            router,
            builder,
            idle,
        }
    }

    /// Serves this connection until its client closes it, it is idle for too long, or the service stops.
    pub(crate) async fn serve<S>(self, stream: S, peer: IpAddr, watcher: Watcher)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        // How many requests, and pieces of responses, have begun. Each request in flight shares it.
        let begun = Arc::new(AtomicUsize::new(0));
        let router = TowerToHyperService::new(self.router);
        let service = service_fn(|mut request: Request<Incoming>| {
            request.extensions_mut().insert(Peer(peer));
            begun.fetch_add(1, Ordering::Relaxed);
            let in_flight = Arc::clone(&begun);
            let response = router.call(request);
            async move {
                let response = response.await;
                let progress = Arc::downgrade(&in_flight);
                drop(in_flight);
                response.map(|response| response.map(|body| Body::new(Sent { body, progress })))
            }
        });
        let connection = self.builder.serve_connection(TokioIo::new(stream), service);
        let mut connection = std::pin::pin!(watcher.watch(connection));
        // hyper's own timeout begins after it has detected the protocol, and HTTP/2 has none.
        let mut before = 0;
        loop {
            match tokio::time::timeout(self.idle, &mut connection).await {
                Ok(Ok(())) => return,
                Ok(Err(error)) => {
                    tracing::debug!(error = %describe(&*error), "connection ended with an error");
                    return;
                }
                Err(_) => {
                    let now = begun.load(Ordering::Relaxed);
                    if Arc::strong_count(&begun) == 1 && now == before {
                        tracing::debug!("closed an idle connection");
                        return;
                    }
                    before = now;
                }
            }
        }
    }
}

/// The body of a response. A connection is not idle while its client takes piece after piece of it.
struct Sent {
    body: Body,
    /// Counts each piece like a request that has begun.
    progress: Weak<AtomicUsize>,
}

impl HttpBody for Sent {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let frame = Pin::new(&mut self.body).poll_frame(context);
        if frame.is_ready()
            && let Some(progress) = self.progress.upgrade()
        {
            progress.fetch_add(1, Ordering::Relaxed);
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// Returns an error with its causes: hyper's own texts name only the stage.
fn describe(error: &(dyn std::error::Error + 'static)) -> String {
    let errors = std::iter::successors(Some(error), |error| error.source());
    errors.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use axum::routing::get;
    use hyper_util::server::graceful::GracefulShutdown;
    use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
    use tokio::task::JoinHandle;
    use tokio::time::{Instant, Sleep, sleep};

    use super::*;

    const IDLE: Duration = Duration::from_secs(1);

    /// A body of so many pieces, each after a pause.
    struct Pieces {
        left: u32,
        pause: Duration,
        wait: Pin<Box<Sleep>>,
    }

    impl HttpBody for Pieces {
        type Data = Bytes;
        type Error = axum::Error;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            context: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
            std::task::ready!(self.wait.as_mut().poll(context));
            if self.left == 0 {
                return Poll::Ready(None);
            }
            self.left -= 1;
            let next = Instant::now() + self.pause;
            self.wait.as_mut().reset(next);
            Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(&[b'x'; 4096])))))
        }
    }

    /// Asks for a body of pieces. Returns the client's end of the connection, the end of its service, and what would stop it.
    async fn asked(left: u32, pause: Duration) -> (DuplexStream, JoinHandle<()>, GracefulShutdown) {
        let body = move || async move {
            let wait = Box::pin(sleep(pause));
            Body::new(Pieces { left, pause, wait })
        };
        let server = ConnectionServer::new(Router::new().route("/", get(body)), IDLE);
        let (mut client, stream) = tokio::io::duplex(8192);
        let graceful = GracefulShutdown::new();
        let watcher = graceful.watcher();
        let served = tokio::spawn(server.serve(stream, IpAddr::V4(Ipv4Addr::LOCALHOST), watcher));
        client
            .write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            .await
            .unwrap();
        (client, served, graceful)
    }

    #[tokio::test(start_paused = true)]
    async fn a_response_is_sent_to_its_end_however_long_it_takes() {
        let (mut client, served, _graceful) = asked(10, IDLE * 3 / 4).await;
        let mut received = Vec::new();
        client.read_to_end(&mut received).await.unwrap();
        assert!(received.ends_with(b"0\r\n\r\n"), "{} bytes", received.len());
        served.await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_takes_nothing_of_its_response_is_disconnected() {
        let (_client, served, _graceful) = asked(u32::MAX, Duration::ZERO).await;
        tokio::time::timeout(IDLE * 10, served).await.unwrap().unwrap();
    }
}
