//! The layers that settings are read from: the defaults, a file, credentials, the environment, flags.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::Read;
use std::path::{Path, PathBuf};

use figment::value::{Dict, Map, Value};
use figment::{Figment, Metadata, Provider};
use secrecy::SecretString;
use serde::Deserialize;
use toml::de::{DeTable, DeValue};

use super::settings::{NAMED, Named, RENAMED, check_range, renamed};
use super::values::SECRETS;
use super::{Config, ConfigError, ENV_APPS, ENV_CREDENTIALS, ENV_PREFIX};

const DEFAULTS: &str = "the defaults";

const MAX_SECRET_BYTES: u64 = 64 * 1024;

/// What a command line sets over everything else: keys, each with the flag that sets it.
#[derive(Debug, Clone, Default)]
pub struct Overrides(Vec<(String, String, Value)>);

impl Overrides {
    /// Sets a key; `flag` is what errors and `likeness config show` name.
    #[must_use]
    pub fn with(mut self, flag: &str, key: &str, value: impl Into<toml::Value>) -> Self {
        self.0
            .push((flag.to_owned(), key.to_owned(), plain(&value.into())));
        self
    }

    /// Sets a key as `SECTION.KEY=VALUE` says, with a value as environment variables have it.
    pub fn with_assignment(mut self, flag: &str, text: &str) -> Result<Self, ConfigError> {
        let (key, value) = text
            .split_once('=')
            .filter(|(key, _)| !key.split('.').any(str::is_empty))
            .ok_or_else(|| ConfigError::invalid(flag, "must be written SECTION.KEY=VALUE"))?;
        self.0.push((flag.to_owned(), key.to_owned(), parsed(value)));
        Ok(self)
    }

    /// Returns whether a key is set.
    pub fn sets(&self, key: &str) -> bool {
        self.0.iter().any(|(_, set, _)| set == key)
    }

    /// Returns the flags, as often as they set a key.
    pub fn flags(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(flag, _, _)| flag.as_str())
    }

    /// Checks the keys and the types and ranges of their values, not how they go together.
    pub fn check(&self) -> Result<(), ConfigError> {
        let layers = Layers::read(None, [], self)?;
        let checked = check_ranges(&layers.extract()?, |_| true);
        checked.map_err(|error| error.located(|key| layers.origin(key)))
    }
}

/// A setting with an old name that a file, an environment variable or a flag (`origin`) still uses, and its new name.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
#[allow(missing_docs, reason = "said above")]
pub struct RenamedSetting {
    pub origin: String,
    pub old: String,
    pub new: String,
}

/// One layer of settings, with the name that errors show.
struct Layer<'a>(&'a str, Dict);

impl Provider for Layer<'_> {
    fn metadata(&self) -> Metadata {
        Metadata::named(self.0.to_owned())
    }

    fn data(&self) -> Result<Map<figment::Profile, Dict>, figment::Error> {
        Ok(figment::Profile::Default.collect(self.1.clone()))
    }
}

#[derive(Default)]
pub(super) struct Layers {
    figment: Figment,
    /// What [`ENV_APPS`] has.
    pub(super) apps: Option<SecretString>,
    pub(super) secret_files: Vec<PathBuf>,
    pub(super) renamed: Vec<RenamedSetting>,
    file: String,
    /// The line of each key of the file, counted from 1.
    lines: BTreeMap<String, usize>,
}

impl Layers {
    pub(super) fn read(
        file: Option<&Path>,
        env: impl IntoIterator<Item = (OsString, OsString)>,
        overrides: &Overrides,
    ) -> Result<Self, ConfigError> {
        let mut layers = Self::default();
        let defaults = plain(&table(&Config::default())?.into());
        layers.merge(DEFAULTS, defaults.into_dict().unwrap_or_default());
        if let Some(file) = file {
            layers.add_file(file)?;
        }
        layers.add_environment(env)?;
        for (flag, key, value) in &overrides.0 {
            layers.add([(flag.as_str(), key.clone(), value.clone())]);
        }
        Ok(layers)
    }

    pub(super) fn extract<'de, T: Deserialize<'de>>(&self) -> Result<T, ConfigError> {
        self.figment.extract().map_err(|error| {
            let origin = error.metadata.as_ref().map(|metadata| metadata.name.to_string());
            ConfigError::from_figment(&error).located(|key| self.origin(key).or_else(|| origin.clone()))
        })
    }

    /// What set this key, or what it is in: a file and its line, an environment variable or a flag.
    pub(super) fn origin(&self, key: &str) -> Option<String> {
        let above = std::iter::successors(Some(key), |key| Some(key.rsplit_once('.')?.0));
        let metadata = above.clone().find_map(|key| self.figment.find_metadata(key))?;
        let name = metadata.name.to_string();
        let line = above.clone().find_map(|key| self.lines.get(key));
        match line.filter(|_| name == self.file) {
            Some(line) => Some(format!("{name}:{line}")),
            None => (name != DEFAULTS).then_some(name),
        }
    }

