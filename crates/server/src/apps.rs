//! The callers of the service and the check of their credentials.

use std::fmt;
use std::sync::Arc;

use axum::http::HeaderMap;
use likeness_engine::decision::Profile;
use secrecy::ExposeSecret;
use sha2::{Digest, Sha256};
use subtle::{Choice, ConditionallySelectable, ConstantTimeEq};

use crate::config::{AppConfig, Config, ConfigError};

/// Id of the app that [`Apps::add_demo`] makes.
pub const DEMO_APP: &str = "demo";

/// Both spellings of the documentation. A proxy such as nginx drops names with underscores.
const ID_HEADERS: [&str; 2] = ["app_id", "app-id"];
const KEY_HEADERS: [&str; 2] = ["app_key", "app-key"];

/// The apps that may call. Holds digests of their credentials, never a key.
#[derive(Clone)]
pub struct Apps {
    entries: Vec<Entry>,
    profiles: Arc<[Profile]>,
}

#[derive(Clone)]
struct Entry {
    id_digest: [u8; 32],
    key_digest: [u8; 32],
    app: Arc<App>,
}

/// What an app may do.
#[derive(Debug)]
pub(crate) struct App {
    pub(crate) id: String,
    pub(crate) disabled: bool,
    pub(crate) default_profile: Profile,
    /// Of a liveness verification, 0..=1.
    pub(crate) threshold_floor: f64,
    /// All that a request may name, the default one among them.
    profiles: Vec<Profile>,
}

impl App {
    /// The profile of this name, where the app may use it.
    pub(crate) fn profile(&self, name: &str) -> Option<&Profile> {
        self.profiles.iter().find(|profile| profile.name() == name)
    }

    /// What the app may ask for, for messages.
    pub(crate) fn profile_names(&self) -> String {
        let names: Vec<&str> = self.profiles.iter().map(Profile::name).collect();
        names.join(", ")
    }
}

impl fmt::Debug for Apps {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list()
            .entries(self.entries.iter().map(|entry| &entry.app))
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
            entries: Vec::new(),
            profiles: profiles.into(),
        };
        for app in &config.apps {
            apps.push(app)?;
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
        if self.entries.iter().any(|entry| entry.app.id == DEMO_APP) {
            return Ok(None);
        }
        let mut random = [0_u8; 16];
        getrandom::fill(&mut random).map_err(|error| ConfigError::Random(error.to_string()))?;
        let key: String = random.iter().map(|byte| format!("{byte:02x}")).collect();
        self.push(&AppConfig::new(DEMO_APP, key.as_str()))?;
        Ok(Some(key))
    }

    fn push(&mut self, config: &AppConfig) -> Result<(), ConfigError> {
        let find = |name: &str| {
            self.profiles
                .iter()
                .find(|profile| profile.name() == name)
                .cloned()
                .ok_or_else(|| {
                    ConfigError::invalid(
                        format!("apps (`{}`)", config.id),
                        format!("there is no profile `{name}`"),
                    )
                })
        };
        let default_profile = match &config.default_profile {
            Some(name) => find(name)?,
            None => Profile::default(),
        };
        let mut profiles = match &config.profiles {
            Some(names) => names
                .iter()
                .map(|name| find(name))
                .collect::<Result<Vec<_>, _>>()?,
            None => self.profiles.to_vec(),
        };
        if !profiles.contains(&default_profile) {
            profiles.insert(0, default_profile.clone());
        }
        self.entries.push(Entry {
            id_digest: Sha256::digest(&config.id).into(),
            key_digest: Sha256::digest(config.key.expose_secret()).into(),
            app: Arc::new(App {
                id: config.id.clone(),
                disabled: config.disabled,
                default_profile,
                threshold_floor: config.liveness_threshold_floor,
                profiles,
            }),
        });
        Ok(())
    }

    /// The app whose id and key these headers bring. It takes the same time for an unknown id, a wrong key and absent
    /// headers: both digests are compared with those of every app, and no comparison ends early.
    pub(crate) fn authenticate(&self, headers: &HeaderMap) -> Option<Arc<App>> {
        let (id, id_usable) = only_value(headers, ID_HEADERS);
        let (key, key_usable) = only_value(headers, KEY_HEADERS);
        let (id, key) = (Sha256::digest(id), Sha256::digest(key));
        let usable = Choice::from(u8::from(id_usable)) & Choice::from(u8::from(key_usable));
        let mut found = 0_u64;
        for (number, entry) in (1_u64..).zip(&self.entries) {
            let matches = usable & entry.id_digest.ct_eq(&id) & entry.key_digest.ct_eq(&key);
            found.conditional_assign(&number, matches);
        }
        let index = usize::try_from(found.checked_sub(1)?).ok()?;
        self.entries.get(index).map(|entry| Arc::clone(&entry.app))
    }
}

