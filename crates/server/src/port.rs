//! A listening socket and the connections that come by it.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::Router;
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::connection::ConnectionServer;
use crate::serve::ServeError;

/// First and longest pause after the system could give no connection, as when it is out of file descriptors.
const ACCEPT_PAUSES: (Duration, Duration) = (Duration::from_millis(5), Duration::from_secs(1));

/// How many connections a port has, for metrics.
#[derive(Debug, Clone)]
pub(crate) struct PortUsage {
    open: Arc<AtomicUsize>,
    max: usize,
}

impl PortUsage {
    /// Connections that are open.
    pub(crate) fn open(&self) -> usize {
        self.open.load(Ordering::Relaxed)
    }

    /// One more, for as long as what this gives lives.
    fn enter(&self) -> OpenConnection {
        self.open.fetch_add(1, Ordering::Relaxed);
        OpenConnection(Arc::clone(&self.open))
    }

    /// How many may be open at the same time.
    pub(crate) fn max(&self) -> usize {
        self.max
    }
}

struct OpenConnection(Arc<AtomicUsize>);

impl Drop for OpenConnection {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// An open port. It closes when this is dropped.
#[derive(Debug)]
pub(crate) struct Port {
    listener: TcpListener,
    address: SocketAddr,
    connections: ConnectionServer,
    max_connections: Arc<Semaphore>,
    usage: PortUsage,
}

impl Port {
    /// Opens the port; at most `max_connections` at a time are accepted, and each may be idle for as long as `idle`.
    pub(crate) async fn open(
        address: SocketAddr,
        router: Router,
        idle: Duration,
        max_connections: usize,
    ) -> Result<Self, ServeError> {
        let bind_error = |source| ServeError::Bind { address, source };
        let listener = TcpListener::bind(address).await.map_err(bind_error)?;
        Ok(Self {
            address: listener.local_addr().map_err(bind_error)?,
            listener,
            connections: ConnectionServer::new(router, idle),
            max_connections: Arc::new(Semaphore::new(max_connections)),
            usage: PortUsage {
                open: Arc::default(),
                max: max_connections,
            },
        })
    }

    /// The address that is listened on, with the port that the system chose where 0 was asked for.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Says how many connections there are, whenever it is asked.
    pub(crate) fn usage(&self) -> PortUsage {
        self.usage.clone()
    }

    /// Accepts connections and serves them in `tasks`, for as long as this future is polled.
    pub(crate) async fn serve(&self, tasks: &mut JoinSet<()>, graceful: &GracefulShutdown) {
        let mut pause = ACCEPT_PAUSES.0;
        loop {
            let accepted = tokio::select! {
                biased;
                Some(_) = tasks.join_next() => continue,
                accepted = self.accept() => accepted,
            };
            match accepted {
                Ok((stream, permit)) => {
                    pause = ACCEPT_PAUSES.0;
                    let serving = self.connections.clone().serve(stream, graceful.watcher());
                    let open = self.usage.enter();
                    tasks.spawn(async move {
                        serving.await;
                        drop((open, permit));
                    });
                }
                // The client gave up before it was accepted.
                Err(error)
                    if matches!(
                        error.kind(),
                        io::ErrorKind::ConnectionAborted
                            | io::ErrorKind::ConnectionReset
                            | io::ErrorKind::ConnectionRefused
                    ) => {}
                Err(error) => {
                    tracing::warn!(%error, "no connection could be accepted");
                    sleep(pause).await;
                    pause = pause.saturating_mul(2).min(ACCEPT_PAUSES.1);
                }
            }
        }
    }

    /// The next connection, once there is room for one.
    async fn accept(&self) -> io::Result<(TcpStream, OwnedSemaphorePermit)> {
        let permit = Arc::clone(&self.max_connections)
            .acquire_owned()
            .await
            .map_err(io::Error::other)?;
        let (stream, _) = self.listener.accept().await?;
        Ok((stream, permit))
    }
}
