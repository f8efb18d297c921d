//! Reload of models and settings. A new engine is built and warmed up beside the current one, then takes its place.

mod settings;
mod watch;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use likeness_engine::{Engine, EngineBuilder, EngineError, EngineLabels};
use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

use crate::telemetry::metrics::{Metrics, Outcome, Reloaded};
use crate::work::{EngineSlot, describe_panic};
use watch::Failures;

pub(crate) use settings::{SettingsReload, SettingsReloader};

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
        Ok(self.clone().self_test(true).build()?)
    }
}

/// Replaces the engine of a service by a new one of its [`EngineSource`].
pub(crate) struct Reloader {
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
pub(crate) struct Reload {
    /// The current engine.
    pub(crate) serving: EngineLabels,
    /// The engine before. `None` if nothing had changed.
    pub(crate) previous: Option<EngineLabels>,
    /// How long it took.
    pub(crate) took: Duration,
}

/// An error of a reload. The current engine stays.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReloadError {
    #[error("another reload is running; try again when it has ended")]
    UnderWay,
    #[error("the service is shutting down")]
    Stopping,
    #[error("{0}")]
    Source(SourceError),
    #[error("the models failed their warm-up: {0}")]
    WarmUp(EngineError),
    /// The worker pool and the admission are sized at the start.
    #[error("the new engine has {found} workers instead of {expected}; restart the service")]
    Workers { expected: usize, found: usize },
    /// A bug.
    #[error("{0}")]
    Panicked(String),
}

impl Reloader {
    /// `fingerprint` was read before the slot's engine was built: a change in between is noticed later.
    pub(crate) fn new(
        source: impl EngineSource,
        slot: EngineSlot,
        fingerprint: String,
        metrics: Arc<Metrics>,
    ) -> Arc<Self> {
        Arc::new(Self {
            source: Box::new(source),
            slot,
            memory: Mutex::new(Memory {
                serving: fingerprint,
                failures: Failures::default(),
                unreadable: None,
            }),
            turn: Arc::new(Semaphore::new(1)),
            metrics,
        })
    }

    /// Builds, checks and warms up a new engine if the source has changed, and makes it the current one; in-flight requests
    /// keep the engine that they began with. What failed before is tried again. The reload continues if this future is
    /// dropped. After an error nothing has changed: [`ReloadError::UnderWay`] at once while another reload is running.
    pub(crate) async fn reload(self: &Arc<Self>) -> Result<Reload, ReloadError> {
        let turn = Arc::clone(&self.turn).try_acquire_owned();
        self.run(turn.map_err(|_| self.refusal())?).await
    }

    /// Like [`reload`](Self::reload), but waits for a running one.
    pub(crate) async fn reload_in_turn(self: &Arc<Self>) -> Result<Reload, ReloadError> {
        let turn = Arc::clone(&self.turn).acquire_owned().await;
        self.run(turn.map_err(|_| self.refusal())?).await
    }

    /// Starts no other reload, and aborts a running one before its next step.
    pub(crate) fn stop(&self) {
        self.turn.close();
    }

    async fn run(self: &Arc<Self>, turn: OwnedSemaphorePermit) -> Result<Reload, ReloadError> {
        let reloader = Arc::clone(self);
        let run = move || {
            let outcome = caught(|| reloader.try_reload());
            reloader.observe(&outcome);
            drop(turn);
            outcome
        };
        tokio::task::spawn_blocking(run)
            .await
            .unwrap_or_else(|error| Err(ReloadError::Panicked(error.to_string())))
    }

    fn try_reload(&self) -> Result<Reload, ReloadError> {
        let begun = Instant::now();
        let fingerprint = self.source.fingerprint().map_err(ReloadError::Source)?;
        let mut previous = None;
        if self.memory.lock().serving != fingerprint {
            let engine = caught(|| self.prepare()).inspect_err(|_| {
                let failures = &mut self.memory.lock().failures;
                failures.add(&fingerprint, Instant::now());
            })?;
            previous = Some(self.slot.swap(Arc::new(engine)).labels().clone());
        }
        let mut memory = self.memory.lock();
        memory.serving = fingerprint;
        memory.failures.clear();
        Ok(Reload {
            serving: self.slot.load().labels().clone(),
            previous,
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

    /// Logs and counts an outcome.
    fn observe(&self, outcome: &Result<Reload, ReloadError>) {
        let counted = match outcome {
            Ok(Reload {
                serving,
                previous: Some(previous),
                took,
            }) => {
                tracing::info!(
                    pack = serving.pack,
                    version = serving.pack_version,
                    digest = serving.pack_digest,
                    match_calibration = serving.match_calibration,
                    liveness_calibration = serving.liveness_calibration,
                    cohort = serving.cohort,
                    previous_pack = previous.pack,
                    previous_version = previous.pack_version,
                    previous_digest = previous.pack_digest,
                    took_ms = took.as_millis(),
                    "models reloaded"
                );
                Outcome::Changed
            }
            Ok(Reload { previous: None, .. }) => {
                tracing::info!("models unchanged; nothing to reload");
                Outcome::Unchanged
            }
            // Nothing was read.
            Err(ReloadError::Stopping | ReloadError::UnderWay) => return,
            Err(error) => {
                let serving = self.slot.load();
                let info = serving.labels();
                tracing::error!(
                    %error,
                    pack = info.pack,
                    version = info.pack_version,
                    digest = info.pack_digest,
                    "model reload failed; keeping the current models"
                );
                Outcome::Failed
            }
        };
        self.metrics.reloaded(Reloaded::Models, counted);
    }
}

/// Runs `work`. A panic is an error.
fn caught<T>(work: impl FnOnce() -> Result<T, ReloadError>) -> Result<T, ReloadError> {
    catch_unwind(AssertUnwindSafe(work))
        .unwrap_or_else(|panic| Err(ReloadError::Panicked(describe_panic(&*panic))))
}
