//! The database, and the audit log.

use std::path::Path;
use std::time::Duration;

use likeness_storage::{Place, Settings, StorageError};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use smart_default::SmartDefault;

use super::values::{check_credential, seconds, secret};
use super::{ConfigError, ensure};

const FILE: &str = "likeness.db";

/// The database.
#[derive(Debug, Clone, Deserialize, Serialize, SmartDefault)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct DatabaseConfig {
    /// `postgres://user:password@host:5432/database`, `sqlite:FILE` or `sqlite::memory:`. Absent: SQLite in the data folder.
    #[serde(default, with = "secret")]
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

/// The audit log: a record of every verification.
#[derive(Debug, Clone, Deserialize, Serialize, SmartDefault)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct AuditConfig {
    /// Whether there is an audit log. Default: yes.
    #[default(true)]
    pub enabled: bool,
    /// What happens to verifications that cannot be recorded. Default: best-effort.
    #[serde(default)]
    pub mode: AuditMode,
    /// The longest that a response waits for its record, in milliseconds. Default: 50. Then it is sent, or rejected if required.
    #[default(50)]
    pub wait_ms: u64,
    /// Time between two syncs of the file to the disk. Default: 1 s. With [`AuditMode::Required`] every response waits for one.
    #[serde(rename = "sync_seconds", with = "seconds")]
    #[default(Duration::from_secs(1))]
    pub sync: Duration,
    /// Key of the hash chain (HMAC): without it no one can forge another chain. Absent: plain SHA-256.
    #[serde(default, with = "secret")]
    pub chain_key: Option<SecretString>,
    /// Size at which a new file is begun, in MiB. Default: 64. Each day begins one too.
    #[default(64)]
    pub rotate_mib: u64,
    /// Days after which records expire, in the database and in files. Absent: never.
    pub retention_days: Option<u32>,
    /// Days after which files expire whose records are all in the database; 0: at once. Absent: with `retention_days`.
    pub file_days: Option<u32>,
    /// Size of the spool in MiB; records beyond are lost, or their requests rejected if required. Default: 1024.
    #[default(1_024)]
    pub max_spool_mib: u64,
}

/// What happens to verifications that cannot be recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum AuditMode {
    /// They succeed, and the missing records are counted.
    #[default]
    BestEffort,
    /// They are rejected with 503.
    Required,
}

impl AuditConfig {
    pub(crate) fn is_required(&self) -> bool {
        self.mode == AuditMode::Required
    }

    pub(super) fn validate(&self) -> Result<(), ConfigError> {
        let is_optional = !self.is_required();
        let disabled = "must be true where audit.mode is \"required\"";
        let no_wait = "must be at least 1 where audit.mode is \"required\"";
        ensure([
            (self.enabled || is_optional, "audit.enabled", disabled),
            (self.wait_ms > 0 || is_optional, "audit.wait_ms", no_wait),
        ])?;
        let key = self.chain_key.as_ref().map(ExposeSecret::expose_secret);
        let key = key.map_or(Ok(()), check_credential);
        key.map_err(|reason| ConfigError::invalid("audit.chain_key", reason))
    }
}
