//! The service, from warm-up to the last answer.

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::Ordering;
use std::sync::{Arc, OnceLock};

use hyper_util::server::graceful::GracefulShutdown;
use likeness_engine::{Engine, EngineError};
use likeness_storage::StorageError;
use likeness_storage::apps::NewApp;
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::addresses::Addresses;
use crate::admin::{self, Admin};
use crate::apps::{AppDirectory, Apps, DEMO_APP};
use crate::audit::{Audit, AuditError};
use crate::config::{Config, ConfigError};
use crate::engine_slot::EngineSlot;
use crate::limits::Limits;
use crate::logs::Logs;
use crate::port::{Port, PortSettings};
use crate::reload::{EngineSource, Hangups, Reloader, SettingsReloader, SourceError};
use crate::routes::router;
use crate::service::Service;
#[cfg(unix)]
use crate::signals::survive_file_size_limit;
use crate::tls::{Tls, TlsError};

/// Connections of operators at the same time: people, supervisors and what collects metrics.
const MAX_ADMIN_CONNECTIONS: usize = 64;

/// The service, with its ports open.
#[derive(Debug)]
pub struct Server {
    callers: Port,
    operators: Option<Port>,
    service: Arc<Service>,
    reloader: Option<Reloader>,
    settings: Arc<OnceLock<SettingsReloader>>,
    hangups: Option<Hangups>,
    tls: Option<Tls>,
    first_app: Option<NewApp>,
    config: Config,
}

