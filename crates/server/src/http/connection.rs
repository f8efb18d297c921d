//! One connection: HTTP/1.1 or HTTP/2, with bounds on everything that a client can delay.

use std::net::IpAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Weak};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes, HttpBody};
use axum::http::{HeaderValue, Version, header};
use http_body::{Frame, SizeHint};
use hyper::Request;
use hyper::body::Incoming;
use hyper::service::{Service as _, service_fn};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{Instant, sleep_until, timeout};

use super::client_address::Peer;
use super::draining::{Stage, Watcher};

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

/// How long a connection without a request yet stays open in a shutdown. A client that has just connected has sent its request,
/// or does so at once: a proxy would not know whether that was served, and may not repeat it.
const FIRST_REQUEST: Duration = Duration::from_secs(1);

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
    pub(crate) async fn serve<S>(self, stream: S, peer: IpAddr, mut watcher: Watcher)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        // How many requests, and pieces of responses, have begun. Each request in flight shares it.
        let begun = Arc::new(AtomicUsize::new(0));
        let is_ending = Arc::new(AtomicBool::new(false));
        let router = TowerToHyperService::new(self.router);
        let service = service_fn(|mut request: Request<Incoming>| {
            request.extensions_mut().insert(Peer(peer));
            begun.fetch_add(1, Ordering::Relaxed);
            let in_flight = Arc::clone(&begun);
            let (is_ending, version) = (Arc::clone(&is_ending), request.version());
            let response = router.call(request);
            async move {
                let response = response.await;
                let progress = Arc::downgrade(&in_flight);
                drop(in_flight);
                response.map(|mut response| {
                    // HTTP/2 has a message for it, and no such header.
                    if is_ending.load(Ordering::Relaxed) && version < Version::HTTP_2 {
                        let close = HeaderValue::from_static("close");
                        response.headers_mut().insert(header::CONNECTION, close);
                    }
                    response.map(|body| Body::new(Sent { body, progress }))
                })
            }
        });
        let connection = self.builder.serve_connection(TokioIo::new(stream), service);
        let mut connection = std::pin::pin!(connection);
        let (mut before, mut close_at) = (0, None);
        loop {
            // hyper's own timeout begins after it has detected the protocol, and HTTP/2 has none.
            let outcome = tokio::select! {
                biased;
                Ok(()) = watcher.changed() => {
                    is_ending.store(*watcher.borrow() != Stage::Serving, Ordering::Relaxed);
                    if *watcher.borrow() == Stage::Closing {
                        let wait = if begun.load(Ordering::Relaxed) == 0 { FIRST_REQUEST } else { Duration::ZERO };
                        close_at = Some(Instant::now() + wait);
                    }
                    continue;
                }
                () = sleep_until(close_at.unwrap_or_else(Instant::now)), if close_at.is_some() => {
                    close_at = None;
                    connection.as_mut().graceful_shutdown();
                    continue;
                }
                outcome = timeout(self.idle, &mut connection) => outcome,
            };
            match outcome {
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
    use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
    use tokio::task::JoinHandle;
    use tokio::time::{Instant, Sleep, sleep};

    use super::super::draining::Draining;
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
    async fn asked(left: u32, pause: Duration) -> (DuplexStream, JoinHandle<()>, Draining) {
        let body = move || async move {
            let wait = Box::pin(sleep(pause));
            Body::new(Pieces { left, pause, wait })
        };
        let server = ConnectionServer::new(Router::new().route("/", get(body)), IDLE);
        let (mut client, stream) = tokio::io::duplex(8192);
        let draining = Draining::new();
        let served = tokio::spawn(server.serve(stream, IpAddr::V4(Ipv4Addr::LOCALHOST), draining.watcher()));
        client
            .write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            .await
            .unwrap();
        (client, served, draining)
    }

    #[tokio::test(start_paused = true)]
    async fn a_response_is_sent_to_its_end_however_long_it_takes() {
        let (mut client, served, _draining) = asked(10, IDLE * 3 / 4).await;
        let mut received = Vec::new();
        client.read_to_end(&mut received).await.unwrap();
        assert!(received.ends_with(b"0\r\n\r\n"), "{} bytes", received.len());
        served.await.unwrap();
    }

    /// Returns the client's end of a connection without a request, the end of its service, and what stops it.
    fn connected() -> (DuplexStream, JoinHandle<()>, Draining) {
        let server = ConnectionServer::new(Router::new().route("/", get(async || "here")), IDLE * 60);
        let (client, stream) = tokio::io::duplex(8192);
        let draining = Draining::new();
        let served = tokio::spawn(server.serve(stream, IpAddr::V4(Ipv4Addr::LOCALHOST), draining.watcher()));
        (client, served, draining)
    }

    const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";

    #[tokio::test(start_paused = true)]
    async fn a_response_during_a_shutdown_announces_that_its_connection_is_closed() {
        let (mut client, served, draining) = connected();
        let mut received = [0; 1024];
        client.write_all(REQUEST).await.unwrap();
        let length = client.read(&mut received).await.unwrap();
        let first = String::from_utf8_lossy(&received[..length]).into_owned();
        assert!(
            first.ends_with("here") && !first.contains("connection: close"),
            "{first}"
        );
        draining.announce();
        client.write_all(REQUEST).await.unwrap();
        let mut rest = String::new();
        client.read_to_string(&mut rest).await.unwrap();
        assert!(
            rest.ends_with("here") && rest.contains("connection: close"),
            "{rest}"
        );
        served.await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn a_shutdown_waits_for_the_first_request_of_a_new_connection_and_no_longer_than_a_second() {
        let (mut client, served, draining) = connected();
        let closing = tokio::spawn(async move { draining.close().await });
        tokio::time::sleep(FIRST_REQUEST / 2).await;
        client.write_all(REQUEST).await.unwrap();
        let mut received = String::new();
        client.read_to_string(&mut received).await.unwrap();
        assert!(received.ends_with("here"), "{received}");
        served.await.unwrap();
        closing.await.unwrap();

        let (_client, served, draining) = connected();
        let begun = Instant::now();
        draining.close().await;
        served.await.unwrap();
        assert_eq!(begun.elapsed().as_secs(), FIRST_REQUEST.as_secs());
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_takes_nothing_of_its_response_is_disconnected() {
        let (_client, served, _draining) = asked(u32::MAX, Duration::ZERO).await;
        tokio::time::timeout(IDLE * 10, served).await.unwrap().unwrap();
    }
}
