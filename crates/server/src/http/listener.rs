//! A listening socket and the connections that come by it.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::Router;
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::http::addresses::Addresses;
use crate::http::connection::ConnectionServer;
use crate::http::tls::Tls;
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
    addresses: Addresses,
    tls: Option<Tls>,
    usage: PortUsage,
    /// Handshakes hear by this that the port has closed: nothing has been asked for in them, and one that stalls is not
    /// worth waiting for.
    open: watch::Sender<()>,
}

/// How a port deals with those who connect.
#[derive(Debug)]
pub(crate) struct PortSettings {
    /// How long a connection may be idle.
    pub(crate) idle: Duration,
    /// How many are accepted at the same time.
    pub(crate) max_connections: usize,
    /// Of these, how many of one address.
    pub(crate) addresses: Addresses,
    pub(crate) tls: Option<Tls>,
}

impl Port {
    /// Opens the port.
    pub(crate) async fn open(
        address: SocketAddr,
        router: Router,
        settings: PortSettings,
    ) -> Result<Self, ServeError> {
        let PortSettings {
            idle,
            max_connections,
            addresses,
            tls,
        } = settings;
        let bind_error = |source| ServeError::Bind { address, source };
        let listener = TcpListener::bind(address).await.map_err(bind_error)?;
        Ok(Self {
            address: listener.local_addr().map_err(bind_error)?,
            listener,
            connections: ConnectionServer::new(router, idle),
            max_connections: Arc::new(Semaphore::new(max_connections)),
            addresses,
            tls,
            usage: PortUsage {
                open: Arc::default(),
                max: max_connections,
            },
            open: watch::Sender::new(()),
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
                Ok((stream, peer, permit)) => {
                    pause = ACCEPT_PAUSES.0;
                    let Some(of_address) = self.addresses.enter(peer) else {
                        continue;
                    };
                    let serving = self.serve_one(stream, peer, graceful.watcher());
                    let open = self.usage.enter();
                    tasks.spawn(async move {
                        serving.await;
                        drop((open, of_address, permit));
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
    async fn accept(&self) -> io::Result<(TcpStream, IpAddr, OwnedSemaphorePermit)> {
        let permit = Arc::clone(&self.max_connections)
            .acquire_owned()
            .await
            .map_err(io::Error::other)?;
        let (stream, peer) = self.listener.accept().await?;
        Ok((stream, peer.ip(), permit))
    }

    /// Serves a connection, in TLS where this port speaks it.
    fn serve_one(
        &self,
        stream: TcpStream,
        peer: IpAddr,
        watcher: Watcher,
    ) -> impl Future<Output = ()> + Send + 'static {
        let (connections, tls) = (self.connections.clone(), self.tls.clone());
        let mut open = self.open.subscribe();
        async move {
            if let Err(error) = stream.set_nodelay(true) {
                tracing::debug!(%error, "TCP_NODELAY could not be set");
            }
            match tls {
                None => connections.serve(stream, peer, watcher).await,
                Some(tls) => {
                    let accepted = tokio::select! {
                        biased;
                        accepted = tls.accept(stream) => accepted,
                        // Nothing is ever sent: it ends with the port.
                        _ = open.changed() => return,
                    };
                    match accepted {
                        Ok(stream) => connections.serve(stream, peer, watcher).await,
                        Err(error) => tracing::debug!(%peer, %error, "a TLS handshake failed"),
                    }
                }
            }
        }
    }
}