/// Why the service cannot run. The operator must act, except for [`ServeError::WarmUp`].
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServeError {
    /// The configuration cannot be used.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// There is no engine.
    #[error(transparent)]
    Source(SourceError),
    /// Nothing could be recorded.
    #[error(transparent)]
    Audit(#[from] AuditError),
    /// There is no certificate to be served.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The models do not work.
    #[error("the models failed their first run: {0}")]
    WarmUp(EngineError),
    /// The storage cannot be used.
    #[error(transparent)]
    Storage(#[from] StorageError),
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
    /// Runs the models once, opens the storage that `config.storage` names (unless it says otherwise an SQLite file in the
    /// working directory), then opens the ports: whoever can connect is answered at full speed. `apps` are
    /// [`Config::apps`], perhaps with [`Apps::add_demo`]; those of the storage come besides. The engine serves to the end; with
    /// [`bind_reloadable`](Self::bind_reloadable) it can be replaced. To be called within a tokio runtime.
    ///
    /// # Errors
    /// [`ServeError`].
    pub async fn bind(config: Config, apps: Apps, engine: Engine) -> Result<Self, ServeError> {
        config.validate()?;
        let engine = blocking(move || {
            engine.warm_up().map_err(ServeError::WarmUp)?;
            Ok(engine)
        })
        .await?;
        Self::open(config, apps, EngineSlot::new(engine), None).await
    }

    /// Like [`bind`](Self::bind), with an engine of this source; and with others of it, as its fingerprint changes or an
    /// operator asks.
    ///
    /// # Errors
    /// [`ServeError`].
    pub async fn bind_reloadable(
        config: Config,
        apps: Apps,
        source: impl EngineSource,
    ) -> Result<Self, ServeError> {
        config.validate()?;
        let (source, fingerprint, engine) = blocking(move || {
            // In this order: what changes meanwhile is noticed later.
            let fingerprint = source.fingerprint().map_err(ServeError::Source)?;
            let engine = source.build().map_err(ServeError::Source)?;
            engine.warm_up().map_err(ServeError::WarmUp)?;
            Ok((source, fingerprint, engine))
        })
        .await?;
        let slot = EngineSlot::new(engine);
        let reloader = Reloader::new(Box::new(source), slot.clone(), fingerprint);
        Self::open(config, apps, slot, Some(reloader)).await
    }

    async fn open(
        config: Config,
        apps: Apps,
        engine: EngineSlot,
        reloader: Option<Reloader>,
    ) -> Result<Self, ServeError> {
        let has_demo = apps.has_demo();
        let database = config.storage.open().await?;
        let apps = AppDirectory::open(apps, database.clone()).await?;
        let app_limits = Limits::open(database.clone(), &config.storage.folder, &config.quotas).await?;
        let audit = Audit::open(&config.audit, &config.storage.folder, database.clone())?;
        let service = Service::new(&config, apps, app_limits, engine, database, audit);
        let service = Arc::new(service.map_err(ServeError::Threads)?);
        let settings = Arc::new(OnceLock::new());
        let tls = Tls::open(&config.tls)?;
        if let Some(tls) = &tls {
            service.metrics.sources.set_certificate(tls.clone());
        }
        let proxies = service.observers.proxies.clone();
        let port = |max_connections, max_per_address, tls| PortSettings {
            idle: config.connections.header_read,
            max_connections,
            addresses: Addresses::new(max_per_address, proxies.clone()),
            tls,
        };
        let callers = Port::open(
            config.listen,
            router(Arc::clone(&service), &config.cors, config.docs),
            port(config.connections.max, config.max_per_address(), tls.clone()),
        )
        .await?;
        let operators = match config.admin.listen {
            Some(address) => {
                let admin = Admin::new(
                    &config,
                    Arc::clone(&service),
                    reloader.clone(),
                    Arc::clone(&settings),
                );
                let tls = tls.clone().filter(|_| config.tls.operators);
                Some(Port::open(address, admin::router(admin), port(MAX_ADMIN_CONNECTIONS, 0, tls)).await?)
            }
            None => None,
        };
        let operators_usage = operators.as_ref().map(|port| ("operators", port.usage()));
        let ports = [("callers", callers.usage())].into_iter().chain(operators_usage);
        service.metrics.set_ports(ports.collect());
        if let Some(reloader) = &reloader {
            service.metrics.set_model_reloads(reloader.outcomes());
        }
        if let Some(audit) = &service.observers.audit {
            service.metrics.sources.set_audit(audit.gauges());
            audit.started(service.engine.current().labels());
        }
        // Last: whoever starts it sees the key of an app that is made only where the start succeeds.
        let first_app = service.apps.make_first().await?;
        if has_demo && !config.listen.ip().is_loopback() {
            tracing::warn!(
                listen = %callers.address(),
                app = DEMO_APP,
                "the demo app can be used from other machines: listen on 127.0.0.1, or serve without --demo"
            );
        }
        if service.apps.current().is_empty() {
            tracing::warn!("there is no app, so nobody can call: make one with `likeness apps create`");
        }
        Ok(Self {
            callers,
            operators,
            service,
            reloader,
            settings,
            hangups: None,
            tls,
            first_app,
            config,
        })
    }

    /// What callers' URLs begin with: `http`, or `https` where they have to speak TLS.
    #[must_use]
    pub fn scheme(&self) -> &'static str {
        scheme(self.tls.is_some())
    }

    /// What operators' URLs begin with.
    #[must_use]
    pub fn operators_scheme(&self) -> &'static str {
        scheme(self.tls.is_some() && self.config.tls.operators)
    }

    /// The address that is listened on; its port is the one that the system chose where 0 was asked for.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.callers.address()
    }

    /// Likewise the address of the operator's port, where there is one.
    #[must_use]
    pub fn admin_addr(&self) -> Option<SocketAddr> {
        self.operators.as_ref().map(Port::address)
    }

    /// The app that was made because there was none, neither in the configuration nor in a new storage. Its key is to be
    /// shown: nothing keeps it.
    pub fn take_first_app(&mut self) -> Option<NewApp> {
        self.first_app.take()
    }

    /// The engine that answers now.
    #[must_use]
    pub fn engine(&self) -> Engine {
        self.service.engine.current()
    }

    /// What replaces the engine, for a service that was made with [`bind_reloadable`](Self::bind_reloadable).
    #[must_use]
    pub fn reloader(&self) -> Option<Reloader> {
        self.reloader.clone()
    }

    /// Has the settings read by `read` when an operator asks for a reload; what can be changed while serving holds from
    /// then on. Without this call they stay as they are. `read` gives what the service was bound with, until that changes.
    #[must_use]
    pub fn with_settings(
        self,
        read: impl Fn() -> Result<Config, ConfigError> + Send + Sync + 'static,
    ) -> Self {
        // A second call changes nothing.
        let _ = self.settings.set(SettingsReloader::new(
            Arc::clone(&self.service),
            self.config.clone(),
            read,
        ));
        self
    }

    /// Has the log follow `log.filter` when the settings are read again. The log outlives the service.
    #[must_use]
    pub fn with_logs(self, logs: Logs) -> Self {
        // A second call changes nothing.
        let _ = self.service.logs.set(logs);
        self
    }

    /// Has what becomes of requests exported as traces.
    #[cfg(feature = "otel")]
    #[must_use]
    pub fn with_traces(self, traces: crate::traces::Traces) -> Self {
        // A second call changes nothing.
        let _ = self.service.observers.traces.set(traces);
        self
    }

    /// Has settings and models read again at each of these, also those that came before [`run`](Self::run). What comes of
    /// it is logged.
    #[must_use]
    pub fn with_hangups(mut self, hangups: Hangups) -> Self {
        self.hangups = Some(hangups);
        self
    }

    /// Serves until `shutdown` resolves, see [`shutdown_signal`](crate::shutdown_signal). Then `/readyz` turns 503; after
    /// `shutdown.delay_seconds` the ports close; what is under way is finished, for as long as a request may take and
    /// `shutdown.grace_seconds` more; then this returns. A reload that is under way is given up at its next step; until
    /// it has come there, a thread of the runtime's blocking pool is busy with it.
    pub async fn run(mut self, shutdown: impl Future<Output = ()>) {
        let (mut callers, mut operators) = (JoinSet::new(), JoinSet::new());
        let graceful = GracefulShutdown::new();
        #[cfg(unix)]
        let _file_size = survive_file_size_limit();
        let (settled, service) = (Arc::new(Notify::new()), Arc::clone(&self.service));
        let end = Arc::clone(&settled);
        let settling = tokio::spawn(async move { service.app_limits.keep_up(&end).await });
        let hangups = self.hangups.take();
        {
            let serving = async {
                tokio::join!(
                    self.callers.serve(&mut callers, &graceful),
                    while_there(
                        self.operators
                            .as_ref()
                            .map(|port| port.serve(&mut operators, &graceful))
                    ),
                    while_there(
                        self.reloader
                            .as_ref()
                            .map(|reloader| reloader.watch(self.config.reload.check))
                    ),
                    self.reload_on(hangups),
                    while_there(self.tls.as_ref().map(|tls| tls.watch(self.config.tls.check))),
                    self.service.apps.watch(self.config.storage.refresh),
                    while_there(self.service.observers.audit.as_ref().map(Audit::keep_up)),
                    self.service.metrics.keep_up(),
                    self.service.observers.refusal_lines.keep_up(),
                )
            };
            let mut serving = std::pin::pin!(serving);
            tokio::select! {
                biased;
                () = shutdown => {}
                _ = &mut serving => {}
            }
            self.service.ready.store(false, Ordering::Relaxed);
            tracing::info!(
                connections = graceful.count(),
                "shutting down: finishing what is under way"
            );
            tokio::select! {
                biased;
                () = sleep(self.config.shutdown.delay) => {}
                _ = &mut serving => {}
            }
        }
        if let Some(reloader) = &self.reloader {
            reloader.stop();
        }
        drop((self.callers, self.operators));

        let patience = self
            .service
            .limits()
            .deadline
            .saturating_add(self.config.shutdown.grace);
        let finished = async {
            graceful.shutdown().await;
            self.service.admission.idle().await;
        };
        if timeout(patience, finished).await.is_err() {
            tracing::warn!(
                connections = callers.len() + operators.len(),
                "shut down before everything under way was finished"
            );
        } else {
            tracing::info!("shut down");
        }
        callers.shutdown().await;
        operators.shutdown().await;
        if let Some(audit) = &self.service.observers.audit {
            audit.end().await;
        }
        self.service.observers.refusal_lines.end();
        settled.notify_one();
        // A panic in there is no reason not to write down what there is.
        drop(settling.await);
        self.service.app_limits.settle().await;
        self.service.database.close().await;
        #[cfg(feature = "otel")]
        drop(
            tokio::task::spawn_blocking(move || {
                if let Some(traces) = self.service.observers.traces.get() {
                    traces.end();
                }
            })
            .await,
        );
    }

    async fn reload_on(&self, hangups: Option<Hangups>) {
        let Some(mut hangups) = hangups else {
            return std::future::pending().await;
        };
        loop {
            hangups.next().await;
            // Nobody waits for an answer; the outcomes are logged there.
            if let Some(settings) = self.settings.get().cloned() {
                drop(tokio::task::spawn_blocking(move || settings.reload()).await);
            }
            if let Some(tls) = &self.tls {
                tls.reload_aside().await;
            }
            if let Some(reloader) = &self.reloader {
                drop(reloader.reload_in_turn().await);
            }
        }
    }
}

/// What a part does; where it is not there, nothing for ever.
async fn while_there(part: Option<impl Future<Output = ()>>) {
    match part {
        Some(part) => part.await,
        None => std::future::pending().await,
    }
}

/// Does what takes long on a thread that may. A panic is an error of the models, whose code runs there.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, ServeError> + Send + 'static,
) -> Result<T, ServeError> {
    tokio::task::spawn_blocking(work)
        .await
        .unwrap_or_else(|error| Err(ServeError::WarmUp(EngineError::Inference(error.into()))))
}

fn scheme(tls: bool) -> &'static str {
    if tls { "https" } else { "http" }
}
