//! Passive liveness: is the face in this one image a live person, or a presentation attack such as a print or a
//! screen?
//!
//! One image can say only so much. The models here were trained against printed photographs and screens; a good mask,
//! an image injected behind the camera, or a sharp screen in good light can pass.

mod crop;
mod error;
mod scaled_crop;

use likeness_face::BoundingBox;
use likeness_imaging::Image;

pub use crop::crop_rect;
pub use error::LivenessError;
pub use scaled_crop::ScaledCropLiveness;

/// Side of a face (of a square with its area), in pixels, that an image may be averaged down to. The models of the default
/// pack see a face with 20 to 30 pixels.
///
/// Chosen on the development portraits: none of the 18 whose face is twice as large or larger is live in one way and not in
/// the other. See "Decoding at reduced size" in `docs/accuracy.md`.
pub const DETAIL: f32 = 256.0;

/// Scores liveness. Implementations may keep buffers, so a model is used by one thread at a time.
pub trait LivenessModel: Send {
    /// Probability, 0..=1, that the face is live. `face` is the box in pixels of the upright image and may reach
    /// outside of it.
    ///
    /// # Errors
    /// [`LivenessError`] where the model fails.
    fn score(&mut self, image: &Image, face: &BoundingBox) -> Result<f64, LivenessError>;
}