    /// Adds keys, each with what sets it. A key by its old name counts less than one by its new name.
    fn add<'a>(&mut self, keys: impl IntoIterator<Item = (&'a str, String, Value)>) {
        let is_old = |(_, key, _): &(&str, String, Value)| renamed(key).is_some();
        let (old, current): (Vec<_>, Vec<_>) = keys.into_iter().partition(is_old);
        for (origin, key, value) in old {
            let new = renamed(&key).unwrap_or_default();
            if origin.starts_with(ENV_PREFIX) {
                let variable = format!("{ENV_PREFIX}{}", new.replace('.', "__").to_uppercase());
                self.note_old(origin, origin, &variable);
            } else {
                self.note_old(origin, &key, &new);
            }
            self.merge(origin, nested(&new, value));
        }
        for (origin, key, value) in current {
            self.merge(origin, nested(&key, value));
        }
    }

    fn merge(&mut self, origin: &str, settings: Dict) {
        self.figment = std::mem::take(&mut self.figment).merge(Layer(origin, settings));
    }

    fn note_old(&mut self, origin: &str, old: &str, new: &str) {
        self.renamed.push(RenamedSetting {
            origin: origin.to_owned(),
            old: old.to_owned(),
            new: new.to_owned(),
        });
    }

    fn add_file(&mut self, path: &Path) -> Result<(), ConfigError> {
        let text = std::fs::read_to_string(path).map_err(|source| ConfigError::File {
            path: path.to_owned(),
            source,
        })?;
        let ends: Vec<usize> = text.match_indices('\n').map(|(at, _)| at).collect();
        let line = |at: usize| 1 + ends.partition_point(|end| *end < at);
        // Not figment's own TOML provider: its errors quote the line, and the line may hold a key.
        let wrong = |error: toml::de::Error| ConfigError::Syntax {
            path: path.to_owned(),
            line: line(error.span().map_or(0, |span| span.start)),
            reason: error.message().to_owned(),
        };
        let mut keys = BTreeMap::new();
        flatten("", toml::from_str(&text).map_err(wrong)?, &mut keys);
        if has_secrets(&keys) {
            self.secret_files.push(path.to_owned());
        }
        let tree = DeTable::parse(&text).map_err(wrong)?;
        note_lines(&mut self.lines, "", tree.get_ref(), &line);
        let file = path.display().to_string();
        self.add(
            keys.iter()
                .map(|(key, value)| (file.as_str(), key.clone(), plain(value))),
        );
        self.file = file;
        Ok(())
    }

    /// Adds secrets that are handed over as files, as systemd does (`LoadCredential=`).
    fn add_credentials(&mut self, folder: &Path) -> Result<(), ConfigError> {
        for (name, key) in names(|named| named.credential) {
            let path = folder.join(name);
            if let Some(secret) = read_secret(&path)? {
                self.add_named(&path.display().to_string(), name, key, secret);
                self.secret_files.push(path);
            }
        }
        Ok(())
    }

    fn add_environment(
        &mut self,
        variables: impl IntoIterator<Item = (OsString, OsString)>,
    ) -> Result<(), ConfigError> {
        let variables: BTreeMap<String, OsString> = variables
            .into_iter()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value)))
            .collect();
        if let Some(folder) = variables.get(ENV_CREDENTIALS).filter(|folder| !folder.is_empty()) {
            self.add_credentials(Path::new(folder))?;
        }
        let text = |name: &str, value: &OsString| {
            let text = value.to_str().map(ToOwned::to_owned);
            text.ok_or_else(|| ConfigError::invalid(name, "is not UTF-8"))
        };
        let mut general = Vec::new();
        for (name, value) in &variables {
            if let Some(key) = name.strip_prefix(ENV_PREFIX) {
                let key = key.to_ascii_lowercase().replace("__", ".");
                if key.split('.').any(str::is_empty) {
                    return Err(ConfigError::invalid(name, "names no key"));
                }
                general.push((name.as_str(), key, parsed(&text(name, value)?)));
            }
        }
        self.add(general);
        let given = |name: &str| -> Result<Option<String>, ConfigError> {
            let value = variables.get(name).map(|value| text(name, value)).transpose()?;
            let value = value.map(|value| value.trim().to_owned());
            Ok(value.filter(|value| !value.is_empty()))
        };
        for (name, key) in names(|named| named.variable) {
            if let Some(value) = given(name)? {
                self.add_named(name, name, key, value);
            }
        }
        self.apps = given(ENV_APPS)?.map(Into::into);
        Ok(())
    }

    fn add_named(&mut self, origin: &str, name: &str, key: &str, value: String) {
        if let Some(new) = renamed(name) {
            self.note_old(origin, name, &new);
        }
        self.add([(origin, key.to_owned(), value.into())]);
    }
}

