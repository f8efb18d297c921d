//! How strict the checks are.

use serde::{Deserialize, Serialize};

use crate::{QualityBoundError, QualityChecks, Thresholds};

/// How long the name of a profile may be, in bytes. It travels in form fields, logs and metrics.
pub const MAX_NAME_LENGTH: usize = 64;

/// The bounds of all checks, under the name that requests use.
///
/// In configuration, with all fields required except `quality` and what is in it (see [`QualityChecks`]):
///
/// ```toml
/// name = "onboarding"
/// face_match = { reject_below = 0.45, review_below = 0.6 }
/// liveness = { reject_below = 0.5, review_below = 0.7 }
/// quality = { small_face = { below = 60, verdict = "review" } }
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Unchecked")]
pub struct Profile {
    name: String,
    face_match: Thresholds,
    liveness: Thresholds,
    quality: QualityChecks,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename = "Profile")]
struct Unchecked {
    name: String,
    face_match: Thresholds,
    liveness: Thresholds,
    #[serde(default)]
    quality: QualityChecks,
}

impl TryFrom<Unchecked> for Profile {
    type Error = ProfileError;

    fn try_from(profile: Unchecked) -> Result<Self, ProfileError> {
        Self::new(profile.name, profile.face_match, profile.liveness)?.with_quality(profile.quality)
    }
}

impl Profile {
    /// Names and thresholds, of the face match and of liveness, of the built-in profiles, from the most permissive to the
    /// strictest. `optimal-v0` is the documented sample's. Of the others, the Kairos documentation states the reject
    /// threshold of the face match of `permissive-v0`; the rest is the HTTP contract's. `strict-v0` rejects what
    /// `optimal-v0` reviews.
    const BUILTIN: [(&'static str, Thresholds, Thresholds); 3] = [
        (
            "permissive-v0",
            Thresholds::builtin(0.30, 0.40),
            Thresholds::builtin(0.30, 0.50),
        ),
        (
            "optimal-v0",
            Thresholds::builtin(0.40, 0.56),
            Thresholds::builtin(0.40, 0.60),
        ),
        (
            "strict-v0",
            Thresholds::builtin(0.56, 0.70),
            Thresholds::builtin(0.60, 0.80),
        ),
    ];

    /// The names of the built-in profiles, from the most permissive to the strictest. The Kairos documentation names
    /// them; `optimal-v0` is its default.
    pub const BUILTIN_NAMES: [&'static str; 3] = [Self::BUILTIN[0].0, Self::BUILTIN[1].0, Self::BUILTIN[2].0];

    /// A profile of the operator's own, with the default quality checks.
    ///
    /// # Errors
    /// [`ProfileError::Name`] where the name is empty, longer than [`MAX_NAME_LENGTH`] or has characters other than
    /// ASCII letters, digits, `-`, `_` and `.`.
    pub fn new(
        name: impl Into<String>,
        face_match: Thresholds,
        liveness: Thresholds,
    ) -> Result<Self, ProfileError> {
        let name = name.into();
        let usable = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
        if name.is_empty() || name.len() > MAX_NAME_LENGTH || !name.bytes().all(usable) {
            return Err(ProfileError::Name(name));
        }
        Ok(Self {
            name,
            face_match,
            liveness,
            quality: QualityChecks::default(),
        })
    }

    /// The profile with these quality checks.
    ///
    /// # Errors
    /// [`ProfileError::Quality`] where a bound is not in its range.
    pub fn with_quality(mut self, quality: QualityChecks) -> Result<Self, ProfileError> {
        self.quality = quality.checked()?;
        Ok(self)
    }

    /// `optimal-v0`, the default: face match 0.40 / 0.56, liveness 0.40 / 0.60.
    #[must_use]
    pub fn optimal_v0() -> Self {
        Self::of_builtin(&Self::BUILTIN[1])
    }

    /// The built-in profile of this name, if there is one. Names are compared as they are written.
    #[must_use]
    pub fn builtin(name: &str) -> Option<Self> {
        Self::BUILTIN
            .iter()
            .find(|row| row.0 == name)
            .map(Self::of_builtin)
    }

    fn of_builtin(&(name, face_match, liveness): &(&str, Thresholds, Thresholds)) -> Self {
        Self {
            name: name.to_owned(),
            face_match,
            liveness,
            quality: QualityChecks::default(),
        }
    }

    /// The name that requests use.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Bounds of the calibrated match confidence.
    #[must_use]
    pub fn face_match(&self) -> &Thresholds {
        &self.face_match
    }

    /// Bounds of the selfie's liveness.
    #[must_use]
    pub fn liveness(&self) -> &Thresholds {
        &self.liveness
    }

    /// What is asked of how the faces were photographed.
    #[must_use]
    pub fn quality(&self) -> &QualityChecks {
        &self.quality
    }
}

impl Default for Profile {
    /// [`Profile::optimal_v0`].
    fn default() -> Self {
        Self::optimal_v0()
    }
}

/// Why a [`Profile`] cannot be made.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ProfileError {
    /// The name cannot be used.
    #[error(
        "the profile name {0:?} cannot be used: it must have 1 to {MAX_NAME_LENGTH} ASCII letters, digits, '-', '_' or '.'"
    )]
    Name(String),
    /// A bound of the quality checks cannot be used.
    #[error(transparent)]
    Quality(#[from] QualityBoundError),
}
