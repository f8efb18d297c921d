//! YuNet: a small anchor-free detector with five landmarks.
//!
//! Wu, Peng, Yu: "YuNet: A Tiny Millisecond-level Face Detector", Machine Intelligence Research 20 (2023). The network
//! looks at cells of 8, 16 and 32 pixels and was trained on faces of about 10 to 300 px, so a face that fills a large
//! picture has to be shrunk first.

use likeness_imaging::{self as imaging, Picture};
use likeness_models::Pack;
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
    /// Opens the detector of a pack.
    ///
    /// # Errors
    /// A file that the pack does not have, or that ONNX Runtime refuses.
    pub fn open(runtime: &Runtime, pack: &Pack) -> Result<Self, DetectionError> {
        let model = &pack.manifest().detector;
        Ok(Self {
            session: runtime.open(&model.file, pack.file(&model.file)?)?,
            channels: channel_order(model.channels),
            bounds: Bounds {
                score: model.score_threshold,
                iou: model.nms_iou,
            },
            input: Vec::new(),
        })
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
        let ratio = f64::min(
            f64::from(longest_side) / f64::from(picture.width().max(picture.height())),
            1.0,
        );
        let shrunk = |side: u32| ((f64::from(side) * ratio).round() as u32).max(1);
        let (width, height) = (shrunk(picture.width()), shrunk(picture.height()));
        let (padded_width, padded_height) = (
            width.next_multiple_of(INPUT_MULTIPLE),
            height.next_multiple_of(INPUT_MULTIPLE),
        );

        let small = (ratio < 1.0).then(|| imaging::shrink_area(picture, width, height));
        let padded = imaging::pad_to(small.as_ref().unwrap_or(picture), padded_width, padded_height);
        self.input
            .resize(3 * padded_width as usize * padded_height as usize, 0.0);
        imaging::write_planar(&padded, self.channels, [0.0; 3], [1.0; 3], &mut self.input);

        let shape = (1, 3, padded_height as usize, padded_width as usize);
        let input = ArrayView4::from_shape(shape, &self.input)
            .map_err(|error| DetectionError::Other(error.to_string()))?;
        let outputs = self.session.run(&input)?;
        let mut faces = Vec::new();
        for stride in STRIDES {
            let level = Level {
                stride,
                columns: padded_width / stride,
                rows: padded_height / stride,
            };
            level.decode(&outputs, score, ratio as f32, &mut faces)?;
        }
        Ok(faces)
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
    /// The cells at or above the threshold as faces, in pixels of the picture before it was shrunk by `ratio`.
    fn decode(
        &self,
        outputs: &Outputs<'_>,
        threshold: f32,
        ratio: f32,
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
            let (x, y) = ((column + dx) * stride / ratio, (row + dy) * stride / ratio);
            let width = log_width.min(MAX_LOG_SIDE).exp() * stride / ratio;
            let height = log_height.min(MAX_LOG_SIDE).exp() * stride / ratio;
            let mut landmarks = Landmarks::default();
            for (landmark, offset) in landmarks.iter_mut().zip(points.chunks_exact(2)) {
                *landmark = Point {
                    x: (offset[0] + column) * stride / ratio,
                    y: (offset[1] + row) * stride / ratio,
                };
            }
            let finite = [x, y, width, height]
                .into_iter()
                .chain(landmarks.iter().flat_map(|p| [p.x, p.y]));
            if finite.into_iter().all(f32::is_finite) && width > 0.0 && height > 0.0 {
                let bounding_box = BoundingBox {
                    x: x - width / 2.0,
                    y: y - height / 2.0,
                    width,
                    height,
                };
                faces.push(Face {
                    bounding_box,
                    score,
                    landmarks,
                });
            }
        }
        Ok(())
    }
}
