//! The engine: what its workers share, and what it says of itself.

use std::sync::Arc;

use likeness_decision::Score;
use likeness_detection::Search;
use likeness_embedding::{Cohort, Embedding, EmbeddingBinding, EmbeddingError, FaceInImage, Similarity};
use likeness_face::{BoundingBox, Point};
use likeness_imaging::{EncodedImage, Image, ImageLimits, ImagingError, Interrupt};
use likeness_packs::{CohortReference, LivenessCurve, ScoreCurve};
use likeness_runtime::give_back_freed_memory;
use parking_lot::Mutex;

use crate::error::EngineError;
use crate::faces::FaceSearch;
use crate::info::{EngineInfo, EngineLabels};
use crate::options::Budget;
use crate::result::Comparison;
use crate::workers::{Workers, inference};

/// Verifies faces; see the [crate's documentation](crate).
#[derive(Debug, Clone)]
pub struct Engine {
    pub(crate) inner: Arc<Inner>,
}

#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) workers: Workers,
    /// `None`: there is no match confidence.
    pub(crate) match_curve: Option<ScoreCurve>,
    /// `None`: similarities are cosines.
    pub(crate) cohort: Option<Cohort>,
    /// Name of the cohort's file; `None`: it is the pack's own, or there is none.
    pub(crate) cohort_file: Option<String>,
    /// `None`: the embedder is custom.
    pub(crate) embedding_binding: Option<EmbeddingBinding>,
    /// `None`: the models' fused live probability is the score.
    pub(crate) liveness_curve: Option<LivenessCurve>,
    pub(crate) faces: FaceSearch,
    pub(crate) info: EngineInfo,
    pub(crate) labels: EngineLabels,
    /// Held while warming up: two threads that did so together would wait for each other's workers.
    pub(crate) warming: Mutex<()>,
    /// The last field: it is dropped after the models.
    pub(crate) _memory: FreedMemory,
}

/// Gives the memory of models back when another engine may have replaced this one: what they leave are holes that the next
/// models do not fill.
#[derive(Debug)]
pub(crate) struct FreedMemory;

impl Drop for FreedMemory {
    fn drop(&mut self) {
        give_back_freed_memory();
    }
}

impl Engine {
    /// Compares two embeddings of this engine's embedder.
    ///
    /// # Errors
    /// [`EngineError::Option`] for embeddings of different lengths, [`EngineError::Uncalibrated`] where the engine has no
    /// match calibration; [`Embedding::similarity`] needs none.
    pub fn compare(&self, a: &Embedding, b: &Embedding) -> Result<Comparison, EngineError> {
        let similarity = self.similarity(a, b)?;
        Ok(Comparison {
            similarity,
            confidence: self.confidence(similarity.value())?,
        })
    }

    /// Returns the similarity of two embeddings of this engine's embedder: the cosine and, where there is a cohort, the
    /// normalised one.
    ///
    /// # Errors
    /// [`EngineError::Option`] for embeddings of different lengths, or of another embedder's length.
    pub fn similarity(&self, a: &Embedding, b: &Embedding) -> Result<Similarity, EngineError> {
        let measured = self.level(a).and_then(|level| self.measure((a, level), b));
        measured.map_err(|error| EngineError::Option(error.to_string()))
    }

    /// Returns the level of a face; `None` without a cohort.
    pub(crate) fn level(&self, face: &Embedding) -> Result<Option<f32>, EmbeddingError> {
        let cohort = self.inner.cohort.as_ref();
        cohort.map(|cohort| cohort.level(face)).transpose()
    }

    /// Returns the similarity of a face, given with its level, and another.
    pub(crate) fn measure(
        &self,
        (face, level): (&Embedding, Option<f32>),
        other: &Embedding,
    ) -> Result<Similarity, EmbeddingError> {
        let cosine = face.similarity(other)?;
        Ok(Similarity::new(cosine, level, self.level(other)?))
    }

    /// Returns the cohort that similarities are normalised by; `None`: they are cosines.
    #[must_use]
    pub fn cohort(&self) -> Option<&Cohort> {
        self.inner.cohort.as_ref()
    }

