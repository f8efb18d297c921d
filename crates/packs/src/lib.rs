//! Model packs: the manifest, which says which files a pack consists of and how its models are fed, and the model store,
//! which holds the files. Decodes no image and runs no model.
//!
//! A pack is verified whole before any of it is used: [`Store::load`] returns bytes whose SHA-256 is the one in the
//! manifest.
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
//! # Features
//!
//! `fetch`, off by default, adds pulling packs into a model store (`fetch`) and model archives (`archive`). Without it
//! no HTTP client is compiled.
//!
//! Errors, options, results and what a manifest contains are `#[non_exhaustive]`; calibrations are not, since callers
//! construct them.

#[cfg(feature = "fetch")]
pub mod archive;
mod calibration;
mod calibration_file;
mod digest;
mod error;
#[cfg(feature = "fetch")]
pub mod fetch;
mod files;
mod manifest;
mod store;

pub use calibration::{
    LivenessCalibration, LivenessCurve, LivenessPoint, MatchCalibration, MatchPoint, MeasuredRange,
    PresentationCount, Provenance, ScoreCurve, log_odds,
};
pub use calibration_file::{Calibration, CalibrationFile};
pub use error::{FailureKind, FetchFailure, ImportError, NotFetched, PackError};
pub use likeness_onnx::optimize::{Pass, Passes};
pub use manifest::{
    ChannelOrder, ClassOutput, CropFit, DEFAULT_PACK, DetectorAdapter, DetectorModel, EmbedderAdapter,
    EmbedderModel, LivenessAdapter, LivenessFusion, LivenessModelEntry, MAX_FILE_BYTES, Manifest, ModelFile,
    NamedTemplate, PackCalibration, Preprocessing, Recipe, SelfTestVector, SourceFile, Template,
};
pub use store::{ENV_STORE, Pack, PackPlace, PackStatus, Store, StoreSearch};
