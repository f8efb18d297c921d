//! Which pages in browsers may call.

use axum::http::HeaderValue;
use serde::{Deserialize, Serialize};

use super::ConfigError;

/// Cross-origin requests of pages in browsers. None are allowed by default: keys do not belong into pages.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct CorsConfig {
    /// The origins whose pages may call, such as `https://onboarding.example`. Default: none.
    #[serde(default)]
    pub origins: Vec<String>,
}

impl CorsConfig {
    pub(super) fn validate(&self) -> Result<(), ConfigError> {
        for (index, origin) in self.origins.iter().enumerate() {
            if !is_origin(origin) {
                return Err(ConfigError::invalid(
                    format!("cors.origins[{index}]"),
                    "must be a scheme and a host, such as https://onboarding.example or http://localhost:3000",
                ));
            }
        }
        Ok(())
    }
}

/// Whether browsers send it as it is: `*` is none, on purpose.
fn is_origin(text: &str) -> bool {
    let host = text
        .strip_prefix("https://")
        .or_else(|| text.strip_prefix("http://"));
    HeaderValue::from_str(text).is_ok()
        && host.is_some_and(|host| {
            !host.is_empty()
                && host
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || b".-:[]".contains(&byte))
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_origins_are_taken() {
        for right in ["https://a.example", "http://localhost:3000", "http://[::1]:8080"] {
            assert!(is_origin(right), "{right}");
        }
        for wrong in [
            "*",
            "a.example",
            "https://",
            "https://a.example/",
            "https://a.example/x",
            "null",
            "ftp://a",
        ] {
            assert!(!is_origin(wrong), "{wrong}");
        }
    }
}