/// Names of settings besides their keys, with the keys: first old names, then current ones, which override them.
fn names(of: fn(&Named) -> Option<&'static str>) -> impl Iterator<Item = (&'static str, &'static str)> {
    let current = move || {
        let named = NAMED.iter();
        named.filter_map(move |named| Some((of(named)?, named.key)))
    };
    let old = RENAMED.iter().filter_map(move |(old, new)| {
        let (_, key) = current().find(|(name, _)| name == new)?;
        Some((*old, key))
    });
    old.chain(current())
}

/// The settings by their paths. Lists are not taken apart.
pub(super) fn flattened(config: &Config) -> Result<BTreeMap<String, toml::Value>, ConfigError> {
    let mut flat = BTreeMap::new();
    flatten("", table(config)?, &mut flat);
    flat.retain(|_, value| value.as_table().is_none_or(|table| !table.is_empty()));
    Ok(flat)
}

/// Checks the numbers of a configuration, at these keys, against their ranges.
pub(super) fn check_ranges(config: &Config, selected: fn(&str) -> bool) -> Result<(), ConfigError> {
    let settings = flattened(config)?;
    let mut settings = settings.iter().filter(|(key, _)| selected(key));
    settings.try_for_each(|(key, value)| check_range(key, value))
}

fn table(config: &Config) -> Result<toml::Table, ConfigError> {
    let invalid = |error: toml::ser::Error| ConfigError::invalid("configuration", error.to_string());
    toml::Table::try_from(config).map_err(invalid)
}

fn flatten(above: &str, table: toml::Table, flat: &mut BTreeMap<String, toml::Value>) {
    for (key, value) in table {
        let path = path(above, &key);
        match value {
            toml::Value::Table(table) if !table.is_empty() => flatten(&path, table, flat),
            value => drop(flat.insert(path, value)),
        }
    }
}

fn path(above: &str, key: &str) -> String {
    if above.is_empty() {
        key.to_owned()
    } else {
        format!("{above}.{key}")
    }
}

/// Notes the line of each key, by its current name, and of each entry of a list.
fn note_lines(
    lines: &mut BTreeMap<String, usize>,
    above: &str,
    table: &DeTable<'_>,
    line: &impl Fn(usize) -> usize,
) {
    let mut note = |path: &str, at: usize, value: &DeValue<'_>| {
        let current = renamed(path).unwrap_or_else(|| path.to_owned());
        lines.entry(current).or_insert(line(at));
        if let DeValue::Table(table) = value {
            note_lines(lines, path, table, line);
        }
    };
    for (key, value) in table {
        let path = path(above, key.get_ref());
        note(&path, key.span().start, value.get_ref());
        let entries = value.get_ref().as_array().into_iter();
        for (index, entry) in entries.flat_map(|list| list.iter()).enumerate() {
            note(&format!("{path}.{index}"), entry.span().start, entry.get_ref());
        }
    }
}

/// Returns tables along a path with this value at its end.
fn nested(path: &str, value: Value) -> Dict {
    match path.split_once('.') {
        Some((first, rest)) => Dict::from([(first.to_owned(), nested(rest, value).into())]),
        None => Dict::from([(path.to_owned(), value)]),
    }
}

fn plain(value: &toml::Value) -> Value {
    Value::serialize(value).unwrap_or_else(|_| Dict::new().into())
}

/// A value as a variable or `--set` writes it.
fn parsed(text: &str) -> Value {
    let Ok(value) = text.parse();
    value
}

/// Whether a file brings a secret, also where another layer replaces it.
fn has_secrets(keys: &BTreeMap<String, toml::Value>) -> bool {
    keys.iter().any(|(key, value)| match value {
        toml::Value::Array(apps) if key == "apps" => apps.iter().any(|app| app.get("key").is_some()),
        toml::Value::String(url) if ["database.url", "storage.url"].contains(&&**key) => has_password(url),
        value => value.is_str() && SECRETS.contains(&&**key),
    })
}

fn has_password(url: &str) -> bool {
    let user = url
        .split_once('@')
        .map(|(user, _)| user.split_once("://").map_or(user, |(_, user)| user));
    user.is_some_and(|user| user.contains(':')) || url.contains("password=")
}

/// A secret without the end of its line; `None` where there is no file.
fn read_secret(path: &Path) -> Result<Option<String>, ConfigError> {
    let unreadable = |source| ConfigError::File {
        path: path.to_owned(),
        source,
    };
    let invalid = |reason| ConfigError::invalid(path.display().to_string(), reason);
    let file = match std::fs::File::open(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        file => file.map_err(unreadable)?,
    };
    let mut bytes = Vec::new();
    let read = file.take(MAX_SECRET_BYTES + 1).read_to_end(&mut bytes);
    if read.map_err(unreadable)? as u64 > MAX_SECRET_BYTES {
        return Err(invalid("is longer than 64 KiB"));
    }
    let text = String::from_utf8(bytes).map_err(|_| invalid("is not UTF-8"))?;
    // A file that was meant to bring a secret and brings none: better no start than one without it.
    match text.trim() {
        "" => Err(invalid("is empty")),
        secret => Ok(Some(secret.to_owned())),
    }
}
