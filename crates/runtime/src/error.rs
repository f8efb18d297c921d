//! Errors of ONNX Runtime.

use std::path::PathBuf;

use crate::provider::{ExecutionError, Provider};

/// The errors of this crate. All but [`RuntimeError::Inference`] and [`RuntimeError::Output`] need a corrected installation or
/// configuration.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum RuntimeError {
    /// No ONNX Runtime library was found.
    #[error(
        "no ONNX Runtime library found; looked for:\n{}\nrun `make setup`, fetch it with `likeness::setup` from a program \
         of your own, or name it with --ort-lib FILE or ORT_DYLIB_PATH=FILE",
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
    /// The execution settings are wrong.
    #[error(transparent)]
    Execution(#[from] ExecutionError),
    /// The ONNX Runtime library was built without the execution provider.
    #[error(
        "the {library} has no execution provider '{provider}'; it offers: {}\n{}",
        .library.offers, .provider.advice()
    )]
    ProviderMissing {
        /// What was asked for.
        provider: Provider,
        /// The library in use.
        library: Box<LibraryAtHand>,
    },
    /// The ONNX Runtime library has the execution provider, but it does not work here.
    #[error(
        "execution provider '{provider}' does not start on {device} with the {library}, which offers: {}\nits reason: {}\n\
         see whether the device and its driver are there; else {}",
        .library.offers, .reason.trim(), .provider.advice()
    )]
    ProviderUnusable {
        /// What was asked for.
        provider: Provider,
        /// The device that it was to execute on.
        device: String,
        /// The library in use.
        library: Box<LibraryAtHand>,
        /// What ONNX Runtime said.
        reason: String,
    },
    /// The execution provider cannot execute the whole of a model.
    #[error(
        "execution provider '{provider}' cannot execute the whole of model {model}: parts of it would run on the CPU\nuse \
         another provider, or allow it with the provider's option cpu_nodes = true\nits reason: {reason}"
    )]
    ProviderPartial {
        /// What was asked for.
        provider: Provider,
        /// Name of the model.
        model: String,
        /// What ONNX Runtime said.
        reason: String,
    },
    /// ONNX Runtime refused a model file.
    #[error("cannot open model {model}: {reason}")]
    Model {
        /// Name of the model.
        model: String,
        /// What ONNX Runtime said.
        reason: String,
    },
    /// The model's inputs or outputs are not those of the adapter that the manifest names: correct the pack.
    #[error("{} {model}: the adapter {} {misfit}", .adapter.role, .adapter.name)]
    Misfit {
        /// Name of the model.
        model: String,
        /// The adapter.
        adapter: Adapter,
        /// What is needed and what is there.
        misfit: Misfit,
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

/// The ONNX Runtime library in use.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct LibraryAtHand {
    /// Its path, or that the embedder brought it.
    pub path: String,
    /// Its version.
    pub version: String,
    /// The providers that it was built with.
    pub offers: String,
}

impl std::fmt::Display for LibraryAtHand {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ONNX Runtime {} at {}", self.version, self.path)
    }
}

/// What an adapter needs of a model, and what the model has instead.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("needs {needs}, the model has {has}")]
pub struct Misfit {
    /// What is needed, such as `input [N,3,112,112]`.
    pub needs: String,
    /// What is there instead, such as `[N,3,128,128]`.
    pub has: String,
}

impl Misfit {
    /// A misfit in words.
    pub fn new(needs: impl Into<String>, has: impl Into<String>) -> Self {
        Self {
            needs: needs.into(),
            has: has.into(),
        }
    }
}

/// The adapter that a manifest names for a model, for messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Adapter {
    /// The role of its models, such as `embedder`.
    pub role: &'static str,
    /// Its name in manifests.
    pub name: &'static str,
}

impl Adapter {
    /// Returns the error of a model that does not fit this adapter.
    #[must_use]
    pub fn misfit(self, model: &str, misfit: Misfit) -> RuntimeError {
        RuntimeError::Misfit {
            model: model.to_owned(),
            adapter: self,
            misfit,
        }
    }
}
