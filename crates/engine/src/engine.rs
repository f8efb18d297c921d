//! The calls.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use likeness_decision::Score;
use likeness_detection::{BoundingBox, Face, Landmarks, Point, Search};
use likeness_embedding::Embedding;
use likeness_imaging::{Image, Interrupt, Limits};
use likeness_packs::{LivenessCurve, ScoreCurve};
use likeness_runtime::{Pool, Pooled, give_back_freed_memory};

use crate::aside::Aside;
use crate::look::{Detail, Found, Look, Looking};
use crate::worker::{Worker, inference, timed};
use crate::{
    Budget, Comparison, EmbedOptions, EmbeddedFace, EngineBuilder, EngineError, EngineInfo, ImageRole, Input,
    LivenessCheck, LivenessOptions, Timings,
};

/// How long a call that was cancelled while it waited for a worker may go on waiting.
const CANCEL_LATENCY: Duration = Duration::from_millis(50);

/// Verifies faces; see the [crate's documentation](crate).
#[derive(Debug, Clone)]
pub struct Engine {
    pub(crate) inner: Arc<Inner>,
}

#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) workers: Pool<Worker>,
    pub(crate) aside: Aside,
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
    /// The last: it goes when the models have gone.
    pub(crate) _memory: FreedMemory,
}

/// Gives the memory of models back with which another engine may have replaced this one: what they leave are holes that
/// the next do not fill.
#[derive(Debug)]
pub(crate) struct FreedMemory;

impl Drop for FreedMemory {
    fn drop(&mut self) {
        give_back_freed_memory();
    }
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
            ImageRole::Selfie,
            selfie.into(),
            Search::Primary,
            self.looking(budget),
            &mut timings,
        )?;
        let mut liveness = None;
        if let Some((image, face)) = selfie.faces_in_pixels().next() {
            let probability = timed(&mut timings.liveness, || worker.liveness(image, face))?;
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
        image: impl Into<Input<'a>>,
        options: &EmbedOptions,
    ) -> Result<Vec<EmbeddedFace>, EngineError> {
        let budget = &options.budget;
        let mut worker = self.worker(budget)?;
        let search = if options.all_faces {
            Search::Thorough
        } else {
            Search::Primary
        };
        let mut image = Look::at(
            &mut worker,
            ImageRole::Photo,
            image.into(),
            search,
            self.looking(budget),
            &mut Timings::default(),
        )?;
        if !options.all_faces {
            image.faces.truncate(1);
        }
        let faces: Vec<(&Image, &Found)> = image.faces_in_pixels().collect();
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

    /// What an image may measure.
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
        let image = Image::from_rgb8(640, 480, vec![127; 640 * 480 * 3]).map_err(inference)?;
        let face = centered_face(&image);
        let workers: Vec<&mut Worker> = workers.iter_mut().map(|worker| &mut **worker).collect();
        self.inner.aside.each(workers, |worker| {
            worker
                .detector
                .detect(&image, Search::Thorough, Interrupt::NEVER)
                .map_err(inference)?;
            worker.embed(&[(&image, &face), (&image, &face)], &unlimited)?;
            worker.liveness(&image, &face)
        })?;
        Ok(())
    }

    pub(crate) fn looking<'a>(&'a self, budget: &'a Budget) -> Looking<'a> {
        Looking {
            limits: &self.inner.limits,
            max_faces: self.inner.max_faces,
            detail: self.inner.detail,
            budget,
        }
    }

    /// Waits for a worker for as long as the budget lasts.
    pub(crate) fn worker(&self, budget: &Budget) -> Result<Pooled<'_, Worker>, EngineError> {
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

    pub(crate) fn liveness_score(&self, probability: f64) -> Result<Score, EngineError> {
        let calibrated = match &self.inner.liveness_curve {
            // What is no probability is told as such, not clamped into one.
            Some(curve) if (0.0..=1.0).contains(&probability) => curve.at(probability),
            _ => probability,
        };
        Score::new(calibrated).map_err(inference)
    }
}

/// A face in the middle of an image, for warming up: a plain image shows none.
fn centered_face(image: &Image) -> Found {
    let (width, height) = (image.width() as f32, image.height() as f32);
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
