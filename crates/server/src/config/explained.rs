//! Where each setting comes from.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt::{self, Write};
use std::path::Path;

use figment::Figment;
use secrecy::{ExposeSecret, SecretString};
use toml::{Table, Value};

use super::layers::{DEFAULTS, Environment, Layer};
use super::{Config, ConfigError, ENV_APPS, ExposedFile, Overrides};

/// A configuration, and what set each of its keys. Written with [`Display`](fmt::Display) it is TOML that could be read
/// again, but for the secrets, which are shown as `<redacted>`.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Explained {
    /// The configuration, checked.
    pub config: Config,
    settings: Vec<Setting>,
    /// Settings that nothing sets and that have no value of their own: their keys, and what holds instead.
    unset: Vec<(&'static str, &'static str)>,
    exposed: Vec<ExposedFile>,
}

/// One setting: a key with a value that has no parts of its own, or the whole of `apps` or `profiles`.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Setting {
    /// The path of the key, such as `limits.v0_2.selfie.min_side`.
    pub key: String,
    /// Its value; never a secret.
    pub value: Value,
    /// What set it: a file, an environment variable or a flag. `None`: nothing did, it is the default.
    pub origin: Option<String>,
    /// Whether the value is the default, also where something set it so.
    pub is_default: bool,
    /// Where nothing set it and it follows from other settings: how.
    pub derivation: Option<&'static str>,
}

impl Explained {
    /// Reads the layers of [`Config::load_with_env`].
    ///
    /// # Errors
    /// [`ConfigError`], which names the key and never shows a secret.
    pub fn load(
        file: Option<&Path>,
        env: impl IntoIterator<Item = (OsString, OsString)>,
        overrides: &Overrides,
    ) -> Result<Self, ConfigError> {
        let mut figment = Figment::from(Layer::defaults()?);
        let mut secret_files = Vec::new();
        if let Some(file) = file {
            let layer = Layer::file(file)?;
            if layer.has_secrets() {
                secret_files.push(file.to_owned());
            }
            figment = figment.merge(layer);
        }
        let mut env = Environment::read(env)?;
        secret_files.append(&mut env.files);
        for layer in env.layers.into_iter().chain(Layer::flags(overrides)) {
            figment = figment.merge(layer);
        }
        let mut config: Config = figment
            .extract()
            .map_err(|error| ConfigError::from_figment(&error))?;
        let origin = |key: &str| {
            let name = figment.find_metadata(key)?.name.clone().into_owned();
            (name != DEFAULTS).then_some(name)
        };
        if let Some(apps) = &env.apps {
            config.merge_apps(apps)?;
        }
        config.validate()?;
        let defaults = flattened(&Config::default())?;
        let mut settings = Vec::new();
        for (key, value) in flattened(&config)? {
            let mut origin = origin(&key);
            if key == "apps" && env.apps.is_some() {
                origin = Some(match origin {
                    Some(name) => format!("{name}, {ENV_APPS}"),
                    None => ENV_APPS.to_owned(),
                });
            }
            let is_default = defaults.get(&key) == Some(&value);
            settings.push(Setting {
                key,
                value,
                origin,
                is_default,
                derivation: None,
            });
        }
        if config.connections.max_per_address.is_none() {
            settings.push(Setting {
                key: "connections.max_per_address".to_owned(),
                value: Value::Integer(i64::try_from(config.max_per_address()).unwrap_or(i64::MAX)),
                origin: None,
                is_default: true,
                derivation: Some(config.why_max_per_address()),
            });
            settings.sort_by(|one, other| one.key.cmp(&other.key));
        }
        let mut unset = Vec::new();
        if config.safety.min_face_score.is_none() {
            unset.push(("safety.min_face_score", "unset: the threshold of the model pack"));
        }
        secret_files.extend(config.tls.key.clone());
        let exposed = secret_files.iter().filter_map(|path| ExposedFile::find(path));
        Ok(Self {
            exposed: exposed.collect(),
            config,
            settings,
            unset,
        })
    }

    /// Says in the log which settings make secrets easy to get at. They can be used all the same.
    pub fn log_warnings(&self) {
        for file in &self.exposed {
            tracing::warn!(
                file = %file.path.display(),
                mode = format!("{:04o}", file.mode),
                run = file.remedy(),
                "a file with secrets in it can be read by others"
            );
        }
        let weak = self.config.apps_with_weak_keys();
        if !weak.is_empty() {
            tracing::warn!(
                apps = weak.join(", "),
                setting = "allow_weak_keys",
                "apps have keys that are easy to guess"
            );
        }
    }

    /// The files of this configuration that have secrets in them and that others can read.
    #[must_use]
    pub fn exposed_files(&self) -> &[ExposedFile] {
        &self.exposed
    }

