//! The settings of the service: their defaults, and the layers that they are read from.

mod api;
mod apps;
mod console;
mod database;
mod engine;
mod error;
mod explained;
mod imaging;
mod layers;
mod log;
mod network;
mod request;
mod settings;
#[cfg(test)]
mod tests;
mod values;

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use likeness_engine::decision::Profile;
use likeness_storage::StorageError;
use serde::{Deserialize, Serialize};
use smart_default::SmartDefault;

pub use api::ApiConfig;
pub use apps::{AppConfig, QuotasConfig, WhenUnavailable};
pub use console::ConsoleConfig;
pub use database::{AuditConfig, AuditMode, DatabaseConfig};
pub use engine::{EngineConfig, ReloadConfig};
pub use error::ConfigError;
pub use explained::{Explained, ExposedFile, Setting};
pub use imaging::{Heif, ImagingConfig};
pub use layers::{Overrides, RenamedSetting};
pub use log::{LogConfig, LogFormat};
pub use network::{
    AdminConfig, ClientCertificates, ConnectionsConfig, CorsConfig, DocsConfig, ProxiesConfig,
    ShutdownConfig, TlsConfig,
};
pub use request::{AdmissionConfig, ImageLimits, RequestLimits, SideLimits, VersionLimits};
pub use settings::{Flag, Kind, NAMED, Named, RENAMED, Scope, renamed};
pub use toml::Value;

/// Prefix of the environment variables that set any key: `LIKENESS__LOG__FORMAT=json` is `log.format`.
pub const ENV_PREFIX: &str = "LIKENESS__";
/// Environment variable with the apps as `id:key,id:key`.
pub const ENV_APPS: &str = "LIKENESS_APPS";
/// Environment variable with the folder of secrets, each a file, as systemd sets it (`LoadCredential=`).
pub const ENV_CREDENTIALS: &str = "CREDENTIALS_DIRECTORY";

/// A commented file with every setting at its default.
pub const REFERENCE: &str = include_str!("../../likeness.toml");

/// The settings of the service. [`Config::load`] reads them in layers, each overriding the one before: the defaults, a TOML
/// file, the files in [`ENV_CREDENTIALS`], variables with [`ENV_PREFIX`], those of [`NAMED`] settings, [`ENV_APPS`], and the
/// [`Overrides`] of a command line. An unknown key is an error; names that have [changed](RENAMED) go on working for a while.
#[derive(Debug, Clone, Deserialize, Serialize, SmartDefault)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
#[allow(missing_docs, reason = "the types of the sections explain them")]
pub struct Config {
    /// Address and port of the public listener.
    #[default(SocketAddr::from((Ipv4Addr::LOCALHOST, 8080)))]
    pub listen: SocketAddr,
    /// Path that the public listener serves the API below, such as `/idv`. Default: none.
    pub base_path: String,
    /// Folder for everything that must survive a restart, created if missing. Default: `likeness-data`.
    #[default("likeness-data".into())]
    pub data_folder: PathBuf,
    /// Apps besides those in the database.
    pub apps: Vec<AppConfig>,
    /// Whether apps may have keys of fewer than 16 characters, or of others than printable ASCII. Default: no.
    pub allow_weak_keys: bool,
    /// Whether `likeness serve` leaves the limit of core dumps as it is. Default: no, it is set to 0: a dump holds images.
    pub allow_core_dumps: bool,
    /// Whether `likeness serve` adds an app `demo` with a random key and prints a request. Default: no.
    pub demo: bool,
    /// Profiles besides the built-in ones.
    pub profiles: Vec<Profile>,
    /// Files of `likeness calibrate` that replace the pack's calibrations: at most one of each kind.
    pub calibration_files: Vec<PathBuf>,
    /// Cohort that similarities are normalised by. Default: that of the match calibration in use.
    pub cohort_file: Option<PathBuf>,
    /// Whether to use no cohort. Default: no.
    pub no_cohort: bool,
    pub engine: EngineConfig,
    pub api: ApiConfig,
    pub request_limits: RequestLimits,
    pub image_limits: ImageLimits,
    pub imaging: ImagingConfig,
    pub admission: AdmissionConfig,
    pub connections: ConnectionsConfig,
    pub shutdown: ShutdownConfig,
    pub admin: AdminConfig,
    pub console: ConsoleConfig,
    pub reload: ReloadConfig,
    pub database: DatabaseConfig,
    pub log: LogConfig,
    pub tls: TlsConfig,
    pub audit: AuditConfig,
    pub quotas: QuotasConfig,
    pub proxies: ProxiesConfig,
    pub cors: CorsConfig,
    pub docs: DocsConfig,
}

