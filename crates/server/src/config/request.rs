//! What a request may bring, and how many are admitted.

use std::time::Duration;

use likeness_engine::imaging;
use serde::{Deserialize, Serialize};
use smart_default::SmartDefault;

use super::values::seconds;
use super::{Config, ConfigError, ensure};

/// Limits of requests.
#[derive(Debug, Clone, Deserialize, Serialize, SmartDefault)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct RequestLimits {
    /// Image sizes under `/v0.1`. Default: 480 to 10,000 pixels a side.
    #[default(VersionLimits::of(480, 10_000))]
    pub v0_1: VersionLimits,
    /// Image sizes under `/v0.2`. Default: 300 to 5,000 pixels a side.
    #[default(VersionLimits::of(300, 5_000))]
    pub v0_2: VersionLimits,
    /// Largest file in bytes. Default: 15 MiB.
    #[default(15 * 1024 * 1024)]
    pub file_bytes: usize,
    /// Largest body in bytes. Default: 32 MiB.
    #[default(32 * 1024 * 1024)]
    pub body_bytes: u64,
    /// From the end of a request's headers to its response. Default: 10 s.
    #[serde(rename = "deadline_seconds", with = "seconds")]
    #[default(Duration::from_secs(10))]
    pub deadline: Duration,
}

/// Image sizes under one version of the API.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct VersionLimits {
    /// Of the `selfie`.
    pub selfie: SideLimits,
    /// Of the `image`.
    pub image: SideLimits,
}

/// The shortest and the longest side of an upright image that are accepted, in pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
#[allow(missing_docs, reason = "said above")]
pub struct SideLimits {
    pub min_side: u32,
    pub max_side: u32,
}

impl VersionLimits {
    const fn of(min_side: u32, max_side: u32) -> Self {
        let sides = SideLimits { min_side, max_side };
        Self {
            selfie: sides,
            image: sides,
        }
    }
}

impl RequestLimits {
    pub(super) fn validate(&self) -> Result<(), ConfigError> {
        for (key, SideLimits { min_side, max_side }) in [
            ("request_limits.v0_1.selfie", self.v0_1.selfie),
            ("request_limits.v0_1.image", self.v0_1.image),
            ("request_limits.v0_2.selfie", self.v0_2.selfie),
            ("request_limits.v0_2.image", self.v0_2.image),
        ] {
            let reason = format!(
                "min_side is {min_side} and max_side {max_side}; it must be 1 <= min_side <= max_side"
            );
            ensure([((1..=max_side).contains(&min_side), key, &reason)])?;
        }
        Ok(())
    }
}

/// The limits of the engine, checked before a pixel is allocated; defaults: [`imaging::ImageLimits`].
#[derive(Debug, Clone, Copy, PartialEq, Deserialize, Serialize, SmartDefault)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct ImageLimits {
    /// Largest encoded file in bytes.
    #[default(imaging::ImageLimits::default().max_bytes)]
    pub max_bytes: usize,
    /// Longest side in pixels.
    #[default(imaging::ImageLimits::default().max_side)]
    pub max_side: u32,
    /// Width times height.
    #[default(imaging::ImageLimits::default().max_pixels)]
    pub max_pixels: u64,
    /// Bytes that decoding one image may hold in memory at a time; docs/operate.md has the formula. Default: 192 MiB.
    #[default(imaging::ImageLimits::default().max_decode_bytes)]
    pub max_decode_bytes: u64,
}

impl From<ImageLimits> for imaging::ImageLimits {
    fn from(limits: ImageLimits) -> Self {
        Self::default()
            .with_max_bytes(limits.max_bytes)
            .with_max_side(limits.max_side)
            .with_max_pixels(limits.max_pixels)
            .with_max_decode_bytes(limits.max_decode_bytes)
    }
}

/// How many requests are admitted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct AdmissionConfig {
    /// Verifications in flight at the same time, each with a body in memory; those beyond are rejected with 503 at once. Absent:
    /// 16 for each worker of the engine.
    pub max_requests: Option<usize>,
}

/// Verifications that are admitted for each worker by default: the last of ordinary ones, of a tenth of a second each, meets
/// its deadline with ease.
const ADMITTED_PER_WORKER: usize = 16;

impl AdmissionConfig {
    pub(crate) fn requests(&self, workers: usize) -> usize {
        self.max_requests
            .unwrap_or_else(|| workers.saturating_mul(ADMITTED_PER_WORKER))
    }
}

impl Config {
    /// Bytes of memory that the service takes at most with so many workers: the limit for its container. docs/operate.md,
    /// "Memory", has the formula.
    pub fn memory_bytes(&self, workers: usize) -> u64 {
        const PROGRAM: u64 = 128 * 1024 * 1024;
        const WORKER: u64 = 192 * 1024 * 1024;
        let workers = workers.max(1);
        let images = self.image_limits.max_decode_bytes.saturating_mul(2);
        let requests = self.admission.requests(workers) as u64;
        WORKER
            .saturating_add(images)
            .saturating_mul(workers as u64)
            .saturating_add(self.request_limits.body_bytes.saturating_mul(requests))
            .saturating_add(PROGRAM)
    }
}
