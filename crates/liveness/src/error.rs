//! What can go wrong while scoring liveness.

use likeness_packs::{LivenessAdapter, PackError};
use likeness_runtime::RuntimeError;

/// Everything that this crate fails with.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LivenessError {
    /// The pack has no usable liveness model: for whoever configured it.
    #[error(transparent)]
    Pack(#[from] PackError),
    /// The pack has no liveness model: for whoever made the pack.
    #[error("the pack has no liveness model")]
    NoModel,
    /// A family that this crate does not know: for whoever made the pack.
    #[error("liveness adapter {0:?} is not supported")]
    Unsupported(LivenessAdapter),
    /// The manifest calls the model's numbers probabilities, and they are none: for whoever made the pack.
    #[error(
        "the liveness model's numbers are no probabilities (their sum is {sum}): say output = \"logits\""
    )]
    NoProbabilities {
        /// What they come to together.
        sum: f64,
    },
    /// The model cannot be opened or run: environment or bug.
    #[error(transparent)]
    Runtime(#[from] RuntimeError),
    /// The model has fewer classes than the manifest counts on: for whoever made the pack.
    #[error("the liveness model answered {found} classes, class {live_class} should be the live one")]
    Classes {
        /// Index of the live class.
        live_class: usize,
        /// Classes in the answer.
        found: usize,
    },
    /// The model answered with numbers that are neither logits nor probabilities.
    #[error("the liveness model answered with numbers that are not finite")]
    NotFinite,
    /// A liveness model from outside of this crate failed.
    #[error("the liveness model failed: {0}")]
    Other(Box<dyn std::error::Error + Send + Sync>),
}
