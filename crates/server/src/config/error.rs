//! Why a configuration cannot be used.

use std::path::PathBuf;

use figment::error::{Actual, Kind};

/// Names that are less similar than this are not taken for misspellings.
const SIMILAR: f64 = 0.6;

/// Why a configuration cannot be used. The operator must act.
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
    /// A key is unknown, missing or of a wrong type, or its value cannot be used.
    #[error("configuration: {key}{}: {reason}", of(origin))]
    Invalid {
        /// The key, as a path, or the environment variable.
        key: String,
        /// What set it: a file and its line, an environment variable or a flag.
        origin: Option<String>,
        /// What is wrong with it.
        reason: String,
    },
    /// The operating system gave no random numbers.
    #[error("the operating system gave no random numbers: {0}")]
    Random(String),
}

fn of(origin: &Option<String>) -> String {
    origin
        .as_ref()
        .map(|origin| format!(" (set by {origin})"))
        .unwrap_or_default()
}

impl ConfigError {
    pub(crate) fn invalid(key: impl Into<String>, reason: impl Into<String>) -> Self {
        Self::Invalid {
            key: key.into(),
            origin: None,
            reason: reason.into(),
        }
    }

    /// Says what set the key, as `origin` finds it, where that is not known yet.
    pub(super) fn located(mut self, find: impl Fn(&str) -> Option<String>) -> Self {
        if let Self::Invalid { key, origin, .. } = &mut self {
            *origin = origin
                .take()
                .or_else(|| find(&key.replace('[', ".").replace(']', "")));
        }
        self
    }

    pub(super) fn from_figment(error: &figment::Error) -> Self {
        let path: Vec<&str> = error.path.iter().map(String::as_str).collect();
        // What is there in place of a section may have been meant as its secret.
        let secret = matches!(
            path[..],
            ["apps", ..]
                | ["admin" | "audit" | "database"]
                | ["admin", "token" | "metrics_token", ..]
                | ["audit", "chain_key", ..]
                | ["database", "url", ..]
        );
        let key = path.join(".");
        let reason = match &error.kind {
            // These show the value that was found. Any text may be a secret that was put under the wrong key.
            Kind::InvalidType(found, expected) | Kind::InvalidValue(found, expected)
                if secret || matches!(found, Actual::Str(_) | Actual::Bytes(_) | Actual::Other(_)) =>
            {
                format!("expected {expected}")
            }
            Kind::UnknownVariant(_, expected) => format!("must be one of {}", expected.join(", ")),
            Kind::UnknownField(name, known) => {
                format!("unknown key; {}", suggestion(name, known))
            }
            kind => kind.to_string(),
        };
        Self::Invalid {
            key,
            origin: None,
            reason,
        }
    }
}

/// The known name that was probably meant, or all.
fn suggestion(name: &str, known: &[&str]) -> String {
    let similar = |known: &&str| strsim::normalized_damerau_levenshtein(name, known);
    let best = known
        .iter()
        .max_by(|one, other| similar(one).total_cmp(&similar(other)));
    match best.filter(|best| similar(best) >= SIMILAR) {
        Some(best) => format!("did you mean `{best}`?"),
        None => format!("must be one of {}", known.join(", ")),
    }
}
