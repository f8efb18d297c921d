//! YuNet: a small anchor-free detector with five landmarks.
//!
//! Wu, Peng, Yu: "YuNet: A Tiny Millisecond-level Face Detector", Machine Intelligence Research 20 (2023). The network
//! looks at cells of 8, 16 and 32 pixels and was trained on faces of about 10 to 300 px, so a face that fills a large
//! image has to be shrunk first.

use likeness_packs::DetectorAdapter;
use likeness_runtime::{Adapter, Misfit, Outputs, TensorSpec, listed};

use crate::grid::{GridDetector, GridFamily, View};
use crate::{BoundingBox, DetectionError, Face, Landmarks};

/// Cell sizes of the three levels, in pixels of the network's input.
const STRIDES: [u32; 3] = [8, 16, 32];

/// Its outputs for each level, and their numbers for each cell.
const KINDS: [(&str, usize); 4] = [("cls", 1), ("obj", 1), ("bbox", 4), ("kps", 10)];

/// Above this a side would be more than e^8 = 2981 cells wide, which no face is; it also keeps `exp` finite.
const MAX_LOG_SIDE: f32 = 8.0;

/// YuNet on one session.
pub type YuNet = GridDetector<YuNetFamily>;

/// The outputs of a YuNet.
#[derive(Debug, Clone, Copy)]
pub enum YuNetFamily {}

impl GridFamily for YuNetFamily {
    const ADAPTER: DetectorAdapter = DetectorAdapter::Yunet;
    const NAMES: Adapter = Adapter {
        role: "detector",
        name: "yunet",
    };

    fn check(outputs: &[TensorSpec]) -> Result<(), Misfit> {
        for stride in STRIDES {
            for (kind, numbers) in KINDS {
                let name = format!("{kind}_{stride}");
                let fits = |output: &TensorSpec| {
                    output.is_f32()
                        && output
                            .shape
                            .last()
                            .is_none_or(|last| last.is_none_or(|last| last == numbers))
                };
                let needs = || format!("output {name} [N,cells,{numbers}]");
                match outputs.iter().find(|output| output.name == name) {
                    Some(output) if fits(output) => {}
                    Some(output) => return Err(Misfit::new(needs(), output.to_string())),
                    None => {
                        let names: Vec<&str> = outputs.iter().map(|output| output.name.as_str()).collect();
                        return Err(Misfit::new(
                            needs(),
                            format!("none of that name but {} {}", names.join(" "), listed(outputs)),
                        ));
                    }
                }
            }
        }
        Ok(())
    }

    fn decode(
        outputs: &Outputs<'_>,
        view: &View,
        score: f32,
        faces: &mut Vec<Face>,
    ) -> Result<(), DetectionError> {
        STRIDES
            .iter()
            .try_for_each(|&stride| decode_level(stride, outputs, view, score, faces))
    }
}

/// The cells of one of the three grids at or above the threshold.
fn decode_level(
    stride: u32,
    outputs: &Outputs<'_>,
    view: &View,
    threshold: f32,
    faces: &mut Vec<Face>,
) -> Result<(), DetectionError> {
    let (columns, rows) = view.cells(stride);
    let cells = columns as usize * rows as usize;
    let numbers = |kind: &str, per_cell: usize| -> Result<&[f32], DetectionError> {
        let output = format!("{kind}_{stride}");
        let values = outputs.get(&output)?.numbers.as_slice();
        if values.len() == cells * per_cell {
            Ok(values)
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
    let (stride, frame) = (stride as f32, &view.frame);
    let cells = class
        .iter()
        .zip(objectness)
        .zip(boxes.chunks_exact(4))
        .zip(points.chunks_exact(10));
    for (cell, (((class, objectness), bounds), points)) in (0u32..).zip(cells) {
        let score = (class.clamp(0.0, 1.0) * objectness.clamp(0.0, 1.0)).sqrt();
        // NaN is not a face either.
        if score.is_nan() || score < threshold {
            continue;
        }
        let (column, row) = ((cell % columns) as f32, (cell / columns) as f32);
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
        faces.push(Face {
            bounding_box: BoundingBox { x, y, width, height },
            score,
            landmarks,
        });
    }
    Ok(())
}
