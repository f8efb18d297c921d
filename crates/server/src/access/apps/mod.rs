//! The apps, and the check of their credentials.

mod credentials;
mod directory;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use axum::http::HeaderMap;
use likeness_engine::decision::Profile;
use likeness_storage::apps::{AppEndpoint, AppLimits, AppSettings, SaltedDigest, StoredApp};
use likeness_storage::{StorageError, now};
use secrecy::ExposeSecret;

use crate::config::{AppConfig, Config, ConfigError};

use credentials::{Credentials, Presented};

pub(crate) use credentials::{ID_HEADERS, KEY_HEADERS};
pub(crate) use directory::AppDirectory;
pub use directory::FIRST_APP;

/// Id of the app that [`Apps::add_demo`] adds.
pub const DEMO_APP: &str = "demo";

/// An app with its settings resolved.
#[derive(Debug)]
pub(crate) struct App {
    pub(crate) id: String,
    pub(crate) disabled: bool,
    pub(crate) default_profile: Profile,
    /// Of a liveness verification, 0..=1.
    pub(crate) threshold_floor: f64,
    pub(crate) limits: AppLimits,
    /// `None`: all.
    endpoints: Option<Vec<AppEndpoint>>,
    /// All that a request may name, the default one among them.
    profiles: Vec<Profile>,
}

impl App {
    /// Resolves settings with the profiles of the service. The error is the name of an unknown profile.
    fn new(id: &str, settings: &AppSettings, known: &[Profile]) -> Result<Self, String> {
        let find = |name: &String| {
            let found = known.iter().find(|profile| profile.name() == name);
            found.cloned().ok_or_else(|| name.clone())
        };
        let default_profile = match &settings.default_profile {
            Some(name) => find(name)?,
            None => Profile::default(),
        };
        let mut profiles = match &settings.profiles {
            Some(names) => names.iter().map(find).collect::<Result<Vec<_>, _>>()?,
            None => known.to_vec(),
        };
        if !profiles.contains(&default_profile) {
            profiles.insert(0, default_profile.clone());
        }
        Ok(Self {
            id: id.to_owned(),
            disabled: settings.disabled,
            default_profile,
            threshold_floor: settings.liveness_threshold_floor,
            limits: settings.limits,
            endpoints: settings.endpoints.clone(),
            profiles,
        })
    }

    /// Returns a disabled app.
    fn disabled(id: &str) -> Self {
        Self {
            id: id.to_owned(),
            disabled: true,
            default_profile: Profile::default(),
            threshold_floor: 0.0,
            limits: AppLimits::default(),
            endpoints: None,
            profiles: Vec::new(),
        }
    }

    /// Returns an app with these limits and defaults otherwise.
    #[cfg(test)]
    pub(crate) fn with_limits(id: &str, profile: Profile, limits: AppLimits) -> Self {
        Self {
            disabled: false,
            default_profile: profile,
            limits,
            ..Self::disabled(id)
        }
    }

    /// Returns the profile of this name, if the app may use it.
    pub(crate) fn profile(&self, name: &str) -> Option<&Profile> {
        self.profiles.iter().find(|profile| profile.name() == name)
    }

    /// Returns the names of all profiles of the app, for messages.
    pub(crate) fn profile_names(&self) -> String {
        let names: Vec<&str> = self.profiles.iter().map(Profile::name).collect();
        names.join(", ")
    }

    /// Returns whether the app may use this endpoint.
    pub(crate) fn may_call(&self, endpoint: AppEndpoint) -> bool {
        self.endpoints
            .as_ref()
            .is_none_or(|allowed| allowed.contains(&endpoint))
    }
}

/// All apps. Holds salted digests of their keys, never a key.
#[derive(Clone)]
pub struct Apps {
    entries: HashMap<String, Entry>,
    /// Compared with the key of a request that names no known app.
    unknown: Credentials,
    /// Whether [`add_demo`](Self::add_demo) has added an app.
    pub(crate) has_demo: bool,
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

impl Config {
    /// Returns the configured apps, ready to check credentials.
    ///
    /// # Errors
    /// [`ConfigError::Invalid`].
    pub fn apps(&self) -> Result<Apps, ConfigError> {
        self.validate()?;
        Apps::new(self)
    }
}

impl Apps {
    /// Returns the apps of a valid configuration.
    pub(crate) fn new(config: &Config) -> Result<Self, ConfigError> {
        let names = config.profile_names();
        let profiles: Vec<Profile> = names.filter_map(|name| config.profile(name)).collect();
        let mut apps = Self {
            entries: HashMap::new(),
            unknown: Credentials::new([]).map_err(no_random)?,
            has_demo: false,
            profiles: profiles.into(),
        };
        for app in &config.apps {
            apps.configure(app)?;
        }
        Ok(apps)
    }

