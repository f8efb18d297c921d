//! The callers of the service and the check of their credentials.

mod app;
mod credentials;
mod directory;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use axum::http::HeaderMap;
use likeness_engine::decision::Profile;
use likeness_storage::apps::StoredApp;
use likeness_storage::{StorageError, now};
use secrecy::ExposeSecret;

use crate::config::{AppConfig, Config, ConfigError};

use credentials::{Credentials, Presented};

pub(crate) use app::App;
pub(crate) use credentials::{ID_HEADERS, KEY_HEADERS};
pub(crate) use directory::AppDirectory;
pub use directory::FIRST_APP;

/// Id of the app that [`Apps::add_demo`] makes.
pub const DEMO_APP: &str = "demo";

/// The apps that may call. Holds salted digests of their keys, never a key.
#[derive(Clone)]
pub struct Apps {
    entries: HashMap<String, Entry>,
    /// What is compared with where there is no such app.
    nobody: Credentials,
    has_demo: bool,
    profiles: Arc<[Profile]>,
}

#[derive(Clone)]
struct Entry {
    credentials: Credentials,
    app: Arc<App>,
}

impl fmt::Debug for Apps {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list()
            .entries(self.entries.values().map(|entry| &entry.app))
            .finish()
    }
}

impl Apps {
    /// The apps of a configuration that has been validated.
    pub(crate) fn new(config: &Config) -> Result<Self, ConfigError> {
        let profiles: Vec<Profile> = config
            .profile_names()
            .filter_map(|name| config.profile(name))
            .collect();
        let mut apps = Self {
            entries: HashMap::new(),
            nobody: Credentials::of_nobody().map_err(no_random)?,
            has_demo: false,
            profiles: profiles.into(),
        };
        for app in &config.apps {
            apps.configure(app)?;
        }
        Ok(apps)
    }

    /// How many apps there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether nobody could call.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Adds the app [`DEMO_APP`] with a new key of 32 hexadecimal digits from the operating system's random numbers,
    /// and gives the key, to be shown once. `None` where the configuration has an app of that id: it stays as it is.
    ///
    /// # Errors
    /// [`ConfigError::Random`].
    pub fn add_demo(&mut self) -> Result<Option<String>, ConfigError> {
        if self.entries.contains_key(DEMO_APP) {
            return Ok(None);
        }
        let mut random = [0_u8; 16];
        getrandom::fill(&mut random).map_err(|error| ConfigError::Random(error.to_string()))?;
        let key = hex::encode(&random);
        self.configure(&AppConfig::new(DEMO_APP, key.as_str()))?;
        self.has_demo = true;
        Ok(Some(key))
    }

    /// Whether [`add_demo`](Self::add_demo) has made one.
    pub(crate) fn has_demo(&self) -> bool {
        self.has_demo
    }

    fn configure(&mut self, config: &AppConfig) -> Result<(), ConfigError> {
        let app = App::new(&config.id, &config.settings(), &self.profiles).map_err(|unknown| {
            ConfigError::invalid(
                format!("apps (`{}`)", config.id),
                format!("there is no profile `{}`", unknown.0),
            )
        })?;
        let key = config.key.expose_secret().as_bytes();
        self.insert(Entry {
            credentials: Credentials::of_key(key).map_err(no_random)?,
            app: Arc::new(app),
        });
        Ok(())
    }

    /// With the demo app of those, where they have one and these have no app of its id.
    fn with_demo_of(mut self, other: &Self) -> Self {
        if other.has_demo
            && !self.entries.contains_key(DEMO_APP)
            && let Some(demo) = other.entries.get(DEMO_APP)
        {
            self.insert(demo.clone());
            self.has_demo = true;
        }
        self
    }

    /// With the storage's apps besides. An app that is here already wins over one of the same id.
    fn with_stored(mut self, stored: &[StoredApp]) -> Result<Self, StorageError> {
        let now = now();
        for stored in stored {
            if self.entries.contains_key(&stored.id) {
                tracing::warn!(
                    app = stored.id,
                    "the configuration has an app of this id as well; it wins over the storage's"
                );
                continue;
            }
            let app = Arc::new(self.stored_app(stored));
            self.insert(Entry {
                credentials: Credentials::of_keys(&stored.keys, now)?,
                app,
            });
        }
        Ok(self)
    }

    /// An app whose profiles are not all there must not be answered by others.
    fn stored_app(&self, stored: &StoredApp) -> App {
        match App::new(&stored.id, &stored.settings, &self.profiles) {
            Ok(app) => app,
            Err(unknown) => {
                tracing::error!(
                    app = stored.id,
                    profile = unknown.0,
                    "the app names a profile that the configuration does not have: it is refused as if it were disabled"
                );
                App::refused(&stored.id)
            }
        }
    }

    fn insert(&mut self, entry: Entry) {
        self.entries.insert(entry.app.id.clone(), entry);
    }

    /// The app whose id and key these headers bring. An unknown id, a wrong key, one that is accepted no more and absent
    /// headers take the same time: as many salted digests are compared, none of them ends early.
    pub(crate) fn authenticate(&self, headers: &HeaderMap) -> Option<Arc<App>> {
        let presented = Presented::read(headers);
        let entry = self.entries.get(presented.id);
        let credentials = entry.map_or(&self.nobody, |entry| &entry.credentials);
        let accepted = credentials.accept(&presented, now());
        entry
            .filter(|_| bool::from(accepted))
            .map(|entry| Arc::clone(&entry.app))
    }
}

impl Config {
    /// The configured apps, ready to check credentials.
    ///
    /// # Errors
    /// [`ConfigError::Invalid`].
    pub fn apps(&self) -> Result<Apps, ConfigError> {
        self.validate()?;
        Apps::new(self)
    }
}

/// Making a digest fails for want of random numbers only.
#[expect(clippy::needless_pass_by_value, reason = "it stands where an error is mapped")]
fn no_random(error: StorageError) -> ConfigError {
    ConfigError::Random(error.to_string())
}
