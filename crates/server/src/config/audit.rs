//! The audit.

use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};

use super::ConfigError;
use super::secrets::{check_credential, optional_secret, redacted};
use crate::seconds;

/// The longest that an answer may wait for its line, in milliseconds.
const MAX_WAIT: u64 = 60_000;

/// What is recorded of every verification, and what becomes of verifications that cannot be.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct AuditConfig {
    /// Whether there is an audit. Default: yes.
    pub enabled: bool,
    /// Default: best-effort.
    #[serde(default)]
    pub mode: AuditMode,
    /// The longest that an answer waits for its line to be in the file, in milliseconds. Default: 50. With
    /// [`AuditMode::Required`] it is refused after that.
    pub wait_ms: u64,
    /// Time between two syncs of the file to the disk. Default: 1 s. With [`AuditMode::Required`] every answer waits for one.
    #[serde(rename = "sync_seconds", with = "seconds")]
    pub sync: Duration,
    /// Keys the hash chain (HMAC), so that nobody without it can make another one. Absent: plain SHA-256.
    #[serde(
        default,
        deserialize_with = "optional_secret",
        serialize_with = "redacted",
        skip_serializing_if = "Option::is_none"
    )]
    pub chain_key: Option<SecretString>,
    /// Size at which a new file is begun, in MiB. Default: 64. Each day begins one too.
    pub rotate_mib: u64,
    /// Days after which rows and files are removed. Absent: never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retention_days: Option<u32>,
    /// Days after which whole files go that the storage has all lines of; 0: as soon as it has. Absent: with
    /// `retention_days`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file_days: Option<u32>,
    /// How much may wait on disk for the storage, in MiB; what comes beyond is lost, or refused with
    /// [`AuditMode::Required`]. Default: 1024.
    pub max_spool_mib: u64,
}

/// What becomes of verifications that cannot be recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum AuditMode {
    /// They are answered, and it is counted how many were not recorded.
    #[default]
    BestEffort,
    /// They are refused with 503.
    Required,
}

impl Default for AuditConfig {
    fn default() -> Self {
        Self {
            enabled: true,
            mode: AuditMode::BestEffort,
            wait_ms: 50,
            sync: Duration::from_secs(1),
            chain_key: None,
            rotate_mib: 64,
            retention_days: None,
            file_days: None,
            max_spool_mib: 1_024,
        }
    }
}

impl AuditConfig {
    pub(super) fn validate(&self) -> Result<(), ConfigError> {
        let invalid = |key: &str, reason: &str| Err(ConfigError::invalid(format!("audit.{key}"), reason));
        if self.wait_ms > MAX_WAIT {
            return invalid("wait_ms", "must not be more than a minute");
        }
        if self.mode == AuditMode::Required && !self.enabled {
            return invalid("enabled", "must be true where audit.mode is \"required\"");
        }
        if self.mode == AuditMode::Required && self.wait_ms == 0 {
            return invalid("wait_ms", "must be at least 1 where audit.mode is \"required\"");
        }
        if let Some(key) = &self.chain_key
            && let Err(reason) = check_credential(key.expose_secret())
        {
            return invalid("chain_key", reason);
        }
        for (key, mib) in [
            ("rotate_mib", self.rotate_mib),
            ("max_spool_mib", self.max_spool_mib),
        ] {
            if mib == 0 {
                return invalid(key, "must be at least 1");
            }
        }
        if self.retention_days == Some(0) {
            return invalid("retention_days", "must be at least 1");
        }
        Ok(())
    }
}
