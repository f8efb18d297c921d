//! Where each setting comes from.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fmt;
use std::path::Path;

use secrecy::{ExposeSecret, SecretString};
use toml::Value;

use super::layers::{Layers, Overrides, RenamedSetting, flattened};
use super::settings::{NAMED, Named};
use super::{Config, ConfigError, ENV_APPS, ExposedFile};

/// A configuration, and what set each of its keys. Displayed, it is TOML, with secrets as `<redacted>`.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Explained {
    /// The configuration, checked.
    pub config: Config,
    /// Every setting, by its key.
    pub settings: Vec<Setting>,
    /// The files of this configuration that have secrets in them and that others can read.
    pub exposed_files: Vec<ExposedFile>,
    /// The old names of settings that are used.
    pub renamed: Vec<RenamedSetting>,
}

/// One setting: a key with a value that has no parts of its own, or the whole of `apps` or `profiles`.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Setting {
    /// The path of the key, such as `request_limits.v0_2.selfie.min_side`.
    pub key: String,
    /// Its value; never a secret.
    pub value: Value,
    /// What set it: a file and its line, an environment variable or a flag. `None`: nothing did, it is the default.
    pub origin: Option<String>,
    /// Whether the value is the default, also where something set it so.
    pub is_default: bool,
    /// Where nothing set it and it follows from other settings: how.
    pub derivation: Option<&'static str>,
}

impl Explained {
    /// Reads the layers of [`Config::load`], with these environment variables, and checks the configuration, by
    /// [`Config::validate`] or [`Config::validate_engine`]. Errors name the key and what set it, and show no secret.
    pub fn load(
        file: Option<&Path>,
        env: impl IntoIterator<Item = (OsString, OsString)>,
        overrides: &Overrides,
        check: fn(&Config) -> Result<(), ConfigError>,
    ) -> Result<Self, ConfigError> {
        let layers = Layers::read(file, env, overrides)?;
        let mut config: Config = layers.extract()?;
        if let Some(apps) = &layers.apps {
            config.merge_apps(apps)?;
        }
        check(&config).map_err(|error| error.located(|key| layers.origin(key)))?;
        let defaults = flattened(&Config::default())?;
        let mut values = flattened(&config)?;
        let derived = "connections.max_per_address";
        let max_per_address = i64::try_from(config.max_per_address()).unwrap_or(i64::MAX);
        let is_derived = config.connections.max_per_address.is_none();
        values.entry(derived.to_owned()).or_insert(max_per_address.into());
        let settings = values.into_iter().map(|(key, value)| {
            let mut origin = layers.origin(&key);
            if key == "apps" && layers.apps.is_some() {
                let before = origin.map(|origin| format!("{origin}, ")).unwrap_or_default();
                origin = Some(format!("{before}{ENV_APPS}"));
            }
            let is_derived = is_derived && key == derived;
            Setting {
                origin: origin.filter(|_| !is_derived),
                is_default: is_derived || defaults.get(&key) == Some(&value),
                derivation: is_derived.then(|| config.why_max_per_address()),
                key,
                value,
            }
        });
        let secret_files = layers.secret_files.iter().chain(&config.tls.key);
        Ok(Self {
            settings: settings.collect(),
            exposed_files: secret_files.filter_map(|path| ExposedFile::find(path)).collect(),
            renamed: layers.renamed.clone(),
            config,
        })
    }

    /// Logs which settings have old names or make secrets easy to get at. They can be used all the same.
    pub fn log_warnings(&self) {
        for RenamedSetting { origin, old, new } in &self.renamed {
            tracing::warn!(
                origin,
                old,
                new,
                "setting has been renamed; the next minor version ignores the old name"
            );
        }
        for file in &self.exposed_files {
            tracing::warn!(
                file = %file.path.display(),
                mode = format!("{:04o}", file.mode),
                run = file.remedy(),
                "file with secrets can be read by other users"
            );
        }
        let weak = self.config.apps_with_weak_keys();
        if !weak.is_empty() {
            tracing::warn!(
                apps = weak.join(", "),
                setting = "allow_weak_keys",
                "apps have weak keys"
            );
        }
    }
}