    /// Returns the number of apps.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Returns whether there is no app.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Adds the app [`DEMO_APP`] with a new key of 32 hexadecimal digits from the operating system's random numbers, and
    /// returns the key, to be shown once. Returns `None` if the configuration has an app of that id, which stays as it is.
    ///
    /// # Errors
    /// [`ConfigError::Random`].
    pub fn add_demo(&mut self) -> Result<Option<String>, ConfigError> {
        if self.entries.contains_key(DEMO_APP) {
            return Ok(None);
        }
        let mut random = [0_u8; 16];
        getrandom::fill(&mut random).map_err(|error| ConfigError::Random(error.to_string()))?;
        let key = hex::encode(random);
        self.configure(&AppConfig::new(DEMO_APP, key.as_str()))?;
        self.has_demo = true;
        Ok(Some(key))
    }

    fn configure(&mut self, config: &AppConfig) -> Result<(), ConfigError> {
        let app = App::new(&config.id, &config.settings(), &self.profiles).map_err(|unknown| {
            ConfigError::invalid(
                format!("apps (`{}`)", config.id),
                format!("there is no profile `{unknown}`"),
            )
        })?;
        let digest = SaltedDigest::new(config.key.expose_secret().as_bytes());
        let keys = digest.map(|digest| [(digest, i64::MAX)]);
        let credentials = keys.and_then(Credentials::new).map_err(no_random)?;
        self.insert(app, credentials);
        Ok(())
    }

    /// Adds the demo app of another set of apps, unless these have an app of its id.
    fn with_demo_of(mut self, other: &Self) -> Self {
        if other.has_demo
            && !self.entries.contains_key(DEMO_APP)
            && let Some(demo) = other.entries.get(DEMO_APP)
        {
            self.entries.insert(DEMO_APP.to_owned(), demo.clone());
            self.has_demo = true;
        }
        self
    }

    /// Adds the apps of the database. A configured app wins over one of the same id.
    fn with_stored(mut self, stored: &[StoredApp]) -> Result<Self, StorageError> {
        let now = now();
        for stored in stored {
            let id = &stored.id;
            if self.entries.contains_key(id) {
                tracing::warn!(
                    app = id,
                    "app is in the configuration and in the database; the configuration wins"
                );
                continue;
            }
            // Its requests must not be decided by another profile.
            let app = App::new(id, &stored.settings, &self.profiles).unwrap_or_else(|unknown| {
                tracing::error!(
                    app = id,
                    profile = unknown,
                    "app has a profile that is not configured; treating the app as disabled"
                );
                App::disabled(id)
            });
            let live = stored.keys.iter().filter(|key| key.is_live(now));
            let keys = live.map(|key| (key.digest, key.expires.unwrap_or(i64::MAX)));
            self.insert(app, Credentials::new(keys)?);
        }
        Ok(self)
    }

    fn insert(&mut self, app: App, credentials: Credentials) {
        let (id, app) = (app.id.clone(), Arc::new(app));
        self.entries.insert(id, Entry { credentials, app });
    }

    /// Returns the app of the id and key in these headers. An unknown id, a wrong key, an expired one and absent headers take
    /// the same time: as many salted digests are compared, and no comparison ends early.
    pub(crate) fn authenticate(&self, headers: &HeaderMap) -> Option<Arc<App>> {
        let presented = Presented::read(headers);
        let entry = self.entries.get(presented.id);
        let credentials = entry.map_or(&self.unknown, |entry| &entry.credentials);
        let accepted = credentials.accept(&presented, now());
        entry
            .filter(|_| bool::from(accepted))
            .map(|entry| Arc::clone(&entry.app))
    }
}

/// Converts the error of a digest, which fails for want of random numbers only.
#[expect(clippy::needless_pass_by_value, reason = "for `map_err`")]
fn no_random(error: StorageError) -> ConfigError {
    ConfigError::Random(error.to_string())
}
