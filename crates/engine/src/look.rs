//! An image of a call: decoded at the size that its faces need, and searched.

use likeness_detection::{BoundingBox, DetectionError, Face, GLANCE_SIDE, Point, Search};
use likeness_imaging::{EncodedImage, Image, ImagingError, Limits, Reduced};
use likeness_quality::FaceQuality;

use crate::worker::{Worker, inference, timed};
use crate::{Budget, EngineError, ImageReport, ImageRole, Input, Size, Timings};

/// Longest side that a photo is decoded at for a first look, at least: twice what the detector then sees, so that what is
/// shrunk has been averaged over four pixels or more, and a main face of a fifth of it has the 128 pixels that the default
/// pack needs.
const PHOTO_SIDE: u32 = 2 * GLANCE_SIDE;

/// The same of a selfie, whose face needs the [256 pixels](likeness_liveness::DETAIL) of liveness and is larger in its
/// image: with this side, a first look suffices from 27 % of it on.
const SELFIE_SIDE: u32 = 3 * GLANCE_SIDE;

/// How an image is to be looked at.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Looking<'a> {
    pub(crate) limits: &'a Limits,
    pub(crate) max_faces: usize,
    pub(crate) detail: Detail,
    pub(crate) budget: &'a Budget,
}

/// Side of a face, in pixels, from which on more pixels tell the models nothing. `None`: every pixel counts, or nobody
/// knows.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Detail {
    /// To the embedder, and to whoever measures quality.
    pub(crate) photo: Option<f32>,
    /// To the liveness models as well.
    pub(crate) selfie: Option<f32>,
}

impl Detail {
    /// What a face needs, and the longest side of a first look, at least.
    fn of(self, role: ImageRole) -> Option<(f32, u32)> {
        match role {
            ImageRole::Photo => self.photo.map(|detail| (detail, PHOTO_SIDE)),
            ImageRole::Selfie => self.selfie.map(|detail| (detail, SELFIE_SIDE)),
        }
    }
}

/// An image and the faces in it.
pub(crate) struct Look<'a> {
    size: Size,
    /// `None` where there is no face: nothing is measured then, and a decoded image may take much memory.
    pixels: Option<Pixels<'a>>,
    /// The one with the largest visible box first, ties by score.
    pub(crate) faces: Vec<Found>,
}

/// A face as the detector gave it, in the pixels that were decoded, for the models; and clipped to the image and in its
/// own pixels, for whoever reads the answer.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Found {
    pub(crate) raw: Face,
    pub(crate) shown: Face,
}

enum Pixels<'a> {
    Borrowed(&'a Image),
    Decoded(Reduced),
}

impl<'a> Look<'a> {
    /// Decodes an image as far as needed, and finds its faces.
    pub(crate) fn at(
        worker: &mut Worker,
        role: ImageRole,
        input: Input<'a>,
        search: Search,
        looking: Looking<'_>,
        timings: &mut Timings,
    ) -> Result<Self, EngineError> {
        let Looking { limits, budget, .. } = looking;
        let refused = |source| match source {
            ImagingError::Interrupted => budget.exceeded(),
            source => EngineError::Image { role, source },
        };
        let bytes = match input {
            Input::Image(image) => {
                limits
                    .check_size(image.width(), image.height())
                    .map_err(refused)?;
                return Self::searched(worker, Pixels::Borrowed(image), search, looking, timings);
            }
            Input::Encoded(bytes) => bytes,
        };
        let image = timed(&mut timings.decode, || {
            EncodedImage::open(bytes, limits).map_err(refused)
        })?;
        let mut decode = |longest_side| {
            let reduced = timed(&mut timings.decode, || {
                image
                    .decode_reduced(longest_side, budget.interrupt())
                    .map_err(refused)
            })?;
            budget.check()?;
            Ok::<_, EngineError>(reduced)
        };
        // No image is that long: it is decoded whole.
        let (detail, first_side) = looking
            .detail
            .of(role)
            .filter(|_| search == Search::Primary)
            .unwrap_or((0.0, u32::MAX));
        let first = decode(first_side)?;
        if first.factor() == 1 {
            return Self::searched(worker, Pixels::Decoded(first), search, looking, timings);
        }
        let glanced = timed(&mut timings.detect, || {
            worker.detector.glance(first.image()).map_err(inference)
        })?;
        let Some(faces) = glanced else {
            // Two decoded images at a time would be twice the memory that a decode may hold.
            drop(first);
            let whole = decode(u32::MAX)?;
            return Self::searched(worker, Pixels::Decoded(whole), search, looking, timings);
        };
        let longest_side = first.image().width().max(first.image().height());
        let mut pixels = Pixels::Decoded(first);
        let mut faces = found(&pixels, faces, looking.max_faces)?;
        budget.check()?;
        let lacking = faces
            .first()
            .map(|face| detail / face.raw.bounding_box.area().sqrt());
        if let Some(lacking) = lacking.filter(|lacking| *lacking > 1.0) {
            // A side beyond what there is means the whole image.
            for face in &mut faces {
                face.raw = pixels.face_to_whole(&face.raw);
            }
            // Two decoded images at a time would be twice the memory that a decode may hold.
            drop(pixels);
            let larger = decode((longest_side as f32 * lacking).ceil() as u32)?;
            for face in &mut faces {
                face.raw = face_from_whole(&larger, &face.raw);
            }
            pixels = Pixels::Decoded(larger);
        }
        Ok(Self::new(pixels, faces))
    }

