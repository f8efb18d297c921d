//! What executes the models.

use std::ffi::OsString;
use std::path::PathBuf;

use figment::Figment;
use likeness_engine::runtime::{Execution, ExecutionError, Precision, Provider, ProviderOptions};
use serde::{Deserialize, Serialize};

use super::layers::{Environment, Layer};
use super::{ConfigError, ENV_PREFIX, Overrides};

/// The execution provider and its options; what they mean is said at [`ProviderOptions`]. An option that the provider does
/// not have is an error.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct EngineConfig {
    /// What executes the models. Default: `cpu`.
    #[serde(default, with = "by_name")]
    pub provider: Provider,
    /// Number of the GPU, from 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device_id: Option<u16>,
    /// Kind of device.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device_type: Option<String>,
    /// How much of the GPU's memory a session may take, in MiB.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory_limit_mib: Option<u32>,
    /// With which numbers it computes.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "maybe_by_name")]
    pub precision: Option<Precision>,
    /// Threads that compute for one session.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub threads: Option<u16>,
    /// Calls of one session at the same time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub streams: Option<u8>,
    /// Folder for compiled models.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cache_folder: Option<PathBuf>,
    /// Whether parts of a model that the provider cannot execute may run on the CPU.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu_nodes: Option<bool>,
    /// Whether all workers use the same sessions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shared_sessions: Option<bool>,
}

impl EngineConfig {
    /// This section as the environment and a command line set it, for programs that read no configuration otherwise.
    ///
    /// # Errors
    /// [`ConfigError`], which names the key.
    pub fn load_with_env(
        env: impl IntoIterator<Item = (OsString, OsString)>,
        overrides: &Overrides,
    ) -> Result<Self, ConfigError> {
        #[derive(Deserialize)]
        struct Section {
            #[serde(default)]
            engine: EngineConfig,
        }
        let prefix = format!("{ENV_PREFIX}ENGINE__");
        let env = env
            .into_iter()
            .filter(|(name, _)| name.to_str().is_some_and(|name| name.starts_with(&prefix)));
        let flags = Layer::flags(overrides).filter(Layer::is_of_engine);
        let figment = Environment::read(env)?
            .layers
            .into_iter()
            .chain(flags)
            .fold(Figment::new(), Figment::merge);
        let Section { engine } = figment
            .extract()
            .map_err(|error| ConfigError::from_figment(&error))?;
        engine.validate()?;
        Ok(engine)
    }

    /// The provider with its options.
    #[must_use]
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
        Execution::new(self.provider, options)
    }

    pub(super) fn validate(&self) -> Result<(), ConfigError> {
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

/// Values that are written by their names.
mod by_name {
    use std::fmt::Display;
    use std::str::FromStr;

    use serde::{Deserialize, Deserializer, Serializer, de};

    pub(super) fn serialize<S: Serializer>(value: &impl Display, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(value)
    }

    pub(super) fn deserialize<'de, D, T>(deserializer: D) -> Result<T, D::Error>
    where
        D: Deserializer<'de>,
        T: FromStr<Err: Display>,
    {
        let name = String::deserialize(deserializer)?;
        name.parse().map_err(de::Error::custom)
    }
}

/// The same where there may be none.
mod maybe_by_name {
    use std::fmt::Display;
    use std::str::FromStr;

    use serde::{Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(
        value: &Option<impl Display>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        match value {
            Some(value) => serializer.collect_str(value),
            None => serializer.serialize_none(),
        }
    }

    pub(super) fn deserialize<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
    where
        D: Deserializer<'de>,
        T: FromStr<Err: Display>,
    {
        super::by_name::deserialize(deserializer).map(Some)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(env: &[(&str, &str)], overrides: &Overrides) -> Result<EngineConfig, String> {
        let env = env.iter().map(|(name, value)| (name.into(), value.into()));
        EngineConfig::load_with_env(env, overrides).map_err(|error| error.to_string())
    }

    #[test]
    fn flags_win_over_the_environment_and_nothing_else_of_it_is_looked_at() {
        let env = [
            ("LIKENESS__ENGINE__PROVIDER", "openvino"),
            ("LIKENESS__ENGINE__THREADS", "2"),
            ("LIKENESS__ENGINE__CACHE_FOLDER", "cache"),
            ("LIKENESS__NO__SUCH__KEY", "1"),
            ("LIKENESS_LISTEN", "nowhere"),
        ];
        let found = load(&env, &Overrides::default()).unwrap();
        assert_eq!((found.provider, found.threads), (Provider::OpenVino, Some(2)));
        assert_eq!(found.execution().options().cache_folder, Some("cache".into()));
        let flags = Overrides::default().with_provider_options(vec![("threads".into(), "3".into())]);
        assert_eq!(load(&env, &flags).unwrap().threads, Some(3));
        let flags = Overrides::default().with_provider(Some(Provider::Cuda));
        assert_eq!(
            load(&env, &flags).unwrap_err(),
            "configuration: engine.threads: provider cuda: it is an option of openvino"
        );
        assert_eq!(load(&[], &Overrides::default()).unwrap(), EngineConfig::default());
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
                "engine.precision: provider cpu: cpu has no f16",
            ),
            (
                "DEVICE_ID",
                "1",
                "engine.device_id: provider cpu: it is an option of cuda, tensorrt, directml",
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
