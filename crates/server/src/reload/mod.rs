//! Reload of models and settings. A new engine is built and warmed up beside the current one, then takes its place.

mod settings;
mod watch;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use likeness_engine::{Engine, EngineBuilder, EngineError, EngineInfo};
use parking_lot::{Mutex, MutexGuard};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

use crate::telemetry::metrics::{Metrics, Outcome, Reloaded};
use crate::work::{EngineSlot, describe_panic};
use watch::Failures;

pub use settings::SettingsReload;
pub(crate) use settings::SettingsReloader;

/// An error of an [`EngineSource`], which is shown to the operator and logged.
pub type SourceError = Box<dyn std::error::Error + Send + Sync>;

/// Builds engines from the configuration and the files at the time, as an [`EngineBuilder`] does.
///
/// Both methods may block; they run on threads that may. There are never two `build`s at the same time.
pub trait EngineSource: Send + Sync + 'static {
    /// Returns a text that changes when [`build`](Self::build) would build another engine. It is called every few seconds and
    /// has to be cheap.
    ///
    /// # Errors
    /// If it is unknown, as while files are being replaced. The current engine stays.
    fn fingerprint(&self) -> Result<String, SourceError>;

    /// Builds a new engine, and checks it as thoroughly as needed before it serves. It must have the same number of workers
    /// each time.
    ///
    /// # Errors
    /// If there is no usable engine. The current one stays.
    fn build(&self) -> Result<Engine, SourceError>;
}

/// Reads the pack and the calibration files each time, and runs the pack's self-test vectors. The number of workers should be
/// set: the number of processors may change while the process runs.
impl EngineSource for EngineBuilder {
    fn fingerprint(&self) -> Result<String, SourceError> {
        Ok(Self::fingerprint(self)?)
    }

    fn build(&self) -> Result<Engine, SourceError> {
        Ok(self.clone().self_tested().build()?)
    }
}

/// Replaces the engine of a service by a new one of its [`EngineSource`]. Clones are the same reloader.
#[derive(Clone)]
pub struct Reloader {
    inner: Arc<Inner>,
}

struct Inner {
    source: Box<dyn EngineSource>,
    slot: EngineSlot,
    memory: Mutex<Memory>,
    /// Of one permit: two reloads at a time would hold three engines in memory. Closed when the service stops.
    turn: Arc<Semaphore>,
    metrics: Arc<Metrics>,
}

struct Memory {
    /// Fingerprint of the engine in the slot, or of an earlier state: then it is built once more than needed, never less.
    serving: String,
    failures: Failures,
    /// The latest error of reading the fingerprint.
    unreadable: Option<String>,
}

/// The result of a reload.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Reload {
    /// The current engine.
    pub serving: EngineInfo,
    /// The engine before. `None` if nothing had changed.
    pub previous: Option<EngineInfo>,
    /// How long it took.
    pub took: Duration,
}

/// An error of a reload. The current engine stays.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReloadError {
    /// Another reload is running.
    #[error("another reload is running; try again when it has ended")]
    UnderWay,
    /// The service is shutting down.
    #[error("the service is shutting down")]
    Stopping,
    /// The source has no usable engine.
    #[error("{0}")]
    Source(SourceError),
    /// The new models do not work.
    #[error("the models failed their warm-up: {0}")]
    WarmUp(EngineError),
    /// The worker pool and the admission are sized at the start.
    #[error("the new engine has {found} workers instead of {expected}; restart the service")]
    Workers {
        /// Workers of the current engine.
        expected: usize,
        /// Workers of the new engine.
        found: usize,
    },
    /// A bug.
    #[error("{0}")]
    Panicked(String),
}

impl std::fmt::Debug for Reloader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reloader")
            .field("serving", &self.inner.memory().serving)
            .finish_non_exhaustive()
    }
}

impl Reloader {
    /// `fingerprint` was read before the slot's engine was built: a change in between is noticed later.
    pub(crate) fn new(
        source: Box<dyn EngineSource>,
        slot: EngineSlot,
        fingerprint: String,
        metrics: Arc<Metrics>,
    ) -> Self {
        Self {
            inner: Arc::new(Inner {
                source,
                slot,
                memory: Mutex::new(Memory {
                    serving: fingerprint,
                    failures: Failures::default(),
                    unreadable: None,
                }),
                turn: Arc::new(Semaphore::new(1)),
                metrics,
            }),
        }
    }

    /// Builds, checks and warms up a new engine if the source has changed, and makes it the current one; in-flight requests
    /// keep the engine that they began with. What failed before is tried again. The reload continues if this future is
    /// dropped. Must be called within a tokio runtime.
    ///
    /// # Errors
    /// [`ReloadError`]; nothing has changed then. [`ReloadError::UnderWay`] at once while another reload is running.
    pub async fn reload(&self) -> Result<Reload, ReloadError> {
        let turn = Arc::clone(&self.inner.turn)
            .try_acquire_owned()
            .map_err(|_| self.inner.refusal())?;
        self.run(turn).await
    }

