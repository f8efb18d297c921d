//! Model packs: the manifest, which names the files of a pack and says how its models are fed, and the model store, which
//! holds the files. [`Store::load`] verifies a pack whole, by the SHA-256 in its manifest, before any of it is used.
//!
//! ```no_run
//! use likeness_packs::{DEFAULT_PACK, Passes, StoreSearch};
//!
//! # fn main() -> Result<(), likeness_packs::PackError> {
//! let store = StoreSearch::new().find()?;
//! let pack = store.load(DEFAULT_PACK)?.optimized(&Passes::all());
//! println!("{} {}", pack.manifest().name, pack.manifest().version);
//! # Ok(())
//! # }
//! ```
//!
//! The feature `fetch`, off by default, adds pulling packs (`fetch`) and model archives (`archive`). Without it no HTTP
//! client is compiled.
//!
//! Errors, options, results and what a manifest contains are `#[non_exhaustive]`; calibrations are not, since callers
//! construct them.

#![cfg_attr(docsrs, feature(doc_cfg))]

#[cfg(feature = "fetch")]
pub mod archive;
mod error;
#[cfg(feature = "fetch")]
pub mod fetch;
mod files;
mod manifest;
mod store;

pub use error::{FailureKind, FetchFailure, ImportError, NotFetched, PackError};
pub use likeness_onnx::optimize::{Pass, Passes};
pub use manifest::{
    Calibration, CalibrationFile, ChannelOrder, ClassOutput, CohortReference, CropFit, DEFAULT_PACK,
    DetectorAdapter, DetectorModel, EmbedderAdapter, EmbedderModel, LivenessAdapter, LivenessCalibration,
    LivenessCurve, LivenessFusion, LivenessModelEntry, LivenessPoint, MAX_COHORT_BYTES, MAX_FILE_BYTES,
    Manifest, MatchCalibration, MatchPoint, MeasuredRange, ModelFile, PackCalibration, PackageFile,
    Preprocessing, PresentationCount, Provenance, Recipe, Registry, ScoreCurve, SelfTestVector, SourceFile,
    Template, log_odds,
};
pub use store::{ENV_STORE, Pack, PackStatus, Store, StoreSearch};
