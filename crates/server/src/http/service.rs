//! The state that handlers share.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use arc_swap::ArcSwap;
use likeness_api::{ApiError, ErrorCode};
use likeness_storage::Database;

use super::client_address::Proxies;
use super::observe::Observers;
use super::response::Linger;
use crate::access::apps::AppDirectory;
use crate::access::console_token::ConsoleToken;
use crate::access::limits::Limits;
use crate::access::proxy_hint;
use crate::audit::Audit;
use crate::config::{ApiConfig, Config, RequestLimits};
use crate::permits::Permits;
use crate::sampling::Throttle;
use crate::telemetry::metrics::Metrics;
use crate::telemetry::{Logs, RefusalLines};
use crate::work::{EngineSlot, WorkPool};

pub(crate) struct Service {
    pub(crate) engine: EngineSlot,
    pub(crate) apps: AppDirectory,
    pub(crate) app_limits: Limits,
    /// Bounds what is in memory and on the CPU. It has no queue: a request beyond the bound is refused at once. A permit is
    /// held until the last work for its request has ended, even if the client has its response already.
    pub(crate) admission: Permits,
    pub(crate) work: WorkPool,
    /// The limits of requests that begin now. A request takes them once and keeps to them.
    pub(crate) limits: ArcSwap<RequestLimits>,
    pub(crate) api: ApiConfig,
    pub(crate) linger: Linger,
    pub(crate) proxy_hints: Throttle,
    /// Longest time without a byte of a request body.
    pub(crate) body_idle: Duration,
    pub(crate) is_stopping: AtomicBool,
    /// The log, if this service may change its filter.
    pub(crate) logs: OnceLock<Logs>,
    pub(crate) observers: Observers,
    pub(crate) database: Database,
    pub(crate) console_token: ConsoleToken,
}

impl Service {
    pub(crate) fn new(
        config: &Config,
        apps: AppDirectory,
        app_limits: Limits,
        engine: EngineSlot,
        database: Database,
        audit: Option<Audit>,
        metrics: Arc<Metrics>,
    ) -> std::io::Result<Self> {
        // A reload keeps the number of workers.
        let workers = engine.load().workers().max(1);
        Ok(Self {
            engine,
            apps,
            app_limits,
            admission: Permits::new(config.admission.requests(workers)),
            work: WorkPool::start(workers)?,
            limits: ArcSwap::from_pointee(config.request_limits.clone()),
            api: config.api,
            linger: Linger {
                time: config.connections.linger,
                bytes: config.request_limits.body_bytes,
            },
            proxy_hints: Throttle::new(proxy_hint::PAUSE),
            body_idle: config.connections.body_idle,
            is_stopping: AtomicBool::new(false),
            observers: Observers {
                audit,
                proxies: Proxies::new(&config.proxies),
                metrics,
                refusal_lines: Arc::new(RefusalLines::new(config.log.refusals_per_second)),
                #[cfg(feature = "otel")]
                traces: Arc::default(),
            },
            logs: OnceLock::new(),
            database,
            console_token: ConsoleToken::new(&config.console),
        })
    }

    /// Returns whether new requests should be sent here. During the shutdown the reason why not is obvious.
    pub(crate) fn readiness(&self) -> Result<(), ApiError> {
        if self.is_stopping.load(Ordering::Relaxed) {
            Err(ApiError::from(ErrorCode::NotReady))
        } else if self.work.usage().is_stuck() {
            let cause = "every worker is past the deadline of its request";
            Err(ApiError::from(ErrorCode::NotReady).with_cause(cause))
        } else {
            Ok(())
        }
    }

    pub(crate) fn metrics(&self) -> &Metrics {
        &self.observers.metrics
    }
}
