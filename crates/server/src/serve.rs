//! The service, from warm-up to the last response.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use arc_swap::ArcSwap;
use jiff::Timestamp;
use likeness_engine::{Engine, EngineError};
use likeness_storage::apps::NewApp;
use likeness_storage::{Database, StorageError};
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};

use crate::access::apps::{AppDirectory, Apps, DEMO_APP};
use crate::access::limits::Limits;
use crate::admin::{self, Admin, Operator};
use crate::audit::{Audit, AuditError};
use crate::checks::{Check, Checks};
use crate::config::{Config, ConfigError, ConsoleConfig};
use crate::console::{self, Console};
use crate::http::{self, Addresses, Draining, Listener, ListenerSettings, Service, Tls, TlsError};
use crate::permits::Permits;
use crate::reload::{EngineSource, Reloader, SettingsReloader, SourceError};
use crate::signals::Hangups;
#[cfg(unix)]
use crate::signals::survive_file_size_limit;
use crate::telemetry::Logs;
use crate::telemetry::metrics::Metrics;
use crate::work::EngineSlot;

/// Most connections to the admin listener: operators, supervisors and collectors of metrics.
const MAX_ADMIN_CONNECTIONS: usize = 64;
/// Pause between two attempts to reach a database that does not respond.
const DATABASE_PAUSE: Duration = Duration::from_millis(250);

/// The service, with its listeners open.
pub struct Server {
    public: Listener,
    admin: Option<Listener>,
    service: Arc<Service>,
    reloader: Option<Arc<Reloader>>,
    settings: Arc<SettingsReloader>,
    checks: Arc<Checks>,
    hangups: Option<Hangups>,
    tls: Option<Arc<Tls>>,
    first_app: Option<NewApp>,
    config: Config,
}

impl std::fmt::Debug for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Server")
            .field("address", &self.local_addr())
            .finish_non_exhaustive()
    }
}

