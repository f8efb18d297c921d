//! Where each setting comes from.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};

use secrecy::{ExposeSecret, SecretString};
use toml::Value;

use super::layers::{Layers, Overrides, RenamedSetting, flattened};
use super::settings::{NAMED, Named};
use super::{Config, ConfigError, ENV_APPS};

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
                derivation: is_derived.then(|| config.derived_max_per_address().1),
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
        let mut keys: BTreeSet<String> = old.keys().chain(new.keys()).cloned().collect();
        keys.retain(|key| old.get(key) != new.get(key));
        // These are written as redacted, whatever they are.
        let secrets = self.secrets().into_iter().zip(other.secrets());
        let differ = secrets.filter(|(before, after)| before != after);
        keys.extend(differ.map(|((key, _), _)| key.to_owned()));
        Ok(keys.into_iter().collect())
    }

    fn secrets(&self) -> [(&'static str, Vec<&str>); 6] {
        fn exposed<'a>(secrets: impl IntoIterator<Item = &'a SecretString>) -> Vec<&'a str> {
            secrets.into_iter().map(ExposeSecret::expose_secret).collect()
        }
        [
            ("admin.token", exposed(&self.admin.token)),
            ("admin.metrics_token", exposed(&self.admin.metrics_token)),
            ("apps", exposed(self.apps.iter().map(|app| &app.key))),
            ("audit.chain_key", exposed(&self.audit.chain_key)),
            ("console.token", exposed(&self.console.token)),
            ("database.url", exposed(&self.database.url)),
        ]
    }
}

impl Named {
    /// Returns what holds where nothing sets it.
    pub fn default(&self) -> Option<String> {
        let default = || flattened(&Config::default()).ok()?.remove(self.key);
        let text = |value: Value| match value {
            Value::String(text) => text,
            value => value.to_string(),
        };
        self.unset.map(ToOwned::to_owned).or_else(|| default().map(text))
    }
}

impl fmt::Display for Explained {
    /// TOML, each setting with what set it; those that have no value as comments with what holds instead.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let is_list = |setting: &&Setting| {
            let list = setting.value.as_array().filter(|list| !list.is_empty());
            list.is_some_and(|list| list.iter().all(Value::is_table))
        };
        let (lists, others): (Vec<_>, Vec<_>) = self.settings.iter().partition(is_list);
        let lines = others.into_iter().map(|setting| {
            let why = setting.origin.as_deref().or(setting.derivation);
            let why = why.map(|why| format!("  # {why}")).unwrap_or_default();
            (setting.key.as_str(), format!(" = {}{why}", setting.value))
        });
        let is_unset = |named: &&Named| self.settings.iter().all(|setting| setting.key != named.key);
        let unset = |named: &Named| Some((named.key, format!("  # unset: {}", named.unset?)));
        let unset = NAMED.iter().filter(is_unset).filter_map(unset);
        let mut lines: Vec<_> = lines.chain(unset).collect();
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

/// A file with secrets that users other than its owner can read: a warning, as the operator may trust them.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
#[allow(missing_docs, reason = "path and permissions, such as `0o644`")]
pub struct ExposedFile {
    pub path: PathBuf,
    pub mode: u32,
}

impl ExposedFile {
    /// This file, if everybody can read it, or its group, unless this process is not the owner: the group was made for it.
    #[cfg(unix)]
    pub(super) fn find(path: &Path) -> Option<Self> {
        use std::os::unix::fs::MetadataExt;

        const GROUP: u32 = 0o040;
        const WORLD: u32 = 0o004;
        let metadata = std::fs::metadata(path).ok().filter(std::fs::Metadata::is_file)?;
        let is_own = metadata.uid() == rustix::process::geteuid().as_raw();
        let others = if is_own { GROUP | WORLD } else { WORLD };
        let mode = metadata.mode() & 0o777;
        (mode & others != 0).then(|| Self {
            path: path.to_owned(),
            mode,
        })
    }

    #[cfg(not(unix))]
    pub(super) fn find(_: &Path) -> Option<Self> {
        None
    }

