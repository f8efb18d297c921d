//! The listening socket, from warm-up to the last answer.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use hyper_util::server::graceful::GracefulShutdown;
use likeness_engine::{Engine, EngineError};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::apps::Apps;
use crate::config::{Config, ConfigError};
use crate::connection::ConnectionServer;
use crate::routes::router;
use crate::service::Service;

/// First and longest pause after the system could give no connection, as when it is out of file descriptors.
const ACCEPT_PAUSES: (Duration, Duration) = (Duration::from_millis(5), Duration::from_secs(1));

/// The service, with its port open.
#[derive(Debug)]
pub struct Server {
    listener: TcpListener,
    local_addr: SocketAddr,
    service: Arc<Service>,
    connections: ConnectionServer,
    max_connections: Arc<Semaphore>,
    config: Config,
}

/// Why the service cannot run. The operator must act, except for [`ServeError::WarmUp`].
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServeError {
    /// The configuration cannot be used.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// Nobody could call.
    #[error(
        "no app is configured, so nobody could call: set LIKENESS_APPS=app_id:app_key, or put [[apps]] with `id` and \
         `key` into the configuration file"
    )]
    NoApps,
    /// The models do not work.
    #[error("the models failed their first run: {0}")]
    WarmUp(EngineError),
    /// A thread could not be started.
    #[error("the worker threads could not be started: {0}")]
    Threads(io::Error),
    /// The address cannot be listened on.
    #[error("cannot listen on {address}: {source}")]
    Bind {
        /// Which address.
        address: SocketAddr,
        /// Why.
        source: io::Error,
    },
}

impl Server {
    /// Runs the models once, then opens the port: whoever can connect is answered at full speed. `apps` are
    /// [`Config::apps`], perhaps with [`Apps::add_demo`]. To be called within a tokio runtime.
    ///
    /// # Errors
    /// [`ServeError`].
    pub async fn bind(config: Config, apps: Apps, engine: Engine) -> Result<Self, ServeError> {
        config.validate()?;
        if apps.is_empty() {
            return Err(ServeError::NoApps);
        }
        let warming = engine.clone();
        tokio::task::spawn_blocking(move || warming.warm_up())
            .await
            .unwrap_or_else(|error| Err(EngineError::Inference(error.into())))
            .map_err(ServeError::WarmUp)?;
        let bind_error = |source| ServeError::Bind {
            address: config.listen,
            source,
        };
        let listener = TcpListener::bind(config.listen).await.map_err(bind_error)?;
        let local_addr = listener.local_addr().map_err(bind_error)?;
        let service = Arc::new(Service::new(&config, apps, engine).map_err(ServeError::Threads)?);
        let connections = ConnectionServer::new(router(Arc::clone(&service)), config.connections.header_read);
        Ok(Self {
            listener,
            local_addr,
            service,
            connections,
            max_connections: Arc::new(Semaphore::new(config.connections.max)),
            config,
        })
    }

    /// The address that is listened on; its port is the one that the system chose where 0 was asked for.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.local_addr
    }

    /// Serves until `shutdown` resolves, see [`shutdown_signal`]. Then `/readyz` turns 503; after
    /// `shutdown.delay_seconds` the port closes; what is under way is finished, for as long as a request may take and
    /// `shutdown.grace_seconds` more; then this returns.
    pub async fn run(self, shutdown: impl Future<Output = ()>) {
        let mut tasks = JoinSet::new();
        let graceful = GracefulShutdown::new();
        self.accept_until(shutdown, &mut tasks, &graceful).await;

        self.service.ready.store(false, Ordering::Relaxed);
        tracing::info!(
            connections = graceful.count(),
            "shutting down: finishing what is under way"
        );
        self.accept_until(sleep(self.config.shutdown.delay), &mut tasks, &graceful)
            .await;
        drop(self.listener);

        let patience = self
            .config
            .limits
            .deadline
            .saturating_add(self.config.shutdown.grace);
        let finished = async {
            graceful.shutdown().await;
            self.service.admission.idle().await;
        };
        if timeout(patience, finished).await.is_err() {
            tracing::warn!(
                connections = tasks.len(),
                "shut down before everything under way was finished"
            );
        } else {
            tracing::info!("shut down");
        }
        tasks.shutdown().await;
    }

    async fn accept_until(
        &self,
        until: impl Future<Output = ()>,
        tasks: &mut JoinSet<()>,
        graceful: &GracefulShutdown,
    ) {
        let mut until = std::pin::pin!(until);
        let mut pause = ACCEPT_PAUSES.0;
        loop {
            let accepted = tokio::select! {
                biased;
                () = &mut until => return,
                Some(_) = tasks.join_next() => continue,
                accepted = self.accept() => accepted,
            };
            match accepted {
                Ok((stream, permit)) => {
                    pause = ACCEPT_PAUSES.0;
                    let serving = self.connections.clone().serve(stream, graceful.watcher());
                    tasks.spawn(async move {
                        serving.await;
                        drop(permit);
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
                    tokio::select! {
                        () = &mut until => return,
                        () = sleep(pause) => {}
                    }
                    pause = pause.saturating_mul(2).min(ACCEPT_PAUSES.1);
                }
            }
        }
    }

    /// The next connection, once there is room for one.
    async fn accept(&self) -> io::Result<(TcpStream, tokio::sync::OwnedSemaphorePermit)> {
        let permit = Arc::clone(&self.max_connections)
            .acquire_owned()
            .await
            .map_err(io::Error::other)?;
        let (stream, _) = self.listener.accept().await?;
        Ok((stream, permit))
    }
}

/// Resolves at the first SIGTERM or Ctrl-C of this process. Where a signal cannot be listened to, that is logged, and
/// the other one works.
pub async fn shutdown_signal() {
    let interrupt = async {
        if let Err(error) = tokio::signal::ctrl_c().await {
            tracing::error!(%error, "Ctrl-C cannot be listened to");
            std::future::pending::<()>().await;
        }
    };
    #[cfg(unix)]
    let terminate = async {
        match tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()) {
            Ok(mut signal) => {
                signal.recv().await;
            }
            Err(error) => {
                tracing::error!(%error, "SIGTERM cannot be listened to");
                std::future::pending::<()>().await;
            }
        }
    };
    #[cfg(not(unix))]
    let terminate = std::future::pending::<()>();
    tokio::select! {
        () = interrupt => {}
        () = terminate => {}
    }
}
