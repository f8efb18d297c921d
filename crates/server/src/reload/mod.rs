//! Other models while serving: a new engine is built and warmed beside the one that answers, then takes its place.

mod failures;
mod hangup;
mod settings;
mod source;
mod watch;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use likeness_engine::{Engine, EngineError, EngineLabels};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

use crate::engine_slot::EngineSlot;
use crate::locked::locked;
use crate::metrics::{Outcome, Outcomes};
use crate::work::describe_panic;
use failures::Failures;

pub use hangup::Hangups;
pub use settings::SettingsReload;
pub(crate) use settings::SettingsReloader;
pub use source::{EngineSource, SourceError};

/// Replaces the engine of a service by a new one of its [`EngineSource`]. Clones are the same reloader.
#[derive(Clone)]
pub struct Reloader {
    inner: Arc<Inner>,
}

struct Inner {
    source: Box<dyn EngineSource>,
    slot: EngineSlot,
    memory: Mutex<Memory>,
    /// Of one permit: two at a time would hold three engines in memory. Closed when the service stops.
    turn: Arc<Semaphore>,
    /// For metrics.
    outcomes: Arc<Outcomes>,
}

struct Memory {
    /// Of the engine in the slot, or of what came before it: then it is built once more than needed, never less.
    serving: String,
    failures: Failures,
    /// Why the latest look found nothing to read.
    unreadable: Option<String>,
}

/// What came of a reload.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Reload {
    /// What answers now.
    pub serving: EngineLabels,
    /// What answered before. `None` where nothing had changed and so nothing was done.
    pub previous: Option<EngineLabels>,
    /// How long it took.
    pub took: Duration,
}

/// Why the engine was not replaced. The one that answered goes on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReloadError {
    /// There is one at a time.
    #[error("another reload is under way; ask again when it has ended")]
    UnderWay,
    /// The service stops.
    #[error("the service is shutting down")]
    Stopping,
    /// There is nothing that could be used, and why.
    #[error("{0}")]
    Source(SourceError),
    /// The new models do not work.
    #[error("the models failed their first run: {0}")]
    WarmUp(EngineError),
    /// The service's threads and its admission are sized once.
    #[error("the new engine has {found} workers instead of {expected}: that takes a restart")]
    Workers {
        /// How many the service began with.
        expected: usize,
        /// How many the new engine has.
        found: usize,
    },
    /// A bug, in a model or here.
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
    /// `fingerprint` was the source's before the slot's engine was built: what is changed meanwhile is noticed later.
    pub(crate) fn new(source: Box<dyn EngineSource>, slot: EngineSlot, fingerprint: String) -> Self {
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
                outcomes: Arc::default(),
            }),
        }
    }

    /// Builds, checks and warms a new engine where the source has another one than serves, and has it answer from then
    /// on; requests under way end with the engine that they began with. What failed before is tried again. Goes on to its
    /// end where this future is dropped. To be called within a tokio runtime.
    ///
    /// # Errors
    /// [`ReloadError`]; then all is as before. [`ReloadError::UnderWay`] at once, where there is another reload.
    pub async fn reload(&self) -> Result<Reload, ReloadError> {
        let turn = Arc::clone(&self.inner.turn)
            .try_acquire_owned()
            .map_err(|_| self.inner.refusal())?;
        self.run(turn).await
    }

    /// Like [`reload`](Self::reload), after another one that is under way.
    pub(crate) async fn reload_in_turn(&self) -> Result<Reload, ReloadError> {
        let turn = Arc::clone(&self.inner.turn)
            .acquire_owned()
            .await
            .map_err(|_| self.inner.refusal())?;
        self.run(turn).await
    }

    /// What came of all reloads so far.
    pub(crate) fn outcomes(&self) -> Arc<Outcomes> {
        Arc::clone(&self.inner.outcomes)
    }

    /// Begins no other reload, and ends one that is under way before its next step.
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
                serving: self.slot.current().labels().clone(),
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
        let serving = engine.labels().clone();
        let previous = self.slot.replace(engine);
        let mut memory = self.memory();
        memory.serving = fingerprint;
        memory.failures.clear();
        Ok(Reload {
            serving,
            previous: Some(previous.labels().clone()),
            took: begun.elapsed(),
        })
    }

    fn prepare(&self) -> Result<Engine, ReloadError> {
        let engine = self.source.build().map_err(ReloadError::Source)?;
        let (expected, found) = (self.slot.current().workers(), engine.workers());
        if expected != found {
            return Err(ReloadError::Workers { expected, found });
        }
        self.go_on()?;
        engine.warm_up().map_err(ReloadError::WarmUp)?;
        self.go_on()?;
        Ok(engine)
    }

    fn go_on(&self) -> Result<(), ReloadError> {
        if self.turn.is_closed() {
            return Err(ReloadError::Stopping);
        }
        Ok(())
    }

    /// Why there is no turn to be had.
    fn refusal(&self) -> ReloadError {
        self.go_on().err().unwrap_or(ReloadError::UnderWay)
    }

    fn memory(&self) -> MutexGuard<'_, Memory> {
        locked(&self.memory)
    }

    fn count(&self, outcome: &Result<Reload, ReloadError>) {
        self.outcomes.add(match outcome {
            Ok(Reload {
                previous: Some(_), ..
            }) => Outcome::Changed,
            Ok(Reload { previous: None, .. }) => Outcome::Unchanged,
            // Nothing was read.
            Err(ReloadError::Stopping | ReloadError::UnderWay) => return,
            Err(_) => Outcome::Failed,
        });
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
                "new models answer from now on"
            ),
            Ok(Reload { previous: None, .. }) => {
                tracing::info!("no other models: what is on disk is what answers");
            }
            Err(ReloadError::Stopping | ReloadError::UnderWay) => {}
            Err(error) => {
                let serving = self.slot.current();
                let info = serving.labels();
                tracing::error!(
                    %error,
                    pack = info.pack,
                    version = info.pack_version,
                    digest = info.pack_digest,
                    "new models cannot be used; the ones before go on answering"
                );
            }
        }
    }
}
