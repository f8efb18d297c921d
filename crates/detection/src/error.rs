//! What can go wrong while looking for faces.

use likeness_imaging::Interrupted;
use likeness_packs::{DetectorAdapter, PackError};
use likeness_runtime::RuntimeError;

/// Everything that this crate fails with.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DetectionError {
    /// The pack has no usable detector: for whoever configured it.
    #[error(transparent)]
    Pack(#[from] PackError),
    /// The pack has no detector of this family: for whoever made the pack.
    #[error("the pack has no detector of this family")]
    NoModel,
    /// A family that this crate does not know: for whoever made the pack.
    #[error("detector adapter {0:?} is not supported")]
    Unsupported(DetectorAdapter),
    /// The model cannot be opened or run: environment or bug.
    #[error(transparent)]
    Runtime(#[from] RuntimeError),
    /// The model's output has another shape than its adapter expects: for whoever made the pack.
    #[error("the detector's output '{output}' has {found} numbers instead of {expected}")]
    OutputShape {
        /// Name of the output.
        output: String,
        /// How many numbers it should have.
        expected: usize,
        /// How many it has.
        found: usize,
    },
    /// The interrupt was due before the search had ended.
    #[error("the search for faces was interrupted: its deadline has passed, or it was cancelled")]
    Interrupted(#[from] Interrupted),
    /// A detector from outside of this crate failed.
    #[error("the detector failed: {0}")]
    Other(Box<dyn std::error::Error + Send + Sync>),
}
