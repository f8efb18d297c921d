//! Why there is no usable configuration.

use std::path::PathBuf;

use figment::error::{Actual, Kind};

/// Why there is no usable configuration. The operator must act.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("the configuration {path} cannot be read: {source}", path = path.display())]
    File {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file is not TOML.
    #[error("the configuration {path} is not valid TOML: line {line}: {reason}", path = path.display())]
    Syntax {
        /// Which file.
        path: PathBuf,
        /// Where, counted from 1.
        line: usize,
        /// Why.
        reason: String,
    },
    /// A key is not known, missing or of a wrong type, or its value cannot be used.
    #[error("configuration: {key}: {reason}")]
    Invalid {
        /// The key, as a path, or the environment variable.
        key: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The operating system gave no random numbers.
    #[error("the operating system gave no random numbers: {0}")]
    Random(String),
}

impl ConfigError {
    pub(crate) fn invalid(key: impl Into<String>, reason: impl Into<String>) -> Self {
        Self::Invalid {
            key: key.into(),
            reason: reason.into(),
        }
    }

    pub(super) fn from_figment(error: &figment::Error) -> Self {
        let mut key = error.path.join(".");
        if let Some(metadata) = &error.metadata {
            key = if key.is_empty() {
                metadata.name.to_string()
            } else {
                format!("{key} (set by {})", metadata.name)
            };
        }
        let path: Vec<&str> = error.path.iter().map(String::as_str).collect();
        // What is there in place of a section may have been meant as its secret.
        let secret = matches!(
            path[..],
            ["apps", ..]
                | ["admin" | "audit" | "storage"]
                | ["admin", "token" | "metrics_token", ..]
                | ["audit", "chain_key", ..]
                | ["storage", "url", ..]
        );
        let reason = match &error.kind {
            // These show the value that was found. Any text may be a secret that was put under the wrong key.
            Kind::InvalidType(found, expected) | Kind::InvalidValue(found, expected)
                if secret || matches!(found, Actual::Str(_) | Actual::Bytes(_) | Actual::Other(_)) =>
            {
                format!("expected {expected}")
            }
            Kind::UnknownVariant(_, expected) => format!("must be one of {}", expected.join(", ")),
            kind => kind.to_string(),
        };
        Self::invalid(key, reason)
    }
}