/// An error from starting the service. The operator must act, except for [`ServeError::WarmUp`].
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServeError {
    /// The configuration is invalid.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The source has no engine.
    #[error(transparent)]
    Source(SourceError),
    /// The audit cannot be written.
    #[error(transparent)]
    Audit(#[from] AuditError),
    /// The TLS files are unusable.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The models do not work.
    #[error("the models failed their warm-up: {0}")]
    WarmUp(EngineError),
    /// The database is unusable.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// A thread cannot be started.
    #[error("cannot start the worker threads: {0}")]
    Threads(io::Error),
    /// The address cannot be listened on.
    #[error("cannot listen on {address}: {source}")]
    Bind {
        /// The address.
        address: SocketAddr,
        /// The cause.
        source: io::Error,
    },
}

impl Server {
    /// Runs the models once, opens the database of `config.database` (by default an SQLite file in the working directory),
    /// then opens the listeners, so that the first request is served at full speed. `apps` are [`Config::apps`], perhaps with
    /// [`Apps::add_demo`]; those of the database are added. The engine stays to the end; see
    /// [`bind_reloadable`](Self::bind_reloadable) for one that can be replaced. Must be called within a tokio runtime.
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
        let slot = Arc::new(ArcSwap::from_pointee(engine));
        Self::open(config, apps, slot, None, Arc::new(Metrics::new())).await
    }

    /// Like [`bind`](Self::bind), with an engine of this source, which is replaced when the source's fingerprint changes or
    /// an operator reloads.
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
            // In this order: a change in between is noticed later.
            let fingerprint = source.fingerprint().map_err(ServeError::Source)?;
            let engine = source.build().map_err(ServeError::Source)?;
            engine.warm_up().map_err(ServeError::WarmUp)?;
            Ok((source, fingerprint, engine))
        })
        .await?;
        let slot = Arc::new(ArcSwap::from_pointee(engine));
        let metrics = Arc::new(Metrics::new());
        let reloader = Reloader::new(source, Arc::clone(&slot), fingerprint, Arc::clone(&metrics));
        Self::open(config, apps, slot, Some(reloader), metrics).await
    }

    async fn open(
        config: Config,
        apps: Apps,
        engine: EngineSlot,
        reloader: Option<Arc<Reloader>>,
        metrics: Arc<Metrics>,
    ) -> Result<Self, ServeError> {
        let has_demo = apps.has_demo;
        let database = config.open_database().await?;
        let apps = AppDirectory::open(apps, database.clone()).await?;
        let (folder, clock) = (&config.data_folder, Box::new(Timestamp::now));
        let app_limits = Limits::open(database.clone(), folder, &config.quotas, clock).await?;
        let audit = Audit::open(&config.audit, &config.data_folder, database.clone())?;
        let service = Service::new(&config, apps, app_limits, engine, database, audit, metrics);
        let service = Arc::new(service.map_err(ServeError::Threads)?);
        let settings = Arc::new(SettingsReloader::new(Arc::clone(&service), config.clone()));
        let tls = Tls::open(&config.tls)?;
        let checks = Arc::<Checks>::default();

        let listen = async |address, max_per_address, count: &Permits, tls, router| {
            let settings = ListenerSettings {
                address,
                idle: config.connections.header_read,
                count: count.clone(),
                addresses: Addresses::new(max_per_address, service.observers.proxies.clone()),
                tls,
            };
            let listener = Listener::open(settings, router).await;
            listener.map_err(|source| ServeError::Bind { address, source })
        };
        let clients = Permits::new(config.connections.max);
        let router = http::router(&service, &config);
        let public = listen(
            config.listen,
            config.max_per_address(),
            &clients,
            tls.clone(),
            router,
        )
        .await?;
        let admin = match config.admin.listen {
            Some(address) => {
                let operators = Permits::new(MAX_ADMIN_CONNECTIONS);
                let admin = Arc::new(Admin {
                    service: Arc::clone(&service),
                    operator: Operator::new(&config.admin),
                    reloader: reloader.clone(),
                    settings: Arc::clone(&settings),
                    tls: tls.clone(),
                    checks: Arc::clone(&checks),
                    connections: vec![("callers", clients), ("operators", operators.clone())],
                    configuration: admin::summary(&config),
                });
                let console = config.console.enabled.then(|| {
                    let public_url = public_url(&public, &config);
                    let is_tls = ConsoleConfig::is_tls(&config.tls);
                    console::router(Console::new(
                        Arc::clone(&admin),
                        &config.console,
                        is_tls,
                        public_url,
                    ))
                });
                let tls = tls.clone().filter(|_| config.tls.admin);
                Some(listen(address, 0, &operators, tls, admin::router(admin, console)).await?)
            }
            None => None,
        };
        if let Some(audit) = &service.observers.audit {
            audit.started(service.engine.load().labels());
        }
        // Last: the key of a new app is shown only if the start succeeds.
        let first_app = service.apps.make_first().await?;
        if has_demo && !config.listen.ip().is_loopback() {
            tracing::warn!(
                listen = %public.address(),
                app = DEMO_APP,
                "the demo app is reachable from other machines: listen on 127.0.0.1, or serve without --demo"
            );
        }
        if service.apps.current().is_empty() {
            tracing::warn!("no app is configured, so every request is refused: run `likeness apps create`");
        }
        Ok(Self {
            public,
            admin,
            service,
            reloader,
            settings,
            checks,
            hangups: None,
            tls,
            first_app,
            config,
        })
    }

    /// Returns the scheme of the public listener's URLs: `http` or `https`.
    #[must_use]
    pub fn scheme(&self) -> &'static str {
        self.public.scheme()
    }

    /// Returns the URL of the API without a trailing slash: scheme, address and base path of the public listener.
    #[must_use]
    pub fn url(&self) -> String {
        public_url(&self.public, &self.config)
    }

    /// Returns the scheme of the admin listener's URLs.
    #[must_use]
    pub fn admin_scheme(&self) -> &'static str {
        self.admin.as_ref().map_or("http", Listener::scheme)
    }

    /// Returns the address of the public listener, with the port that the system chose if it was 0.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.public.address()
    }

    /// Returns the address of the admin listener, if there is one.
    #[must_use]
    pub fn admin_addr(&self) -> Option<SocketAddr> {
        self.admin.as_ref().map(Listener::address)
    }

    /// Takes the app that was created because neither the configuration nor a new database had one. Show its key: it is stored
    /// nowhere.
    pub fn take_first_app(&mut self) -> Option<NewApp> {
        self.first_app.take()
    }

    /// Returns the current engine.
    #[must_use]
    pub fn engine(&self) -> Engine {
        Engine::clone(&self.service.engine.load())
    }

    /// Reads the settings with `read` at each reload, and applies those that need no restart. Without this method they stay.
    /// `read` must return the configuration of the service until that changes.
    #[must_use]
    pub fn with_settings(
        self,
        read: impl Fn() -> Result<Config, ConfigError> + Send + Sync + 'static,
    ) -> Self {
        // A second call changes nothing.
        let _ = self.settings.read.set(Box::new(read));
        self
    }

    /// Has the console run these checks of the installation. They may take some seconds.
    #[must_use]
    pub fn with_checks(self, checks: impl Fn() -> Vec<Check> + Send + Sync + 'static) -> Self {
        self.checks.set(Box::new(checks));
        self
    }

    /// Returns the URL of the console, if it is enabled.
    #[must_use]
    pub fn console_url(&self) -> Option<String> {
        let admin = self.admin.as_ref().filter(|_| self.config.console.enabled)?;
        Some(format!("{}://{}/console", admin.scheme(), admin.address()))
    }

    /// Applies a reloaded `log.filter` to this log, which outlives the service.
    #[must_use]
    pub fn with_logs(self, logs: Logs) -> Self {
        // A second call changes nothing.
        let _ = self.service.logs.set(logs);
        self
    }

    /// Exports requests as traces.
    #[cfg(feature = "otel")]
    #[must_use]
    pub fn with_traces(self, traces: crate::telemetry::Traces) -> Self {
        // A second call changes nothing.
        let _ = self.service.observers.traces.set(traces);
        self
    }

    /// Reloads settings, certificate and models at each of these signals, also those that came before [`run`](Self::run), and
    /// logs the outcome.
    #[must_use]
    pub fn with_hangups(mut self, hangups: Hangups) -> Self {
        self.hangups = Some(hangups);
        self
    }

    /// Serves until `shutdown` resolves, see [`shutdown_signal`](crate::shutdown_signal). Then `/readyz` returns 503, and each
    /// response closes its connection; after `shutdown.delay_seconds` the listeners close; in-flight requests are finished, within the deadline of a request and
    /// `shutdown.grace_seconds` more; then this returns. A running reload is aborted at its next step; until then it occupies
    /// a thread of the runtime's blocking pool.
    pub async fn run(mut self, shutdown: impl Future<Output = ()>) {
        let (mut connections, mut admin_connections) = (JoinSet::new(), JoinSet::new());
        let draining = Draining::new();
        #[cfg(unix)]
        let _file_size = survive_file_size_limit();
        let (settled, service) = (Arc::new(Notify::new()), Arc::clone(&self.service));
        let end = Arc::clone(&settled);
        let settling = tokio::spawn(async move { service.app_limits.keep_up(&end).await });
        let hangups = self.hangups.take();
        {
            let observers = &self.service.observers;
            let admin = self.admin.as_ref();
            let serving = async {
                tokio::join!(
                    self.public.serve(&mut connections, &draining),
                    if_some(admin.map(|admin| admin.serve(&mut admin_connections, &draining))),
                    if_some(
                        self.reloader
                            .as_ref()
                            .map(|it| it.watch(self.config.reload.check))
                    ),
                    self.reload_on(hangups),
                    if_some(self.tls.as_ref().map(|tls| tls.watch(self.config.tls.check))),
                    self.service.apps.watch(self.config.database.refresh),
                    if_some(observers.audit.as_ref().map(Audit::keep_up)),
                    self.service.metrics().keep_up(),
                    observers.refusal_lines.keep_up(),
                )
            };
            let mut serving = std::pin::pin!(serving);
            tokio::select! {
                biased;
                () = shutdown => {}
                _ = &mut serving => {}
            }
            self.service.is_stopping.store(true, Ordering::Relaxed);
            draining.announce();
            tracing::info!(
                connections = draining.count(),
                "shutting down: draining in-flight requests"
            );
            tokio::select! {
                biased;
                () = sleep(self.config.shutdown.delay) => {}
                _ = &mut serving => {}
            }
        }
        #[cfg(unix)]
        self.public.serve_waiting(&mut connections, &draining);
        drop((self.public, self.admin));
        if let Some(reloader) = &self.reloader {
            reloader.stop();
        }

        let deadline = self.service.limits.load().deadline;
        let drained = async {
            draining.close().await;
            self.service.admission.idle().await;
        };
        if timeout(deadline.saturating_add(self.config.shutdown.grace), drained)
            .await
            .is_err()
        {
            tracing::warn!(
                connections = draining.count(),
                "shut down before all in-flight requests were finished"
            );
        } else {
            tracing::info!("shut down");
        }
        connections.shutdown().await;
        admin_connections.shutdown().await;
        if let Some(audit) = &self.service.observers.audit {
            audit.end().await;
        }
        self.service.observers.refusal_lines.end();
        settled.notify_one();
        // After a panic in there what is known is still written.
        drop(settling.await);
        self.service.app_limits.flush().await;
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
            // The reloads log their outcomes.
            let settings = Arc::clone(&self.settings);
            drop(tokio::task::spawn_blocking(move || settings.reload()).await);
            if let Some(tls) = &self.tls {
                tls.reload_on_blocking_thread().await;
            }
            if let Some(reloader) = &self.reloader {
                drop(reloader.reload_in_turn().await);
            }
        }
    }
}

