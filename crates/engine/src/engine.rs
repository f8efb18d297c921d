//! The calls.

use std::sync::Arc;

use likeness_decision::{self as decision, Evidence, Score};
use likeness_detection::{BoundingBox, Face, Landmarks, Point, Search};
use likeness_embedding::{Embedding, LogisticCalibration};
use likeness_imaging::{Limits, Picture};
use likeness_runtime::{Pool, Pooled};

use crate::worker::{Found, Worker, decode, inference, report, timed};
use crate::{
    Budget, Comparison, EmbedOptions, EmbeddedFace, EngineBuilder, EngineError, EngineInfo, Input,
    LivenessCheck, LivenessOptions, PictureRole, Timings, Verification, VerifyOptions,
};

/// Verifies faces; see the [crate's documentation](crate).
#[derive(Debug, Clone)]
pub struct Engine {
    inner: Arc<Inner>,
}

#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) workers: Pool<Worker>,
    pub(crate) calibration: LogisticCalibration,
    pub(crate) limits: Limits,
    pub(crate) info: EngineInfo,
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
    /// [`EngineError::Cancelled`] as the budget says, [`EngineError::Inference`] where a model fails.
    pub fn verify<'a>(
        &self,
        selfie: impl Into<Input<'a>>,
        photo: impl Into<Input<'a>>,
        options: &VerifyOptions,
    ) -> Result<Verification, EngineError> {
        let (selfie, photo) = (selfie.into(), photo.into());
        let budget = &options.budget;
        let mut timings = Timings::default();
        let mut worker = timed(&mut timings.queue, || self.worker(budget))?;

        let limits = &self.inner.limits;
        let selfie = timed(&mut timings.decode, || {
            decode(PictureRole::Selfie, selfie, limits)
        })?;
        budget.check()?;
        let photo = timed(&mut timings.decode, || decode(PictureRole::Photo, photo, limits))?;
        budget.check()?;

        let selfie_faces = timed(&mut timings.detect, || {
            worker.find(selfie.picture(), Search::Primary)
        })?;
        budget.check()?;
        let search = if options.photo_multiface {
            Search::Thorough
        } else {
            Search::Primary
        };
        let photo_faces = timed(&mut timings.detect, || worker.find(photo.picture(), search))?;
        budget.check()?;

        let compared = if options.photo_multiface {
            photo_faces.len()
        } else {
            photo_faces.len().min(1)
        };
        let (mut face_match, mut similarity) = (None, None);
        if let (Some(face), Some(candidates)) = (selfie_faces.first(), photo_faces.get(..compared))
            && !candidates.is_empty()
        {
            let best = timed(&mut timings.embed, || {
                best_match(
                    &mut worker,
                    (selfie.picture(), face),
                    (photo.picture(), candidates),
                )
            })?;
            face_match = Some(self.confidence(best)?);
            similarity = Some(best);
        }
        budget.check()?;

        let mut liveness = None;
        if let Some(face) = selfie_faces.first() {
            let score = timed(&mut timings.liveness, || worker.liveness(selfie.picture(), face))?;
            liveness = Some(Score::new(score).map_err(inference)?);
        }
        drop(worker);

        let decision = decision::decide(
            &options.profile,
            &Evidence {
                selfie_face_areas: &areas(&selfie_faces),
                photo_face_areas: &areas(&photo_faces),
                photo_multiface: options.photo_multiface,
                face_match,
                liveness,
            },
        )
        .map_err(inference)?;
        Ok(Verification {
            selfie: report(selfie.picture(), &selfie_faces, selfie_faces.len()),
            photo: report(photo.picture(), &photo_faces, compared),
            face_match: face_match.unwrap_or(Score::ZERO),
            similarity,
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
        let limits = &self.inner.limits;
        let selfie = timed(&mut timings.decode, || {
            decode(PictureRole::Selfie, selfie.into(), limits)
        })?;
        budget.check()?;
        let faces = timed(&mut timings.detect, || {
            worker.find(selfie.picture(), Search::Primary)
        })?;
        budget.check()?;
        let mut liveness = None;
        if let Some(face) = faces.first() {
            let score = timed(&mut timings.liveness, || worker.liveness(selfie.picture(), face))?;
            liveness = Some(Score::new(score).map_err(inference)?);
        }
        Ok(LivenessCheck {
            selfie: report(selfie.picture(), &faces, faces.len()),
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
        let picture = decode(PictureRole::Photo, picture.into(), &self.inner.limits)?;
        budget.check()?;
        let search = if options.all_faces {
            Search::Thorough
        } else {
            Search::Primary
        };
        let mut found = worker.find(picture.picture(), search)?;
        budget.check()?;
        if !options.all_faces {
            found.truncate(1);
        }
        let faces: Vec<(&Picture, &Found)> = found.iter().map(|face| (picture.picture(), face)).collect();
        let embeddings = worker.embed(&faces)?;
        Ok(found
            .iter()
            .zip(embeddings)
            .map(|(found, embedding)| EmbeddedFace {
                face: found.shown,
                embedding,
            })
            .collect())
    }

    /// Compares two embeddings of this engine's embedder.
    ///
    /// # Errors
    /// [`EngineError::Option`] for embeddings of different lengths.
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
        // All at the same time: a worker that is given back would be handed out again.
        let mut workers = (0..self.workers())
            .map(|_| self.worker(&Budget::unlimited()))
            .collect::<Result<Vec<_>, _>>()?;
        let picture = Picture::from_rgb8(640, 480, vec![127; 640 * 480 * 3]).map_err(inference)?;
        let face = centered_face(&picture);
        for worker in &mut workers {
            worker.find(&picture, Search::Thorough)?;
            worker.embed(&[(&picture, &face), (&picture, &face)])?;
            worker.liveness(&picture, &face)?;
        }
        Ok(())
    }

    fn worker(&self, budget: &Budget) -> Result<Pooled<'_, Worker>, EngineError> {
        budget.check()?;
        let worker = self
            .inner
            .workers
            .checkout(budget.deadline())
            .ok_or(EngineError::DeadlineExceeded)?;
        budget.check()?;
        Ok(worker)
    }

    fn confidence(&self, similarity: f32) -> Result<Score, EngineError> {
        Score::new(self.inner.calibration.confidence(similarity)).map_err(inference)
    }
}

/// The highest similarity of the selfie's face to any of the photo's.
fn best_match(
    worker: &mut Worker,
    (selfie, face): (&Picture, &Found),
    (photo, candidates): (&Picture, &[Found]),
) -> Result<f32, EngineError> {
    let faces: Vec<(&Picture, &Found)> = std::iter::once((selfie, face))
        .chain(candidates.iter().map(|candidate| (photo, candidate)))
        .collect();
    let embeddings = worker.embed(&faces)?;
    let Some((probe, references)) = embeddings.split_first() else {
        return Err(EngineError::Inference("no embedding for the selfie".to_owned()));
    };
    let mut best = -1.0f32;
    for reference in references {
        best = best.max(probe.similarity(reference).map_err(inference)?);
    }
    Ok(best)
}

fn areas(faces: &[Found]) -> Vec<f32> {
    faces
        .iter()
        .map(|found| found.shown.bounding_box.area())
        .collect()
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
