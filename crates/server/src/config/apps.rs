//! Who may call.

use std::collections::BTreeSet;

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
}

impl Config {
    pub(super) fn validate_apps(&self) -> Result<(), ConfigError> {
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
