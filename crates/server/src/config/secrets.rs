//! Settings that are never shown.

use figment::value::Value;
use secrecy::SecretString;
use serde::{Deserialize, Serializer};

/// Longest `id` and `key` of an app in bytes: both travel in headers.
const MAX_CREDENTIAL_BYTES: usize = 256;

/// Says why a string cannot be sent in a header as an id or a key.
pub(super) fn check_credential(value: &str) -> Result<(), &'static str> {
    if value.is_empty() {
        return Err("is empty");
    }
    if value.len() > MAX_CREDENTIAL_BYTES {
        return Err("is longer than 256 bytes");
    }
    if value.trim() != value || value.chars().any(char::is_control) {
        return Err("has spaces around it or control characters in it");
    }
    Ok(())
}

/// Reads a secret, without ever showing it in an error: `key = 12345` is a number to TOML.
pub(super) fn secret<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<SecretString, D::Error> {
    match <Value as Deserialize>::deserialize(deserializer)? {
        Value::String(_, value) => Ok(value.into()),
        _ => Err(serde::de::Error::custom("must be a string, in quotes")),
    }
}

/// Like [`secret`], for one that may be absent.
pub(super) fn optional_secret<'de, D: serde::Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<SecretString>, D::Error> {
    secret(deserializer).map(Some)
}

/// What is written in a secret's place.
pub(super) const REDACTED: &str = "<redacted>";

/// Writes that there is a secret, for `#[serde(serialize_with = "redacted")]`.
pub(super) fn redacted<T, S: Serializer>(_: &T, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(REDACTED)
}
