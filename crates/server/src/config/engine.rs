//! The engine: library, models, execution provider.

use std::path::PathBuf;
use std::time::Duration;

use likeness_engine::packs::{DEFAULT_PACK, Pass, Passes, StoreSearch};
use likeness_engine::runtime::{
    Execution, ExecutionError, LibrarySearch, Precision, Provider, ProviderOptions, available_workers,
};
use likeness_engine::{CohortChoice, Engine, EngineBuilder, default_passes};
use serde::{Deserialize, Serialize};
use smart_default::SmartDefault;

use super::values::{by_name, seconds};
use super::{Config, ConfigError};

/// The engine. What is absent is left to the library or the model pack; options of the provider: see [`ProviderOptions`].
#[derive(Debug, Clone, PartialEq, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
#[allow(missing_docs, reason = "`ProviderOptions` explains the options")]
pub struct EngineConfig {
    /// Folder of the model store.
    pub models: Option<PathBuf>,
    /// The model pack: a built-in or installed one by its name, or another by the path of its `pack.toml`.
    pub pack: Option<String>,
    /// The ONNX Runtime library.
    pub runtime_library: Option<PathBuf>,
    /// Graph optimizations to skip, separated by commas, or `all`.
    pub skip_optimizations: Option<String>,
    /// Verifications that run in parallel.
    pub workers: Option<usize>,
    /// Limit of faces of an image, the largest first; with `image_multiface` each costs an embedding.
    pub max_faces: Option<usize>,
    /// The lowest detector score of a face, 0 to 1.
    pub min_face_score: Option<f64>,
    /// The execution provider.
    #[serde(default, with = "by_name")]
    pub provider: Option<Provider>,
    pub device_id: Option<u16>,
    pub device_type: Option<String>,
    pub memory_limit_mib: Option<u32>,
    #[serde(default, with = "by_name")]
    pub precision: Option<Precision>,
    pub threads: Option<u16>,
    pub streams: Option<u8>,
    pub cache_folder: Option<PathBuf>,
    pub cpu_nodes: Option<bool>,
    pub shared_sessions: Option<bool>,
}

impl EngineConfig {
    /// Returns the provider with its options.
    pub fn execution(&self) -> Execution {
        let options = ProviderOptions {
            device_id: self.device_id,
            device_type: self.device_type.clone(),
            memory_limit_mib: self.memory_limit_mib,
            precision: self.precision,
            threads: self.threads,
            streams: self.streams,
            cache_folder: self.cache_folder.clone(),
            cpu_nodes: self.cpu_nodes,
            shared_sessions: self.shared_sessions,
        };
        Execution::new(self.provider.unwrap_or_default(), options)
    }

    /// Returns where the ONNX Runtime library is.
    pub fn library(&self) -> LibrarySearch {
        let files = self.runtime_library.iter();
        files.fold(LibrarySearch::new(), LibrarySearch::with_file)
    }

    /// Returns where the model store is.
    pub fn store(&self) -> StoreSearch {
        let folders = self.models.iter();
        folders.fold(StoreSearch::new(), StoreSearch::with_folder)
    }

    /// Returns the optimization passes for models on this provider.
    pub fn passes(&self, provider: Provider) -> Passes {
        // What cannot be parsed was rejected before.
        let chosen = self.chosen_passes().ok().flatten();
        chosen.unwrap_or_else(|| default_passes(provider))
    }

    /// Returns the name or path of the model pack.
    pub fn pack_name(&self) -> &str {
        self.pack.as_deref().unwrap_or(DEFAULT_PACK)
    }

    /// Returns how many verifications run in parallel.
    pub fn workers(&self) -> usize {
        self.workers.unwrap_or_else(available_workers)
    }

    fn chosen_passes(&self) -> Result<Option<Passes>, ConfigError> {
        let Some(names) = self.skip_optimizations.as_deref() else {
            return Ok(None);
        };
        if names == "all" {
            return Ok(Some(Passes::none()));
        }
        let skip = |passes: Passes, name: &str| {
            let pass = name.trim().parse::<Pass>();
            let invalid = |error| ConfigError::invalid("engine.skip_optimizations", format!("{error}"));
            pass.map(|pass| passes.without(pass)).map_err(invalid)
        };
        names.split(',').try_fold(Passes::all(), skip).map(Some)
    }

    pub(super) fn validate(&self) -> Result<(), ConfigError> {
        self.chosen_passes()?;
        self.execution().check().map_err(|error| match error {
            ExecutionError::Option {
                option,
                provider,
                reason,
            } => ConfigError::invalid(
                format!("engine.{option}"),
                format!("provider {provider}: {reason}"),
            ),
            other => ConfigError::invalid("engine", other.to_string()),
        })
    }
}

