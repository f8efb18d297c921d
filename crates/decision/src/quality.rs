//! Quality checks: what a profile requires of how the faces were photographed.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::decision::{Code, Detail, ImageRole, Verdict, line};

/// How a face was photographed: the numbers of the quality crate that a decision may rest on.
///
/// A number is rounded to the decimals that the descriptions show (lengths and angles 1, shares 4) before it is
/// compared, so that every verdict follows from the numbers in its text.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct MeasuredFace {
    /// Distance between the eyes in pixels of the upright image.
    pub inter_eye_distance: f64,
    /// Turn about the vertical axis in degrees; the sign does not matter here.
    pub yaw: f64,
    /// Nod in degrees; the sign does not matter here.
    pub pitch: f64,
    /// Turn in the plane of the image in degrees; the sign does not matter here.
    pub roll: f64,
    /// Fine detail in units of coarser detail, 0: none.
    pub sharpness: f64,
    /// How bright the bright parts of the face are, 0..=1.
    pub brightness: f64,
    /// Share of the face that is too bright to show anything, 0..=1.
    pub overexposed_share: f64,
    /// Share of the face that lies in the image, 0..=1.
    pub visible_share: f64,
    /// Distance of the face's middle from the image's, in half sides: 0 in the middle, 1 on the border.
    pub off_centre: f64,
}

/// The consequence of a failed check. Never a reject: a poor image is no sign of an impostor, and its effect on the scores
/// shows in the scores.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Finding {
    /// None: the check is off.
    Off,
    /// A warning.
    #[default]
    Warning,
    /// A review by a human.
    Review,
}

impl Finding {
    fn verdict(self) -> Option<Verdict> {
        match self {
            Self::Off => None,
            Self::Warning => Some(Verdict::Warning),
            Self::Review => Some(Verdict::Review),
        }
    }
}

/// A check of a number that should not be too low.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct AtLeast {
    /// Lower numbers are a finding.
    pub below: f64,
    /// The consequence.
    pub verdict: Finding,
}

/// A check of a number that should not be too high.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct AtMost {
    /// Higher numbers are a finding.
    pub above: f64,
    /// The consequence.
    pub verdict: Finding,
}

/// A check of a head's pose, in degrees to either side.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct PoseWithin {
    /// A larger turn to the side is a finding.
    pub yaw_above: f64,
    /// A larger nod is a finding.
    pub pitch_above: f64,
    /// A larger turn in the plane of the image is a finding.
    pub roll_above: f64,
    /// The consequence.
    pub verdict: Finding,
}

/// The quality checks of a profile, the same for selfie and photo except where they say otherwise.
///
/// In configuration everything is optional, bounds and verdicts alike; what is left out is as in
/// [`QualityChecks::default`]:
///
/// ```toml
/// [quality]
/// small_face = { below = 60, verdict = "review" }
/// turned_face = { yaw_above = 30 }
/// off_centre_face = { verdict = "off" }
/// ```
///
/// Where the default bounds come from, and how many images of which kind they flag, is in `docs/accuracy.md`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Unchecked")]
pub struct QualityChecks {
    /// Pixels between the eyes, 0..=10,000.
    pub small_face: AtLeast,
    /// Degrees, 0..=180.
    pub turned_face: PoseWithin,
    /// Sharpness, 0..=10.
    pub blurred_face: AtLeast,
    /// Brightness of the face's bright parts, 0..=1.
    pub underexposed_face: AtLeast,
    /// Share of the face, 0..=1.
    pub overexposed_face: AtMost,
    /// Share of the face, 0..=1.
    pub cut_face: AtLeast,
    /// Half sides of the selfie, 0..=1. Photos are not checked: where a face is in them says nothing.
    pub off_centre_face: AtMost,
}

impl Default for QualityChecks {
    fn default() -> Self {
        let verdict = Finding::Warning;
        let at_least = |below| AtLeast { below, verdict };
        let at_most = |above| AtMost { above, verdict };
        Self {
            small_face: at_least(32.0),
            turned_face: PoseWithin {
                yaw_above: 40.0,
                pitch_above: 25.0,
                roll_above: 15.0,
                verdict,
            },
            blurred_face: at_least(0.5),
            underexposed_face: at_least(0.25),
            overexposed_face: at_most(0.2),
            cut_face: at_least(0.9),
            off_centre_face: at_most(0.65),
        }
    }
}

/// Why [`QualityChecks`] cannot be used: a bound is not a number in its range.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
#[error("quality.{key} is {value}, but must be a number from 0 to {highest}")]
pub struct QualityBoundError {
    /// Which bound, as configuration writes it: `small_face.below`.
    pub key: &'static str,
    /// What was written.
    pub value: f64,
    /// The highest that it may be.
    pub highest: f64,
}

