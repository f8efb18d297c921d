//! The database: apps, usage and the audit log.

use std::path::Path;
use std::time::Duration;

use likeness_storage::{Place, Settings, StorageError};
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use smart_default::SmartDefault;

use super::values::{seconds, secret};

/// Name of the SQLite database in the data folder.
const FILE: &str = "likeness.db";

/// The database.
#[derive(Debug, Clone, Deserialize, Serialize, SmartDefault)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct DatabaseConfig {
    /// `postgres://user:password@host:5432/database`, `sqlite:FILE`, or `sqlite::memory:`. Absent: SQLite, `likeness.db` in
    /// the data folder.
    #[serde(default, with = "secret::optional")]
    pub url: Option<SecretString>,
    /// Timeout of a query. Default: 5 s.
    #[serde(rename = "timeout_seconds", with = "seconds")]
    #[default(Duration::from_secs(5))]
    pub timeout: Duration,
    /// The most connections to a PostgreSQL server. Default: 8.
    #[default(8)]
    pub connections: u32,
    /// How long the start waits for a database that cannot be reached. Default: 10 s.
    #[serde(rename = "start_seconds", with = "seconds")]
    #[default(Duration::from_secs(10))]
    pub start: Duration,
    /// Pause between two polls for changed apps. Default: 1 s.
    #[serde(rename = "refresh_seconds", with = "seconds")]
    #[default(Duration::from_secs(1))]
    pub refresh: Duration,
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
        Ok(Settings {
            place,
            timeout: self.timeout,
            connections: self.connections,
        })
    }
}