    /// Every setting, by its key.
    #[must_use]
    pub fn settings(&self) -> &[Setting] {
        &self.settings
    }
}

impl Config {
    /// The keys whose values differ between the two configurations, each once, by their path. Secrets are told from each
    /// other without being shown.
    pub(crate) fn differences(&self, other: &Self) -> Result<Vec<String>, ConfigError> {
        let (old, new) = (flattened(self)?, flattened(other)?);
        let mut keys: Vec<String> = old.keys().chain(new.keys()).cloned().collect();
        keys.sort_unstable();
        keys.dedup();
        keys.retain(|key| old.get(key) != new.get(key));
        // These are written as redacted, whatever they are.
        let exposed = |secret: Option<&SecretString>| secret.map(|secret| secret.expose_secret().to_owned());
        for ((key, old), (_, new)) in self.secrets().into_iter().zip(other.secrets()) {
            if exposed(old) != exposed(new) && !keys.iter().any(|known| known == key) {
                keys.push(key.to_owned());
            }
        }
        if self.apps.len() == other.apps.len()
            && !keys.iter().any(|key| key == "apps")
            && self
                .apps
                .iter()
                .zip(&other.apps)
                .any(|(old, new)| exposed(Some(&old.key)) != exposed(Some(&new.key)))
        {
            keys.push("apps".to_owned());
        }
        Ok(keys)
    }

    /// The settings that are secrets, but for those of the apps.
    fn secrets(&self) -> [(&'static str, Option<&SecretString>); 4] {
        [
            ("admin.token", self.admin.token.as_ref()),
            ("audit.chain_key", self.audit.chain_key.as_ref()),
            ("storage.url", self.storage.url.as_ref()),
            ("admin.metrics_token", self.admin.metrics_token.as_ref()),
        ]
    }
}

/// The settings by their paths. Lists are not taken apart.
fn flattened(config: &Config) -> Result<BTreeMap<String, Value>, ConfigError> {
    let table =
        Table::try_from(config).map_err(|error| ConfigError::invalid("configuration", error.to_string()))?;
    let mut flat = BTreeMap::new();
    flatten("", table, &mut flat);
    Ok(flat)
}

fn flatten(prefix: &str, table: Table, flat: &mut BTreeMap<String, Value>) {
    for (key, value) in table {
        let path = if prefix.is_empty() {
            key
        } else {
            format!("{prefix}.{key}")
        };
        match value {
            Value::Table(table) => flatten(&path, table, flat),
            value => drop(flat.insert(path, value)),
        }
    }
}

impl fmt::Display for Explained {
    /// TOML: first the settings that are in no section, then section by section, each with what set it where
    /// something did.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let is_list = |setting: &&Setting| is_list_of_tables(&setting.value);
        let (lists, others): (Vec<_>, Vec<_>) = self.settings.iter().partition(is_list);
        let (sections, top): (Vec<_>, Vec<_>) =
            others.into_iter().partition(|setting| setting.key.contains('.'));
        for setting in top {
            write_setting(f, &setting.key, setting)?;
        }
        let mut current = "";
        for setting in sections {
            let Some((section, key)) = setting.key.split_once('.') else {
                continue;
            };
            if section != current {
                self.write_unset(f, current)?;
                writeln!(f, "\n[{section}]")?;
                current = section;
            }
            write_setting(f, key, setting)?;
        }
        self.write_unset(f, current)?;
        for setting in lists {
            f.write_char('\n')?;
            if let Some(origin) = &setting.origin {
                writeln!(f, "# {origin}")?;
            }
            let table = Table::from_iter([(setting.key.clone(), setting.value.clone())]);
            f.write_str(&toml::to_string(&table).map_err(|_| fmt::Error)?)?;
        }
        Ok(())
    }
}

impl Explained {
    /// The keys of a section that have no value, as comments.
    fn write_unset(&self, f: &mut fmt::Formatter<'_>, section: &str) -> fmt::Result {
        for (key, meaning) in &self.unset {
            if let Some((_, key)) = key.split_once('.').filter(|(found, _)| *found == section) {
                writeln!(f, "# {key}  # {meaning}")?;
            }
        }
        Ok(())
    }
}

fn is_list_of_tables(value: &Value) -> bool {
    value
        .as_array()
        .is_some_and(|list| !list.is_empty() && list.iter().all(Value::is_table))
}

fn write_setting(f: &mut fmt::Formatter<'_>, key: &str, setting: &Setting) -> fmt::Result {
    let value = &setting.value;
    match setting.origin.as_deref().or(setting.derivation) {
        Some(origin) => writeln!(f, "{key} = {value}  # {origin}"),
        None => writeln!(f, "{key} = {value}"),
    }
}