impl QualityChecks {
    /// Returns checks that are all off.
    #[must_use]
    pub fn off() -> Self {
        let mut checks = Self::default();
        for verdict in [
            &mut checks.small_face.verdict,
            &mut checks.turned_face.verdict,
            &mut checks.blurred_face.verdict,
            &mut checks.underexposed_face.verdict,
            &mut checks.overexposed_face.verdict,
            &mut checks.cut_face.verdict,
            &mut checks.off_centre_face.verdict,
        ] {
            *verdict = Finding::Off;
        }
        checks
    }

    /// Checks that every threshold is in its range.
    pub(crate) fn checked(mut self) -> Result<Self, QualityBoundError> {
        let bounds: [(&'static str, &mut f64, f64); 9] = [
            ("small_face.below", &mut self.small_face.below, 10_000.0),
            ("turned_face.yaw_above", &mut self.turned_face.yaw_above, 180.0),
            (
                "turned_face.pitch_above",
                &mut self.turned_face.pitch_above,
                180.0,
            ),
            ("turned_face.roll_above", &mut self.turned_face.roll_above, 180.0),
            ("blurred_face.below", &mut self.blurred_face.below, 10.0),
            ("underexposed_face.below", &mut self.underexposed_face.below, 1.0),
            ("overexposed_face.above", &mut self.overexposed_face.above, 1.0),
            ("cut_face.below", &mut self.cut_face.below, 1.0),
            ("off_centre_face.above", &mut self.off_centre_face.above, 1.0),
        ];
        for (key, bound, highest) in bounds {
            let value = *bound;
            // NaN is in no range.
            if !(0.0..=highest).contains(&value) {
                return Err(QualityBoundError { key, value, highest });
            }
            // Turns -0.0, which is in the range, into 0.0: the texts would show it as `-0`.
            *bound += 0.0;
        }
        Ok(self)
    }

    /// Returns the findings about one image, in the order of the codes.
    pub(crate) fn findings(&self, role: ImageRole, face: &MeasuredFace) -> Vec<Detail> {
        let code = |selfie, photo| match role {
            ImageRole::Selfie => selfie,
            ImageRole::Photo => photo,
        };
        let Self {
            small_face: small,
            turned_face: turned,
            blurred_face: blurred,
            underexposed_face: under,
            overexposed_face: over,
            cut_face: cut,
            off_centre_face: off_centre,
        } = self;
        let (distance, sharpness) = (tenths(face.inter_eye_distance), share(face.sharpness));
        let (brightness, glare) = (share(face.brightness), share(face.overexposed_share));
        let (visible, off) = (share(face.visible_share), share(face.off_centre));
        let angles = turned.misses(face);
        // Where the face is in a photo says nothing.
        let is_off_centre = role == ImageRole::Selfie && off > off_centre.above;
        let checks = [
            (
                code(Code::SmallFaceInSelfie, Code::SmallFaceInImage),
                small.verdict,
                distance < small.below,
                format!(
                    "Face too small in the {role} image: {distance} px between the eyes (actual) < {}",
                    small.below
                ),
            ),
            (
                code(Code::TurnedFaceInSelfie, Code::TurnedFaceInImage),
                turned.verdict,
                !angles.is_empty(),
                format!("Face turned away in the {role} image: {angles}"),
            ),
            (
                code(Code::BlurredFaceInSelfie, Code::BlurredFaceInImage),
                blurred.verdict,
                sharpness < blurred.below,
                format!(
                    "Face blurred in the {role} image: sharpness {sharpness} (actual) < {}",
                    blurred.below
                ),
            ),
            (
                code(Code::UnderexposedFaceInSelfie, Code::UnderexposedFaceInImage),
                under.verdict,
                brightness < under.below,
                format!(
                    "Face underexposed in the {role} image: brightness {brightness} (actual) < {}",
                    under.below
                ),
            ),
            (
                code(Code::OverexposedFaceInSelfie, Code::OverexposedFaceInImage),
                over.verdict,
                glare > over.above,
                format!(
                    "Face overexposed in the {role} image: {glare} of it too bright (actual) > {}",
                    over.above
                ),
            ),
            (
                code(Code::CutFaceInSelfie, Code::CutFaceInImage),
                cut.verdict,
                visible < cut.below,
                format!(
                    "Face cut by the border of the {role} image: {visible} of it visible (actual) < {}",
                    cut.below
                ),
            ),
            (
                Code::OffCentreFaceInSelfie,
                off_centre.verdict,
                is_off_centre,
                format!(
                    "Face far from the middle of the {role} image: {off} half sides away (actual) > {}",
                    off_centre.above
                ),
            ),
        ];
        checks
            .into_iter()
            .filter(|(_, _, is_found, _)| *is_found)
            .filter_map(|(code, finding, _, text)| Some(line(code, finding.verdict()?, text)))
            .collect()
    }
}

impl PoseWithin {
    /// Returns every angle that is too large, with its threshold; empty where none is.
    fn misses(&self, face: &MeasuredFace) -> String {
        let angles: Vec<String> = [
            ("yaw", face.yaw, self.yaw_above),
            ("pitch", face.pitch, self.pitch_above),
            ("roll", face.roll, self.roll_above),
        ]
        .into_iter()
        .map(|(name, angle, above)| (name, tenths(angle.abs()), above))
        .filter(|(_, actual, above)| actual > above)
        .map(|(name, actual, above)| format!("{name} {actual} degrees (actual) > {above}"))
        .collect();
        angles.join(", ")
    }
}

impl MeasuredFace {
    /// Returns the first number that is infinite or NaN.
    pub(crate) fn impossible(&self) -> Option<(Quality, f64)> {
        [
            (Quality::InterEyeDistance, self.inter_eye_distance),
            (Quality::Yaw, self.yaw),
            (Quality::Pitch, self.pitch),
            (Quality::Roll, self.roll),
            (Quality::Sharpness, self.sharpness),
            (Quality::Brightness, self.brightness),
            (Quality::OverexposedShare, self.overexposed_share),
            (Quality::VisibleShare, self.visible_share),
            (Quality::OffCentre, self.off_centre),
        ]
        .into_iter()
        .find(|(_, value)| !value.is_finite())
    }
}

/// Which number of a [`MeasuredFace`] an error is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Quality {
    /// [`MeasuredFace::inter_eye_distance`].
    InterEyeDistance,
    /// [`MeasuredFace::yaw`].
    Yaw,
    /// [`MeasuredFace::pitch`].
    Pitch,
    /// [`MeasuredFace::roll`].
    Roll,
    /// [`MeasuredFace::sharpness`].
    Sharpness,
    /// [`MeasuredFace::brightness`].
    Brightness,
    /// [`MeasuredFace::overexposed_share`].
    OverexposedShare,
    /// [`MeasuredFace::visible_share`].
    VisibleShare,
    /// [`MeasuredFace::off_centre`].
    OffCentre,
}

