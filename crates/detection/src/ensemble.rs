//! Several detectors as one.
//!
//! Every pass of a [search](crate::Search) is made by every detector. Detections of different detectors whose boxes
//! overlap by more than `nms_iou` are one face: its box and landmarks are the means of theirs, weighted by weight times
//! score, and its score is `sum(weight * score) / sum(weight)` over *all* detectors of the ensemble. A face that only some
//! of them see so has a lower score, and where it falls below the threshold it is none: two detectors of equal weight
//! confirm each other, and one alone is not enough. `score_threshold` and `nms_iou` of the ensemble are those of the
//! pack's first detector; within what one detector sees its own `nms_iou` counts.

use likeness_imaging::{Image, Interrupt};

use crate::search::{self, Bounds, DOUBTFUL};
use crate::suppression::suppress;
use crate::{BoundingBox, DetectionError, Face, FaceDetector, Landmarks, Point, Search};

/// What an ensemble needs of a detector.
pub(crate) trait Candidates: Send {
    /// What it takes for a face, and for the same face.
    fn bounds(&self) -> Bounds;

    /// Everything with at least this score that one pass sees, overlapping boxes among it.
    fn candidates_at(
        &mut self,
        image: &Image,
        longest_side: u32,
        score: f32,
        interrupt: Interrupt<'_>,
    ) -> Result<Vec<Face>, DetectionError>;
}

/// Several detectors whose detections are fused.
pub(crate) struct DetectorEnsemble {
    /// With their weights.
    members: Vec<(f64, Box<dyn Candidates>)>,
    bounds: Bounds,
}

impl DetectorEnsemble {
    pub(crate) fn new(members: Vec<(f64, Box<dyn Candidates>)>, bounds: Bounds) -> Self {
        Self { members, bounds }
    }

    /// A pass of every member after the other, which answers with the faces of all passes up to now.
    fn passes<'a>(
        &'a mut self,
        image: &'a Image,
        interrupt: Interrupt<'a>,
    ) -> impl FnMut(u32) -> Result<Vec<Face>, DetectionError> + 'a {
        let Self { members, bounds } = self;
        let weights: Vec<f64> = members.iter().map(|(weight, _)| *weight).collect();
        // What each has seen: the same face may need different scales.
        let mut seen: Vec<Vec<Face>> = vec![Vec::new(); members.len()];
        move |side| {
            for ((_, member), seen) in members.iter_mut().zip(&mut seen) {
                seen.extend(member.candidates_at(image, side, DOUBTFUL.min(bounds.score), interrupt)?);
                *seen = suppress(std::mem::take(seen), member.bounds().iou);
            }
            Ok(fuse(&seen, &weights, bounds.iou))
        }
    }
}

impl FaceDetector for DetectorEnsemble {
    fn detect(
        &mut self,
        image: &Image,
        search: Search,
        interrupt: Interrupt<'_>,
    ) -> Result<Vec<Face>, DetectionError> {
        let bounds = self.bounds;
        search::run_with(image, search, bounds, self.passes(image, interrupt))
    }

    fn first_pass(&mut self, image: &Image) -> Result<Option<Vec<Face>>, DetectionError> {
        let bounds = self.bounds;
        search::first_pass(image, bounds, self.passes(image, Interrupt::NEVER))
    }
}

/// Faces of several detectors as one list; `seen` and `weights` are in the same order, weights above 0.
pub(crate) fn fuse(seen: &[Vec<Face>], weights: &[f64], iou: f32) -> Vec<Face> {
    let total: f64 = weights.iter().sum();
    let mut detections: Vec<(usize, Face)> = seen
        .iter()
        .enumerate()
        .flat_map(|(detector, faces)| faces.iter().map(move |face| (detector, *face)))
        .collect();
    detections.sort_by(|a, b| b.1.score.total_cmp(&a.1.score).then(a.0.cmp(&b.0)));
    // Each begins with the surest detection, and has at most one of each detector.
    let mut groups: Vec<Vec<(usize, Face)>> = Vec::new();
    for (detector, face) in detections {
        let home = groups.iter_mut().find(|group| {
            let overlaps = |first: &(usize, Face)| first.1.bounding_box.iou(&face.bounding_box) > iou;
            group.first().is_some_and(overlaps) && group.iter().all(|(other, _)| *other != detector)
        });
        match home {
            Some(group) => group.push((detector, face)),
            None => groups.push(vec![(detector, face)]),
        }
    }
    let fused = groups
        .iter()
        .map(|group| fused_face(group, weights, total))
        .collect();
    suppress(fused, iou)
}

