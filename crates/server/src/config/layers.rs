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
use super::{Config, ConfigError, ENV_APPS, ENV_CREDENTIALS, ENV_PREFIX};

/// Name of the first layer.
const DEFAULTS: &str = "the defaults";

/// Longest file with one secret.
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
    ///
    /// # Errors
    /// [`ConfigError::Invalid`] without an equals sign.
    pub fn with_assignment(mut self, flag: &str, text: &str) -> Result<Self, ConfigError> {
        let (key, value) = text
            .split_once('=')
            .filter(|(key, _)| !key.split('.').any(str::is_empty))
            .ok_or_else(|| ConfigError::invalid(flag, "must be written SECTION.KEY=VALUE"))?;
        self.0.push((flag.to_owned(), key.to_owned(), parsed(value)));
        Ok(self)
    }

    /// Returns whether a key is set.
    #[must_use]
    pub fn sets(&self, key: &str) -> bool {
        self.0.iter().any(|(_, set, _)| set == key)
    }

    /// Checks the keys and the types and ranges of their values, not how they go together.
    ///
    /// # Errors
    /// [`ConfigError::Invalid`].
    pub fn check(&self) -> Result<(), ConfigError> {
        let layers = Layers::read(None, [], self)?;
        layers.check_ranges(&layers.extract()?)
    }
}

/// A setting with an old name that something still uses.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct RenamedSetting {
    /// What uses it: a file, an environment variable or a flag.
    pub origin: String,
    /// The old name.
    pub old: String,
    /// The name that has taken its place.
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

/// All layers, and where each key comes from.
pub(super) struct Layers {
    figment: Figment,
    /// What [`ENV_APPS`] has.
    pub(super) apps: Option<SecretString>,
    /// The files that bring secrets.
    pub(super) secret_files: Vec<PathBuf>,
    /// Old names that are used.
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
        let mut layers = Self {
            figment: Figment::new(),
            apps: None,
            secret_files: Vec::new(),
            renamed: Vec::new(),
            file: String::new(),
            lines: BTreeMap::new(),
        };
        let defaults = flattened(&Config::default())?;
        layers.add(
            DEFAULTS,
            defaults.iter().map(|(key, value)| (key.clone(), plain(value))),
        );
        if let Some(file) = file {
            layers.add_file(file)?;
        }
        layers.add_environment(env)?;
        for (flag, key, value) in &overrides.0 {
            layers.add(flag, [(key.clone(), value.clone())]);
        }
        Ok(layers)
    }

    pub(super) fn extract<'de, T: Deserialize<'de>>(&self) -> Result<T, ConfigError> {
        self.figment.extract().map_err(|error| {
            let origin = error.metadata.as_ref().map(|metadata| metadata.name.to_string());
            ConfigError::from_figment(&error).located(|key| self.origin(key).or_else(|| origin.clone()))
        })
    }

    pub(super) fn check_ranges(&self, config: &Config) -> Result<(), ConfigError> {
        let settings = flattened(config)?;
        let ranges = settings
            .iter()
            .try_for_each(|(key, value)| check_range(key, value));
        ranges.map_err(|error| error.located(|key| self.origin(key)))
    }

    /// What set this key, or what it is in: a file and its line, an environment variable or a flag.
    pub(super) fn origin(&self, key: &str) -> Option<String> {
        let above = std::iter::successors(Some(key), |key| Some(key.rsplit_once('.')?.0));
        let name = above
            .clone()
            .find_map(|key| self.figment.find_metadata(key))?
            .name
            .to_string();
        let line = above.clone().find_map(|key| self.lines.get(key));
        match line.filter(|_| name == self.file) {
            Some(line) => Some(format!("{name}:{line}")),
            None => (name != DEFAULTS).then_some(name),
        }
    }

    /// Adds a layer of keys. A key by its old name counts less than one by its new name.
    fn add(&mut self, origin: &str, keys: impl IntoIterator<Item = (String, Value)>) {
        let (mut settings, mut current) = (Dict::new(), Vec::new());
        for (key, value) in keys {
            let Some(new) = renamed(&key) else {
                current.push((key, value));
                continue;
            };
            insert(&mut settings, &new, value);
            if origin.starts_with(ENV_PREFIX) {
                let variable = format!("{ENV_PREFIX}{}", new.replace('.', "__").to_uppercase());
                self.note_old(origin, origin, &variable);
            } else {
                self.note_old(origin, &key, &new);
            }
        }
        for (key, value) in current {
            insert(&mut settings, &key, value);
        }
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
        let table = toml::from_str(&text).map_err(wrong)?;
        let mut keys = BTreeMap::new();
        flatten("", table, &mut keys);
        if has_secrets(&keys) {
            self.secret_files.push(path.to_owned());
        }
        let tree = DeTable::parse(&text).map_err(wrong)?;
        note_lines(&mut self.lines, "", tree.get_ref(), &line);
        self.file = path.display().to_string();
        self.add(
            &self.file.clone(),
            keys.into_iter().map(|(key, value)| (key, plain(&value))),
        );
        Ok(())
    }

    /// Adds secrets that are handed over as files: by systemd (`LoadCredential=`), or by whatever mounts them. A file that is
    /// not there sets nothing.
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
        let text = |name: &str, value: &OsString| match value.to_str() {
            Some(text) => Ok(text.to_owned()),
            None => Err(ConfigError::invalid(name, "is not UTF-8")),
        };
        let mut general = Vec::new();
        for (name, value) in &variables {
            if let Some(key) = name.strip_prefix(ENV_PREFIX) {
                let key = key.to_ascii_lowercase().replace("__", ".");
                if key.split('.').any(str::is_empty) {
                    return Err(ConfigError::invalid(name, "names no key"));
                }
                general.push((renamed(&key).is_none(), name, key, parsed(&text(name, value)?)));
            }
        }
        general.sort_by_key(|(is_current, ..)| *is_current);
        for (_, name, key, value) in general {
            self.add(name, [(key, value)]);
        }
        let given = |name: &str| -> Result<Option<String>, ConfigError> {
            let value = variables.get(name).map(|value| text(name, value)).transpose()?;
            Ok(value
                .map(|value| value.trim().to_owned())
                .filter(|value| !value.is_empty()))
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
        self.add(origin, [(key.to_owned(), value.into())]);
    }
}

