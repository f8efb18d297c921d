//! What can go wrong with ONNX Runtime.

use std::path::PathBuf;

use crate::{Adapter, Misfit, Provider, ProviderOption};

/// Everything that this crate fails with. All but [`RuntimeError::Inference`] and [`RuntimeError::Output`] are for
/// whoever installed or configured the process.
#[derive(Debug, Clone, thiserror::Error)]
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
    /// No execution provider is called so.
    #[error(
        "there is no execution provider '{name}': it must be one of {}",
        Provider::names()
    )]
    UnknownProvider {
        /// What was asked for.
        name: String,
    },
    /// No precision is called so.
    #[error("there is no precision '{name}': it must be f32, tf32 or f16")]
    UnknownPrecision {
        /// What was asked for.
        name: String,
    },
    /// The provider does not have this option, or does not take this value.
    #[error("provider {provider}: option {option}: {reason}")]
    ProviderOption {
        /// Which option.
        option: ProviderOption,
        /// Which provider.
        provider: Provider,
        /// What is wrong.
        reason: String,
    },
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
