//! What is logged, and how.

use serde::{Deserialize, Serialize};
use tracing_subscriber::EnvFilter;

use super::ConfigError;

/// Quiet about what ONNX Runtime says to itself.
const DEFAULT_FILTER: &str = "info,onnxruntime=warn,sqlx=warn";

/// Enough to see why and how many; the first one of a flood has its own line, which says who.
const DEFAULT_REFUSALS: u32 = 1;

/// How lines are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line, for machines.
    Json,
}

impl LogFormat {
    /// As it is written in a configuration.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Json => "json",
        }
    }
}

/// What is logged, and how.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct LogConfig {
    /// How lines are written. Default: text.
    pub format: LogFormat,
    /// Which lines are written: levels, by target where that is wanted, in the syntax of
    /// [`EnvFilter`](https://docs.rs/tracing-subscriber/0.3/tracing_subscriber/filter/struct.EnvFilter.html).
    /// Default: `info,onnxruntime=warn,sqlx=warn`.
    pub filter: String,
    /// Lines a second, of each reason, of requests that are refused with 401, 403, 404, 405 or 503, the line included that
    /// sums up those without one. Metrics count all. 0: no bound. Default: 1.
    pub refusals_per_second: u32,
}

impl Default for LogConfig {
    fn default() -> Self {
        Self {
            format: LogFormat::Text,
            filter: DEFAULT_FILTER.to_owned(),
            refusals_per_second: DEFAULT_REFUSALS,
        }
    }
}

impl LogConfig {
    pub(super) fn validate(&self) -> Result<(), ConfigError> {
        self.env_filter().map(drop)
    }

    /// The filter, ready to be used.
    pub(crate) fn env_filter(&self) -> Result<EnvFilter, ConfigError> {
        EnvFilter::try_new(&self.filter)
            .map_err(|error| ConfigError::invalid("log.filter", format!("cannot be used: {error}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(filter: &str) -> Option<String> {
        let config = LogConfig {
            filter: filter.to_owned(),
            ..LogConfig::default()
        };
        config.validate().err().map(|error| error.to_string())
    }

    #[test]
    fn a_filter_has_levels_and_targets() {
        for right in [DEFAULT_FILTER, "warn", "debug,hyper=info", "off"] {
            assert_eq!(fault(right), None, "{right}");
        }
        for wrong in ["likeness=loud", "info,=,", "a=b=c"] {
            let error = fault(wrong).unwrap();
            assert!(error.contains("log.filter"), "{error}");
        }
    }
}
