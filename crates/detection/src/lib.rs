//! Face boxes and landmarks for Likeness.
mod face;
pub use face::{BoundingBox, Face, Landmarks, Point};
