//! Errors of liveness models.

use likeness_packs::{LivenessAdapter, PackError};
use likeness_runtime::RuntimeError;

/// The errors of this crate.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LivenessError {
    /// The pack has no usable liveness model: correct the configuration.
    #[error(transparent)]
    Pack(#[from] PackError),
    /// The pack has no liveness model: correct the pack.
    #[error("the pack has no liveness model")]
    NoModel,
    /// An adapter that this crate does not know: correct the pack.
    #[error("liveness adapter {0:?} is not supported")]
    Unsupported(LivenessAdapter),
    /// The manifest calls the model's numbers probabilities, but they are not: correct the pack.
    #[error(
        "the outputs of the liveness model are not probabilities (their sum is {sum}): set output = \"logits\" in the pack"
    )]
    NoProbabilities {
        /// Their sum.
        sum: f64,
    },
    /// The model cannot be opened or run: environment or bug.
    #[error(transparent)]
    Runtime(#[from] RuntimeError),
    /// The model has fewer classes than the manifest says: correct the pack.
    #[error(
        "the liveness model returned {found} classes, but the manifest says that class {live_class} is the live one"
    )]
    Classes {
        /// Index of the live class.
        live_class: usize,
        /// Classes of the output.
        found: usize,
    },
    /// The model returned numbers that are neither logits nor probabilities.
    #[error("the liveness model returned numbers that are not finite")]
    NotFinite,
    /// A liveness model from outside of this crate failed.
    #[error("the liveness model failed: {0}")]
    Other(Box<dyn std::error::Error + Send + Sync>),
}
