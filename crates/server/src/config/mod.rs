//! What an operator can set, its defaults, and the layers that it is read from.

mod admin;
mod apps;
mod audit;
mod connections;
mod cors;
mod credentials;
mod docs;
mod engine;
mod error;
mod explained;
mod exposed;
mod layers;
mod limits;
mod log;
mod proxies;
mod quotas;
mod reload;
mod secrets;
mod storage;
#[cfg(test)]
mod tests;
mod tls;

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use likeness_engine::decision::Profile;
use likeness_engine::runtime::Provider;
use likeness_engine::{DEFAULT_MAX_FACES, EngineBuilder, imaging};
use serde::{Deserialize, Serialize};

pub use admin::AdminConfig;
pub use apps::AppConfig;
pub use audit::{AuditConfig, AuditMode};
pub use connections::{ConnectionsConfig, ShutdownConfig};
pub use cors::CorsConfig;
pub use credentials::ENV_CREDENTIALS;
pub use docs::DocsConfig;
pub use engine::EngineConfig;
pub use error::ConfigError;
pub use explained::{Explained, Setting};
pub use exposed::ExposedFile;
pub use limits::{AdmissionConfig, LimitsConfig, SafetyConfig, SideLimits, VersionLimits};
pub use log::{LogConfig, LogFormat};
pub use proxies::ProxiesConfig;
pub use quotas::{QuotasConfig, WhenUnavailable};
pub use reload::ReloadConfig;
pub use storage::StorageConfig;
pub use tls::{ClientCertificates, TlsConfig};

/// Prefix of the environment variables that set any key: `LIKENESS__LIMITS__V0_2__SELFIE__MIN_SIDE=200` is
/// `limits.v0_2.selfie.min_side`.
pub const ENV_PREFIX: &str = "LIKENESS__";
/// Environment variable with the apps as `id:key,id:key`.
pub const ENV_APPS: &str = "LIKENESS_APPS";
/// Environment variable with the listening address.
pub const ENV_LISTEN: &str = "LIKENESS_LISTEN";
/// Environment variable with the listening address of the operator's port.
pub const ENV_ADMIN_LISTEN: &str = "LIKENESS_ADMIN_LISTEN";
/// Environment variable with [`LogConfig::filter`], as Rust's programs have it.
pub const ENV_LOG: &str = "RUST_LOG";
/// Environment variable with the operator's token.
pub const ENV_ADMIN_TOKEN: &str = "LIKENESS_ADMIN_TOKEN";
/// Environment variable with [`AuditConfig::chain_key`].
pub const ENV_AUDIT_CHAIN_KEY: &str = "LIKENESS_AUDIT_CHAIN_KEY";
/// Environment variable with the URL of the storage.
pub const ENV_STORAGE_URL: &str = "LIKENESS_STORAGE_URL";

/// A commented file with every setting at its default.
pub const REFERENCE: &str = include_str!("../../likeness.toml");

/// Longest time that any setting in seconds may have: a day. It keeps sums of times far from overflowing.
const MAX_SECONDS: Duration = Duration::from_secs(86_400);

/// The settings of the service. [`Config::load`] reads them in layers, each overriding the one before:
///
/// 1. the defaults, which are those of [`Config::default`];
/// 2. a TOML file;
/// 3. secrets in files of the folder that [`ENV_CREDENTIALS`] names;
/// 4. environment variables that start with [`ENV_PREFIX`];
/// 5. [`ENV_LISTEN`], [`ENV_ADMIN_LISTEN`], [`ENV_ADMIN_TOKEN`], [`ENV_STORAGE_URL`], [`ENV_LOG`], and [`ENV_APPS`] (see
///    [`Config::load`]);
/// 6. the [`Overrides`] of a command line.
///
/// A key that is not known is an error, in every layer.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Config {
    /// Address and port to listen on.
    pub listen: SocketAddr,
    /// Who may call.
    #[serde(default)]
    pub apps: Vec<AppConfig>,
    /// Whether apps may have keys of fewer than 16 characters, or of others than printable ASCII. Default: no. Holds for the
    /// apps of the configuration and for keys that `likeness apps` is given.
    pub allow_weak_keys: bool,
    /// Profiles besides the built-in ones.
    #[serde(default)]
    pub profiles: Vec<Profile>,
    /// Files of `likeness calibrate` that replace the pack's calibrations: at most one of the match confidence and one
    /// of the liveness.
    #[serde(default)]
    pub calibration_files: Vec<PathBuf>,
    /// What executes the models.
    pub engine: EngineConfig,
    /// What one request may bring, and how long it may take.
    pub limits: LimitsConfig,
    /// The largest pictures that the engine touches at all, whatever the API version.
    pub safety: SafetyConfig,
    /// How many requests are let in.
    pub admission: AdmissionConfig,
    /// Sockets.
    pub connections: ConnectionsConfig,
    /// How the service stops.
    pub shutdown: ShutdownConfig,
    /// The operator's port.
    pub admin: AdminConfig,
    /// How other models are noticed.
    pub reload: ReloadConfig,
    /// Where apps, usage and audit are kept.
    pub storage: StorageConfig,
    /// What is logged.
    pub log: LogConfig,
    /// TLS on the ports.
    pub tls: TlsConfig,
    /// What is recorded of every verification.
    pub audit: AuditConfig,
    /// How quotas are kept.
    pub quotas: QuotasConfig,
    /// Which proxies are believed.
    pub proxies: ProxiesConfig,
    /// Which pages in browsers may call.
    pub cors: CorsConfig,
    /// The pages for integrators.
    pub docs: DocsConfig,
}

