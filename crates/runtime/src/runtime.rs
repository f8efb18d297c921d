//! The process's ONNX Runtime.

use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::{Arc, Mutex, PoisonError};

use ort::environment::Environment;
use ort::logging::LogLevel;
use ort::session::Session;
use ort::session::builder::GraphOptimizationLevel;

use crate::library::Library;
use crate::{LibrarySearch, ModelSession, RuntimeError};

/// What executes the models.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Provider {
    /// ONNX Runtime's own CPU kernels.
    #[default]
    Cpu,
}

impl Provider {
    /// The name on the command line, in configuration and in `/info`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Cpu => "cpu",
        }
    }
}

impl std::fmt::Display for Provider {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Provider {
    type Err = RuntimeError;

    /// An unknown provider is an error and never the default.
    fn from_str(name: &str) -> Result<Self, Self::Err> {
        match name {
            "cpu" => Ok(Self::Cpu),
            _ => Err(RuntimeError::ProviderUnavailable {
                name: name.to_owned(),
                available: "cpu",
            }),
        }
    }
}

/// The process's ONNX Runtime: opens models. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Runtime {
    environment: Environment,
    library: Option<PathBuf>,
    version: String,
    provider: Provider,
}

/// A process can create one environment only, so the first that is created is kept for all later calls.
static LOADED: Mutex<Option<Runtime>> = Mutex::new(None);

impl Runtime {
    /// Finds and loads ONNX Runtime. Where this process has loaded one before, that is returned, unless the search names
    /// another file.
    ///
    /// # Errors
    /// No library, one that does not load or is too old, or another one already in use in this process.
    pub fn load(search: &LibrarySearch, provider: Provider) -> Result<Self, RuntimeError> {
        let mut loaded = LOADED.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(runtime) = loaded.as_ref()
            && search.file().is_none()
        {
            return Ok(Self {
                provider,
                ..runtime.clone()
            });
        }
        let Library { path, version } = search.find()?;
        if let Some(runtime) = loaded.as_ref() {
            return match &runtime.library {
                Some(library) if !is_same_file(library, &path) => Err(RuntimeError::AlreadyLoaded {
                    loaded: library.clone(),
                    wanted: path,
                }),
                _ => Ok(Self {
                    provider,
                    ..runtime.clone()
                }),
            };
        }
        let unusable = |reason: String| RuntimeError::LibraryUnusable {
            path: path.clone(),
            reason,
        };
        let environment = ort::init_from(&path)
            .map_err(|error| unusable(error.to_string()))?
            .with_name("likeness")
            // Nothing leaves the building.
            .with_telemetry(false)
            .with_logger(Arc::new(log))
            .build()
            .map_err(|error| unusable(error.to_string()))?;
        environment.set_log_level(LogLevel::Warning);
        let runtime = Self {
            environment,
            library: Some(path),
            version,
            provider,
        };
        *loaded = Some(runtime.clone());
        Ok(runtime)
    }

    /// Works in an environment that the embedder created with [`ort`](crate::ort), on the CPU provider beside the
    /// execution providers that the environment names.
    #[must_use]
    pub fn from_environment(environment: Environment) -> Self {
        Self {
            environment,
            library: None,
            version: "embedder's".to_owned(),
            provider: Provider::Cpu,
        }
    }

    /// The library in use, where this crate loaded it.
    #[must_use]
    pub fn library(&self) -> Option<&Path> {
        self.library.as_deref()
    }

    /// Version of ONNX Runtime, as it says itself.
    #[must_use]
    pub fn version(&self) -> &str {
        &self.version
    }

    /// What executes the models.
    #[must_use]
    pub fn provider(&self) -> Provider {
        self.provider
    }

    /// Opens a model from the bytes of an ONNX file. `name` is for messages.
    ///
    /// The session runs on the thread that calls it: one intra-op thread, no thread pool that could spin.
    ///
    /// # Errors
    /// [`RuntimeError::Model`] where ONNX Runtime refuses the bytes.
    pub fn open(&self, name: &str, onnx: &[u8]) -> Result<ModelSession, RuntimeError> {
        let refused = |reason: String| RuntimeError::Model {
            model: name.to_owned(),
            reason,
        };
        let configure = || -> Result<Session, String> {
            Session::builder(&self.environment)
                .map_err(|error| error.to_string())?
                .with_log_level(LogLevel::Warning)
                .map_err(|error| error.to_string())?
                .with_optimization_level(GraphOptimizationLevel::All)
                .map_err(|error| error.to_string())?
                .with_intra_threads(1)
                .map_err(|error| error.to_string())?
                .with_inter_threads(1)
                .map_err(|error| error.to_string())?
                .with_intra_op_spinning(false)
                .map_err(|error| error.to_string())?
                .with_inter_op_spinning(false)
                .map_err(|error| error.to_string())?
                .commit_from_memory(onnx)
                .map_err(|error| error.to_string())
        };
        configure()
            .map_err(refused)
            .map(|session| ModelSession::new(name, session))
    }
}

/// Whether two paths lead to the same file, by whatever links.
fn is_same_file(a: &Path, b: &Path) -> bool {
    match (a.canonicalize(), b.canonicalize()) {
        (Ok(a), Ok(b)) => a == b,
        _ => a == b,
    }
}

fn log(level: LogLevel, category: &str, id: &str, location: &str, message: &str) {
    match level {
        LogLevel::Error | LogLevel::Fatal => {
            tracing::error!(target: "onnxruntime", category, id, location, "{message}");
        }
        // Exports for any size often declare the shapes that they were traced with, and ONNX Runtime says so at every run.
        // Adapters check the shapes of what they get.
        LogLevel::Warning if message.starts_with("Expected shape from model of") => {
            tracing::debug!(target: "onnxruntime", category, id, location, "{message}");
        }
        LogLevel::Warning => tracing::warn!(target: "onnxruntime", category, id, location, "{message}"),
        LogLevel::Info => tracing::debug!(target: "onnxruntime", category, id, location, "{message}"),
        LogLevel::Verbose => tracing::trace!(target: "onnxruntime", category, id, location, "{message}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_provider_is_an_error_that_names_the_known_ones() {
        assert_eq!("cpu".parse::<Provider>().unwrap(), Provider::Cpu);
        assert_eq!(
            "cuda".parse::<Provider>().unwrap_err().to_string(),
            "execution provider 'cuda' is not available; available: cpu"
        );
    }
}
