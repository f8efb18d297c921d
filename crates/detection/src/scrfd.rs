//! SCRFD with landmarks: an anchor-based detector.
//!
//! Guo, Deng, Lattas, Zafeiriou: "Sample and Computation Redistribution for Efficient Face Detection", ICLR 2022, as
//! InsightFace exports it: three levels, two anchors in each cell, the anchor's point being the cell's upper left corner;
//! scores that went through a sigmoid; the distances from that point to the left, upper, right and lower side and the
//! offsets of the landmarks, all in units of the level's stride. Exports differ in the names of their outputs, in their
//! order, and in whether there is a dimension for the batch, so outputs are told apart by their last dimension and by how
//! many anchors they have.

use std::borrow::Cow;

use likeness_runtime::{Adapter, Misfit, Outputs, Tensor, TensorSpec, listed, shape_text};

use crate::grid::{Family, LARGEST_TILE, Level, STRIDES, View};
use crate::{BoundingBox, DetectionError, Face};

/// Anchors in each cell.
const ANCHORS: u32 = 2;

/// Numbers of an anchor: its score, its distances, its landmarks.
const SCORE: usize = 1;
const DISTANCES: usize = 4;
const LANDMARKS: usize = 10;

/// By how much a score may lie outside of 0..=1: half-precision sigmoids are off by less.
const SCORE_TOLERANCE: f32 = 1e-3;

pub(crate) static FAMILY: Family = Family {
    adapter: Adapter {
        role: "detector",
        name: "scrfd",
    },
    largest_tile: LARGEST_TILE,
    longest_pass: u32::MAX,
    check,
    faces,
};

fn faces(outputs: &Outputs<'_>, view: &View, threshold: f32) -> Result<Vec<Face>, DetectionError> {
    let mut faces = Vec::new();
    for stride in STRIDES {
        faces.extend(level(stride, outputs, view)?.faces(view, threshold, place));
    }
    Ok(faces)
}

fn check(outputs: &[TensorSpec]) -> Result<(), Misfit> {
    let numbers: Vec<Option<usize>> = outputs
        .iter()
        .map(|output| output.shape.last().copied().flatten())
        .collect();
    let count = |wanted: Option<usize>| numbers.iter().filter(|found| **found == wanted).count();
    let unknown = count(None);
    // Scores and distances alone are six outputs.
    if count(Some(LANDMARKS)) == 0 && (unknown == 0 || outputs.len() == 2 * STRIDES.len()) {
        return Err(without_landmarks(listed(outputs)));
    }
    let counted = [SCORE, DISTANCES, LANDMARKS].map(|kind| count(Some(kind)));
    let fits = outputs.iter().all(TensorSpec::is_f32)
        && outputs.len() == 3 * STRIDES.len()
        && counted.iter().all(|&count| count <= STRIDES.len())
        && counted.iter().sum::<usize>() + unknown == outputs.len();
    if fits {
        return Ok(());
    }
    Err(Misfit::new(
        "9 outputs of f32, [anchors,1], [anchors,4] and [anchors,10] for strides 8, 16 and 32",
        listed(outputs),
    ))
}

fn without_landmarks(has: String) -> Misfit {
    Misfit::new(
        "9 outputs, [anchors,10] among them (landmarks are required: use a *_kps / bnkps export)",
        has,
    )
}

fn level<'a>(stride: u32, outputs: &'a Outputs<'_>, view: &View) -> Result<Level<'a>, DetectionError> {
    read(stride, outputs.all(), view).map_err(|misfit| FAMILY.adapter.misfit(outputs.model(), misfit).into())
}

fn read<'a>(stride: u32, outputs: &'a [Tensor], view: &View) -> Result<Level<'a>, Misfit> {
    let (columns, rows) = view.cells(stride);
    let anchors = (ANCHORS * columns * rows) as usize;
    let is = |output: &&Tensor, kind: usize| output.shape.last() == Some(&kind);
    let numbers = |kind: usize| {
        let found = outputs
            .iter()
            .find(|output| is(output, kind) && output.numbers.len() == anchors * kind);
        if let Some(output) = found {
            return Ok(output.numbers.as_slice());
        }
        let shapes: Vec<String> = outputs.iter().map(|output| shape_text(&output.shape)).collect();
        if kind == LANDMARKS && !outputs.iter().any(|output| is(&output, LANDMARKS)) {
            return Err(without_landmarks(shapes.join(" ")));
        }
        let (width, height) = (view.width, view.height);
        Err(Misfit::new(
            format!("output [{anchors},{kind}] for stride {stride} of an input of {width}x{height}"),
            shapes.join(" "),
        ))
    };
    let level = Level {
        stride,
        anchors: ANCHORS,
        scores: Cow::Borrowed(numbers(SCORE)?),
        boxes: numbers(DISTANCES)?,
        landmarks: numbers(LANDMARKS)?,
    };
    let is_none = |score: &&f32| **score < -SCORE_TOLERANCE || **score > 1.0 + SCORE_TOLERANCE;
    match level.scores.iter().find(is_none) {
        Some(score) => Err(Misfit::new(
            "scores between 0 and 1, a sigmoid behind them",
            format!("a score of {score}"),
        )),
        None => Ok(level),
    }
}