impl fmt::Display for Quality {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::InterEyeDistance => "inter-eye distance",
            Self::Yaw => "yaw",
            Self::Pitch => "pitch",
            Self::Roll => "roll",
            Self::Sharpness => "sharpness",
            Self::Brightness => "brightness",
            Self::OverexposedShare => "overexposed share",
            Self::VisibleShare => "visible share",
            Self::OffCentre => "distance from the middle",
        })
    }
}

/// A length or an angle as the descriptions show it.
fn tenths(value: f64) -> f64 {
    rounded(value, 10.0)
}

/// A share as the descriptions show it: with 4 decimals, as scores are.
fn share(value: f64) -> f64 {
    rounded(value, 10_000.0)
}

/// The nearest multiple of `1 / steps`; dividing last makes it the double that prints so. Never -0.0.
fn rounded(value: f64, steps: f64) -> f64 {
    let near = (value * steps).round() / steps;
    // A number so large that it overflows has no decimals to lose.
    (if near.is_finite() { near } else { value }) + 0.0
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default, rename = "QualityChecks")]
struct Unchecked {
    small_face: PartAtLeast,
    turned_face: PartPose,
    blurred_face: PartAtLeast,
    underexposed_face: PartAtLeast,
    overexposed_face: PartAtMost,
    cut_face: PartAtLeast,
    off_centre_face: PartAtMost,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default, rename = "AtLeast")]
struct PartAtLeast {
    below: Option<f64>,
    verdict: Option<Finding>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default, rename = "AtMost")]
struct PartAtMost {
    above: Option<f64>,
    verdict: Option<Finding>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default, rename = "PoseWithin")]
struct PartPose {
    yaw_above: Option<f64>,
    pitch_above: Option<f64>,
    roll_above: Option<f64>,
    verdict: Option<Finding>,
}

impl PartAtLeast {
    fn or(&self, default: AtLeast) -> AtLeast {
        AtLeast {
            below: self.below.unwrap_or(default.below),
            verdict: self.verdict.unwrap_or(default.verdict),
        }
    }
}

impl PartAtMost {
    fn or(&self, default: AtMost) -> AtMost {
        AtMost {
            above: self.above.unwrap_or(default.above),
            verdict: self.verdict.unwrap_or(default.verdict),
        }
    }
}

impl PartPose {
    fn or(&self, default: PoseWithin) -> PoseWithin {
        PoseWithin {
            yaw_above: self.yaw_above.unwrap_or(default.yaw_above),
            pitch_above: self.pitch_above.unwrap_or(default.pitch_above),
            roll_above: self.roll_above.unwrap_or(default.roll_above),
            verdict: self.verdict.unwrap_or(default.verdict),
        }
    }
}

impl TryFrom<Unchecked> for QualityChecks {
    type Error = QualityBoundError;

    fn try_from(written: Unchecked) -> Result<Self, QualityBoundError> {
        let default = Self::default();
        Self {
            small_face: written.small_face.or(default.small_face),
            turned_face: written.turned_face.or(default.turned_face),
            blurred_face: written.blurred_face.or(default.blurred_face),
            underexposed_face: written.underexposed_face.or(default.underexposed_face),
            overexposed_face: written.overexposed_face.or(default.overexposed_face),
            cut_face: written.cut_face.or(default.cut_face),
            off_centre_face: written.off_centre_face.or(default.off_centre_face),
        }
        .checked()
    }
}
