//! The log.

use std::fmt::Display;

use serde::{Deserialize, Serialize};
use smart_default::SmartDefault;
use tracing_subscriber::EnvFilter;

use super::ConfigError;

/// Without ONNX Runtime's own messages, and without HTTP/2 connections that clients break.
const DEFAULT_FILTER: &str = "info,h2=error,onnxruntime=warn,sqlx=warn";

/// Appended to every filter: sqlx logs what it does not understand of a URL or a password file.
const NEVER: &str = "sqlx_postgres::options=off";

/// Format of log lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For operators.
    #[default]
    Text,
    /// One JSON object a line, for machines.
    Json,
}

/// The log.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize, SmartDefault)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct LogConfig {
    /// Format of its lines. Default: text.
    pub format: LogFormat,
    /// Levels, by target where that is wanted, as `EnvFilter` of `tracing-subscriber` reads them.
    /// Default: `info,h2=error,onnxruntime=warn,sqlx=warn`.
    #[default(DEFAULT_FILTER.to_owned())]
    pub filter: String,
    /// Lines a second, of each reason, for requests that are rejected with 401, 403, 404, 405 or 503, including the line that
    /// sums up those without one. 0: no limit. Default: 1.
    #[default(1)]
    pub refusals_per_second: u32,
}

impl LogConfig {
    pub(crate) fn env_filter(&self) -> Result<EnvFilter, ConfigError> {
        let invalid =
            |error: &dyn Display| ConfigError::invalid("log.filter", format!("cannot be used: {error}"));
        let filter = EnvFilter::try_new(&self.filter).map_err(|error| invalid(&error))?;
        let never = NEVER.parse().map_err(|error| invalid(&error))?;
        Ok(filter.add_directive(never))
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
        config.env_filter().err().map(|error| error.to_string())
    }

    #[test]
    fn no_filter_lets_through_what_may_show_a_password() {
        for filter in [DEFAULT_FILTER, "trace", "sqlx=trace,sqlx_postgres=trace"] {
            let config = LogConfig {
                filter: filter.to_owned(),
                ..LogConfig::default()
            };
            let used = config.env_filter().unwrap().to_string();
            assert!(used.contains(NEVER), "{used}");
        }
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