    /// Like [`reload`](Self::reload), but waits for a running one.
    pub(crate) async fn reload_in_turn(&self) -> Result<Reload, ReloadError> {
        let turn = Arc::clone(&self.inner.turn)
            .acquire_owned()
            .await
            .map_err(|_| self.inner.refusal())?;
        self.run(turn).await
    }

    /// Starts no other reload, and aborts a running one before its next step.
    pub(crate) fn stop(&self) {
        self.inner.turn.close();
    }

    async fn run(&self, turn: OwnedSemaphorePermit) -> Result<Reload, ReloadError> {
        let inner = Arc::clone(&self.inner);
        let run = move || {
            let outcome = catch_unwind(AssertUnwindSafe(|| inner.reload()))
                .unwrap_or_else(|panic| Err(ReloadError::Panicked(describe_panic(&*panic))));
            inner.count(&outcome);
            inner.log(&outcome);
            drop(turn);
            outcome
        };
        tokio::task::spawn_blocking(run)
            .await
            .unwrap_or_else(|error| Err(ReloadError::Panicked(error.to_string())))
    }
}

impl Inner {
    fn reload(&self) -> Result<Reload, ReloadError> {
        let begun = Instant::now();
        let fingerprint = self.source.fingerprint().map_err(ReloadError::Source)?;
        if self.memory().serving == fingerprint {
            self.memory().failures.clear();
            return Ok(Reload {
                serving: self.slot.load().info().clone(),
                previous: None,
                took: begun.elapsed(),
            });
        }
        let prepared = catch_unwind(AssertUnwindSafe(|| self.prepare()))
            .unwrap_or_else(|panic| Err(ReloadError::Panicked(describe_panic(&*panic))));
        let engine = match prepared {
            Ok(engine) => engine,
            Err(error) => {
                self.memory().failures.add(&fingerprint, Instant::now());
                return Err(error);
            }
        };
        let serving = engine.info().clone();
        let previous = self.slot.swap(Arc::new(engine));
        let mut memory = self.memory();
        memory.serving = fingerprint;
        memory.failures.clear();
        Ok(Reload {
            serving,
            previous: Some(previous.info().clone()),
            took: begun.elapsed(),
        })
    }

    fn prepare(&self) -> Result<Engine, ReloadError> {
        let engine = self.source.build().map_err(ReloadError::Source)?;
        let (expected, found) = (self.slot.load().workers(), engine.workers());
        if expected != found {
            return Err(ReloadError::Workers { expected, found });
        }
        self.check_stopping()?;
        engine.warm_up().map_err(ReloadError::WarmUp)?;
        self.check_stopping()?;
        Ok(engine)
    }

    fn check_stopping(&self) -> Result<(), ReloadError> {
        if self.turn.is_closed() {
            return Err(ReloadError::Stopping);
        }
        Ok(())
    }

    /// Returns why no reload can begin.
    fn refusal(&self) -> ReloadError {
        self.check_stopping().err().unwrap_or(ReloadError::UnderWay)
    }

    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock()
    }

    fn count(&self, outcome: &Result<Reload, ReloadError>) {
        let outcome = match outcome {
            Ok(Reload {
                previous: Some(_), ..
            }) => Outcome::Changed,
            Ok(Reload { previous: None, .. }) => Outcome::Unchanged,
            // Nothing was read.
            Err(ReloadError::Stopping | ReloadError::UnderWay) => return,
            Err(_) => Outcome::Failed,
        };
        self.metrics.reloaded(Reloaded::Models, outcome);
    }

    fn log(&self, outcome: &Result<Reload, ReloadError>) {
        match outcome {
            Ok(Reload {
                serving,
                previous: Some(previous),
                took,
            }) => tracing::info!(
                pack = serving.pack,
                version = serving.pack_version,
                digest = serving.pack_digest,
                match_calibration = serving.match_calibration,
                liveness_calibration = serving.liveness_calibration,
                previous_pack = previous.pack,
                previous_version = previous.pack_version,
                previous_digest = previous.pack_digest,
                took_ms = took.as_millis(),
                "models reloaded"
            ),
            Ok(Reload { previous: None, .. }) => {
                tracing::info!("models unchanged; nothing to reload");
            }
            Err(ReloadError::Stopping | ReloadError::UnderWay) => {}
            Err(error) => {
                let serving = self.slot.load();
                let info = serving.info();
                tracing::error!(
                    %error,
                    pack = info.pack,
                    version = info.pack_version,
                    digest = info.pack_digest,
                    "model reload failed; keeping the current models"
                );
            }
        }
    }
}
