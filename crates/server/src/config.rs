//! What an operator can set, its defaults, and the layers that it is read from.

mod admin;
mod reload;

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use figment::value::{Dict, Map, Value};
use figment::{Figment, Metadata, Provider};
use likeness_engine::decision::Profile;
use likeness_engine::{DEFAULT_MAX_FACES, EngineBuilder, imaging};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};

use crate::apps::Apps;
use crate::seconds;

pub use admin::AdminConfig;
pub use reload::ReloadConfig;

/// Prefix of the environment variables that set any key: `LIKENESS__LIMITS__V0_2__SELFIE__MIN_SIDE=200` is
/// `limits.v0_2.selfie.min_side`.
pub const ENV_PREFIX: &str = "LIKENESS__";
/// Environment variable with the apps as `id:key,id:key`.
pub const ENV_APPS: &str = "LIKENESS_APPS";
/// Environment variable with the listening address.
pub const ENV_LISTEN: &str = "LIKENESS_LISTEN";
/// Environment variable with the listening address of the operator's port.
pub const ENV_ADMIN_LISTEN: &str = "LIKENESS_ADMIN_LISTEN";
/// Environment variable with the operator's token.
pub const ENV_ADMIN_TOKEN: &str = "LIKENESS_ADMIN_TOKEN";

/// The variables that set one key each, with its path.
const ENV_KEYS: [(&str, &str); 3] = [
    (ENV_LISTEN, "listen"),
    (ENV_ADMIN_LISTEN, "admin.listen"),
    (ENV_ADMIN_TOKEN, "admin.token"),
];

/// A commented file with every setting at its default.
pub const REFERENCE: &str = include_str!("../reference.toml");

/// Longest `id` and `key` of an app in bytes: both travel in headers.
const MAX_CREDENTIAL_BYTES: usize = 256;
/// Most faces of a picture that an engine looks at.
const MAX_FACES: usize = 1_024;
/// Longest time that any setting in seconds may have: a day. It keeps sums of times far from overflowing.
const MAX_SECONDS: Duration = Duration::from_secs(86_400);

/// The settings of the service. [`Config::load`] reads them in layers, each overriding the one before:
///
/// 1. the defaults, which are those of [`Config::default`];
/// 2. a TOML file;
/// 3. environment variables that start with [`ENV_PREFIX`];
/// 4. [`ENV_LISTEN`], [`ENV_ADMIN_LISTEN`], [`ENV_ADMIN_TOKEN`], and [`ENV_APPS`] (see [`Config::load`]);
/// 5. the [`Overrides`] of a command line.
///
/// A key that is not known is an error, in every layer.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Config {
    /// Address and port to listen on.
    pub listen: SocketAddr,
    /// Who may call.
    #[serde(default, skip_serializing)]
    pub apps: Vec<AppConfig>,
    /// Profiles besides the built-in ones.
    #[serde(default)]
    pub profiles: Vec<Profile>,
    /// Files of `likeness calibrate` that replace the pack's calibrations: at most one of the match confidence and one
    /// of the liveness.
    #[serde(default)]
    pub calibration_files: Vec<PathBuf>,
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
}

/// One caller of the service.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct AppConfig {
    /// What the caller sends as `app_id`. Logged.
    pub id: String,
    /// What the caller sends as `app_key`. May be left out of a file where [`ENV_APPS`] brings it.
    #[serde(default, deserialize_with = "secret")]
    pub key: SecretString,
    /// The profile of requests that name none; `optimal-v0` where absent.
    #[serde(default)]
    pub default_profile: Option<String>,
    /// The profiles that a request may name, besides the default one. Absent: all, built-in and configured.
    #[serde(default)]
    pub profiles: Option<Vec<String>>,
    /// The lowest `threshold` that a liveness verification may ask for, 0..=1. Default: 0.
    #[serde(default)]
    pub liveness_threshold_floor: f64,
    /// A disabled app is refused with 403.
    #[serde(default)]
    pub disabled: bool,
}

