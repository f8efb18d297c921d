//! Results of requests.

use std::time::Duration;

use likeness_decision::{Code, Decision, Detail, MeasuredFace, Score};
use likeness_embedding::{Embedding, FaceTemplate, Similarity};
use likeness_face::Face;
use likeness_imaging::Rotation;
use likeness_quality::FaceQuality;

/// The size of an upright image in pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Size {
    /// Pixels from left to right.
    pub width: u32,
    /// Pixels from top to bottom.
    pub height: u32,
}

/// The faces of one image.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct ImageReport {
    /// Size of the upright image.
    pub size: Size,
    /// The faces, largest first, boxes clipped to the image. For a photo that was not searched for several faces:
    /// only the primary one.
    pub faces: Vec<Face>,
    /// How many faces were found (at most [`max_faces`](crate::EngineBuilder::max_faces)), whether or not they are in `faces`.
    pub faces_found: usize,
    /// How the primary face was photographed; of a photo the face that was compared, else the primary one. `None` where
    /// there is no face.
    pub quality: Option<FaceQuality>,
    /// The turn that set the image upright where its primary face was not, as it is used for all but the coordinates here:
    /// those, and `size`, are of the image as it was sent, after EXIF. `None` where it was not turned.
    pub rotation: Option<Rotation>,
}

impl ImageReport {
    /// Returns [`rotation`](Self::rotation) as evidence of a decision: degrees clockwise, 0 for none.
    #[must_use]
    pub fn rotation_degrees(&self) -> u16 {
        self.rotation.map_or(0, Rotation::degrees)
    }

    /// Returns [`quality`](Self::quality) as evidence of a decision, to decide by a profile of one's own.
    #[must_use]
    pub fn measured_face(&self) -> Option<MeasuredFace> {
        self.quality.as_ref().map(|quality| MeasuredFace {
            inter_eye_distance: quality.inter_eye_distance,
            yaw: quality.pose.yaw,
            pitch: quality.pose.pitch,
            roll: quality.pose.roll,
            sharpness: quality.sharpness,
            brightness: quality.brightness,
            overexposed_share: quality.overexposed_share,
            visible_share: quality.visible_share,
            off_centre: quality.off_centre,
            surroundings: quality.surroundings,
            colour: quality.colour,
        })
    }
}

/// The result of [`Engine::verify`](crate::Engine::verify).
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Verification {
    /// The selfie; its first face is the primary one.
    pub selfie: ImageReport,
    /// The photo.
    pub photo: ImageReport,
    /// Calibrated match confidence; `None` where one of the images shows no face.
    pub face_match: Option<Score>,
    /// The similarity behind `face_match`; `None` where one of the images shows no face.
    pub similarity: Option<Similarity>,
    /// Index into the photo's faces of the one that `similarity` is about; `None` where there is none.
    pub matched_face: Option<usize>,
    /// Liveness score of the selfie's primary face; `None` where it shows none.
    pub liveness: Option<Score>,
    /// Whether selfie and photo are the same image: the same bytes or pixels, or copies of one photograph as far as their
    /// faces show.
    pub same_image: bool,
    /// The decision of the profile.
    pub decision: Decision,
    /// Time spent in each stage.
    pub timings: Timings,
}

/// The result of [`Engine::liveness`](crate::Engine::liveness).
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct LivenessCheck {
    /// The selfie; its first face is the primary one.
    pub selfie: ImageReport,
    /// Liveness score of the primary face; `None` where there is none.
    pub liveness: Option<Score>,
    /// The threshold that was applied, 0..=1.
    pub threshold: f64,
    /// Whether there is a face and its liveness reaches the threshold.
    pub live: bool,
    /// What the quality checks find about the selfie, which may say why it is not live; it does not change `live`.
    pub findings: Vec<Detail>,
    /// Time spent in each stage.
    pub timings: Timings,
}

impl LivenessCheck {
    /// Returns why the selfie is not live, if it is not, and what was found about it.
    pub fn codes(&self) -> impl Iterator<Item = Code> {
        let reason = match (self.live, self.liveness) {
            (true, _) => None,
            (false, Some(_)) => Some(Code::FailedSelfieLiveness),
            (false, None) => Some(Code::NoFaceInSelfie),
        };
        reason
            .into_iter()
            .chain(self.findings.iter().map(|finding| finding.code))
    }
}

/// A face with its embedding, from [`Engine::embed`](crate::Engine::embed).
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct EmbeddedFace {
    /// The face, its box clipped to the image.
    pub face: Face,
    /// Its embedding.
    pub embedding: Embedding,
}

/// The result of [`Engine::enrol`](crate::Engine::enrol).
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Enrolment {
    /// The photo; its first face is the primary one.
    pub photo: ImageReport,
    /// The template of the primary face; `None` where there is no face.
    pub template: Option<FaceTemplate>,
    /// The findings about the photo. A verification against the template does not repeat them.
    pub findings: Vec<Detail>,
}

/// The result of [`Engine::verify_against`](crate::Engine::verify_against).
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct TemplateVerification {
    /// The selfie; its first face is the primary one.
    pub selfie: ImageReport,
    /// Calibrated match confidence; `None` where the selfie shows no face.
    pub face_match: Option<Score>,
    /// The similarity behind `face_match`; `None` where the selfie shows no face.
    pub similarity: Option<Similarity>,
    /// Liveness score of the selfie's primary face; `None` where it shows none.
    pub liveness: Option<Score>,
    /// The decision of the profile, without findings about the photo.
    pub decision: Decision,
    /// Time spent in each stage.
    pub timings: Timings,
}

/// The result of [`Engine::compare`](crate::Engine::compare).
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct Comparison {
    /// The similarity, cosine and normalised.
    pub similarity: Similarity,
    /// Calibrated match confidence.
    pub confidence: Score,
}

/// Time spent in each stage of one request. Where both images were processed at the same time, both count, and the sum is
/// longer than the request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Timings {
    /// Waiting for a free worker.
    pub queue: Duration,
    /// Reading headers, decoding and turning upright.
    pub decode: Duration,
    /// Detecting faces.
    pub detect: Duration,
    /// Aligning and embedding.
    pub embed: Duration,
    /// Scoring liveness.
    pub liveness: Duration,
    /// Measuring quality.
    pub quality: Duration,
    /// Applying the profile's thresholds.
    pub decide: Duration,
}
