//! Keys, and what is kept of them.

use std::fmt::Write;

use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use super::AppError;
use crate::StorageError;

/// What keys made here begin with, so that scanners for leaked secrets find them.
const PREFIX: &str = "lk_";

/// Bytes of a new key: as many as SHA-256 has, so that guessing the key is no easier than inverting the digest.
const KEY_BYTES: usize = 32;

/// Bytes of a salt: enough that no two keys share one.
const SALT_BYTES: usize = 16;

/// Bytes of a label.
const LABEL_BYTES: usize = 6;

/// The fewest characters of a key that is brought along. A key of Kairos has 32 hexadecimal digits.
pub const MIN_KEY_CHARACTERS: usize = 16;

/// The most bytes of a key: it travels in a header.
const MAX_BYTES: usize = 256;

/// Which keys are accepted that were not made here, whichever way they come in: a configuration, a variable or a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum KeyRule {
    /// At least [`MIN_KEY_CHARACTERS`] of printable ASCII without spaces: a key that can be random enough.
    #[default]
    Strong,
    /// Whatever fits a header. The setting `allow_weak_keys` asks for it.
    AnyLength,
}

impl KeyRule {
    /// Checks a key.
    ///
    /// # Errors
    /// What is wrong with it, without showing it, and with the name of the setting where that would accept it.
    pub fn check(self, key: &str) -> Result<(), &'static str> {
        if key.is_empty() {
            return Err("is empty");
        }
        if key.len() > MAX_BYTES {
            return Err("is longer than 256 bytes");
        }
        if key.trim() != key || key.chars().any(char::is_control) {
            return Err("has spaces around it or control characters in it");
        }
        if self == Self::AnyLength {
            return Ok(());
        }
        if !key.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(
                "has characters other than printable ASCII, or spaces; use another one (`allow_weak_keys = true` accepts it \
                 all the same)",
            );
        }
        if key.len() < MIN_KEY_CHARACTERS {
            return Err(
                "has fewer than 16 characters; use a longer, random one (`allow_weak_keys = true` accepts it all the same)",
            );
        }
        Ok(())
    }
}

/// A key, as a caller sends it. Shown once, when it is made.
#[derive(Debug, Clone)]
pub struct AppKey(SecretString);

impl AppKey {
    /// A new one: `lk_` and 64 hexadecimal digits, 256 bits of the operating system's random numbers.
    ///
    /// # Errors
    /// [`StorageError::Random`].
    pub fn generate() -> Result<Self, StorageError> {
        Ok(Self(format!("{PREFIX}{}", hex(&random::<KEY_BYTES>()?)).into()))
    }

    /// A key that a client has already, for one that moves from another service and keeps its key. It should be random,
    /// as those made here are: what is kept of a key keeps only random ones from being guessed by who has read the
    /// database.
    ///
    /// # Errors
    /// [`AppError::Key`], see [`KeyRule::check`].
    pub fn import(key: impl Into<SecretString>, rule: KeyRule) -> Result<Self, AppError> {
        let key = key.into();
        rule.check(key.expose_secret()).map_err(AppError::Key)?;
        Ok(Self(key))
    }

    /// The key itself, to be shown.
    #[must_use]
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }
}

/// What is kept of a key: SHA-256 over a salt of its own and the key.
///
/// A fast hash is right here, and a slow one such as Argon2 would be wrong. Slow hashes make up for passwords that people
/// choose, of which a list of a few billion holds many. A key of 256 random bits is in no list, and trying them all takes
/// longer than anyone has, however fast each try is. A slow hash would cost every request tens of milliseconds of a
/// processor and megabytes of memory, before it is known who asks: a way to take the service down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SaltedDigest {
    salt: [u8; SALT_BYTES],
    digest: [u8; 32],
}

impl SaltedDigest {
    /// Of this key, with a new salt.
    ///
    /// # Errors
    /// [`StorageError::Random`].
    pub fn new(key: &[u8]) -> Result<Self, StorageError> {
        let salt = random()?;
        Ok(Self {
            salt,
            digest: digest(&salt, key),
        })
    }

    /// Of no key at all: nothing that is sent matches it, and comparing takes as long as with any other.
    ///
    /// # Errors
    /// [`StorageError::Random`].
    pub fn of_no_key() -> Result<Self, StorageError> {
        Ok(Self {
            salt: random()?,
            digest: random()?,
        })
    }

