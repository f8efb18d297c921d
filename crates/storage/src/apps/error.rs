//! Why the apps were not changed.

use crate::StorageError;

/// Why the apps were not changed. But for [`AppError::Storage`], whoever asked for the change must ask for another one.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AppError {
    /// There is one of that id.
    #[error("there is an app `{0}` already")]
    Exists(String),
    /// There is none of that id.
    #[error("there is no app `{0}` in the storage")]
    Unknown(String),
    /// The app has as many live keys as it may have.
    #[error(
        "app `{app}` has two live keys already, as its last rotation is not over; wait until key {oldest} has expired, or \
         end it now with --force"
    )]
    TooManyKeys {
        /// Which app.
        app: String,
        /// The key that would have to go, by its label.
        oldest: String,
    },
    /// A key that was brought along cannot be used.
    #[error("the key cannot be used: it {0}")]
    Key(&'static str),
    /// The database did not do it.
    #[error(transparent)]
    Storage(#[from] StorageError),
}
