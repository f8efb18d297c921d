//! YuNet: a small anchor-free detector with five landmarks.
//!
//! Wu, Peng, Yu: "YuNet: A Tiny Millisecond-level Face Detector", Machine Intelligence Research 20 (2023). The network
//! looks at cells of 8, 16 and 32 pixels and was trained on faces of about 10 to 300 px, so a face that fills a large
//! picture has to be shrunk first.

use likeness_imaging::{self as imaging, Picture, PixelRect};
use likeness_models::{DetectorAdapter, DetectorModel, Pack};
use likeness_runtime::{ModelSession, Outputs, Runtime};
use ndarray::ArrayView4;

use crate::search::{self, Bounds, DOUBTFUL, Search};
use crate::suppression::suppress;
use crate::{
    BoundingBox, DetectionError, Face, FaceDetector, Landmarks, Point, channel_order, largest_first,
};

/// Cell sizes of the three levels, in pixels of the network's input.
const STRIDES: [u32; 3] = [8, 16, 32];

/// Both sides of the input must be multiples of the largest stride.
const INPUT_MULTIPLE: u32 = 32;

/// A larger input is run in tiles: the network's memory grows with its area.
const LARGEST_TILE: u32 = 1376;

/// What neighbouring tiles share, so that a smaller face lies whole in one of them; larger ones are found by the passes
/// at smaller scales.
const TILE_OVERLAP: u32 = 160;

/// Above this a side would be more than e^8 = 2981 cells wide, which no face is; it also keeps `exp` finite.
const MAX_LOG_SIDE: f32 = 8.0;

/// YuNet on one session.
#[derive(Debug)]
pub struct YuNet {
    session: ModelSession,
    channels: imaging::ChannelOrder,
    bounds: Bounds,
    input: Vec<f32>,
}

impl YuNet {
    /// Opens the first YuNet of a pack.
    ///
    /// # Errors
    /// A pack without one, or a model that ONNX Runtime refuses.
    pub fn open(runtime: &Runtime, pack: &Pack) -> Result<Self, DetectionError> {
        let mut detectors = pack.manifest().detectors.iter();
        let model = detectors
            .find(|model| model.adapter == DetectorAdapter::Yunet)
            .ok_or(DetectionError::NoModel)?;
        Self::open_model(runtime, pack, model)
    }

    /// Opens this detector of a pack.
    ///
    /// # Errors
    /// A model that the pack does not have, or that ONNX Runtime refuses.
    pub fn open_model(runtime: &Runtime, pack: &Pack, model: &DetectorModel) -> Result<Self, DetectionError> {
        Ok(Self {
            session: runtime.open(&model.model, pack.model(&model.model)?)?,
            channels: channel_order(model.input.channels),
            bounds: Bounds {
                score: model.score_threshold,
                iou: model.nms_iou,
            },
            input: Vec::new(),
        })
    }

    /// The same detector with another lowest score of a face, 0..=1.
    #[must_use]
    pub fn with_score_threshold(mut self, score: f32) -> Self {
        self.bounds.score = score;
        self
    }

    /// One pass of the network over the whole picture, shrunk by area averaging so that its longest side is at most
    /// `longest_side` pixels (never enlarged), padded with black on the right and at the bottom. Faces come largest
    /// first.
    ///
    /// # Errors
    /// [`DetectionError`] where the model fails.
    pub fn detect_at(&mut self, picture: &Picture, longest_side: u32) -> Result<Vec<Face>, DetectionError> {
        let candidates = self.candidates_at(picture, longest_side, self.bounds.score)?;
        let mut faces = suppress(candidates, self.bounds.iou);
        largest_first(&mut faces);
        Ok(faces)
    }

    fn candidates_at(
        &mut self,
        picture: &Picture,
        longest_side: u32,
        score: f32,
    ) -> Result<Vec<Face>, DetectionError> {
        let ratio = f64::from(longest_side) / f64::from(picture.width().max(picture.height()));
        if ratio >= 1.0 {
            return self.candidates_of(picture, &Frame::of(picture, picture), score);
        }
        let shrunk = |side: u32| ((f64::from(side) * ratio).round() as u32).max(1);
        let small = imaging::shrink_area(picture, shrunk(picture.width()), shrunk(picture.height()));
        self.candidates_of(&small, &Frame::of(&small, picture), score)
    }

