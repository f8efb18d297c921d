//! The faces of one image of a request: decoded at the size that they need, and detected.

use std::borrow::Cow;
use std::sync::Arc;

use likeness_decision::ImageRole;
use likeness_detection::{DetectionError, FIRST_PASS_SIDE, Search};
use likeness_embedding::FaceInImage;
use likeness_face::{BoundingBox, Face, Point};
use likeness_imaging::{
    EncodedImage, HeifDecoder, Image, ImageLimits, ImagingError, Reduced, Rotation, rotate,
};
use likeness_quality::FaceQuality;

use crate::error::EngineError;
use crate::options::{Budget, Input};
use crate::result::{ImageReport, Size, Timings};
use crate::workers::{Worker, inference, timed};

/// Longest side that a photo is first decoded at, at least: twice what the detector's first pass sees, so that what is
/// shrunk has been averaged over four pixels or more, and a primary face of a fifth of it has the 128 pixels that the
/// default pack needs.
const PHOTO_SIDE: u32 = 2 * FIRST_PASS_SIDE;

/// The same of a selfie, whose face needs the [256 pixels](likeness_liveness::DETAIL) of liveness and is larger in its
/// image: with this side, the first decode suffices from 27 % of it on.
const SELFIE_SIDE: u32 = 3 * FIRST_PASS_SIDE;

/// How images are decoded and searched.
#[derive(Debug, Clone)]
pub(crate) struct FaceSearch {
    pub(crate) limits: ImageLimits,
    /// `None`: HEIC and AVIF are refused.
    pub(crate) heif: Option<Arc<dyn HeifDecoder>>,
    pub(crate) max_faces: usize,
    pub(crate) detail: Detail,
}

/// Side of a face, in pixels, from which on more pixels tell the models nothing. `None`: every pixel counts, or it is
/// unknown.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Detail {
    /// To the embedder and the quality measurements.
    pub(crate) photo: Option<f32>,
    /// To the liveness models as well.
    pub(crate) selfie: Option<f32>,
}

impl Detail {
    /// Returns the side that a face needs, and the longest side of the first decode, at least.
    fn of(self, role: ImageRole) -> Option<(f32, u32)> {
        match role {
            ImageRole::Photo => self.photo.map(|detail| (detail, PHOTO_SIDE)),
            ImageRole::Selfie => self.selfie.map(|detail| (detail, SELFIE_SIDE)),
        }
    }
}

/// Where an image comes from.
#[derive(Clone, Copy)]
enum Source<'a, 'b> {
    Decoded(&'a Image),
    Encoded(&'b EncodedImage<'b>),
}

/// An image and its faces.
pub(crate) struct DetectedFaces<'a> {
    /// Of the image as sent.
    size: Size,
    /// The turn that set the image upright.
    rotation: Option<Rotation>,
    /// `None` where there is no face: nothing is measured then, and a decoded image may take much memory.
    pixels: Option<Reduced<'a>>,
    /// The one with the largest visible box first, ties by score.
    pub(crate) faces: Vec<FoundFace>,
}

/// A face in two coordinate systems.
#[derive(Debug, Clone, Copy)]
pub(crate) struct FoundFace {
    /// As the detector gave it, in the pixels that were decoded, turned where the image was: for the models.
    pub(crate) decoded: Face,
    /// Clipped to the image, in the pixels of the whole as sent: for the report.
    pub(crate) reported: Face,
}

