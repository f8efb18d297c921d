//! One pass of a network over an image at a scale: shrinking, tiling, padding, running, and back to the image's pixels. The
//! meaning of the outputs is up to the family of networks.

use std::marker::PhantomData;

use likeness_face::write_input;
use likeness_imaging::{self as imaging, Image, Interrupt, PixelRect};
use likeness_packs::{DetectorAdapter, DetectorModel, Pack, Preprocessing};
use likeness_runtime::{Adapter, Misfit, ModelSession, Outputs, Runtime, TensorSpec};

use crate::ensemble::Candidates;
use crate::search::{self, Bounds, DOUBTFUL, Search, suppress};
use crate::{DetectionError, Face, FaceDetector, Point, largest_first};

/// Both sides of the input must be multiples of the largest stride.
const INPUT_MULTIPLE: u32 = 32;

/// A larger input is run in tiles: the network's memory grows with its area.
const LARGEST_TILE: u32 = 1376;

/// What neighbouring tiles share, so that a smaller face lies whole in one of them; larger ones are found by the passes
/// at smaller scales.
const TILE_OVERLAP: u32 = 160;

/// What an input of a fixed size may measure: smaller ones would cut the largest pass into hundreds of tiles.
const FIXED_SIDES: std::ops::RangeInclusive<usize> = 320..=2560;

/// A family of networks whose outputs are cells of grids over their input.
pub trait GridFamily: Send + 'static {
    /// The family as manifests name it.
    const ADAPTER: DetectorAdapter;
    /// The same, for messages.
    const NAMES: Adapter;

    /// Checks that a model's outputs, as it declares them, can be those of the family.
    ///
    /// # Errors
    /// [`Misfit`] where they cannot.
    fn check(outputs: &[TensorSpec]) -> Result<(), Misfit>;

    /// Adds the cells at or above a score as faces in the image's pixels.
    ///
    /// # Errors
    /// [`DetectionError`] where the outputs are not those of the family.
    fn decode(
        outputs: &Outputs<'_>,
        view: &View,
        score: f32,
        faces: &mut Vec<Face>,
    ) -> Result<(), DetectionError>;
}

/// A detector of a family on one session.
#[derive(Debug)]
pub struct GridDetector<F> {
    session: ModelSession,
    preprocessing: Preprocessing,
    /// Size that every input has, in pixels; `None` for a side that is free.
    width: Option<u32>,
    height: Option<u32>,
    bounds: Bounds,
    input: Vec<f32>,
    family: PhantomData<F>,
}

impl<F: GridFamily> GridDetector<F> {
    /// Opens the first detector of this family in a pack.
    ///
    /// # Errors
    /// A pack without one, a model that ONNX Runtime refuses, or one that does not fit the family.
    pub fn open(runtime: &Runtime, pack: &Pack) -> Result<Self, DetectionError> {
        let mut detectors = pack.manifest().detectors.iter();
        let model = detectors
            .find(|model| model.adapter == F::ADAPTER)
            .ok_or(DetectionError::NoModel)?;
        Self::open_model(runtime, pack, model)
    }

    /// Opens this detector of a pack.
    ///
    /// # Errors
    /// A model that the pack does not have, that ONNX Runtime refuses, or that by its declared inputs and outputs does not
    /// fit the family.
    pub fn open_model(runtime: &Runtime, pack: &Pack, model: &DetectorModel) -> Result<Self, DetectionError> {
        let session = runtime.open(&model.model, pack.model(&model.model)?)?;
        let (width, height) = fixed_size(&session)
            .and_then(|size| F::check(session.outputs()).map(|()| size))
            .map_err(|misfit| F::NAMES.misfit(session.name(), misfit))?;
        Ok(Self {
            session,
            preprocessing: model.input,
            width,
            height,
            bounds: Bounds {
                score: model.score_threshold,
                iou: model.nms_iou,
            },
            input: Vec::new(),
            family: PhantomData,
        })
    }

    /// The same detector with another lowest score of a face, 0..=1.
    #[must_use]
    pub fn with_score_threshold(mut self, score: f32) -> Self {
        self.bounds.score = score;
        self
    }

