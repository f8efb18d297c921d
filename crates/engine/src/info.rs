//! What an engine is made of.

use std::collections::BTreeSet;
use std::path::PathBuf;

use likeness_packs::Manifest;

/// What an engine is made of, for `/info` and logs.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct EngineInfo {
    /// Version of ONNX Runtime; empty where every model is the embedder's own.
    pub runtime_version: String,
    /// The ONNX Runtime library in use, where Likeness loaded it.
    pub runtime_library: Option<PathBuf>,
    /// The execution provider in use.
    pub provider: String,
    /// The device that it executes on, in the provider's words (`CPU`, `GPU.1`, `GPU 0`); empty where every model is the
    /// embedder's own.
    pub device: String,
    /// With which numbers it computes (`f32`, `tf32`, `f16`); empty likewise.
    pub precision: String,
    /// Name of the model pack.
    pub pack: String,
    /// Version of the model pack.
    pub pack_version: String,
    /// Digest of the model pack's manifest, which pins its files; empty where every model is the embedder's own.
    pub pack_digest: String,
    /// Whether the licences of all files of the pack allow commercial use, as its manifest says; `None` where every model is
    /// the embedder's own.
    pub commercial_use: Option<bool>,
    /// The licences of the pack's files, each once, sorted.
    pub licenses: Vec<String>,
    /// The calibration of the match confidence: its name, its date and a digest, or that there is none.
    pub match_calibration: String,
    /// The calibration of the liveness, likewise.
    pub liveness_calibration: String,
    /// How many calls run at the same time.
    pub workers: usize,
}

/// The licences of a pack's files, each once, sorted.
pub(crate) fn licenses(manifest: &Manifest) -> Vec<String> {
    let licenses: BTreeSet<&str> = manifest
        .sources
        .values()
        .map(|source| source.license.as_str())
        .collect();
    licenses.into_iter().map(ToOwned::to_owned).collect()
}
