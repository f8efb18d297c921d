//! Reload of settings.

use std::sync::Arc;

use parking_lot::Mutex;

use crate::config::{Config, ConfigError};
use crate::http::Service;
use crate::telemetry::metrics::{Outcome, Reloaded};

/// The reloadable sections and keys. All others need a restart.
const RELOADABLE: [&str; 5] = ["allow_weak_keys", "apps", "limits", "log.filter", "profiles"];

/// Reads the configuration again and applies its reloadable settings. Clones are the same reloader.
#[derive(Clone)]
pub(crate) struct SettingsReloader {
    inner: Arc<Inner>,
}

struct Inner {
    service: Arc<Service>,
    read: Box<dyn Fn() -> Result<Config, ConfigError> + Send + Sync>,
    /// The settings in force.
    current: Mutex<Config>,
}

/// The result of a reload of the settings.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct SettingsReload {
    /// Keys whose new values are in force.
    pub changed: Vec<String>,
    /// Keys whose new values need a restart.
    pub needs_restart: Vec<String>,
}

impl std::fmt::Debug for SettingsReloader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SettingsReloader").finish_non_exhaustive()
    }
}

impl SettingsReloader {
    pub(crate) fn new(
        service: Arc<Service>,
        started: Config,
        read: impl Fn() -> Result<Config, ConfigError> + Send + Sync + 'static,
    ) -> Self {
        Self {
            inner: Arc::new(Inner {
                service,
                read: Box::new(read),
                current: Mutex::new(started),
            }),
        }
    }

    /// Reads, applies and logs. After an error nothing has changed. Blocks.
    pub(crate) fn reload(&self) -> Result<SettingsReload, ConfigError> {
        let outcome = self.inner.reload();
        let counted = match &outcome {
            Ok(reload) if reload.changed.is_empty() => Outcome::Unchanged,
            Ok(_) => Outcome::Changed,
            Err(_) => Outcome::Failed,
        };
        self.inner.service.metrics().reloaded(Reloaded::Settings, counted);
        match &outcome {
            Ok(SettingsReload {
                changed,
                needs_restart,
            }) => {
                if !changed.is_empty() {
                    tracing::info!(keys = changed.join(", "), "settings reloaded");
                }
                if !needs_restart.is_empty() {
                    tracing::warn!(keys = needs_restart.join(", "), "changed settings need a restart");
                }
            }
            Err(error) => {
                tracing::error!(%error, "settings reload failed; keeping the current settings");
            }
        }
        outcome
    }
}

impl Inner {
    fn reload(&self) -> Result<SettingsReload, ConfigError> {
        // Held throughout, so that one reload follows another.
        let mut current = self.current.lock();
        let new = (self.read)()?;
        let (changed, needs_restart) = current
            .differences(&new)?
            .into_iter()
            .partition(|key| is_reloadable(key));
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
        self.service.limits.store(Arc::new(new.limits.clone()));
        current.allow_weak_keys = new.allow_weak_keys;
        current.apps = new.apps;
        current.profiles = new.profiles;
        current.limits = new.limits;
        Ok(SettingsReload {
            changed,
            needs_restart,
        })
    }
}

fn is_reloadable(key: &str) -> bool {
    RELOADABLE.iter().any(|name| {
        key.strip_prefix(name)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    })
}
