//! From a face to a similarity: alignment by five landmarks, embedding, cosine. The meaning of a similarity is the pack's
//! calibration (`likeness_packs::MatchCalibration`).
//!
//! ```
//! use likeness_embedding::Embedding;
//!
//! # fn main() -> Result<(), likeness_embedding::EmbeddingError> {
//! let (a, b) = (Embedding::new(vec![3.0, 4.0])?, Embedding::new(vec![4.0, 3.0])?);
//! assert!((a.similarity(&b)? - 0.96).abs() < 1e-6);
//! // Biometric data never reaches a log.
//! assert_eq!(format!("{a:?}"), "Embedding(2 numbers)");
//! # Ok(())
//! # }
//! ```

mod aligned_crop;
mod binding;
mod cohort;
mod embedding;
mod encoding;
mod ensemble;
mod same_image;
mod template;

use likeness_face::Landmarks;
use likeness_imaging::Image;
use likeness_packs::{EmbedderAdapter, PackError};
use likeness_runtime::RuntimeError;

pub use aligned_crop::{Template, align, align_for};
pub use binding::EmbeddingBinding;
pub use cohort::{Cohort, CohortError, MIN_CENTROIDS, Similarity};
pub use embedding::Embedding;
pub use ensemble::{open, open_model};
pub use same_image::{SAME_IMAGE, image_agreement};
pub use template::{FaceTemplate, MAX_TEMPLATE_BYTES, TemplateError};

/// A face to embed: the upright image that it is in and its landmarks there.
#[derive(Debug, Clone, Copy)]
pub struct FaceInImage<'a> {
    /// The upright image.
    pub image: &'a Image,
    /// The face's landmarks in the image's pixels.
    pub landmarks: &'a Landmarks,
}

/// Turns faces into embeddings. Implementations may keep buffers, so an embedder is used by one thread at a time.
pub trait FaceEmbedder: Send {
    /// Returns one embedding for each face, in their order. A face's embedding does not depend on the faces beside it.
    ///
    /// # Errors
    /// [`EmbeddingError`] where the model fails or a face's landmarks cannot be aligned.
    fn embed(&mut self, faces: &[FaceInImage<'_>]) -> Result<Vec<Embedding>, EmbeddingError>;
}

/// The errors of this crate.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EmbeddingError {
    /// The pack has no usable embedder: correct the configuration.
    #[error(transparent)]
    Pack(#[from] PackError),
    /// The pack has no embedder of this family: correct the pack.
    #[error("the pack has no embedder of this family")]
    NoModel,
    /// The model cannot be opened or run: environment or bug.
    #[error(transparent)]
    Runtime(#[from] RuntimeError),
    /// All five landmarks are in one place, so there is no way to align the face.
    #[error("the face's landmarks are all in one place")]
    Landmarks,
    /// An adapter that this crate does not know: correct the pack.
    #[error("embedder adapter {0:?} is not supported")]
    Unsupported(EmbedderAdapter),
    /// An embedding must be finite and cannot be all zeros.
    #[error("the embedder returned a vector without a direction: all zeros, or not finite")]
    NoDirection,
    /// Two embeddings of different models cannot be compared.
    #[error("embeddings of {0} and {1} numbers cannot be compared")]
    Dimensions(usize, usize),
    /// An embedder from outside of this crate failed.
    #[error("the embedder failed: {0}")]
    Other(Box<dyn std::error::Error + Send + Sync>),
}
