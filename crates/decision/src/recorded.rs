//! Decisions that were recorded, under other thresholds.

use crate::decision::{Code, Outcome};
use crate::evidence::{Measurement, failed, fixed};
use crate::{Profile, Score};

/// A decision as far as its record tells: the scores and the codes, not the measurements behind the codes.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct RecordedDecision {
    face_match: Option<Score>,
    liveness: Option<Score>,
    /// All but those of the scores.
    codes: Vec<Code>,
}

impl RecordedDecision {
    /// Returns the decision of these scores and codes. Records show a score that could not be computed as 0: the codes say
    /// whether there was a face.
    #[must_use]
    pub fn new(face_match: Score, liveness: Score, codes: &[Code]) -> Self {
        let has_selfie = !codes.contains(&Code::NoFaceInSelfie);
        let has_photo = !codes.contains(&Code::NoFaceInImage);
        let is_score = |code: &&Code| matches!(code, Code::FailedFaceMatch | Code::FailedSelfieLiveness);
        Self {
            face_match: Some(face_match).filter(|_| has_selfie && has_photo),
            liveness: Some(liveness).filter(|_| has_selfie),
            codes: codes.iter().filter(|code| !is_score(code)).copied().collect(),
        }
    }

    /// Returns the outcome of the same verification under this profile's thresholds: the scores are decided anew, and each other
    /// code has the verdict that the profile gives it. Under the quality thresholds with which the codes were recorded, that is
    /// the outcome of [`decide`](crate::decide).
    #[must_use]
    pub fn outcome(&self, profile: &Profile) -> Outcome {
        let scores = [
            (Measurement::FaceMatch, self.face_match),
            (Measurement::Liveness, self.liveness),
        ];
        let scores = scores
            .into_iter()
            .filter_map(|(measurement, score)| Some(failed(profile, measurement, score?)?.verdict));
        let verdict = |&code: &Code| fixed(code).or_else(|| profile.quality().verdict_of(code));
        let verdicts = scores.chain(self.codes.iter().filter_map(verdict));
        verdicts.max().map_or(Outcome::Pass, Outcome::from)
    }
}