    fn new(pixels: Pixels<'a>, faces: Vec<Found>) -> Self {
        Self {
            size: pixels.whole_size(),
            pixels: (!faces.is_empty()).then_some(pixels),
            faces,
        }
    }

    fn searched(
        worker: &mut Worker,
        pixels: Pixels<'a>,
        search: Search,
        looking: Looking<'_>,
        timings: &mut Timings,
    ) -> Result<Self, EngineError> {
        let faces = timed(&mut timings.detect, || {
            worker
                .detector
                .detect(pixels.image(), search, looking.budget.interrupt())
                .map_err(|error| match error {
                    DetectionError::Interrupted(_) => looking.budget.exceeded(),
                    error => inference(error),
                })
        })?;
        looking.budget.check()?;
        let faces = found(&pixels, faces, looking.max_faces)?;
        Ok(Self::new(pixels, faces))
    }

    /// The faces, each with the pixels that it is [in](Found::raw).
    pub(crate) fn faces_in_pixels(&self) -> impl Iterator<Item = (&Image, &Found)> {
        let image = self.pixels.as_ref().map(Pixels::image);
        self.faces
            .iter()
            .filter_map(move |found| image.map(|image| (image, found)))
    }

    /// How a face is photographed; by the detector's own box, which says more of a face that is cut.
    pub(crate) fn quality(&self, index: usize) -> Result<Option<FaceQuality>, EngineError> {
        let factor = self.pixels.as_ref().map_or(1, Pixels::factor);
        self.faces_in_pixels()
            .nth(index)
            .map(|(image, found)| {
                let mut quality = FaceQuality::measure(image, &found.raw).map_err(inference)?;
                quality.inter_eye_distance *= f64::from(factor);
                Ok(quality)
            })
            .transpose()
    }

    /// What is answered about the image, with so many of the faces.
    pub(crate) fn report(&self, listed: usize, quality: Option<FaceQuality>) -> ImageReport {
        ImageReport {
            size: self.size,
            faces: self.faces.iter().take(listed).map(|found| found.shown).collect(),
            faces_found: self.faces.len(),
            quality,
        }
    }

    /// The areas of the faces, in square pixels of the whole image.
    pub(crate) fn areas(&self) -> Vec<f32> {
        self.faces
            .iter()
            .map(|found| found.shown.bounding_box.area())
            .collect()
    }
}

impl Pixels<'_> {
    fn image(&self) -> &Image {
        match self {
            Self::Borrowed(image) => image,
            Self::Decoded(reduced) => reduced.image(),
        }
    }

    fn whole_size(&self) -> Size {
        match self {
            Self::Borrowed(image) => Size {
                width: image.width(),
                height: image.height(),
            },
            Self::Decoded(reduced) => Size {
                width: reduced.whole_width(),
                height: reduced.whole_height(),
            },
        }
    }

    fn factor(&self) -> u32 {
        match self {
            Self::Borrowed(_) => 1,
            Self::Decoded(reduced) => reduced.factor(),
        }
    }

    fn face_to_whole(&self, face: &Face) -> Face {
        match self {
            Self::Borrowed(_) => *face,
            Self::Decoded(reduced) => moved(face, reduced.factor() as f32, |point| {
                reduced.to_whole(point.x, point.y)
            }),
        }
    }
}

fn face_from_whole(reduced: &Reduced, face: &Face) -> Face {
    moved(face, 1.0 / reduced.factor() as f32, |point| {
        reduced.from_whole(point.x, point.y)
    })
}

fn moved(face: &Face, scale: f32, to: impl Fn(Point) -> (f32, f32)) -> Face {
    let BoundingBox { x, y, width, height } = face.bounding_box;
    let (x, y) = to(Point { x, y });
    Face {
        bounding_box: BoundingBox {
            x,
            y,
            width: width * scale,
            height: height * scale,
        },
        score: face.score,
        landmarks: face.landmarks.map(|point| {
            let (x, y) = to(point);
            Point { x, y }
        }),
    }
}

/// The faces of an image in the order of a [`Look`], at most `max_faces`.
fn found(pixels: &Pixels<'_>, faces: Vec<Face>, max_faces: usize) -> Result<Vec<Found>, EngineError> {
    if !faces.iter().all(Face::is_finite) {
        return Err(EngineError::Inference(
            "the detector answered with numbers that are not finite".into(),
        ));
    }
    let Size { width, height } = pixels.whole_size();
    let mut found: Vec<Found> = faces
        .into_iter()
        .map(|raw| {
            let whole = pixels.face_to_whole(&raw);
            let bounding_box = whole.bounding_box.clipped(width, height);
            Found {
                raw,
                shown: Face {
                    bounding_box,
                    ..whole
                },
            }
        })
        .filter(|found| found.shown.bounding_box.area() > 0.0)
        .collect();
    found.sort_by(|a, b| {
        let area = |found: &Found| found.shown.bounding_box.area();
        area(b)
            .total_cmp(&area(a))
            .then(b.shown.score.total_cmp(&a.shown.score))
    });
    found.truncate(max_faces);
    Ok(found)
}
