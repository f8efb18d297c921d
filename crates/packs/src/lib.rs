//! Model packs for Likeness: the manifest that says which files a pack is made of and how they are fed, and the store
//! that holds the files. Knows no picture and runs no model.
//!
//! A pack is checked whole before any of it is used: [`Store::load`] hands out bytes whose SHA-256 is the one in the
//! manifest, and nothing else.
//!
//! # Features
//!
//! `fetch`, off by default, brings packs into a store (`fetch`) and moves them in one file (`archive`). Without it
//! no HTTP client is compiled.

#[cfg(feature = "fetch")]
pub mod archive;
mod calibration;
mod error;
#[cfg(feature = "fetch")]
pub mod fetch;
pub mod import;
mod manifest;
mod store;

pub use calibration::{
    Calibration, CalibrationFile, LivenessCalibration, LivenessCurve, LivenessPoint, MatchCalibration,
    MatchPoint, MeasuredRange, PresentationCount, Provenance, ScoreCurve, log_odds,
};
pub use error::PackError;
pub use likeness_onnx::optimize::{Pass, Passes};
pub use manifest::{
    ChannelOrder, ClassOutput, CropFit, DetectorAdapter, DetectorModel, EmbedderAdapter, EmbedderModel,
    LivenessAdapter, LivenessModelEntry, MAX_FILE_BYTES, Manifest, ModelFile, NamedTemplate, PackCalibration,
    Preprocessing, Recipe, SelfTestVector, SourceFile, Template,
};
#[cfg(feature = "fetch")]
pub use store::StoreError;
pub use store::{ENV_STORE, Pack, PackPlace, PackStatus, Store, StoreSearch};

/// The pack that is used when none is named.
pub const DEFAULT_PACK: &str = "open-1";
