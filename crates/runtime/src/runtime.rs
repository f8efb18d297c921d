//! The process's ONNX Runtime.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::Path;
use std::sync::Arc;

#[cfg(feature = "unstable-ort")]
use ort::environment::Environment;
use ort::logging::LogLevel;
use parking_lot::Mutex;

use crate::error::RuntimeError;
use crate::library::{Library, LibrarySearch};
use crate::opener::Opener;
use crate::provider::{Execution, Provider};
use crate::session::ModelSession;
use crate::sessions::Sessions;
use crate::shared::Shared;

/// The process's ONNX Runtime: opens models. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Runtime {
    opener: Opener,
    /// What was opened to be shared. `None`: each has its own.
    shared: Option<SharedModels>,
}

/// By a model's name and a digest of its bytes.
type SharedModels = Arc<Mutex<BTreeMap<(String, u64), Arc<Shared>>>>;

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
    /// Finds and loads ONNX Runtime, and checks that it has the execution provider and that the provider starts here. Where this
    /// process has loaded one before, that is used, unless the search names another file.
    ///
    /// The program `likeness` sets [`ENV_NO_TELEMETRY`] itself. Start your own program with it: a library cannot set a variable of
    /// a process with threads. Where it is not set, a warning is logged.
    ///
    /// # Errors
    /// No library, one that does not load or is too old, or another one already in use in this process; a provider that the
    /// library lacks or that does not start.
    pub fn load(search: &LibrarySearch, execution: impl Into<Execution>) -> Result<Self, RuntimeError> {
        let execution = execution.into();
        execution.check()?;
        Self::loaded(search, execution.provider)?.with_execution(execution)
    }

    /// Returns the process's library, with the CPU provider.
    fn loaded(search: &LibrarySearch, provider: Provider) -> Result<Self, RuntimeError> {
        let mut loaded = LOADED.lock();
        if let Some(runtime) = loaded.as_ref()
            && search.given().is_none()
        {
            return Ok(runtime.clone());
        }
        if std::env::var_os(ENV_NO_TELEMETRY).is_none_or(|value| value != "1") {
            tracing::warn!(
                variable = ENV_NO_TELEMETRY,
                "ONNX Runtime may send telemetry: the variable is not 1"
            );
        }
        let Library { path, version } = search.find(provider)?;
        if let Some(runtime) = loaded.as_ref() {
            return match &runtime.opener.library {
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
            opener: Opener {
                environment,
                library: Some(path),
                version,
                execution: Execution::default(),
            },
            shared: None,
        };
        *loaded = Some(runtime.clone());
        Ok(runtime)
    }

    /// Returns a runtime in an environment that the embedder created with the crate `ort`, on the CPU provider beside the
    /// execution providers that the environment names. [`with_execution`](Self::with_execution) takes another one.
    #[cfg(feature = "unstable-ort")]
    #[must_use]
    pub fn from_environment(environment: Environment) -> Self {
        let opener = Opener {
            environment,
            library: None,
            version: "embedder's".to_owned(),
            execution: Execution::default(),
        };
        Self { opener, shared: None }
    }

    /// Returns the runtime with another execution provider.
    ///
    /// # Errors
    /// [`RuntimeError::Execution`] for options that the provider does not take, [`RuntimeError::ProviderMissing`] where the
    /// library was built without it, [`RuntimeError::ProviderUnusable`] where it does not start here, because its own libraries
    /// or a device are missing.
    pub fn with_execution(mut self, execution: impl Into<Execution>) -> Result<Self, RuntimeError> {
        self.opener.execution = execution.into();
        self.opener.check()?;
        Ok(self)
    }

    /// Returns the library in use, where this crate loaded it.
    #[must_use]
    pub fn library(&self) -> Option<&Path> {
        self.opener.library.as_deref()
    }

    /// Returns the version of ONNX Runtime, as it reports it.
    #[must_use]
    pub fn version(&self) -> &str {
        &self.opener.version
    }

    /// Returns the execution provider.
    #[must_use]
    pub fn provider(&self) -> Provider {
        self.opener.execution.provider
    }

    /// Returns the execution provider and its options.
    #[must_use]
    pub fn execution(&self) -> &Execution {
        &self.opener.execution
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
        let open = || {
            let sessions = Sessions::open(name, onnx, &self.opener)?;
            let gathers = self.opener.execution.takes_any_batch() && sessions.takes_batches();
            Ok::<_, RuntimeError>(Arc::new(Shared::new(name, sessions, gathers)))
        };
        let Some(shared) = &self.shared else {
            return open().map(ModelSession::new);
        };
        let mut hasher = DefaultHasher::new();
        onnx.hash(&mut hasher);
        let key = (name.to_owned(), hasher.finish());
        // Held while the model is opened, so that others wait for it and do not open it again.
        let mut shared = shared.lock();
        let model = match shared.entry(key) {
            Entry::Occupied(model) => model.into_mut(),
            Entry::Vacant(place) => place.insert(open()?),
        };
        Ok(ModelSession::new(Arc::clone(model)))
    }

    /// This runtime where its execution [shares sessions](Execution::shares_sessions) with nothing opened so far: what is
    /// opened from now on by it and its clones is opened once for each model. Otherwise the same as before.
    #[must_use]
    pub fn sharing(&self) -> Self {
        Self {
            shared: self
                .opener
                .execution
                .shares_sessions()
                .then(SharedModels::default),
            ..self.clone()
        }
    }
}

/// Returns whether two paths lead to the same file, by whatever links.
fn is_same_file(a: &Path, b: &Path) -> bool {
    let target = |path: &Path| path.canonicalize().unwrap_or_else(|_| path.to_owned());
    target(a) == target(b)
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
