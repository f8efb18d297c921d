//! The calls.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use likeness_decision::{self as decision, Evidence, Score};
use likeness_detection::{BoundingBox, Face, Landmarks, Point, Search};
use likeness_embedding::Embedding;
use likeness_imaging::{Limits, Picture};
use likeness_models::{LivenessCurve, ScoreCurve};
use likeness_runtime::{Pool, Pooled};

use crate::look::{Detail, Found, Look, Looking};
use crate::result::measured_face;
use crate::worker::{Worker, inference, timed};
use crate::{
    Budget, Comparison, EmbedOptions, EmbeddedFace, EngineBuilder, EngineError, EngineInfo, Input,
    LivenessCheck, LivenessOptions, PictureRole, Timings, Verification, VerifyOptions,
};

/// How long a call that was cancelled while it waited for a worker may go on waiting.
const CANCEL_LATENCY: Duration = Duration::from_millis(50);

/// Verifies faces; see the [crate's documentation](crate).
#[derive(Debug, Clone)]
pub struct Engine {
    inner: Arc<Inner>,
}

#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) workers: Pool<Worker>,
    /// `None`: there is no match confidence.
    pub(crate) match_curve: Option<ScoreCurve>,
    /// `None`: the models' mean live probability is the score.
    pub(crate) liveness_curve: Option<LivenessCurve>,
    pub(crate) limits: Limits,
    pub(crate) max_faces: usize,
    pub(crate) detail: Detail,
    pub(crate) info: EngineInfo,
    /// Held while warming up: two who did so together would wait for each other's workers.
    pub(crate) warming: Mutex<()>,
}

impl Engine {
    /// An engine of the default pack on the CPU, unless the builder is told otherwise.
    pub fn builder() -> EngineBuilder {
        EngineBuilder::new()
    }

    pub(crate) fn new(inner: Inner) -> Self {
        Self {
            inner: Arc::new(inner),
        }
    }

    /// Is the selfie a live person, and is it the person in the photo?
    ///
    /// The largest face of the selfie is judged; it is compared with the largest face of the photo or, with
    /// [`VerifyOptions::photo_multiface`], with the most similar of its faces. A picture without a face is no error but a
    /// decision.
    ///
    /// # Errors
    /// [`EngineError::Picture`] for bytes that are no usable picture, [`EngineError::DeadlineExceeded`] and
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
        let (selfie, photo) = (selfie.into(), photo.into());
        let budget = &options.budget;
        let mut timings = Timings::default();
        let mut worker = timed(&mut timings.queue, || self.worker(budget))?;

        let looking = self.looking(budget);
        let selfie = Look::at(
            &mut worker,
            PictureRole::Selfie,
            selfie,
            Search::Primary,
            looking,
            &mut timings,
        )?;
        let search = if options.photo_multiface {
            Search::Thorough
        } else {
            Search::Primary
        };
        let photo = Look::at(
            &mut worker,
            PictureRole::Photo,
            photo,
            search,
            looking,
            &mut timings,
        )?;

        let compared = if options.photo_multiface {
            photo.faces.len()
        } else {
            photo.faces.len().min(1)
        };
        let mut best = None;
        if let (Some(face), Some(candidates)) = (selfie.faces.first(), photo.faces.get(..compared))
            && !candidates.is_empty()
        {
            best = Some(timed(&mut timings.embed, || {
                best_match(
                    &mut worker,
                    (selfie.picture(), face),
                    (photo.picture(), candidates),
                    budget,
                )
            })?);
        }
        let face_match = best.map(|best| self.confidence(best.similarity)).transpose()?;
        budget.check()?;

        let mut liveness = None;
        if let Some(face) = selfie.faces.first() {
            let probability = timed(&mut timings.liveness, || worker.liveness(selfie.picture(), face))?;
            liveness = Some(self.liveness_score(probability)?);
        }
        let matched = best.map_or(0, |best| best.index);
        let (selfie_quality, photo_quality) = timed(&mut timings.quality, || {
            Ok::<_, EngineError>((selfie.quality(0)?, photo.quality(matched)?))
        })?;
        drop(worker);

