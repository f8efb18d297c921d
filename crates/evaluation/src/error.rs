//! Errors of an evaluation, and what can be wrong with a single image.

use std::path::PathBuf;

use likeness_engine::EngineError;
use serde::{Deserialize, Serialize};

use crate::statistics::FoldError;

/// An error that ends an evaluation. An image that cannot be used does not: it has a [`Status`].
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EvaluationError {
    /// A file or folder cannot be read or written.
    #[error("{path}: {source}")]
    File {
        /// The file or folder.
        path: PathBuf,
        /// The error of the file system.
        source: std::io::Error,
    },
    /// A list has an invalid line.
    #[error("{path}:{line}: {reason}")]
    List {
        /// The list.
        path: PathBuf,
        /// Line, counted from 1.
        line: u64,
        /// What is wrong and what is expected.
        reason: String,
    },
    /// A journal cannot be resumed.
    #[error("{path}: {reason}")]
    Journal {
        /// The journal.
        path: PathBuf,
        /// Why, and what to do.
        reason: String,
    },
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

/// The outcome of reading one image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Status {
    /// A face was found and used.
    Ok,
    /// The image has no face.
    NoFace,
    /// The file is not an image, is corrupt, not supported or beyond the limits.
    #[serde(rename = "bad_picture")]
    BadImage,
    /// The file does not exist.
    Missing,
    /// The file exists and cannot be read.
    Unreadable,
}

impl Status {
    /// Returns the name in `scores.csv` and `report.json`: `ok`, `no_face`, `bad_picture`, `missing`, `unreadable`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::NoFace => "no_face",
            Self::BadImage => "bad_picture",
            Self::Missing => "missing",
            Self::Unreadable => "unreadable",
        }
    }

    /// Returns whether an image was presented and could not be used. A missing file is a fault of the list instead.
    #[must_use]
    pub const fn is_failure_to_acquire(self) -> bool {
        matches!(self, Self::NoFace | Self::BadImage)
    }
}
