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
mod cohort;
mod embedding;
mod ensemble;
mod error;

use likeness_face::Landmarks;
use likeness_imaging::Image;

pub use aligned_crop::{AlignedCropEmbedder, Template, align};
pub use cohort::{Cohort, CohortBinding, CohortError, MIN_CENTROIDS, Similarity, normalise};
pub use embedding::Embedding;
pub use ensemble::{open, open_model};
pub use error::EmbeddingError;

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