        let decision = decision::decide(
            &options.profile,
            &Evidence {
                selfie_face_areas: &selfie.areas(),
                photo_face_areas: &photo.areas(),
                photo_multiface: options.photo_multiface,
                face_match,
                liveness,
                selfie_quality: selfie_quality.as_ref().map(measured_face),
                photo_quality: photo_quality.as_ref().map(measured_face),
            },
        )
        .map_err(inference)?;
        Ok(Verification {
            selfie: selfie.report(selfie.faces.len(), selfie_quality),
            photo: photo.report(compared, photo_quality),
            face_match: face_match.unwrap_or(Score::ZERO),
            similarity: best.map(|best| best.similarity),
            matched_face: best.map(|best| best.index),
            liveness: liveness.unwrap_or(Score::ZERO),
            decision,
            timings,
        })
    }

    /// Is the selfie a live person?
    ///
    /// # Errors
    /// As [`verify`](Self::verify), and [`EngineError::Option`] for a threshold outside of 0..=1.
    pub fn liveness<'a>(
        &self,
        selfie: impl Into<Input<'a>>,
        options: &LivenessOptions,
    ) -> Result<LivenessCheck, EngineError> {
        let threshold = options.threshold;
        if !(0.0..=1.0).contains(&threshold) {
            return Err(EngineError::Option(format!(
                "threshold must be between 0 and 1, not {threshold}"
            )));
        }
        let budget = &options.budget;
        let mut timings = Timings::default();
        let mut worker = timed(&mut timings.queue, || self.worker(budget))?;
        let selfie = Look::at(
            &mut worker,
            PictureRole::Selfie,
            selfie.into(),
            Search::Primary,
            self.looking(budget),
            &mut timings,
        )?;
        let mut liveness = None;
        if let Some(face) = selfie.faces.first() {
            let probability = timed(&mut timings.liveness, || worker.liveness(selfie.picture(), face))?;
            liveness = Some(self.liveness_score(probability)?);
        }
        let quality = timed(&mut timings.quality, || selfie.quality(0))?;
        Ok(LivenessCheck {
            selfie: selfie.report(selfie.faces.len(), quality),
            liveness: liveness.unwrap_or(Score::ZERO),
            threshold,
            live: liveness.is_some_and(|score| score.value() >= threshold),
            timings,
        })
    }

    /// The embedding of the largest face, or of all faces, largest first; empty where there is no face.
    ///
    /// # Errors
    /// As [`verify`](Self::verify).
    pub fn embed<'a>(
        &self,
        picture: impl Into<Input<'a>>,
        options: &EmbedOptions,
    ) -> Result<Vec<EmbeddedFace>, EngineError> {
        let budget = &options.budget;
        let mut worker = self.worker(budget)?;
        let search = if options.all_faces {
            Search::Thorough
        } else {
            Search::Primary
        };
        let mut picture = Look::at(
            &mut worker,
            PictureRole::Photo,
            picture.into(),
            search,
            self.looking(budget),
            &mut Timings::default(),
        )?;
        if !options.all_faces {
            picture.faces.truncate(1);
        }
        let faces: Vec<(&Picture, &Found)> = picture
            .faces
            .iter()
            .map(|face| (picture.picture(), face))
            .collect();
        let embeddings = worker.embed(&faces, budget)?;
        Ok(faces
            .iter()
            .zip(embeddings)
            .map(|((_, found), embedding)| EmbeddedFace {
                face: found.shown,
                embedding,
            })
            .collect())
    }

    /// Compares two embeddings of this engine's embedder.
    ///
    /// # Errors
    /// [`EngineError::Option`] for embeddings of different lengths, [`EngineError::Uncalibrated`] where the engine has no
    /// match calibration; [`Embedding::similarity`] needs none.
    pub fn compare(&self, a: &Embedding, b: &Embedding) -> Result<Comparison, EngineError> {
        let similarity = a
            .similarity(b)
            .map_err(|error| EngineError::Option(error.to_string()))?;
        Ok(Comparison {
            similarity,
            confidence: self.confidence(similarity)?,
        })
    }

    /// How many calls run at the same time.
    #[must_use]
    pub fn workers(&self) -> usize {
        self.inner.workers.size()
    }

    /// How many workers work at this moment, for metrics.
    #[must_use]
    pub fn workers_in_use(&self) -> usize {
        self.inner.workers.in_use()
    }

    /// What a picture may measure.
    #[must_use]
    pub fn limits(&self) -> &Limits {
        &self.inner.limits
    }

    /// What the engine is made of.
    #[must_use]
    pub fn info(&self) -> &EngineInfo {
        &self.inner.info
    }

    /// Runs every model of every worker once, so that the first call is as fast as the next.
    ///
    /// # Errors
    /// [`EngineError::Inference`] where a model fails.
    pub fn warm_up(&self) -> Result<(), EngineError> {
        let _only_one = self.inner.warming.lock().unwrap_or_else(PoisonError::into_inner);
        let unlimited = Budget::unlimited();
        // All at the same time: a worker that is given back would be handed out again.
        let mut workers = (0..self.workers())
            .map(|_| self.worker(&unlimited))
            .collect::<Result<Vec<_>, _>>()?;
        let picture = Picture::from_rgb8(640, 480, vec![127; 640 * 480 * 3]).map_err(inference)?;
        let face = centered_face(&picture);
        for worker in &mut workers {
            worker
                .detector
                .detect(&picture, Search::Thorough)
                .map_err(inference)?;
            worker.embed(&[(&picture, &face), (&picture, &face)], &unlimited)?;
            worker.liveness(&picture, &face)?;
        }
        Ok(())
    }

    fn looking<'a>(&'a self, budget: &'a Budget) -> Looking<'a> {
        Looking {
            limits: &self.inner.limits,
            max_faces: self.inner.max_faces,
            detail: self.inner.detail,
            budget,
        }
    }

    /// Waits for a worker for as long as the budget lasts.
    fn worker(&self, budget: &Budget) -> Result<Pooled<'_, Worker>, EngineError> {
        loop {
            budget.check()?;
            let next_look = Instant::now() + CANCEL_LATENCY;
            let until = budget
                .deadline()
                .map_or(next_look, |deadline| deadline.min(next_look));
            if let Some(worker) = self.inner.workers.checkout(Some(until)) {
                budget.check()?;
                return Ok(worker);
            }
        }
    }

    /// Calibrated match confidence of a cosine similarity.
    ///
    /// # Errors
    /// [`EngineError::Inference`] for what is no number, [`EngineError::Uncalibrated`] where the engine has no match
    /// calibration.
    pub fn confidence(&self, similarity: f32) -> Result<Score, EngineError> {
        let curve = self.inner.match_curve.as_ref().ok_or(EngineError::Uncalibrated)?;
        Score::new(curve.at(f64::from(similarity))).map_err(inference)
    }

    /// Whether there are match confidences: an engine that was built
    /// [uncalibrated](crate::EngineBuilder::uncalibrated) may have none.
    #[must_use]
    pub fn is_calibrated(&self) -> bool {
        self.inner.match_curve.is_some()
    }

    fn liveness_score(&self, probability: f64) -> Result<Score, EngineError> {
        let calibrated = match &self.inner.liveness_curve {
            // What is no probability is told as such, not clamped into one.
            Some(curve) if (0.0..=1.0).contains(&probability) => curve.at(probability),
            _ => probability,
        };
        Score::new(calibrated).map_err(inference)
    }
}

