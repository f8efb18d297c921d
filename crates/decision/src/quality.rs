//! What a profile asks of how the faces were photographed, and what it says where they fall short.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::decision::line;
use crate::{Code, DecisionError, Detail, ImageRole, Verdict};

/// How the face that is judged was photographed: the numbers of the quality crate that a decision may rest on.
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

/// What comes of a check that is not passed. Never a reject: a poor image is no reason to think that somebody is not
/// who he is, and what it does to the scores, the scores say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Finding {
    /// Nothing: the check is not made.
    Off,
    /// A line that is worth knowing.
    #[default]
    Warning,
    /// A line that asks a human to look.
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
    /// What comes of it.
    pub verdict: Finding,
}

/// A check of a number that should not be too high.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct AtMost {
    /// Higher numbers are a finding.
    pub above: f64,
    /// What comes of it.
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
    /// What comes of it.
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
    /// Every check switched off.
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

    /// Makes sure that every bound is in its range.
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

    /// The lines about one image, in the order of the codes.
    pub(crate) fn findings(&self, role: ImageRole, face: &MeasuredFace) -> Vec<Detail> {
        let of = |selfie, image| match role {
            ImageRole::Selfie => selfie,
            ImageRole::Photo => image,
        };
        let mut lines = Vec::new();
        let mut add = |code, verdict: Finding, what: Option<String>| {
            if let (Some(what), Some(verdict)) = (what, verdict.verdict()) {
                lines.push(line(code, verdict, what));
            }
        };
        let check = &self.small_face;
        add(
            of(Code::SmallFaceInSelfie, Code::SmallFaceInImage),
            check.verdict,
            check.misses(tenths(face.inter_eye_distance)).map(|actual| {
                format!(
                    "Face too small in the {role} image: {actual} px between the eyes (actual) < {}",
                    check.below
                )
            }),
        );
        add(
            of(Code::TurnedFaceInSelfie, Code::TurnedFaceInImage),
            self.turned_face.verdict,
            self.turned_face
                .misses(face)
                .map(|angles| format!("Face turned away in the {role} image: {angles}")),
        );
        let check = &self.blurred_face;
        add(
            of(Code::BlurredFaceInSelfie, Code::BlurredFaceInImage),
            check.verdict,
            check.misses(share(face.sharpness)).map(|actual| {
                format!(
                    "Face blurred in the {role} image: sharpness {actual} (actual) < {}",
                    check.below
                )
            }),
        );
        let check = &self.underexposed_face;
        add(
            of(Code::UnderexposedFaceInSelfie, Code::UnderexposedFaceInImage),
            check.verdict,
            check.misses(share(face.brightness)).map(|actual| {
                format!(
                    "Face underexposed in the {role} image: brightness {actual} (actual) < {}",
                    check.below
                )
            }),
        );
        let check = &self.overexposed_face;
        add(
            of(Code::OverexposedFaceInSelfie, Code::OverexposedFaceInImage),
            check.verdict,
            check.misses(share(face.overexposed_share)).map(|actual| {
                format!(
                    "Face overexposed in the {role} image: {actual} of it too bright (actual) > {}",
                    check.above
                )
            }),
        );
        let check = &self.cut_face;
        add(
            of(Code::CutFaceInSelfie, Code::CutFaceInImage),
            check.verdict,
            check.misses(share(face.visible_share)).map(|actual| {
                format!(
                    "Face cut by the border of the {role} image: {actual} of it visible (actual) < {}",
                    check.below
                )
            }),
        );
        if role == ImageRole::Selfie {
            let check = &self.off_centre_face;
            add(
                Code::OffCentreFaceInSelfie,
                check.verdict,
                check.misses(share(face.off_centre)).map(|actual| {
                    format!(
                        "Face far from the middle of the {role} image: {actual} half sides away (actual) > {}",
                        check.above
                    )
                }),
            );
        }
        lines
    }
}

impl AtLeast {
    fn misses(&self, actual: f64) -> Option<f64> {
        (actual < self.below).then_some(actual)
    }
}

impl AtMost {
    fn misses(&self, actual: f64) -> Option<f64> {
        (actual > self.above).then_some(actual)
    }
}

impl PoseWithin {
    /// Every angle that is too large, with its bound.
    fn misses(&self, face: &MeasuredFace) -> Option<String> {
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
        (!angles.is_empty()).then(|| angles.join(", "))
    }
}

impl MeasuredFace {
    /// Makes sure that every number of it is one.
    pub(crate) fn checked(&self, role: ImageRole) -> Result<(), DecisionError> {
        for (quality, value) in [
            (Quality::InterEyeDistance, self.inter_eye_distance),
            (Quality::Yaw, self.yaw),
            (Quality::Pitch, self.pitch),
            (Quality::Roll, self.roll),
            (Quality::Sharpness, self.sharpness),
            (Quality::Brightness, self.brightness),
            (Quality::OverexposedShare, self.overexposed_share),
            (Quality::VisibleShare, self.visible_share),
            (Quality::OffCentre, self.off_centre),
        ] {
            if !value.is_finite() {
                return Err(DecisionError::ImpossibleQuality { role, quality, value });
            }
        }
        Ok(())
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
