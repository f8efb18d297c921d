//! Where new engines come from.

use likeness_engine::{Engine, EngineBuilder};

/// Why a source has no engine to give. Its text is shown to the operator and logged.
pub type SourceError = Box<dyn std::error::Error + Send + Sync>;

/// Builds engines of what is configured and lies on disk at the time. An [`EngineBuilder`] is one.
///
/// Both calls may block; they are made on threads that may. Never two `build`s at the same time.
pub trait EngineSource: Send + Sync + 'static {
    /// Says what [`build`](Self::build) would build now: a text that changes when the engine would be another one. It is
    /// asked for every few seconds and has to be cheap.
    ///
    /// # Errors
    /// Where that cannot be told, as while files are being replaced. What serves goes on serving.
    fn fingerprint(&self) -> Result<String, SourceError>;

    /// Builds a new engine, and checks it as thoroughly as it should be before it answers anybody. It must have as many
    /// workers each time.
    ///
    /// # Errors
    /// Where there is none that could be used. What serves goes on serving.
    fn build(&self) -> Result<Engine, SourceError>;
}

/// Looks the pack and the calibration files up anew each time, and runs the pack's self-test vectors. The number of
/// workers should be set: what the process has processors for may change while it runs.
impl EngineSource for EngineBuilder {
    fn fingerprint(&self) -> Result<String, SourceError> {
        Ok(Self::fingerprint(self)?)
    }

    fn build(&self) -> Result<Engine, SourceError> {
        Ok(self.clone().self_test(true).build()?)
    }
}
