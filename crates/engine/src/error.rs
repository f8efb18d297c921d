//! Errors of building an engine and of its requests, by who must act.

use likeness_decision::ImageRole;
use likeness_detection::DetectionError;
use likeness_embedding::{EmbeddingError, TemplateError};
use likeness_heif::HeifError;
use likeness_imaging::ImagingError;
use likeness_liveness::LivenessError;
use likeness_packs::PackError;
use likeness_runtime::RuntimeError;

/// The error of a model.
pub type ModelError = Box<dyn std::error::Error + Send + Sync>;

/// Why an engine cannot be built: correct the installation or the configuration.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// ONNX Runtime is missing or unusable.
    #[error(transparent)]
    Runtime(#[from] RuntimeError),
    /// The pack is missing, incomplete or wrong.
    #[error(transparent)]
    Pack(#[from] PackError),
    /// The pack's detector cannot be opened.
    #[error(transparent)]
    Detection(#[from] DetectionError),
    /// The pack's embedder cannot be opened.
    #[error(transparent)]
    Embedding(#[from] EmbeddingError),
    /// The pack's liveness model cannot be opened.
    #[error(transparent)]
    Liveness(#[from] LivenessError),
    /// The factory of a custom model failed.
    #[error("cannot create a custom model: {0}")]
    Custom(ModelError),
    /// A model of the pack does not compute here what it should; see
    /// [`EngineBuilder::self_test`](crate::EngineBuilder::self_test).
    #[error("model {model} failed its self-test: {reason}")]
    SelfTest {
        /// Name of the model.
        model: String,
        /// Which number is off, or why there is none.
        reason: String,
    },
    /// The pack has no match calibration.
    #[error(
        "pack '{pack}' has no match calibration: measure one with `likeness calibrate match` on your images and name it \
         with --calibration"
    )]
    Uncalibrated {
        /// Name of the pack.
        pack: String,
    },
    /// HEIC and AVIF cannot be decoded here; see [`EngineBuilder::heif`](crate::EngineBuilder::heif).
    #[error("imaging.heif: {0}")]
    Heif(#[from] HeifError),
    /// A setting cannot be used; the message names it.
    #[error("{0}")]
    Setting(String),
}

/// Why a request to the engine failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EngineError {
    /// An image of the request cannot be used.
    #[error("{role}: {source}")]
    Image {
        /// Which image.
        role: ImageRole,
        /// Why.
        source: ImagingError,
    },
    /// An option of the request cannot be used; the message names it.
    #[error("{0}")]
    Option(String),
    /// The template of the request cannot be used.
    #[error(transparent)]
    Template(#[from] TemplateError),
    /// The deadline passed before the result was ready.
    #[error("the deadline passed before the result was ready")]
    DeadlineExceeded,
    /// The request was cancelled through its [`Budget`](crate::Budget).
    #[error("the request was cancelled")]
    Cancelled,
    /// A match confidence was requested from an engine without a match calibration
    /// ([`EngineBuilder::uncalibrated`](crate::EngineBuilder::uncalibrated)).
    #[error("no match calibration: only similarities are available")]
    Uncalibrated,
    /// A model failed or returned impossible numbers: a bug or a broken environment.
    #[error("inference failed: {0}")]
    Inference(ModelError),
}
