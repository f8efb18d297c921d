//! The process's ONNX Runtime.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use ort::environment::Environment;
use ort::ep;
use ort::logging::LogLevel;
use ort::session::Session;
use ort::session::builder::{GraphOptimizationLevel, SessionBuilder};

use crate::fixed_shapes::FixedShapes;
use crate::library::Library;
use crate::sessions::Sessions;
use crate::shared::Shared;
use crate::{Execution, LibraryAtHand, LibrarySearch, ModelSession, Provider, RuntimeError};

/// The process's ONNX Runtime: opens models. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Runtime {
    environment: Environment,
    library: Option<PathBuf>,
    version: String,
    execution: Execution,
    /// What was opened to be shared. `None`: each has its own.
    shared: Option<SharedModels>,
}

/// By a model's name and a digest of its bytes.
type SharedModels = Arc<Mutex<BTreeMap<(String, u64), Arc<Shared>>>>;

/// What ONNX Runtime says of a model with nodes that only its CPU kernels execute, where those are not to.
const CPU_NODES: &str = "fallback to CPU EP has been explicitly disabled";

/// Environment variable that keeps ONNX Runtime from reporting to its maker, if it is `1` before the library is loaded.
///
/// Official builds since 1.29 write an identifier of the machine to `~/.cache/Microsoft` and send events to
/// `mobile.events.data.microsoft.com` without it. What the C API has to turn that off (`with_telemetry` of
/// the crate `ort`) comes too late: the first event is logged as the environment is created
/// (<https://github.com/microsoft/onnxruntime/pull/27379>).
pub const ENV_NO_TELEMETRY: &str = "ORT_DISABLE_TELEMETRY";

/// A process can create one environment only, so the first that is created is kept for all later calls.
static LOADED: Mutex<Option<Runtime>> = Mutex::new(None);

impl Runtime {
    /// Finds and loads ONNX Runtime, and sees whether it has the execution provider and that starts here. Where this process
    /// has loaded one before, that is taken, unless the search names another file.
    ///
    /// The program `likeness` sets [`ENV_NO_TELEMETRY`] by itself. A program of yours should be started with it: a library
    /// cannot set a variable of a process with threads. Where it is not set, a warning is logged.
    ///
    /// # Errors
    /// No library, one that does not load or is too old, or another one already in use in this process; a provider that the
    /// library lacks or that does not start.
    pub fn load(search: &LibrarySearch, execution: impl Into<Execution>) -> Result<Self, RuntimeError> {
        let execution = execution.into();
        execution.check()?;
        Self::loaded(search, execution.provider())?.with_execution(execution)
    }

    /// On the CPU provider, whatever library there is.
    fn loaded(search: &LibrarySearch, provider: Provider) -> Result<Self, RuntimeError> {
        let mut loaded = LOADED.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(runtime) = loaded.as_ref()
            && search.file().is_none()
        {
            return Ok(runtime.clone());
        }
        if std::env::var_os(ENV_NO_TELEMETRY).is_none_or(|value| value != "1") {
            tracing::warn!("{ENV_NO_TELEMETRY} is not 1: ONNX Runtime may report to its maker");
        }
        let Library { path, version } = search.find(provider)?;
        if let Some(runtime) = loaded.as_ref() {
            return match &runtime.library {
                Some(library) if !is_same_file(library, &path) => Err(RuntimeError::AlreadyLoaded {
                    loaded: library.clone(),
                    wanted: path,
                }),
                _ => Ok(runtime.clone()),
            };
        }
        let unusable = |reason: String| RuntimeError::LibraryUnusable {
            path: path.clone(),
            reason,
        };
        let environment = ort::init_from(&path)
            .map_err(|error| unusable(error.to_string()))?
            .with_name("likeness")
            // Nothing leaves the building. Alone this comes too late: see `ENV_NO_TELEMETRY`.
            .with_telemetry(false)
            .with_logger(Arc::new(log))
            .build()
            .map_err(|error| unusable(error.to_string()))?;
        environment.set_log_level(LogLevel::Warning);
        let runtime = Self {
            environment,
            library: Some(path),
            version,
            execution: Execution::default(),
            shared: None,
        };
        *loaded = Some(runtime.clone());
        Ok(runtime)
    }

    /// Works in an environment that the embedder created with the crate `ort`, on the CPU provider beside the
    /// execution providers that the environment names. [`with_execution`](Self::with_execution) takes another one.
    #[cfg(feature = "unstable-ort")]
    #[must_use]
    pub fn from_environment(environment: Environment) -> Self {
        Self {
            environment,
            library: None,
            version: "embedder's".to_owned(),
            execution: Execution::default(),
            shared: None,
        }
    }

