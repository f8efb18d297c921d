//! One pass of a network over an image at a scale: shrinking, tiling, padding, running, and back to the image's pixels. The
//! meaning of the outputs is up to the family of networks.

use std::borrow::Cow;

use likeness_face::write_input;
use likeness_imaging::{Image, Interrupt, PixelRect, crop_resize_bilinear, pad_to, shrink_area};
use likeness_packs::{DetectorModel, Pack};
use likeness_runtime::{Adapter, Misfit, ModelSession, Outputs, Runtime, TensorSpec};

use crate::{BoundingBox, DetectionError, Face, Point};

/// Both sides of the input must be multiples of the largest stride.
const INPUT_MULTIPLE: u32 = 32;

/// [`Family::largest_tile`] of YuNet and SCRFD.
pub(crate) const LARGEST_TILE: u32 = 1376;

/// What neighbouring tiles share, so that a smaller face lies whole in one of them; larger ones are found by the passes
/// at smaller scales.
const TILE_OVERLAP: u32 = 160;

/// What an input of a fixed size may measure: smaller ones would cut the largest pass into hundreds of tiles.
const FIXED_SIDES: std::ops::RangeInclusive<usize> = 320..=2560;

/// Cell sizes of the three levels of YuNet and SCRFD, in pixels of the network's input.
pub(crate) const STRIDES: [u32; 3] = [8, 16, 32];

/// A family of networks whose outputs are cells of grids over their input.
#[derive(Debug)]
pub(crate) struct Family {
    /// Its name, for messages.
    pub(crate) adapter: Adapter,
    /// A larger input is run in tiles of at most this side: the network's memory grows with its area.
    pub(crate) largest_tile: u32,
    /// Passes at a longer side find nothing more.
    pub(crate) longest_pass: u32,
    /// Checks that a model's outputs, as it declares them, can be those of the family.
    pub(crate) check: fn(&[TensorSpec]) -> Result<(), Misfit>,
    /// Returns the candidates of at least a score in the image's pixels; fails where the outputs are not those of the family.
    pub(crate) faces: fn(&Outputs<'_>, &View, f32) -> Result<Vec<Face>, DetectionError>,
}

/// Where the box of a cell's four numbers lies, by its column and row.
pub(crate) type Place = fn(&Level<'_>, &View, [f32; 2], [f32; 4]) -> BoundingBox;

/// The numbers of a grid, a row of them for each anchor.
pub(crate) struct Level<'a> {
    /// Cell size in pixels of the network's input.
    pub(crate) stride: u32,
    /// Anchors in each cell. Each has a score, four numbers of a box, and the offsets of the landmarks from the cell's
    /// upper left corner, in cells.
    pub(crate) anchors: u32,
    pub(crate) scores: Cow<'a, [f32]>,
    pub(crate) boxes: &'a [f32],
    pub(crate) landmarks: &'a [f32],
}

impl Level<'_> {
    /// Returns the anchors at or above a score as faces in the image's pixels.
    pub(crate) fn faces(&self, view: &View, threshold: f32, place: Place) -> Vec<Face> {
        let (columns, _) = view.cells(self.stride);
        let stride = self.stride as f32;
        let numbers = self
            .boxes
            .as_chunks()
            .0
            .iter()
            .zip(self.landmarks.as_chunks::<10>().0);
        (0u32..)
            .zip(self.scores.iter().zip(numbers))
            // NaN is not a face either.
            .filter(|(_, (score, _))| **score >= threshold)
            .map(|(anchor, (score, (bounds, offsets)))| {
                let cell = anchor / self.anchors;
                let [column, row] = [cell % columns, cell / columns].map(|number| number as f32);
                Face {
                    bounding_box: place(self, view, [column, row], *bounds),
                    score: score.clamp(0.0, 1.0),
                    landmarks: std::array::from_fn(|index| {
                        let (x, y) = (offsets[2 * index], offsets[2 * index + 1]);
                        view.point((column + x) * stride, (row + y) * stride)
                    }),
                }
            })
            .collect()
    }
}

/// The thresholds of a face, and of the same face.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    /// Candidates below this score are no faces.
    pub(crate) score: f32,
    /// Of two boxes that overlap by more than this the weaker is dropped.
    pub(crate) iou: f32,
}

/// A detector of a family on one session.
#[derive(Debug)]
pub(crate) struct GridDetector {
    session: ModelSession,
    family: &'static Family,
    model: DetectorModel,
    /// Size that every input has, in pixels; `None` for a side that is free.
    width: Option<u32>,
    height: Option<u32>,
    input: Vec<f32>,
}

impl GridDetector {
    /// Opens a detector of a pack.
    pub(crate) fn open(
        runtime: &Runtime,
        pack: &Pack,
        model: &DetectorModel,
        family: &'static Family,
    ) -> Result<Self, DetectionError> {
        let session = runtime.open(&model.model, pack.model(&model.model)?)?;
        let (width, height) = fixed_size(&session)
            .and_then(|size| (family.check)(session.outputs()).map(|()| size))
            .map_err(|misfit| family.adapter.misfit(session.name(), misfit))?;
        Ok(Self {
            session,
            family,
            model: model.clone(),
            width,
            height,
            input: Vec::new(),
        })
    }

