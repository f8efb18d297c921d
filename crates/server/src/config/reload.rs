//! When the models on disk are looked at again.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::ConfigError;
use crate::seconds;

/// The shortest pause between two looks: a smaller one would be a busy loop.
const MIN_CHECK: Duration = Duration::from_millis(10);

/// How the service notices other models.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct ReloadConfig {
    /// Pause between two looks at the pack's manifest and the calibration files. 0: they are not looked at, and only an
    /// operator has them read again. Default: 10 s.
    #[serde(rename = "check_seconds", with = "seconds")]
    pub check: Duration,
}

impl Default for ReloadConfig {
    fn default() -> Self {
        Self {
            check: Duration::from_secs(10),
        }
    }
}

impl ReloadConfig {
    pub(super) fn validate(&self) -> Result<(), ConfigError> {
        if self.check.is_zero() || self.check >= MIN_CHECK {
            return Ok(());
        }
        let reason = format!("must be 0 or at least {}", MIN_CHECK.as_secs_f64());
        Err(ConfigError::invalid("reload.check_seconds", reason))
    }
}
