//! What can go wrong while embedding.

use likeness_packs::{EmbedderAdapter, PackError};
use likeness_runtime::RuntimeError;

/// Everything that this crate fails with.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EmbeddingError {
    /// The pack has no usable embedder: for whoever configured it.
    #[error(transparent)]
    Pack(#[from] PackError),
    /// The pack has no embedder of this family: for whoever made the pack.
    #[error("the pack has no embedder of this family")]
    NoModel,
    /// The model cannot be opened or run: environment or bug.
    #[error(transparent)]
    Runtime(#[from] RuntimeError),
    /// All five landmarks are in one place, so there is no way to align the face.
    #[error("the face's landmarks are all in one place")]
    Landmarks,
    /// A family that this crate does not know: for whoever made the pack.
    #[error("embedder adapter {0:?} is not supported")]
    Unsupported(EmbedderAdapter),
    /// An embedding must be finite and cannot be all zeros.
    #[error("the embedder answered a vector without a direction")]
    NoDirection,
    /// Two embeddings of different models cannot be compared.
    #[error("embeddings of {0} and {1} numbers cannot be compared")]
    Dimensions(usize, usize),
    /// An embedder from outside of this crate failed.
    #[error("the embedder failed: {0}")]
    Other(Box<dyn std::error::Error + Send + Sync>),
}