impl FaceSearch {
    /// Reads and checks the headers of an image file.
    pub(crate) fn open<'a>(&self, bytes: &'a [u8]) -> Result<EncodedImage<'a>, ImagingError> {
        match &self.heif {
            Some(heif) => EncodedImage::open_with(bytes, &self.limits, heif),
            None => EncodedImage::open(bytes, &self.limits),
        }
    }

    /// Decodes an image as far as needed, and detects its faces.
    ///
    /// In a photo without a face, one that fills it is looked for: photos from documents and the press are often cut so. Where
    /// the primary face lies on its side or upside down, all is done again with the image turned upright; the turned
    /// image takes the place of the other one in memory. Where a turn needs more memory than a decode may hold, the image stays
    /// as it is.
    pub(crate) fn decode_and_detect<'a>(
        &self,
        worker: &mut Worker,
        role: ImageRole,
        input: Input<'a>,
        search: Search,
        budget: &Budget,
        timings: &mut Timings,
    ) -> Result<DetectedFaces<'a>, EngineError> {
        let refused = |source| refused(role, source, budget);
        let opened;
        let source = match input {
            Input::Image(image) => {
                let (width, height) = (image.width(), image.height());
                self.limits.check_size(width, height).map_err(refused)?;
                Source::Decoded(image)
            }
            Input::Opened(encoded) => Source::Encoded(encoded),
            Input::Encoded(bytes) => {
                opened = timed(&mut timings.decode, || self.open(bytes).map_err(refused))?;
                Source::Encoded(&opened)
            }
        };
        let find = |worker: &mut Worker, rotation, timings: &mut Timings| {
            self.find(worker, role, source, rotation, search, budget, timings)
        };
        let (pixels, faces) = find(worker, None, timings)?;
        let rotation = timed(&mut timings.detect, || {
            worker
                .detector
                .upright_rotation(pixels.image(), budget.interrupt())
        })
        .map_err(|error| detection_failed(error, budget))?;
        let Some(rotation) = rotation else {
            let faces = match role {
                ImageRole::Photo if faces.is_empty() => self.filling(worker, &pixels, budget, timings)?,
                _ => faces,
            };
            return Ok(DetectedFaces::new(whole_size(&pixels), None, pixels, faces));
        };
        let size = whole_size(&pixels);
        // Two decoded images at a time would be twice the memory that a decode may hold.
        drop(pixels);
        match find(worker, Some(rotation), timings) {
            Ok((pixels, mut faces)) => {
                let turned = whole_size(&pixels);
                for face in &mut faces {
                    face.reported = rotated(&face.reported, rotation.inverse(), turned);
                }
                Ok(DetectedFaces::new(size, Some(rotation), pixels, faces))
            }
            Err(EngineError::Image {
                source: ImagingError::DecodeTooLarge { .. },
                ..
            }) => {
                let (pixels, faces) = find(worker, None, timings)?;
                Ok(DetectedFaces::new(size, None, pixels, faces))
            }
            Err(error) => Err(error),
        }
    }

    /// Decodes an image, turned by a rotation, as far as needed, and detects its faces, in the coordinates of the turned image.
    ///
    /// To find the primary face, a large JPEG is decoded at a part of its size first; where the detector's first pass is sure
    /// of what it sees there, the image is decoded again only if the face needs more pixels.
    #[allow(clippy::too_many_arguments)]
    fn find<'a>(
        &self,
        worker: &mut Worker,
        role: ImageRole,
        source: Source<'a, '_>,
        rotation: Option<Rotation>,
        search: Search,
        budget: &Budget,
        timings: &mut Timings,
    ) -> Result<(Reduced<'a>, Vec<FoundFace>), EngineError> {
        let refused = |source| refused(role, source, budget);
        let encoded = match source {
            Source::Decoded(image) => {
                let pixels = match rotation {
                    None => Reduced::whole(image),
                    Some(rotation) => timed(&mut timings.decode, || {
                        rotate(Cow::Borrowed(image), rotation, budget.interrupt())
                            .map(Reduced::owned)
                            .map_err(refused)
                    })?,
                };
                return self.detect(worker, pixels, search, budget, timings);
            }
            Source::Encoded(encoded) => encoded,
        };
        let mut decode = |longest_side| {
            let decoded = timed(&mut timings.decode, || {
                match rotation {
                    None => encoded.decode_reduced(longest_side, budget.interrupt()),
                    Some(rotation) => encoded.decode_rotated(longest_side, rotation, budget.interrupt()),
                }
                .map_err(refused)
            })?;
            budget.check()?;
            Ok::<_, EngineError>(decoded)
        };
        // No image is as long as `u32::MAX`: it is decoded whole.
        let (detail, first_side) = self
            .detail
            .of(role)
            .filter(|_| search == Search::Primary)
            .unwrap_or((0.0, u32::MAX));
        let mut pixels = decode(first_side)?;
        if pixels.factor() == 1 {
            return self.detect(worker, pixels, search, budget, timings);
        }
        let sure = timed(&mut timings.detect, || {
            worker.detector.first_pass(pixels.image()).map_err(inference)
        })?;
        let Some(faces) = sure else {
            // Two decoded images at a time would be twice the memory that a decode may hold.
            drop(pixels);
            let whole = decode(u32::MAX)?;
            return self.detect(worker, whole, search, budget, timings);
        };
        let mut faces = found(&pixels, faces, self.max_faces)?;
        budget.check()?;
        let lacking = faces
            .first()
            .map(|face| detail / face.decoded.bounding_box.area().sqrt());
        if let Some(lacking) = lacking.filter(|lacking| *lacking > 1.0) {
            // A side beyond what there is means the whole image.
            let longest_side = pixels.image().width().max(pixels.image().height());
            for face in &mut faces {
                face.decoded = to_whole(&pixels, &face.decoded);
            }
            // Two decoded images at a time would be twice the memory that a decode may hold.
            drop(pixels);
            pixels = decode((longest_side as f32 * lacking).ceil() as u32)?;
            for face in &mut faces {
                face.decoded = from_whole(&pixels, &face.decoded);
            }
        }
        Ok((pixels, faces))
    }

    /// Looks for the face that fills a decoded image, in which there is no other.
    fn filling(
        &self,
        worker: &mut Worker,
        pixels: &Reduced<'_>,
        budget: &Budget,
        timings: &mut Timings,
    ) -> Result<Vec<FoundFace>, EngineError> {
        let detected = timed(&mut timings.detect, || {
            worker.detector.filling_face(pixels.image(), budget.interrupt())
        });
        let face = detected.map_err(|error| detection_failed(error, budget))?;
        budget.check()?;
        found(pixels, face.into_iter().collect(), self.max_faces)
    }

    /// Detects the faces of a decoded image.
    fn detect<'a>(
        &self,
        worker: &mut Worker,
        pixels: Reduced<'a>,
        search: Search,
        budget: &Budget,
        timings: &mut Timings,
    ) -> Result<(Reduced<'a>, Vec<FoundFace>), EngineError> {
        let detector = &mut worker.detector;
        let detected = timed(&mut timings.detect, || {
            detector.detect(pixels.image(), search, budget.interrupt())
        });
        let faces = detected.map_err(|error| detection_failed(error, budget))?;
        budget.check()?;
        let faces = found(&pixels, faces, self.max_faces)?;
        Ok((pixels, faces))
    }
}

