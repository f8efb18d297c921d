//! Other settings while serving.

use std::sync::{Arc, Mutex};

use crate::config::{Config, ConfigError};
use crate::locked::locked;
use crate::metrics::Outcome;
use crate::service::Service;

/// The sections and keys that are taken up while serving. All others are read at the start only.
const RELOADABLE: [&str; 5] = [
    "allow_weak_keys",
    "apps",
    "log.filter",
    "profiles",
    "request_limits",
];

/// Reads a configuration anew, and has the service go by what can be changed while it serves. Clones are the same one.
#[derive(Clone)]
pub(crate) struct SettingsReloader {
    inner: Arc<Inner>,
}

struct Inner {
    service: Arc<Service>,
    read: Box<dyn Fn() -> Result<Config, ConfigError> + Send + Sync>,
    /// What the service goes by: as it was started, but for what has been taken up since.
    current: Mutex<Config>,
}

/// What came of reading the settings again.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct SettingsReload {
    /// Keys whose new values hold from now on.
    pub changed: Vec<String>,
    /// Keys that have other values than the service goes by, which only a restart takes up.
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

    /// Reads and takes up, and logs what came of it. Where it fails, all is as before. Reads files: not for threads that
    /// must not wait.
    pub(crate) fn reload(&self) -> Result<SettingsReload, ConfigError> {
        let outcome = self.inner.reload();
        self.inner.service.metrics.setting_reloads.add(match &outcome {
            Ok(reload) if reload.changed.is_empty() => Outcome::Unchanged,
            Ok(_) => Outcome::Changed,
            Err(_) => Outcome::Failed,
        });
        match &outcome {
            Ok(SettingsReload {
                changed,
                needs_restart,
            }) => {
                if !changed.is_empty() {
                    tracing::info!(keys = changed.join(", "), "new settings hold from now on");
                }
                if !needs_restart.is_empty() {
                    tracing::warn!(
                        keys = needs_restart.join(", "),
                        "these settings have other values now, which hold after a restart"
                    );
                }
            }
            Err(error) => {
                tracing::error!(%error, "the new settings cannot be used; the ones before go on holding");
            }
        }
        outcome
    }
}

impl Inner {
    fn reload(&self) -> Result<SettingsReload, ConfigError> {
        // Held throughout: one reload after the other.
        let mut current = locked(&self.current);
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
        self.service.set_limits(new.request_limits.clone());
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

fn is_reloadable(key: &str) -> bool {
    RELOADABLE.iter().any(|name| {
        key.strip_prefix(name)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    })
}
