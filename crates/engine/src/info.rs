//! What an engine is made of.

use std::collections::BTreeSet;
use std::path::PathBuf;

use likeness_embedding::Cohort;
use likeness_packs::Manifest;
use likeness_runtime::{Precision, Provider, Runtime};

/// What an engine is made of.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct EngineInfo {
    /// What executes the models of the pack; `None` where every model is the embedder's own.
    pub runtime: Option<RuntimeInfo>,
    /// The model pack; `None` where every model is the embedder's own.
    pub pack: Option<PackInfo>,
    /// The calibration of the match confidence.
    pub match_calibration: CalibrationInfo,
    /// The calibration of the liveness score.
    pub liveness_calibration: CalibrationInfo,
    /// The cohort that similarities are normalised by; `None`: they are cosines.
    pub cohort: Option<CohortInfo>,
    /// How many requests run at the same time.
    pub workers: usize,
}

/// The ONNX Runtime of an engine.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct RuntimeInfo {
    /// Version of ONNX Runtime.
    pub version: String,
    /// The library in use, where Likeness loaded it.
    pub library: Option<PathBuf>,
    /// The execution provider.
    pub provider: Provider,
    /// The device that it executes on, in the provider's words: `CPU`, `GPU.1`, `GPU 0`.
    pub device: String,
    /// The numbers that it computes with.
    pub precision: Precision,
}

impl RuntimeInfo {
    pub(crate) fn of(runtime: &Runtime) -> Self {
        let execution = runtime.execution();
        Self {
            version: runtime.version().to_owned(),
            library: runtime.library().map(ToOwned::to_owned),
            provider: execution.provider,
            device: execution.device(),
            precision: execution.precision(),
        }
    }
}

/// The model pack of an engine.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct PackInfo {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// Digest of its manifest, which pins its files.
    pub digest: String,
    /// Whether the licences of all its files allow commercial use, as its manifest says.
    pub commercial_use: bool,
    /// The licences of its files, each once, sorted.
    pub licenses: Vec<String>,
    /// What is not settled about them, as its manifest says, one sentence each.
    pub license_notes: Vec<String>,
}

/// The cohort of an engine.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct CohortInfo {
    /// SHA-256 of its file.
    pub sha256: String,
    /// Number of centroids.
    pub centroids: usize,
}

impl CohortInfo {
    pub(crate) fn of(cohort: &Cohort) -> Self {
        Self {
            sha256: cohort.sha256().to_owned(),
            centroids: cohort.centroids(),
        }
    }
}

impl std::fmt::Display for CohortInfo {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} centroids ({:.8})", self.centroids, self.sha256)
    }
}

impl PackInfo {
    pub(crate) fn of(manifest: &Manifest) -> Self {
        let licenses = manifest.sources.values().map(|source| source.license.clone());
        Self {
            name: manifest.name.clone(),
            version: manifest.version.clone(),
            digest: manifest.digest.clone(),
            commercial_use: manifest.commercial_use,
            licenses: licenses.collect::<BTreeSet<_>>().into_iter().collect(),
            license_notes: manifest.license_notes.clone(),
        }
    }
}

/// Where the scores of an engine get their meaning from.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum CalibrationInfo {
    /// From nowhere: there is no match confidence, and the liveness score is the models' fused live probability.
    Uncalibrated,
    /// From the embedder's own model or curve.
    Custom,
    /// From a measurement: its name, date and digest.
    Measured(String),
}

impl CalibrationInfo {
    fn label(&self, uncalibrated: &str) -> String {
        match self {
            Self::Uncalibrated => uncalibrated.to_owned(),
            Self::Custom => CUSTOM.to_owned(),
            Self::Measured(description) => description.clone(),
        }
    }
}

const CUSTOM: &str = "custom";

/// [`EngineInfo`] as the texts of `/info`, logs, metrics and audit records: `custom`, or an empty text, stands for what an
/// engine of the embedder's own models does not have.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
#[allow(missing_docs, reason = "each is a field of `EngineInfo`")]
pub struct EngineLabels {
    pub runtime_version: String,
    pub runtime_library: Option<PathBuf>,
    pub provider: String,
    pub device: String,
    pub precision: String,
    pub pack: String,
    pub pack_version: String,
    pub pack_digest: String,
    pub match_calibration: String,
    pub liveness_calibration: String,
    pub cohort: String,
}

impl From<&EngineInfo> for EngineLabels {
    fn from(info: &EngineInfo) -> Self {
        let (runtime, pack) = (info.runtime.as_ref(), info.pack.as_ref());
        let of_runtime = |label: fn(&RuntimeInfo) -> &str| runtime.map(label).unwrap_or_default().to_owned();
        let of_pack = |label: fn(&PackInfo) -> &str| pack.map(label).unwrap_or_default().to_owned();
        Self {
            runtime_version: of_runtime(|runtime| &runtime.version),
            runtime_library: runtime.and_then(|runtime| runtime.library.clone()),
            provider: runtime
                .map_or(CUSTOM, |runtime| runtime.provider.as_str())
                .to_owned(),
            device: of_runtime(|runtime| &runtime.device),
            precision: of_runtime(|runtime| runtime.precision.as_str()),
            pack: pack.map_or(CUSTOM, |pack| &pack.name).to_owned(),
            pack_version: of_pack(|pack| &pack.version),
            pack_digest: of_pack(|pack| &pack.digest),
            match_calibration: info
                .match_calibration
                .label("none: similarities only, no confidence"),
            liveness_calibration: info
                .liveness_calibration
                .label("none: the models' fused live probability as it is"),
            cohort: info.cohort.as_ref().map_or_else(
                || "none: similarities are cosines".to_owned(),
                CohortInfo::to_string,
            ),
        }
    }
}