impl Config {
    /// Opens the database and migrates its tables. A database that does not respond is tried again for
    /// `database.start_seconds`. Must be called within a tokio runtime.
    ///
    /// # Errors
    /// [`StorageError`], which names the host and never shows a password.
    pub async fn open_database(&self) -> Result<Database, StorageError> {
        let settings = self.database.settings(&self.data_folder)?;
        let deadline = Instant::now() + self.database.start;
        let mut is_logged = false;
        loop {
            match Database::open(&settings).await {
                Err(error) if error.is_transient() && Instant::now() + DATABASE_PAUSE < deadline => {
                    if !is_logged {
                        let timeout_s = self.database.start.as_secs_f64();
                        tracing::warn!(%error, timeout_s, "waiting for the database");
                    }
                    is_logged = true;
                    sleep(DATABASE_PAUSE).await;
                }
                outcome => return outcome,
            }
        }
    }
}

/// Returns the URL of the API: scheme, address and base path.
fn public_url(public: &Listener, config: &Config) -> String {
    format!("{}://{}{}", public.scheme(), public.address(), config.base_path)
}

/// Runs a part of the service for ever; without it, waits for ever.
async fn if_some(part: Option<impl Future<Output = ()>>) {
    match part {
        Some(part) => part.await,
        None => std::future::pending().await,
    }
}

/// Runs slow work on a thread that may block. A panic is an error of the models, whose code runs there.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, ServeError> + Send + 'static,
) -> Result<T, ServeError> {
    tokio::task::spawn_blocking(work)
        .await
        .unwrap_or_else(|error| Err(ServeError::WarmUp(EngineError::Inference(error.into()))))
}