/// Limits of requests.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct LimitsConfig {
    /// Picture sizes under `/v0.1`. Default: 480 to 10,000 pixels a side.
    pub v0_1: VersionLimits,
    /// Picture sizes under `/v0.2`. Default: 300 to 5,000 pixels a side.
    pub v0_2: VersionLimits,
    /// Largest file in bytes. Default: 15 MiB.
    pub file_bytes: usize,
    /// Largest body in bytes. Default: 32 MiB.
    pub body_bytes: u64,
    /// From the end of a request's headers to its answer. Default: 10 s.
    #[serde(rename = "deadline_seconds", with = "seconds")]
    pub deadline: Duration,
}

/// Picture sizes under one version of the API.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct VersionLimits {
    /// Of the `selfie`.
    pub selfie: SideLimits,
    /// Of the `image`.
    pub image: SideLimits,
}

/// What both sides of an upright picture must keep to, in pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct SideLimits {
    /// The shortest side that is accepted.
    pub min_side: u32,
    /// The longest side that is accepted.
    pub max_side: u32,
}

/// The engine's own limits, see [`imaging::Limits`] and [`EngineBuilder`].
#[derive(Debug, Clone, Copy, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct SafetyConfig {
    /// Largest encoded file in bytes.
    pub max_bytes: usize,
    /// Longest side in pixels.
    pub max_side: u32,
    /// Width times height.
    pub max_pixels: u64,
    /// Faces of a picture that are looked at, the largest; with `image_multiface` each costs an embedding.
    pub max_faces: usize,
    /// The detector score from which on something is a face, 0 to 1.
    pub min_face_score: f64,
}

/// How many requests are let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct AdmissionConfig {
    /// Verifications that are being read, waiting or worked on at the same time; those beyond are answered 503 at
    /// once. Each may hold a body of `limits.body_bytes` in memory. Absent: 16 for each worker of the engine.
    pub max_requests: Option<usize>,
}

/// Sockets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct ConnectionsConfig {
    /// Open connections; those beyond wait in the listening queue. Default: 1,024.
    pub max: usize,
    /// How long a client may take for the headers of a request; also how long a connection may stay idle. Default:
    /// 75 s, which is longer than proxies keep idle connections (nginx: 60 s).
    #[serde(rename = "header_read_seconds", with = "seconds")]
    pub header_read: Duration,
    /// How long the rest of a refused upload is read and thrown away, so that the client sees the answer rather than
    /// a reset. Default: 5 s.
    #[serde(rename = "linger_seconds", with = "seconds")]
    pub linger: Duration,
}

/// How the service stops.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct ShutdownConfig {
    /// Between `/readyz` turning 503 and the port closing, for load balancers to take notice. Default: 0.
    #[serde(rename = "delay_seconds", with = "seconds")]
    pub delay: Duration,
    /// How long, beyond the deadline of a request, to wait for what is under way. Default: 5 s.
    #[serde(rename = "grace_seconds", with = "seconds")]
    pub grace: Duration,
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
            profiles: Vec::new(),
            calibration_files: Vec::new(),
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
                max_faces: DEFAULT_MAX_FACES,
                min_face_score: 0.6,
            },
            admission: AdmissionConfig { max_requests: None },
            connections: ConnectionsConfig {
                max: 1_024,
                header_read: Duration::from_secs(75),
                linger: Duration::from_secs(5),
            },
            shutdown: ShutdownConfig {
                delay: Duration::ZERO,
                grace: Duration::from_secs(5),
            },
            admin: AdminConfig::default(),
            reload: ReloadConfig::default(),
        }
    }
}

