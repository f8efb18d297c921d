//! What the engine answers.

use std::time::Duration;

use likeness_decision::{Decision, MeasuredFace, Score};
use likeness_detection::Face;
use likeness_embedding::Embedding;
use likeness_quality::FaceQuality;

/// The size of an upright image in pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Size {
    /// Pixels from left to right.
    pub width: u32,
    /// Pixels from top to bottom.
    pub height: u32,
}

/// What was found in one image.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct ImageReport {
    /// Size of the upright image.
    pub size: Size,
    /// The faces, largest first, boxes clipped to the image. For a photo that was not searched for several faces:
    /// only the one that was judged.
    pub faces: Vec<Face>,
    /// How many faces were found (at most as many as the engine looks at), whether or not they are listed in `faces`.
    pub faces_found: usize,
    /// How the face that was judged is photographed: the selfie's first; of a photo the one that was compared, else its
    /// first. `None` where there is no face.
    pub quality: Option<FaceQuality>,
}

impl ImageReport {
    /// The numbers of [`quality`](Self::quality) as a decision takes them, for those who judge by a profile of their own.
    #[must_use]
    pub fn measured_face(&self) -> Option<MeasuredFace> {
        self.quality.as_ref().map(measured_face)
    }
}

/// What a decision may rest on of how a face is photographed.
pub(crate) fn measured_face(quality: &FaceQuality) -> MeasuredFace {
    MeasuredFace {
        inter_eye_distance: quality.inter_eye_distance,
        yaw: quality.pose.yaw,
        pitch: quality.pose.pitch,
        roll: quality.pose.roll,
        sharpness: quality.sharpness,
        brightness: quality.brightness,
        overexposed_share: quality.overexposed_share,
        visible_share: quality.visible_share,
        off_centre: quality.off_centre,
    }
}

/// The answer to [`Engine::verify`](crate::Engine::verify).
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Verification {
    /// The selfie: its first face is the one that was judged.
    pub selfie: ImageReport,
    /// The photo that the selfie was compared with.
    pub photo: ImageReport,
    /// Calibrated match confidence; 0 where one of the images shows no face.
    pub face_match: Score,
    /// The cosine similarity behind `face_match`, -1..=1; `None` where one of the images shows no face.
    pub similarity: Option<f32>,
    /// Index into the photo's faces of the one that `similarity` is about; `None` where there is none.
    pub matched_face: Option<usize>,
    /// Liveness of the selfie's first face; 0 where it shows none.
    pub liveness: Score,
    /// What the profile makes of it.
    pub decision: Decision,
    /// Where the time went.
    pub timings: Timings,
}

/// The answer to [`Engine::liveness`](crate::Engine::liveness).
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct LivenessCheck {
    /// The selfie: its first face is the one that was judged.
    pub selfie: ImageReport,
    /// Liveness of the first face; 0 where there is none.
    pub liveness: Score,
    /// The threshold that was applied, 0..=1.
    pub threshold: f64,
    /// Whether there is a face and its liveness reaches the threshold.
    pub live: bool,
    /// Where the time went.
    pub timings: Timings,
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

/// The answer to [`Engine::compare`](crate::Engine::compare).
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct Comparison {
    /// Cosine similarity, -1..=1.
    pub similarity: f32,
    /// Calibrated match confidence.
    pub confidence: Score,
}

/// Time that was spent in each stage of one call. Where both images were looked at side by side, both count, and the sum
/// is longer than the call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Timings {
    /// Waiting for a free worker.
    pub queue: Duration,
    /// Reading headers, decoding and turning upright.
    pub decode: Duration,
    /// Finding faces.
    pub detect: Duration,
    /// Aligning and embedding.
    pub embed: Duration,
    /// Scoring liveness.
    pub liveness: Duration,
    /// Measuring how the faces are photographed.
    pub quality: Duration,
    /// Applying the profile's thresholds.
    pub decide: Duration,
}

impl std::ops::AddAssign for Timings {
    fn add_assign(&mut self, other: Self) {
        self.queue += other.queue;
        self.decode += other.decode;
        self.detect += other.detect;
        self.embed += other.embed;
        self.liveness += other.liveness;
        self.quality += other.quality;
        self.decide += other.decide;
    }
}
