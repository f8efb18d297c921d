//! The detectors of a pack.

use likeness_packs::{DetectorAdapter, DetectorModel, Pack};
use likeness_runtime::Runtime;

use crate::ensemble::{Candidates, DetectorEnsemble};
use crate::{DetectionError, FaceDetector, Scrfd, YuNet};

/// Opens all detectors of a pack: the one, or an ensemble of several, in which each makes every pass of a search.
///
/// Detections of different detectors whose boxes overlap by more than `nms_iou` are one face: box and landmarks are the
/// means weighted by weight times score, the score is `sum(weight * score) / sum(weight)` over all detectors, so a face
/// that only some see scores lower. `nms_iou` and `score_threshold` of the ensemble are the first detector's;
/// `score_threshold` here replaces the latter.
///
/// # Errors
/// A model that the pack does not have, that ONNX Runtime refuses, or that does not fit its adapter.
pub fn open(
    runtime: &Runtime,
    pack: &Pack,
    score_threshold: Option<f32>,
) -> Result<Box<dyn FaceDetector>, DetectionError> {
    match pack.manifest().detectors.as_slice() {
        [] => Err(DetectionError::NoModel),
        [only] => open_model(runtime, pack, only, score_threshold),
        several => {
            let members = several
                .iter()
                .map(|model| Ok((model.weight, candidates(runtime, pack, model)?)))
                .collect::<Result<Vec<_>, DetectionError>>()?;
            let (_, first) = members.first().ok_or(DetectionError::NoModel)?;
            let mut bounds = first.bounds();
            bounds.score = score_threshold.unwrap_or(bounds.score);
            Ok(Box::new(DetectorEnsemble::new(members, bounds)))
        }
    }
}

/// Opens one detector of a pack, whatever its family; `score_threshold` replaces the manifest's.
///
/// # Errors
/// As [`open`].
pub fn open_model(
    runtime: &Runtime,
    pack: &Pack,
    model: &DetectorModel,
    score_threshold: Option<f32>,
) -> Result<Box<dyn FaceDetector>, DetectionError> {
    let mut model = model.clone();
    model.score_threshold = score_threshold.unwrap_or(model.score_threshold);
    match model.adapter {
        DetectorAdapter::Yunet => Ok(Box::new(YuNet::open_model(runtime, pack, &model)?)),
        DetectorAdapter::Scrfd => Ok(Box::new(Scrfd::open_model(runtime, pack, &model)?)),
        other => Err(DetectionError::Unsupported(other)),
    }
}

fn candidates(
    runtime: &Runtime,
    pack: &Pack,
    model: &DetectorModel,
) -> Result<Box<dyn Candidates>, DetectionError> {
    match model.adapter {
        DetectorAdapter::Yunet => Ok(Box::new(YuNet::open_model(runtime, pack, model)?)),
        DetectorAdapter::Scrfd => Ok(Box::new(Scrfd::open_model(runtime, pack, model)?)),
        other => Err(DetectionError::Unsupported(other)),
    }
}