    /// The command that takes the rights away.
    pub fn remedy(&self) -> String {
        format!("chmod {:o} '{}'", self.mode & 0o700, self.path.display())
    }
}

impl fmt::Display for ExposedFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} has secrets in it and can be read by others (mode {:04o}): run `{}` as its owner, who must be the user of the \
             service, or move the secrets elsewhere",
            self.path.display(),
            self.mode,
            self.remedy()
        )
    }
}

#[cfg(all(test, unix))]
// Clippy knows tests by `cfg(test)` alone.
#[allow(clippy::unwrap_used)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use crate::config::ENV_CREDENTIALS;

    const KEY: &str = "0123456789abcdef";

    fn write(path: &Path, text: &str, mode: u32) {
        // What may not be written to is replaced.
        drop(std::fs::remove_file(path));
        std::fs::write(path, text).unwrap();
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    }

    fn exposed(file: &Path, env: &[(&str, &str)]) -> Vec<ExposedFile> {
        let env = env.iter().map(|(name, value)| (name.into(), value.into()));
        let explained = Explained::load(Some(file), env, &Overrides::default(), Config::validate).unwrap();
        explained.exposed_files
    }

    #[test]
    fn a_file_with_a_secret_is_for_its_owner_only() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("likeness.toml");
        for secret in [
            format!("[[apps]]\nid = 'a'\nkey = '{KEY}'\n"),
            format!("[admin]\ntoken = '{KEY}'\n"),
            format!("[admin]\ntoken = '{KEY}'\nmetrics_token = '{KEY}'\n"),
            format!("[audit]\nchain_key = '{KEY}'\n"),
            format!("[database]\nurl = 'postgres://u:{KEY}@host/db'\n"),
            format!("[database]\nurl = 'postgres://u@host/db?password={KEY}'\n"),
        ] {
            for (mode, is_exposed) in [
                (0o600, false),
                (0o400, false),
                (0o640, true),
                (0o644, true),
                (0o604, true),
            ] {
                write(&file, &secret, mode);
                let found = exposed(&file, &[]);
                assert_eq!(!found.is_empty(), is_exposed, "{secret} {mode:o}");
                if let Some(found) = found.first() {
                    assert_eq!(found.remedy(), format!("chmod 600 '{}'", file.display()));
                    let said = found.to_string();
                    assert!(
                        said.contains(&format!("mode {mode:04o}")) && !said.contains(KEY),
                        "{said}"
                    );
                }
            }
        }
    }

    #[test]
    fn a_file_without_a_secret_may_be_read_by_all() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("likeness.toml");
        for text in [
            "[request_limits]\ndeadline_seconds = 2\n",
            "[[apps]]\nid = 'a'\n",
            "[database]\nurl = 'sqlite:likeness.db'\n",
            "[database]\nurl = 'postgres://u@host/db?sslmode=require'\n",
        ] {
            write(&file, text, 0o644);
            assert_eq!(
                exposed(&file, &[("LIKENESS_APPS", &format!("a:{KEY}"))]),
                [],
                "{text}"
            );
        }
    }

    #[test]
    fn files_of_single_secrets_count_too() {
        let folder = tempfile::tempdir().unwrap();
        let (file, secret) = (
            folder.path().join("likeness.toml"),
            folder.path().join("likeness.admin-token"),
        );
        write(&file, "", 0o644);
        write(&secret, KEY, 0o644);
        let env = [(ENV_CREDENTIALS, folder.path().to_str().unwrap())];
        let found: Vec<PathBuf> = exposed(&file, &env).into_iter().map(|found| found.path).collect();
        assert_eq!(found, std::slice::from_ref(&secret));
        write(&secret, KEY, 0o400);
        assert_eq!(exposed(&file, &env), []);

        let key = folder.path().join("tls.key");
        write(&key, "", 0o644);
        write(
            &file,
            &format!("[tls]\ncertificate = '{0}'\nkey = '{0}'\n", key.display()),
            0o644,
        );
        let found: Vec<PathBuf> = exposed(&file, &[]).into_iter().map(|found| found.path).collect();
        assert_eq!(found, [key]);
    }
}
