//! Reload of settings.

use std::sync::{Arc, OnceLock};

use parking_lot::Mutex;

use crate::config::{Config, ConfigError};
use crate::http::Service;
use crate::telemetry::metrics::{Outcome, Reloaded};

/// The reloadable sections and keys. All others need a restart.
const RELOADABLE: [&str; 6] = [
    "allow_weak_keys",
    "apps",
    "console.token",
    "log.filter",
    "profiles",
    "request_limits",
];

/// Reads the configuration.
type Read = Box<dyn Fn() -> Result<Config, ConfigError> + Send + Sync>;

/// Reads the configuration again and applies its reloadable settings.
pub(crate) struct SettingsReloader {
    service: Arc<Service>,
    /// Without it the settings stay.
    pub(crate) read: OnceLock<Read>,
    /// The settings in force.
    current: Mutex<Config>,
}

/// The result of a reload of the settings.
#[derive(Default)]
pub(crate) struct SettingsReload {
    /// Keys whose new values are in force.
    pub(crate) changed: Vec<String>,
    /// Keys whose new values need a restart.
    pub(crate) needs_restart: Vec<String>,
}

impl SettingsReloader {
    pub(crate) fn new(service: Arc<Service>, started: Config) -> Self {
        Self {
            service,
            read: OnceLock::new(),
            current: Mutex::new(started),
        }
    }

    /// Reads the settings in force. Waits for a reload that is running.
    pub(crate) fn with_current<T>(&self, read: impl FnOnce(&Config) -> T) -> T {
        read(&self.current.lock())
    }

    /// Reads, applies and logs. After an error nothing has changed. Blocks.
    pub(crate) fn reload(&self) -> Result<SettingsReload, ConfigError> {
        let Some(read) = self.read.get() else {
            return Ok(SettingsReload::default());
        };
        let outcome = self.try_reload(read);
        let counted = match &outcome {
            Ok(reload) if reload.changed.is_empty() => Outcome::Unchanged,
            Ok(reload) => {
                tracing::info!(keys = reload.changed.join(", "), "settings reloaded");
                Outcome::Changed
            }
            Err(error) => {
                tracing::error!(%error, "settings reload failed; keeping the current settings");
                Outcome::Failed
            }
        };
        self.service.metrics().reloaded(Reloaded::Settings, counted);
        if let Ok(SettingsReload { needs_restart, .. }) = &outcome
            && !needs_restart.is_empty()
        {
            tracing::warn!(keys = needs_restart.join(", "), "changed settings need a restart");
        }
        outcome
    }

    fn try_reload(&self, read: &Read) -> Result<SettingsReload, ConfigError> {
        // Held throughout, so that one reload follows another.
        let mut current = self.current.lock();
        let new = read()?;
        let is_reloadable = |key: &String| {
            let mut rests = RELOADABLE.iter().filter_map(|name| key.strip_prefix(name));
            rests.any(|rest| rest.is_empty() || rest.starts_with('.'))
        };
        let differences = current.differences(&new)?.into_iter();
        let (changed, needs_restart) = differences.partition(is_reloadable);
        self.service
            .apps
            .configure(new.apps()?)
            .map_err(|error| ConfigError::Random(error.to_string()))?;
        if let Some(logs) = self.service.logs.get()
            && new.log.filter != current.log.filter
        {
            logs.set_filter(&new.log)?;
        }
        current.log.filter = new.log.filter;
        self.service.limits.store(Arc::new(new.request_limits.clone()));
        self.service.console_token.set(&new.console);
        current.console.token = new.console.token;
        current.allow_weak_keys = new.allow_weak_keys;
        current.apps = new.apps;
        current.profiles = new.profiles;
        current.request_limits = new.request_limits;
        Ok(SettingsReload {
            changed,
            needs_restart,
        })
    }
}
