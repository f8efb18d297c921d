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
    /// How far the image reaches beyond the face to either side, in units of the face's size, 0: not at all.
    pub surroundings: f64,
    /// By how much the face's colours differ from those of a grey image, whatever its tint, in units of their luma.
    pub colour: f64,
}

/// The consequence of a failed check. Never a reject: a poor image is no sign of an impostor, and its effect on the scores
/// shows in the scores.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
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

/// Declares checks and, for each, what configuration writes of it, in which every field may be left out.
macro_rules! checks {
    ($($(#[$doc:meta])* $check:ident $name:literal $written:ident {
        $($(#[$meaning:meta])* $bound:ident),+ $(,)?
    })+) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Serialize)]
        pub struct $check {
            $($(#[$meaning])* pub $bound: f64,)+
            /// The consequence.
            pub verdict: Finding,
        }

        #[derive(Default, Deserialize)]
        #[serde(deny_unknown_fields, default, rename = $name)]
        struct $written {
            $($bound: Option<f64>,)+
            verdict: Option<Finding>,
        }

        impl $written {
            fn or(&self, default: $check) -> $check {
                $check {
                    $($bound: self.$bound.unwrap_or(default.$bound),)+
                    verdict: self.verdict.unwrap_or(default.verdict),
                }
            }
        }
    )+};
}

/// The consequence of a selfie and a photo that are the same image. Unlike a poor image, that may be a sign of an impostor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SameImageFinding {
    /// None: the check is off.
    Off,
    /// A warning.
    #[default]
    Warning,
    /// A review by a human.
    Review,
    /// A reject.
    Reject,
}

impl SameImageFinding {
    fn verdict(self) -> Option<Verdict> {
        match self {
            Self::Off => None,
            Self::Warning => Some(Verdict::Warning),
            Self::Review => Some(Verdict::Review),
            Self::Reject => Some(Verdict::Reject),
        }
    }
}

/// The check of whether selfie and photo are the same image. Where that begins is no setting: see the embedding crate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SameImage {
    /// The consequence.
    pub verdict: SameImageFinding,
}

checks! {
    /// A check of a number that should not be too low.
    AtLeast "AtLeast" WrittenAtLeast {
        /// Lower numbers are a finding.
        below,
    }
    /// A check of a number that should not be too high.
    AtMost "AtMost" WrittenAtMost {
        /// Higher numbers are a finding.
        above,
    }
    /// A check of a head's pose, in degrees to either side.
    PoseWithin "PoseWithin" WrittenPose {
        /// A larger turn to the side is a finding.
        yaw_above,
        /// A larger nod is a finding.
        pitch_above,
        /// A larger turn in the plane of the image is a finding.
        roll_above,
    }
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
    /// Margin around the selfie's face in units of its size, 0..=10: what liveness needs. A review by default.
    pub no_surroundings: AtLeast,
    /// Colour of the selfie's face, 0..=10: liveness needs it.
    pub grey_selfie: AtLeast,
    /// Whether selfie and photo are the same image.
    pub same_image: SameImage,
}

impl Default for QualityChecks {
    fn default() -> Self {
        let mut checks = Self::all(Finding::Warning);
        checks.no_surroundings.verdict = Finding::Review;
        checks
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
        let same_image = SameImage {
            verdict: SameImageFinding::Off,
        };
        Self {
            same_image,
            ..Self::all(Finding::Off)
        }
    }

