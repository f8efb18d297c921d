//! The layers that settings are read from: the defaults, a file, credentials, the environment.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use figment::value::{Dict, Map, Value};
use figment::{Metadata, Provider};
use secrecy::SecretString;
use serde::Serialize;

use super::credentials::{self, ENV_CREDENTIALS};
use super::{
    Config, ConfigError, ENV_ADMIN_LISTEN, ENV_ADMIN_TOKEN, ENV_APPS, ENV_AUDIT_CHAIN_KEY, ENV_LISTEN,
    ENV_LOG, ENV_PREFIX, ENV_STORAGE_URL, Overrides,
};

/// The variables that set one key each, with its path.
const ENV_KEYS: [(&str, &str); 6] = [
    (ENV_LISTEN, "listen"),
    (ENV_ADMIN_LISTEN, "admin.listen"),
    (ENV_ADMIN_TOKEN, "admin.token"),
    (ENV_STORAGE_URL, "storage.url"),
    (ENV_AUDIT_CHAIN_KEY, "audit.chain_key"),
    (ENV_LOG, "log.filter"),
];

/// Name of the first layer.
pub(super) const DEFAULTS: &str = "the defaults";

/// One layer of settings, with the name that errors show.
pub(super) struct Layer {
    name: String,
    settings: Dict,
}

impl Provider for Layer {
    fn metadata(&self) -> Metadata {
        Metadata::named(self.name.clone())
    }

    fn data(&self) -> Result<Map<figment::Profile, Dict>, figment::Error> {
        Ok(figment::Profile::Default.collect(self.settings.clone()))
    }
}

impl Layer {
    /// A layer with one key, by its path.
    pub(super) fn of_key(name: String, key: &str, value: impl Into<Value>) -> Self {
        let settings = figment::util::nest(key, value.into());
        Self {
            name,
            settings: settings.into_dict().unwrap_or_default(),
        }
    }

    fn new(name: String, settings: &impl Serialize) -> Result<Self, ConfigError> {
        let settings = Value::serialize(settings).map_err(|error| ConfigError::from_figment(&error))?;
        Ok(Self {
            name,
            settings: settings.into_dict().unwrap_or_default(),
        })
    }

    pub(super) fn defaults() -> Result<Self, ConfigError> {
        Self::new(DEFAULTS.to_owned(), &Config::default())
    }

    /// What a command line says, a layer for each flag.
    pub(super) fn flags(overrides: &Overrides) -> impl Iterator<Item = Self> + use<'_> {
        let options = overrides.provider_options.iter().map(|(name, value)| {
            Self::of_key(
                "--provider-option".to_owned(),
                &format!("engine.{name}"),
                parsed(value),
            )
        });
        [
            ("--listen", "listen", overrides.listen.map(|it| it.to_string())),
            (
                "--admin-listen",
                "admin.listen",
                overrides.admin_listen.map(|it| it.to_string()),
            ),
            (
                "--log-format",
                "log.format",
                overrides.log_format.map(|it| it.as_str().to_owned()),
            ),
            (
                "--provider",
                "engine.provider",
                overrides.provider.map(|it| it.as_str().to_owned()),
            ),
        ]
        .into_iter()
        .filter_map(|(flag, key, value)| Some(Self::of_key(flag.to_owned(), key, value?)))
        .chain(options)
    }

    pub(super) fn is_of_engine(&self) -> bool {
        self.settings.contains_key("engine")
    }

    pub(super) fn file(path: &Path) -> Result<Self, ConfigError> {
        let text = std::fs::read_to_string(path).map_err(|source| ConfigError::File {
            path: path.to_owned(),
            source,
        })?;
        // Not figment's own TOML provider: its errors quote the line, and the line may hold a key.
        let table: toml::Table = toml::from_str(&text).map_err(|error| {
            let start = error.span().map_or(0, |span| span.start);
            ConfigError::Syntax {
                path: path.to_owned(),
                line: 1 + text.bytes().take(start).filter(|&byte| byte == b'\n').count(),
                reason: error.message().to_owned(),
            }
        })?;
        Self::new(path.display().to_string(), &table)
    }

    /// Whether it brings a secret, also where another layer replaces it.
    pub(super) fn has_secrets(&self) -> bool {
        let text = |key: &str| {
            let mut parts = key.split('.');
            let first = self.settings.get(parts.next()?)?;
            parts
                .try_fold(first, |value, part| value.as_dict()?.get(part))?
                .as_str()
        };
        let apps = self.settings.get("apps").and_then(Value::as_array);
        apps.into_iter()
            .flatten()
            .any(|app| app.as_dict().is_some_and(|app| app.contains_key("key")))
            || ["admin.token", "admin.metrics_token", "audit.chain_key"]
                .iter()
                .any(|key| text(key).is_some())
            || text("storage.url").is_some_and(has_password)
    }
}

/// Whether a URL may have a password in it.
fn has_password(url: &str) -> bool {
    let user = url
        .split_once('@')
        .map(|(user, _)| user.split_once("://").map_or(user, |(_, user)| user));
    user.is_some_and(|user| user.contains(':')) || url.contains("password=")
}

/// What the environment sets, and what the files set that it names.
pub(super) struct Environment {
    pub(super) layers: Vec<Layer>,
    pub(super) apps: Option<SecretString>,
    /// The files that brought secrets.
    pub(super) files: Vec<PathBuf>,
}

impl Environment {
    pub(super) fn read(
        variables: impl IntoIterator<Item = (OsString, OsString)>,
    ) -> Result<Self, ConfigError> {
        let mut variables: Vec<(String, OsString)> = variables
            .into_iter()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value)))
            .filter(|(name, _)| {
                name.starts_with(ENV_PREFIX)
                    || [ENV_APPS, ENV_CREDENTIALS].contains(&name.as_str())
                    || key_of(name).is_some()
            })
            .collect();
        variables.sort_unstable();
        let mut layers = Vec::new();
        let mut files = Vec::new();
        let mut general = Vec::new();
        let mut single = Vec::new();
        let mut apps = None;
        for (name, value) in variables {
            if name == ENV_CREDENTIALS {
                if !value.is_empty() {
                    (files, layers) = credentials::layers(&value)?.into_iter().unzip();
                }
                continue;
            }
            let Ok(value) = value.into_string() else {
                return Err(ConfigError::invalid(name, "is not UTF-8"));
            };
            if name == ENV_APPS {
                apps = (!value.trim().is_empty()).then(|| value.into());
            } else if let Some(key) = key_of(&name) {
                if !value.trim().is_empty() {
                    single.push(Layer::of_key(name, key, value.trim().to_owned()));
                }
            } else {
                let path = name[ENV_PREFIX.len()..].to_ascii_lowercase().replace("__", ".");
                if path.split('.').any(str::is_empty) {
                    return Err(ConfigError::invalid(name, "names no key"));
                }
                general.push(Layer::of_key(name, &path, parsed(&value)));
            }
        }
        layers.append(&mut general);
        layers.append(&mut single);
        Ok(Self { layers, apps, files })
    }
}

/// A value as a variable or a flag writes it.
fn parsed(value: &str) -> Value {
    match value.parse() {
        Ok(value) => value,
        Err(never) => match never {},
    }
}

/// The key that this variable sets.
fn key_of(variable: &str) -> Option<&'static str> {
    ENV_KEYS
        .iter()
        .find(|(name, _)| *name == variable)
        .map(|(_, key)| *key)
}
