//! Face boxes and landmarks for Likeness: the trait that detectors implement, and YuNet behind it.

mod error;
mod face;
mod search;
mod suppression;
mod yunet;

use likeness_imaging::Picture;

pub use error::DetectionError;
pub use face::{BoundingBox, Face, Landmarks, Point, largest_first};
pub use search::Search;
pub use yunet::YuNet;

/// Finds faces. Implementations may keep buffers, so a detector is used by one thread at a time.
pub trait FaceDetector: Send {
    /// The faces in an upright RGB picture, largest first, boxes and landmarks in the picture's pixels.
    ///
    /// # Errors
    /// [`DetectionError`] where the model fails. A picture without a face is no error but an empty answer.
    fn detect(&mut self, picture: &Picture, search: Search) -> Result<Vec<Face>, DetectionError>;
}

/// The colour order that a manifest names, as the imaging crate calls it.
#[must_use]
pub fn channel_order(order: likeness_models::ChannelOrder) -> likeness_imaging::ChannelOrder {
    match order {
        likeness_models::ChannelOrder::Rgb => likeness_imaging::ChannelOrder::Rgb,
        likeness_models::ChannelOrder::Bgr => likeness_imaging::ChannelOrder::Bgr,
    }
}