    /// Returns the name by which a calibration that is measured with this engine refers to its cohort.
    #[must_use]
    pub fn cohort_reference(&self) -> Option<CohortReference> {
        Some(CohortReference {
            file: self.inner.cohort_file.clone(),
            sha256: self.inner.cohort.as_ref()?.sha256().to_owned(),
        })
    }

    /// Returns what this engine's embeddings are bound to, and so its cohort and templates; `None` where the embedder is custom.
    #[must_use]
    pub fn embedding_binding(&self) -> Option<&EmbeddingBinding> {
        self.inner.embedding_binding.as_ref()
    }

    /// Returns the calibrated match confidence of a [`Similarity::value`].
    ///
    /// # Errors
    /// [`EngineError::Inference`] for NaN, [`EngineError::Uncalibrated`] where the engine has no match calibration.
    pub fn confidence(&self, similarity: f32) -> Result<Score, EngineError> {
        let curve = self.inner.match_curve.as_ref().ok_or(EngineError::Uncalibrated)?;
        Score::new(curve.at(f64::from(similarity))).map_err(inference)
    }

    /// Returns whether there are match confidences: an engine that was built
    /// [uncalibrated](crate::EngineBuilder::uncalibrated) may have none.
    #[must_use]
    pub fn is_calibrated(&self) -> bool {
        self.inner.match_curve.is_some()
    }

    /// Returns how many requests run at the same time.
    #[must_use]
    pub fn workers(&self) -> usize {
        self.inner.workers.pool.size()
    }

    /// Returns how many workers are busy at this moment, for metrics.
    #[must_use]
    pub fn workers_in_use(&self) -> usize {
        self.inner.workers.pool.in_use()
    }

    /// Returns the largest image that is accepted.
    #[must_use]
    pub fn limits(&self) -> &ImageLimits {
        &self.inner.faces.limits
    }

    /// Reads and checks the headers of an image file, of every format that this engine decodes.
    ///
    /// # Errors
    /// Those of [`EncodedImage::open`].
    pub fn open_image<'a>(&self, bytes: &'a [u8]) -> Result<EncodedImage<'a>, ImagingError> {
        self.inner.faces.open(bytes)
    }

    /// Returns what the engine is made of.
    #[must_use]
    pub fn info(&self) -> &EngineInfo {
        &self.inner.info
    }

    /// Returns [`info`](Self::info) as text.
    #[must_use]
    pub fn labels(&self) -> &EngineLabels {
        &self.inner.labels
    }

    /// Runs every model of every worker once, so that the first request is as fast as the next.
    ///
    /// # Errors
    /// [`EngineError::Inference`] where a model fails.
    pub fn warm_up(&self) -> Result<(), EngineError> {
        let _one_at_a_time = self.inner.warming.lock();
        let image = &Image::from_rgb8(640, 480, vec![127; 640 * 480 * 3]).map_err(inference)?;
        // A plain image shows no face: one in the middle is made up.
        let bounding_box = &BoundingBox {
            x: 256.0,
            y: 192.0,
            width: 128.0,
            height: 96.0,
        };
        let points = [
            (288.0, 216.0),
            (352.0, 216.0),
            (320.0, 240.0),
            (294.4, 264.0),
            (345.6, 264.0),
        ];
        let landmarks = &points.map(|(x, y)| Point { x, y });
        let faces = [FaceInImage { image, landmarks }; 2];
        self.inner.workers.with_all(|worker| {
            worker
                .detector
                .detect(image, Search::Thorough, Interrupt::NEVER)
                .map_err(inference)?;
            worker.embed(&faces, &Budget::unlimited())?;
            worker.liveness.score(image, bounding_box).map_err(inference)?;
            Ok(())
        })
    }

    pub(crate) fn calibrated_liveness(&self, probability: f64) -> Result<Score, EngineError> {
        let calibrated = match &self.inner.liveness_curve {
            // Anything else than a probability is reported as such below, not clamped into one.
            Some(curve) if (0.0..=1.0).contains(&probability) => curve.at(probability),
            _ => probability,
        };
        Score::new(calibrated).map_err(inference)
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