    /// The candidates of a picture that has its final scale: in one run of the network, or in tiles where it is large.
    fn candidates_of(
        &mut self,
        small: &Picture,
        frame: &Frame,
        score: f32,
    ) -> Result<Vec<Face>, DetectionError> {
        let (rows, columns) = (tiles(small.height()), tiles(small.width()));
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

    fn run(&mut self, tile: &Picture, frame: &Frame, score: f32) -> Result<Vec<Face>, DetectionError> {
        let (width, height) = (
            tile.width().next_multiple_of(INPUT_MULTIPLE),
            tile.height().next_multiple_of(INPUT_MULTIPLE),
        );
        let padded = imaging::pad_to(tile, width, height);
        self.input.resize(3 * width as usize * height as usize, 0.0);
        imaging::write_planar(&padded, self.channels, [0.0; 3], [1.0; 3], &mut self.input);

        let input = ArrayView4::from_shape((1, 3, height as usize, width as usize), &self.input)
            .map_err(|error| DetectionError::Other(error.into()))?;
        let outputs = self.session.run(&input)?;
        let mut faces = Vec::new();
        for stride in STRIDES {
            let level = Level {
                stride,
                columns: width / stride,
                rows: height / stride,
            };
            level.decode(&outputs, score, frame, &mut faces)?;
        }
        Ok(faces)
    }
}

/// Splits a side into pieces `(begin, length)` of at most [`LARGEST_TILE`] that overlap by at least [`TILE_OVERLAP`].
fn tiles(side: u32) -> Vec<(u32, u32)> {
    if side <= LARGEST_TILE {
        return vec![(0, side)];
    }
    let count = (side - TILE_OVERLAP).div_ceil(LARGEST_TILE - TILE_OVERLAP);
    let length = (side + (count - 1) * TILE_OVERLAP).div_ceil(count);
    (0..count)
        .map(|number| (number * (side - length) / (count - 1), length))
        .collect()
}

/// Where the network's input lies in the picture.
#[derive(Debug, Clone, Copy)]
struct Frame {
    /// Left and top edge of the input, in pixels of the shrunk picture.
    left: f32,
    top: f32,
    /// Pixels of the picture for each of the shrunk one. They differ a little, since each side is rounded by itself.
    scale_x: f32,
    scale_y: f32,
}

impl Frame {
    fn of(small: &Picture, picture: &Picture) -> Self {
        let scale = |small: u32, side: u32| (f64::from(side) / f64::from(small)) as f32;
        Self {
            left: 0.0,
            top: 0.0,
            scale_x: scale(small.width(), picture.width()),
            scale_y: scale(small.height(), picture.height()),
        }
    }

    /// A point of the network's input in pixels of the picture.
    fn point(&self, x: f32, y: f32) -> Point {
        Point {
            x: (x + self.left) * self.scale_x,
            y: (y + self.top) * self.scale_y,
        }
    }
}

impl FaceDetector for YuNet {
    fn detect(&mut self, picture: &Picture, search: Search) -> Result<Vec<Face>, DetectionError> {
        let bounds = self.bounds;
        search::run(picture, search, bounds, |side| {
            self.candidates_at(picture, side, DOUBTFUL.min(bounds.score))
        })
    }
}

/// One of the three grids that the network answers with.
struct Level {
    stride: u32,
    columns: u32,
    rows: u32,
}

impl Level {
    /// The cells at or above the threshold as faces, in pixels of the picture that `frame` lies in.
    fn decode(
        &self,
        outputs: &Outputs<'_>,
        threshold: f32,
        frame: &Frame,
        faces: &mut Vec<Face>,
    ) -> Result<(), DetectionError> {
        let cells = self.columns as usize * self.rows as usize;
        let numbers = |kind: &str, per_cell: usize| -> Result<Vec<f32>, DetectionError> {
            let output = format!("{kind}_{}", self.stride);
            let values = outputs.get(&output)?;
            if values.len() == cells * per_cell {
                Ok(values.iter().copied().collect())
            } else {
                Err(DetectionError::OutputShape {
                    output,
                    expected: cells * per_cell,
                    found: values.len(),
                })
            }
        };
        let class = numbers("cls", 1)?;
        let objectness = numbers("obj", 1)?;
        let boxes = numbers("bbox", 4)?;
        let points = numbers("kps", 10)?;
        let stride = self.stride as f32;
        let cells = class
            .iter()
            .zip(&objectness)
            .zip(boxes.chunks_exact(4))
            .zip(points.chunks_exact(10));
        for (cell, (((class, objectness), bounds), points)) in (0u32..).zip(cells) {
            let score = (class.clamp(0.0, 1.0) * objectness.clamp(0.0, 1.0)).sqrt();
            // A score that is no number is no face either.
            if score.is_nan() || score < threshold {
                continue;
            }
            let (column, row) = ((cell % self.columns) as f32, (cell / self.columns) as f32);
            let &[dx, dy, log_width, log_height] = bounds else {
                continue;
            };
            let center = frame.point((column + dx) * stride, (row + dy) * stride);
            let width = log_width.min(MAX_LOG_SIDE).exp() * stride * frame.scale_x;
            let height = log_height.min(MAX_LOG_SIDE).exp() * stride * frame.scale_y;
            let mut landmarks = Landmarks::default();
            for (landmark, offset) in landmarks.iter_mut().zip(points.chunks_exact(2)) {
                *landmark = frame.point((offset[0] + column) * stride, (offset[1] + row) * stride);
            }
            let (x, y) = (center.x - width / 2.0, center.y - height / 2.0);
            let face = Face {
                bounding_box: BoundingBox { x, y, width, height },
                score,
                landmarks,
            };
            if face.is_finite() && width > 0.0 && height > 0.0 {
                faces.push(face);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn tiles_cover_a_side_and_overlap(side in 1u32..12_000) {
            let tiles = tiles(side);
            prop_assert_eq!(tiles[0].0, 0);
            let (last, length) = tiles[tiles.len() - 1];
            prop_assert_eq!(last + length, side);
            prop_assert!(tiles.iter().all(|&(_, length)| length <= LARGEST_TILE));
            for pair in tiles.windows(2) {
                prop_assert!(pair[0].0 + pair[0].1 >= pair[1].0 + TILE_OVERLAP - 1, "{:?}", tiles);
            }
        }
    }

    #[test]
    fn a_point_comes_back_to_where_it_was_in_the_picture() {
        let picture = |width: u32, height: u32| {
            Picture::from_rgb8(width, height, vec![0; (width * height * 3) as usize]).unwrap()
        };
        let frame = Frame {
            left: 10.0,
            ..Frame::of(&picture(50, 20), &picture(200, 100))
        };
        assert_eq!(frame.point(15.0, 10.0), Point { x: 100.0, y: 50.0 });
    }
}
