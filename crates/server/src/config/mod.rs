//! The settings of the service: their defaults, and the layers that they are read from.

mod apps;
mod audit;
mod database;
mod engine;
mod error;
mod explained;
mod exposed;
mod layers;
mod log;
mod network;
mod request;
mod settings;
#[cfg(test)]
mod tests;
mod values;

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use likeness_engine::decision::Profile;
use likeness_storage::StorageError;
use serde::{Deserialize, Serialize};
use smart_default::SmartDefault;

pub use apps::{AppConfig, QuotasConfig, WhenUnavailable};
pub use audit::{AuditConfig, AuditMode};
pub use database::DatabaseConfig;
pub use engine::{EngineConfig, ReloadConfig};
pub use error::ConfigError;
pub use explained::{Explained, Setting};
pub use exposed::ExposedFile;
pub use layers::{Overrides, RenamedSetting};
pub use log::{LogConfig, LogFormat};
pub use network::{
    AdminConfig, ClientCertificates, ConnectionsConfig, CorsConfig, DocsConfig, ProxiesConfig,
    ShutdownConfig, TlsConfig,
};
pub use request::{AdmissionConfig, ImageLimits, RequestLimits, SideLimits, VersionLimits};
pub use settings::{Flag, Kind, NAMED, Named, RENAMED, Scope, renamed};
/// The value of a setting.
pub use toml::Value;

/// Prefix of the environment variables that set any key: `LIKENESS__REQUEST_LIMITS__V0_2__SELFIE__MIN_SIDE=200` is
/// `request_limits.v0_2.selfie.min_side`.
pub const ENV_PREFIX: &str = "LIKENESS__";
/// Environment variable with the apps as `id:key,id:key`.
pub const ENV_APPS: &str = "LIKENESS_APPS";
/// Environment variable with the folder of secrets, as systemd sets it for what a unit loads (`LoadCredential=`). Each file
/// in it is one secret; one that is not there sets nothing.
pub const ENV_CREDENTIALS: &str = "CREDENTIALS_DIRECTORY";

/// A commented file with every setting at its default.
pub const REFERENCE: &str = include_str!("../../likeness.toml");

/// The settings of the service. [`Config::load`] reads them in layers, each overriding the one before:
///
/// 1. the defaults, which are those of [`Config::default`];
/// 2. a TOML file;
/// 3. secrets in files of the folder that [`ENV_CREDENTIALS`] names;
/// 4. environment variables that start with [`ENV_PREFIX`];
/// 5. the variables of [`NAMED`] settings, and [`ENV_APPS`] (see [`Config::load`]);
/// 6. the [`Overrides`] of a command line.
///
/// An unknown key is an error, in every layer. Names that have [changed](RENAMED) go on working for a while.
#[derive(Debug, Clone, Deserialize, Serialize, SmartDefault)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct Config {
    /// Address and port of the public listener.
    #[default(SocketAddr::from((Ipv4Addr::LOCALHOST, 8080)))]
    pub listen: SocketAddr,
    /// Folder for everything that must survive a restart, created if missing. Default: `likeness-data` in the
    /// working directory.
    #[default("likeness-data".into())]
    pub data_folder: PathBuf,
    /// Apps besides those in the database.
    pub apps: Vec<AppConfig>,
    /// Whether apps may have keys of fewer than 16 characters, or of others than printable ASCII. Default: no. Holds for the
    /// apps of the configuration and for keys that `likeness apps` is given.
    pub allow_weak_keys: bool,
    /// Whether `likeness serve` leaves the limit of core dumps as it is. Default: no, it is set to 0: a dump holds images.
    pub allow_core_dumps: bool,
    /// Whether `likeness serve` adds an app `demo` with a random key and prints a request. Default: no.
    pub demo: bool,
    /// Profiles besides the built-in ones.
    pub profiles: Vec<Profile>,
    /// Files of `likeness calibrate` that replace the pack's calibrations: at most one of the match confidence and one
    /// of the liveness.
    pub calibration_files: Vec<PathBuf>,
    /// Cohort that similarities are normalised by. Default: that of the match calibration in use.
    pub cohort_file: Option<PathBuf>,
    /// Whether to use no cohort. Default: no.
    pub no_cohort: bool,
    /// The engine.
    pub engine: EngineConfig,
    /// What one request may bring, and how long it may take.
    pub request_limits: RequestLimits,
    /// The largest images that the engine decodes, whatever the API version.
    pub image_limits: ImageLimits,
    /// How many requests are admitted.
    pub admission: AdmissionConfig,
    /// Connections.
    pub connections: ConnectionsConfig,
    /// Graceful shutdown.
    pub shutdown: ShutdownConfig,
    /// The admin listener.
    pub admin: AdminConfig,
    /// How changed models are noticed.
    pub reload: ReloadConfig,
    /// The database.
    pub database: DatabaseConfig,
    /// The log.
    pub log: LogConfig,
    /// TLS of the listeners.
    pub tls: TlsConfig,
    /// The audit log.
    pub audit: AuditConfig,
    /// How quotas hold.
    pub quotas: QuotasConfig,
    /// Trusted proxies.
    pub proxies: ProxiesConfig,
    /// Cross-origin requests.
    pub cors: CorsConfig,
    /// The pages for integrators.
    pub docs: DocsConfig,
}

