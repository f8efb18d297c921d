//! Apps and their quotas.

use std::collections::BTreeSet;

use likeness_storage::apps::{AppEndpoint, AppLimits, AppSettings, KeyRule};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};

use super::values::{check_credential, secret};
use super::{Config, ConfigError, ENV_APPS};

/// One app: a client with an id and a key.
#[derive(Debug, Clone, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct AppConfig {
    /// What its requests bring as `app_id`. Logged.
    pub id: String,
    /// What its requests bring as `app_key`. May be left out of a file where [`ENV_APPS`] brings it.
    #[serde(default, with = "secret")]
    pub key: SecretString,
    /// The profile of requests that name none; `optimal-v0` where absent.
    pub default_profile: Option<String>,
    /// The profiles that a request may name, besides the default one. Absent: all, built-in and configured.
    pub profiles: Option<Vec<String>>,
    /// The lowest `threshold` of its liveness verifications, 0..=1. Default: 0.
    #[serde(default)]
    pub liveness_threshold_floor: f64,
    /// The endpoints of its requests. Absent: all.
    pub endpoints: Option<Vec<AppEndpoint>>,
    /// Its rate limit, concurrency limit and quotas. What is absent is not limited.
    #[serde(default, skip_serializing_if = "AppLimits::is_none")]
    pub limits: AppLimits,
    /// Requests of a disabled app are rejected with 403.
    #[serde(default)]
    pub disabled: bool,
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

    pub(crate) fn settings(&self) -> AppSettings {
        let mut settings = AppSettings::default();
        settings.disabled = self.disabled;
        settings.default_profile.clone_from(&self.default_profile);
        settings.profiles.clone_from(&self.profiles);
        settings.endpoints.clone_from(&self.endpoints);
        settings.liveness_threshold_floor = self.liveness_threshold_floor;
        settings.limits = self.limits;
        settings
    }
}

impl Config {
    /// Returns the rule for keys of apps, wherever they come from.
    pub fn key_rule(&self) -> KeyRule {
        if self.allow_weak_keys {
            KeyRule::AnyLength
        } else {
            KeyRule::Strong
        }
    }

    /// The ids of the apps whose keys are accepted only because of `allow_weak_keys`.
    pub fn apps_with_weak_keys(&self) -> Vec<&str> {
        let is_weak = |app: &&AppConfig| KeyRule::Strong.check(app.key.expose_secret()).is_err();
        let weak = self.apps.iter().filter(is_weak);
        weak.map(|app| app.id.as_str()).collect()
    }

    pub(super) fn validate_apps(&self) -> Result<(), ConfigError> {
        let mut ids = BTreeSet::new();
        for (index, app) in self.apps.iter().enumerate() {
            let prefix = format!("apps[{index}].");
            let invalid =
                |key: &str, reason: String| Err(ConfigError::invalid(format!("{prefix}{key}"), reason));
            self.check_parts(&prefix, &app.id, &app.settings())?;
            if let Err(reason) = self.key_rule().check(app.key.expose_secret()) {
                return invalid("key", format!("{reason} (app `{}`)", app.id));
            }
            if !ids.insert(app.id.as_str()) {
                return invalid("id", format!("`{}` is the id of another app", app.id));
            }
        }
        Ok(())
    }

    /// Checks the id and the settings of an app for the database as those of a configured one. The error names the setting.
    pub fn check_app(&self, id: &str, settings: &AppSettings) -> Result<(), ConfigError> {
        self.check_parts(&format!("app `{id}`: "), id, settings)
    }

    /// The error names the setting, with this prefix.
    fn check_parts(&self, prefix: &str, id: &str, settings: &AppSettings) -> Result<(), ConfigError> {
        let invalid = |key: &str, reason: &str| Err(ConfigError::invalid(format!("{prefix}{key}"), reason));
        if let Err(reason) = check_credential(id) {
            return invalid("id", reason);
        }
        let is_plain = |byte: u8| byte.is_ascii_graphic() && byte != b':' && byte != b',';
        let default = settings.default_profile.iter();
        let default = default.map(|name| ("default_profile", name));
        let others = settings.profiles.iter().flatten();
        let mut profiles = default.chain(others.map(|name| ("profiles", name)));
        let unknown = profiles.find(|(_, name)| self.profile(name).is_none());
        let floor = settings.liveness_threshold_floor;
        if !id.bytes().all(is_plain) {
            invalid("id", "must be printable ASCII without space, ':' and ','")
        } else if let Some((key, name)) = unknown {
            invalid(key, &format!("there is no profile `{name}`"))
        } else if settings.endpoints.as_ref().is_some_and(Vec::is_empty) {
            invalid("endpoints", "is empty; to block an app, disable it")
        } else if !(0.0..=1.0).contains(&floor) {
            // NaN is in no range.
            invalid("liveness_threshold_floor", "must be a number from 0 to 1")
        } else if let Err((limit, reason)) = settings.limits.check() {
            invalid(&format!("limits.{limit}"), reason)
        } else {
            Ok(())
        }
    }

    pub(super) fn merge_apps(&mut self, list: &SecretString) -> Result<(), ConfigError> {
        let mut seen = BTreeSet::new();
        for (index, entry) in list.expose_secret().split(',').enumerate() {
            // The entry itself is not shown: what has no colon may well be a key.
            let entry_number = index + 1;
            let invalid = |reason: &str| {
                Err(ConfigError::invalid(
                    ENV_APPS,
                    format!("entry {entry_number}: {reason}"),
                ))
            };
            let Some((id, key)) = entry.trim().split_once(':') else {
                return invalid("must be `app_id:app_key`");
            };
            if let Err(reason) = check_credential(id) {
                return invalid(&format!("the id {reason}"));
            }
            if let Err(reason) = self.key_rule().check(key) {
                return invalid(&format!("the key {reason}"));
            }
            if !seen.insert(id) {
                return invalid("duplicate id");
            }
            match self.apps.iter_mut().find(|app| app.id == id) {
                Some(app) => app.key = key.into(),
                None => self.apps.push(AppConfig::new(id, key)),
            }
        }
        Ok(())
    }
}

/// How quotas hold. The quotas themselves are settings of the apps.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct QuotasConfig {
    /// What happens to requests of apps with quotas while the database is unavailable. Default: serve.
    #[serde(default)]
    pub when_unavailable: WhenUnavailable,
}

/// What happens to requests of apps with quotas while the database is unavailable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum WhenUnavailable {
    /// They are admitted up to what was last known to be left.
    #[default]
    Serve,
    /// They are rejected with 503.
    Refuse,
}