/// The face of the photo that is most similar to the selfie's.
#[derive(Debug, Clone, Copy)]
struct BestMatch {
    index: usize,
    similarity: f32,
}

fn best_match(
    worker: &mut Worker,
    (selfie, face): (&Picture, &Found),
    (photo, candidates): (&Picture, &[Found]),
    budget: &Budget,
) -> Result<BestMatch, EngineError> {
    let faces: Vec<(&Picture, &Found)> = std::iter::once((selfie, face))
        .chain(candidates.iter().map(|candidate| (photo, candidate)))
        .collect();
    let embeddings = worker.embed(&faces, budget)?;
    let (probe, references) = match embeddings.split_first() {
        Some((probe, references)) if !references.is_empty() => (probe, references),
        _ => return Err(EngineError::Inference("there is nothing to compare".into())),
    };
    let mut best = BestMatch {
        index: 0,
        similarity: f32::NEG_INFINITY,
    };
    for (index, reference) in references.iter().enumerate() {
        let similarity = probe.similarity(reference).map_err(inference)?;
        if similarity > best.similarity {
            best = BestMatch { index, similarity };
        }
    }
    Ok(best)
}

/// A face in the middle of a picture, for warming up: a plain picture shows none.
fn centered_face(picture: &Picture) -> Found {
    let (width, height) = (picture.width() as f32, picture.height() as f32);
    let bounding_box = BoundingBox {
        x: width * 0.4,
        y: height * 0.4,
        width: width * 0.2,
        height: height * 0.2,
    };
    let at = |x: f32, y: f32| Point {
        x: width * x,
        y: height * y,
    };
    let landmarks: Landmarks = [
        at(0.45, 0.45),
        at(0.55, 0.45),
        at(0.5, 0.5),
        at(0.46, 0.55),
        at(0.54, 0.55),
    ];
    let face = Face {
        bounding_box,
        score: 1.0,
        landmarks,
    };
    Found {
        raw: face,
        shown: face,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_engine_goes_anywhere() {
        fn goes_anywhere<T: Clone + Send + Sync + 'static>() {}
        goes_anywhere::<Engine>();
    }
}
