//! Who may call.

use std::collections::BTreeSet;

use likeness_storage::apps::{AppEndpoint, AppLimits, AppSettings, KeyRule};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};

use super::secrets::{check_credential, redacted, secret};
use super::{Config, ConfigError, ENV_APPS};

/// One caller of the service.
#[derive(Debug, Clone, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct AppConfig {
    /// What the caller sends as `app_id`. Logged.
    pub id: String,
    /// What the caller sends as `app_key`. May be left out of a file where [`ENV_APPS`] brings it.
    #[serde(default, deserialize_with = "secret", serialize_with = "redacted")]
    pub key: SecretString,
    /// The profile of requests that name none; `optimal-v0` where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default_profile: Option<String>,
    /// The profiles that a request may name, besides the default one. Absent: all, built-in and configured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub profiles: Option<Vec<String>>,
    /// The lowest `threshold` that a liveness verification may ask for, 0..=1. Default: 0.
    #[serde(default)]
    pub liveness_threshold_floor: f64,
    /// The endpoints that it may call. Absent: all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub endpoints: Option<Vec<AppEndpoint>>,
    /// How much it may ask for. What is absent is not limited.
    #[serde(default, skip_serializing_if = "AppLimits::is_none")]
    pub limits: AppLimits,
    /// A disabled app is refused with 403.
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

    /// What it may do.
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
    /// Which keys of apps are accepted, whichever way they come in.
    #[must_use]
    pub fn key_rule(&self) -> KeyRule {
        if self.allow_weak_keys {
            KeyRule::AnyLength
        } else {
            KeyRule::Strong
        }
    }

    /// The ids of the apps whose keys are accepted only because of `allow_weak_keys`.
    #[must_use]
    pub fn apps_with_weak_keys(&self) -> Vec<&str> {
        let is_weak = |app: &&AppConfig| KeyRule::Strong.check(app.key.expose_secret()).is_err();
        self.apps
            .iter()
            .filter(is_weak)
            .map(|app| app.id.as_str())
            .collect()
    }

    pub(super) fn validate_apps(&self) -> Result<(), ConfigError> {
        let mut ids = BTreeSet::new();
        for (index, app) in self.apps.iter().enumerate() {
            let invalid =
                |key: &str, reason: String| Err(ConfigError::invalid(format!("apps[{index}].{key}"), reason));
            if let Err((key, reason)) = self.check_parts(&app.id, &app.settings()) {
                return invalid(&key, reason);
            }
            if let Err(reason) = self.key_rule().check(app.key.expose_secret()) {
                return invalid("key", format!("{reason} (app `{}`)", app.id));
            }
            if !ids.insert(app.id.as_str()) {
                return invalid("id", format!("`{}` is the id of another app", app.id));
            }
        }
        Ok(())
    }

    /// Checks the id and the settings of an app that is to be stored, as those of a configured one are checked.
    ///
    /// # Errors
    /// [`ConfigError::Invalid`], which names the setting.
    pub fn check_app(&self, id: &str, settings: &AppSettings) -> Result<(), ConfigError> {
        self.check_parts(id, settings)
            .map_err(|(key, reason)| ConfigError::invalid(format!("app `{id}`: {key}"), reason))
    }

    /// The setting that is wrong, and why.
    fn check_parts(&self, id: &str, settings: &AppSettings) -> Result<(), (String, String)> {
        let invalid = |key: &str, reason: String| Err((key.to_owned(), reason));
        if let Err(reason) = check_credential(id) {
            return invalid("id", reason.to_owned());
        }
        if !id
            .bytes()
            .all(|byte| byte.is_ascii_graphic() && byte != b':' && byte != b',')
        {
            return invalid(
                "id",
                "must be printable ASCII without space, ':' and ','".to_owned(),
            );
        }
        if let Some(name) = &settings.default_profile
            && self.profile(name).is_none()
        {
            return invalid("default_profile", format!("there is no profile `{name}`"));
        }
        for name in settings.profiles.iter().flatten() {
            if self.profile(name).is_none() {
                return invalid("profiles", format!("there is no profile `{name}`"));
            }
        }
        if settings.endpoints.as_ref().is_some_and(Vec::is_empty) {
            return invalid(
                "endpoints",
                "has none in it; an app that may call nothing is disabled".to_owned(),
            );
        }
        // NaN is in no range.
        if !(0.0..=1.0).contains(&settings.liveness_threshold_floor) {
            return invalid(
                "liveness_threshold_floor",
                "must be a number from 0 to 1".to_owned(),
            );
        }
        settings
            .limits
            .check()
            .map_err(|(limit, reason)| (format!("limits.{limit}"), reason.to_owned()))
    }

    pub(super) fn merge_apps(&mut self, list: &SecretString) -> Result<(), ConfigError> {
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
            if let Err(reason) = self.key_rule().check(key) {
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
