//! What the public port tells integrators.

use serde::{Deserialize, Serialize};

/// The description of the API at `/openapi.json` and the page made of it at `/docs`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct DocsConfig {
    /// Whether they are there; off, both are `NOT_FOUND`. Default: true. They say nothing of this installation.
    pub enabled: bool,
}

impl Default for DocsConfig {
    fn default() -> Self {
        Self { enabled: true }
    }
}
