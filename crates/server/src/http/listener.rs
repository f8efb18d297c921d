//! A listening socket and its connections.

use std::io;
use std::net::{IpAddr, SocketAddr};
#[cfg(unix)]
use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::addresses::Addresses;
use super::connection::ConnectionServer;
use super::draining::{Draining, Watcher};
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
    pub(crate) async fn serve(&self, tasks: &mut JoinSet<()>, draining: &Draining) {
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
                    self.begin(stream, peer, permit, tasks, draining);
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

    /// Serves the connections that the system has accepted for this socket. Closing the socket would reset them, with the
    /// requests that their clients have sent.
    #[cfg(unix)]
    pub(crate) fn serve_waiting(&self, tasks: &mut JoinSet<()>, draining: &Draining) {
        let socket = self.socket.as_fd().try_clone_to_owned();
        let Ok(socket) = socket.map(std::net::TcpListener::from) else {
            return;
        };
        while let Some(permit) = self.settings.count.try_take() {
            let Ok((stream, peer)) = socket.accept() else {
                return;
            };
            let stream = stream
                .set_nonblocking(true)
                .and_then(|()| TcpStream::from_std(stream));
            if let Ok(stream) = stream {
                self.begin(stream, peer.ip(), permit, tasks, draining);
            }
        }
    }

    /// Serves a connection in `tasks`, unless its address has too many.
    fn begin(
        &self,
        stream: TcpStream,
        peer: IpAddr,
        permit: Permit,
        tasks: &mut JoinSet<()>,
        draining: &Draining,
    ) {
        let Some(of_address) = self.settings.addresses.enter(peer) else {
            return;
        };
        let serving = self.serve_one(stream, peer, draining.watcher());
        tasks.spawn(async move {
            serving.await;
            drop((of_address, permit));
        });
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

#[cfg(all(test, unix))]
mod tests {
    use std::net::Ipv4Addr;

    use axum::routing::get;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::super::client_address::Proxies;
    use super::*;

    #[tokio::test]
    async fn a_request_that_waits_to_be_accepted_is_served_before_the_socket_closes() {
        let settings = ListenerSettings {
            address: (Ipv4Addr::LOCALHOST, 0).into(),
            idle: Duration::from_secs(60),
            count: Permits::new(8),
            addresses: Addresses::new(0, Proxies::new(&crate::Config::default().proxies)),
            tls: None,
        };
        let router = Router::new().route("/", get(async || "here"));
        let listener = Listener::open(settings, router).await.unwrap();
        let mut clients = Vec::new();
        for _ in 0..3 {
            let mut client = TcpStream::connect(listener.address()).await.unwrap();
            client
                .write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
                .await
                .unwrap();
            clients.push(client);
        }
        let (mut tasks, draining) = (JoinSet::new(), Draining::new());
        draining.announce();
        listener.serve_waiting(&mut tasks, &draining);
        let address = listener.address();
        drop(listener);
        for mut client in clients {
            let mut received = String::new();
            client.read_to_string(&mut received).await.unwrap();
            assert!(
                received.ends_with("here") && received.contains("connection: close"),
                "{received}"
            );
        }
        draining.close().await;
        assert!(TcpStream::connect(address).await.is_err());
    }
}