impl Config {
    /// The keys whose values differ between the two configurations, secrets included, sorted.
    pub(crate) fn differences(&self, other: &Self) -> Result<Vec<String>, ConfigError> {
        let (old, new) = (flattened(self)?, flattened(other)?);
        let keys = old
            .keys()
            .chain(new.keys())
            .filter(|key| old.get(*key) != new.get(*key));
        // These are written as redacted, whatever they are.
        let secrets = self.secrets().into_iter().zip(other.secrets());
        let secrets = secrets
            .filter(|(before, after)| before != after)
            .map(|((key, _), _)| key);
        let keys: BTreeSet<String> = keys.cloned().chain(secrets.map(ToOwned::to_owned)).collect();
        Ok(keys.into_iter().collect())
    }

    /// The secrets, by their keys.
    fn secrets(&self) -> [(&'static str, Vec<&str>); 5] {
        fn exposed<'a>(secrets: impl IntoIterator<Item = &'a SecretString>) -> Vec<&'a str> {
            secrets.into_iter().map(ExposeSecret::expose_secret).collect()
        }
        [
            ("admin.token", exposed(&self.admin.token)),
            ("admin.metrics_token", exposed(&self.admin.metrics_token)),
            ("apps", exposed(self.apps.iter().map(|app| &app.key))),
            ("audit.chain_key", exposed(&self.audit.chain_key)),
            ("database.url", exposed(&self.database.url)),
        ]
    }
}

impl Named {
    /// Returns what holds where nothing sets it.
    #[must_use]
    pub fn default(&self) -> Option<String> {
        let default = || flattened(&Config::default()).ok()?.remove(self.key);
        let text = |value: Value| {
            value
                .as_str()
                .map_or_else(|| value.to_string(), ToOwned::to_owned)
        };
        self.unset.map(ToOwned::to_owned).or_else(|| default().map(text))
    }
}

impl fmt::Display for Explained {
    /// TOML, each setting with what set it; those that have no value as comments with what holds instead.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (lists, others): (Vec<_>, Vec<_>) = self
            .settings
            .iter()
            .partition(|setting| is_list_of_tables(&setting.value));
        let lines = others.into_iter().map(|setting| {
            let why = setting.origin.as_deref().or(setting.derivation);
            let why = why.map(|why| format!("  # {why}")).unwrap_or_default();
            (setting.key.as_str(), format!(" = {}{why}", setting.value))
        });
        let is_unset = |named: &&Named| self.settings.iter().all(|setting| setting.key != named.key);
        let unset = |named: &Named| Some((named.key, format!("  # unset: {}", named.unset?)));
        let mut lines: Vec<_> = lines
            .chain(NAMED.iter().filter(is_unset).filter_map(unset))
            .collect();
        lines.sort_by_key(|(key, _)| (key.contains('.'), *key));
        let mut current = "";
        for (path, line) in lines {
            let (section, key) = path.split_once('.').unwrap_or(("", path));
            if section != current {
                writeln!(f, "\n[{section}]")?;
                current = section;
            }
            let comment = if line.starts_with(" =") { "" } else { "# " };
            writeln!(f, "{comment}{key}{line}")?;
        }
        for Setting {
            key, value, origin, ..
        } in lists
        {
            writeln!(f)?;
            if let Some(origin) = origin {
                writeln!(f, "# {origin}")?;
            }
            let table = toml::Table::from_iter([(key.clone(), value.clone())]);
            f.write_str(&toml::to_string(&table).map_err(|_| fmt::Error)?)?;
        }
        Ok(())
    }
}

fn is_list_of_tables(value: &Value) -> bool {
    let list = value.as_array();
    list.is_some_and(|list| !list.is_empty() && list.iter().all(Value::is_table))
}