impl Config {
    /// Reads the layers, with the environment of this process, and checks the whole. Errors name the key and show no secret.
    ///
    /// An app in [`ENV_APPS`] that a layer below has as well takes only its key from there, so that keys can stay out of the
    /// file. Entries are separated by commas, id and key by the first colon. An empty variable counts as an absent one.
    pub fn load(file: Option<&Path>, overrides: &Overrides) -> Result<Self, ConfigError> {
        Ok(Explained::load(file, std::env::vars_os(), overrides, Self::validate)?.config)
    }

    /// Checks what the types cannot say. [`Config::load`] has done so; for configurations made in code.
    pub fn validate(&self) -> Result<(), ConfigError> {
        layers::check_ranges(self, |_| true)?;
        self.engine.validate()?;
        self.validate_cohort()?;
        self.validate_base_path()?;
        self.api.validate()?;
        self.request_limits.validate()?;
        self.validate_profiles()?;
        self.validate_apps()?;
        self.validate_data_folder()?;
        self.admin.validate(self.listen)?;
        self.console.validate(&self.admin, &self.tls)?;
        self.audit.validate()?;
        self.tls.validate()?;
        self.cors.validate()?;
        self.log.env_filter().map(drop)
    }

    /// Checks only what an engine is built of, and what is made of its results: that needs no secrets of the service.
    pub fn validate_engine(&self) -> Result<(), ConfigError> {
        layers::check_ranges(self, |key| {
            key.starts_with("engine.") || key.starts_with("image_limits.")
        })?;
        self.engine.validate()?;
        self.api.validate()?;
        self.validate_cohort()
    }

    fn validate_cohort(&self) -> Result<(), ConfigError> {
        let both = "cohort_file is set as well: name a cohort, or use none";
        ensure([(!(self.no_cohort && self.cohort_file.is_some()), "no_cohort", both)])
    }

    fn validate_data_folder(&self) -> Result<(), ConfigError> {
        let folder = self.data_folder.to_string_lossy();
        let url = "is a URL; the URL of a database is database.url, best in LIKENESS_DATABASE_URL";
        ensure([
            (!folder.is_empty(), "data_folder", "is empty"),
            (!folder.contains("://"), "data_folder", url),
        ])?;
        let invalid = |error| match error {
            StorageError::Url { reason } => ConfigError::invalid("database.url", reason),
            error => ConfigError::invalid("database.url", error.to_string()),
        };
        self.database
            .settings(&self.data_folder)
            .map(drop)
            .map_err(invalid)
    }

    fn validate_profiles(&self) -> Result<(), ConfigError> {
        let mut names: BTreeSet<&str> = Profile::BUILTIN_NAMES.into_iter().collect();
        for (index, profile) in self.profiles.iter().enumerate() {
            if !names.insert(profile.name()) {
                let reason = format!("`{}` is the name of another profile", profile.name());
                return Err(ConfigError::invalid(format!("profiles[{index}].name"), reason));
            }
        }
        Ok(())
    }

    pub(crate) fn profile(&self, name: &str) -> Option<Profile> {
        let own = || self.profiles.iter().find(|profile| profile.name() == name);
        Profile::builtin(name).or_else(|| own().cloned())
    }

    pub(crate) fn profile_names(&self) -> impl Iterator<Item = &str> {
        let own = self.profiles.iter().map(Profile::name);
        Profile::BUILTIN_NAMES.into_iter().chain(own)
    }
}

/// Checks rules in order: what must hold, the key, and the error otherwise.
fn ensure<const N: usize>(rules: [(bool, &str, &str); N]) -> Result<(), ConfigError> {
    let broken = rules.into_iter().find(|(holds, ..)| !holds);
    broken.map_or(Ok(()), |(_, key, reason)| Err(ConfigError::invalid(key, reason)))
}
