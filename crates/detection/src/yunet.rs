//! YuNet: a small anchor-free detector with five landmarks.
//!
//! Wu, Peng, Yu: "YuNet: A Tiny Millisecond-level Face Detector", Machine Intelligence Research 20 (2023). The network
//! looks at cells of 8, 16 and 32 pixels and was trained on faces of about 10 to 300 px, so a face that fills a large
//! image has to be shrunk first.

use likeness_runtime::{Adapter, Misfit, Outputs, TensorSpec, listed};

use crate::grid::{Family, LARGEST_TILE, Level, STRIDES, View};
use crate::{BoundingBox, DetectionError, Face};

/// Its outputs for each level, and their numbers for each cell.
const KINDS: [(&str, usize); 4] = [("cls", 1), ("obj", 1), ("bbox", 4), ("kps", 10)];

/// Above this a side would be more than e^8 = 2981 cells wide, which no face is; it also keeps `exp` finite.
const MAX_LOG_SIDE: f32 = 8.0;

pub(crate) static FAMILY: Family = Family {
    adapter: Adapter {
        role: "detector",
        name: "yunet",
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
    for (stride, (kind, numbers)) in STRIDES
        .into_iter()
        .flat_map(|stride| KINDS.map(|kind| (stride, kind)))
    {
        let name = format!("{kind}_{stride}");
        let needs = format!("output {name} [N,cells,{numbers}]");
        let Some(output) = outputs.iter().find(|output| output.name == name) else {
            let names: Vec<&str> = outputs.iter().map(|output| output.name.as_str()).collect();
            let has = format!("none of that name but {} {}", names.join(" "), listed(outputs));
            return Err(Misfit::new(needs, has));
        };
        let last = output.shape.last().copied().flatten();
        if !output.is_f32() || last.is_some_and(|last| last != numbers) {
            return Err(Misfit::new(needs, output.to_string()));
        }
    }
    Ok(())
}

fn level<'a>(stride: u32, outputs: &'a Outputs<'_>, view: &View) -> Result<Level<'a>, DetectionError> {
    let (columns, rows) = view.cells(stride);
    let cells = columns as usize * rows as usize;
    let numbers = |(kind, per_cell): (&str, usize)| {
        let output = format!("{kind}_{stride}");
        let values = outputs.get(&output)?.numbers.as_slice();
        if values.len() == cells * per_cell {
            return Ok(values);
        }
        Err(DetectionError::OutputShape {
            output,
            expected: cells * per_cell,
            found: values.len(),
        })
    };
    let [class, objectness, boxes, landmarks] = KINDS.map(numbers);
    let score =
        |(class, objectness): (&f32, &f32)| (class.clamp(0.0, 1.0) * objectness.clamp(0.0, 1.0)).sqrt();
    Ok(Level {
        stride,
        anchors: 1,
        scores: class?.iter().zip(objectness?).map(score).collect(),
        boxes: boxes?,
        landmarks: landmarks?,
    })
}

/// The box of an offset of its centre and the logarithms of its sides, in cells.
fn place(level: &Level<'_>, view: &View, [column, row]: [f32; 2], bounds: [f32; 4]) -> BoundingBox {
    let [dx, dy, log_width, log_height] = bounds;
    let stride = level.stride as f32;
    let center = view.point((column + dx) * stride, (row + dy) * stride);
    let width = log_width.min(MAX_LOG_SIDE).exp() * stride * view.scale_x;
    let height = log_height.min(MAX_LOG_SIDE).exp() * stride * view.scale_y;
    let (x, y) = (center.x - width / 2.0, center.y - height / 2.0);
    BoundingBox { x, y, width, height }
}
