//! The evidence, and the decision about it.

use crate::decision::{Code, Decision, Detail, ImageRole, Verdict, line};
use crate::profile::Profile;
use crate::quality::{MeasuredFace, QualityChecks};
use crate::score::Score;

/// A second face counts as another person, not as the background, from this part of the first one's area on. The HTTP
/// contract's number.
pub const MULTIPLE_FACES_AREA_RATIO: f32 = 0.25;

/// The measurements of a selfie and a photo.
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
    /// Degrees clockwise by which the selfie was turned to set it upright; 0 where it was not turned, which adds no line.
    pub selfie_rotation: u16,
    /// The same of the photo.
    pub photo_rotation: u16,
    /// Whether selfie and photo are the same image: the same bytes, or copies of one photograph.
    pub same_image: bool,
}

/// Which score an error is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, strum::Display)]
#[non_exhaustive]
pub enum Measurement {
    /// [`Evidence::face_match`].
    #[strum(to_string = "face match")]
    FaceMatch,
    /// [`Evidence::liveness`].
    #[strum(to_string = "liveness")]
    Liveness,
}

/// The evidence contradicts itself: a bug of the calling program. It is an error because a decision about the rest would let
/// a face pass that was never checked.
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
        /// Which number of [`MeasuredFace`], in words.
        quality: &'static str,
        /// What was given.
        value: f64,
    },
    /// The measured numbers are there, the face is not.
    #[error("the quality of a face in the {0} was measured although there is none")]
    QualityWithoutFace(ImageRole),
}

/// Decides about the evidence.
///
/// The lines stand in the order face match, liveness, no face in the selfie, no face in the photo, several faces in the
/// selfie, several faces in the photo, then what the profile's quality checks find in the selfie and in the photo, then
/// which of them was turned upright, then why liveness cannot judge the selfie, and whether both are the same image. A score
/// that could not be computed adds no line of its own beside the one that says why.
///
/// # Errors
/// [`DecisionError`] where the evidence contradicts itself.
pub fn decide(profile: &Profile, evidence: &Evidence<'_>) -> Result<Decision, DecisionError> {
    let selfie = Faces::of(ImageRole::Selfie, evidence.selfie_face_areas)?;
    let photo = Faces::of(ImageRole::Photo, evidence.photo_face_areas)?;
    let mut lines = Vec::new();
    for (measurement, score, is_computable) in [
        (
            Measurement::FaceMatch,
            evidence.face_match,
            selfie.any() && photo.any(),
        ),
        (Measurement::Liveness, evidence.liveness, selfie.any()),
    ] {
        match (score, is_computable) {
            (None, true) => return Err(DecisionError::MissingScore(measurement)),
            (Some(_), false) => return Err(DecisionError::ScoreWithoutFace(measurement)),
            _ => lines.extend(score.and_then(|score| failed(profile, measurement, score))),
        }
    }
    lines.extend(selfie.absent(Code::NoFaceInSelfie));
    lines.extend(photo.absent(Code::NoFaceInImage));
    lines.extend(selfie.crowd(Code::MultipleFacesInSelfie));
    if !evidence.photo_multiface {
        lines.extend(photo.crowd(Code::MultipleFacesInImage));
    }
    for (faces, quality) in [(selfie, evidence.selfie_quality), (photo, evidence.photo_quality)] {
        lines.extend(faces.quality(profile.quality(), quality.as_ref())?);
    }
    lines.extend(rotated(ImageRole::Selfie, evidence.selfie_rotation));
    lines.extend(rotated(ImageRole::Photo, evidence.photo_rotation));
    if let Some(face) = &evidence.selfie_quality {
        lines.extend(profile.quality().unjudged(face));
    }
    if evidence.same_image {
        lines.extend(profile.quality().same_image_finding());
    }
    Ok(Decision::from_details(lines))
}

/// Returns what is found about a selfie alone, for a check of its liveness: the lines that would stand in a decision about it, in
/// the same order. `rotation` is [`Evidence::selfie_rotation`].
///
/// # Errors
/// [`DecisionError::ImpossibleQuality`] for a number that is infinite or NaN.
pub fn selfie_findings(
    checks: &QualityChecks,
    face: &MeasuredFace,
    rotation: u16,
) -> Result<Vec<Detail>, DecisionError> {
    let face = possible(ImageRole::Selfie, face)?;
    let mut lines = checks.findings(ImageRole::Selfie, &face);
    lines.extend(rotated(ImageRole::Selfie, rotation));
    lines.extend(checks.unjudged(&face));
    Ok(lines)
}

