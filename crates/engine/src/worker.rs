//! The stages of a call, run by one worker with models of its own.

use std::time::{Duration, Instant};

use likeness_detection::FaceDetector;
use likeness_embedding::{Embedding, FaceEmbedder, FaceInImage};
use likeness_imaging::Image;
use likeness_liveness::LivenessModel;

use crate::look::Found;
use crate::{Budget, EngineError};

/// Faces that are embedded before the budget is looked at again: with the default pack about a tenth of a second.
const FACES_BETWEEN_CHECKS: usize = 4;

/// One set of models.
pub(crate) struct Worker {
    pub(crate) detector: Box<dyn FaceDetector>,
    pub(crate) embedder: Box<dyn FaceEmbedder>,
    pub(crate) liveness: Box<dyn LivenessModel>,
}

impl std::fmt::Debug for Worker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Worker").finish_non_exhaustive()
    }
}

impl Worker {
    /// The embeddings of faces, a few at a time, so that a call that should stop does.
    pub(crate) fn embed(
        &mut self,
        faces: &[(&Image, &Found)],
        budget: &Budget,
    ) -> Result<Vec<Embedding>, EngineError> {
        let faces: Vec<FaceInImage<'_>> = faces
            .iter()
            .map(|(image, found)| FaceInImage {
                image,
                landmarks: &found.raw.landmarks,
            })
            .collect();
        let mut embeddings = Vec::with_capacity(faces.len());
        for few in faces.chunks(FACES_BETWEEN_CHECKS) {
            budget.check()?;
            embeddings.extend(self.embedder.embed(few).map_err(inference)?);
        }
        if embeddings.len() == faces.len() {
            Ok(embeddings)
        } else {
            let message = format!("{} embeddings for {} faces", embeddings.len(), faces.len());
            Err(EngineError::Inference(message.into()))
        }
    }

    pub(crate) fn liveness(&mut self, image: &Image, found: &Found) -> Result<f64, EngineError> {
        self.liveness
            .score(image, &found.raw.bounding_box)
            .map_err(inference)
    }
}

/// A model that fails is nothing that the caller could mend.
pub(crate) fn inference(error: impl std::error::Error + Send + Sync + 'static) -> EngineError {
    EngineError::Inference(Box::new(error))
}

/// Runs a stage and adds its time to `spent`.
pub(crate) fn timed<T>(spent: &mut Duration, stage: impl FnOnce() -> T) -> T {
    let begin = Instant::now();
    let result = stage();
    *spent += begin.elapsed();
    result
}