/// The box of the distances of its sides from the anchor's point, in cells.
fn place(level: &Level<'_>, view: &View, [column, row]: [f32; 2], distances: [f32; 4]) -> BoundingBox {
    let [left, top, right, bottom] = distances;
    let stride = level.stride as f32;
    let upper_left = view.point((column - left) * stride, (row - top) * stride);
    let lower_right = view.point((column + right) * stride, (row + bottom) * stride);
    BoundingBox {
        x: upper_left.x,
        y: upper_left.y,
        width: lower_right.x - upper_left.x,
        height: lower_right.y - upper_left.y,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Point;

    const VIEW: View = View {
        width: 64,
        height: 32,
        left: 0.0,
        top: 0.0,
        scale_x: 2.0,
        scale_y: 2.0,
    };

    /// Answers for [`VIEW`] in which nothing is a face but the second anchor of the cell in column 5 of row 2 of stride 8.
    fn answers(with_batch: bool) -> Vec<Tensor> {
        let mut answers = Vec::new();
        for kind in [LANDMARKS, SCORE, DISTANCES] {
            for stride in STRIDES.into_iter().rev() {
                let (columns, rows) = VIEW.cells(stride);
                let anchors = (ANCHORS * columns * rows) as usize;
                let shape = if with_batch {
                    vec![1, anchors, kind]
                } else {
                    vec![anchors, kind]
                };
                let mut answer = vec![0.0; anchors * kind];
                if stride == 8 {
                    let anchor = (2 * columns + 5) as usize * 2 + 1;
                    let numbers: Vec<f32> = match kind {
                        SCORE => vec![0.9],
                        DISTANCES => vec![1.0, 2.0, 3.0, 1.5],
                        _ => (0..10).map(|number| number as f32 / 10.0).collect(),
                    };
                    answer[anchor * kind..][..kind].copy_from_slice(&numbers);
                }
                answers.push(Tensor {
                    name: String::new(),
                    shape,
                    numbers: answer,
                });
            }
        }
        answers
    }

    fn decoded(answers: &[Tensor]) -> Result<Vec<Face>, Misfit> {
        let mut faces = Vec::new();
        for stride in STRIDES {
            faces.extend(read(stride, answers, &VIEW)?.faces(&VIEW, 0.5, place));
        }
        Ok(faces)
    }

    #[test]
    fn an_anchor_worked_by_hand() {
        for with_batch in [true, false] {
            let faces = decoded(&answers(with_batch)).unwrap();
            assert_eq!(faces.len(), 1);
            // (5 - 1, 2 - 2) and (5 + 3, 2 + 1.5) cells of 8 px, in an image of twice the size.
            let expected = BoundingBox {
                x: 64.0,
                y: 0.0,
                width: 64.0,
                height: 56.0,
            };
            assert_eq!((faces[0].bounding_box, faces[0].score), (expected, 0.9));
            let Point { x, y } = faces[0].landmarks[1];
            assert!(
                (x - 5.2 * 16.0).abs() < 1e-4 && (y - 2.3 * 16.0).abs() < 1e-4,
                "{x} {y}"
            );
        }
    }

    #[test]
    fn answers_that_are_no_scrfds_are_told() {
        let mut logits = answers(true);
        logits[3].numbers.fill(-4.0);
        assert!(decoded(&logits).unwrap_err().to_string().contains("a sigmoid"));
        let error = decoded(&answers(true)[3..]).unwrap_err().to_string();
        assert!(
            error.contains("landmarks are required: use a *_kps / bnkps export"),
            "{error}"
        );
        let mut short = answers(true);
        short.remove(8);
        let error = decoded(&short).unwrap_err().to_string();
        assert!(error.contains("output [64,4] for stride 8"), "{error}");
    }

    #[test]
    fn a_score_that_is_no_number_is_no_face() {
        let mut answers = answers(true);
        for answer in &mut answers[3..6] {
            answer.numbers.fill(f32::NAN);
        }
        assert!(decoded(&answers).unwrap().is_empty());
    }
}
