//! How strict the checks are.

use serde::{Deserialize, Serialize};

use crate::{QualityBoundError, QualityChecks, Thresholds};

/// How long the name of a profile may be, in bytes. It travels in form fields, logs and metrics.
pub const MAX_NAME_LENGTH: usize = 64;

/// The bounds of all checks, under a name that callers ask for.
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
    /// The names of the built-in profiles, from the most permissive to the strictest. The Kairos documentation names
    /// them; `optimal-v0` is its default.
    pub const BUILTIN_NAMES: [&'static str; 3] = ["permissive-v0", "optimal-v0", "strict-v0"];

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

    /// `permissive-v0`: face match 0.30 / 0.40, liveness 0.30 / 0.50. The Kairos documentation states the reject bound
    /// of the face match; the others are the HTTP contract's.
    #[must_use]
    pub fn permissive_v0() -> Self {
        Self {
            name: Self::BUILTIN_NAMES[0].to_owned(),
            face_match: Thresholds::builtin(0.30, 0.40),
            liveness: Thresholds::builtin(0.30, 0.50),
            quality: QualityChecks::default(),
        }
    }

    /// `optimal-v0`, the default: face match 0.40 / 0.56, liveness 0.40 / 0.60, all from the documented sample.
    #[must_use]
    pub fn optimal_v0() -> Self {
        Self {
            name: Self::BUILTIN_NAMES[1].to_owned(),
            face_match: Thresholds::builtin(0.40, 0.56),
            liveness: Thresholds::builtin(0.40, 0.60),
            quality: QualityChecks::default(),
        }
    }

    /// `strict-v0`: face match 0.56 / 0.70, liveness 0.60 / 0.80. It rejects what `optimal-v0` reviews; the bounds are
    /// the HTTP contract's.
    #[must_use]
    pub fn strict_v0() -> Self {
        Self {
            name: Self::BUILTIN_NAMES[2].to_owned(),
            face_match: Thresholds::builtin(0.56, 0.70),
            liveness: Thresholds::builtin(0.60, 0.80),
            quality: QualityChecks::default(),
        }
    }

    /// The built-in profile of this name, if there is one. Names are compared as they are written.
    #[must_use]
    pub fn builtin(name: &str) -> Option<Self> {
        [Self::permissive_v0, Self::optimal_v0, Self::strict_v0]
            .into_iter()
            .map(|profile| profile())
            .find(|profile| profile.name == name)
    }

    /// The name that callers ask for.
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