/// The value of a header with two spellings, and whether it can be used: not where it is absent, where one spelling is
/// there twice, or where the two do not say the same.
fn only_value<'a>(headers: &'a HeaderMap, names: [&str; 2]) -> (&'a [u8], bool) {
    let mut found: Option<&[u8]> = None;
    let mut usable = true;
    for name in names {
        let mut values = headers.get_all(name).iter();
        if let Some(value) = values.next() {
            usable &= found.is_none_or(|other| other == value.as_bytes());
            found = Some(value.as_bytes());
        }
        usable &= values.next().is_none();
    }
    (found.unwrap_or_default(), usable && found.is_some())
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn with(apps: Vec<AppConfig>) -> Apps {
        let config = Config {
            apps,
            ..Config::default()
        };
        config.apps().unwrap()
    }

    fn apps() -> Apps {
        with(vec![
            AppConfig::new("one", "key:1"),
            AppConfig::new("two", "key2"),
        ])
    }

    fn who(headers: &[(&'static str, &str)]) -> Option<String> {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(*name, HeaderValue::from_str(value).unwrap());
        }
        apps().authenticate(&map).map(|app| app.id.clone())
    }

    #[test]
    fn only_the_right_pair_in_any_spelling_is_let_in() {
        for id in ID_HEADERS {
            for key in KEY_HEADERS {
                assert_eq!(who(&[(id, "one"), (key, "key:1")]).as_deref(), Some("one"));
                assert_eq!(who(&[(id, "two"), (key, "key2")]).as_deref(), Some("two"));
                assert_eq!(who(&[(id, "one"), (key, "key2")]), None);
                assert_eq!(who(&[(id, "ONE"), (key, "key:1")]), None);
                assert_eq!(who(&[(id, "none"), (key, "key:1")]), None);
                assert_eq!(who(&[(id, ""), (key, "")]), None);
                assert_eq!(who(&[(id, "one")]), None);
                assert_eq!(who(&[(key, "key:1")]), None);
            }
        }
        assert_eq!(who(&[]), None);
    }

    #[test]
    fn repeated_or_conflicting_headers_are_refused() {
        let key = ("app_key", "key:1");
        assert_eq!(who(&[("app_id", "one"), ("app_id", "one"), key]), None);
        assert_eq!(who(&[("app_id", "one"), ("app-id", "two"), key]), None);
        assert_eq!(who(&[("app_id", "two"), ("app-id", "one"), key]), None);
        assert_eq!(who(&[("app_id", "one"), key, ("app-key", "key2")]), None);
        assert_eq!(
            who(&[("app_id", "one"), ("app-id", "one"), key]).as_deref(),
            Some("one")
        );
    }

    #[test]
    fn the_demo_app_has_a_new_key_each_time() {
        let key = || {
            Apps::new(&Config::default())
                .unwrap()
                .add_demo()
                .unwrap()
                .unwrap()
        };
        let first = key();
        assert_eq!(first.len(), 32);
        assert!(first.bytes().all(|byte| byte.is_ascii_hexdigit()));
        assert_ne!(first, key());

        let mut apps = with(vec![AppConfig::new(DEMO_APP, "mine")]);
        assert_eq!(apps.add_demo().unwrap(), None);
        assert_eq!(apps.len(), 1);
    }

    #[test]
    fn an_app_may_use_what_is_listed_and_its_default() {
        let mut app = AppConfig::new("one", "key");
        app.default_profile = Some("strict-v0".to_owned());
        app.profiles = Some(vec!["optimal-v0".to_owned()]);
        let apps = with(vec![app]);
        let app = &apps.entries[0].app;
        assert_eq!(app.profile_names(), "strict-v0, optimal-v0");
        assert!(app.profile("permissive-v0").is_none());
        assert_eq!(app.default_profile.name(), "strict-v0");
    }

    #[test]
    fn debug_shows_neither_keys_nor_digests() {
        let debug = format!("{:?}", apps());
        assert!(
            debug.contains("one") && !debug.contains("key:1") && !debug.contains("digest"),
            "{debug}"
        );
    }
}