/// Returns the findings about a photo alone, before a selfie is compared with it: the lines that a decision would have about the
/// photo, in the same order. `face_areas` and `rotation` are [`Evidence::photo_face_areas`] and [`Evidence::photo_rotation`].
///
/// # Errors
/// [`DecisionError`] where the measurements are impossible or contradict each other.
pub fn photo_findings(
    checks: &QualityChecks,
    face_areas: &[f32],
    face: Option<&MeasuredFace>,
    rotation: u16,
) -> Result<Vec<Detail>, DecisionError> {
    let faces = Faces::of(ImageRole::Photo, face_areas)?;
    let mut lines = Vec::from_iter(faces.absent(Code::NoFaceInImage));
    lines.extend(faces.crowd(Code::MultipleFacesInImage));
    lines.extend(faces.quality(checks, face)?);
    lines.extend(rotated(ImageRole::Photo, rotation));
    Ok(lines)
}

/// Returns a face whose numbers are all finite.
fn possible(role: ImageRole, face: &MeasuredFace) -> Result<MeasuredFace, DecisionError> {
    match face.impossible() {
        Some((quality, value)) => Err(DecisionError::ImpossibleQuality { role, quality, value }),
        None => Ok(*face),
    }
}

/// Returns the line about an image that was turned by so many degrees.
fn rotated(role: ImageRole, rotation: u16) -> Option<Detail> {
    let code = match role {
        ImageRole::Selfie => Code::RotatedImageInSelfie,
        ImageRole::Photo => Code::RotatedImageInImage,
    };
    let text = format!("The {role} image lies on its side: turned by {rotation} degrees");
    let verdict = fixed(code).filter(|_| rotation != 0);
    verdict.map(|verdict| line(code, verdict, text))
}

/// Returns the line about a score that is below a threshold of the profile.
pub(crate) fn failed(profile: &Profile, measurement: Measurement, score: Score) -> Option<Detail> {
    let (thresholds, code, what) = match measurement {
        Measurement::FaceMatch => (
            profile.face_match(),
            Code::FailedFaceMatch,
            "Faces do not match; threshold failed",
        ),
        Measurement::Liveness => (
            profile.liveness(),
            Code::FailedSelfieLiveness,
            "Selfie liveness threshold failed",
        ),
    };
    let text = format!("{what}: {}", thresholds.describe(score));
    Some(line(code, thresholds.verdict(score)?, text))
}

/// Returns what a line of this code asks for under every profile; `None` where that is the profile's.
pub(crate) fn fixed(code: Code) -> Option<Verdict> {
    match code {
        Code::NoFaceInSelfie | Code::NoFaceInImage => Some(Verdict::Reject),
        Code::MultipleFacesInSelfie => Some(Verdict::Review),
        Code::MultipleFacesInImage | Code::RotatedImageInSelfie | Code::RotatedImageInImage => {
            Some(Verdict::Warning)
        }
        _ => None,
    }
}

/// The faces in one image, as far as a decision needs them.
struct Faces {
    role: ImageRole,
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
            role,
            count: areas.len(),
            several,
        })
    }

    fn any(&self) -> bool {
        self.count > 0
    }

    /// Returns what the checks find about the primary face, if it was measured.
    fn quality(
        &self,
        checks: &QualityChecks,
        face: Option<&MeasuredFace>,
    ) -> Result<Vec<Detail>, DecisionError> {
        let Some(face) = face else {
            return Ok(Vec::new());
        };
        if !self.any() {
            return Err(DecisionError::QualityWithoutFace(self.role));
        }
        Ok(checks.findings(self.role, &possible(self.role, face)?))
    }

    /// Returns the line about an image without a face.
    fn absent(&self, code: Code) -> Option<Detail> {
        let text = format!("No face detected in the {} image", self.role);
        let verdict = fixed(code).filter(|_| !self.any())?;
        Some(line(code, verdict, text))
    }

    /// Returns the line about an image with several faces that count.
    fn crowd(&self, code: Code) -> Option<Detail> {
        let text = format!(
            "Multiple faces detected in the {} image: {}",
            self.role, self.count
        );
        let verdict = fixed(code).filter(|_| self.several)?;
        Some(line(code, verdict, text))
    }
}
