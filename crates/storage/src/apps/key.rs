//! Keys, and their digests.

use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use crate::{Result, StorageError};

/// Prefix of generated keys, by which scanners for leaked secrets find them.
const PREFIX: &str = "lk_";

/// Bytes of a generated key: as many as SHA-256 has, so that guessing the key is no easier than inverting the digest.
const KEY_BYTES: usize = 32;

/// Bytes of a salt: enough that no two keys share one.
const SALT_BYTES: usize = 16;

/// Bytes of a label.
const LABEL_BYTES: usize = 6;

/// The fewest characters of an imported key. A key of Kairos has 32 hexadecimal digits.
pub const MIN_KEY_CHARACTERS: usize = 16;

/// The most bytes of a key: it travels in a header.
const MAX_BYTES: usize = 256;

/// A rule for keys that were not generated here, from a configuration, a variable or a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum KeyRule {
    /// At least [`MIN_KEY_CHARACTERS`] of printable ASCII without spaces: a key that can be random enough.
    #[default]
    Strong,
    /// Whatever fits a header; chosen by the setting `allow_weak_keys`.
    AnyLength,
}

impl KeyRule {
    /// Checks a key; an error says what is wrong, without showing the key, and which setting would accept it.
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

/// A key, as a client sends it. It is shown once, when it is generated.
#[derive(Debug, Clone)]
pub struct AppKey(SecretString);

impl AppKey {
    /// Generates a key: `lk_` and 64 hexadecimal digits, 256 bits of the operating system's random numbers.
    pub fn generate() -> Result<Self> {
        let digits = hex::encode(random::<KEY_BYTES>()?);
        Ok(Self(format!("{PREFIX}{digits}").into()))
    }

    /// Imports the key of a client that moves here from another service. It should be random, as generated ones are: only
    /// random keys cannot be guessed from their digests in a stolen database. Fails with [`StorageError::Key`].
    pub fn import(key: impl Into<SecretString>, rule: KeyRule) -> Result<Self> {
        let key = key.into();
        rule.check(key.expose_secret()).map_err(StorageError::Key)?;
        Ok(Self(key))
    }

    /// Returns the key itself, to be shown.
    #[must_use]
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }
}

/// Returns a new label of a key.
pub(super) fn new_label() -> Result<String> {
    Ok(hex::encode(random::<LABEL_BYTES>()?))
}

/// The digest of a key: SHA-256 over a salt of its own and the key.
///
/// A slow hash such as Argon2 would be wrong: it protects passwords that people choose. 256 random bits cannot be guessed
/// however fast each try is, and a slow hash before the client is authenticated would invite a denial of service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SaltedDigest {
    pub(super) salt: [u8; SALT_BYTES],
    pub(super) digest: [u8; 32],
}

impl SaltedDigest {
    /// Returns the digest of a key with a new salt.
    pub fn new(key: &[u8]) -> Result<Self> {
        let salt = random()?;
        let digest = digest(&salt, key);
        Ok(Self { salt, digest })
    }

    /// Returns a digest that no key matches; a comparison takes as long as any other.
    pub fn of_no_key() -> Result<Self> {
        Ok(Self {
            salt: random()?,
            digest: random()?,
        })
    }

    /// Returns whether it is the digest of this key. The time does not depend on the outcome, only on the key's length.
    #[must_use]
    pub fn matches(&self, key: &[u8]) -> subtle::Choice {
        digest(&self.salt, key).ct_eq(&self.digest)
    }

    pub(super) fn from_hex(salt: &str, digest: &str) -> Option<Self> {
        let mut decoded = Self {
            salt: [0; SALT_BYTES],
            digest: [0; 32],
        };
        hex::decode_to_slice(salt, &mut decoded.salt).ok()?;
        hex::decode_to_slice(digest, &mut decoded.digest).ok()?;
        Some(decoded)
    }
}

fn digest(salt: &[u8], key: &[u8]) -> [u8; 32] {
    let hash = Sha256::new().chain_update(salt).chain_update(key);
    hash.finalize().into()
}

fn random<const N: usize>() -> Result<[u8; N]> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|error| StorageError::Random(error.to_string()))?;
    Ok(bytes)
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
    fn an_imported_key_is_long_and_fits_a_header() {
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
        // No header can carry these.
        for unusable in ["", "0123456789abcdef\n", " 0123456789abcdef", &"k".repeat(257)] {
            for rule in [KeyRule::Strong, KeyRule::AnyLength] {
                let error = fault(unusable, rule).unwrap();
                assert!(!error.contains("allow_weak_keys"), "{error}");
            }
        }
    }

    #[test]
    fn a_digest_matches_its_key_only() {
        let digest = SaltedDigest::new(b"the key").unwrap();
        let again = SaltedDigest::from_hex(&hex::encode(digest.salt), &hex::encode(digest.digest)).unwrap();
        assert_eq!(digest, again);
        assert!(bool::from(again.matches(b"the key")));
        for wrong in ["", "the key ", "The key", "he key"] {
            assert!(!bool::from(again.matches(wrong.as_bytes())), "{wrong}");
        }
        // The digests of two apps with the same key differ.
        assert_ne!(digest.digest, SaltedDigest::new(b"the key").unwrap().digest);
        assert!(!bool::from(SaltedDigest::of_no_key().unwrap().matches(b"")));
    }

    #[test]
    fn malformed_digests_are_rejected() {
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
