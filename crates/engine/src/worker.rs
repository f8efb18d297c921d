//! The stages of a call, run by one worker with models of its own.

use std::time::{Duration, Instant};

use likeness_detection::{Face, FaceDetector, Search};
use likeness_embedding::{Embedding, FaceEmbedder, FaceInPicture};
use likeness_imaging::{self as imaging, Limits, Picture};
use likeness_liveness::LivenessModel;
use likeness_quality::FaceQuality;

use crate::{Budget, EngineError, Input, PictureReport, PictureRole, Size};

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

/// A picture that was borrowed or decoded.
pub(crate) enum Decoded<'a> {
    Borrowed(&'a Picture),
    Owned(Picture),
}

impl Decoded<'_> {
    pub(crate) fn picture(&self) -> &Picture {
        match self {
            Self::Borrowed(picture) => picture,
            Self::Owned(picture) => picture,
        }
    }
}

/// A face as the detector gave it, for the models, and clipped to the picture, for whoever reads the answer.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Found {
    pub(crate) raw: Face,
    pub(crate) shown: Face,
}

pub(crate) fn decode<'a>(
    role: PictureRole,
    input: Input<'a>,
    limits: &Limits,
) -> Result<Decoded<'a>, EngineError> {
    match input {
        Input::Picture(picture) => limits
            .check_size(picture.width(), picture.height())
            .map(|()| Decoded::Borrowed(picture)),
        Input::Encoded(bytes) => imaging::decode(bytes, limits).map(Decoded::Owned),
    }
    .map_err(|source| EngineError::Picture { role, source })
}

impl Worker {
    /// The faces of a picture, the one with the largest visible box first, ties by score, at most `max_faces`.
    pub(crate) fn find(
        &mut self,
        picture: &Picture,
        search: Search,
        max_faces: usize,
    ) -> Result<Vec<Found>, EngineError> {
        let faces = self.detector.detect(picture, search).map_err(inference)?;
        if !faces.iter().all(Face::is_finite) {
            return Err(EngineError::Inference(
                "the detector answered with numbers that are not finite".into(),
            ));
        }
        let mut found: Vec<Found> = faces
            .into_iter()
            .map(|raw| {
                let bounding_box = raw.bounding_box.clipped(picture.width(), picture.height());
                Found {
                    raw,
                    shown: Face { bounding_box, ..raw },
                }
            })
            .filter(|found| found.shown.bounding_box.area() > 0.0)
            .collect();
        found.sort_by(|a, b| {
            let area = |found: &Found| found.shown.bounding_box.area();
            area(b)
                .total_cmp(&area(a))
                .then(b.shown.score.total_cmp(&a.shown.score))
        });
        found.truncate(max_faces);
        Ok(found)
    }

    /// The embeddings of faces, a few at a time, so that a call that should stop does.
    pub(crate) fn embed(
        &mut self,
        faces: &[(&Picture, &Found)],
        budget: &Budget,
    ) -> Result<Vec<Embedding>, EngineError> {
        let faces: Vec<FaceInPicture<'_>> = faces
            .iter()
            .map(|(picture, found)| FaceInPicture {
                picture,
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

    pub(crate) fn liveness(&mut self, picture: &Picture, found: &Found) -> Result<f64, EngineError> {
        self.liveness
            .score(picture, &found.raw.bounding_box)
            .map_err(inference)
    }
}

/// A model that fails is nothing that the caller could mend.
pub(crate) fn inference(error: impl std::error::Error + Send + Sync + 'static) -> EngineError {
    EngineError::Inference(Box::new(error))
}

/// How a face is photographed; by the detector's own box, which says more of a face that is cut.
pub(crate) fn quality(picture: &Picture, found: Option<&Found>) -> Result<Option<FaceQuality>, EngineError> {
    found
        .map(|found| FaceQuality::measure(picture, &found.raw).map_err(inference))
        .transpose()
}

pub(crate) fn report(
    picture: &Picture,
    found: &[Found],
    listed: usize,
    quality: Option<FaceQuality>,
) -> PictureReport {
    PictureReport {
        size: Size {
            width: picture.width(),
            height: picture.height(),
        },
        faces: found.iter().take(listed).map(|found| found.shown).collect(),
        faces_found: found.len(),
        quality,
    }
}

/// Runs a stage and adds its time to `spent`.
pub(crate) fn timed<T>(spent: &mut Duration, stage: impl FnOnce() -> T) -> T {
    let begin = Instant::now();
    let result = stage();
    *spent += begin.elapsed();
    result
}