    /// Executes models with this provider from now on.
    ///
    /// # Errors
    /// [`RuntimeError::ProviderOption`] for options that the provider does not take, [`RuntimeError::ProviderMissing`] where the library was built without it, [`RuntimeError::ProviderUnusable`] where it
    /// does not start here, as for want of its own libraries or of a device.
    pub fn with_execution(self, execution: impl Into<Execution>) -> Result<Self, RuntimeError> {
        let execution = execution.into();
        execution.check()?;
        let provider = execution.provider();
        let runtime = Self { execution, ..self };
        if provider != Provider::Cpu && !provider.is_in_library() {
            let library = runtime.at_hand();
            return Err(RuntimeError::ProviderMissing { provider, library });
        }
        if let Err(reason) = runtime.preload() {
            return Err(runtime.unusable(reason));
        }
        // Sooner than with the first model, and with the provider's own words for what is missing.
        match runtime.session_builder() {
            Ok(_) => Ok(runtime),
            Err(reason) => Err(runtime.unusable(reason)),
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
        self.execution.provider()
    }

    /// What executes the models, and how.
    #[must_use]
    pub fn execution(&self) -> &Execution {
        &self.execution
    }

    /// Opens a model from the bytes of an ONNX file. `name` is for messages.
    ///
    /// On the CPU provider the session runs on the thread that calls it: one intra-op thread, no thread pool that could
    /// spin.
    ///
    /// # Errors
    /// [`RuntimeError::Model`] where ONNX Runtime refuses the bytes, [`RuntimeError::ProviderPartial`] where the provider
    /// cannot execute all of the model.
    pub fn open(&self, name: &str, onnx: &[u8]) -> Result<ModelSession, RuntimeError> {
        let Some(shared) = &self.shared else {
            return Ok(ModelSession::own(name, self.sessions(name, onnx)?));
        };
        let mut hasher = DefaultHasher::new();
        onnx.hash(&mut hasher);
        let key = (name.to_owned(), hasher.finish());
        // Held while the model is opened, so that others wait for it and do not open it again.
        let mut shared = shared.lock().unwrap_or_else(PoisonError::into_inner);
        let model = match shared.get(&key) {
            Some(model) => Arc::clone(model),
            None => {
                let sessions = self.sessions(name, onnx)?;
                let gathers = self.execution.takes_any_batch() && sessions.takes_batches();
                let model = Arc::new(Shared::new(name, sessions, gathers));
                shared.insert(key, Arc::clone(&model));
                model
            }
        };
        drop(shared);
        Ok(ModelSession::shared(name, model))
    }

    /// This runtime where its execution [shares sessions](Execution::shares_sessions) with nothing opened so far: what is
    /// opened from now on by it and its clones is opened once for each model. Otherwise the same as before.
    #[must_use]
    pub fn sharing(&self) -> Self {
        Self {
            shared: self.execution.shares_sessions().then(SharedModels::default),
            ..self.clone()
        }
    }

    fn sessions(&self, name: &str, onnx: &[u8]) -> Result<Sessions, RuntimeError> {
        let session = self.session(name, onnx, &[])?;
        let fixed_shapes = match session.inputs() {
            [input] if self.provider().prefers_fixed_shapes() => {
                // What is shared must not hold what it is shared by.
                let runtime = Self {
                    shared: None,
                    ..self.clone()
                };
                FixedShapes::new(runtime, onnx, input)
            }
            _ => None,
        };
        Ok(Sessions::new(name, session, fixed_shapes))
    }

    /// A session in which the input's sizes of these names are fixed.
    pub(crate) fn session(
        &self,
        name: &str,
        onnx: &[u8],
        sizes: &[(&str, i64)],
    ) -> Result<Session, RuntimeError> {
        let builder = self.session_builder().map_err(|reason| self.unusable(reason))?;
        sizes
            .iter()
            .try_fold(builder, |builder, (size, value)| {
                builder
                    .with_dimension_override(size, *value)
                    .map_err(|error| error.to_string())
            })
            .and_then(|mut builder| {
                builder
                    .commit_from_memory(onnx)
                    .map_err(|error| error.to_string())
            })
            .map_err(|reason| self.refused(name, reason))
    }

    fn session_builder(&self) -> Result<SessionBuilder, String> {
        let mut builder = Session::builder(&self.environment)
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
            .map_err(|error| error.to_string())?;
        if self.execution.refuses_cpu_nodes() {
            builder = builder
                .with_disable_cpu_fallback()
                .map_err(|error| error.to_string())?;
        }
        if self.execution.provider() == Provider::DirectMl {
            // It takes sessions without memory patterns only.
            builder = builder
                .with_memory_pattern(false)
                .map_err(|error| error.to_string())?;
        }
        match self.execution.dispatch() {
            Some(provider) => builder
                .with_execution_providers([provider])
                .map_err(|error| error.to_string()),
            None => Ok(builder),
        }
    }

    /// Loads what the provider needs where it lies beside the library, as `make setup-cuda` puts it: NVIDIA's libraries are
    /// looked for in the system's places only, unless the process has them already.
    fn preload(&self) -> Result<(), String> {
        let folder = self.library.as_deref().and_then(Path::parent);
        match (self.provider(), folder) {
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
            provider: self.provider(),
            device: self.execution.device(),
            library: self.at_hand(),
            reason,
        }
    }

    fn refused(&self, model: &str, reason: String) -> RuntimeError {
        let model = model.to_owned();
        // ONNX Runtime has no code of its own for it.
        if self.execution.refuses_cpu_nodes() && reason.contains(CPU_NODES) {
            let provider = self.provider();
            return RuntimeError::ProviderPartial {
                provider,
                model,
                reason,
            };
        }
        RuntimeError::Model { model, reason }
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
