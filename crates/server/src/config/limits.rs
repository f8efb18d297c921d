//! What requests may bring, and how many are let in.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Config, ConfigError, MAX_SECONDS};
use crate::seconds;

/// Most faces of a picture that an engine looks at.
const MAX_FACES: usize = 1_024;

/// The least that a decode may be given: rows and tables, and an image of a few megapixels.
const MIN_DECODE_BYTES: u64 = 16 * 1024 * 1024;

/// Limits of requests.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct LimitsConfig {
    /// Picture sizes under `/v0.1`. Default: 480 to 10,000 pixels a side.
    pub v0_1: VersionLimits,
    /// Picture sizes under `/v0.2`. Default: 300 to 5,000 pixels a side.
    pub v0_2: VersionLimits,
    /// Largest file in bytes. Default: 15 MiB.
    pub file_bytes: usize,
    /// Largest body in bytes. Default: 32 MiB.
    pub body_bytes: u64,
    /// From the end of a request's headers to its answer. Default: 10 s.
    #[serde(rename = "deadline_seconds", with = "seconds")]
    pub deadline: Duration,
}

/// Picture sizes under one version of the API.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct VersionLimits {
    /// Of the `selfie`.
    pub selfie: SideLimits,
    /// Of the `image`.
    pub image: SideLimits,
}

/// What both sides of an upright picture must keep to, in pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct SideLimits {
    /// The shortest side that is accepted.
    pub min_side: u32,
    /// The longest side that is accepted.
    pub max_side: u32,
}

/// The engine's own limits, see [`likeness_engine::imaging::Limits`] and [`likeness_engine::EngineBuilder`].
#[derive(Debug, Clone, Copy, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct SafetyConfig {
    /// Largest encoded file in bytes.
    pub max_bytes: usize,
    /// Longest side in pixels.
    pub max_side: u32,
    /// Width times height.
    pub max_pixels: u64,
    /// Bytes that decoding one image may hold in memory at a time; docs/operate.md has the formula. Default: 192 MiB.
    pub max_decode_bytes: u64,
    /// Faces of a picture that are looked at, the largest; with `image_multiface` each costs an embedding.
    pub max_faces: usize,
    /// The detector score from which on something is a face, 0 to 1. Absent: the pack's own threshold.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_face_score: Option<f64>,
}

/// How many requests are let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct AdmissionConfig {
    /// Verifications that are being read, waiting or worked on at the same time; those beyond are answered 503 at
    /// once. Each may hold a body of `limits.body_bytes` in memory. Absent: 16 for each worker of the engine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_requests: Option<usize>,
}

/// Verifications that are admitted for each worker of the engine, where nothing is configured. An ordinary one takes about
/// a tenth of a second, so that the last one meets its deadline with ease. With `image_multiface` and a photo of very
/// many faces one takes up to two seconds: of those, the last ones may not.
const ADMITTED_PER_WORKER: usize = 16;

impl AdmissionConfig {
    /// Verifications that are let in at the same time with so many workers.
    pub(crate) fn requests(&self, workers: usize) -> usize {
        self.max_requests
            .unwrap_or_else(|| workers.saturating_mul(ADMITTED_PER_WORKER))
    }
}

impl Config {
    pub(super) fn validate_limits(&self) -> Result<(), ConfigError> {
        let limits = &self.limits;
        for (key, sides) in [
            ("limits.v0_1.selfie", limits.v0_1.selfie),
            ("limits.v0_1.image", limits.v0_1.image),
            ("limits.v0_2.selfie", limits.v0_2.selfie),
            ("limits.v0_2.image", limits.v0_2.image),
        ] {
            if sides.min_side == 0 || sides.min_side > sides.max_side {
                return Err(ConfigError::invalid(
                    key,
                    format!(
                        "min_side is {} and max_side {}; it must be 1 <= min_side <= max_side",
                        sides.min_side, sides.max_side
                    ),
                ));
            }
        }
        let positive: [(&str, u64); 8] = [
            ("limits.file_bytes", limits.file_bytes as u64),
            ("limits.body_bytes", limits.body_bytes),
            ("safety.max_bytes", self.safety.max_bytes as u64),
            ("safety.max_side", u64::from(self.safety.max_side)),
            ("safety.max_pixels", self.safety.max_pixels),
            ("safety.max_faces", self.safety.max_faces as u64),
            (
                "admission.max_requests",
                self.admission.max_requests.unwrap_or(1) as u64,
            ),
            ("connections.max", self.connections.max as u64),
        ];
        if self.safety.max_decode_bytes < MIN_DECODE_BYTES {
            let problem =
                format!("must be at least {MIN_DECODE_BYTES}: decoding any image takes some memory");
            return Err(ConfigError::invalid("safety.max_decode_bytes", problem));
        }
        if self.safety.max_faces > MAX_FACES {
            let problem = format!("must be between 1 and {MAX_FACES}");
            return Err(ConfigError::invalid("safety.max_faces", problem));
        }
        // NaN is in no range.
        if self
            .safety
            .min_face_score
            .is_some_and(|score| !(0.0..=1.0).contains(&score))
        {
            return Err(ConfigError::invalid(
                "safety.min_face_score",
                "must be between 0 and 1",
            ));
        }
        for (key, value) in positive {
            if value == 0 {
                return Err(ConfigError::invalid(key, "must be at least 1"));
            }
        }
        for (key, value) in [
            ("admission.max_requests", self.admission.max_requests.unwrap_or(1)),
            ("connections.max", self.connections.max),
        ] {
            if value > tokio::sync::Semaphore::MAX_PERMITS {
                return Err(ConfigError::invalid(key, "is too large"));
            }
        }
        for (key, value, may_be_zero) in [
            ("limits.deadline_seconds", limits.deadline, false),
            (
                "connections.header_read_seconds",
                self.connections.header_read,
                false,
            ),
            ("connections.linger_seconds", self.connections.linger, true),
            ("connections.body_idle_seconds", self.connections.body_idle, false),
            ("audit.sync_seconds", self.audit.sync, false),
            ("tls.handshake_seconds", self.tls.handshake, false),
            ("tls.check_seconds", self.tls.check, true),
            ("shutdown.delay_seconds", self.shutdown.delay, true),
            ("shutdown.grace_seconds", self.shutdown.grace, true),
            ("reload.check_seconds", self.reload.check, true),
        ] {
            if value > MAX_SECONDS {
                return Err(ConfigError::invalid(key, "must not be more than a day"));
            }
            if value.is_zero() && !may_be_zero {
                return Err(ConfigError::invalid(key, "must be more than 0"));
            }
        }
        Ok(())
    }
}