/// Names of settings besides their keys, with the keys: first old names, then current ones, which override them.
fn names(of: fn(&Named) -> Option<&'static str>) -> impl Iterator<Item = (&'static str, &'static str)> {
    let current = move || {
        NAMED
            .iter()
            .filter_map(move |named| Some((of(named)?, named.key)))
    };
    let old = RENAMED.iter().filter_map(move |(old, new)| {
        let (_, key) = current().find(|(name, _)| name == new)?;
        Some((*old, key))
    });
    old.chain(current())
}

/// The settings by their paths. Lists are not taken apart.
pub(super) fn flattened(config: &Config) -> Result<BTreeMap<String, toml::Value>, ConfigError> {
    let table = toml::Table::try_from(config)
        .map_err(|error| ConfigError::invalid("configuration", error.to_string()))?;
    let mut flat = BTreeMap::new();
    flatten("", table, &mut flat);
    flat.retain(|_, value| value.as_table().is_none_or(|table| !table.is_empty()));
    Ok(flat)
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
        let entries = value
            .get_ref()
            .as_array()
            .into_iter()
            .flat_map(|list| list.iter());
        for (index, entry) in entries.enumerate() {
            note(&format!("{path}.{index}"), entry.span().start, entry.get_ref());
        }
    }
}

/// Sets a key by its path. A part of it that has a value of its own is replaced.
fn insert(dict: &mut Dict, path: &str, value: Value) {
    let Some((first, rest)) = path.split_once('.') else {
        // An empty table takes nothing away from one that is there.
        if !value.as_dict().is_some_and(Dict::is_empty) || !dict.contains_key(path) {
            dict.insert(path.to_owned(), value);
        }
        return;
    };
    let inner = dict.entry(first.to_owned()).or_insert_with(|| Dict::new().into());
    if !matches!(inner, Value::Dict(..)) {
        *inner = Dict::new().into();
    }
    if let Value::Dict(_, inner) = inner {
        insert(inner, rest, value);
    }
}

fn plain(value: &toml::Value) -> Value {
    Value::serialize(value).unwrap_or_else(|_| Dict::new().into())
}

/// A value as a variable or `--set` writes it.
fn parsed(text: &str) -> Value {
    match text.parse() {
        Ok(value) => value,
        Err(never) => match never {},
    }
}

/// Whether a file brings a secret, also where another layer replaces it.
fn has_secrets(keys: &BTreeMap<String, toml::Value>) -> bool {
    let text = |key: &str| keys.get(key).and_then(toml::Value::as_str);
    let apps = keys.get("apps").and_then(toml::Value::as_array);
    let url = text("database.url").or_else(|| text("storage.url"));
    apps.into_iter().flatten().any(|app| app.get("key").is_some())
        || ["admin.token", "admin.metrics_token", "audit.chain_key"]
            .into_iter()
            .any(|key| text(key).is_some())
        || url.is_some_and(has_password)
}

/// Whether a URL may have a password in it.
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
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(unreadable(error)),
    };
    let mut bytes = Vec::new();
    file.take(MAX_SECRET_BYTES + 1)
        .read_to_end(&mut bytes)
        .map_err(unreadable)?;
    if bytes.len() as u64 > MAX_SECRET_BYTES {
        return Err(invalid("is longer than 64 KiB"));
    }
    let text = String::from_utf8(bytes).map_err(|_| invalid("is not UTF-8"))?;
    // A file that was meant to bring a secret and brings none: better no start than one without it.
    match text.trim() {
        "" => Err(invalid("is empty")),
        secret => Ok(Some(secret.to_owned())),
    }
}
