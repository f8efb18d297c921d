//! The detectors of a pack, several as one.
//!
//! Every pass of a [search](crate::Search) is made by every detector. Detections of different detectors whose boxes
//! overlap by more than `nms_iou` are one face: its box and landmarks are the means of theirs, weighted by weight times
//! score, and its score is `sum(weight * score) / sum(weight)` over *all* detectors of the ensemble. A face that only some
//! of them see so has a lower score, and where it falls below the threshold it is dropped: two detectors of equal weight
//! confirm each other, and one alone is not enough. `score_threshold` and `nms_iou` of the ensemble are those of the
//! pack's first detector; within what one detector sees its own `nms_iou` counts.

use std::borrow::Cow;

use likeness_imaging::{
    Image, ImagingError, Interrupt, Interrupted, Rotation, rotate, shrink_area, with_border,
};
use likeness_packs::{DetectorAdapter, DetectorModel, Pack};
use likeness_runtime::Runtime;

use crate::grid::{Bounds, GridDetector};
use crate::search::{self, BORDER, BORDER_GREY, DOUBTFUL, suppress};
use crate::{
    BoundingBox, DetectionError, FIRST_PASS_SIDE, Face, FaceDetector, Point, Search, centerface, scrfd, yunet,
};

/// The detectors of a pack: one, or several whose detections are fused.
#[derive(Debug)]
pub struct Detectors {
    members: Vec<GridDetector>,
    bounds: Bounds,
    /// Score of the primary face from which on an image is upright.
    upright: Option<f32>,
    /// That of the image that was searched last, in its first pass; `None` where it had another first pass.
    first_score: Option<f32>,
}

impl Detectors {
    /// Opens all detectors of a pack; `score_threshold` replaces the first one's, which counts for all.
    ///
    /// # Errors
    /// As [`open_models`](Self::open_models).
    pub fn open(
        runtime: &Runtime,
        pack: &Pack,
        score_threshold: Option<f32>,
    ) -> Result<Self, DetectionError> {
        Self::open_models(runtime, pack, &pack.manifest().detectors, score_threshold)
    }

    /// Opens these detectors of a pack.
    ///
    /// # Errors
    /// No detector at all, a model that the pack does not have, that ONNX Runtime refuses, or whose declared inputs and
    /// outputs do not fit its adapter.
    pub fn open_models(
        runtime: &Runtime,
        pack: &Pack,
        models: &[DetectorModel],
        score_threshold: Option<f32>,
    ) -> Result<Self, DetectionError> {
        let open = |model: &DetectorModel| {
            let family = match model.adapter {
                DetectorAdapter::Yunet => &yunet::FAMILY,
                DetectorAdapter::Scrfd => &scrfd::FAMILY,
                DetectorAdapter::Centerface => &centerface::FAMILY,
                other => return Err(DetectionError::Unsupported(other)),
            };
            GridDetector::open(runtime, pack, model, family)
        };
        let members: Vec<GridDetector> = models.iter().map(open).collect::<Result<_, _>>()?;
        let first = members.first().ok_or(DetectionError::NoModel)?;
        let (mut bounds, upright) = (first.bounds(), first.upright_score());
        bounds.score = score_threshold.unwrap_or(bounds.score);
        Ok(Self {
            members,
            bounds,
            upright,
            first_score: None,
        })
    }

    /// One pass over the whole image, shrunk so that its longest side is at most `longest_side` pixels (never enlarged).
    /// Faces come largest first.
    ///
    /// # Errors
    /// [`DetectionError`] where a model fails.
    pub fn detect_at(&mut self, image: &Image, longest_side: u32) -> Result<Vec<Face>, DetectionError> {
        let score = self.bounds.score;
        let candidates = self.passes(image, Interrupt::NEVER)(longest_side)?;
        Ok(search::faces_of(candidates, score))
    }

    /// Returns the score of the primary face in a first pass; 0 without one.
    fn first_pass_score(&mut self, image: &Image, interrupt: Interrupt<'_>) -> Result<f32, DetectionError> {
        let (score, longest) = (self.bounds.score, image.width().max(image.height()));
        let candidates = self.passes(image, interrupt)(FIRST_PASS_SIDE.min(longest))?;
        Ok(search::primary_score(&candidates, score, image))
    }

    /// Returns a pass of every member, one after the other, which returns the faces of all passes so far, no face twice.
    fn passes<'a>(
        &'a mut self,
        image: &'a Image,
        interrupt: Interrupt<'a>,
    ) -> impl FnMut(u32) -> Result<Vec<Face>, DetectionError> + 'a {
        let Self { members, bounds, .. } = self;
        let weights: Vec<f64> = members.iter().map(GridDetector::weight).collect();
        // The candidates of each: the same face may need different scales.
        let mut seen: Vec<Vec<Face>> = vec![Vec::new(); members.len()];
        let score = DOUBTFUL.min(bounds.score);
        move |side| {
            for (member, seen) in members.iter_mut().zip(&mut seen) {
                if side > member.longest_pass() {
                    continue;
                }
                seen.extend(member.candidates_at(image, side, score, interrupt)?);
                *seen = suppress(std::mem::take(seen), member.bounds().iou);
            }
            Ok(match seen.as_slice() {
                [only] => only.clone(),
                several => fuse(several, &weights, bounds.iou),
            })
        }
    }
}

