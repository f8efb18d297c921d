//! What is decided: lines with a code each, and the scores over them.

use strum::VariantArray;

use crate::Score;

/// The role of an image in a verification.
#[derive(Debug, Clone, Copy, PartialEq, Eq, strum::Display)]
#[strum(serialize_all = "lowercase")]
pub enum ImageRole {
    /// The image whose liveness is scored.
    Selfie,
    /// The image that the selfie is compared with.
    Photo,
}

/// What one line of a decision asks for, from the mildest to the gravest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, strum::Display, strum::IntoStaticStr)]
#[strum(serialize_all = "lowercase")]
pub enum Verdict {
    /// Worth knowing.
    Warning,
    /// A human should look.
    Review,
    /// Turn the attempt away.
    Reject,
}

impl Verdict {
    /// As the HTTP contract writes it: `warning`, `review`, `reject`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

/// What a whole decision comes to, from the best to the gravest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, strum::Display, strum::IntoStaticStr)]
#[strum(serialize_all = "lowercase")]
pub enum Outcome {
    /// No line at all.
    Pass,
    /// Warnings only.
    Warning,
    /// A review is the gravest line.
    Review,
    /// There is a reject.
    Reject,
}

impl Outcome {
    /// For logs and metrics: `pass`, `warning`, `review`, `reject`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

impl From<Verdict> for Outcome {
    fn from(verdict: Verdict) -> Self {
        match verdict {
            Verdict::Warning => Self::Warning,
            Verdict::Review => Self::Review,
            Verdict::Reject => Self::Reject,
        }
    }
}

/// Why a line is there. Kairos documents the first two, the HTTP contract the others. The verdict of a code about quality,
/// from `SmallFaceInSelfie` to `CutFaceInImage` and from `NoSurroundingsInSelfie` on, is the profile's.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, strum::Display, strum::IntoStaticStr, strum::VariantArray,
)]
#[strum(serialize_all = "SCREAMING_SNAKE_CASE")]
#[non_exhaustive]
pub enum Code {
    /// The match confidence is below a bound of the profile.
    FailedFaceMatch,
    /// The selfie's liveness is below a bound of the profile.
    FailedSelfieLiveness,
    /// No face in the selfie: reject.
    NoFaceInSelfie,
    /// Nothing to compare with in the photo: reject.
    NoFaceInImage,
    /// It is not clear whose selfie this is: review.
    MultipleFacesInSelfie,
    /// It is not clear whose photo this is: warning.
    MultipleFacesInImage,
    /// The selfie's eyes are nearer to each other than the profile's bound.
    SmallFaceInSelfie,
    /// The selfie's face looks elsewhere than at the camera.
    TurnedFaceInSelfie,
    /// The selfie's face is blurred, or was enlarged.
    BlurredFaceInSelfie,
    /// The selfie's face is too dark.
    UnderexposedFaceInSelfie,
    /// The selfie's face is too bright.
    OverexposedFaceInSelfie,
    /// The border of the image cuts the selfie's face.
    CutFaceInSelfie,
    /// The selfie's face is far from the middle of the image.
    OffCentreFaceInSelfie,
    /// The photo's eyes are nearer to each other than the profile's bound.
    SmallFaceInImage,
    /// The photo's face looks elsewhere than at the camera.
    TurnedFaceInImage,
    /// The photo's face is blurred, or was enlarged.
    BlurredFaceInImage,
    /// The photo's face is too dark.
    UnderexposedFaceInImage,
    /// The photo's face is too bright.
    OverexposedFaceInImage,
    /// The border of the image cuts the photo's face.
    CutFaceInImage,
    /// The selfie was not upright, and was turned: warning.
    RotatedImageInSelfie,
    /// The photo was not upright, and was turned: warning.
    RotatedImageInImage,
    /// The selfie shows too little around the face to judge its liveness.
    NoSurroundingsInSelfie,
    /// The selfie's face has no colour.
    GreySelfie,
    /// Selfie and photo are the same image, or copies of one.
    SameImage,
}

impl Code {
    /// Every code, in the order in which their lines stand.
    pub const ALL: &'static [Self] = Self::VARIANTS;

    /// As the HTTP contract writes it, `FAILED_FACE_MATCH` and so on.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

/// One line of a decision.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Detail {
    /// Why the line is there.
    pub code: Code,
    /// How sure the line is. Always 1 today, as in the documented sample: a bound is passed or it is not.
    pub confidence: Score,
    /// What the line asks for.
    pub verdict: Verdict,
    /// For a human, in English.
    pub description: String,
}

/// What a profile makes of the evidence.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Decision {
    /// The lines, in the order of [`Code::ALL`]; none where everything passes.
    pub details: Vec<Detail>,
    /// Highest confidence among the rejecting lines; 0 where there is none.
    pub reject_score: Score,
    /// Highest confidence among the lines that ask for a review; 0 where there is none.
    pub review_score: Score,
    /// Highest confidence among the warnings; 0 where there is none.
    pub warning_score: Score,
}

impl Decision {
    /// Adds up the lines.
    pub(crate) fn from_details(details: Vec<Detail>) -> Self {
        let highest = |verdict| {
            let lines = details.iter().filter(|line| line.verdict == verdict);
            lines.map(|line| line.confidence).max().unwrap_or(Score::ZERO)
        };
        Self {
            reject_score: highest(Verdict::Reject),
            review_score: highest(Verdict::Review),
            warning_score: highest(Verdict::Warning),
            details,
        }
    }

    /// The gravest verdict among the lines.
    #[must_use]
    pub fn outcome(&self) -> Outcome {
        self.details
            .iter()
            .map(|line| Outcome::from(line.verdict))
            .max()
            .unwrap_or(Outcome::Pass)
    }
}

/// A line that is sure of itself, as all are.
pub(crate) fn line(code: Code, verdict: Verdict, description: String) -> Detail {
    Detail {
        code,
        confidence: Score::ONE,
        verdict,
        description,
    }
}
