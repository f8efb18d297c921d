//! The requests: verify, check liveness, detect, embed. Each reads from top to bottom.

use likeness_decision::{self as decision, Evidence, ImageRole};
use likeness_detection::Search;
use likeness_embedding::{FaceInImage, SAME_IMAGE, Similarity, image_agreement};
use likeness_face::BoundingBox;
use likeness_imaging::{Image, Rotation};

use crate::engine::Engine;
use crate::error::EngineError;
use crate::faces::FoundFace;
use crate::options::{Budget, EmbedOptions, Input, LivenessOptions, VerifyOptions};
use crate::result::{EmbeddedFace, ImageReport, LivenessCheck, Timings, Verification};
use crate::workers::{Worker, inference, timed};

impl Engine {
    /// Verifies a selfie against a photo: is it a live person, and the person in the photo?
    ///
    /// The primary face of the selfie, the largest, is compared with the primary face of the photo or, with
    /// [`VerifyOptions::photo_multiface`], with the most similar of its faces. An image without a face is not an error but a
    /// decision.
    ///
    /// # Errors
    /// [`EngineError::Image`] for an image that cannot be used, [`EngineError::DeadlineExceeded`] and
    /// [`EngineError::Cancelled`] as the budget says, [`EngineError::Inference`] where a model fails,
    /// [`EngineError::Uncalibrated`] where the engine has no match calibration.
    pub fn verify<'a>(
        &self,
        selfie: impl Into<Input<'a>>,
        photo: impl Into<Input<'a>>,
        options: &VerifyOptions,
    ) -> Result<Verification, EngineError> {
        if !self.is_calibrated() {
            return Err(EngineError::Uncalibrated);
        }
        let (selfie, photo, budget) = (selfie.into(), photo.into(), &options.budget);
        let same_input = selfie.is_same(&photo);
        let (workers, faces) = (&self.inner.workers, &self.inner.faces);
        let (mut timings, mut of_photo) = (Timings::default(), Timings::default());
        let mut worker = timed(&mut timings.queue, || workers.pool.checkout(budget))?;

        // Decode and detect.
        let photo_search = search(options.photo_multiface);
        let (selfie, photo) = workers.on_idle_worker(
            &mut *worker,
            budget,
            |worker| {
                let role = ImageRole::Selfie;
                faces.decode_and_detect(worker, role, selfie, Search::Primary, budget, &mut timings)
            },
            |worker| {
                faces.decode_and_detect(
                    worker,
                    ImageRole::Photo,
                    photo,
                    photo_search,
                    budget,
                    &mut of_photo,
                )
            },
        )?;
        timings.decode += of_photo.decode;
        timings.detect += of_photo.detect;

        // Align and embed; score liveness.
        let mut candidates = photo.to_embed();
        if !options.photo_multiface {
            candidates.truncate(1);
        }
        let compared = candidates.len();
        let (mut best, mut liveness) = (None, None);
        if let Some(primary) = selfie.primary() {
            let mut score =
                |worker: &mut Worker| timed(&mut timings.liveness, || self.score_liveness(worker, primary));
            if candidates.is_empty() {
                budget.check()?;
                liveness = Some(score(&mut worker)?);
            } else {
                let align_and_embed = |worker: &mut Worker| {
                    timed(&mut timings.embed, || {
                        self.best_match(worker, primary, candidates, budget)
                    })
                };
                let (found, scored) = workers.on_idle_worker(&mut *worker, budget, align_and_embed, score)?;
                (best, liveness) = (Some(found), Some(scored));
            }
        }
        let (matched_face, similarity) = best.as_ref().map(|best| (best.index, best.similarity)).unzip();
        let same_image = same_input || best.is_some_and(|best| best.same_image);
        let face_match = similarity
            .map(|similarity| self.confidence(similarity.value()))
            .transpose()?;

        // Measure quality.
        let (selfie_quality, photo_quality) = timed(&mut timings.quality, || {
            Ok::<_, EngineError>((selfie.quality(0)?, photo.quality(matched_face.unwrap_or(0))?))
        })?;
        drop(worker);

        // Decide.
        let (selfie_face_areas, photo_face_areas) = (selfie.areas(), photo.areas());
        let selfie = selfie.report(selfie.faces.len(), selfie_quality);
        let photo = photo.report(compared, photo_quality);
        let evidence = Evidence {
            selfie_face_areas: &selfie_face_areas,
            photo_face_areas: &photo_face_areas,
            photo_multiface: options.photo_multiface,
            face_match,
            liveness,
            selfie_quality: selfie.measured_face(),
            photo_quality: photo.measured_face(),
            selfie_rotation: selfie.rotation_degrees(),
            photo_rotation: photo.rotation_degrees(),
            same_image,
        };
        let decision = timed(&mut timings.decide, || {
            decision::decide(&options.profile, &evidence)
        });
        Ok(Verification {
            selfie,
            photo,
            face_match,
            similarity,
            matched_face,
            liveness,
            same_image,
            decision: decision.map_err(inference)?,
            timings,
        })
    }

    /// Checks whether a selfie shows a live person.
    ///
    /// # Errors
    /// Those of [`verify`](Self::verify), and [`EngineError::Option`] for a threshold outside of 0..=1.
    pub fn liveness<'a>(
        &self,
        selfie: impl Into<Input<'a>>,
        options: &LivenessOptions,
    ) -> Result<LivenessCheck, EngineError> {
        let (threshold, budget) = (options.threshold, &options.budget);
        if !(0.0..=1.0).contains(&threshold) {
            return Err(EngineError::Option(format!(
                "threshold must be between 0 and 1, not {threshold}"
            )));
        }
        let (selfie, mut timings) = (selfie.into(), Timings::default());
        let mut worker = timed(&mut timings.queue, || self.inner.workers.pool.checkout(budget))?;
        let (role, faces) = (ImageRole::Selfie, &self.inner.faces);
        let selfie =
            faces.decode_and_detect(&mut worker, role, selfie, Search::Primary, budget, &mut timings)?;
        let liveness = timed(&mut timings.liveness, || {
            let primary = selfie.primary();
            primary
                .map(|primary| self.score_liveness(&mut worker, primary))
                .transpose()
        })?;
        let quality = timed(&mut timings.quality, || selfie.quality(0))?;
        let selfie = selfie.report(selfie.faces.len(), quality);
        let findings = timed(&mut timings.quality, || {
            let face = selfie.measured_face();
            face.map(|face| decision::selfie_findings(&options.quality, &face, selfie.rotation_degrees()))
                .transpose()
        });
        Ok(LivenessCheck {
            selfie,
            liveness,
            threshold,
            live: liveness.is_some_and(|score| score.value() >= threshold),
            findings: findings.map_err(inference)?.unwrap_or_default(),
            timings,
        })
    }

    /// Detects the faces of an image, by the thorough search that photos with several faces have. The report's faces are all that
    /// were found, its quality is that of the primary face.
    ///
    /// # Errors
    /// Those of [`verify`](Self::verify).
    pub fn detect<'a>(
        &self,
        image: impl Into<Input<'a>>,
        budget: &Budget,
    ) -> Result<ImageReport, EngineError> {
        let (image, mut timings) = (image.into(), Timings::default());
        let mut worker = self.inner.workers.pool.checkout(budget)?;
        let (role, search) = (ImageRole::Photo, Search::Thorough);
        let faces = &self.inner.faces;
        let detected = faces.decode_and_detect(&mut worker, role, image, search, budget, &mut timings)?;
        let quality = detected.quality(0)?;
        Ok(detected.report(detected.faces.len(), quality))
    }

    /// Returns the embedding of the primary face, or of all faces, largest first; none where there is no face.
    ///
    /// # Errors
    /// Those of [`verify`](Self::verify).
    pub fn embed<'a>(
        &self,
        image: impl Into<Input<'a>>,
        options: &EmbedOptions,
    ) -> Result<Vec<EmbeddedFace>, EngineError> {
        let (image, budget, mut timings) = (image.into(), &options.budget, Timings::default());
        let mut worker = self.inner.workers.pool.checkout(budget)?;
        let (role, search) = (ImageRole::Photo, search(options.all_faces));
        let faces = &self.inner.faces;
        let mut detected = faces.decode_and_detect(&mut worker, role, image, search, budget, &mut timings)?;
        if !options.all_faces {
            detected.faces.truncate(1);
        }
        let embeddings = worker.embed(&detected.to_embed(), budget)?;
        let faces = detected.faces.iter().map(|face| face.reported);
        Ok(faces
            .zip(embeddings)
            .map(|(face, embedding)| EmbeddedFace { face, embedding })
            .collect())
    }

    /// Returns the parts of a selfie that its liveness score is computed from, in the coordinates of its report, for showing
    /// them. They follow from the primary face as reported, which the border of the image may cut. None without a face, or where
    /// the liveness model is the embedder's own and does not say.
    ///
    /// # Errors
    /// Those of waiting for a worker.
    pub fn liveness_crops(&self, selfie: &ImageReport) -> Result<Vec<BoundingBox>, EngineError> {
        let Some(face) = selfie.faces.first() else {
            return Ok(Vec::new());
        };
        let worker = self.inner.workers.pool.checkout(&Budget::unlimited())?;
        let sides = (selfie.size.width, selfie.size.height);
        let Some(rotation) = selfie.rotation else {
            return Ok(worker.liveness.crops(sides.0, sides.1, &face.bounding_box));
        };
        let (width, height) = match rotation.swaps_sides() {
            true => (sides.1, sides.0),
            false => sides,
        };
        let upright = turned(&face.bounding_box, rotation, sides);
        let crops = worker.liveness.crops(width, height, &upright).into_iter();
        let back = rotation.inverse();
        Ok(crops.map(|crop| turned(&crop, back, (width, height))).collect())
    }

    /// Returns the calibrated liveness score of a face.
    pub(crate) fn score_liveness(
        &self,
        worker: &mut Worker,
        (image, face): (&Image, &FoundFace),
    ) -> Result<decision::Score, EngineError> {
        let model = &mut worker.liveness;
        let probability = model
            .score(image, &face.decoded.bounding_box)
            .map_err(inference)?;
        self.calibrated_liveness(probability)
    }

    /// Aligns and embeds the selfie's primary face and the photo's; returns which of the latter is most similar, how much, and
    /// whether both faces are one photograph.
    fn best_match(
        &self,
        worker: &mut Worker,
        (image, primary): (&Image, &FoundFace),
        candidates: Vec<FaceInImage<'_>>,
        budget: &Budget,
    ) -> Result<BestMatch, EngineError> {
        let landmarks = &primary.decoded.landmarks;
        let mut faces = vec![FaceInImage { image, landmarks }];
        faces.extend(candidates);
        let embeddings = worker.embed(&faces, budget)?;
        let mut best: Option<(usize, Similarity)> = None;
        if let [probe, references @ ..] = embeddings.as_slice() {
            let level = self.level(probe).map_err(inference)?;
            for (index, reference) in references.iter().enumerate() {
                let similarity = self.measure((probe, level), reference).map_err(inference)?;
                if best.is_none_or(|(_, highest)| similarity.value() > highest.value()) {
                    best = Some((index, similarity));
                }
            }
        }
        let Some((index, similarity)) = best else {
            return Err(EngineError::Inference("there is nothing to compare".into()));
        };
        let same_image = match faces.as_slice() {
            [probe, references @ ..] if similarity.cosine >= SAME_FACE => references
                .get(index)
                .is_some_and(|reference| image_agreement(*probe, *reference) >= SAME_IMAGE),
            _ => false,
        };
        Ok(BestMatch {
            index,
            similarity,
            same_image,
        })
    }
}

