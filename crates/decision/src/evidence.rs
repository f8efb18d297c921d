//! What a decision rests on, and the decision.

use std::fmt;

use crate::decision::line;
use crate::{Code, Decision, Detail, MeasuredFace, Profile, Quality, Score, Thresholds, Verdict};

/// A second face counts as another person's, rather than as somebody in the background, when its area is at least this
/// part of the first one's. The HTTP contract's number.
pub const MULTIPLE_FACES_AREA_RATIO: f32 = 0.25;

/// What was measured on a selfie and the photo that it is compared with.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Evidence<'a> {
    /// Areas of the faces in the selfie in square pixels, largest first; empty: no face.
    pub selfie_face_areas: &'a [f32],
    /// Areas of all faces found in the photo in square pixels, largest first; empty: no face.
    pub photo_face_areas: &'a [f32],
    /// Whether the photo may show several people, the best of whom is compared.
    pub photo_multiface: bool,
    /// Calibrated match confidence; `None` where it could not be computed because an image shows no face.
    pub face_match: Option<Score>,
    /// Liveness of the selfie's first face; `None` where it shows none.
    pub liveness: Option<Score>,
    /// How the selfie's first face was photographed; `None` where that was not measured, which adds no line.
    pub selfie_quality: Option<MeasuredFace>,
    /// How the face of the photo that was compared, else its first, was photographed; `None` where that was not
    /// measured, which adds no line.
    pub photo_quality: Option<MeasuredFace>,
}

/// Which image an error is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ImageRole {
    /// The image that is judged for liveness.
    Selfie,
    /// The image that the selfie is compared with.
    Photo,
}

impl fmt::Display for ImageRole {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Selfie => "selfie",
            Self::Photo => "photo",
        })
    }
}

/// Which score an error is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Measurement {
    /// [`Evidence::face_match`].
    FaceMatch,
    /// [`Evidence::liveness`].
    Liveness,
}

impl fmt::Display for Measurement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::FaceMatch => "face match",
            Self::Liveness => "liveness",
        })
    }
}

/// The evidence contradicts itself: a bug in whoever gathered it. It is an error because to judge what is left would
/// let a face pass that was never checked.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum DecisionError {
    /// The faces are there, the score is not.
    #[error("there is no {0} score although there are faces to compute it from")]
    MissingScore(Measurement),
    /// The score is there, a face that it would need is not.
    #[error("there is a {0} score although there is no face to compute it from")]
    ScoreWithoutFace(Measurement),
    /// An area is negative, infinite or not a number.
    #[error("face {index} of the {role} has an area of {area} square pixels")]
    ImpossibleArea {
        /// In which image.
        role: ImageRole,
        /// Which face, counted from 0.
        index: usize,
        /// What was given, in square pixels.
        area: f32,
    },
    /// The first face would not be the one that was judged.
    #[error("the faces of the {0} are not in order, largest first")]
    NotLargestFirst(ImageRole),
    /// A measured number is infinite or not a number.
    #[error("the {quality} of the face in the {role} is {value}")]
    ImpossibleQuality {
        /// In which image.
        role: ImageRole,
        /// Which number.
        quality: Quality,
        /// What was given.
        value: f64,
    },
    /// The measured numbers are there, the face is not.
    #[error("the quality of a face in the {0} was measured although there is none")]
    QualityWithoutFace(ImageRole),
}

/// Judges the evidence.
///
/// The lines stand in the order face match, liveness, no face in the selfie, no face in the photo, several faces in the
/// selfie, several faces in the photo, then what the profile's quality checks find in the selfie and in the photo. A
/// score that could not be computed adds no line of its own beside the one that says why.
///
/// # Errors
/// [`DecisionError`] where the evidence contradicts itself.
pub fn decide(profile: &Profile, evidence: &Evidence<'_>) -> Result<Decision, DecisionError> {
    let selfie = Faces::of(ImageRole::Selfie, evidence.selfie_face_areas)?;
    let photo = Faces::of(ImageRole::Photo, evidence.photo_face_areas)?;
    let face_match = expect_score(
        Measurement::FaceMatch,
        evidence.face_match,
        selfie.any() && photo.any(),
    )?;
    let liveness = expect_score(Measurement::Liveness, evidence.liveness, selfie.any())?;

    let lines = [
        face_match.and_then(|score| {
            let code = Code::FailedFaceMatch;
            failed(
                code,
                "Faces do not match; threshold failed",
                profile.face_match(),
                score,
            )
        }),
        liveness.and_then(|score| {
            let code = Code::FailedSelfieLiveness;
            failed(
                code,
                "Selfie liveness threshold failed",
                profile.liveness(),
                score,
            )
        }),
        (!selfie.any()).then(|| {
            let text = "No face detected in the selfie image".to_owned();
            line(Code::NoFaceInSelfie, Verdict::Reject, text)
        }),
        (!photo.any()).then(|| {
            let text = "No face detected in the photo image".to_owned();
            line(Code::NoFaceInImage, Verdict::Reject, text)
        }),
        selfie.several.then(|| {
            let text = format!("Multiple faces detected in the selfie image: {}", selfie.count);
            line(Code::MultipleFacesInSelfie, Verdict::Review, text)
        }),
        (photo.several && !evidence.photo_multiface).then(|| {
            let text = format!("Multiple faces detected in the photo image: {}", photo.count);
            line(Code::MultipleFacesInImage, Verdict::Warning, text)
        }),
    ];
    let mut lines: Vec<Detail> = lines.into_iter().flatten().collect();
    for (role, faces, quality) in [
        (ImageRole::Selfie, selfie, evidence.selfie_quality),
        (ImageRole::Photo, photo, evidence.photo_quality),
    ] {
        if let Some(face) = quality {
            if !faces.any() {
                return Err(DecisionError::QualityWithoutFace(role));
            }
            face.checked(role)?;
            lines.extend(profile.quality().findings(role, &face));
        }
    }
    Ok(Decision::from_details(lines))
}

/// What a decision needs to know of the faces in one image.
struct Faces {
    count: usize,
    /// Whether the second face is large enough to count.
    several: bool,
}

impl Faces {
    fn of(role: ImageRole, areas: &[f32]) -> Result<Self, DecisionError> {
        for (index, &area) in areas.iter().enumerate() {
            if !area.is_finite() || area < 0.0 {
                return Err(DecisionError::ImpossibleArea { role, index, area });
            }
        }
        if !areas.is_sorted_by(|before, after| before >= after) {
            return Err(DecisionError::NotLargestFirst(role));
        }
        let several = matches!(areas, [first, second, ..] if *second >= *first * MULTIPLE_FACES_AREA_RATIO);
        Ok(Self {
            count: areas.len(),
            several,
        })
    }

    fn any(&self) -> bool {
        self.count > 0
    }
}

/// The score, after making sure that it is there exactly when it can be.
fn expect_score(
    measurement: Measurement,
    score: Option<Score>,
    computable: bool,
) -> Result<Option<Score>, DecisionError> {
    match (score, computable) {
        (None, true) => Err(DecisionError::MissingScore(measurement)),
        (Some(_), false) => Err(DecisionError::ScoreWithoutFace(measurement)),
        _ => Ok(score),
    }
}

fn failed(code: Code, what: &str, thresholds: &Thresholds, score: Score) -> Option<Detail> {
    let verdict = thresholds.verdict(score)?;
    Some(line(
        code,
        verdict,
        format!("{what}: {}", thresholds.describe(score)),
    ))
}
