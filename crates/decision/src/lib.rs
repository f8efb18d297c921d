//! Profiles and thresholds: from scores to pass, warning, review and reject.
//!
//! This crate is pure: no image, no model, no clock, no IO. [`decide`] turns [`Evidence`] (two scores, the sizes of the faces
//! and how they were photographed) into a [`Decision`] under a [`Profile`]. Codes, texts, thresholds and rounding are those of
//! the HTTP contract, which follows the public documentation of the Kairos IDV API.
//!
//! ```
//! use likeness_decision::{Evidence, Outcome, Profile, Score, decide};
//!
//! let evidence = Evidence {
//!     selfie_face_areas: &[68_232.7],
//!     photo_face_areas: &[5_484.4],
//!     photo_multiface: false,
//!     face_match: Some(Score::new(0.4803)?),
//!     liveness: Some(Score::new(0.9871)?),
//!     selfie_quality: None,
//!     photo_quality: None,
//!     selfie_rotation: 0,
//!     photo_rotation: 0,
//!     same_image: false,
//! };
//! let decision = decide(&Profile::optimal_v0(), &evidence)?;
//! assert_eq!(decision.outcome(), Outcome::Review);
//! assert_eq!(
//!     decision.details[0].description,
//!     "Faces do not match; threshold failed: 0.4 < 0.4803 (actual) < 0.56"
//! );
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod decision;
mod evidence;
mod profile;
mod quality;
mod recorded;
mod score;
mod thresholds;

pub use decision::{Code, Decision, Detail, ImageRole, Outcome, Verdict};
pub use evidence::{
    DecisionError, Evidence, MULTIPLE_FACES_AREA_RATIO, Measurement, decide, photo_findings, selfie_findings,
};
pub use profile::{MAX_NAME_LENGTH, Profile, ProfileError};
pub use quality::{
    AtLeast, AtMost, Finding, MeasuredFace, PoseWithin, QualityBoundError, QualityChecks, SameImage,
    SameImageFinding,
};
pub use recorded::RecordedDecision;
pub use score::{NotAScore, Score};
pub use thresholds::{Thresholds, ThresholdsError};