fn fused_face(group: &[(usize, Face)], weights: &[f64], total: f64) -> Face {
    let weight_of = |detector: usize| weights.get(detector).copied().unwrap_or_default();
    let scored: f64 = group
        .iter()
        .map(|(detector, face)| weight_of(*detector) * f64::from(face.score))
        .sum();
    // Of faces without any score the weights alone count.
    let share = |(detector, face): &(usize, Face)| {
        if scored > 0.0 {
            weight_of(*detector) * f64::from(face.score) / scored
        } else {
            weight_of(*detector) / group.iter().map(|(other, _)| weight_of(*other)).sum::<f64>()
        }
    };
    let mean = |value: &dyn Fn(&Face) -> f32| -> f32 {
        let sum: f64 = group
            .iter()
            .map(|member| share(member) * f64::from(value(&member.1)))
            .sum();
        sum as f32
    };
    let mut landmarks = Landmarks::default();
    for (index, landmark) in landmarks.iter_mut().enumerate() {
        let at = |face: &Face| face.landmarks.get(index).copied().unwrap_or_default();
        *landmark = Point {
            x: mean(&|face| at(face).x),
            y: mean(&|face| at(face).y),
        };
    }
    Face {
        bounding_box: BoundingBox {
            x: mean(&|face| face.bounding_box.x),
            y: mean(&|face| face.bounding_box.y),
            width: mean(&|face| face.bounding_box.width),
            height: mean(&|face| face.bounding_box.height),
        },
        score: (scored / total) as f32,
        landmarks,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn face(x: f32, score: f32) -> Face {
        let at = |offset: f32| Point {
            x: x + offset,
            y: offset,
        };
        Face {
            bounding_box: BoundingBox {
                x,
                y: 0.0,
                width: 10.0,
                height: 10.0,
            },
            score,
            landmarks: [at(2.0), at(8.0), at(5.0), at(3.0), at(7.0)],
        }
    }

    #[test]
    fn two_that_see_a_face_agree_on_the_middle_of_it() {
        let fused = fuse(&[vec![face(0.0, 0.9)], vec![face(2.0, 0.6)]], &[2.0, 1.0], 0.3);
        assert_eq!(fused.len(), 1);
        // (2 * 0.9 + 0.6) / 3, and 2 px times 0.6 / 2.4.
        assert!((fused[0].score - 0.8).abs() < 1e-6);
        assert!((fused[0].bounding_box.x - 0.5).abs() < 1e-6);
        assert!((fused[0].landmarks[0].x - 2.5).abs() < 1e-6);
    }

    #[test]
    fn a_face_that_only_one_sees_scores_its_share() {
        let fused = fuse(
            &[vec![face(0.0, 0.9), face(50.0, 0.8)], vec![face(0.0, 0.9)]],
            &[1.0, 1.0],
            0.3,
        );
        let scores: Vec<f32> = fused.iter().map(|face| face.score).collect();
        assert_eq!(scores, [0.9, 0.4]);
        assert_eq!(fused[1].bounding_box, face(50.0, 0.8).bounding_box);
    }

    fn any_faces() -> impl Strategy<Value = Vec<Face>> {
        prop::collection::vec((0.0f32..200.0, 0.0f32..=1.0), 0..12)
            .prop_map(|faces| suppress(faces.into_iter().map(|(x, score)| face(x, score)).collect(), 0.3))
    }

    proptest! {
        #[test]
        fn the_same_detector_twice_sees_what_it_sees_once(faces in any_faces(), weight in 0.1f64..10.0) {
            let fused = fuse(&[faces.clone(), faces.clone()], &[1.0, weight], 0.3);
            prop_assert_eq!(fused.len(), faces.len());
            for (fused, face) in fused.iter().zip(&faces) {
                prop_assert!((fused.score - face.score).abs() < 1e-5);
                prop_assert!((fused.bounding_box.x - face.bounding_box.x).abs() < 1e-3);
            }
        }

        #[test]
        fn no_score_is_above_the_surest_and_no_two_faces_are_one(
            a in any_faces(), b in any_faces(), c in any_faces(), weights in prop::array::uniform3(0.1f64..10.0),
        ) {
            let surest = a.iter().chain(&b).chain(&c).map(|face| face.score).fold(0.0, f32::max);
            let fused = fuse(&[a, b, c], &weights, 0.3);
            prop_assert!(fused.iter().all(|face| face.is_finite() && face.score <= surest + 1e-6));
            for (index, one) in fused.iter().enumerate() {
                for other in &fused[index + 1..] {
                    prop_assert!(one.bounding_box.iou(&other.bounding_box) <= 0.3);
                }
            }
        }

        #[test]
        fn weights_have_no_unit(a in any_faces(), b in any_faces(), unit in 0.1f64..10.0) {
            let (one, other) = (fuse(&[a.clone(), b.clone()], &[1.0, 3.0], 0.3), fuse(&[a, b], &[unit, 3.0 * unit], 0.3));
            prop_assert_eq!(one.len(), other.len());
            for (one, other) in one.iter().zip(&other) {
                prop_assert!((one.score - other.score).abs() < 1e-5);
            }
        }

        #[test]
        fn a_second_opinion_moves_a_face_to_between_the_two(x in 0.0f32..4.0, scores in prop::array::uniform2(0.1f32..=1.0)) {
            let fused = fuse(&[vec![face(0.0, scores[0])], vec![face(x, scores[1])]], &[1.0, 1.0], 0.3);
            prop_assert_eq!(fused.len(), 1);
            prop_assert!((-1e-4..=x + 1e-4).contains(&fused[0].bounding_box.x));
            prop_assert!((fused[0].score - (scores[0] + scores[1]) / 2.0).abs() < 1e-5);
        }
    }
}
