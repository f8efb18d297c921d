//! The conditions of an evaluation: its engine, and the face of an image that counts.

use likeness_engine::Engine;
use serde::Serialize;

/// The engine of an evaluation, in words that differ where its scores may.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Setup {
    /// Version of Likeness.
    pub likeness: String,
    /// Model pack, its version and a digest of its manifest.
    pub pack: String,
    /// The calibration of the match confidence, or that there is none.
    pub match_calibration: String,
    /// The calibration of the liveness score, or that there is none.
    pub liveness_calibration: String,
    /// The cohort that similarities are normalised by, or that they are cosines.
    pub cohort: String,
    /// Execution provider.
    pub provider: String,
    /// Version of ONNX Runtime.
    pub onnx_runtime: String,
}

impl Setup {
    /// Returns the setup of an engine.
    #[must_use]
    pub fn of(engine: &Engine) -> Self {
        let info = engine.labels();
        Self {
            likeness: env!("CARGO_PKG_VERSION").to_owned(),
            pack: match info.pack_digest.as_str() {
                "" => info.pack.clone(),
                digest => format!("{} {} ({digest})", info.pack, info.pack_version),
            },
            match_calibration: info.match_calibration.clone(),
            liveness_calibration: info.liveness_calibration.clone(),
            cohort: info.cohort.clone(),
            provider: info.provider.clone(),
            onnx_runtime: info.runtime_version.clone(),
        }
    }
}

/// The face of an image that counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum FaceChoice {
    /// The largest: the engine's primary face.
    #[default]
    Largest,
    /// The one whose centre is nearest to that of the image, as LFW defines its subject; among all faces that a thorough
    /// search finds.
    Centre,
}
