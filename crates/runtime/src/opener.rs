//! Opens sessions: one library, one execution.

use std::path::{Path, PathBuf};

use ort::environment::Environment;
use ort::ep;
use ort::logging::LogLevel;
use ort::session::Session;
use ort::session::builder::{GraphOptimizationLevel, SessionBuilder};

use crate::error::{LibraryAtHand, RuntimeError};
use crate::provider::{Execution, Provider};

/// ONNX Runtime's message about a model with nodes that only its CPU kernels execute, where those are disabled.
const CPU_NODES: &str = "fallback to CPU EP has been explicitly disabled";

/// Opens sessions on a library with an execution.
#[derive(Debug, Clone)]
pub(crate) struct Opener {
    pub(crate) environment: Environment,
    /// The library, where this crate loaded it.
    pub(crate) library: Option<PathBuf>,
    pub(crate) version: String,
    pub(crate) execution: Execution,
}

impl Opener {
    /// Checks that the library has the provider, and that it starts here.
    pub(crate) fn check(&self) -> Result<(), RuntimeError> {
        self.execution.check()?;
        let provider = self.execution.provider;
        if provider != Provider::Cpu && !provider.is_in_library() {
            let library = self.at_hand();
            return Err(RuntimeError::ProviderMissing { provider, library });
        }
        // Sooner than with the first model, and with the provider's own words for what is missing.
        self.preload()
            .and_then(|()| self.session_builder())
            .map(drop)
            .map_err(|reason| self.unusable(reason))
    }

    /// Opens a session in which the input's sizes of these names are fixed.
    pub(crate) fn session(
        &self,
        name: &str,
        onnx: &[u8],
        sizes: &[(&str, i64)],
    ) -> Result<Session, RuntimeError> {
        let open = |mut builder: SessionBuilder| {
            for (size, value) in sizes {
                builder = builder.with_dimension_override(size, *value)?;
            }
            builder.commit_from_memory(onnx)
        };
        let builder = self.session_builder().map_err(|reason| self.unusable(reason))?;
        open(builder).map_err(|error: ort::Error| self.refused(name, error.to_string()))
    }

    fn session_builder(&self) -> Result<SessionBuilder, String> {
        let configured = || {
            let mut builder = Session::builder(&self.environment)?
                .with_log_level(LogLevel::Warning)?
                .with_optimization_level(GraphOptimizationLevel::All)?
                .with_intra_threads(1)?
                .with_inter_threads(1)?
                .with_intra_op_spinning(false)?
                .with_inter_op_spinning(false)?;
            if self.execution.refuses_cpu_nodes() {
                builder = builder.with_disable_cpu_fallback()?;
            }
            if self.execution.provider == Provider::DirectMl {
                // It takes sessions without memory patterns only.
                builder = builder.with_memory_pattern(false)?;
            }
            match self.execution.dispatch() {
                Some(provider) => Ok(builder.with_execution_providers([provider])?),
                None => Ok(builder),
            }
        };
        configured().map_err(|error: ort::Error| error.to_string())
    }

    /// Loads what the provider needs where it lies beside the library, as `make setup-cuda` puts it: NVIDIA's libraries are
    /// looked for in the system's places only, unless the process has them already.
    fn preload(&self) -> Result<(), String> {
        let folder = self.library.as_deref().and_then(Path::parent);
        match (self.execution.provider, folder) {
            (Provider::Cuda | Provider::TensorRt, Some(folder))
                if folder.join(ep::cuda::CUDA_DYLIBS[0]).is_file() =>
            {
                ep::cuda::preload_dylibs(Some(folder), Some(folder)).map_err(|error| error.to_string())
            }
            _ => Ok(()),
        }
    }

    fn at_hand(&self) -> Box<LibraryAtHand> {
        let path = self.library.as_ref().map(|path| path.display().to_string());
        Box::new(LibraryAtHand {
            path: path.unwrap_or_else(|| "the embedder's place".to_owned()),
            version: self.version.clone(),
            offers: Provider::of_library(),
        })
    }

    fn unusable(&self, reason: String) -> RuntimeError {
        RuntimeError::ProviderUnusable {
            provider: self.execution.provider,
            device: self.execution.device(),
            library: self.at_hand(),
            reason,
        }
    }

    fn refused(&self, model: &str, reason: String) -> RuntimeError {
        let model = model.to_owned();
        // ONNX Runtime has no code of its own for it.
        if self.execution.refuses_cpu_nodes() && reason.contains(CPU_NODES) {
            let provider = self.execution.provider;
            return RuntimeError::ProviderPartial {
                provider,
                model,
                reason,
            };
        }
        RuntimeError::Model { model, reason }
    }
}
