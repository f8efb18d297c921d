//! What the handlers share.

use std::sync::atomic::AtomicBool;
use std::sync::{Arc, OnceLock, PoisonError, RwLock};
use std::time::Duration;

use likeness_storage::Database;

use crate::admission::Admission;
use crate::apps::AppDirectory;
use crate::audit::Audit;
use crate::client_address::Proxies;
use crate::config::{Config, RequestLimits};
use crate::engine_slot::EngineSlot;
use crate::limits::Limits;
use crate::logs::Logs;
use crate::metrics::Metrics;
use crate::proxy_hint::ProxyHint;
use crate::record::Observers;
use crate::refusal_lines::RefusalLines;
use crate::response::Linger;
use crate::work::WorkPool;

#[derive(Debug)]
pub(crate) struct Service {
    pub(crate) engine: EngineSlot,
    pub(crate) apps: AppDirectory,
    pub(crate) app_limits: Limits,
    pub(crate) admission: Admission,
    pub(crate) work: WorkPool,
    limits: RwLock<Arc<RequestLimits>>,
    pub(crate) linger: Linger,
    pub(crate) proxy_hint: ProxyHint,
    /// How long a client may send nothing of a body.
    pub(crate) body_idle: Duration,
    pub(crate) ready: AtomicBool,
    pub(crate) metrics: Arc<Metrics>,
    /// Where this service sees to the log.
    pub(crate) logs: OnceLock<Logs>,
    pub(crate) observers: Observers,
    pub(crate) database: Database,
}

impl Service {
    pub(crate) fn new(
        config: &Config,
        apps: AppDirectory,
        app_limits: Limits,
        engine: EngineSlot,
        database: Database,
        audit: Option<Audit>,
    ) -> std::io::Result<Self> {
        // An engine that takes this one's place has as many.
        let workers = engine.current().workers().max(1);
        let admission = Admission::new(config.admission.requests(workers));
        // Every admitted request has one job at most: the queue is never full.
        let work = WorkPool::start(workers, admission.size())?;
        let metrics = Arc::new(Metrics::new());
        Ok(Self {
            engine,
            apps,
            app_limits,
            admission,
            work,
            limits: RwLock::new(Arc::new(config.request_limits.clone())),
            linger: Linger {
                time: config.connections.linger,
                bytes: config.request_limits.body_bytes,
            },
            proxy_hint: ProxyHint::default(),
            body_idle: config.connections.body_idle,
            ready: AtomicBool::new(true),
            observers: Observers {
                audit,
                proxies: Proxies::new(&config.proxies),
                metrics: Arc::clone(&metrics),
                refusal_lines: Arc::new(RefusalLines::new(config.log.refusals_per_second)),
                #[cfg(feature = "otel")]
                traces: Arc::default(),
            },
            metrics,
            logs: OnceLock::new(),
            database,
        })
    }

    /// The limits of requests that begin now. A request takes them once and keeps to them.
    pub(crate) fn limits(&self) -> Arc<RequestLimits> {
        Arc::clone(&self.limits.read().unwrap_or_else(PoisonError::into_inner))
    }

    pub(crate) fn set_limits(&self, limits: RequestLimits) {
        *self.limits.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(limits);
    }
}
