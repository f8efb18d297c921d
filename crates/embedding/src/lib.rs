//! From a face to a similarity: alignment by five landmarks, embedding, cosine. What a similarity means is the pack's
//! calibration (`likeness_packs::MatchCalibration`).

mod aligned_crop;
mod embedding;
mod ensemble;
mod error;

use likeness_face::Landmarks;
use likeness_imaging::Image;

pub use aligned_crop::{AlignedCropEmbedder, Template, align};
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
    /// One embedding for each face, in their order. A face's embedding does not depend on the faces beside it.
    ///
    /// # Errors
    /// [`EmbeddingError`] where the model fails or a face's landmarks cannot be aligned.
    fn embed(&mut self, faces: &[FaceInImage<'_>]) -> Result<Vec<Embedding>, EmbeddingError>;
}
