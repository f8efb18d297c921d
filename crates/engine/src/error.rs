//! What can go wrong in a verification, by who must act.

use likeness_imaging::ImagingError;

/// What a model may fail with.
pub type ModelError = Box<dyn std::error::Error + Send + Sync>;

/// Which of a request's pictures an error is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PictureRole {
    /// The picture that is judged for liveness.
    Selfie,
    /// The picture that the selfie is compared with.
    Photo,
}

impl std::fmt::Display for PictureRole {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Selfie => "selfie",
            Self::Photo => "photo",
        })
    }
}

/// Everything that a call of the engine can fail with.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EngineError {
    /// The caller's picture cannot be used.
    #[error("{role}: {source}")]
    Picture {
        /// Which picture.
        role: PictureRole,
        /// Why.
        source: ImagingError,
    },
    /// The caller's options cannot be used; the message names the option.
    #[error("{0}")]
    Option(String),
    /// The call's deadline passed before the answer was ready.
    #[error("the deadline passed before the answer was ready")]
    DeadlineExceeded,
    /// The call was cancelled through its [`Budget`](crate::Budget).
    #[error("the call was cancelled")]
    Cancelled,
    /// A model failed or gave numbers that no model should give: a bug or a broken environment.
    #[error("inference failed: {0}")]
    Inference(ModelError),
}