impl FaceDetector for Detectors {
    fn detect(
        &mut self,
        image: &Image,
        search: Search,
        interrupt: Interrupt<'_>,
    ) -> Result<Vec<Face>, DetectionError> {
        let (score, mut first) = (self.bounds.score, None);
        let mut pass = self.passes(image, interrupt);
        let faces = search::run(image, search, score, |side| {
            let candidates = pass(side)?;
            if search == Search::Primary {
                first.get_or_insert_with(|| search::primary_score(&candidates, score, image));
            }
            Ok(candidates)
        });
        drop(pass);
        self.first_score = first;
        faces
    }

    fn first_pass(&mut self, image: &Image) -> Result<Option<Vec<Face>>, DetectionError> {
        let (score, mut first) = (self.bounds.score, None);
        let mut pass = self.passes(image, Interrupt::NEVER);
        let faces = search::first_pass(image, score, |side| {
            let candidates = pass(side)?;
            first = Some(search::primary_score(&candidates, score, image));
            Ok(candidates)
        });
        drop(pass);
        self.first_score = first;
        faces
    }

    fn upright_rotation(
        &mut self,
        image: &Image,
        interrupt: Interrupt<'_>,
    ) -> Result<Option<Rotation>, DetectionError> {
        let Some(upright) = self.upright else {
            return Ok(None);
        };
        let as_is = match self.first_score {
            Some(score) => score,
            None => self.first_pass_score(image, interrupt)?,
        };
        // Only what a first pass sees is turned.
        let mut small = None;
        search::best_rotation(as_is, upright, |rotation| {
            let small = small.get_or_insert_with(|| shrunk(image, f64::from(FIRST_PASS_SIDE)));
            let turned =
                rotate(Cow::Borrowed(&*small), rotation, interrupt).map_err(|error| match error {
                    ImagingError::Interrupted => DetectionError::Interrupted(Interrupted),
                    error => DetectionError::Rotation(error),
                })?;
            self.first_pass_score(&turned, interrupt)
        })
    }

    fn filling_face(
        &mut self,
        image: &Image,
        interrupt: Interrupt<'_>,
    ) -> Result<Option<Face>, DetectionError> {
        let small = shrunk(image, f64::from(FIRST_PASS_SIDE) / (1.0 + 2.0 * BORDER));
        let longest = small.width().max(small.height());
        let border = (f64::from(longest) * BORDER).round() as u32;
        let bordered = with_border(&small, border, BORDER_GREY).map_err(DetectionError::Border)?;
        let candidates = self.passes(&bordered, interrupt)(longest + 2 * border)?;
        let face = search::filling(candidates, self.bounds.score, border, &small);
        let scale = |of: u32, small: u32| of as f32 / small as f32;
        let (across, down) = (
            scale(image.width(), small.width()),
            scale(image.height(), small.height()),
        );
        Ok(face.map(|face| Face {
            bounding_box: BoundingBox {
                x: face.bounding_box.x * across,
                y: face.bounding_box.y * down,
                width: face.bounding_box.width * across,
                height: face.bounding_box.height * down,
            },
            score: face.score,
            landmarks: face.landmarks.map(|Point { x, y }| Point {
                x: x * across,
                y: y * down,
            }),
        }))
    }
}

/// Returns an image shrunk to so many pixels on its longest side; never enlarged.
fn shrunk(image: &Image, longest_side: f64) -> Image {
    let ratio = (longest_side / f64::from(image.width().max(image.height()))).min(1.0);
    let side = |side: u32| ((f64::from(side) * ratio).round() as u32).max(1);
    shrink_area(image, side(image.width()), side(image.height()))
}

/// Faces of several detectors as one list; `seen` and `weights` are in the same order, weights above 0.
fn fuse(seen: &[Vec<Face>], weights: &[f64], iou: f32) -> Vec<Face> {
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
            group[0].1.bounding_box.iou(&face.bounding_box) > iou
                && group.iter().all(|(other, _)| *other != detector)
        });
        match home {
            Some(group) => group.push((detector, face)),
            None => groups.push(vec![(detector, face)]),
        }
    }
    suppress(
        groups.iter().map(|group| fused_face(group, weights)).collect(),
        iou,
    )
}

fn fused_face(group: &[(usize, Face)], weights: &[f64]) -> Face {
    let weighted = |(detector, face): &(usize, Face)| weights[*detector] * f64::from(face.score);
    let scored: f64 = group.iter().map(weighted).sum();
    // Of faces without any score the weights alone count.
    let weight = |member: &(usize, Face)| {
        if scored > 0.0 {
            weighted(member)
        } else {
            weights[member.0]
        }
    };
    let total: f64 = group.iter().map(weight).sum();
    let mean = |value: &dyn Fn(&Face) -> f32| -> f32 {
        let values = group
            .iter()
            .map(|member| weight(member) / total * f64::from(value(&member.1)));
        values.sum::<f64>() as f32
    };
    Face {
        bounding_box: BoundingBox {
            x: mean(&|face| face.bounding_box.x),
            y: mean(&|face| face.bounding_box.y),
            width: mean(&|face| face.bounding_box.width),
            height: mean(&|face| face.bounding_box.height),
        },
        score: (scored / weights.iter().sum::<f64>()) as f32,
        landmarks: std::array::from_fn(|index| Point {
            x: mean(&|face| face.landmarks[index].x),
            y: mean(&|face| face.landmarks[index].y),
        }),
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
