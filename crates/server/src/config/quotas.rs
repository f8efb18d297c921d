//! Quotas while they cannot be looked up.

use serde::{Deserialize, Serialize};

/// How quotas are kept. The quotas themselves are settings of the apps.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct QuotasConfig {
    /// What becomes of requests of apps with quotas while the storage is not there. Default: serve.
    #[serde(default)]
    pub when_unavailable: WhenUnavailable,
}

/// What becomes of requests of apps with quotas while the storage is not there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum WhenUnavailable {
    /// They are let in up to what was last known to be left.
    #[default]
    Serve,
    /// They are refused with 503.
    Refuse,
}