    /// One pass of the network over the whole image, shrunk by area averaging so that its longest side is at most
    /// `longest_side` pixels (never enlarged), padded with black on the right and at the bottom. Faces come largest
    /// first.
    ///
    /// # Errors
    /// [`DetectionError`] where the model fails.
    pub fn detect_at(&mut self, image: &Image, longest_side: u32) -> Result<Vec<Face>, DetectionError> {
        let candidates = self.candidates_at(image, longest_side, self.bounds.score, Interrupt::NEVER)?;
        let mut faces = suppress(candidates, self.bounds.iou);
        largest_first(&mut faces);
        Ok(faces)
    }

    /// The candidates of an image that has its final scale: in one run of the network, or in tiles where it is large.
    fn candidates_of(
        &mut self,
        small: &Image,
        frame: &Frame,
        score: f32,
        interrupt: Interrupt<'_>,
    ) -> Result<Vec<Face>, DetectionError> {
        interrupt.check()?;
        let (rows, columns) = (
            tiles(small.height(), self.height.unwrap_or(LARGEST_TILE)),
            tiles(small.width(), self.width.unwrap_or(LARGEST_TILE)),
        );
        if rows.len() == 1 && columns.len() == 1 {
            return self.run(small, frame, score);
        }
        let mut faces = Vec::new();
        for &(top, height) in &rows {
            for &(left, width) in &columns {
                let rect = PixelRect {
                    left,
                    top,
                    width,
                    height,
                };
                interrupt.check()?;
                // To its own size: a copy.
                let tile = imaging::crop_resize_bilinear(small, rect, width, height);
                faces.extend(self.run(
                    &tile,
                    &Frame {
                        left: left as f32,
                        top: top as f32,
                        ..*frame
                    },
                    score,
                )?);
            }
        }
        Ok(faces)
    }

    fn run(&mut self, tile: &Image, frame: &Frame, score: f32) -> Result<Vec<Face>, DetectionError> {
        let (width, height) = (
            self.width
                .unwrap_or_else(|| tile.width().next_multiple_of(INPUT_MULTIPLE)),
            self.height
                .unwrap_or_else(|| tile.height().next_multiple_of(INPUT_MULTIPLE)),
        );
        let padded = imaging::pad_to(tile, width, height);
        self.input.resize(3 * width as usize * height as usize, 0.0);
        write_input(&padded, &self.preprocessing, &mut self.input);
        let shape = [1, 3, height as usize, width as usize];
        let outputs = self.session.run(shape, &self.input)?;
        let view = View {
            width,
            height,
            frame: *frame,
        };
        let mut faces = Vec::new();
        F::decode(&outputs, &view, score, &mut faces)?;
        faces.retain(|face| {
            face.is_finite() && face.bounding_box.width > 0.0 && face.bounding_box.height > 0.0
        });
        Ok(faces)
    }
}

impl<F: GridFamily> Candidates for GridDetector<F> {
    fn bounds(&self) -> Bounds {
        self.bounds
    }

    fn candidates_at(
        &mut self,
        image: &Image,
        longest_side: u32,
        score: f32,
        interrupt: Interrupt<'_>,
    ) -> Result<Vec<Face>, DetectionError> {
        interrupt.check()?;
        let ratio = f64::from(longest_side) / f64::from(image.width().max(image.height()));
        if ratio >= 1.0 {
            return self.candidates_of(image, &Frame::of(image, image), score, interrupt);
        }
        let shrunk = |side: u32| ((f64::from(side) * ratio).round() as u32).max(1);
        let small = imaging::shrink_area(image, shrunk(image.width()), shrunk(image.height()));
        self.candidates_of(&small, &Frame::of(&small, image), score, interrupt)
    }
}

impl<F: GridFamily> FaceDetector for GridDetector<F> {
    fn detect(
        &mut self,
        image: &Image,
        search: Search,
        interrupt: Interrupt<'_>,
    ) -> Result<Vec<Face>, DetectionError> {
        let bounds = self.bounds;
        search::run(image, search, bounds, |side| {
            self.candidates_at(image, side, DOUBTFUL.min(bounds.score), interrupt)
        })
    }

