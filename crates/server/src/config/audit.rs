//! The audit log.

use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use smart_default::SmartDefault;

use super::values::{check_credential, seconds, secret};
use super::{ConfigError, ensure};

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
    /// The longest that a response waits for its record to be written, in milliseconds. Default: 50. With
    /// [`AuditMode::Required`] the request is rejected after that.
    #[default(50)]
    pub wait_ms: u64,
    /// Time between two syncs of the file to the disk. Default: 1 s. With [`AuditMode::Required`] every response waits for one.
    #[serde(rename = "sync_seconds", with = "seconds")]
    #[default(Duration::from_secs(1))]
    pub sync: Duration,
    /// Key of the hash chain (HMAC): without it no one can forge another chain. Absent: plain SHA-256.
    #[serde(default, with = "secret::optional")]
    pub chain_key: Option<SecretString>,
    /// Size at which a new file is begun, in MiB. Default: 64. Each day begins one too.
    #[default(64)]
    pub rotate_mib: u64,
    /// Days after which records expire, in the database and in files. Absent: never.
    pub retention_days: Option<u32>,
    /// Days after which files expire whose records are all in the database; 0: as soon as they are. Absent: with
    /// `retention_days`.
    pub file_days: Option<u32>,
    /// Size of the spool, records on disk that the database does not have yet, in MiB; records beyond are lost, or their
    /// requests rejected with [`AuditMode::Required`]. Default: 1024.
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
    pub(super) fn validate(&self) -> Result<(), ConfigError> {
        let is_required = self.mode == AuditMode::Required;
        ensure(
            self.enabled || !is_required,
            "audit.enabled",
            "must be true where audit.mode is \"required\"",
        )?;
        ensure(
            self.wait_ms > 0 || !is_required,
            "audit.wait_ms",
            "must be at least 1 where audit.mode is \"required\"",
        )?;
        let key = self
            .chain_key
            .as_ref()
            .map_or(Ok(()), |key| check_credential(key.expose_secret()));
        key.map_err(|reason| ConfigError::invalid("audit.chain_key", reason))
    }
}