/// Returns a box of an image of these sides in the turned image.
fn turned(area: &BoundingBox, rotation: Rotation, sides: (u32, u32)) -> BoundingBox {
    let (a, b) = (
        rotation.point((area.x, area.y), sides),
        rotation.point((area.x + area.width, area.y + area.height), sides),
    );
    BoundingBox {
        x: a.0.min(b.0),
        y: a.1.min(b.1),
        width: (a.0 - b.0).abs(),
        height: (a.1 - b.1).abs(),
    }
}

/// The most similar of a photo's faces.
struct BestMatch {
    index: usize,
    similarity: Similarity,
    same_image: bool,
}

/// Cosine from which on two faces may be one photograph. It saves the time of most genuine pairs, and misses small copies that are
/// compressed so much that little of the face is left.
const SAME_FACE: f32 = 0.75;

/// Only a thorough search is sure to find several faces.
fn search(several_faces: bool) -> Search {
    if several_faces {
        Search::Thorough
    } else {
        Search::Primary
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_box_turned_and_turned_back_is_where_it_was() {
        let area = BoundingBox {
            x: 10.0,
            y: 20.0,
            width: 30.0,
            height: 50.0,
        };
        let sides = (100, 200);
        // A quarter clockwise: what was at the left is at the top.
        let quarter = turned(&area, Rotation::Quarter, sides);
        assert_eq!(
            (quarter.x, quarter.y, quarter.width, quarter.height),
            (130.0, 10.0, 50.0, 30.0)
        );
        for rotation in Rotation::ALL {
            let there = turned(&area, rotation, sides);
            let turned_sides = if rotation.swaps_sides() { (200, 100) } else { sides };
            assert_eq!(turned(&there, rotation.inverse(), turned_sides), area);
        }
    }
}
