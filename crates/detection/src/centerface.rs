//! CenterFace: a detector without anchors, one level of cells of 4 pixels.
//!
//! Xu, Yan, Yang, Luo, Li, Wang: "CenterFace: Joint Face Detection and Alignment Using Face as Point" (2019), as its authors
//! export it. A cell's score is that of a face whose centre lies in it; its height and width are logarithms in cells, its
//! centre is an offset from the cell's middle, and its landmarks are shares of its box, the vertical number of each pair first.
//! The outputs' names are counters of PyTorch, so they are told apart by their channels, and the two of two channels by
//! their order. Unlike in the published code, a box that goes beyond the image keeps its corner until the landmarks are placed.

use likeness_runtime::{Adapter, Misfit, Outputs, Tensor, TensorSpec, listed, shape_text};

use crate::grid::{Family, View};
use crate::{BoundingBox, DetectionError, Face};

/// Cell size in pixels of the network's input.
const STRIDE: u32 = 4;

/// Channels of the outputs: the score, height and width, the offset of the centre, the landmarks.
const CHANNELS: [usize; 4] = [1, 2, 2, 10];

/// Above this a side would be more than e^8 = 2981 cells long, which no face is; it also keeps `exp` finite.
const MAX_LOG_SIDE: f32 = 8.0;

/// A run at 1376x1376 takes some 480 MiB, one at 640x640 some 170 MiB.
const LARGEST_TILE: u32 = 640;

/// Its cells are half as long as those of the other families, so it sees at this side what they see at twice the side. Of the
/// two larger group images among the development data, a pass at 2560 pixels finds 27 instead of 25 faces in one, and two more
/// that are none in the other.
const LONGEST_PASS: u32 = 1280;

pub(crate) static FAMILY: Family = Family {
    adapter: Adapter {
        role: "detector",
        name: "centerface",
    },
    largest_tile: LARGEST_TILE,
    longest_pass: LONGEST_PASS,
    check,
    faces,
};

fn check(outputs: &[TensorSpec]) -> Result<(), Misfit> {
    let channels = |output: &TensorSpec| match *output.shape.as_slice() {
        [_, channels, _, _] => channels,
        _ => None,
    };
    let found: Vec<Option<usize>> = outputs.iter().map(channels).collect();
    let expected = CHANNELS.map(Some);
    let count = |channels: &Option<usize>| found.iter().filter(|other| *other == channels).count();
    let fits = outputs.iter().all(TensorSpec::is_f32)
        && found.len() == expected.len()
        && count(&expected[0]) == 1
        && count(&expected[1]) == 2
        && count(&expected[3]) == 1;
    if fits {
        return Ok(());
    }
    Err(Misfit::new(
        "4 outputs of f32, [N,1,H/4,W/4], twice [N,2,H/4,W/4] and [N,10,H/4,W/4]",
        listed(outputs),
    ))
}

/// The planes of the outputs, one number a cell.
struct Planes<'a> {
    scores: &'a [f32],
    /// Height, then width.
    sides: [&'a [f32]; 2],
    /// Vertical, then horizontal.
    offsets: [&'a [f32]; 2],
    landmarks: [&'a [f32]; 10],
}

fn faces(outputs: &Outputs<'_>, view: &View, threshold: f32) -> Result<Vec<Face>, DetectionError> {
    let planes =
        planes(outputs.all(), view).map_err(|misfit| FAMILY.adapter.misfit(outputs.model(), misfit))?;
    Ok(planes.faces(view, threshold))
}

fn planes<'a>(outputs: &'a [Tensor], view: &View) -> Result<Planes<'a>, Misfit> {
    let (columns, rows) = view.cells(STRIDE);
    let cells = columns as usize * rows as usize;
    let of = |channels: usize, index: usize| {
        let has = |output: &&Tensor| output.shape.get(1) == Some(&channels);
        let found = outputs.iter().filter(has).nth(index);
        let found = found.filter(|output| output.numbers.len() == channels * cells && cells > 0);
        found.map(|output| output.numbers.as_slice()).ok_or_else(|| {
            let shapes: Vec<String> = outputs.iter().map(|output| shape_text(&output.shape)).collect();
            let needs = format!("an output [1,{channels},{rows},{columns}]");
            Misfit::new(needs, shapes.join(" "))
        })
    };
    Ok(Planes {
        scores: of(1, 0)?,
        sides: split(of(2, 0)?, cells),
        offsets: split(of(2, 1)?, cells),
        landmarks: split(of(10, 0)?, cells),
    })
}

/// The planes of an output with this many numbers each.
fn split<const N: usize>(numbers: &[f32], cells: usize) -> [&[f32]; N] {
    let mut planes = numbers.chunks_exact(cells);
    std::array::from_fn(|_| planes.next().unwrap_or_default())
}

