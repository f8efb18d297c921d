//! Model packs for Likeness: the manifest that says which files a pack is made of and how they are fed, and the store
//! that holds the files. Knows no picture and runs no model.
//!
//! A pack is checked whole before any of it is used: [`Store::load`] hands out bytes whose SHA-256 is the one in the
//! manifest, and nothing else.

mod calibration;
mod error;
pub mod import;
pub mod inspect;
mod manifest;
pub mod onnx;
pub mod rewrite;
mod shapes;
mod store;

pub use calibration::{
    Calibration, CalibrationFile, LivenessCalibration, LivenessCurve, LivenessPoint, MatchCalibration,
    MatchPoint, MeasuredRange, PresentationCount, Provenance, ScoreCurve, log_odds,
};
pub use error::ModelsError;
pub use inspect::{Inspection, inspect};
pub use manifest::{
    ChannelOrder, CropFit, DetectorAdapter, DetectorModel, EmbedderAdapter, EmbedderModel, FileEntry,
    LivenessAdapter, LivenessModelEntry, Manifest, SelfTestVector,
};
pub use store::{ENV_STORE, Pack, Store, StoreSearch};

/// The pack that is used when none is named.
pub const DEFAULT_PACK: &str = "open-1";