impl AppConfig {
    /// An app with the default settings.
    #[must_use]
    pub fn new(id: impl Into<String>, key: impl Into<SecretString>) -> Self {
        Self {
            id: id.into(),
            key: key.into(),
            ..Self::default()
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
        let mut figment = Figment::from(Layer::defaults()?);
        if let Some(file) = file {
            figment = figment.merge(Layer::file(file)?);
        }
        let env = Environment::read(env)?;
        for layer in env.layers {
            figment = figment.merge(layer);
        }
        let mut config: Self = figment
            .extract()
            .map_err(|error| ConfigError::from_figment(&error))?;
        if let Some(apps) = &env.apps {
            config.merge_apps(apps)?;
        }
        if let Some(listen) = overrides.listen {
            config.listen = listen;
        }
        if overrides.admin_listen.is_some() {
            config.admin.listen = overrides.admin_listen;
        }
        config.validate()?;
        Ok(config)
    }

    /// Checks what the types cannot say. [`Config::load`] has done so; for those who make a `Config` by hand.
    ///
    /// # Errors
    /// [`ConfigError::Invalid`].
    pub fn validate(&self) -> Result<(), ConfigError> {
        self.validate_limits()?;
        self.validate_profiles()?;
        self.validate_apps()?;
        self.admin.validate(self.listen)?;
        self.reload.validate()
    }

    /// The engine's limits, to build it with.
    #[must_use]
    pub fn imaging_limits(&self) -> imaging::Limits {
        imaging::Limits::default()
            .with_max_bytes(self.safety.max_bytes)
            .with_max_side(self.safety.max_side)
            .with_max_pixels(self.safety.max_pixels)
    }

    /// The engine's builder with the safety settings and calibrations of this configuration.
    pub fn configure(&self, builder: EngineBuilder) -> EngineBuilder {
        self.calibration_files
            .iter()
            .fold(builder, EngineBuilder::calibration_file)
            .limits(self.imaging_limits())
            .max_faces(self.safety.max_faces)
            .min_face_score(self.safety.min_face_score as f32)
    }

    /// The configured apps, ready to check credentials.
    ///
    /// # Errors
    /// [`ConfigError::Invalid`].
    pub fn apps(&self) -> Result<Apps, ConfigError> {
        self.validate()?;
        Apps::new(self)
    }

    fn validate_limits(&self) -> Result<(), ConfigError> {
        let limits = &self.limits;
        for (key, sides) in [
            ("limits.v0_1.selfie", limits.v0_1.selfie),
            ("limits.v0_1.image", limits.v0_1.image),
            ("limits.v0_2.selfie", limits.v0_2.selfie),
            ("limits.v0_2.image", limits.v0_2.image),
        ] {
            if sides.min_side == 0 || sides.min_side > sides.max_side {
                return Err(ConfigError::invalid(
                    key,
                    format!(
                        "min_side is {} and max_side {}; it must be 1 <= min_side <= max_side",
                        sides.min_side, sides.max_side
                    ),
                ));
            }
        }
        let positive: [(&str, u64); 8] = [
            ("limits.file_bytes", limits.file_bytes as u64),
            ("limits.body_bytes", limits.body_bytes),
            ("safety.max_bytes", self.safety.max_bytes as u64),
            ("safety.max_side", u64::from(self.safety.max_side)),
            ("safety.max_pixels", self.safety.max_pixels),
            ("safety.max_faces", self.safety.max_faces as u64),
            (
                "admission.max_requests",
                self.admission.max_requests.unwrap_or(1) as u64,
            ),
            ("connections.max", self.connections.max as u64),
        ];
        if self.safety.max_faces > MAX_FACES {
            let problem = format!("must be between 1 and {MAX_FACES}");
            return Err(ConfigError::invalid("safety.max_faces", problem));
        }
        if !(0.0..=1.0).contains(&self.safety.min_face_score) {
            return Err(ConfigError::invalid(
                "safety.min_face_score",
                "must be between 0 and 1",
            ));
        }
        for (key, value) in positive {
            if value == 0 {
                return Err(ConfigError::invalid(key, "must be at least 1"));
            }
        }
        for (key, value) in [
            ("admission.max_requests", self.admission.max_requests.unwrap_or(1)),
            ("connections.max", self.connections.max),
        ] {
            if value > tokio::sync::Semaphore::MAX_PERMITS {
                return Err(ConfigError::invalid(key, "is too large"));
            }
        }
        for (key, value, may_be_zero) in [
            ("limits.deadline_seconds", limits.deadline, false),
            (
                "connections.header_read_seconds",
                self.connections.header_read,
                false,
            ),
            ("connections.linger_seconds", self.connections.linger, true),
            ("shutdown.delay_seconds", self.shutdown.delay, true),
            ("shutdown.grace_seconds", self.shutdown.grace, true),
            ("reload.check_seconds", self.reload.check, true),
        ] {
            if value > MAX_SECONDS {
                return Err(ConfigError::invalid(key, "must not be more than a day"));
            }
            if value.is_zero() && !may_be_zero {
                return Err(ConfigError::invalid(key, "must be more than 0"));
            }
        }
        Ok(())
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

    fn validate_apps(&self) -> Result<(), ConfigError> {
        let mut ids = BTreeSet::new();
        for (index, app) in self.apps.iter().enumerate() {
            let invalid =
                |key: &str, reason: String| Err(ConfigError::invalid(format!("apps[{index}].{key}"), reason));
            if let Err(reason) = check_credential(&app.id) {
                return invalid("id", reason.to_owned());
            }
            if !app
                .id
                .bytes()
                .all(|byte| byte.is_ascii_graphic() && byte != b':' && byte != b',')
            {
                return invalid(
                    "id",
                    "must be printable ASCII without space, ':' and ','".to_owned(),
                );
            }
            if let Err(reason) = check_credential(app.key.expose_secret()) {
                return invalid("key", format!("{reason} (app `{}`)", app.id));
            }
            if !ids.insert(app.id.as_str()) {
                return invalid("id", format!("`{}` is the id of another app", app.id));
            }
            if let Some(name) = &app.default_profile
                && self.profile(name).is_none()
            {
                return invalid("default_profile", format!("there is no profile `{name}`"));
            }
            for name in app.profiles.iter().flatten() {
                if self.profile(name).is_none() {
                    return invalid("profiles", format!("there is no profile `{name}`"));
                }
            }
            // NaN is in no range.
            if !(0.0..=1.0).contains(&app.liveness_threshold_floor) {
                return invalid(
                    "liveness_threshold_floor",
                    "must be a number from 0 to 1".to_owned(),
                );
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

    fn merge_apps(&mut self, list: &SecretString) -> Result<(), ConfigError> {
        let mut seen = BTreeSet::new();
        for (index, entry) in list.expose_secret().split(',').enumerate() {
            // The entry itself is not shown: what has no colon may well be a key.
            let invalid = |reason: &str| {
                Err(ConfigError::invalid(
                    ENV_APPS,
                    format!("entry {}: {reason}", index + 1),
                ))
            };
            let Some((id, key)) = entry.trim().split_once(':') else {
                return invalid("must be `app_id:app_key`");
            };
            if let Err(reason) = check_credential(id) {
                return invalid(&format!("the id {reason}"));
            }
            if let Err(reason) = check_credential(key) {
                return invalid(&format!("the key {reason}"));
            }
            if !seen.insert(id) {
                return invalid("its id is there twice");
            }
            match self.apps.iter_mut().find(|app| app.id == id) {
                Some(app) => app.key = key.into(),
                None => self.apps.push(AppConfig::new(id, key)),
            }
        }
        Ok(())
    }
}

/// Says why a string cannot be sent in a header as an id or a key.
fn check_credential(value: &str) -> Result<(), &'static str> {
    if value.is_empty() {
        return Err("is empty");
    }
    if value.len() > MAX_CREDENTIAL_BYTES {
        return Err("is longer than 256 bytes");
    }
    if value.trim() != value || value.chars().any(char::is_control) {
        return Err("has spaces around it or control characters in it");
    }
    Ok(())
}

/// Reads a secret, without ever showing it in an error: `key = 12345` is a number to TOML.
fn secret<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<SecretString, D::Error> {
    match <Value as Deserialize>::deserialize(deserializer)? {
        Value::String(_, value) => Ok(value.into()),
        _ => Err(serde::de::Error::custom("must be a string, in quotes")),
    }
}

/// Like [`secret`], for one that may be absent.
fn optional_secret<'de, D: serde::Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<SecretString>, D::Error> {
    secret(deserializer).map(Some)
}

/// One layer of settings, with the name that errors show.
struct Layer {
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
    fn new(name: String, settings: &impl Serialize) -> Result<Self, ConfigError> {
        let settings = Value::serialize(settings).map_err(|error| ConfigError::from_figment(&error))?;
        Ok(Self {
            name,
            settings: settings.into_dict().unwrap_or_default(),
        })
    }

    fn defaults() -> Result<Self, ConfigError> {
        Self::new("the defaults".to_owned(), &Config::default())
    }

    fn file(path: &Path) -> Result<Self, ConfigError> {
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
}

/// What the environment sets.
struct Environment {
    layers: Vec<Layer>,
    apps: Option<SecretString>,
}

impl Environment {
    fn read(variables: impl IntoIterator<Item = (OsString, OsString)>) -> Result<Self, ConfigError> {
        let mut variables: Vec<(String, OsString)> = variables
            .into_iter()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value)))
            .filter(|(name, _)| name.starts_with(ENV_PREFIX) || name == ENV_APPS || key_of(name).is_some())
            .collect();
        variables.sort_unstable();
        let mut general = Vec::new();
        let mut single = Vec::new();
        let mut apps = None;
        for (name, value) in variables {
            let Ok(value) = value.into_string() else {
                return Err(ConfigError::invalid(name, "is not UTF-8"));
            };
            if name == ENV_APPS {
                apps = (!value.trim().is_empty()).then(|| value.into());
            } else if let Some(key) = key_of(&name) {
                if !value.trim().is_empty() {
                    let value = Value::from(value.trim().to_owned());
                    let settings = figment::util::nest(key, value).into_dict().unwrap_or_default();
                    single.push(Layer { name, settings });
                }
            } else {
                let path = name[ENV_PREFIX.len()..].to_ascii_lowercase().replace("__", ".");
                if path.split('.').any(str::is_empty) {
                    return Err(ConfigError::invalid(name, "names no key"));
                }
                let value: Value = match value.parse() {
                    Ok(value) => value,
                    Err(never) => match never {},
                };
                let settings = figment::util::nest(&path, value).into_dict().unwrap_or_default();
                general.push(Layer { name, settings });
            }
        }
        general.append(&mut single);
        Ok(Self {
            layers: general,
            apps,
        })
    }
}

/// The key that this variable sets.
fn key_of(variable: &str) -> Option<&'static str> {
    ENV_KEYS
        .iter()
        .find(|(name, _)| *name == variable)
        .map(|(_, key)| *key)
}