impl Default for Config {
    fn default() -> Self {
        let sides = |min_side, max_side| {
            let limits = SideLimits { min_side, max_side };
            VersionLimits {
                selfie: limits,
                image: limits,
            }
        };
        let safety = imaging::Limits::default();
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 8080)),
            apps: Vec::new(),
            allow_weak_keys: false,
            profiles: Vec::new(),
            calibration_files: Vec::new(),
            engine: EngineConfig::default(),
            limits: LimitsConfig {
                v0_1: sides(480, 10_000),
                v0_2: sides(300, 5_000),
                file_bytes: 15 * 1024 * 1024,
                body_bytes: 32 * 1024 * 1024,
                deadline: Duration::from_secs(10),
            },
            safety: SafetyConfig {
                max_bytes: safety.max_bytes,
                max_side: safety.max_side,
                max_pixels: safety.max_pixels,
                max_decode_bytes: safety.max_decode_bytes,
                max_faces: DEFAULT_MAX_FACES,
                min_face_score: None,
            },
            admission: AdmissionConfig { max_requests: None },
            connections: ConnectionsConfig {
                max: 1_024,
                header_read: Duration::from_secs(75),
                linger: Duration::from_secs(5),
                body_idle: Duration::from_secs(5),
                max_per_address: None,
            },
            shutdown: ShutdownConfig {
                delay: Duration::ZERO,
                grace: Duration::from_secs(5),
            },
            admin: AdminConfig::default(),
            reload: ReloadConfig::default(),
            storage: StorageConfig::default(),
            log: LogConfig::default(),
            tls: TlsConfig::default(),
            audit: AuditConfig::default(),
            quotas: QuotasConfig::default(),
            proxies: ProxiesConfig::default(),
            cors: CorsConfig::default(),
            docs: DocsConfig::default(),
        }
    }
}

/// What a command line sets over everything else.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Overrides {
    /// Replaces [`Config::listen`].
    pub listen: Option<SocketAddr>,
    /// Replaces [`AdminConfig::listen`].
    pub admin_listen: Option<SocketAddr>,
    /// Replaces [`LogConfig::format`].
    pub log_format: Option<LogFormat>,
    /// Replaces [`EngineConfig::provider`].
    pub provider: Option<Provider>,
    /// Replace fields of [`EngineConfig`]: names and values, as the environment writes them.
    pub provider_options: Vec<(String, String)>,
}

impl Overrides {
    /// Listen here.
    #[must_use]
    pub fn with_listen(mut self, listen: Option<SocketAddr>) -> Self {
        self.listen = listen;
        self
    }

    /// Listen here for the operator.
    #[must_use]
    pub fn with_admin_listen(mut self, listen: Option<SocketAddr>) -> Self {
        self.admin_listen = listen;
        self
    }

    /// Write log lines so.
    #[must_use]
    pub fn with_log_format(mut self, format: Option<LogFormat>) -> Self {
        self.log_format = format;
        self
    }

    /// Execute models so.
    #[must_use]
    pub fn with_provider(mut self, provider: Option<Provider>) -> Self {
        self.provider = provider;
        self
    }

    /// With these of the provider's options.
    #[must_use]
    pub fn with_provider_options(mut self, options: Vec<(String, String)>) -> Self {
        self.provider_options = options;
        self
    }
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

    /// Checks what the types cannot say. [`Config::load`] has done so; for those who make a `Config` by hand.
    ///
    /// # Errors
    /// [`ConfigError::Invalid`].
    pub fn validate(&self) -> Result<(), ConfigError> {
        self.engine.validate()?;
        self.validate_limits()?;
        self.validate_profiles()?;
        self.validate_apps()?;
        self.admin.validate(self.listen)?;
        self.reload.validate()?;
        self.storage.validate()?;
        self.audit.validate()?;
        self.tls.validate()?;
        self.cors.validate()?;
        self.log.validate()
    }

    /// The engine's limits, to build it with.
    #[must_use]
    pub fn imaging_limits(&self) -> imaging::Limits {
        imaging::Limits::default()
            .with_max_bytes(self.safety.max_bytes)
            .with_max_side(self.safety.max_side)
            .with_max_pixels(self.safety.max_pixels)
            .with_max_decode_bytes(self.safety.max_decode_bytes)
    }

    /// Bytes of memory that the service takes at most with so many workers: the limit for its container. It is the program,
    /// and for each worker its models, what ONNX Runtime keeps for the largest input, and two images that are decoded or
    /// in decoding; and the bodies of all admitted requests. docs/operations.md, "Memory", has the formula.
    #[must_use]
    pub fn memory_bytes(&self, workers: usize) -> u64 {
        const PROGRAM: u64 = 128 * 1024 * 1024;
        const WORKER: u64 = 192 * 1024 * 1024;
        let workers = workers.max(1);
        let images = self.safety.max_decode_bytes.saturating_mul(2);
        let requests = self.admission.requests(workers) as u64;
        WORKER
            .saturating_add(images)
            .saturating_mul(workers as u64)
            .saturating_add(self.limits.body_bytes.saturating_mul(requests))
            .saturating_add(PROGRAM)
    }

    /// The engine's builder with the provider, the safety settings and the calibrations of this configuration.
    pub fn configure(&self, builder: EngineBuilder) -> EngineBuilder {
        let builder = self
            .calibration_files
            .iter()
            .fold(builder, EngineBuilder::calibration_file)
            .provider(self.engine.execution())
            .limits(self.imaging_limits())
            .max_faces(self.safety.max_faces);
        match self.safety.min_face_score {
            Some(score) => builder.min_face_score(score as f32),
            None => builder,
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
