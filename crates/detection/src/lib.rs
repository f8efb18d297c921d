//! Face boxes and landmarks for Likeness: the trait that detectors implement, and YuNet and SCRFD behind
//! it, one or several together.

mod ensemble;
mod error;
mod grid;
mod open;
mod scrfd;
mod search;
mod suppression;
mod yunet;

use likeness_imaging::{Image, Interrupt};

pub use error::DetectionError;
pub use grid::GridDetector;
pub use likeness_face::{BoundingBox, Face, Landmarks, Point, largest_first};
pub use open::{open, open_model};
pub use scrfd::Scrfd;
pub use search::{FIRST_PASS_SIDE, Search};
pub use yunet::YuNet;

/// Finds faces. Implementations may keep buffers, so a detector is used by one thread at a time.
pub trait FaceDetector: Send {
    /// The faces in an upright RGB image, largest first, boxes and landmarks in the image's pixels.
    ///
    /// An implementation that may take longer than a few tenths of a second looks at the interrupt between its steps.
    ///
    /// # Errors
    /// [`DetectionError`] where the model fails; [`DetectionError::Interrupted`] where the interrupt was due. An image
    /// without a face is no error but an empty answer.
    fn detect(
        &mut self,
        image: &Image,
        search: Search,
        interrupt: Interrupt<'_>,
    ) -> Result<Vec<Face>, DetectionError>;

    /// What [`detect`](Self::detect) would find with [`Search::Primary`], where a first pass at [`FIRST_PASS_SIDE`] pixels on the
    /// longest side is enough to tell: so the image may be one that was decoded at a part of its size. `None` where
    /// the search would go on in the image at its own size, and from detectors that do not know of such a pass.
    ///
    /// # Errors
    /// As [`detect`](Self::detect).
    fn first_pass(&mut self, _image: &Image) -> Result<Option<Vec<Face>>, DetectionError> {
        Ok(None)
    }
}
