//! The token of the console.

use arc_swap::ArcSwapOption;
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use crate::config::ConsoleConfig;

/// The SHA-256 digest of a token.
pub(crate) type TokenDigest = [u8; 32];

/// Holds the digest of the console's token, never the token. A reload replaces it.
#[derive(Debug)]
pub(crate) struct ConsoleToken(ArcSwapOption<TokenDigest>);

impl ConsoleToken {
    pub(crate) fn new(config: &ConsoleConfig) -> Self {
        Self(ArcSwapOption::from_pointee(digest(config)))
    }

    /// Replaces the token. Sessions that were begun with another one end.
    pub(crate) fn set(&self, config: &ConsoleConfig) {
        self.0.store(digest(config).map(Into::into));
    }

    /// Returns the digest of the current token.
    pub(crate) fn current(&self) -> Option<TokenDigest> {
        self.0.load().as_deref().copied()
    }

    /// Returns the digest of the token if this is it, compared in constant time.
    pub(crate) fn check(&self, token: &[u8]) -> Option<TokenDigest> {
        let found = Sha256::digest(token);
        self.current()
            .filter(|expected| bool::from(expected[..].ct_eq(&found[..])))
    }
}

fn digest(config: &ConsoleConfig) -> Option<TokenDigest> {
    let digest = |token: &SecretString| Sha256::digest(token.expose_secret()).into();
    config.token.as_ref().map(digest)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(token: Option<&str>) -> ConsoleConfig {
        ConsoleConfig {
            token: token.map(Into::into),
            ..ConsoleConfig::default()
        }
    }

    #[test]
    fn only_the_current_token_is_right() {
        let token = ConsoleToken::new(&config(Some("0123456789abcdef")));
        assert_eq!(token.check(b"0123456789abcdef"), token.current());
        for wrong in ["", "0123456789abcde", "0123456789abcdef0", "0123456789ABCDEF"] {
            assert_eq!(token.check(wrong.as_bytes()), None, "{wrong}");
        }
        token.set(&config(Some("fedcba9876543210")));
        assert_eq!(token.check(b"0123456789abcdef"), None);
        assert!(token.check(b"fedcba9876543210").is_some());
    }

    #[test]
    fn without_a_token_none_is_right() {
        assert_eq!(ConsoleToken::new(&config(None)).check(b""), None);
    }
}
