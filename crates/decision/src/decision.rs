//! What is decided: lines with a code each, and the scores over them.

use std::fmt;

use crate::Score;

/// What one line of a decision asks for, from the mildest to the gravest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
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
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Warning => "warning",
            Self::Review => "review",
            Self::Reject => "reject",
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What a whole decision comes to, from the best to the gravest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
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
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Warning => "warning",
            Self::Review => "review",
            Self::Reject => "reject",
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
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

/// Why a line is there. The first two are documented by Kairos, the others are the HTTP contract's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Code {
    /// The match confidence is below a bound of the profile.
    FailedFaceMatch,
    /// The selfie's liveness is below a bound of the profile.
    FailedSelfieLiveness,
    /// Nothing to judge in the selfie: reject.
    NoFaceInSelfie,
    /// Nothing to compare with in the photo: reject.
    NoFaceInImage,
    /// It is not clear whose selfie this is: review.
    MultipleFacesInSelfie,
    /// It is not clear whose photo this is: warning.
    MultipleFacesInImage,
    /// The selfie's eyes are nearer to each other than the profile's bound: as the profile says.
    SmallFaceInSelfie,
    /// The selfie's face looks elsewhere than at the camera: as the profile says.
    TurnedFaceInSelfie,
    /// The selfie's face is blurred, or was enlarged: as the profile says.
    BlurredFaceInSelfie,
    /// The selfie's face is too dark: as the profile says.
    UnderexposedFaceInSelfie,
    /// The selfie's face is too bright: as the profile says.
    OverexposedFaceInSelfie,
    /// The border of the image cuts the selfie's face: as the profile says.
    CutFaceInSelfie,
    /// The selfie's face is far from the middle of the image: as the profile says.
    OffCentreFaceInSelfie,
    /// The photo's eyes are nearer to each other than the profile's bound: as the profile says.
    SmallFaceInImage,
    /// The photo's face looks elsewhere than at the camera: as the profile says.
    TurnedFaceInImage,
    /// The photo's face is blurred, or was enlarged: as the profile says.
    BlurredFaceInImage,
    /// The photo's face is too dark: as the profile says.
    UnderexposedFaceInImage,
    /// The photo's face is too bright: as the profile says.
    OverexposedFaceInImage,
    /// The border of the image cuts the photo's face: as the profile says.
    CutFaceInImage,
}

impl Code {
    /// Every code, in the order in which their lines stand.
    pub const ALL: &'static [Self] = &[
        Self::FailedFaceMatch,
        Self::FailedSelfieLiveness,
        Self::NoFaceInSelfie,
        Self::NoFaceInImage,
        Self::MultipleFacesInSelfie,
        Self::MultipleFacesInImage,
        Self::SmallFaceInSelfie,
        Self::TurnedFaceInSelfie,
        Self::BlurredFaceInSelfie,
        Self::UnderexposedFaceInSelfie,
        Self::OverexposedFaceInSelfie,
        Self::CutFaceInSelfie,
        Self::OffCentreFaceInSelfie,
        Self::SmallFaceInImage,
        Self::TurnedFaceInImage,
        Self::BlurredFaceInImage,
        Self::UnderexposedFaceInImage,
        Self::OverexposedFaceInImage,
        Self::CutFaceInImage,
    ];

    /// As the HTTP contract writes it, `FAILED_FACE_MATCH` and so on.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::FailedFaceMatch => "FAILED_FACE_MATCH",
            Self::FailedSelfieLiveness => "FAILED_SELFIE_LIVENESS",
            Self::NoFaceInSelfie => "NO_FACE_IN_SELFIE",
            Self::NoFaceInImage => "NO_FACE_IN_IMAGE",
            Self::MultipleFacesInSelfie => "MULTIPLE_FACES_IN_SELFIE",
            Self::MultipleFacesInImage => "MULTIPLE_FACES_IN_IMAGE",
            Self::SmallFaceInSelfie => "SMALL_FACE_IN_SELFIE",
            Self::TurnedFaceInSelfie => "TURNED_FACE_IN_SELFIE",
            Self::BlurredFaceInSelfie => "BLURRED_FACE_IN_SELFIE",
            Self::UnderexposedFaceInSelfie => "UNDEREXPOSED_FACE_IN_SELFIE",
            Self::OverexposedFaceInSelfie => "OVEREXPOSED_FACE_IN_SELFIE",
            Self::CutFaceInSelfie => "CUT_FACE_IN_SELFIE",
            Self::OffCentreFaceInSelfie => "OFF_CENTRE_FACE_IN_SELFIE",
            Self::SmallFaceInImage => "SMALL_FACE_IN_IMAGE",
            Self::TurnedFaceInImage => "TURNED_FACE_IN_IMAGE",
            Self::BlurredFaceInImage => "BLURRED_FACE_IN_IMAGE",
            Self::UnderexposedFaceInImage => "UNDEREXPOSED_FACE_IN_IMAGE",
            Self::OverexposedFaceInImage => "OVEREXPOSED_FACE_IN_IMAGE",
            Self::CutFaceInImage => "CUT_FACE_IN_IMAGE",
        }
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One line of a decision.
#[derive(Debug, Clone, PartialEq, Eq)]
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
