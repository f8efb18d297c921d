//! What can go wrong with ONNX Runtime.

use std::path::PathBuf;

/// Everything that this crate fails with. All but [`RuntimeError::Inference`] and [`RuntimeError::Output`] are for
/// whoever installed or configured the process.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RuntimeError {
    /// No ONNX Runtime library was found.
    #[error(
        "no ONNX Runtime library found; looked for:\n{}\nrun `make setup`, or name the library with --ort-lib FILE or \
         ORT_DYLIB_PATH=FILE",
        .looked_for.iter().map(|place| format!("  - {place}")).collect::<Vec<_>>().join("\n")
    )]
    LibraryNotFound {
        /// Every place that was tried and what was wrong there.
        looked_for: Vec<String>,
    },
    /// The library that was named cannot be loaded.
    #[error("cannot load ONNX Runtime from {}: {reason}", path.display())]
    LibraryUnusable {
        /// The file that was tried.
        path: PathBuf,
        /// What the loader said.
        reason: String,
    },
    /// ONNX Runtime was already loaded from elsewhere; a process can load it only once.
    #[error("this process already uses the ONNX Runtime at {}, not {}", loaded.display(), wanted.display())]
    AlreadyLoaded {
        /// The library in use.
        loaded: PathBuf,
        /// The library that was asked for.
        wanted: PathBuf,
    },
    /// The execution provider is not part of this build or of the library.
    #[error("execution provider '{name}' is not available; available: {available}")]
    ProviderUnavailable {
        /// What was asked for.
        name: String,
        /// What can be had.
        available: &'static str,
    },
    /// ONNX Runtime refused a model file.
    #[error("cannot open model {model}: {reason}")]
    Model {
        /// Name of the model.
        model: String,
        /// What ONNX Runtime said.
        reason: String,
    },
    /// A model that was opened could not be run.
    #[error("running {model} failed: {reason}")]
    Inference {
        /// Name of the model.
        model: String,
        /// What ONNX Runtime said.
        reason: String,
    },
    /// A model lacks an output, or gave one of another type.
    #[error("{model} has no usable output '{output}': {reason}")]
    Output {
        /// Name of the model.
        model: String,
        /// Name of the output.
        output: String,
        /// What is wrong with it.
        reason: String,
    },
}
