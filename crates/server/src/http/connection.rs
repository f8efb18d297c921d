//! One connection: HTTP/1.1 or HTTP/2, with bounds on everything that a client can drag out.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::Router;
use hyper::Request;
use hyper::body::Incoming;
use hyper::service::{Service as _, service_fn};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::server::graceful::Watcher;
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};

use crate::http::client_address::Peer;

/// Largest head of an HTTP/1 request in bytes; hyper answers 431 beyond it.
const MAX_HEAD_BYTES: usize = 64 * 1024;
/// Most headers of an HTTP/1 request; hyper answers 431 beyond it. What it does by itself, said here so that it stays so.
/// Those of HTTP/2 count by their size, 32 bytes more for each (RFC 9113, 6.5.2): 512 at most.
const MAX_HEADERS: usize = 100;
/// Largest list of headers of an HTTP/2 request in bytes.
const MAX_HEADER_LIST_BYTES: u32 = 16 * 1024;
/// Requests at the same time on one HTTP/2 connection.
const MAX_STREAMS: u32 = 64;
/// Streams of one HTTP/2 connection that a client may have begun and reset at once; beyond that it is closed (the flood
/// of CVE-2023-44487).
const MAX_RESETS: usize = 32;

/// Serves connections, all in the same way.
#[derive(Debug, Clone)]
pub(crate) struct ConnectionServer {
    router: Router,
    builder: Builder<TokioExecutor>,
    idle: Duration,
}

impl ConnectionServer {
    /// `idle` is how long a client may take for the headers of a request, and how long a connection may stay idle.
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

    /// Serves this connection until its client is done, is idle for too long, or the service stops.
    pub(crate) async fn serve<S>(self, stream: S, peer: IpAddr, watcher: Watcher)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let activity = Arc::new(Activity::default());
        let router = TowerToHyperService::new(self.router);
        let service = service_fn(|mut request: Request<Incoming>| {
            request.extensions_mut().insert(Peer(peer));
            let under_way = activity.begin();
            let answer = router.call(request);
            async move {
                let answer = answer.await;
                drop(under_way);
                answer
            }
        });
        let connection = self.builder.serve_connection(TokioIo::new(stream), service);
        let mut connection = std::pin::pin!(watcher.watch(connection));
        // hyper's own timeout begins when it knows the version of the protocol, and HTTP/2 has none.
        let mut begun = 0;
        loop {
            match tokio::time::timeout(self.idle, &mut connection).await {
                Ok(Ok(())) => return,
                Ok(Err(error)) => {
                    tracing::debug!(error = %describe(&*error), "a connection ended with an error");
                    return;
                }
                Err(_) => {
                    let now = activity.begun.load(Ordering::Relaxed);
                    if activity.under_way.load(Ordering::Relaxed) == 0 && now == begun {
                        tracing::debug!("an idle connection is closed");
                        return;
                    }
                    begun = now;
                }
            }
        }
    }
}

/// An error and what is behind it: hyper's own texts name only the stage.
fn describe(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text = format!("{text}: {error}");
        source = error.source();
    }
    text
}

/// Requests on one connection.
#[derive(Debug, Default)]
struct Activity {
    begun: AtomicUsize,
    under_way: AtomicUsize,
}

impl Activity {
    fn begin(self: &Arc<Self>) -> UnderWay {
        self.begun.fetch_add(1, Ordering::Relaxed);
        self.under_way.fetch_add(1, Ordering::Relaxed);
        UnderWay(Arc::clone(self))
    }
}

struct UnderWay(Arc<Activity>);

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.under_way.fetch_sub(1, Ordering::Relaxed);
    }
}