/// Why there is no usable configuration. The operator must act.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("the configuration {path} cannot be read: {source}", path = path.display())]
    File {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file is not TOML.
    #[error("the configuration {path} is not valid TOML: line {line}: {reason}", path = path.display())]
    Syntax {
        /// Which file.
        path: PathBuf,
        /// Where, counted from 1.
        line: usize,
        /// Why.
        reason: String,
    },
    /// A key is not known, missing or of a wrong type, or its value cannot be used.
    #[error("configuration: {key}: {reason}")]
    Invalid {
        /// The key, as a path, or the environment variable.
        key: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The operating system gave no random numbers.
    #[error("the operating system gave no random numbers: {0}")]
    Random(String),
}

impl ConfigError {
    pub(crate) fn invalid(key: impl Into<String>, reason: impl Into<String>) -> Self {
        Self::Invalid {
            key: key.into(),
            reason: reason.into(),
        }
    }

    fn from_figment(error: &figment::Error) -> Self {
        let mut key = error.path.join(".");
        if let Some(metadata) = &error.metadata {
            key = if key.is_empty() {
                metadata.name.to_string()
            } else {
                format!("{key} (set by {})", metadata.name)
            };
        }
        let path: Vec<&str> = error.path.iter().map(String::as_str).collect();
        // A table in place of `admin` may have been meant as the token.
        let secret = matches!(path[..], ["apps", ..] | ["admin"] | ["admin", "token", ..]);
        let reason = match &error.kind {
            // These show the value that was found.
            figment::error::Kind::InvalidType(_, expected)
            | figment::error::Kind::InvalidValue(_, expected)
                if secret =>
            {
                format!("expected {expected}")
            }
            kind => kind.to_string(),
        };
        Self::invalid(key, reason)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use likeness_engine::decision::QualityChecks;

    use super::*;

    fn load(file: &str, env: &[(&str, &str)]) -> Result<Config, ConfigError> {
        let mut toml = tempfile::NamedTempFile::new().unwrap();
        toml.write_all(file.as_bytes()).unwrap();
        let env = env.iter().map(|(name, value)| (name.into(), value.into()));
        Config::load_with_env(Some(toml.path()), env, &Overrides::default())
    }

    fn error(file: &str, env: &[(&str, &str)]) -> String {
        load(file, env).unwrap_err().to_string()
    }

    #[test]
    fn defaults_are_the_contracts() {
        let config = Config::load_with_env(None, [], &Overrides::default()).unwrap();
        assert_eq!(config.listen.to_string(), "127.0.0.1:8080");
        assert_eq!(
            config.limits.v0_1.selfie,
            SideLimits {
                min_side: 480,
                max_side: 10_000
            }
        );
        assert_eq!(
            config.limits.v0_2.image,
            SideLimits {
                min_side: 300,
                max_side: 5_000
            }
        );
        assert_eq!(config.limits.file_bytes, 15 << 20);
        assert_eq!(config.limits.body_bytes, 32 << 20);
        assert_eq!(config.limits.deadline, Duration::from_secs(10));
        assert_eq!(config.imaging_limits(), imaging::Limits::default());
        assert!(config.apps.is_empty());
        assert_eq!(config.admission.max_requests, None);
    }

    #[test]
    fn the_reference_file_has_every_setting_at_its_default() {
        let config = load(REFERENCE, &[]).unwrap();
        assert_eq!(format!("{config:?}"), format!("{:?}", Config::default()));
        let every_key = |config: &Config| serde_json::to_value(config).unwrap();
        let table: toml::Table = toml::from_str(REFERENCE).unwrap();
        for (section, settings) in every_key(&config).as_object().unwrap() {
            for key in settings.as_object().into_iter().flat_map(serde_json::Map::keys) {
                let found = table[section].get(key).is_some() || REFERENCE.contains(&format!("# {key} ="));
                assert!(found, "{section}.{key}");
            }
        }
        // What is commented out is valid too.
        let uncommented: Vec<&str> = REFERENCE
            .lines()
            .map(|line| {
                line.strip_prefix("# ")
                    .filter(|rest| rest.contains(" = ") || rest.starts_with('['))
                    .unwrap_or(line)
            })
            .collect();
        let uncommented = uncommented.join("\n");
        let (top, sections) = uncommented.split_once("[[apps]]").unwrap();
        let config = load(&format!("{top}[[apps]]{sections}"), &[]).unwrap();
        assert_eq!(
            (
                config.apps.len(),
                config.profiles.len(),
                config.admission.max_requests
            ),
            (1, 1, Some(64))
        );
        // The checks that it shows are those that hold without them.
        assert_eq!(*config.profiles[0].quality(), QualityChecks::default());
    }

    #[test]
    fn each_layer_overrides_the_one_before() {
        let file =
            "listen = '127.0.0.1:1'\n[limits]\ndeadline_seconds = 2.5\n[limits.v0_2.selfie]\nmin_side = 10\n";
        let config = load(file, &[]).unwrap();
        assert_eq!(config.listen.port(), 1);
        assert_eq!(config.limits.deadline, Duration::from_millis(2_500));
        assert_eq!(config.limits.v0_2.selfie.min_side, 10);
        assert_eq!(config.limits.v0_2.selfie.max_side, 5_000);
        assert_eq!(config.limits.v0_2.image.min_side, 300);

        let mut env = vec![
            ("LIKENESS__LISTEN", "127.0.0.1:2"),
            ("LIKENESS__LIMITS__V0_2__SELFIE__MIN_SIDE", "20"),
        ];
        let config = load(file, &env).unwrap();
        assert_eq!(config.listen.port(), 2);
        assert_eq!(config.limits.v0_2.selfie.min_side, 20);

        env.push(("LIKENESS_LISTEN", "127.0.0.1:3"));
        assert_eq!(load(file, &env).unwrap().listen.port(), 3);

        let overrides = Overrides::default().with_listen(Some("127.0.0.1:4".parse().unwrap()));
        let env = env.iter().map(|(name, value)| (name.into(), value.into()));
        assert_eq!(
            Config::load_with_env(None, env, &overrides)
                .unwrap()
                .listen
                .port(),
            4
        );
    }

    #[test]
    fn the_operators_port_is_off_until_it_has_an_address() {
        let config = load("", &[]).unwrap();
        assert!(config.admin.listen.is_none() && config.admin.token.is_none());
        assert_eq!(config.reload.check, Duration::from_secs(10));

        let file = "[admin]\nlisten = '127.0.0.1:1'\ntoken = 'file'\n[reload]\ncheck_seconds = 0\n";
        let port = |config: &Config| config.admin.listen.unwrap().port();
        let token = |config: &Config| config.admin.token.as_ref().unwrap().expose_secret().to_owned();
        let config = load(file, &[]).unwrap();
        assert_eq!((port(&config), token(&config).as_str()), (1, "file"));
        assert!(config.reload.check.is_zero());

        let env = [
            ("LIKENESS__ADMIN__LISTEN", "127.0.0.1:2"),
            ("LIKENESS_ADMIN_LISTEN", "127.0.0.1:3"),
            ("LIKENESS_ADMIN_TOKEN", "73310"),
        ];
        assert_eq!(port(&load(file, &env[..1]).unwrap()), 2);
        let config = load(file, &env).unwrap();
        assert_eq!((port(&config), token(&config).as_str()), (3, "73310"));
        assert!(!format!("{config:?}").contains("73310"));
        let config = load(
            file,
            &[("LIKENESS_ADMIN_LISTEN", " "), ("LIKENESS_ADMIN_TOKEN", "")],
        )
        .unwrap();
        assert_eq!((port(&config), token(&config).as_str()), (1, "file"));

        let overrides = Overrides::default().with_admin_listen(Some("127.0.0.1:4".parse().unwrap()));
        let env = env.map(|(name, value)| (name.into(), value.into()));
        assert_eq!(port(&Config::load_with_env(None, env, &overrides).unwrap()), 4);
    }

    #[test]
    fn apps_from_the_environment() {
        let config = load("", &[("LIKENESS_APPS", "one:k:e:y, two:key2")]).unwrap();
        let apps: Vec<_> = config
            .apps
            .iter()
            .map(|app| (app.id.as_str(), app.key.expose_secret()))
            .collect();
        assert_eq!(apps, [("one", "k:e:y"), ("two", "key2")]);
        assert!(load("", &[("LIKENESS_APPS", " ")]).unwrap().apps.is_empty());
        let config = load("", &[("LIKENESS__APPS", "[{id = \"a\", key = \"secret\"}]")]).unwrap();
        assert_eq!(config.apps[0].key.expose_secret(), "secret");
    }

    #[test]
    fn the_environment_brings_the_key_of_an_app_in_the_file() {
        let file = "[[apps]]\nid = 'one'\ndefault_profile = 'strict-v0'\n";
        assert!(error(file, &[]).contains("apps[0].key: is empty (app `one`)"));
        let config = load(file, &[("LIKENESS_APPS", "one:key")]).unwrap();
        assert_eq!(config.apps.len(), 1);
        assert_eq!(config.apps[0].key.expose_secret(), "key");
        assert_eq!(config.apps[0].default_profile.as_deref(), Some("strict-v0"));
    }

    #[test]
    fn errors_name_the_key_and_hide_secrets() {
        for (file, env, named) in [
            ("lisen = 1", &[][..], "lisen"),
            ("listen = 'here'", &[], "listen"),
            (
                "[limits.v0_1.selfie]\nmin_side = 'x'",
                &[],
                "limits.v0_1.selfie.min_side",
            ),
            ("[limits.v0_1.selfie]\nmin_side = 0", &[], "limits.v0_1.selfie"),
            ("[limits.v0_1.selfie]\nmin_size = 1", &[], "min_size"),
            ("[limits]\ndeadline_seconds = 0", &[], "limits.deadline_seconds"),
            ("[limits]\ndeadline_seconds = nan", &[], "limits.deadline_seconds"),
            ("[limits]\ndeadline_seconds = -1", &[], "limits.deadline_seconds"),
            (
                "[limits]\ndeadline_seconds = 1e300",
                &[],
                "limits.deadline_seconds",
            ),
            ("[connections]\nmax = 0", &[], "connections.max"),
            ("[reload]\ncheck_seconds = -1", &[], "reload.check_seconds"),
            ("[reload]\ncheck_seconds = 0.001", &[], "reload.check_seconds"),
            ("[reload]\ncheck_seconds = 86401", &[], "reload.check_seconds"),
            ("[admin]\nlisten = 'here'", &[], "admin.listen"),
            ("[admin]\nlisten = '127.0.0.1:8080'", &[], "admin.listen"),
            ("[admin]\nlisten = '0.0.0.0:9090'", &[], "admin.token"),
            ("[admin]\ntoken = 73310", &[], "admin.token"),
            ("[admin]\ntoken = ['s3cret']", &[], "admin.token"),
            ("[admin]\ntoken = ''", &[], "admin.token"),
            ("[admin]\ntocken = 's3cret'", &[], "tocken"),
            ("admin = 's3cret'", &[], "admin"),
            ("", &[("LIKENESS_ADMIN_TOKEN", "s3cret s3cret")], "admin.token"),
            (
                "",
                &[("LIKENESS_ADMIN_LISTEN", "nowhere")],
                "admin.listen (set by LIKENESS_ADMIN_LISTEN)",
            ),
            ("[admission]\nmax_requests = 0", &[], "admission.max_requests"),
            (
                "[[profiles]]\nname = 'strict-v0'\nface_match = { reject_below = 0, review_below = 1 }\nliveness = { reject_below = 0, review_below = 1 }",
                &[],
                "profiles[0].name",
            ),
            (
                "[[apps]]\nid = 'a'\nkey = 's3cret'\ndefault_profile = 'p'",
                &[],
                "apps[0].default_profile",
            ),
            (
                "[[apps]]\nid = 'a'\nkey = 's3cret'\nprofiles = ['p']",
                &[],
                "apps[0].profiles",
            ),
            (
                "[[apps]]\nid = 'a'\nkey = 's3cret'\nliveness_threshold_floor = nan",
                &[],
                "apps[0].liveness_threshold_floor",
            ),
            (
                "[[apps]]\nid = 'a'\nkey = 's3cret'\n[[apps]]\nid = 'a'\nkey = 's3cret'",
                &[],
                "apps[1].id",
            ),
            ("[[apps]]\nid = 'a b'\nkey = 's3cret'", &[], "apps[0].id"),
            ("[[apps]]\nid = ''\nkey = 's3cret'", &[], "apps[0].id"),
            ("[[apps]]\nid = 'a'\nkey = ' s3cret'", &[], "apps[0].key"),
            ("[[apps]]\nid = 'a'\nkey = 73310", &[], "apps.0.key"),
            ("apps = 's3cret'", &[], "apps"),
            ("[[apps]]\nkey = 's3cret'\nkey = ", &[], "line 3"),
            ("", &[("LIKENESS_APPS", "s3cret")], "LIKENESS_APPS: entry 1"),
            ("", &[("LIKENESS_APPS", "a:s3cret,")], "LIKENESS_APPS: entry 2"),
            (
                "",
                &[("LIKENESS_APPS", "a:s3cret,a:s3cret")],
                "LIKENESS_APPS: entry 2",
            ),
            ("", &[("LIKENESS_APPS", ":s3cret")], "LIKENESS_APPS: entry 1"),
            ("", &[("LIKENESS_APPS", "a:")], "LIKENESS_APPS: entry 1"),
            ("", &[("LIKENESS__APPS", "a:s3cret")], "LIKENESS__APPS"),
            (
                "",
                &[("LIKENESS__LIMITS__FILE_BYTES", "many")],
                "limits.file_bytes (set by LIKENESS__LIMITS__FILE_BYTES)",
            ),
            ("", &[("LIKENESS__LIMIT__FILE_BYTES", "1")], "limit"),
            ("", &[("LIKENESS__", "1")], "LIKENESS__"),
            (
                "",
                &[("LIKENESS_LISTEN", "nowhere")],
                "listen (set by LIKENESS_LISTEN)",
            ),
        ] {
            let message = error(file, env);
            assert!(message.contains(named), "{file:?} {env:?}: {message}");
            assert!(
                !message.contains("s3cret") && !message.contains("73310"),
                "{message}"
            );
        }
    }

    #[test]
    fn debug_shows_no_key() {
        let config = load("", &[("LIKENESS_APPS", "one:s3cret")]).unwrap();
        let debug = format!("{config:?}");
        assert!(debug.contains("one") && !debug.contains("s3cret"), "{debug}");
    }
}
