//! Errors of an evaluation, and what can be wrong with a single image.

use std::path::PathBuf;

use likeness_engine::EngineError;
use serde::{Deserialize, Serialize};

use crate::statistics::FoldError;

/// The result of a part of an evaluation, unless it names another error.
pub(crate) type Result<T, E = EvaluationError> = std::result::Result<T, E>;

/// An error that ends an evaluation. An image that cannot be used does not: it has a [`Status`].
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
#[allow(missing_docs, reason = "the messages explain the fields")]
pub enum EvaluationError {
    /// A file or folder cannot be read or written.
    #[error("{path}: {source}")]
    File { path: PathBuf, source: std::io::Error },
    /// A list has an invalid line; `line` counts from 1.
    #[error("{path}:{line}: {reason}")]
    List {
        path: PathBuf,
        line: u64,
        reason: String,
    },
    /// A journal cannot be resumed.
    #[error("{path}: {reason}")]
    Journal { path: PathBuf, reason: String },
    /// The data is empty, insufficient, or does not fit the options; the message says what would.
    #[error("{0}")]
    Input(String),
    /// The folds do not fit the comparisons.
    #[error(transparent)]
    Folds(#[from] FoldError),
    /// The engine failed for another reason than an image: a bug or a broken environment.
    #[error(transparent)]
    Engine(#[from] EngineError),
}

impl EvaluationError {
    /// Returns a function for `map_err` on errors of the file system.
    pub(crate) fn file(path: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        |source| Self::File { path, source }
    }
}

/// The outcome of reading one image. Its text is its name in `scores.csv` and `report.json`.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, strum::Display,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
#[non_exhaustive]
pub enum Status {
    /// A face was found and used.
    Ok,
    /// The image has no face.
    NoFace,
    /// The file is not an image, is corrupt, not supported or beyond the limits.
    #[serde(rename = "bad_picture")]
    #[strum(serialize = "bad_picture")]
    BadImage,
    /// The file does not exist.
    Missing,
    /// The file exists and cannot be read.
    Unreadable,
}

impl Status {
    /// Returns whether an image was presented and could not be used. A missing file is a fault of the list instead.
    #[must_use]
    pub const fn is_failure_to_acquire(self) -> bool {
        matches!(self, Self::NoFace | Self::BadImage)
    }
}