impl Config {
    /// Returns a builder of the engine that these settings describe.
    pub fn engine_builder(&self) -> EngineBuilder {
        let engine = &self.engine;
        let mut builder = Engine::builder()
            .library(engine.library())
            .store(engine.store())
            .pack(engine.pack_name())
            .provider(engine.execution())
            .workers(engine.workers())
            .limits(self.image_limits.into())
            .heif(self.imaging.heif.into());
        let passes = engine.chosen_passes().ok().flatten().into_iter();
        builder = passes.fold(builder, EngineBuilder::passes);
        let max_faces = engine.max_faces.into_iter();
        builder = max_faces.fold(builder, EngineBuilder::max_faces);
        if let Some(score) = engine.min_face_score {
            builder = builder.min_face_score(score as f32);
        }
        if self.no_cohort {
            builder = builder.cohort(CohortChoice::None);
        } else if let Some(file) = &self.cohort_file {
            builder = builder.cohort(CohortChoice::File(file.clone()));
        }
        let files = self.calibration_files.iter();
        files.fold(builder, EngineBuilder::calibration_file)
    }
}

/// How changed models are noticed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, SmartDefault)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct ReloadConfig {
    /// Pause between two polls of the pack's manifest and the calibration files. 0: only a reload reads them. Default: 10 s.
    #[serde(rename = "check_seconds", with = "seconds")]
    #[default(Duration::from_secs(10))]
    pub check: Duration,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Explained, Overrides};

    fn load(env: &[(&str, &str)], overrides: &Overrides) -> Result<EngineConfig, String> {
        let env = env.iter().map(|(name, value)| (name.into(), value.into()));
        let explained = Explained::load(None, env, overrides, Config::validate_engine);
        explained
            .map(|explained| explained.config.engine)
            .map_err(|error| error.to_string())
    }

    #[test]
    fn flags_override_the_environment() {
        let env = [
            ("LIKENESS__ENGINE__PROVIDER", "openvino"),
            ("LIKENESS__ENGINE__THREADS", "2"),
            ("LIKENESS__ENGINE__CACHE_FOLDER", "cache"),
        ];
        let found = load(&env, &Overrides::default()).unwrap();
        assert_eq!(
            (found.provider, found.threads),
            (Some(Provider::OpenVino), Some(2))
        );
        assert_eq!(found.execution().options.cache_folder, Some("cache".into()));
        let flags = Overrides::default()
            .with_assignment("--set", "engine.threads=3")
            .unwrap();
        assert_eq!(load(&env, &flags).unwrap().threads, Some(3));
        let flags = Overrides::default().with("--provider", "engine.provider", "cuda");
        assert_eq!(
            load(&env, &flags).unwrap_err(),
            "configuration: engine.threads (set by LIKENESS__ENGINE__THREADS): provider cuda: it is an option of openvino"
        );
        assert_eq!(load(&[], &Overrides::default()).unwrap(), EngineConfig::default());
    }

    #[test]
    fn a_cohort_and_none_exclude_each_other() {
        let load = |env: &[(&str, &str)], overrides: &Overrides| {
            let env = env.iter().map(|(name, value)| (name.into(), value.into()));
            let explained = Explained::load(None, env, overrides, Config::validate_engine);
            explained.map(|explained| explained.config)
        };
        let config = load(&[("LIKENESS__COHORT_FILE", "a.bin")], &Overrides::default()).unwrap();
        assert_eq!(
            (config.cohort_file, config.no_cohort),
            (Some("a.bin".into()), false)
        );
        let none = Overrides::default().with("--no-cohort", "no_cohort", true);
        assert!(load(&[], &none).unwrap().no_cohort);
        for overrides in [
            none.clone().with("--cohort", "cohort_file", "a.bin"),
            none.with_assignment("--set", "cohort_file=a.bin").unwrap(),
        ] {
            assert_eq!(
                load(&[], &overrides).unwrap_err().to_string(),
                "configuration: no_cohort (set by --no-cohort): cohort_file is set as well: name a cohort, or use none"
            );
        }
    }

    #[test]
    fn what_is_wrong_is_named_by_its_key() {
        for (key, value, expected) in [
            (
                "PROVIDER",
                "rocm",
                "engine.provider (set by LIKENESS__ENGINE__PROVIDER): there is no execution provider 'rocm': it must be one of \
                 cpu, openvino, cuda, tensorrt, coreml, directml",
            ),
            (
                "PRECISION",
                "f64",
                "engine.precision (set by LIKENESS__ENGINE__PRECISION): there is no precision 'f64': it must be f32, tf32 or f16",
            ),
            (
                "PRECISION",
                "f16",
                "engine.precision (set by LIKENESS__ENGINE__PRECISION): provider cpu: cpu has no f16",
            ),
            (
                "DEVICE_ID",
                "1",
                "engine.device_id (set by LIKENESS__ENGINE__DEVICE_ID): provider cpu: it is an option of cuda, tensorrt, directml",
            ),
        ] {
            let name = format!("LIKENESS__ENGINE__{key}");
            let said = load(&[(&name, value)], &Overrides::default()).unwrap_err();
            assert_eq!(said, format!("configuration: {expected}"));
        }
        let said = load(&[("LIKENESS__ENGINE__GPU", "1")], &Overrides::default()).unwrap_err();
        assert!(said.contains("gpu"), "{said}");
    }
}
