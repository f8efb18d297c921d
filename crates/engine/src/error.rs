//! What can go wrong in putting an engine together and in a verification, by who must act.

use likeness_decision::ImageRole;
use likeness_detection::DetectionError;
use likeness_embedding::EmbeddingError;
use likeness_imaging::ImagingError;
use likeness_liveness::LivenessError;
use likeness_packs::PackError;
use likeness_runtime::RuntimeError;

/// What a model may fail with.
pub type ModelError = Box<dyn std::error::Error + Send + Sync>;

/// Why an engine cannot be built; for whoever installed or configured the process.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// ONNX Runtime is missing or unusable.
    #[error(transparent)]
    Runtime(#[from] RuntimeError),
    /// The pack is missing, incomplete or wrong.
    #[error(transparent)]
    Models(#[from] PackError),
    /// The pack's detector cannot be opened.
    #[error(transparent)]
    Detection(#[from] DetectionError),
    /// The pack's embedder cannot be opened.
    #[error(transparent)]
    Embedding(#[from] EmbeddingError),
    /// The pack's liveness model cannot be opened.
    #[error(transparent)]
    Liveness(#[from] LivenessError),
    /// A custom model could not be made.
    #[error("a custom model could not be made: {0}")]
    Custom(ModelError),
    /// A model of the pack does not compute here what it should; see
    /// [`EngineBuilder::self_tested`](crate::EngineBuilder::self_tested).
    #[error("model {model} failed its self-test: {reason}")]
    SelfTest {
        /// Name of the model.
        model: String,
        /// Which number is off, or why there is none.
        reason: String,
    },
    /// Nobody has measured what the similarities of the pack mean.
    #[error(
        "pack '{pack}' has no match calibration: measure one with `likeness calibrate match` on your images and name it \
         with --calibration"
    )]
    Uncalibrated {
        /// Name of the pack.
        pack: String,
    },
    /// A setting cannot be used; the message names it.
    #[error("{0}")]
    Setting(String),
}

/// Everything that a call of the engine can fail with.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EngineError {
    /// The caller's image cannot be used.
    #[error("{role}: {source}")]
    Image {
        /// Which image.
        role: ImageRole,
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
    /// A match confidence was asked of an engine that was built without a match calibration
    /// ([`EngineBuilder::uncalibrated`](crate::EngineBuilder::uncalibrated)).
    #[error("the engine has no match calibration: it knows similarities, and no confidence")]
    Uncalibrated,
    /// A model failed or gave numbers that no model should give: a bug or a broken environment.
    #[error("inference failed: {0}")]
    Inference(ModelError),
}
