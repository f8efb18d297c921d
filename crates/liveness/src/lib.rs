//! Passive liveness: the probability that the face in one image is a live person and not a presentation attack, such as a
//! print or a screen.
//!
//! One image has limits. The models here were trained against printed photographs and screens; a good mask,
//! an image injected behind the camera, or a sharp screen in good light can pass.
//!
//! ```
//! use likeness_face::BoundingBox;
//! use likeness_imaging::Image;
//! use likeness_liveness::{LivenessError, LivenessModel};
//!
//! /// A model of one's own: the larger the face, the more it is trusted.
//! struct Size;
//!
//! impl LivenessModel for Size {
//!     fn score(&mut self, image: &Image, face: &BoundingBox) -> Result<f64, LivenessError> {
//!         Ok(f64::from(face.width / image.width() as f32).clamp(0.0, 1.0))
//!     }
//! }
//! ```

mod crop;
mod ensemble;
mod fusion;
mod square_crop;

use likeness_face::BoundingBox;
use likeness_imaging::Image;
use likeness_packs::{LivenessAdapter, PackError};
use likeness_runtime::RuntimeError;

pub use crop::crop_rect;
pub use ensemble::LivenessEnsemble;
pub use fusion::{Vote, fuse};
pub use square_crop::square_crop;

/// Side of a face (of a square with its area), in pixels, that an image may be averaged down to. The models of the default
/// pack see a face with 20 to 30 pixels.
///
/// Chosen on the development portraits: none of the 18 whose face is twice as large or larger is live in one way and not in
/// the other. See "Decoding at reduced size" in `docs/accuracy.md`.
pub const DETAIL: f32 = 256.0;

/// Scores liveness. Implementations may keep buffers, so a model is used by one thread at a time.
pub trait LivenessModel: Send {
    /// Returns the probability, 0..=1, that the face is live. `face` is the box in pixels of the upright image and may reach
    /// outside of it.
    ///
    /// # Errors
    /// [`LivenessError`] where the model fails.
    fn score(&mut self, image: &Image, face: &BoundingBox) -> Result<f64, LivenessError>;

    /// Returns the parts of an image of `width` x `height` pixels that [`score`](Self::score) is computed from, in its pixels,
    /// each once. They may reach outside of it. None by default: those of a model of one's own are not known.
    fn crops(&self, width: u32, height: u32, face: &BoundingBox) -> Vec<BoundingBox> {
        let _ = (width, height, face);
        Vec::new()
    }
}

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