    fn first_pass(&mut self, image: &Image) -> Result<Option<Vec<Face>>, DetectionError> {
        let bounds = self.bounds;
        search::first_pass(image, bounds, |side| {
            let score = DOUBTFUL.min(bounds.score);
            let candidates = self.candidates_at(image, side, score, Interrupt::NEVER)?;
            Ok(suppress(candidates, bounds.iou))
        })
    }
}

/// Width and height that every input must have, where the model says so.
fn fixed_size(session: &ModelSession) -> Result<(Option<u32>, Option<u32>), Misfit> {
    let input = session.image_input(None)?;
    let side = |side: Option<usize>| match side {
        None => Ok(None),
        Some(side) if FIXED_SIDES.contains(&side) && side.is_multiple_of(INPUT_MULTIPLE as usize) => {
            Ok(Some(side as u32))
        }
        Some(_) => Err(Misfit::new(
            "an input of any size, or of one of 320 to 2560 pixels a side that is a multiple of 32",
            likeness_runtime::listed(session.inputs()),
        )),
    };
    Ok((side(input.width)?, side(input.height)?))
}

/// Splits a side into pieces `(begin, length)` of at most `longest` that overlap by at least [`TILE_OVERLAP`], or by a
/// quarter of `longest` where that is less.
fn tiles(side: u32, longest: u32) -> Vec<(u32, u32)> {
    if side <= longest {
        return vec![(0, side)];
    }
    let overlap = TILE_OVERLAP.min(longest / 4);
    let count = (side - overlap).div_ceil(longest - overlap);
    let length = (side + (count - 1) * overlap).div_ceil(count);
    (0..count)
        .map(|number| (number * (side - length) / (count - 1), length))
        .collect()
}

/// The input of a network: its size, and where it lies in the image.
#[derive(Debug, Clone, Copy)]
pub struct View {
    /// Pixels from left to right, a multiple of 32.
    pub(crate) width: u32,
    /// Pixels from top to bottom, likewise.
    pub(crate) height: u32,
    /// Where it lies.
    pub(crate) frame: Frame,
}

impl View {
    /// Columns and rows of the grid of a stride.
    pub(crate) fn cells(&self, stride: u32) -> (u32, u32) {
        (self.width / stride, self.height / stride)
    }
}

/// Where the network's input lies in the image.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Frame {
    /// Left and top edge of the input, in pixels of the shrunk image.
    pub(crate) left: f32,
    pub(crate) top: f32,
    /// Pixels of the image for each of the shrunk one. They differ a little, since each side is rounded by itself.
    pub(crate) scale_x: f32,
    pub(crate) scale_y: f32,
}

impl Frame {
    pub(crate) fn of(small: &Image, image: &Image) -> Self {
        let scale = |small: u32, side: u32| (f64::from(side) / f64::from(small)) as f32;
        Self {
            left: 0.0,
            top: 0.0,
            scale_x: scale(small.width(), image.width()),
            scale_y: scale(small.height(), image.height()),
        }
    }

    /// A point of the network's input in pixels of the image.
    pub(crate) fn point(&self, x: f32, y: f32) -> Point {
        Point {
            x: (x + self.left) * self.scale_x,
            y: (y + self.top) * self.scale_y,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn tiles_cover_a_side_and_overlap(side in 1u32..12_000, longest in prop::sample::select(vec![320, 640, LARGEST_TILE])) {
            let tiles = tiles(side, longest);
            prop_assert_eq!(tiles[0].0, 0);
            let (last, length) = tiles[tiles.len() - 1];
            prop_assert_eq!(last + length, side);
            prop_assert!(tiles.iter().all(|&(_, length)| length <= longest));
            let overlap = TILE_OVERLAP.min(longest / 4);
            for pair in tiles.windows(2) {
                prop_assert!(pair[0].0 + pair[0].1 >= pair[1].0 + overlap - 1, "{:?}", tiles);
            }
        }
    }

    #[test]
    fn a_point_comes_back_to_where_it_was_in_the_image() {
        let image = |width: u32, height: u32| {
            Image::from_rgb8(width, height, vec![0; (width * height * 3) as usize]).unwrap()
        };
        let frame = Frame {
            left: 10.0,
            ..Frame::of(&image(50, 20), &image(200, 100))
        };
        assert_eq!(frame.point(15.0, 10.0), Point { x: 100.0, y: 50.0 });
    }
}