impl Config {
    /// Reads the layers, with the environment of this process, and checks the whole.
    ///
    /// An app in [`ENV_APPS`] that a layer below has as well keeps that layer's settings and takes the key from the
    /// variable, so that keys can stay out of the file; the others are added. The entries are separated by commas,
    /// and id and key by the first colon: a key with a comma in it has to be set in another layer. An empty variable
    /// counts as an absent one.
    ///
    /// # Errors
    /// [`ConfigError`], which names the key and never shows a secret.
    pub fn load(file: Option<&Path>, overrides: &Overrides) -> Result<Self, ConfigError> {
        Self::load_with_env(file, std::env::vars_os(), overrides)
    }

    /// Like [`Config::load`], with these environment variables instead of the process's.
    ///
    /// # Errors
    /// See [`Config::load`].
    pub fn load_with_env(
        file: Option<&Path>,
        env: impl IntoIterator<Item = (OsString, OsString)>,
        overrides: &Overrides,
    ) -> Result<Self, ConfigError> {
        Ok(Explained::load(file, env, overrides)?.config)
    }

    /// Checks what the types cannot say. [`Config::load`] has done so; for configurations made in code.
    ///
    /// # Errors
    /// [`ConfigError::Invalid`].
    pub fn validate(&self) -> Result<(), ConfigError> {
        layers::flattened(self)?
            .iter()
            .try_for_each(|(key, value)| settings::check_range(key, value))?;
        self.engine.validate()?;
        self.request_limits.validate()?;
        self.validate_profiles()?;
        self.validate_apps()?;
        self.validate_data_folder()?;
        self.admin.validate(self.listen)?;
        self.audit.validate()?;
        self.tls.validate()?;
        self.cors.validate()?;
        self.log.validate()
    }

    /// Checks only what an engine is built of.
    pub(crate) fn validate_engine(&self) -> Result<(), ConfigError> {
        let settings = layers::flattened(self)?;
        let of_engine = settings
            .iter()
            .filter(|(key, _)| key.starts_with("engine.") || key.starts_with("image_limits."));
        of_engine
            .into_iter()
            .try_for_each(|(key, value)| settings::check_range(key, value))?;
        self.engine.validate()
    }

    fn validate_data_folder(&self) -> Result<(), ConfigError> {
        ensure(
            !self.data_folder.as_os_str().is_empty(),
            "data_folder",
            "is empty",
        )?;
        ensure(
            !self.data_folder.to_string_lossy().contains("://"),
            "data_folder",
            "is a URL; the URL of a database is database.url, best in LIKENESS_DATABASE_URL",
        )?;
        match self.database.settings(&self.data_folder) {
            Ok(_) => Ok(()),
            Err(StorageError::Url { reason }) => Err(ConfigError::invalid("database.url", reason)),
            Err(error) => Err(ConfigError::invalid("database.url", error.to_string())),
        }
    }

    fn validate_profiles(&self) -> Result<(), ConfigError> {
        let mut names: BTreeSet<&str> = Profile::BUILTIN_NAMES.into_iter().collect();
        for (index, profile) in self.profiles.iter().enumerate() {
            if !names.insert(profile.name()) {
                return Err(ConfigError::invalid(
                    format!("profiles[{index}].name"),
                    format!("`{}` is the name of another profile", profile.name()),
                ));
            }
        }
        Ok(())
    }

    pub(crate) fn profile(&self, name: &str) -> Option<Profile> {
        Profile::builtin(name).or_else(|| {
            self.profiles
                .iter()
                .find(|profile| profile.name() == name)
                .cloned()
        })
    }

    pub(crate) fn profile_names(&self) -> impl Iterator<Item = &str> {
        Profile::BUILTIN_NAMES
            .into_iter()
            .chain(self.profiles.iter().map(Profile::name))
    }
}

/// An error about a key, unless something holds.
fn ensure(holds: bool, key: &str, reason: impl Into<String>) -> Result<(), ConfigError> {
    if holds {
        Ok(())
    } else {
        Err(ConfigError::invalid(key, reason))
    }
}
