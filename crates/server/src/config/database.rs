//! The database: apps, usage and the audit log.

use std::path::Path;
use std::time::Duration;

use likeness_storage::{Place, Settings, StorageError};
use secrecy::SecretString;
use serde::{Deserialize, Serialize};

use super::values::{seconds, secret};

/// Name of the SQLite database in the data folder.
const FILE: &str = "likeness.db";

/// The database.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct DatabaseConfig {
    /// `postgres://user:password@host:5432/database`, `sqlite:FILE`, or `sqlite::memory:`. Absent: SQLite, `likeness.db` in
    /// the data folder.
    #[serde(default, with = "secret::optional")]
    pub url: Option<SecretString>,
    /// Timeout of a query. Default: 5 s.
    #[serde(rename = "timeout_seconds", with = "seconds")]
    pub timeout: Duration,
    /// The most connections to a PostgreSQL server. Default: 8.
    pub connections: u32,
    /// How long the start waits for a database that cannot be reached. Default: 10 s.
    #[serde(rename = "start_seconds", with = "seconds")]
    pub start: Duration,
    /// Pause between two polls for changed apps. Default: 1 s.
    #[serde(rename = "refresh_seconds", with = "seconds")]
    pub refresh: Duration,
}

impl Default for DatabaseConfig {
    fn default() -> Self {
        Self {
            url: None,
            timeout: Duration::from_secs(5),
            connections: 8,
            start: Duration::from_secs(10),
            refresh: Duration::from_secs(1),
        }
    }
}

impl DatabaseConfig {
    /// Returns which database, below this data folder, and how long it may take.
    ///
    /// # Errors
    /// [`StorageError::Url`].
    pub fn settings(&self, data_folder: &Path) -> Result<Settings, StorageError> {
        let place = match &self.url {
            Some(url) => Place::from_url(url)?,
            None => Place::File(data_folder.join(FILE)),
        };
        Ok(Settings::new(place)
            .with_timeout(self.timeout)
            .with_connections(self.connections))
    }
}