    pub(crate) fn weight(&self) -> f64 {
        self.model.weight
    }

    pub(crate) fn upright_score(&self) -> Option<f32> {
        self.model.upright_score
    }

    /// Longest side of the passes in which it may find something more.
    pub(crate) fn longest_pass(&self) -> u32 {
        self.family.longest_pass
    }

    pub(crate) fn bounds(&self) -> Bounds {
        Bounds {
            score: self.model.score_threshold,
            iou: self.model.nms_iou,
        }
    }

    /// Returns every candidate of at least this score, overlapping boxes included, that the network sees in the whole image,
    /// shrunk by area averaging so that its longest side is at most `longest_side` pixels (never enlarged), padded with black
    /// on the right and at the bottom; in one run, or in tiles where it is still large.
    pub(crate) fn candidates_at(
        &mut self,
        image: &Image,
        longest_side: u32,
        score: f32,
        interrupt: Interrupt<'_>,
    ) -> Result<Vec<Face>, DetectionError> {
        interrupt.check()?;
        let ratio = f64::from(longest_side) / f64::from(image.width().max(image.height()));
        let shrunk = |side: u32| ((f64::from(side) * ratio).round() as u32).max(1);
        let smaller =
            (ratio < 1.0).then(|| shrink_area(image, shrunk(image.width()), shrunk(image.height())));
        let small = smaller.as_ref().unwrap_or(image);
        let view = View::of(small, image);
        let largest = self.family.largest_tile;
        let rows = tiles(small.height(), self.height.unwrap_or(largest));
        let columns = tiles(small.width(), self.width.unwrap_or(largest));
        if rows.len() == 1 && columns.len() == 1 {
            interrupt.check()?;
            return self.run(small, view, score);
        }
        let mut faces = Vec::new();
        for &(top, height) in &rows {
            for &(left, width) in &columns {
                interrupt.check()?;
                let rect = PixelRect {
                    left,
                    top,
                    width,
                    height,
                };
                // To its own size: a copy.
                let tile = crop_resize_bilinear(small, rect, width, height);
                let (left, top) = (left as f32, top as f32);
                faces.extend(self.run(&tile, View { left, top, ..view }, score)?);
            }
        }
        Ok(faces)
    }

    /// Runs the network on a tile as it is. Of the view, the size is set here.
    fn run(&mut self, tile: &Image, view: View, score: f32) -> Result<Vec<Face>, DetectionError> {
        let side = |fixed: Option<u32>, side: u32| fixed.unwrap_or(side.next_multiple_of(INPUT_MULTIPLE));
        let (width, height) = (side(self.width, tile.width()), side(self.height, tile.height()));
        let padded = pad_to(tile, width, height);
        self.input.resize(padded.as_rgb8().len(), 0.0);
        write_input(&padded, &self.model.input, &mut self.input);
        let shape = [1, 3, height as usize, width as usize];
        let outputs = self.session.run(shape, &self.input)?;
        let view = View {
            width,
            height,
            ..view
        };
        let mut faces = (self.family.faces)(&outputs, &view, score)?;
        faces.retain(|face| {
            face.is_finite() && face.bounding_box.width > 0.0 && face.bounding_box.height > 0.0
        });
        Ok(faces)
    }
}

/// Width and height that every input must have, where the model says so.
fn fixed_size(session: &ModelSession) -> Result<(Option<u32>, Option<u32>), Misfit> {
    let input = session.image_input(None)?;
    let fits = |side: &usize| FIXED_SIDES.contains(side) && side.is_multiple_of(INPUT_MULTIPLE as usize);
    if [input.width, input.height].iter().flatten().all(fits) {
        let side = |side: usize| side as u32;
        return Ok((input.width.map(side), input.height.map(side)));
    }
    Err(Misfit::new(
        "an input of any size, or of one of 320 to 2560 pixels a side that is a multiple of 32",
        likeness_runtime::listed(session.inputs()),
    ))
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

/// The input of a network, and where it lies in the image.
#[derive(Debug, Clone, Copy)]
pub(crate) struct View {
    /// Size of the input in pixels.
    pub(crate) width: u32,
    pub(crate) height: u32,
    /// Left and top edge of the input, in pixels of the shrunk image.
    pub(crate) left: f32,
    pub(crate) top: f32,
    /// Pixels of the image for each of the shrunk one. They differ a little, since each side is rounded by itself.
    pub(crate) scale_x: f32,
    pub(crate) scale_y: f32,
}

impl View {
    fn of(small: &Image, image: &Image) -> Self {
        let scale = |small: u32, side: u32| (f64::from(side) / f64::from(small)) as f32;
        Self {
            width: small.width(),
            height: small.height(),
            left: 0.0,
            top: 0.0,
            scale_x: scale(small.width(), image.width()),
            scale_y: scale(small.height(), image.height()),
        }
    }

    /// Columns and rows of the grid of a stride.
    pub(crate) fn cells(&self, stride: u32) -> (u32, u32) {
        (self.width / stride, self.height / stride)
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
        let view = View {
            left: 10.0,
            ..View::of(&image(50, 20), &image(200, 100))
        };
        assert_eq!(view.point(15.0, 10.0), Point { x: 100.0, y: 50.0 });
    }
}