impl Planes<'_> {
    fn faces(&self, view: &View, threshold: f32) -> Vec<Face> {
        let (columns, _) = view.cells(STRIDE);
        let cells = (0..columns).cycle().zip(self.scores.iter().enumerate());
        // NaN is not a face either.
        let sure = cells.filter(|(_, (_, score))| **score >= threshold);
        sure.map(|(column, (cell, score))| {
            let row = cell as u32 / columns;
            self.face(view, cell, [column, row].map(|number| number as f32), *score)
        })
        .collect()
    }

    fn face(&self, view: &View, cell: usize, [column, row]: [f32; 2], score: f32) -> Face {
        let stride = STRIDE as f32;
        let at = |plane: &[f32]| plane.get(cell).copied().unwrap_or(f32::NAN);
        let [height, width] = self.sides.map(|plane| at(plane).min(MAX_LOG_SIDE).exp() * stride);
        let [down, right] = self.offsets.map(at);
        let left = (column + right + 0.5) * stride - width / 2.0;
        let top = (row + down + 0.5) * stride - height / 2.0;
        let corner = view.point(left, top);
        Face {
            bounding_box: BoundingBox {
                x: corner.x,
                y: corner.y,
                width: width * view.scale_x,
                height: height * view.scale_y,
            },
            score: score.clamp(0.0, 1.0),
            landmarks: std::array::from_fn(|index| {
                let [y, x] = [2 * index, 2 * index + 1].map(|plane| at(self.landmarks[plane]));
                view.point(left + width * x, top + height * y)
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Point;

    const VIEW: View = View {
        width: 64,
        height: 32,
        left: 10.0,
        top: 0.0,
        scale_x: 2.0,
        scale_y: 2.0,
    };

    fn tensor(channels: usize, set: impl Fn(usize) -> f32) -> Tensor {
        let (columns, rows) = VIEW.cells(STRIDE);
        let cells = (columns * rows) as usize;
        let mut numbers = vec![0.0; channels * cells];
        // The cell in column 5 of row 2.
        for channel in 0..channels {
            numbers[channel * cells + 2 * columns as usize + 5] = set(channel);
        }
        Tensor {
            name: String::new(),
            shape: vec![1, channels, rows as usize, columns as usize],
            numbers,
        }
    }

    /// Answers for [`VIEW`] in which nothing is a face but one cell.
    fn answers(score: f32) -> Vec<Tensor> {
        vec![
            tensor(1, |_| score),
            // exp: 6 cells high, 4 wide.
            tensor(2, |channel| [6_f32, 4.0][channel].ln()),
            tensor(2, |channel| [0.25, -0.5][channel]),
            tensor(10, |channel| channel as f32 / 10.0),
        ]
    }

    #[test]
    fn a_cell_worked_by_hand() {
        let answers = answers(0.9);
        let faces = planes(&answers, &VIEW).unwrap().faces(&VIEW, 0.5);
        assert_eq!(faces.len(), 1);
        // Centre (5 + 0.5 - 0.5, 2 + 0.5 + 0.25) cells = (20, 11) px; 16 px wide and 24 high. The tile begins at 10 px of an
        // image that is shrunk to a half. The box begins above the image, and its landmarks are not moved by that.
        let BoundingBox { x, y, width, height } = faces[0].bounding_box;
        for (found, expected) in [(x, 44.0), (y, -2.0), (width, 32.0), (height, 48.0)] {
            assert!((found - expected).abs() < 1e-4, "{:?}", faces[0].bounding_box);
        }
        assert_eq!(faces[0].score, 0.9);
        // The second landmark: 0.3 of the width, 0.2 of the height.
        let Point { x, y } = faces[0].landmarks[1];
        assert!(
            (x - (44.0 + 0.3 * 32.0)).abs() < 1e-4 && (y - (-2.0 + 0.2 * 48.0)).abs() < 1e-4,
            "{x} {y}"
        );
    }

    #[test]
    fn outputs_that_are_not_centerfaces_are_told() {
        let mut short = answers(0.9);
        short[3].numbers.pop();
        let error = planes(&short, &VIEW).map(drop).unwrap_err().to_string();
        assert!(error.contains("an output [1,10,8,16]"), "{error}");
        let error = planes(&answers(0.9)[..2], &VIEW)
            .map(drop)
            .unwrap_err()
            .to_string();
        assert!(error.contains("an output [1,2,8,16]"), "{error}");
    }

    #[test]
    fn a_score_that_is_no_number_is_no_face_and_no_side_is_endless() {
        let answers_of = answers(f32::NAN);
        assert!(planes(&answers_of, &VIEW).unwrap().faces(&VIEW, 0.5).is_empty());
        let mut endless = answers(2.0);
        endless[1] = tensor(2, |_| f32::INFINITY);
        let faces = planes(&endless, &VIEW).unwrap().faces(&VIEW, 0.5);
        assert!(faces[0].bounding_box.width.is_finite());
        assert_eq!(faces[0].score, 1.0);
    }
}