    /// Returns the default bounds with this verdict for each that has one.
    fn all(verdict: Finding) -> Self {
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
            no_surroundings: at_least(0.2),
            grey_selfie: at_least(0.02),
            same_image: SameImage::default(),
        }
    }

    /// Checks that every threshold is in its range.
    pub(crate) fn checked(mut self) -> Result<Self, QualityBoundError> {
        let bounds: [(&'static str, &mut f64, f64); 11] = [
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
            ("no_surroundings.below", &mut self.no_surroundings.below, 10.0),
            ("grey_selfie.below", &mut self.grey_selfie.below, 10.0),
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
        let distance = tenths(face.inter_eye_distance);
        let (sharpness, brightness) = (share(face.sharpness), share(face.brightness));
        let (glare, visible) = (share(face.overexposed_share), share(face.visible_share));
        let off_centre = match role {
            ImageRole::Selfie => share(face.off_centre),
            ImageRole::Photo => 0.0,
        };
        let checks = [
            (
                [Code::SmallFaceInSelfie, Code::SmallFaceInImage],
                "too small in",
                self.small_face
                    .failed(distance, format_args!("{distance} px between the eyes")),
            ),
            (
                [Code::TurnedFaceInSelfie, Code::TurnedFaceInImage],
                "turned away in",
                self.turned_face.failed(face),
            ),
            (
                [Code::BlurredFaceInSelfie, Code::BlurredFaceInImage],
                "blurred in",
                self.blurred_face
                    .failed(sharpness, format_args!("sharpness {sharpness}")),
            ),
            (
                [Code::UnderexposedFaceInSelfie, Code::UnderexposedFaceInImage],
                "underexposed in",
                self.underexposed_face
                    .failed(brightness, format_args!("brightness {brightness}")),
            ),
            (
                [Code::OverexposedFaceInSelfie, Code::OverexposedFaceInImage],
                "overexposed in",
                self.overexposed_face
                    .failed(glare, format_args!("{glare} of it too bright")),
            ),
            (
                [Code::CutFaceInSelfie, Code::CutFaceInImage],
                "cut by the border of",
                self.cut_face
                    .failed(visible, format_args!("{visible} of it visible")),
            ),
            (
                [Code::OffCentreFaceInSelfie; 2],
                "far from the middle of",
                self.off_centre_face
                    .failed(off_centre, format_args!("{off_centre} half sides away")),
            ),
        ];
        let details = checks.into_iter().filter_map(|([selfie, photo], what, failed)| {
            let code = if role == ImageRole::Selfie { selfie } else { photo };
            let text = format!("Face {what} the {role} image: {}", failed?);
            Some(line(code, self.verdict_of(code)?, text))
        });
        details.collect()
    }

    /// Returns the findings about a selfie that liveness cannot judge, in the order of the codes.
    pub(crate) fn unjudged(&self, face: &MeasuredFace) -> impl Iterator<Item = Detail> {
        let (margin, colour) = (share(face.surroundings), share(face.colour));
        let little = self
            .no_surroundings
            .failed(margin, format_args!("{margin} of the face's size"));
        let little = little.map(|numbers| {
            format!("Too little around the face in the selfie image to judge liveness: {numbers}")
        });
        let grey = (colour < self.grey_selfie.below).then(|| "The selfie image has no colour".to_owned());
        [(Code::NoSurroundingsInSelfie, little), (Code::GreySelfie, grey)]
            .into_iter()
            .filter_map(|(code, text)| Some(line(code, self.verdict_of(code)?, text?)))
    }

    /// Returns the finding about a selfie and a photo that are the same image.
    pub(crate) fn same_image_finding(&self) -> Option<Detail> {
        let text = "Selfie and photo are the same image".to_owned();
        Some(line(Code::SameImage, self.verdict_of(Code::SameImage)?, text))
    }

    /// Returns what a line of this code asks for; `None` where its check is off, and for codes that are not about quality.
    pub(crate) fn verdict_of(&self, code: Code) -> Option<Verdict> {
        let check = match code {
            Code::SmallFaceInSelfie | Code::SmallFaceInImage => self.small_face.verdict,
            Code::TurnedFaceInSelfie | Code::TurnedFaceInImage => self.turned_face.verdict,
            Code::BlurredFaceInSelfie | Code::BlurredFaceInImage => self.blurred_face.verdict,
            Code::UnderexposedFaceInSelfie | Code::UnderexposedFaceInImage => self.underexposed_face.verdict,
            Code::OverexposedFaceInSelfie | Code::OverexposedFaceInImage => self.overexposed_face.verdict,
            Code::CutFaceInSelfie | Code::CutFaceInImage => self.cut_face.verdict,
            Code::OffCentreFaceInSelfie => self.off_centre_face.verdict,
            Code::NoSurroundingsInSelfie => self.no_surroundings.verdict,
            Code::GreySelfie => self.grey_selfie.verdict,
            Code::SameImage => return self.same_image.verdict.verdict(),
            _ => Finding::Off,
        };
        check.verdict()
    }
}

/// The numbers that a failed check follows from.
type Failed = Option<String>;

impl AtLeast {
    fn failed(&self, actual: f64, shown: fmt::Arguments<'_>) -> Failed {
        (actual < self.below).then(|| format!("{shown} (actual) < {}", self.below))
    }
}

impl AtMost {
    fn failed(&self, actual: f64, shown: fmt::Arguments<'_>) -> Failed {
        (actual > self.above).then(|| format!("{shown} (actual) > {}", self.above))
    }
}

impl PoseWithin {
    /// Lists every angle that is too large, with its threshold.
    fn failed(&self, face: &MeasuredFace) -> Failed {
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
    /// Returns the first number that is infinite or NaN, and which it is.
    pub(crate) fn impossible(&self) -> Option<(&'static str, f64)> {
        [
            ("inter-eye distance", self.inter_eye_distance),
            ("yaw", self.yaw),
            ("pitch", self.pitch),
            ("roll", self.roll),
            ("sharpness", self.sharpness),
            ("brightness", self.brightness),
            ("overexposed share", self.overexposed_share),
            ("visible share", self.visible_share),
            ("distance from the middle", self.off_centre),
            ("margin around", self.surroundings),
            ("colour", self.colour),
        ]
        .into_iter()
        .find(|(_, value)| !value.is_finite())
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
    small_face: WrittenAtLeast,
    turned_face: WrittenPose,
    blurred_face: WrittenAtLeast,
    underexposed_face: WrittenAtLeast,
    overexposed_face: WrittenAtMost,
    cut_face: WrittenAtLeast,
    off_centre_face: WrittenAtMost,
    no_surroundings: WrittenAtLeast,
    grey_selfie: WrittenAtLeast,
    same_image: SameImage,
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
            no_surroundings: written.no_surroundings.or(default.no_surroundings),
            grey_selfie: written.grey_selfie.or(default.grey_selfie),
            same_image: written.same_image,
        }
        .checked()
    }
}