impl<'a> DetectedFaces<'a> {
    fn new(size: Size, rotation: Option<Rotation>, pixels: Reduced<'a>, faces: Vec<FoundFace>) -> Self {
        Self {
            size,
            rotation,
            pixels: (!faces.is_empty()).then_some(pixels),
            faces,
        }
    }

    /// Returns the primary face and the image that it is in.
    pub(crate) fn primary(&self) -> Option<(&Image, &FoundFace)> {
        Some((self.pixels.as_ref()?.image(), self.faces.first()?))
    }

    /// Returns the faces for the embedder.
    pub(crate) fn to_embed(&self) -> Vec<FaceInImage<'_>> {
        let Some(image) = self.pixels.as_ref().map(Reduced::image) else {
            return Vec::new();
        };
        let landmarks = self.faces.iter().map(|face| &face.decoded.landmarks);
        landmarks
            .map(|landmarks| FaceInImage { image, landmarks })
            .collect()
    }

    /// Measures how a face was photographed, by the detector's own box, which says more about a face that is cut.
    pub(crate) fn quality(&self, index: usize) -> Result<Option<FaceQuality>, EngineError> {
        let (Some(pixels), Some(face)) = (&self.pixels, self.faces.get(index)) else {
            return Ok(None);
        };
        let mut quality = FaceQuality::measure(pixels.image(), &face.decoded).map_err(inference)?;
        quality.inter_eye_distance *= f64::from(pixels.factor());
        Ok(Some(quality))
    }

    /// Returns the report about the image, with so many of the faces.
    pub(crate) fn report(&self, listed: usize, quality: Option<FaceQuality>) -> ImageReport {
        ImageReport {
            size: self.size,
            faces: self.faces.iter().take(listed).map(|face| face.reported).collect(),
            faces_found: self.faces.len(),
            quality,
            rotation: self.rotation,
        }
    }

    /// Returns the areas of the faces, in square pixels of the whole image.
    pub(crate) fn areas(&self) -> Vec<f32> {
        self.faces.iter().map(FoundFace::area).collect()
    }
}

impl FoundFace {
    /// The visible area in square pixels of the whole image.
    fn area(&self) -> f32 {
        self.reported.bounding_box.area()
    }
}

fn refused(role: ImageRole, source: ImagingError, budget: &Budget) -> EngineError {
    match source {
        ImagingError::Interrupted => budget.exceeded(),
        source => EngineError::Image { role, source },
    }
}

