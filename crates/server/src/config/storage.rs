//! Where apps, usage and audit are kept.

use std::path::PathBuf;
use std::time::Duration;

use likeness_storage::{Place, Settings, StorageError};
use secrecy::SecretString;
use serde::{Deserialize, Serialize};

use super::secrets::{optional_secret, redacted};
use super::{ConfigError, MAX_SECONDS};
use crate::seconds;

/// Name of the SQLite database in [`StorageConfig::folder`].
const FILE: &str = "likeness.db";

/// No call to a database can be expected to be faster than this.
const MIN_TIMEOUT: Duration = Duration::from_millis(50);

/// Looking more often would cost more than it brings.
const MIN_REFRESH: Duration = Duration::from_millis(50);

/// The most connections that may be asked for; PostgreSQL's own default is 100 for all of its clients.
const MAX_CONNECTIONS: u32 = 1_000;

/// Where apps, usage and audit are kept.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct StorageConfig {
    /// Folder for everything that must survive a restart; made where it is not there. Default: `likeness-data` in the
    /// working directory.
    pub folder: PathBuf,
    /// The database: `postgres://user:password@host:5432/database`, `sqlite:FILE`, or `sqlite::memory:`. Absent: SQLite,
    /// `likeness.db` in the folder.
    #[serde(
        default,
        deserialize_with = "optional_secret",
        serialize_with = "redacted",
        skip_serializing_if = "Option::is_none"
    )]
    pub url: Option<SecretString>,
    /// The longest that a call to the database takes. Default: 5 s.
    #[serde(rename = "timeout_seconds", with = "seconds")]
    pub timeout: Duration,
    /// The most connections to a PostgreSQL server. Default: 8.
    pub connections: u32,
    /// How long the start waits for a database that cannot be reached. Default: 10 s.
    #[serde(rename = "start_seconds", with = "seconds")]
    pub start: Duration,
    /// Pause between two looks whether apps have changed. Default: 1 s.
    #[serde(rename = "refresh_seconds", with = "seconds")]
    pub refresh: Duration,
}

impl Default for StorageConfig {
    fn default() -> Self {
        Self {
            folder: "likeness-data".into(),
            url: None,
            timeout: Duration::from_secs(5),
            connections: 8,
            start: Duration::from_secs(10),
            refresh: Duration::from_secs(1),
        }
    }
}

impl StorageConfig {
    /// Which database, and how long it may take.
    ///
    /// # Errors
    /// [`StorageError::Url`].
    pub fn settings(&self) -> Result<Settings, StorageError> {
        let place = match &self.url {
            Some(url) => Place::from_url(url)?,
            None => Place::File(self.folder.join(FILE)),
        };
        Ok(Settings::new(place)
            .with_timeout(self.timeout)
            .with_connections(self.connections))
    }

    pub(super) fn validate(&self) -> Result<(), ConfigError> {
        let invalid = |key: &str, reason: String| Err(ConfigError::invalid(format!("storage.{key}"), reason));
        if self.folder.as_os_str().is_empty() {
            return invalid("folder", "is empty".to_owned());
        }
        if self.folder.to_string_lossy().contains("://") {
            return invalid(
                "folder",
                "is a URL; the URL of a database is storage.url, best in LIKENESS_STORAGE_URL".to_owned(),
            );
        }
        match self.settings() {
            Err(StorageError::Url { reason }) => return invalid("url", reason),
            Err(error) => return invalid("url", error.to_string()),
            Ok(_) => {}
        }
        if !(MIN_TIMEOUT..=MAX_SECONDS).contains(&self.timeout) {
            let (min, max) = (MIN_TIMEOUT.as_secs_f64(), MAX_SECONDS.as_secs());
            return invalid("timeout_seconds", format!("must be from {min} to {max}"));
        }
        if !(1..=MAX_CONNECTIONS).contains(&self.connections) {
            return invalid("connections", format!("must be from 1 to {MAX_CONNECTIONS}"));
        }
        if self.start > MAX_SECONDS {
            return invalid(
                "start_seconds",
                format!("must be at most {}", MAX_SECONDS.as_secs()),
            );
        }
        if !(MIN_REFRESH..=MAX_SECONDS).contains(&self.refresh) {
            let (min, max) = (MIN_REFRESH.as_secs_f64(), MAX_SECONDS.as_secs());
            return invalid("refresh_seconds", format!("must be from {min} to {max}"));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_url_the_database_is_in_the_folder() {
        let config = StorageConfig {
            folder: "data".into(),
            ..StorageConfig::default()
        };
        let settings = config.settings().unwrap();
        assert!(
            matches!(&settings.place, Place::File(path) if path.as_path() == std::path::Path::new("data/likeness.db"))
        );
        assert_eq!(settings.timeout, Duration::from_secs(5));
    }

    #[test]
    fn what_cannot_be_used_is_named_and_no_password_is_shown() {
        let fault = |change: fn(&mut StorageConfig)| {
            let mut config = StorageConfig::default();
            change(&mut config);
            config.validate().unwrap_err().to_string()
        };
        let url = fault(|config| config.url = Some("mysql://likeness:s3cret@host/db".into()));
        assert!(url.contains("storage.url") && !url.contains("s3cret"), "{url}");
        let url = fault(|config| config.url = Some("postgres:likeness:s3cret@host/db".into()));
        assert!(url.contains("storage.url") && !url.contains("s3cret"), "{url}");
        let folder = fault(|config| config.folder = "postgres://likeness:s3cret@host/db".into());
        assert!(
            folder.contains("storage.folder") && !folder.contains("s3cret"),
            "{folder}"
        );
        assert!(fault(|config| config.folder = PathBuf::new()).contains("storage.folder"));
        assert!(fault(|config| config.timeout = Duration::ZERO).contains("storage.timeout_seconds"));
        assert!(fault(|config| config.connections = 0).contains("storage.connections"));
        assert!(fault(|config| config.start = Duration::MAX).contains("storage.start_seconds"));
        assert!(fault(|config| config.refresh = Duration::ZERO).contains("storage.refresh_seconds"));
    }
}
