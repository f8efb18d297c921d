//! Why a configuration cannot be used.

use std::path::PathBuf;

use figment::error::{Actual, Kind};

use super::values::{SECRETS, below};

/// Names that are less similar than this are not taken for misspellings.
const SIMILAR: f64 = 0.6;

/// Why a configuration cannot be used. The operator must act.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
#[allow(missing_docs, reason = "the messages explain them")]
pub enum ConfigError {
    #[error("the configuration {path} cannot be read: {source}", path = path.display())]
    File { path: PathBuf, source: std::io::Error },
    #[error("the configuration {path} is not valid TOML: line {line}: {reason}", path = path.display())]
    Syntax {
        path: PathBuf,
        line: usize,
        reason: String,
    },
    /// A key (a path, or an environment variable) or its value cannot be used; `origin`: a file and its line, a variable, a flag.
    #[error("configuration: {key}{}: {reason}", of(origin))]
    Invalid {
        key: String,
        origin: Option<String>,
        reason: String,
    },
    #[error("the operating system gave no random numbers: {0}")]
    Random(String),
}

fn of(origin: &Option<String>) -> String {
    let by = |origin| format!(" (set by {origin})");
    origin.as_ref().map(by).unwrap_or_default()
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
            let path = key.replace('[', ".").replace(']', "");
            *origin = origin.take().or_else(|| find(&path));
        }
        self
    }

    pub(super) fn from_figment(error: &figment::Error) -> Self {
        let key = error.path.join(".");
        // What is there in place of a section may have been meant as its secret.
        let is_secret = |secret: &&str| below(&key, secret).or(below(secret, &key)).is_some();
        let secret = below(&key, "apps").is_some() || SECRETS.iter().any(is_secret);
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