    /// Whether it is that of this key. Takes the same time whatever the answer is; longer for longer keys.
    #[must_use]
    pub fn matches(&self, key: &[u8]) -> subtle::Choice {
        digest(&self.salt, key).ct_eq(&self.digest)
    }

    pub(super) fn from_hex(salt: &str, digest: &str) -> Option<Self> {
        Some(Self {
            salt: unhex(salt)?,
            digest: unhex(digest)?,
        })
    }

    pub(super) fn salt_hex(&self) -> String {
        hex(&self.salt)
    }

    pub(super) fn digest_hex(&self) -> String {
        hex(&self.digest)
    }
}

/// A new name of a key.
pub(super) fn label() -> Result<String, StorageError> {
    Ok(hex(&random::<LABEL_BYTES>()?))
}

fn digest(salt: &[u8], key: &[u8]) -> [u8; 32] {
    Sha256::new()
        .chain_update(salt)
        .chain_update(key)
        .finalize()
        .into()
}

fn random<const N: usize>() -> Result<[u8; N], StorageError> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|error| StorageError::Random(error.to_string()))?;
    Ok(bytes)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a string does not fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn unhex<const N: usize>(text: &str) -> Option<[u8; N]> {
    if text.len() != 2 * N || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    let mut bytes = [0; N];
    for (byte, digits) in bytes.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn new_keys_have_256_bits_and_are_all_different() {
        let (one, other) = (AppKey::generate().unwrap(), AppKey::generate().unwrap());
        let digits = one.expose().strip_prefix("lk_").unwrap();
        assert!(digits.len() == 64 && digits.bytes().all(|byte| byte.is_ascii_hexdigit()));
        assert_ne!(one.expose(), other.expose());
        assert!(!format!("{one:?}").contains(digits));
    }

    #[test]
    fn a_key_that_is_brought_along_is_long_and_fits_a_header() {
        for good in ["0123456789abcdef", "a:b,c=d/e+f!g?h-i_j", &"k".repeat(256)] {
            assert_eq!(AppKey::import(good, KeyRule::Strong).unwrap().expose(), good);
        }
        let fault = |key: &str, rule| {
            let error = AppKey::import(key, rule).err().map(|error| error.to_string());
            assert!(
                key.is_empty() || !error.as_ref().is_some_and(|error| error.contains(key)),
                "{error:?}"
            );
            error
        };
        for weak in ["0", "0123456789abcde", "0123456789 abcdef", "0123456789abcdé-"] {
            let error = fault(weak, KeyRule::Strong).unwrap();
            assert!(error.contains("allow_weak_keys"), "{error}");
            assert_eq!(fault(weak, KeyRule::AnyLength), None, "{weak}");
        }
        // What no header carries helps nobody.
        for unusable in ["", "0123456789abcdef\n", " 0123456789abcdef", &"k".repeat(257)] {
            for rule in [KeyRule::Strong, KeyRule::AnyLength] {
                let error = fault(unusable, rule).unwrap();
                assert!(!error.contains("allow_weak_keys"), "{error}");
            }
        }
    }

    #[test]
    fn a_digest_knows_its_key_and_no_other() {
        let digest = SaltedDigest::new(b"the key").unwrap();
        let again = SaltedDigest::from_hex(&digest.salt_hex(), &digest.digest_hex()).unwrap();
        assert_eq!(digest, again);
        assert!(bool::from(again.matches(b"the key")));
        for wrong in ["", "the key ", "The key", "he key"] {
            assert!(!bool::from(again.matches(wrong.as_bytes())), "{wrong}");
        }
        // Two apps with the same key do not show that they have.
        assert_ne!(
            digest.digest_hex(),
            SaltedDigest::new(b"the key").unwrap().digest_hex()
        );
        assert!(!bool::from(SaltedDigest::of_no_key().unwrap().matches(b"")));
    }

    #[test]
    fn what_is_no_digest_is_not_taken_for_one() {
        let digest = "00".repeat(32);
        assert!(SaltedDigest::from_hex(&"00".repeat(16), &digest).is_some());
        for salt in [
            "",
            "00",
            &"00".repeat(17),
            &"0g".repeat(16),
            &"+0".repeat(16),
            &"é".repeat(16),
        ] {
            assert!(SaltedDigest::from_hex(salt, &digest).is_none(), "{salt}");
        }
    }
}
