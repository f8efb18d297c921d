//! What can go wrong in an evaluation, by who must act.

use std::path::PathBuf;

use likeness_engine::EngineError;

use crate::statistics::FoldError;

/// Everything that an evaluation can fail with. A single picture that cannot be used is none of it but a
/// [`Status`](crate::Status).
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EvaluationError {
    /// A file or folder of the caller's cannot be read, or one cannot be written.
    #[error("{path}: {source}")]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A list has something that cannot be understood.
    #[error("{path}:{line}: {reason}")]
    List {
        /// The list.
        path: PathBuf,
        /// Line, counted from 1.
        line: u64,
        /// What is wrong and what would be right.
        reason: String,
    },
    /// What an evaluation had computed before cannot be gone on with.
    #[error("{path}: {reason}")]
    Journal {
        /// The file.
        path: PathBuf,
        /// Why, and what to do.
        reason: String,
    },
    /// There is nothing to compare, or what was asked for does not fit the list; the message says what would.
    #[error("{0}")]
    Input(String),
    /// The folds do not fit the comparisons.
    #[error(transparent)]
    Folds(#[from] FoldError),
    /// The engine failed, not because of a picture: a bug or a broken environment.
    #[error(transparent)]
    Engine(#[from] EngineError),
}

impl EvaluationError {
    /// For `map_err` on what the file system answers.
    pub(crate) fn file(path: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        |source| Self::File { path, source }
    }
}
