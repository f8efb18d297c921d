//! Face quality: how a face was photographed. Size, pose, sharpness, exposure and place in the image.
//!
//! [`FaceQuality::measure`] takes what the pipeline already has, the upright image and the detector's face, and
//! returns plain numbers; no model runs, and it takes well under a millisecond. Which numbers suffice is up to
//! a profile. Where ISO/IEC 29794-5 (face image quality) has a name for a number, it is used.
//!
//! ```
//! use likeness_face::{BoundingBox, Face, Point};
//! use likeness_imaging::Image;
//! use likeness_quality::FaceQuality;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let image = Image::from_rgb8(640, 480, vec![127; 640 * 480 * 3])?;
//! let at = |x, y| Point { x, y };
//! let face = Face {
//!     bounding_box: BoundingBox { x: 260.0, y: 160.0, width: 120.0, height: 160.0 },
//!     score: 0.95,
//!     landmarks: [at(292.0, 230.0), at(348.0, 230.0), at(320.0, 263.0), at(296.0, 287.0), at(344.0, 287.0)],
//! };
//! let quality = FaceQuality::measure(&image, &face)?;
//! assert!((quality.inter_eye_distance - 56.0).abs() < 0.5);
//! assert_eq!(quality.visible_share, 1.0);
//! // A grey surface has nothing that could be sharp.
//! assert_eq!(quality.sharpness, 0.0);
//! # Ok(())
//! # }
//! ```

mod framing;
mod sample;
mod sharpness;

use likeness_face::{Face, Pose};
use likeness_imaging::Image;

use crate::sample::Sample;

/// How a face was photographed.
///
/// `sharpness`, `brightness`, `overexposed_share` and `colour` are measured on the middle of the face (0.8 of the detector's box in
/// either direction), shrunk to about 50 pixels between the eyes where it is larger: what is finer than that, the models
/// do not see either. They are 0 where nothing of it lies in the image.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct FaceQuality {
    /// Inter-eye distance: between the middles of the eyes in pixels of the upright image, divided by the cosine of
    /// the yaw as ISO/IEC 29794-5 does, so that a turned head does not count as a small one. Of a head that is turned by
    /// more than 60 degrees, the distance from the eyes to the mouth tells how far apart the eyes would be.
    pub inter_eye_distance: f64,
    /// Head pose in degrees, an estimate.
    pub pose: Pose,
    /// Sharpness: the strength of the face's fine detail in units of that of coarser detail, 0 or more. It depends
    /// neither on contrast nor on how many pixels the face has; a face that was enlarged has as little fine detail as
    /// one that is out of focus. Sharp portraits have 0.7 to 1, a blur (Gaussian) of 4 % of the inter-eye distance
    /// leaves about 0.4. Noise is estimated and taken off the finest detail, as far as it is uniform.
    pub sharpness: f64,
    /// How bright the bright parts of the face are: 95th percentile of its luma (Rec. 709, of the encoded values),
    /// 0..=1. The bright parts, because skin in good light has highlights whatever its colour, whereas the mean says
    /// more about the skin than about the light.
    pub brightness: f64,
    /// Share of the face's pixels with a luma of at least 247 of 255, 0..=1: those that ISO/IEC 29794-5 counts for
    /// over-exposure.
    pub overexposed_share: f64,
    /// Share of the face that lies within the image, 0..=1.
    ///
    /// Of the detector's box, or of the face that the landmarks suggest, whichever is less: detectors draw the box of a
    /// face that is cut in two around the part that they see.
    pub visible_share: f64,
    /// How far the middle of the face's box is from that of the image, in half sides: 0 in the middle, 1 on the
    /// border, of the two directions the greater one.
    pub off_centre: f64,
    /// How far the image reaches beyond the face, in units of the face's size: the margin around a face in the middle of the
    /// largest crop that the liveness models could have, which is no longer than a square. 0 where the image ends with the face.
    pub surroundings: f64,
    /// Colour: by how much the colours of the face's pixels differ from those of a grey image, whatever its tint, in units of
    /// their mean luma, 0 or more. 0 of a grey image; the brightness does not matter.
    pub colour: f64,
}

/// Why a face cannot be measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum QualityError {
    /// A coordinate is infinite or not a number, or so large that what follows from it would be.
    #[error("a coordinate of the face is not finite")]
    NotFinite,
}

impl FaceQuality {
    /// Side of a face box in pixels (of a square with its area) from which on more pixels change nothing that is measured
    /// but the [`inter_eye_distance`](Self::inter_eye_distance).
    pub const DETAIL: f32 = sample::FACE_SIDE as f32;

    /// Measures a face in an upright image. The box should be the detector's own, not one clipped to the image.
    ///
    /// # Errors
    /// [`QualityError::NotFinite`] for a face with a coordinate that is not finite. All others are measured, whatever they
    /// are, and every number of the result is finite.
    pub fn measure(image: &Image, face: &Face) -> Result<Self, QualityError> {
        if !face.is_finite() {
            return Err(QualityError::NotFinite);
        }
        let pose = Pose::of(&face.landmarks);
        let sample = Sample::of(image, &face.bounding_box);
        let sample = sample.as_ref();
        Ok(Self {
            inter_eye_distance: pose.inter_eye_distance(&face.landmarks),
            pose,
            sharpness: sample.map_or(0.0, sharpness::sharpness),
            brightness: sample.map_or(0.0, Sample::brightness),
            overexposed_share: sample.map_or(0.0, Sample::overexposed_share),
            visible_share: framing::visible_share(image, face, &pose),
            off_centre: framing::off_centre(image, &face.bounding_box),
            surroundings: framing::surroundings(image, &face.bounding_box),
            colour: sample.map_or(0.0, |sample| sample.colour),
        })
    }
}

#[cfg(test)]
mod tests;
