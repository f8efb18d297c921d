//! A listening socket and its connections.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::addresses::Addresses;
use super::connection::ConnectionServer;
use super::tls::Tls;
use crate::permits::{Permit, Permits};

/// First and longest pause after a failed accept, as when the system is out of file descriptors.
const ACCEPT_PAUSES: (Duration, Duration) = (Duration::from_millis(5), Duration::from_secs(1));

const GAVE_UP: [io::ErrorKind; 3] = [
    io::ErrorKind::ConnectionAborted,
    io::ErrorKind::ConnectionReset,
    io::ErrorKind::ConnectionRefused,
];

/// A listening socket. It closes when this is dropped.
pub(crate) struct Listener {
    socket: TcpListener,
    settings: ListenerSettings,
    connections: ConnectionServer,
    /// Ends TLS handshakes when the listener closes: they carry no request yet, and a stalled one is not worth waiting for.
    open: watch::Sender<()>,
}

/// Settings of a listener.
pub(crate) struct ListenerSettings {
    pub(crate) address: SocketAddr,
    /// Longest time that a connection may be idle.
    pub(crate) idle: Duration,
    /// Counts and bounds the open connections.
    pub(crate) count: Permits,
    /// Bounds the connections of each address.
    pub(crate) addresses: Addresses,
    pub(crate) tls: Option<Arc<Tls>>,
}

impl Listener {
    pub(crate) async fn open(mut settings: ListenerSettings, router: Router) -> io::Result<Self> {
        let socket = TcpListener::bind(settings.address).await?;
        settings.address = socket.local_addr()?;
        Ok(Self {
            socket,
            connections: ConnectionServer::new(router, settings.idle),
            settings,
            open: watch::Sender::new(()),
        })
    }

    /// Returns the address, with the port that the system chose if it was 0.
    pub(crate) fn address(&self) -> SocketAddr {
        self.settings.address
    }

    /// Returns `https` if this listener speaks TLS, else `http`.
    pub(crate) fn scheme(&self) -> &'static str {
        if self.settings.tls.is_some() {
            "https"
        } else {
            "http"
        }
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
                    let Some(of_address) = self.settings.addresses.enter(peer) else {
                        continue;
                    };
                    let serving = self.serve_one(stream, peer, graceful.watcher());
                    tasks.spawn(async move {
                        serving.await;
                        drop((of_address, permit));
                    });
                }
                // The client gave up before it was accepted.
                Err(error) if GAVE_UP.contains(&error.kind()) => {}
                Err(error) => {
                    tracing::warn!(%error, "accepting a connection failed");
                    sleep(pause).await;
                    pause = pause.saturating_mul(2).min(ACCEPT_PAUSES.1);
                }
            }
        }
    }

    /// Accepts the next connection when there is room for one.
    async fn accept(&self) -> io::Result<(TcpStream, IpAddr, Permit)> {
        // Returned at once, so that only open connections count. No other task takes permits.
        drop(self.settings.count.take().await);
        let (stream, peer) = self.socket.accept().await?;
        let permit = self
            .settings
            .count
            .try_take()
            .ok_or_else(|| io::Error::other("no permit"))?;
        Ok((stream, peer.ip(), permit))
    }

    /// Serves a connection, with TLS if this listener speaks it.
    fn serve_one(
        &self,
        stream: TcpStream,
        peer: IpAddr,
        watcher: Watcher,
    ) -> impl Future<Output = ()> + Send + 'static {
        let (connections, tls) = (self.connections.clone(), self.settings.tls.clone());
        let mut open = self.open.subscribe();
        async move {
            if let Err(error) = stream.set_nodelay(true) {
                tracing::debug!(%error, "setting TCP_NODELAY failed");
            }
            let Some(tls) = tls else {
                return connections.serve(stream, peer, watcher).await;
            };
            let accepted = tokio::select! {
                biased;
                accepted = tls.accept(stream) => accepted,
                // Nothing is ever sent: it ends with the listener.
                _ = open.changed() => return,
            };
            match accepted {
                Ok(stream) => connections.serve(stream, peer, watcher).await,
                Err(error) => tracing::debug!(%peer, %error, "TLS handshake failed"),
            }
        }
    }
}