fn detection_failed(error: DetectionError, budget: &Budget) -> EngineError {
    match error {
        DetectionError::Interrupted(_) => budget.exceeded(),
        error => inference(error),
    }
}

fn whole_size(pixels: &Reduced<'_>) -> Size {
    Size {
        width: pixels.whole_width(),
        height: pixels.whole_height(),
    }
}

fn to_whole(pixels: &Reduced<'_>, face: &Face) -> Face {
    moved(face, pixels.factor() as f32, |x, y| pixels.to_whole(x, y))
}

fn from_whole(pixels: &Reduced<'_>, face: &Face) -> Face {
    moved(face, 1.0 / pixels.factor() as f32, |x, y| pixels.from_whole(x, y))
}

fn moved(face: &Face, scale: f32, to: impl Fn(f32, f32) -> (f32, f32)) -> Face {
    let BoundingBox { x, y, width, height } = face.bounding_box;
    let (x, y) = to(x, y);
    Face {
        bounding_box: BoundingBox {
            x,
            y,
            width: width * scale,
            height: height * scale,
        },
        score: face.score,
        landmarks: face.landmarks.map(|point| {
            let (x, y) = to(point.x, point.y);
            Point { x, y }
        }),
    }
}

/// Returns a face of an image of that size where it lies in the turned image. A quarter turn makes the box's width its height;
/// the landmarks keep their order, which is the person's and not the image's.
fn rotated(face: &Face, rotation: Rotation, Size { width, height }: Size) -> Face {
    let turned = |x, y| rotation.point((x, y), (width, height));
    let of = face.bounding_box;
    let (one, other) = (turned(of.x, of.y), turned(of.x + of.width, of.y + of.height));
    let (x, y) = (one.0.min(other.0), one.1.min(other.1));
    // Not the difference of the corners, which would round the sides.
    let (width, height) = if rotation.swaps_sides() {
        (of.height, of.width)
    } else {
        (of.width, of.height)
    };
    Face {
        bounding_box: BoundingBox { x, y, width, height },
        score: face.score,
        landmarks: face.landmarks.map(|point| {
            let (x, y) = turned(point.x, point.y);
            Point { x, y }
        }),
    }
}

/// Returns the faces of an image in the order of [`DetectedFaces`], at most `max_faces`.
fn found(pixels: &Reduced<'_>, faces: Vec<Face>, max_faces: usize) -> Result<Vec<FoundFace>, EngineError> {
    if !faces.iter().all(Face::is_finite) {
        return Err(EngineError::Inference(
            "the detector returned numbers that are not finite".into(),
        ));
    }
    let Size { width, height } = whole_size(pixels);
    let mut found: Vec<FoundFace> = faces
        .into_iter()
        .map(|decoded| {
            let mut reported = to_whole(pixels, &decoded);
            reported.bounding_box = reported.bounding_box.clipped(width, height);
            FoundFace { decoded, reported }
        })
        .filter(|face| face.area() > 0.0)
        .collect();
    found.sort_by(|a, b| {
        b.area()
            .total_cmp(&a.area())
            .then(b.reported.score.total_cmp(&a.reported.score))
    });
    found.truncate(max_faces);
    Ok(found)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_face_comes_back_from_the_turned_image(
            rotation in prop::sample::select(Rotation::ALL.to_vec()), (width, height) in (1_u32..5000, 1_u32..5000),
            x in -100_f32..4000.0, y in -100_f32..4000.0, sides in prop::array::uniform2(0.0_f32..2000.0),
        ) {
            let landmarks = std::array::from_fn(|index| Point { x: x + index as f32, y: y - index as f32 });
            let bounding_box = BoundingBox { x, y, width: sides[0], height: sides[1] };
            let face = Face { bounding_box, score: 0.9, landmarks };
            let (size, mut turned) = (Size { width, height }, Size { width, height });
            if rotation.swaps_sides() {
                turned = Size { width: height, height: width };
            }
            let back = rotated(&rotated(&face, rotation, size), rotation.inverse(), turned);
            let near = |a: f32, b: f32| (a - b).abs() < 0.01;
            prop_assert!(near(back.bounding_box.x, x) && near(back.bounding_box.y, y), "{:?}", back);
            prop_assert_eq!([back.bounding_box.width, back.bounding_box.height], sides);
            for (back, landmark) in back.landmarks.iter().zip(&landmarks) {
                prop_assert!(near(back.x, landmark.x) && near(back.y, landmark.y));
            }
        }
    }
}
