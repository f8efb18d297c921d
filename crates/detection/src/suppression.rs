//! Non-maximum suppression: one face for each heap of overlapping boxes.

use crate::Face;

/// More candidates than this are not looked at: the weakest are dropped first. An image made of nothing but faces has
/// a few hundred; suppression compares each with each that is kept.
const MAX_CANDIDATES: usize = 5_000;

/// Keeps the face with the highest score of all that overlap it by more than `iou`, then the next, and so on. The faces
/// that are kept come in descending order of their scores.
pub(crate) fn suppress(mut candidates: Vec<Face>, iou: f32) -> Vec<Face> {
    candidates.sort_by(|a, b| b.score.total_cmp(&a.score));
    candidates.truncate(MAX_CANDIDATES);
    let mut kept: Vec<Face> = Vec::new();
    for candidate in candidates {
        if kept
            .iter()
            .all(|face| face.bounding_box.iou(&candidate.bounding_box) <= iou)
        {
            kept.push(candidate);
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{BoundingBox, Landmarks};

    fn face(x: f32, score: f32) -> Face {
        let bounding_box = BoundingBox {
            x,
            y: 0.0,
            width: 10.0,
            height: 10.0,
        };
        Face {
            bounding_box,
            score,
            landmarks: Landmarks::default(),
        }
    }

    #[test]
    fn the_surest_of_overlapping_boxes_is_kept() {
        let kept = suppress(
            vec![face(0.0, 0.7), face(1.0, 0.9), face(2.0, 0.8), face(30.0, 0.6)],
            0.3,
        );
        assert_eq!(kept.iter().map(|f| f.score).collect::<Vec<_>>(), [0.9, 0.6]);
    }

    #[test]
    fn boxes_that_overlap_less_are_both_kept() {
        // Two boxes of 10x10 that share 4x10: 40 / 160 = 0.25.
        assert_eq!(suppress(vec![face(0.0, 0.7), face(6.0, 0.9)], 0.3).len(), 2);
        assert_eq!(suppress(vec![face(0.0, 0.7), face(6.0, 0.9)], 0.2).len(), 1);
    }
}
